import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Board } from "./server.js";

const run = (board, env) => promisify(execFile)(process.execPath, ["live.js"], {
  cwd: fileURLToPath(new URL(".", import.meta.url)),
  env: { ...process.env, PUSH_URL: board.url, PUBLISH_URL: `http://127.0.0.1:${board.port}/channels/board`, PUBLISH_KEY: "key", ...env },
});

test("live.js passes with a server that keeps its promise", async () => {
  const board = await Board.start();
  const { stdout } = await run(board, { MESSAGES: "300", CUTS: "30" });
  assert.match(stdout, /messages=\d{3,} clients=4 cuts=3\d lost=0/);
  await board.stop();
});

test("live.js fails with one that loses a message", async () => {
  const board = await Board.start();
  const publish = board.publish;
  board.publish = function (text) {
    if (board.head == 50) board.head++;
    else publish.call(board, text);
  };
  await assert.rejects(run(board, { MESSAGES: "100", CUTS: "0" }), e => /99 of 100 messages, 1 missing/.test(e.stdout));
  await board.stop();
});
