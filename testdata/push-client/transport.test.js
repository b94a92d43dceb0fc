import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { backoffs, becomeVisible, clock, event, goOnline, setSpeed, until } from "./page.js";
import Push from "wsfront-push";
import { Board } from "./server.js";

let board, socket;
beforeEach(async () => { setSpeed(30); board = await Board.start(); });
afterEach(async () => { socket?.close(); await board.stop(); });

const kinds = () => board.requests.map(request => request.kind).join(" ");

test("first waits are spread over 0.5 to 1.5 s", async () => {
  board.down = true;
  const sockets = Array.from({ length: 40 }, () => new Push(board.url));
  await Promise.all(sockets.map(one => event(one, "error")));
  for (const one of sockets) one.close();
  const waits = backoffs().slice(0, 40);
  assert.ok(waits.every(ms => ms >= 500 && ms < 1500), `${waits}`);
  assert.ok(Math.max(...waits) - Math.min(...waits) > 500, `hardly spread: ${waits}`);
});

test("waits double, up to 30 s, and keep their jitter", async () => {
  setSpeed(1000);
  board.down = true;
  socket = new Push(board.url, { transport: "ws" });
  await until("9 tries", () => backoffs().length >= 9);
  backoffs().forEach((wait, i) => {
    const base = 1e3 * Math.min(2 ** i, 20);
    assert.ok(wait >= 0.5 * base && wait < 1.5 * base, `wait ${i}: ${wait} ms`);
  });
});

test("the waits begin anew once a connection has lived for 10 s, and not before", async () => {
  socket = new Push(board.url);
  for (let i = 0; i < 3; i++) {
    await event(socket, "open");
    for (const client of board.clients) client.cut();
    await event(socket, "error");
  }
  assert.ok(backoffs().at(-1) >= 2e3, `third wait: ${backoffs()}`);
  await event(socket, "open");
  await new Promise(resolve => setTimeout(resolve, 11e3 / clock.speed)); // the time itself is the event
  for (const client of board.clients) client.cut();
  await event(socket, "error");
  assert.ok(backoffs().at(-1) < 1.5e3, `after 10 s: ${backoffs()}`);
});

test("where WebSockets are refused twice, event streams take over, until WebSockets pass again", async () => {
  setSpeed(40);
  board.refuseUpgrade = true;
  socket = new Push(board.url);
  const got = [];
  socket.onmessage = e => got.push(e.data);
  await event(socket, "open");
  assert.equal(kinds(), "ws ws sse");
  assert.throws(() => socket.send("no"), { name: "InvalidStateError" });
  board.publish("line 1");
  await until("a message by event stream", () => got.length == 1);
  board.requests = [];
  await event(socket, "open"); // a minute later
  assert.equal(kinds(), "ws sse");
  board.refuseUpgrade = false;
  board.publish("line 2");
  board.requests = [];
  await event(socket, "open"); // two minutes later
  assert.equal(kinds(), "ws");
  board.publish("line 3");
  await until("all", () => got.length == 3);
  assert.deepEqual(got, ["line 1", "line 2", "line 3"]);
  const stays = () => clock.waits.filter(ms => ms > 40e3).map(ms => Math.round(ms / 60e3)); // minutes on a stream
  assert.deepEqual(stays(), [1, 2]);
  board.refuseUpgrade = true;
  for (const client of board.clients) client.cut();
  await event(socket, "open");
  assert.equal(board.requests.at(-1).kind, "sse");
  assert.deepEqual(stays(), [1, 2, 1]);
});

test("an event stream that is cut within its minute is followed by another one", async () => {
  board.refuseUpgrade = true;
  socket = new Push(board.url);
  await event(socket, "open");
  for (const client of board.clients) client.cut();
  await event(socket, "open");
  assert.equal(kinds(), "ws ws sse sse");
});

test("a server that is down is no network that blocks WebSockets", async () => {
  board.down = true;
  socket = new Push(board.url);
  goOnline();
  await until("7 requests", () => {
    becomeVisible(); // skips the waits
    return board.requests.length >= 7;
  });
  assert.match(kinds(), /^ws ws (ws )?sse ws ws sse/);
  board.down = false;
  await event(socket, "open");
});

test("a WebSocket that the server closed has passed the network", async () => {
  let refusals = 5;
  board.admit = () => (refusals-- > 0 ? 1013 : 0);
  socket = new Push(board.url);
  await event(socket, "open");
  assert.equal(kinds(), "ws ws ws ws ws ws");
});

for (const transport of ["ws", "sse"]) {
  test(`transport ${transport} stays with it`, async () => {
    board.down = true;
    socket = new Push(board.url, { transport });
    await until("5 requests", () => board.requests.length >= 5);
    assert.deepEqual([...new Set(board.requests.map(request => request.kind))], [transport]);
  });
}

test("an attempt that hangs is given up after 15 s", async () => {
  board.hangUpgrade = true;
  socket = new Push(board.url);
  await event(socket, "error");
  assert.ok(clock.waits.includes(15e3));
  board.hangUpgrade = false;
  await event(socket, "open");
});

test("online drops what may be dead and reconnects at once", async () => {
  setSpeed(1);
  socket = new Push(board.url);
  await event(socket, "open");
  const again = event(socket, "open");
  goOnline();
  assert.equal(socket.readyState, Push.CONNECTING);
  assert.equal((await again).resume, "resumed");
  for (const client of board.clients) client.cut();
  await event(socket, "error");
  goOnline(); // while waiting
  await event(socket, "open");
  await until("the old ones' end", () => board.clients.size == 1);
});

test("a page that becomes visible reconnects at once, and keeps a connection that stands", async () => {
  setSpeed(1);
  socket = new Push(board.url);
  await event(socket, "open");
  becomeVisible();
  assert.equal(socket.readyState, Push.OPEN);
  for (const client of board.clients) client.cut();
  await event(socket, "error");
  document.hidden = true;
  becomeVisible();
  assert.equal(board.requests.length, 1);
  document.hidden = false;
  becomeVisible();
  await event(socket, "open");
  assert.equal(board.requests.length, 2);
});

test("a restarted server is found again, and nothing is lost", async () => {
  socket = new Push(board.url);
  const got = [];
  socket.onmessage = e => got.push(e.data);
  await event(socket, "open");
  board.publish("line 1");
  await until("the first", () => got.length == 1);
  await board.stop();
  board.publish("line 2");
  await board.listen(board.port);
  await until("the second", () => got.length == 2);
  assert.deepEqual(got, ["line 1", "line 2"]);
});
