// The table of open tunnels.

import { make, mark, row, say, write, writeFigure } from "./dom.js";
import { maxTunnels } from "./feed.js";
import { figures, none } from "./stores.js";
import { bytes, count, milliseconds, moment, plural, rate, span } from "./text.js";

// step is how many rows there are, and how many more come at once.
const step = 50;

const byText = (of) => (a, b) => (of(a) < of(b) ? -1 : of(a) > of(b) ? 1 : 0);
const byNumber = (of) => (a, b) => of(a) - of(b);
const place = (t) => t.site + t.route;

// columns are [key, heading, kind, what it is sorted by, whether the largest is first].
const columns = [
  ["client", "Client", "", byText((t) => t.client), false],
  ["route", "Route", "", byText(place), false],
  ["age", "Age", "number", byNumber((t) => -t.opened), false],
  ["messagesIn", "Messages in", "number", byNumber((t) => t.messagesIn), true],
  ["messagesOut", "out", "number", byNumber((t) => t.messagesOut), true],
  ["bytesIn", "Bytes in", "number", byNumber((t) => t.bytesIn), true],
  ["bytesOut", "out", "number", byNumber((t) => t.bytesOut), true],
  ["rate", "Rate", "number", byNumber((t) => t.rate), true],
  ["idle", "Idle", "number", byNumber((t) => -t.moved), true],
  ["ping", "Ping", "number", byNumber((t) => (t.ponged ? t.pingSeconds : -1)), true],
  ["agent", "User agent", "agent", byText((t) => t.agent), false],
];

const words = { messagesOut: "Messages out", bytesOut: "Bytes out", rate: "Rate, messages a second", ping: "Ping time" };
const wordsOf = ([key, heading]) => words[key] ?? heading;

export class Tunnels {
  #feed;
  #section;
  #table;
  #body;
  #rows = new Map(); // those that are drawn, by the tunnel's id
  #most = step;
  #sort = "age";
  #down = false; // the largest first
  #filter = "";
  #order = []; // ids as drawn

