// Small graphs of the last two minutes.

import { make, write, mark } from "./dom.js";

const samples = 120; // seconds
const width = 240;
const height = 44;

function drawn(tag, attributes) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  return e;
}

// Graph shows a figure, and how it was.
export class Graph {
  #values = []; // {at, value}, the oldest first
  #figure = make("output", { class: "figure" });
  #unit = make("span", { class: "unit" });
  #caption = make("p", { class: "quiet" });
  #line = drawn("path", { class: "line" });
  #area = drawn("path", { class: "area" });
  #picture = drawn("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img" });
  #name;
  #write;

  // name is what it shows, write makes text of a value: [number, unit].
  constructor(parent, id, name, write) {
    this.#name = name;
    this.#write = write;
    this.#figure.id = id;
    this.#figure.setAttribute("aria-live", "off"); // it changes every second
    this.#picture.append(this.#area, this.#line);
    parent.append(make("div", { class: "graph" },
      make("h3", {}, name), make("p", { class: "reading" }, this.#figure, " ", this.#unit), this.#picture, this.#caption));
  }

  // add adds the value of a moment; note says more of it.
  add(at, value, note = "") {
    this.#values.push({ at, value });
    while (this.#values[0].at < at - samples * 1000) this.#values.shift();
    const [number, unit] = this.#write(value);
    write(this.#figure, number);
    write(this.#unit, unit);
    const top = Math.max(...this.#values.map((v) => v.value));
    const least = Math.min(...this.#values.map((v) => v.value));
    const most = this.#write(top).join(" ");
    write(this.#caption, note || `at most ${most} in two minutes`);
    mark(this.#picture, "aria-label", `${this.#name} in the last two minutes: from ${this.#write(least).join(" ")} to ${most}, now ${number} ${unit}`);
    this.#draw(at, top);
  }

  #draw(now, top) {
    const scale = (height - 4) / (top || 1);
    const points = this.#values.map(({ at, value }) =>
      `${(width - ((now - at) / 1000 / samples) * width).toFixed(1)} ${(height - 2 - value * scale).toFixed(1)}`);
    const line = "M" + points.join("L");
    this.#line.setAttribute("d", line);
    this.#area.setAttribute("d", `${line}L${width} ${height}L${points[0].split(" ")[0]} ${height}Z`);
  }

  // forget begins anew, as after a restart of the server.
  forget() {
    this.#values = [];
  }
}
