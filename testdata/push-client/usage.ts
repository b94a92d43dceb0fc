// What the types must take, and (marked) what they must refuse.
import Push, { type Resume } from "wsfront-push";
import WebSocket from "wsfront-push/push.js";

const plain: Push = new WebSocket("/websocket");
if (plain.readyState == WebSocket.OPEN) plain.send(new Uint8Array([1]));
plain.binaryType = "arraybuffer";

const socket = new Push(new URL("https://app.example.com/websocket"), {
  from: "e.1",
  token: async () => (await fetch("/token")).text(),
  transport: "auto",
  channels: new Set(["board", "news"]),
  storage: sessionStorage,
});
socket.onopen = e => { const resume: Resume = e.resume; console.log(resume); };
socket.onmessage = function (e) { console.log(this.position, e.data, e.lastEventId); };
socket.ongap = () => location.reload();
socket.onclose = ({ code, reason, wasClean }) => console.log(code, reason, wasClean);
const opened = (e: { resume: Resume }) => console.log(e.resume);
socket.addEventListener("open", opened, { once: true });
socket.addEventListener("message", e => console.log(e.data));
socket.addEventListener("else", { handleEvent(e) { console.log(e.type); } });
socket.removeEventListener("open", opened);
socket.onerror = null;
socket.close(1000, "done");

// @ts-expect-error no such transport
new Push("/websocket", { transport: "poll" });
// @ts-expect-error the position is read only
socket.position = "e.2";
// @ts-expect-error only open tells how it resumed
socket.onmessage = e => e.resume;
