// Publishes to a running server and checks that clients behind a bad network see
// every message once, in order. Whoever runs this may stop, kill and start the
// server meanwhile, as often as its history lasts.
//
//   PUSH_URL     where clients connect: ws://127.0.0.1:8080/websocket
//   PUBLISH_URL  where the same channel is published to: http://127.0.0.1:8081/channels/board
//   PUBLISH_KEY  its key
//   MESSAGES     how many; default 1000
//   CUTS         how many connections to cut at least; default 50
//
// Ends with 0 and a line of figures, or with 1 and what was wrong.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import net from "node:net";
import { becomeVisible, event, until } from "./page.js";
import Push from "wsfront-push";

const { PUSH_URL, PUBLISH_URL, PUBLISH_KEY, MESSAGES = "1000", CUTS = "50" } = process.env;
if (!PUSH_URL || !PUBLISH_URL || !PUBLISH_KEY) throw new Error("set PUSH_URL, PUBLISH_URL and PUBLISH_KEY; this file's head tells how");
const target = new URL(PUSH_URL);
const port = target.port || (/s:$/.test(target.protocol) ? 443 : 80);
const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

// The network: all connections go through it, and it cuts one now and then, a
// random number of bytes after its beginning.
let cuts = 0;
const links = new Set();
const network = net.createServer(client => {
  const server = net.connect(port, target.hostname);
  const end = () => { links.delete(end); client.destroy(); server.destroy(); };
  let left = 200 + Math.random() * 4000;
  server.on("data", data => {
    if ((left -= data.length) < 0 && cuts < CUTS) {
      cuts++;
      end();
    } else client.write(data);
  });
  client.on("data", data => server.write(data));
  for (const socket of [client, server]) socket.on("error", end).on("close", end);
  links.add(end);
});
await new Promise(resolve => network.listen(0, "127.0.0.1", resolve));

const url = new URL(PUSH_URL);
url.port = network.address().port;
const clients = ["auto", "ws", "ws", "sse"].map(transport => {
  const client = new Push(url, { transport });
  Object.assign(client, { transport, got: [], opens: {}, gaps: 0 });
  client.onopen = e => { client.opens[e.resume] = 1 + (client.opens[e.resume] ?? 0); };
  client.onmessage = e => client.got.push(e.data);
  client.ongap = () => client.gaps++;
  // The waits of the backoff would take most of the time; a little remains, so
  // that a server that is down is not asked all the time.
  client.onerror = () => setTimeout(becomeVisible, 20 * Math.random());
  return client;
});

async function publish(text) {
  const id = randomUUID();
  for (;;) {
    try {
      const answer = await fetch(PUBLISH_URL, {
        method: "POST",
        headers: { Authorization: `Bearer ${PUBLISH_KEY}`, "Content-Type": "text/plain; charset=utf-8", "Idempotency-Key": id },
        body: text,
      });
      if (answer.ok) return;
      if (answer.status < 500 && answer.status != 429) throw Object.assign(new Error(`publish: ${answer.status} ${await answer.text()}`), { final: true });
    } catch (e) {
      if (e.final) throw e;
    }
    await pause(50);
  }
}

await Promise.all(clients.map(client => client.readyState == Push.OPEN || event(client, "open")));
const want = [];
const run = randomUUID().slice(0, 8);
while (want.length < MESSAGES || cuts < CUTS) {
  const text = `${run} ${want.length}`;
  await publish(text);
  want.push(text);
}
try {
  await until("the last message, at every client", () => clients.every(client => client.got.at(-1) == want.at(-1)));
} finally {
  for (const client of clients) {
    const missing = want.filter(text => !client.got.includes(text)).length;
    console.log(`${client.transport}: ${client.got.length} of ${want.length} messages, ${missing} missing, ${client.gaps} gaps, opened ${JSON.stringify(client.opens)}`);
    client.close();
  }
  network.close();
  for (const end of links) end();
}
for (const client of clients) {
  assert.deepEqual(client.got, want, `${client.transport}: not every message once, in order`);
  assert.equal(client.gaps, 0);
}
console.log(`messages=${want.length} clients=${clients.length} cuts=${cuts} lost=0 twice=0 disordered=0 gaps=0`);
