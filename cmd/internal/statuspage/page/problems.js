// What is wrong, the worst first, and the head of the page.

import { list, make, mark, say, write } from "./dom.js";
import { count, date, daysUntil, moment, plural, roughly, span } from "./text.js";

// soon is for how many days a certificate has to last for nobody to care: CAs'
// certificates are renewed when a third of their life is left.
const soon = 14;
const recent = 5 * 60 * 1000;

// problemsOf are what a person should know of: {grave, title, text}.
export function problemsOf({ status, now }) {
  const found = [];
  const add = (grave, title, text = "", link = "") => found.push({ grave, title, text, link });
  for (const reason of status.not_ready ?? []) add(true, `Not ready: ${reason}`);
  if (status.state === "draining") add(false, "Draining", "What is open may finish; nothing new is taken.");
  const { refused, refused_at: at } = status.config;
  if (refused) add(true, `The reload of ${at ? moment(Date.parse(at)) : "the configuration"} was refused, and the configuration before it goes on`, refused);
  for (const site of status.sites ?? []) {
    for (const route of site.routes ?? []) {
      if (route.health === "up" || !route.health) continue;
      const out = (route.backends ?? []).filter((b) => !b.up);
      add(route.health === "down", `${site.name}${route.route} is ${route.health}`,
        out.map((b) => backendText(b, now)).join("\n") || route.to, "sites");
    }
  }
  for (const c of status.certificates ?? []) {
    const ends = c.not_after ? Date.parse(c.not_after) : 0;
    const days = daysUntil(ends, now);
    const names = (c.names ?? []).join(", ");
    const over = ends > 0 && ends <= now;
    const title = ends === 0 ? `No certificate for ${names}` : over ? `The certificate for ${names} has ended` : `The certificate for ${names} ends in ${roughly(ends - now)}`;
    // Certificates of the internal CA are short and made anew by themselves.
    const near = ends > 0 && days < soon && c.source === "files";
    if (c.problem || over || near) add(ends === 0 || days < 3, title, [c.problem, c.hint].filter(Boolean).join("\n") || `It ends on ${date(ends)}.`, "certificates");
  }
  const failures = (status.failures ?? []).filter((f) => now - Date.parse(f.time) < recent);
  if (failures.length > 0) {
    const times = failures.reduce((sum, f) => sum + f.count, 0);
    const many = failures.length === (status.failures ?? []).length && failures.length > 1 ? "at least " : "";
    add(false, `${many}${plural(times, "failure")} in the last five minutes`, failures[0].sentence || failures[0].reason, "failures");
  }
  const limits = Object.entries(status.limits ?? {}).filter(([, n]) => n > 0);
  if (limits.length > 0) {
    add(false, `${plural(limits.length, "limit")} reached since the start`, limits.map(([name, n]) => `${name}, ${plural(n, "time")}`).join("\n"), "limits");
  }
  return found.sort((a, b) => b.grave - a.grave);
}

// backendText is how a backend fares, in a sentence without its end.
export function backendText(b, now) {
  const when = b.failed ? `, ${span(now - Date.parse(b.failed))} ago` : "";
  return `${b.backend}: ${b.reason || (b.up ? "up" : "down")}${when}`;
}

export class Problems {
  #parent;
  #said = null; // the titles that were there

  constructor(section) {
    this.#parent = section.querySelector(".problems");
  }

  update(feed) {
    const problems = problemsOf(feed);
    const shown = problems.length > 0 ? problems : [{ fine: true, title: "Nothing is wrong.", text: "" }];
    list(this.#parent, shown, (p) => p.title, () => make("li", {}, make("strong"), make("p"), make("a", { class: "quiet" }, "Show")), (li, p) => {
      mark(li, "class", p.fine ? "fine" : p.grave ? "grave" : "warn");
      const [title, text, link] = li.children;
      write(title, p.title);
      write(text, p.text);
      mark(text, "hidden", p.text ? null : "");
      mark(link, "hidden", p.link ? null : "");
      if (p.link) mark(link, "href", "#" + p.link);
    });
    const titles = new Set(problems.filter((p) => p.grave).map((p) => p.title));
    const fresh = this.#said ? [...titles].filter((t) => !this.#said.has(t)) : [];
    if (fresh.length > 0) say(fresh.join(". "));
    else if (this.#said?.size > 0 && titles.size === 0) say("Nothing grave is wrong any more.");
    this.#said = titles;
    const graves = titles.size;
    document.title = graves > 0 ? `(${count(graves)}) wsfront` : "wsfront";
  }
}

// updateHead writes what is above all else.
export function updateHead({ status, now }) {
  const condition = document.getElementById("condition");
  const unready = (status.not_ready ?? []).length > 0;
  write(condition, status.state === "draining" ? "draining" : unready ? "not ready" : "ready");
  mark(condition, "class", status.state === "draining" ? "mark warn" : unready ? "mark grave" : "mark fine");
  const { file, version, loaded } = status.config;
  const facts = [
    ["version", "Version", status.version],
    ["uptime", "Up for", span(now - Date.parse(status.started))],
    ["process", "Process", String(status.pid)],
    ["configuration", "Configuration", `${version}${file ? ` of ${file}` : ""}, loaded ${roughly(now - Date.parse(loaded))} ago`],
  ];
  list(document.getElementById("facts"), facts, ([id]) => id, ([id, name]) => make("span", { id }, `${name} `, make("b")), (e, [, , text]) => write(e.lastChild, text));
}
