// What moves just now: four graphs.

import { Graph } from "./graph.js";
import { bytes, count, rate } from "./text.js";

const names = { tls: "in handshake", "http/1.1": "HTTP/1.1", h2: "HTTP/2", websocket: "WebSocket", push: "push" };

// shortest is the shortest time that says something of a rate. When a page asks for
// the state, the next tick may follow at once.
const shortest = 500;

export class Pulse {
  #graphs;
  #before = null; // the totals of the last time
  #started = "";

  constructor(parent) {
    const perSecond = (n) => [rate(n), "a second"];
    const traffic = (n) => {
      const [number, unit] = bytes(n).split(" ");
      return [number, `${unit} a second`];
    };
    this.#graphs = {
      messages: new Graph(parent, "messages", "Messages in tunnels", perSecond),
      traffic: new Graph(parent, "traffic", "Traffic", traffic),
      requests: new Graph(parent, "requests", "Requests", perSecond),
      connections: new Graph(parent, "connections", "Connections", (n) => [count(n), "open"]),
    };
  }

  // update adds what has happened since the last time. Counters that are lower than
  // before are those of another server.
  update({ status, now }) {
    const t = status.tunnels;
    const r = status.requests;
    const totals = {
      now, messages: t.messages_in + t.messages_out, requests: r.total,
      traffic: t.bytes_in + t.bytes_out + r.bytes_in + r.bytes_out,
    };
    const before = this.#before;
    if (before && (status.started !== this.#started || now < before.now)) {
      for (const g of Object.values(this.#graphs)) g.forget();
      this.#before = null;
    }
    if (this.#before && now - before.now < shortest) return;
    const kinds = Object.entries(status.connections).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
    const open = kinds.reduce((sum, [, n]) => sum + n, 0);
    this.#graphs.connections.add(now, open, kinds.map(([kind, n]) => `${count(n)} ${names[kind] ?? kind}`).join(", "));
    if (this.#before) {
      const seconds = (now - before.now) / 1000;
      for (const name of ["messages", "traffic", "requests"]) {
        this.#graphs[name].add(now, Math.max(0, totals[name] - before[name]) / seconds);
      }
    }
    this.#before = totals;
    this.#started = status.started;
  }
}
