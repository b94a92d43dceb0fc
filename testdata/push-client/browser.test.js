import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { until } from "./page.js";
import { Board } from "./server.js";

const chromium = process.env.CHROMIUM ?? "chromium";
const skip = spawnSync(chromium, ["--version"]).error && `no ${chromium} here; name one in CHROMIUM`;
const app = fileURLToPath(new URL("../legacy-app", import.meta.url));
let home, child, debug;

before(async () => {
  if (skip) return;
  home = await mkdtemp(path.join(tmpdir(), "push-client-"));
  child = spawn(chromium, ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-proxy-server", "--remote-debugging-port=0",
    `--user-data-dir=${home}/profile`, "about:blank"], { env: { ...process.env, HOME: home }, stdio: ["ignore", "ignore", "pipe"] });
  for await (const line of createInterface(child.stderr)) {
    const [, host] = /^DevTools listening on ws:\/\/([^/]+)/.exec(line) ?? [];
    if (host) { debug = host; break; }
  }
  child.stderr.resume();
});

after(async () => {
  if (skip) return;
  const gone = new Promise(resolve => child.on("exit", resolve));
  child.kill();
  await gone;
  await rm(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

// openPage opens the board's page in a tab; evaluate runs an expression in it.
async function openPage(board) {
  const { webSocketDebuggerUrl } = await (await fetch(`http://${debug}/json/new?http://127.0.0.1:${board.port}/page`, { method: "PUT" })).json();
  const tab = new WebSocket(webSocketDebuggerUrl);
  await new Promise(resolve => tab.on("open", resolve));
  const waiting = new Map();
  tab.on("message", data => {
    const { id, result } = JSON.parse(data);
    waiting.get(id)?.(result);
  });
  let id = 0;
  const call = (method, params) => new Promise(resolve => {
    waiting.set(++id, resolve);
    tab.send(JSON.stringify({ id, method, params }));
  });
  return {
    call,
    evaluate: async expression => (await call("Runtime.evaluate", { expression, returnByValue: true })).result.value,
    close: async () => { await call("Page.close"); tab.close(); },
  };
}

async function newBoard() {
  const board = await Board.start();
  const founding = await readFile(path.join(app, "templates/wstest.html"), "utf8");
  const line = '<script type="module">import WebSocket from "/websocket/push.js";';
  assert.equal(founding.split("<script>").length, 2);
  board.files = {
    "/page": ["text/html; charset=utf-8", founding.replace("<script>", line)],
    "/websocket/push.js": ["text/javascript; charset=utf-8", await readFile(new URL(import.meta.resolve("wsfront-push")))],
    "/static/js/jquery.min.js": ["text/javascript", await readFile(path.join(app, "static/js/jquery.min.js"))],
  };
  return board;
}

const lines = page => page.evaluate('[...document.querySelectorAll("#board p")].map(p => p.textContent).reverse()');

test("the founding page with one line changed resumes, in Chromium", { skip }, async () => {
  const board = await newBoard(), page = await openPage(board), want = [];
  const publish = () => { want.push(`line ${want.length + 1}`); board.publish(want.at(-1)); };
  const all = () => until("all lines", async () => (await lines(page))?.length >= want.length);
  await until("a client", () => board.clients.size == 1);
  for (let cut = 0; cut < 2; cut++) {
    for (let i = 0; i < 20; i++) publish();
    for (const client of board.clients) client.cut();
    publish();
    await all();
  }
  await page.call("Network.enable");
  await page.call("Network.emulateNetworkConditions", { offline: true, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  for (const client of board.clients) client.cut();
  publish();
  await page.call("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  await all();
  await board.stop();
  publish();
  await board.listen(board.port);
  await all();
  assert.deepEqual(await lines(page), want);
  assert.ok(board.requests.filter(request => request.kind == "ws").length >= 5);
  await page.close();
  await board.stop();
});

test("where WebSockets are blocked the same page fills by event stream, in Chromium", { skip }, async () => {
  const board = await newBoard(), want = ["a\nb", "b", ""].map((text, i) => `${i} ${text}`);
  board.refuseUpgrade = true;
  const page = await openPage(board);
  await until("a client", () => board.clients.size == 1);
  board.publish(want[0]);
  await until("the first", async () => (await lines(page)).length == 1);
  for (const client of board.clients) client.cut();
  board.publish(want[1]);
  board.publish(want[2]);
  await until("all", async () => (await lines(page)).length == 3);
  assert.match(board.requests.map(request => request.kind).join(" "), /^ws ws sse( sse)+$/);
  assert.equal(new Set(board.requests.filter(({ kind }) => kind == "sse").map(({ url }) => url.searchParams.get("from"))).has("e1.1"), true);
  await page.close();
  await board.stop();
});
