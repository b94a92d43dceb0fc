// The sites with their routes.

import { list, make, mark, row, write, writeFigure } from "./dom.js";
import { backendText } from "./problems.js";
import { count, plural } from "./text.js";

const tls = { auto: "certificate from a CA", internal: "certificate of the internal CA", files: "certificate from files", off: "without TLS" };

const headings = [["Route"], ["Leads to"], ["Health"], ["Tunnels", "number"], ["Requests", "number"], ["Failed", "number"]];

export class Sites {
  #table;
  #bodies = []; // one for each site, in their order

  constructor(section) {
    this.#table = section.querySelector("table");
    mark(this.#table, "role", "table");
  }

  update({ status, now }) {
    const sites = status.sites ?? [];
    sites.forEach((site, i) => this.#draw(site, i, now));
    for (const body of this.#bodies.splice(sites.length)) body.remove();
  }

  #draw(site, i, now) {
    if (!this.#bodies[i]) this.#table.append((this.#bodies[i] = make("tbody", { role: "rowgroup" })));
    const rows = [{ key: "site", site }, ...(site.routes ?? []).map((route, i) => ({ key: `${i} ${route.route}`, route }))];
    list(this.#bodies[i], rows, (r) => r.key, (r) => (r.site ? siteRow() : routeRow()), (tr, r) => (r.site ? updateSite(tr, r.site) : updateRoute(tr, r.route, now)));
  }
}

function siteRow() {
  return make("tr", { class: "group", role: "row" }, make("th", { scope: "rowgroup", colspan: headings.length, role: "rowheader" }, make("b"), make("span", { class: "quiet" })));
}

function updateSite(tr, site) {
  const [name, more] = tr.firstChild.children;
  write(name, site.name);
  const others = (site.hosts ?? []).filter((h) => h !== site.name);
  const hosts = others.length > 3 ? `${others.slice(0, 3).join(", ")} and ${count(others.length - 3)} more` : others.join(", ");
  write(more, [hosts && `also ${hosts}`, tls[site.tls] ?? site.tls].filter(Boolean).join(" · "));
}

function routeRow() {
  const tr = row(headings);
  const [, to, health] = tr.cells;
  tr.cells[0].append(make("code"), make("span", { class: "quiet" }));
  to.append(make("code"), make("ul", { class: "backends" }));
  health.append(make("span"));
  return tr;
}

function updateRoute(tr, route, now) {
  const [name, to, health, tunnels, requests, failed] = tr.cells;
  const [path, kind] = name.children;
  write(path, route.route);
  write(kind, route.kind);
  const backends = route.backends ?? [];
  const single = backends.length === 1 && backends[0].backend === route.to;
  write(to.firstChild, route.to || (backends.length > 0 ? plural(backends.length, "backend") : "itself"));
  // One that is up, and the only one, is in the line above.
  const told = single && backends[0].up && !backends[0].reason ? [] : backends;
  list(to.lastChild, told, (b) => b.backend, () => make("li"), (li, b) => {
    mark(li, "class", b.up ? "fine" : "grave");
    const more = [b.backup && "backup", b.open > 0 && `${count(b.open)} open`].filter(Boolean).join(", ");
    write(li, backendText(b, now) + (more ? ` (${more})` : ""));
  });
  const state = route.health || "up";
  write(health.firstChild, state);
  mark(health.firstChild, "class", `mark ${state === "up" ? "fine" : state === "degraded" ? "warn" : "grave"}`);
  writeFigure(tunnels.firstChild, route.tunnels, route.tunnels ? count(route.tunnels) : "–");
  writeFigure(requests.firstChild, route.requests, count(route.requests));
  writeFigure(failed.firstChild, route.failed, route.failed ? count(route.failed) : "–");
  mark(failed, "class", route.failed ? "number some" : "number");
}
