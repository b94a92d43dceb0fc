import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { clock, event, goOnline, listeners, setSpeed, until } from "./page.js";
import Push from "wsfront-push";
import { Board } from "./server.js";

let board, socket;
beforeEach(async () => { setSpeed(50); board = await Board.start(); });
afterEach(async () => { delete globalThis.location; socket?.close(); await board.stop(); });

test("has WebSocket's constants, properties and handlers", async () => {
  for (const [name, value] of Object.entries({ CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 })) {
    assert.equal(Push[name], value);
    assert.equal(Push.prototype[name], value);
  }
  socket = new Push(board.url);
  assert.equal(socket.url, board.url);
  assert.equal(socket.onmessage, null);
  assert.equal(socket.bufferedAmount, 0);
  assert.equal(socket.protocol, "");
  assert.equal(socket.binaryType, "blob");
  assert.equal(socket.readyState, Push.CONNECTING);
  const opened = new Promise(resolve => { socket.onopen = function () { resolve(this); }; });
  assert.equal(await opened, socket);
  assert.equal(socket.readyState, Push.OPEN);
});

test("send reaches the server, and throws while nothing is open", async () => {
  socket = new Push(board.url);
  assert.throws(() => socket.send("early"), { name: "InvalidStateError" });
  await event(socket, "open");
  socket.send("hello");
  assert.equal((await event(socket, "message")).data, "hello");
  socket.close();
  assert.throws(() => socket.send("late"), { name: "InvalidStateError" });
});

test("URLs may be relative, http or ws, and an https page's own host is asked by wss", () => {
  globalThis.location = new URL("http://app.example.com:8080/page?x=1#y");
  const url = (...args) => {
    const one = new Push(...args);
    one.close();
    return one.url;
  };
  assert.equal(url("/websocket"), "ws://app.example.com:8080/websocket");
  assert.equal(url("http://127.0.0.1/a#fragment"), "ws://127.0.0.1/a");
  assert.equal(url("https://127.0.0.1/a"), "wss://127.0.0.1/a");
  assert.equal(url("/a?b=c", { channels: ["x", "y&z"] }), "ws://app.example.com:8080/a?b=c&channel=x&channel=y%26z");
  globalThis.location = new URL("https://app.example.com/page");
  assert.equal(url("/websocket"), "wss://app.example.com/websocket");
  assert.equal(url("ws://app.example.com/websocket"), "wss://app.example.com/websocket");
  assert.equal(url("ws://127.0.0.1/websocket"), "ws://127.0.0.1/websocket");
  assert.throws(() => new Push("ftp://app.example.com/"), /ftp:.*write a ws:/);
});

test("parameters of the page and channels stay through reconnects", async () => {
  board.url += "?room=1%202&room=3";
  socket = new Push(board.url, { channels: ["a", "b"], token: "secret" });
  await event(socket, "open");
  for (const client of board.clients) client.cut();
  await event(socket, "open");
  const { searchParams } = board.requests[1].url;
  assert.deepEqual([...searchParams], [
    ["room", "1 2"], ["room", "3"], ["channel", "a"], ["channel", "b"], ["from", "e1.0"], ["token", "secret"],
  ]);
  assert.ok(!socket.url.includes("secret"));
});

for (const code of [4401, 4403]) {
  test(`${code} ends it where no fresh token can be had`, async () => {
    board.admit = () => code;
    socket = new Push(board.url, { token: "stale" });
    socket.onerror = () => assert.fail("error in front of the end");
    const closed = await event(socket, "close");
    assert.equal(closed.code, code);
    assert.equal(closed.reason, "token");
    assert.equal(closed.wasClean, true);
    assert.equal(socket.readyState, Push.CLOSED);
    assert.equal(listeners(), 0);
    assert.equal(board.requests.length, 1);
  });

  test(`after ${code} a function is asked for a fresh token`, async () => {
    let fresh = 1;
    board.admit = token => (token == `t${fresh}` ? 0 : code);
    let asked = 0;
    socket = new Push(board.url, { token: async () => `t${asked++}` });
    await event(socket, "open");
    fresh = 2;
    for (const client of board.clients) client.end(code);
    await event(socket, "open");
    assert.deepEqual(board.requests.map(request => request.url.searchParams.get("token")), ["t0", "t1", "t2"]);
  });
}

