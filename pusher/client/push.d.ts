/** How a connection began: with what the page had not missed, or not. */
export type Resume =
  /** The page brought no position and gets what comes from now on. */
  | "new"
  /** Everything since the page's position follows, or has been seen. */
  | "resumed"
  /** Messages since the page's position are gone: reload the page's state. */
  | "gap";

/** A connection stands; comes again after each reconnect. */
export interface PushOpenEvent extends Event {
  readonly resume: Resume;
}

/** The socket has ended for good. */
export interface PushCloseEvent extends Event {
  /** The WebSocket close code; 1006 where there was none. */
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
}

export interface PushEventMap {
  open: PushOpenEvent;
  /** data is the message; lastEventId is its position. */
  message: MessageEvent;
  /** Messages were missed for good: reload the page's state. */
  gap: Event;
  /** The connection, or an attempt at one, failed; the next attempt is coming, by itself. */
  error: Event;
  close: PushCloseEvent;
}

export interface PushOptions {
  /** The position to go on from, such as the page was rendered with. Default: a from parameter of the URL, or what storage holds. */
  from?: string;
  /**
   * What goes into the parameter token. A function is asked before each attempt; with one, close codes 4401 and 4403
   * lead to another attempt instead of the end.
   */
  token?: string | (() => string | Promise<string>);
  /** "auto", the default, takes server-sent events where WebSockets do not get through. */
  transport?: "auto" | "ws" | "sse";
  /** Channels to ask for, each as a parameter channel. */
  channels?: Iterable<string>;
  /** Keeps the position from one page load to the next: sessionStorage, as two pages must not share one. */
  storage?: Pick<Storage, "getItem" | "setItem">;
}

/** A WebSocket that reconnects, and resumes where it was cut: every message once, in order, or a gap event. */
export default class Push extends EventTarget {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;

  /** Connects at once. Throws for a URL that is none, or whose scheme is none of ws, wss, http and https. */
  constructor(url: string | URL, options?: PushOptions);

  /** The absolute URL, without position and token. */
  readonly url: string;
  /** The token of the last message seen, or ""; one to hand to from. */
  readonly position: string;
  /** CONNECTING while there is no connection but one is wanted. */
  readonly readyState: number;
  readonly bufferedAmount: number;
  readonly protocol: "";
  readonly extensions: "";
  /** What binary messages come as. Default "blob". */
  binaryType: BinaryType;

  onopen: ((this: Push, event: PushOpenEvent) => unknown) | null;
  onmessage: ((this: Push, event: MessageEvent) => unknown) | null;
  ongap: ((this: Push, event: Event) => unknown) | null;
  onerror: ((this: Push, event: Event) => unknown) | null;
  onclose: ((this: Push, event: PushCloseEvent) => unknown) | null;

  /** Sends by the WebSocket. Throws an InvalidStateError when none is open. */
  send(data: string | ArrayBufferLike | Blob | ArrayBufferView): void;
  /** Ends everything; a close event follows. Throws for a code that is neither 1000 nor 3000 to 4999. */
  close(code?: number, reason?: string): void;

  addEventListener<K extends keyof PushEventMap>(type: K, listener: (this: Push, event: PushEventMap[K]) => unknown, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof PushEventMap>(type: K, listener: (this: Push, event: PushEventMap[K]) => unknown, options?: boolean | EventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}
