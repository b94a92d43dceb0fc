// What a page has and Node has not, and a clock that can run fast. Import this
// before push.js.
import { EventSource } from "eventsource";
import { getEventListeners, setMaxListeners } from "node:events";
import { WebSocket } from "ws";

const windowEvents = new EventTarget();
Object.assign(globalThis, {
  WebSocket,
  EventSource,
  addEventListener: windowEvents.addEventListener.bind(windowEvents),
  document: Object.assign(new EventTarget(), { hidden: false }),
});

setMaxListeners(0, windowEvents, document);

export const goOnline = () => windowEvents.dispatchEvent(new Event("online"));
export const becomeVisible = () => document.dispatchEvent(new Event("visibilitychange"));

// listeners counts what waits for the page's events.
export const listeners = () => getEventListeners(windowEvents, "online").length + getEventListeners(document, "visibilitychange").length;

// clock is push.js's own: it runs clock.speed times as fast, and tells what
// push.js waited for; the libraries below it keep the real one.
export const clock = { speed: 1, waits: [] };
const realTimeout = globalThis.setTimeout, start = Date.now(), realNow = Date.now;
let now = start, read = start;

function advance() {
  const real = realNow();
  now += (real - read) * clock.speed;
  read = real;
  return now;
}

const fromPush = () => /\/push\.js/.test(new Error().stack.split("\n")[3]);

globalThis.setTimeout = (f, ms, ...args) => {
  if (!fromPush()) return realTimeout(f, ms, ...args);
  clock.waits.push(ms);
  return realTimeout(f, ms / clock.speed, ...args);
};
Date.now = () => (fromPush() ? advance() : realNow());

export function setSpeed(speed) {
  advance();
  clock.speed = speed;
  clock.waits = [];
}

// backoffs are the waits between attempts: the jitter makes them odd numbers.
export const backoffs = () => clock.waits.filter(ms => ms != null && ms != 15e3);

// event waits for the next event of a type.
export const event = (target, type) => new Promise(resolve => target.addEventListener(type, resolve, { once: true }));

// until waits for something that no event tells.
export async function until(what, holds) {
  for (const end = realNow() + 20e3; !(await holds());) {
    if (realNow() > end) throw new Error("did not happen: " + what);
    await new Promise(resolve => realTimeout(resolve, 2));
  }
}
