// What the server tells: the state once, and then what changes of it.

// maxTunnels is how many tunnels the server tells of, the newest.
export const maxTunnels = 5000;

// silence is after how long without a tick the connection is taken for lost.
const silence = 15000;
const again = 2000;

// Feed has the state: status, as GET /status has it; tunnels, a Map by id; and now,
// the server's time. It calls changed when they have changed, linked(true or false)
// when the connection stands or is lost, and denied when the server wants a token.
export class Feed {
  status = null;
  tunnels = new Map();
  now = 0;

  #calls;
  #source = null;
  #number = 0; // of the last tick that is in the state
  #position = ""; // of the last message
  #waiting = null; // ticks that came while the state is asked for
  #stale = false; // it has to be asked for once more
  #heard = 0;
  #retry = 0;
  #active = new Set(); // tunnels that have a rate

  constructor(calls) {
    this.#calls = calls;
    setInterval(() => this.#listen(), 1000);
  }

  // connect begins, and begins anew.
  connect() {
    clearTimeout(this.#retry);
    this.#source?.close();
    const from = this.status && this.#position ? "?from=" + encodeURIComponent(this.#position) : "";
    const source = (this.#source = new EventSource("events" + from));
    this.#heard = performance.now();
    source.onopen = () => {
      this.#heard = performance.now();
      if (!this.status) this.#load();
    };
    source.onmessage = (e) => {
      this.#heard = performance.now();
      this.#position = e.lastEventId;
      this.#take(JSON.parse(e.data));
    };
    source.addEventListener("gap", () => this.#load());
    source.onerror = () => {
      this.#calls.linked(false);
      // A browser gives up upon an answer that is none, such as that of a proxy on the
      // way, or one that wants a token.
      if (source.readyState === EventSource.CLOSED) this.#ask();
    };
  }

  // close ends the connection, so that nothing is asked for until connect.
  close() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  #listen() {
    if (this.#source && performance.now() - this.#heard > silence) {
      this.#calls.linked(false);
      this.connect();
    }
  }

  #later() {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.connect(), again);
  }

  // fetch asks for JSON; undefined says that there is none, and that what has to be
  // done about it is under way.
  async #fetch() {
    try {
      const answer = await fetch("events", { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(silence) });
      if (answer.status === 401) {
        this.close();
        this.#calls.denied();
        return undefined;
      }
      if (answer.ok) return await answer.json();
    } catch {
      // The server is not there: it is tried again as upon any other answer.
    }
    this.#calls.linked(false);
    this.#later();
    return undefined;
  }

  async #ask() {
    if (await this.#fetch()) this.#later();
  }

  async #load() {
    if (this.#waiting) {
      this.#stale = true;
      return;
    }
    let state;
    do {
      this.#stale = false;
      this.#waiting = [];
      state = await this.#fetch();
    } while (state && this.#stale);
    const waiting = this.#waiting;
    this.#waiting = null;
    if (!state) {
      this.status = null; // so that the next connection begins with it
      return;
    }
    this.status = {};
    this.#keepRates(() => this.#apply(state));
    for (const tick of waiting) this.#take(tick);
    this.#tell();
  }

  // keepRates has tunnels that stay go on with the rates that they have.
  #keepRates(replace) {
    const before = this.tunnels;
    this.tunnels = new Map();
    this.#active.clear();
    replace();
    for (const t of this.tunnels.values()) {
      const old = before.get(t.id);
      if (old && old.opened === t.opened && old.rate > 0) {
        t.rate = old.rate;
        this.#active.add(t);
      }
    }
  }

  #take(tick) {
    if (this.#waiting) {
      this.#waiting.push(tick);
      return;
    }
    if (!this.status || tick.number <= this.#number) return;
    if (tick.number !== this.#number + 1) {
      this.#load();
      return;
    }
    this.#apply(tick);
    this.#tell();
  }

  #tell() {
    this.#calls.linked(true);
    this.#calls.changed();
  }

  #apply(tick) {
    const seconds = this.now ? Math.max(0.001, (tick.time - this.now) / 1000) : 0;
    this.#number = tick.number;
    this.now = tick.time;
    Object.assign(this.status, tick.status);
    for (const id of tick.gone ?? []) {
      this.#active.delete(this.tunnels.get(id));
      this.tunnels.delete(id);
    }
    const moved = new Set();
    for (const figures of tick.moved ?? []) {
      const t = this.tunnels.get(figures[0]);
      if (!t) continue; // left out as one of the oldest
      const before = t.messagesIn + t.messagesOut;
      [, t.messagesIn, t.messagesOut, t.bytesIn, t.bytesOut, t.moved, t.ponged, t.pingSeconds] = figures;
      const messages = t.messagesIn + t.messagesOut - before;
      if (messages > 0 && seconds > 0) {
        t.rate = t.rate === 0 ? messages / seconds : settle(t.rate, messages / seconds, seconds);
        this.#active.add(t);
        moved.add(t);
      }
    }
    for (const t of this.#active) {
      if (moved.has(t)) continue;
      t.rate = settle(t.rate, 0, seconds);
      if (t.rate < 0.02) {
        t.rate = 0;
        this.#active.delete(t);
      }
    }
    for (const t of tick.new ?? []) this.tunnels.set(t.id, tunnelOf(t));
    this.#leaveOut();
  }

  // leaveOut leaves out the oldest, as the server does.
  #leaveOut() {
    if (this.tunnels.size <= maxTunnels) return;
    const oldest = [...this.tunnels.values()].sort((a, b) => b.opened - a.opened).slice(maxTunnels);
    for (const t of oldest) {
      this.#active.delete(t);
      this.tunnels.delete(t.id);
    }
  }
}

// settle brings a rate nearer to that of the last seconds, within about five.
function settle(rate, latest, seconds) {
  const weight = Math.exp(-seconds / 3);
  return rate * weight + latest * (1 - weight);
}

// tunnelOf is a tunnel of GET /tunnels with its times in milliseconds.
function tunnelOf(t) {
  return {
    id: t.id, client: t.client, agent: t.user_agent, site: t.site, route: t.route, backend: t.backend,
    opened: Date.parse(t.opened), moved: Date.parse(t.moved), ponged: t.ponged ? Date.parse(t.ponged) : 0,
    pingSeconds: t.ping_seconds ?? 0,
    messagesIn: t.messages_in, messagesOut: t.messages_out, bytesIn: t.bytes_in, bytesOut: t.bytes_out,
    rate: 0,
  };
}
