// What failed last, and what to do about it.

import { list, make, mark, write } from "./dom.js";
import { count, moment, span } from "./text.js";

const kinds = { handshake: "WebSocket handshake", request: "Request", tls: "TLS handshake" };
const places = {
  wsfront: "In wsfront", apache: "In Apache", nginx: "In nginx", haproxy: "In HAProxy", caddy: "In Caddy", traefik: "In Traefik",
  app: "In the app", page: "In the page",
};

export class Failures {
  #parent;
  #none;

  constructor(section) {
    this.#parent = section.querySelector(".failures");
    this.#none = section.querySelector(".none");
  }

  update({ status, now }) {
    const failures = status.failures ?? [];
    list(this.#parent, failures, (f) => `${f.id || f.time} ${f.client}`, create, (li, f) => update(li, f, now));
    mark(this.#none, "hidden", failures.length > 0 ? "" : null);
  }
}

function create() {
  return make("li", {},
    make("p", { class: "quiet head" }, make("time"), make("span"), make("b", { class: "times" })),
    make("p", { class: "sentence" }),
    make("p", { class: "reason" }),
    make("details", {}, make("summary", {}, "What to do"), make("dl", { class: "fixes" })));
}

function update(li, f, now) {
  const [head, sentence, reason, details] = li.children;
  const [time, what, times] = head.children;
  const then = Date.parse(f.time);
  write(time, `${span(now - then)} ago`);
  mark(time, "datetime", f.time);
  mark(time, "title", moment(then));
  const place = [f.site || f.host, f.path || f.route].filter(Boolean).join("");
  write(what, [kinds[f.kind] ?? f.kind, f.client && `from ${f.client}`, place && `to ${place}`, f.backend && `by ${f.backend}`,
    f.status && `answered ${f.status}`].filter(Boolean).join(" "));
  write(times, f.count > 1 ? `${count(f.count)} alike` : "");
  write(sentence, f.sentence || f.reason);
  write(reason, [f.sentence && f.reason, f.cause && `cause ${f.cause}`, f.id && `request ${f.id}`].filter(Boolean).join(" · "));
  mark(reason, "hidden", reason.textContent ? null : "");
  const fixes = f.fixes ?? [];
  mark(details, "hidden", fixes.length > 0 ? null : "");
  list(details.lastChild, fixes, (fix) => fix.for + fix.text, () => make("div", {}, make("dt"), make("dd")), (div, fix) => {
    write(div.firstChild, places[fix.for] ?? `For ${fix.for}`);
    write(div.lastChild, fix.text);
  });
}