test("1001, 1012, 1013 and other codes lead to another connection", async () => {
  socket = new Push(board.url);
  for (const code of [1000, 1001, 1011, 1012, 1013, 4000]) {
    await event(socket, "open");
    for (const client of board.clients) client.end(code);
    await event(socket, "error");
  }
  await event(socket, "open");
});

test("without a token there is no request but another try", async () => {
  let failures = 3;
  socket = new Push(board.url, { token: async () => { if (failures-- > 0) throw new Error("no network"); return "t"; } });
  await event(socket, "open");
  assert.deepEqual(board.requests.map(request => request.kind), ["ws"]);
});

// ended closes and wants one close event, nothing after it, and nothing left.
async function ended(want, ...args) {
  const events = [], { position } = socket;
  for (const type of ["open", "message", "gap", "error", "close"]) socket.addEventListener(type, () => events.push(type));
  const closed = event(socket, "close");
  clock.waits = [];
  socket.close(...args);
  assert.equal(socket.readyState, Push.CLOSING);
  goOnline();
  board.publish("late");
  for (const client of board.clients) client.status("gap");
  const { code, reason, wasClean } = await closed;
  assert.deepEqual({ code, reason, wasClean }, { reason: "", ...want });
  assert.equal(socket.readyState, Push.CLOSED);
  const requests = board.requests.length;
  assert.equal(listeners(), 0);
  socket.close();
  await until("the connection's end", () => board.clients.size == 0);
  assert.deepEqual(events, ["close"]);
  assert.equal(socket.position, position); // or what came late would be missed by the next page
  assert.equal(board.requests.length, requests);
  assert.deepEqual(clock.waits.filter(ms => ms != null), []);
}

test("close ends an open WebSocket, with code and reason", async () => {
  socket = new Push(board.url);
  await event(socket, "open");
  assert.throws(() => socket.close(1), "a code that pages may not use");
  assert.equal(socket.readyState, Push.OPEN);
  await ended({ code: 4000, reason: "done", wasClean: true }, 4000, "done");
});

test("close without a code gives 1005", async () => {
  socket = new Push(board.url);
  await event(socket, "open");
  await ended({ code: 1005, wasClean: true });
});

test("close ends an open event stream", async () => {
  socket = new Push(board.url, { transport: "sse" });
  await event(socket, "open");
  await ended({ code: 1005, wasClean: true });
});

test("close ends an attempt", async () => {
  board.hangUpgrade = true;
  socket = new Push(board.url);
  await until("the request", () => board.requests.length == 1);
  await ended({ code: 1006, wasClean: false });
});

test("close ends a wait", async () => {
  board.down = true;
  socket = new Push(board.url);
  await event(socket, "error");
  await ended({ code: 1006, wasClean: false });
});

test("close ends it while a token is fetched", async () => {
  let give;
  socket = new Push(board.url, { token: () => new Promise(resolve => { give = resolve; }) });
  const closing = ended({ code: 1006, wasClean: false });
  give("t");
  await closing;
  assert.equal(board.requests.length, 0);
});

test("close in a handler is obeyed", async () => {
  socket = new Push(board.url, { from: "old.1" });
  socket.ongap = () => assert.fail("gap after close");
  socket.onopen = () => socket.close();
  await event(socket, "close");
  socket = new Push(board.url);
  await event(socket, "open");
  socket.onerror = () => socket.close();
  for (const client of board.clients) client.cut();
  await event(socket, "close");
  socket = new Push(board.url);
  await event(socket, "open");
  socket.onerror = () => socket.close();
  goOnline();
  await event(socket, "close");
  socket = new Push(board.url);
  await event(socket, "open");
  assert.equal(board.requests.length, 4); // the last one's, and none by the closed one before it
});
