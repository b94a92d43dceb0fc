// Push, certificates and limits: what changes seldom.

import { list, make, mark, row, write, writeFigure } from "./dom.js";
import { certificateWeight } from "./problems.js";
import { bytes, count, date, daysUntil, plural } from "./text.js";

// channelsEvery is how often channels are asked for, while somebody sees the page.
const channelsEvery = 5000;

const transports = { websocket: "WebSocket", "event-stream": "event stream", poll: "poll" };
const joins = { new: "new", resumed: "resumed", gap: "with a gap" };

// figures writes a list of terms: [term, text, exact value].
export function figures(dl, terms) {
  list(dl, terms, ([term]) => term, ([term]) => make("div", {}, make("dt", {}, term), make("dd", {}, make("data"))), (div, [, text, value]) =>
    writeFigure(div.lastChild.firstChild, value ?? text, text));
}

const parts = (counts, names) => Object.entries(counts ?? {}).filter(([, n]) => n > 0).map(([name, n]) => `${count(n)} ${names[name] ?? name}`).join(", ") || "none";

export class Push {
  #section;
  #timer = 0;
  #there = false;

  constructor(section) {
    this.#section = section;
    document.addEventListener("visibilitychange", () => this.#ask());
  }

  update({ status }) {
    const p = status.push;
    mark(this.#section, "hidden", p ? null : "");
    const came = p && !this.#there;
    this.#there = Boolean(p);
    if (!p) return;
    figures(this.#section.querySelector("dl"), [
      ["Clients", parts(p.clients, transports)], ["Channels with clients", count(p.channels), p.channels],
      ["Published", plural(p.published, "message"), p.published], ["Delivered", count(p.delivered), p.delivered],
      ["Waiting for slow clients", bytes(p.queue_bytes), p.queue_bytes], ["Cut, as they did not read", count(p.cut), p.cut],
      ["Streams begun", parts(p.joins, joins)], ["History", p.history_bytes < 0 ? "not known" : bytes(p.history_bytes), p.history_bytes],
    ]);
    if (came) this.#ask();
  }

  async #ask() {
    clearTimeout(this.#timer);
    if (!this.#there || document.hidden) return;
    this.#timer = setTimeout(() => this.#ask(), channelsEvery);
    try {
      const answer = await fetch("channels", { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(channelsEvery) });
      if (answer.ok) this.#draw(await answer.json());
    } catch {
      // The events tell whether the server is there.
    }
  }

  #draw({ channels, more }) {
    const shown = (channels ?? []).toSorted((a, b) => b.subscribers - a.subscribers || (a.name < b.name ? -1 : 1)).slice(0, 100);
    list(this.#section.querySelector("tbody"), shown, (c) => c.name, () => {
      const tr = row([["Channel"], ["Clients", "number"], ["Kept messages", "number"]]);
      tr.cells[0].append(make("code"));
      return tr;
    }, (tr, c) => {
      write(tr.cells[0].firstChild, c.name);
      writeFigure(tr.cells[1].firstChild, c.subscribers, count(c.subscribers));
      writeFigure(tr.cells[2].firstChild, c.messages, count(c.messages));
    });
    none(this.#section, shown.length);
    mark(this.#section.querySelector("#channels-more"), "hidden", more || shown.length < (channels ?? []).length ? null : "");
  }
}

// none shows either a section's table or the words that it has nothing.
export function none(section, many) {
  mark(section.querySelector("table"), "hidden", many > 0 ? null : "");
  mark(section.querySelector(".none"), "hidden", many > 0 ? "" : null);
}

// most is how many certificates are shown: those with a problem, and then those
// that end first.
const most = 100;

const sources = { auto: "a CA", on_demand: "a CA, on demand", internal: "the internal CA", files: "files" };

export class Certificates {
  #section;

  constructor(section) {
    this.#section = section;
  }

  update({ status, now }) {
    const all = (status.certificates ?? []).map((c) => ({ ...c, ends: c.not_after ? Date.parse(c.not_after) : 0 })).sort((a, b) => Boolean(b.problem) - Boolean(a.problem) || a.ends - b.ends);
    list(this.#section.querySelector("tbody"), all.slice(0, most), (c) => `${c.source} ${(c.names ?? []).join(" ")}`, () => {
      const tr = row([["Names"], ["From"], ["Days left", "number"]]);
      tr.cells[0].append(make("span"), make("p", { class: "problem" }));
      tr.cells[2].append(make("span", { class: "quiet" }));
      return tr;
    }, (tr, c) => {
      const [names, from, left] = tr.cells;
      write(names.firstChild, (c.names ?? []).join(", "));
      const problem = [c.problem, c.hint].filter(Boolean).join(" ");
      write(names.lastChild, problem);
      mark(names.lastChild, "hidden", problem ? null : "");
      write(from, (sources[c.source] ?? c.source) + (c.issuer ? `: ${c.issuer}` : ""));
      const days = daysUntil(c.ends, now);
      writeFigure(left.firstChild, c.ends, c.ends === 0 ? (c.problem || c.source === "auto" ? "none yet" : "at first use") : c.ends <= now ? "ended" : count(days));
      write(left.lastChild, c.ends === 0 ? "" : date(c.ends));
      mark(tr, "class", certificateWeight(c, now));
    });
    none(this.#section, all.length);
    const more = this.#section.querySelector("#certificates-more");
    mark(more, "hidden", all.length > most ? null : "");
    write(more, `${count(all.length - most)} more: wsfront certificates`);
  }
}

export class Limits {
  #section;

  constructor(section) {
    this.#section = section;
  }

  update({ status }) {
    const all = Object.entries(status.limits ?? {}).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
    list(this.#section.querySelector("tbody"), all, ([name]) => name, () => {
      const tr = row([["Limit"], ["Times since the start", "number"]]);
      tr.cells[0].append(make("code"));
      return tr;
    }, (tr, [name, n]) => {
      write(tr.cells[0].firstChild, name);
      writeFigure(tr.cells[1].firstChild, n, count(n));
    });
    none(this.#section, all.length);
  }
}
