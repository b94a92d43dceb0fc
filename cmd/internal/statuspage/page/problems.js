// What is wrong, the worst first, and the head of the page.

import { list, make, mark, say, write } from "./dom.js";
import { count, date, daysUntil, moment, plural, roughly, span } from "./text.js";

// soon is for how many days a certificate from a file has to last for nobody to care.
const soon = 14;
// most is how many problems are shown, the worst.
const most = 30;
const recent = 5 * 60 * 1000;

// problemsOf are what a person should know of: {grave, title, text}.
export function problemsOf({ status, now }) {
  const found = [];
  const add = (grave, title, text = "", link = "", code = false) => found.push({ grave, title, text, link, code });
  const unready = new Set(status.not_ready ?? []);
  if (status.state === "draining") add(false, "Draining", "What is open may finish; nothing new is taken.");
  const { refused, refused_at: at } = status.config;
  if (refused) add(true, `The reload of ${at ? moment(Date.parse(at)) : "the configuration"} was refused, and the configuration before it goes on`, refused, "", true);
  for (const site of status.sites ?? []) {
    for (const route of site.routes ?? []) {
      if (route.health === "up" || !route.health) continue;
      const out = (route.backends ?? []).filter((b) => !b.up);
      const named = `route ${site.name}${route.route}: `;
      const counts = [...unready].filter((reason) => reason.startsWith(named));
      for (const reason of counts) unready.delete(reason);
      add(route.health === "down" || counts.length > 0, `${site.name}${route.route} is ${route.health}${counts.length > 0 ? ", so that the server is not ready" : ""}`,
        out.map((b) => backendText(b, now)).join("\n") || route.to, "sites");
    }
  }
  for (const reason of unready) add(true, `Not ready: ${reason}`);
  for (const c of status.certificates ?? []) {
    const weight = certificateWeight(c, now);
    if (!weight) continue;
    const ends = Date.parse(c.not_after ?? "");
    const names = (c.names ?? []).join(", ");
    const title = !ends ? `No certificate for ${names}` : ends <= now ? `The certificate for ${names} has ended` : `The certificate for ${names} ends in ${roughly(ends - now)}`;
    add(weight === "grave", title, [c.problem, c.hint].filter(Boolean).join("\n") || `It ends on ${date(ends)}.`, "certificates");
  }
  const failures = (status.failures ?? []).filter((f) => now - Date.parse(f.time) < recent);
  if (failures.length > 0) {
    const times = failures.reduce((sum, f) => sum + f.count, 0);
    const many = failures.length === status.failures.length && failures.length > 1 ? "At least " : "";
    add(false, `${many}${plural(times, "failure")} in the last five minutes`, failures[0].sentence || failures[0].reason, "failures");
  }
  const limits = Object.entries(status.limits ?? {}).filter(([, n]) => n > 0);
  if (limits.length > 0) {
    add(false, `${plural(limits.length, "limit")} reached since the start`, limits.map(([name, n]) => `${name}, ${plural(n, "time")}`).join("\n"), "limits");
  }
  return found.sort((a, b) => b.grave - a.grave);
}

// certificateWeight says whether a certificate is no problem (""), one to come (warn)
// or one that is there or near (grave). One from a file is renewed by a person, so
// its end alone is a problem; where there is none yet it may be made when it is asked
// for.
export function certificateWeight(c, now) {
  if (!c.not_after) return c.problem ? "grave" : "";
  const days = daysUntil(Date.parse(c.not_after), now);
  if (days < 0) return "grave";
  if (c.problem || (c.source === "files" && days < soon)) return days < 3 ? "grave" : "warn";
  return "";
}

// backendText is how a backend fares, in a sentence without its end.
export function backendText(b, now) {
  const when = b.failed ? ` (${span(now - Date.parse(b.failed))} ago)` : "";
  const reason = b.reason || (b.up ? "up" : "down");
  return (reason.includes(b.backend) ? reason : `${b.backend}: ${reason}`) + when;
}

export class Problems {
  #parent;
  #said = null; // the titles that were there

  constructor(section) {
    this.#parent = section.querySelector(".problems");
  }

  update(feed) {
    const problems = problemsOf(feed);
    const shown = problems.length > 0 ? problems.slice(0, most) : [{ fine: true, title: "Nothing is wrong.", text: "" }];
    if (problems.length > most) shown.push({ title: `${count(problems.length - most)} more`, text: "wsfront status --json has all." });
    list(this.#parent, shown, (p) => p.title, () => make("li", {}, make("strong"), make("p"), make("a", { class: "quiet" }, "Show")), (li, p) => {
      mark(li, "class", p.fine ? "fine" : p.grave ? "grave" : "warn");
      const [title, text, link] = li.children;
      write(title, p.title);
      write(text, p.text);
      mark(text, "class", p.code ? "code" : null); // which points at a place by its columns
      mark(text, "hidden", p.text ? null : "");
      mark(link, "hidden", p.link ? null : "");
      if (p.link) mark(link, "href", "#" + p.link);
    });
    const titles = new Set(problems.filter((p) => p.grave).map((p) => p.title));
    const fresh = this.#said ? [...titles].filter((t) => !this.#said.has(t)) : [];
    if (fresh.length > 3) say(`${count(fresh.length)} things are wrong.`);
    else if (fresh.length > 0) say(fresh.join(". "));
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