  constructor(section, feed) {
    this.#feed = feed;
    this.#section = section;
    this.#table = section.querySelector("table");
    this.#body = this.#table.tBodies[0];
    for (const [e, role] of [[this.#table, "table"], [this.#table.tHead, "rowgroup"], [this.#body, "rowgroup"]]) mark(e, "role", role);
    this.#drawHead();
    section.querySelector("#filter").addEventListener("input", (e) => {
      this.#filter = e.target.value.trim().toLowerCase();
      this.#most = step;
      this.#order = [];
      this.update();
    });
    section.querySelector("#more").addEventListener("click", () => {
      this.#most += 2 * step;
      this.update();
    });
    this.#body.addEventListener("click", (e) => {
      const id = e.target.closest("button")?.dataset.id;
      if (id) this.#ask(id);
    });
  }

  #drawHead() {
    const tr = make("tr", { role: "row" });
    const select = this.#section.querySelector("#sort");
    for (const column of columns) {
      const button = make("button", { type: "button", "data-sort": column[0] }, column[1]);
      if (wordsOf(column) !== column[1]) button.setAttribute("aria-label", wordsOf(column));
      button.addEventListener("click", () => this.#sortBy(column, this.#sort === column[0] ? !this.#down : column[4]));
      tr.append(make("th", { scope: "col", class: column[2], role: "columnheader" }, button));
      select.append(make("option", { value: column[0] }, wordsOf(column)));
    }
    tr.append(make("th", { scope: "col", role: "columnheader" }, make("span", { class: "unseen" }, "Close")));
    this.#table.tHead.append(tr);
    select.addEventListener("change", () => {
      const column = columns.find(([key]) => key === select.value);
      this.#sortBy(column, column[4]);
    });
    this.#sortBy(columns[2], false);
  }

  #sortBy(column, down) {
    this.#sort = column[0];
    this.#down = down;
    columns.forEach(([key], i) => mark(this.#table.tHead.rows[0].cells[i], "aria-sort", key !== this.#sort ? null : down ? "descending" : "ascending"));
    this.#section.querySelector("#sort").value = this.#sort;
    this.#order = [];
    this.update();
  }

  // held says that somebody is about to use a row, which is then not to move away.
  #held() {
    return this.#body.matches(":hover") || this.#body.contains(document.activeElement);
  }

  // matching are the tunnels that the filter lets through.
  #matching() {
    const all = [...this.#feed.tunnels.values()];
    if (!this.#filter) return all;
    return all.filter((t) => [t.client, place(t), t.agent, t.backend, t.id].some((text) => text.toLowerCase().includes(this.#filter)));
  }

  #sorted(tunnels) {
    const [, , , compare] = columns.find(([key]) => key === this.#sort);
    const sign = this.#down ? -1 : 1;
    const ids = byText((t) => t.id);
    return tunnels.sort((a, b) => sign * compare(a, b) || ids(a, b));
  }

  update() {
    if (!this.#feed.status) return;
    const matching = this.#matching();
    let shown;
    if (this.#order.length > 0 && this.#held()) {
      const there = new Map(matching.map((t) => [t.id, t]));
      shown = this.#order.map((id) => there.get(id)).filter(Boolean);
      if (shown.length < this.#most) {
        const drawn = new Set(this.#order);
        shown.push(...this.#sorted(matching.filter((t) => !drawn.has(t.id))).slice(0, this.#most - shown.length));
      }
    } else {
      shown = this.#sorted(matching).slice(0, this.#most);
    }
    this.#draw(shown);
    const open = this.#feed.status.tunnels.open;
    const told = open > maxTunnels ? `the newest ${count(maxTunnels)} of ${count(open)}` : count(this.#feed.tunnels.size);
    const drawn = shown.length < matching.length || this.#filter ? `${count(shown.length)} shown of ${count(matching.length)}${this.#filter ? " that match, of " : ""}` : "";
    write(this.#section.querySelector("#shown"), this.#filter ? drawn + told : drawn || told);
    mark(this.#section.querySelector("#more"), "hidden", shown.length < matching.length ? null : "");
    none(this.#section, this.#feed.tunnels.size);
  }

  #draw(shown) {
    const gone = new Map(this.#rows);
    let next = this.#body.firstElementChild;
    for (const t of shown) {
      let tr = this.#rows.get(t.id);
      if (!tr) {
        tr = tunnelRow(t);
        this.#rows.set(t.id, tr);
      }
      gone.delete(t.id);
      updateRow(tr, t, this.#feed.now);
      if (tr === next) next = next.nextElementSibling;
      else this.#body.insertBefore(tr, next);
    }
    for (const [id, tr] of gone) {
      // Else the focus would be at the beginning of the page.
      if (tr.contains(document.activeElement)) (tr.nextElementSibling ?? tr.previousElementSibling)?.querySelector("button")?.focus();
      if (tr.contains(document.activeElement)) this.#section.querySelector("#filter").focus();
      tr.remove();
      this.#rows.delete(id);
    }
    this.#order = shown.map((t) => t.id);
  }

  // ask asks whether to close a tunnel, and has it closed.
  #ask(id) {
    const t = this.#feed.tunnels.get(id);
    if (!t) return;
    const dialog = document.getElementById("closing");
    figures(dialog.querySelector("dl"), [
      ["Client", t.client], ["Route", place(t)], ["Opened", moment(t.opened)], ["Messages", count(t.messagesIn + t.messagesOut)], ["User agent", t.agent || "none"],
    ]);
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      if (dialog.returnValue === "close") this.#close(t);
    }, { once: true });
    dialog.showModal();
  }

  async #close(t) {
    try {
      const answer = await fetch("tunnels/" + encodeURIComponent(t.id), { method: "DELETE" });
      const text = (await answer.text()).trim();
      say(answer.ok ? `The tunnel of ${t.client} is closed.` : `The tunnel of ${t.client} is not closed: ${text || answer.status}`);
    } catch {
      say(`The tunnel of ${t.client} is not closed: the server cannot be reached.`);
    }
  }
}

function tunnelRow(t) {
  const tr = row([...columns.map((c) => [wordsOf(c), c[2]]), ["", "closer"]]);
  const [client, route] = tr.cells;
  tr.dataset.id = t.id;
  write(client, t.client);
  route.append(make("span", {}, t.site, make("code", {}, t.route)));
  mark(route, "title", `to ${t.backend}`);
  const agent = tr.cells[10];
  write(agent, t.agent || "–");
  mark(agent, "title", t.agent);
  tr.cells[11].append(make("button", { type: "button", "data-id": t.id, "aria-label": `Close the tunnel of ${t.client}` }, "Close"));
  return tr;
}

function updateRow(tr, t, now) {
  const set = (i, value, text) => writeFigure(tr.cells[i].firstChild, value, text);
  set(2, t.opened, "");
  write(tr.cells[2].firstChild, span(now - t.opened));
  set(3, t.messagesIn, count(t.messagesIn));
  set(4, t.messagesOut, count(t.messagesOut));
  set(5, t.bytesIn, bytes(t.bytesIn));
  set(6, t.bytesOut, bytes(t.bytesOut));
  set(7, t.rate.toFixed(2), t.rate ? rate(t.rate) : "–");
  write(tr.cells[8].firstChild, now - t.moved < 2000 ? "–" : span(now - t.moved));
  set(9, t.pingSeconds, t.ponged ? milliseconds(t.pingSeconds) : "–");
  if (t.ponged) mark(tr.cells[9], "title", `answered ${span(now - t.ponged)} ago`);
}
