// The page: what it is told by the feed is drawn by its parts.

import { mark, say, write } from "./dom.js";
import { Failures } from "./failures.js";
import { Feed } from "./feed.js";
import { Problems, updateHead } from "./problems.js";
import { Pulse } from "./pulse.js";
import { Sites } from "./sites.js";
import { Certificates, Limits, Push } from "./stores.js";
import { span } from "./text.js";
import { Tunnels } from "./tunnels.js";

const at = (id) => document.getElementById(id);

let lost = 0; // since when there is no connection; 0 while there is one
let due = false;

const feed = new Feed({ changed, linked, denied });
const pulse = new Pulse(document.querySelector(".pulse"));
const tunnels = new Tunnels(at("tunnels"), feed);
const parts = [
  new Problems(at("problems")), new Sites(at("sites")), new Failures(at("failures")),
  new Push(at("push")), new Certificates(at("certificates")), new Limits(at("limits")),
];

// changed draws before the next picture, and not at all while nobody sees the page;
// graphs have to know of each moment.
function changed() {
  pulse.update(feed);
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    if (!feed.status) return;
    mark(at("main"), "hidden", null);
    mark(at("login"), "hidden", "");
    updateHead(feed);
    for (const part of parts) part.update(feed);
    tunnels.update();
  });
}

function linked(stands) {
  if (stands === (lost === 0) && at("link").classList.contains("known")) return;
  if (!stands && lost === 0) say("The connection to the server is lost.");
  if (stands && lost > 0) say("The connection to the server is back.");
  lost = stands ? 0 : performance.now();
  at("link").classList.add("known");
  at("link").classList.toggle("lost", !stands);
  document.body.classList.toggle("stale", !stands);
  tellLink();
}

function tellLink() {
  if (lost === 0) write(at("link"), "live");
  else write(at("link"), `Connection lost ${span(performance.now() - lost)} ago. What is shown is old; trying again.`);
}
setInterval(() => lost > 0 && tellLink(), 1000);

// denied is no loss of the connection: it is ended until somebody logs in.
function denied() {
  lost = 0;
  at("link").classList.remove("known", "lost");
  document.body.classList.remove("stale");
  mark(at("main"), "hidden", "");
  mark(at("login"), "hidden", null);
  write(at("link"), "not logged in");
  at("token").focus();
}

at("login").addEventListener("submit", async (e) => {
  e.preventDefault();
  write(at("refused"), "");
  try {
    const answer = await fetch("login", { method: "POST", body: new URLSearchParams({ token: at("token").value }) });
    if (answer.ok) {
      at("token").value = "";
      mark(at("login"), "hidden", "");
      feed.connect();
      return;
    }
    write(at("refused"), (await answer.text()).trim() || `The server answered ${answer.status}.`);
  } catch {
    write(at("refused"), "The server cannot be reached.");
  }
});

feed.connect();
