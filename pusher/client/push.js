// A WebSocket that reconnects and resumes. Apache-2.0; the README of the npm
// package wsfront-push tells how to use it.

const { WebSocket, EventSource } = globalThis; // a page may put Push in their place
const CONNECTING = 0, OPEN = 1, CLOSING = 2, CLOSED = 3;
const SECOND = 1e3, MINUTE = 6e4;
const LOST = { code: 1006, reason: "", wasClean: false };

export default class Push extends EventTarget {
  binaryType = "blob";
  protocol = "";
  extensions = "";
  #state = CONNECTING;
  #options;
  #origin;
  #key; // the position's name in options.storage
  #position;
  #link = null; // the present WebSocket or EventSource, or null: waiting
  #isStream = false; // #link is, or will be, an EventSource
  #timer; // of the wait, of the attempt, or of a fallback's end
  #life = new AbortController(); // ends the listeners to the page
  #since; // when the connection opened
  #tries = 0; // since a connection lived for long
  #refused = 0; // WebSockets in a row that did not open
  #streamFor = MINUTE; // how long the next fallback lasts
  #streamUntil = 0;

  constructor(url, { from, token, transport = "auto", channels = [], storage } = {}) {
    super();
    const { location, document } = globalThis;
    const target = new URL(url, location?.href);
    target.protocol = target.protocol.replace("http", "ws");
    if (!/^wss?:$/.test(target.protocol)) throw new SyntaxError(`${url}: write a ws:, wss:, http:, https: or relative URL`);
    if (location?.protocol == "https:" && location.host == target.host) target.protocol = "wss:";
    target.hash = "";
    for (const channel of channels) target.searchParams.append("channel", channel);
    this.url = target.href;
    this.#options = { token, transport, storage };
    this.#origin = target.origin;
    this.#key = "push " + this.url;
    this.#position = from ?? target.searchParams.get("from") ?? storage?.getItem(this.#key) ?? "";
    for (const type of ["open", "message", "gap", "error", "close"]) {
      this["on" + type] = null;
      this.addEventListener(type, e => this["on" + type]?.(e));
    }
    const { signal } = this.#life;
    globalThis.addEventListener?.("online", () => { // perhaps another network
      if (this.#link) this.#lost();
      this.#tries = this.#refused = this.#streamUntil = 0;
      this.#connect();
    }, { signal });
    document?.addEventListener("visibilitychange", () => {
      if (!document.hidden && !this.#link) this.#connect();
    }, { signal });
    this.#connect();
  }

  get readyState() { return this.#state; }
  get position() { return this.#position; }
  get bufferedAmount() { return this.#link?.bufferedAmount ?? 0; }

  send(data) {
    if (this.#state != OPEN || this.#isStream) throw new DOMException("no WebSocket is open", "InvalidStateError");
    this.#link.send(data);
  }

  close(code, reason = "") {
    if (this.#state > OPEN) return;
    const opened = this.#state == OPEN;
    if (opened && !this.#isStream) {
      this.#link.close(code, reason); // #lost has the rest
    } else {
      this.#drop();
      setTimeout(() => this.#end(opened ? { code: code ?? 1005, reason, wasClean: true } : LOST));
    }
    this.#state = CLOSING;
    this.#life.abort();
  }

  async #connect() {
    if (this.#state != CONNECTING) return;
    clearTimeout(this.#timer);
    let url, mine = this.#link = {}; // until there is a real one
    try {
      let { token, transport } = this.#options;
      if (typeof token == "function") token = await token();
      if (this.#link != mine) return;
      url = new URL(this.url);
      if (this.#position) url.searchParams.set("from", this.#position);
      if (token) url.searchParams.set("token", token);
      this.#isStream = transport == "sse" || transport == "auto" && Date.now() < this.#streamUntil;
      this.#link = mine = this.#isStream ? this.#openStream(url) : this.#openSocket(url);
      this.#timer = setTimeout(() => this.#lost(), 15 * SECOND);
    } catch {
      if (this.#link == mine) this.#lost({ code: url ? 1006 : 0 }); // without a token, no WebSocket was refused
    }
  }

  #openSocket(url) {
    const link = new WebSocket(url, "resume.v1");
    link.binaryType = "arraybuffer";
    // Not what a link that was dropped still says.
    link.onmessage = e => link == this.#link && this.#frame(e.data);
    link.onclose = e => link == this.#link && this.#lost(e);
    link.onerror = () => {}; // Node's ws throws without it
    return link;
  }

  #openStream(url) {
    url.protocol = url.protocol.replace("ws", "http");
    url.searchParams.set("status", 1);
    const link = new EventSource(url, { withCredentials: true });
    link.onmessage = e => this.#message(e.lastEventId, e.data);
    link.addEventListener("status", e => this.#status(e.lastEventId, e.data));
    link.addEventListener("gap", e => this.#status(e.lastEventId, "gap"));
    link.onerror = () => link == this.#link && this.#lost();
    return link;
  }

  #frame(data) {
    if (typeof data == "string") {
      const end = data.indexOf("\n");
      if (end < 0) this.#status(...data.split(" "));
      else this.#message(data.slice(0, end), data.slice(end + 1));
    } else {
      const end = new Uint8Array(data).indexOf(10), payload = data.slice(end + 1);
      const token = new TextDecoder().decode(data.slice(0, end));
      this.#message(token, this.binaryType == "blob" ? new Blob([payload]) : payload);
    }
  }

  #status(token, resume) {
    if (this.#state > OPEN) return;
    this.#keep(token);
    if (this.#state == CONNECTING) {
      this.#state = OPEN;
      this.#since = Date.now();
      clearTimeout(this.#timer);
      if (!this.#isStream) {
        this.#refused = 0;
        this.#streamFor = MINUTE;
      } else if (this.#options.transport == "auto") {
        this.#timer = setTimeout(() => {
          this.#streamUntil = 0;
          this.#lost();
          this.#connect();
        }, this.#streamUntil - this.#since);
      }
      this.#emit("open", { resume });
    }
    if (resume == "gap" && this.#state == OPEN) this.#emit("gap");
  }

  #message(token, data) {
    const [epoch, seq] = token.split("."), [hadEpoch, had] = this.#position.split(".");
    if (this.#state != OPEN || token && epoch == hadEpoch && +seq <= +had) return;
    if (token) this.#keep(token); // one without is for this page alone
    this.dispatchEvent(new MessageEvent("message", { data, origin: this.#origin, lastEventId: token }));
  }

  #keep(token) {
    this.#position = token;
    try { this.#options.storage?.setItem(this.#key, token); } catch {} // no room
  }

  #lost(e = LOST) {
    this.#drop();
    const admitted = e.code != 4401 && e.code != 4403;
    if (this.#state == CLOSING || !admitted && typeof this.#options.token != "function") return this.#end(e);
    if (this.#state == OPEN) {
      if (Date.now() - this.#since > 10 * SECOND) this.#tries = 0;
    } else if (this.#isStream) { // it is not WebSockets alone that fail
      this.#refused = this.#streamUntil = 0;
      this.#streamFor = MINUTE;
    } else if (e.code == 1006 && ++this.#refused > 1) {
      this.#streamUntil = Date.now() + this.#streamFor;
      this.#streamFor = Math.min(2 * this.#streamFor, 60 * MINUTE);
    }
    this.#state = CONNECTING;
    this.#timer = setTimeout(() => this.#connect(), (0.5 + Math.random()) * SECOND * Math.min(2 ** this.#tries++, 20));
    this.#emit("error");
  }

  #drop() {
    clearTimeout(this.#timer);
    const link = this.#link;
    this.#link = null;
    link?.close?.();
  }

  #end({ code, reason, wasClean }) {
    this.#state = CLOSED;
    this.#life.abort();
    this.#emit("close", { code, reason, wasClean });
  }

  #emit(type, fields) {
    this.dispatchEvent(Object.assign(new Event(type), fields));
  }
}

Object.entries({ CONNECTING, OPEN, CLOSING, CLOSED }).forEach(([name, value]) => Push[name] = Push.prototype[name] = value);
