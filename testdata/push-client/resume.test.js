import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { becomeVisible, event, setSpeed, until } from "./page.js";
import Push from "wsfront-push";
import { Board } from "./server.js";

let board, socket;
beforeEach(async () => { setSpeed(20); board = await Board.start(); });
afterEach(async () => { socket?.close(); await board.stop(); });

// open connects and keeps what comes.
async function open(options) {
  socket = new Push(board.url, options);
  socket.got = [];
  socket.onmessage = e => socket.got.push(e.data);
  const { resume } = await event(socket, "open");
  socket.resume = resume;
  return socket;
}

const numbers = n => Array.from({ length: n }, (_, i) => `line ${i + 1}`);

// cutAtRandom publishes while the board cuts each connection at some frame, the
// first one included, until there were enough cuts. A reconnect is made at
// once, as the backoff would take most of the time.
async function cutAtRandom(transport, cuts) {
  await open({ transport });
  socket.onerror = () => setImmediate(becomeVisible);
  const resumes = new Set();
  socket.onopen = e => resumes.add(e.resume);
  board.fault = () => board.cuts < cuts && Math.random() < 0.1;
  let n = 0;
  await until(`${cuts} cuts`, () => {
    for (let i = 0; i < 3; i++) board.publish(`line ${++n}`);
    return board.cuts == cuts;
  });
  board.publish(`line ${++n}`);
  await until("the last message", () => socket.got.at(-1) == `line ${n}`);
  assert.deepEqual(socket.got, numbers(n));
  assert.deepEqual([...resumes], ["resumed"]);
  assert.equal(socket.position, board.token(n));
}

test("200 cuts at random: every message once, in order", () => cutAtRandom("ws", 200));
test("50 cuts at random of event streams: every message once, in order", () => cutAtRandom("sse", 50));

test("a message comes as from a WebSocket, with its position", async () => {
  await open();
  assert.equal(socket.resume, "new");
  assert.equal(socket.position, "e1.0");
  const message = event(socket, "message");
  board.publish("two\nlines: e1.9 gap");
  const { data, lastEventId, origin } = await message;
  assert.equal(data, "two\nlines: e1.9 gap");
  assert.equal(lastEventId, "e1.1");
  assert.equal(origin, new URL(board.url).origin);
  assert.equal(socket.position, "e1.1");
});

test("an empty message is a message", async () => {
  await open();
  board.publish("");
  await until("a message", () => socket.got.length);
  assert.deepEqual(socket.got, [""]);
});

for (const transport of ["ws", "sse"]) {
  test(`${transport}: a gap is told after open, and the stream goes on from there`, async () => {
    await open({ transport });
    board.publish("line 1");
    await until("the first", () => socket.got.length == 1);
    const order = [];
    for (const type of ["open", "gap", "message"]) socket.addEventListener(type, e => order.push(e.resume ?? e.data ?? type));
    board.epoch = "e2"; // the store was wiped
    board.head = 0;
    board.kept = [];
    for (const client of board.clients) client.cut();
    await event(socket, "gap");
    assert.equal(socket.position, "e2.0");
    board.publish("after");
    await until("what follows", () => socket.got.length == 2);
    assert.deepEqual(order, ["gap", "gap", "after"]);
  });

  test(`${transport}: a gap in the middle of a stream is told once`, async () => {
    await open({ transport });
    const order = [];
    for (const type of ["open", "gap", "message"]) socket.addEventListener(type, e => order.push(e.data ?? type));
    board.publish("line 1");
    board.head = 7;
    for (const client of board.clients) client.status("gap");
    board.publish("line 8");
    await until("all", () => order.length == 3);
    assert.deepEqual(order, ["line 1", "gap", "line 8"]);
    assert.equal(socket.position, "e1.8");
  });

  test(`${transport}: what the page has had is dropped`, async () => {
    await open({ transport });
    board.publish("line 1");
    board.publish("line 2");
    for (const client of board.clients) for (const seq of [1, 2]) client.send(seq, "again");
    board.publish("line 3");
    await until("all", () => socket.got.includes("line 3"));
    assert.deepEqual(socket.got, ["line 1", "line 2", "line 3"]);
  });
}

test("a message of another store is not taken for one the page has had", async () => {
  board.head = 9;
  await open();
  board.epoch = "e2";
  for (const client of board.clients) client.send(1, "other");
  await until("it", () => socket.got.length == 1);
  assert.equal(socket.position, "e2.1");
});

test("sequence numbers are compared as numbers", async () => {
  board.head = 9;
  await open();
  board.publish("ten");
  await until("it", () => socket.got.length == 1);
});

test("binary messages come as binaryType says, in order with texts", async () => {
  await open();
  board.publish("text");
  board.publish(Buffer.from([10, 0, 255, 10]));
  await until("a blob", () => socket.got.length == 2);
  assert.ok(socket.got[1] instanceof Blob);
  assert.deepEqual([...new Uint8Array(await socket.got[1].arrayBuffer())], [10, 0, 255, 10]);
  socket.binaryType = "arraybuffer";
  board.publish(Buffer.from([7]));
  await until("a buffer", () => socket.got.length == 3);
  assert.deepEqual(new Uint8Array(socket.got[2]), new Uint8Array([7]));
});

test("the page may bring its position, as an option or in the URL", async () => {
  for (const line of numbers(5)) board.publish(line);
  await open({ from: "e1.3" });
  await until("what it missed", () => socket.got.length == 2);
  assert.deepEqual(socket.got, ["line 4", "line 5"]);
  socket.close();
  const url = board.url;
  board.url += "?from=e1.4&last=20";
  await open();
  await until("what it missed", () => socket.got.length == 1);
  for (const client of board.clients) client.cut();
  await event(socket, "open");
  board.url = url;
  assert.equal(board.requests.at(-1).url.search, "?from=e1.5&last=20");
  assert.deepEqual(socket.got, ["line 5"]);
});

test("storage keeps the position from one page to the next, for each URL", async () => {
  const items = new Map();
  const storage = { getItem: key => items.get(key) ?? null, setItem: (key, value) => items.set(key, value) };
  await open({ storage });
  board.publish("line 1");
  await until("the first", () => socket.got.length == 1);
  socket.close();
  await event(socket, "close");
  board.publish("line 2");
  await open({ storage });
  assert.equal(socket.resume, "resumed");
  await until("the second", () => socket.got.length == 1);
  assert.deepEqual(socket.got, ["line 2"]);
  socket.close();
  await open({ storage, channels: ["other"] });
  assert.equal(socket.resume, "new");
  socket.close();
  await open({ storage: { getItem: () => null, setItem: () => { throw new Error("full"); } } });
  board.publish("line 3");
  await until("a message in spite of a full storage", () => socket.got.length == 1);
});

test("a handler that throws stops nothing", async () => {
  await open();
  const thrown = new Promise(resolve => process.prependOnceListener("uncaughtException", resolve));
  const others = process.listeners("uncaughtException").slice(1);
  for (const listener of others) process.removeListener("uncaughtException", listener);
  socket.addEventListener("message", () => { throw new Error("the page's own"); }, { once: true });
  board.publish("line 1");
  await thrown;
  for (const listener of others) process.addListener("uncaughtException", listener);
  board.publish("line 2");
  await until("both", () => socket.got.length == 2);
});
