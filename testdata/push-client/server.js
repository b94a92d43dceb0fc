// A small real server of the protocol, with faults on order.
import http from "node:http";
import { WebSocketServer } from "ws";

export class Board {
  epoch = "e1";
  head = 0;
  kept = []; // { seq, data }
  requests = []; // { kind: "ws" | "sse", url }
  clients = new Set(); // { send(seq, data), status(word), cut(), end() }
  refuseUpgrade = false; // what a network does that blocks WebSockets
  hangUpgrade = false;
  down = false; // answers 503 to everything
  admit = () => 0; // token -> close code, or 0
  fault = () => false; // asked before each frame: cut here?
  files = {}; // path -> [content type, body], for browsers
  cuts = 0;

  static async start() {
    const board = new Board();
    await board.listen(0);
    return board;
  }

  async listen(port) {
    this.server = http.createServer((request, response) => this.#answer(request, response));
    this.sockets = new WebSocketServer({ noServer: true, handleProtocols: asked => asked.has("resume.v1") && "resume.v1" });
    this.server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    await new Promise(resolve => this.server.listen(port, "127.0.0.1", resolve));
    this.port = this.server.address().port;
    this.url = `ws://127.0.0.1:${this.port}/websocket`;
  }

  stop() {
    const closed = new Promise(resolve => this.server.close(resolve));
    this.server.closeAllConnections();
    for (const client of this.clients) client.cut();
    this.hung?.destroy();
    return closed;
  }

  publish(data) {
    const message = { seq: ++this.head, data };
    this.kept.push(message);
    for (const client of this.clients) client.send(message.seq, data);
  }

  token(seq) { return `${this.epoch}.${seq}`; }

  #note(kind, request) {
    const url = new URL(request.url, this.url);
    this.requests.push({ kind, url, request });
    return url;
  }

  #upgrade(request, socket, head) {
    const url = this.#note("ws", request);
    socket.on("error", () => {}); // a client that has gone
    if (this.hangUpgrade) {
      this.hung = socket;
      return;
    }
    if (this.down || this.refuseUpgrade) {
      socket.end(`HTTP/1.1 ${this.down ? 503 : 403} No\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    this.sockets.handleUpgrade(request, socket, head, ws => {
      const code = this.admit(url.searchParams.get("token"));
      if (code) return ws.close(code, "token");
      ws.on("message", (data, binary) => ws.send(`${this.token(++this.head)}\n` + data, { binary })); // an echo
      ws.on("error", () => {});
      const client = {
        ws,
        write: text => this.#faulty(client) || ws.send(text),
        status: word => client.write(`${this.token(this.position(client))} ${word}`),
        send: (seq, data) => {
          if (typeof data == "string") client.write(`${this.token(seq)}\n${data}`);
          else client.write(Buffer.concat([Buffer.from(`${this.token(seq)}\n`), data]));
        },
        cut: () => socket.destroy(),
        end: code => ws.close(code),
      };
      ws.on("close", () => this.clients.delete(client));
      this.#serve(client, url.searchParams.get("from"));
    });
  }

  #stream(request, response) {
    const url = this.#note("sse", request);
    if (this.down) {
      response.writeHead(503).end();
      return;
    }
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    const client = {
      write: text => this.#faulty(client) || response.write(text),
      event: (type, data) => client.write(`event: ${type}\nid: ${this.token(this.position(client))}\ndata: ${data}\n\n`),
      status: word => client.event(client.opened ? word : "status", word),
      send: (seq, data) => client.write(`id: ${this.token(seq)}\n${data.split("\n").map(line => `data: ${line}\n`).join("")}\n`),
      cut: () => request.socket.destroy(),
      end: () => response.end(),
    };
    response.on("close", () => this.clients.delete(client));
    this.#serve(client, url.searchParams.get("from"));
  }

  #faulty(client) {
    if (!this.fault()) return false;
    this.cuts++;
    this.clients.delete(client);
    client.cut();
    return true;
  }

  position(client) { return client.from ?? this.head; }

  async #answer(request, response) {
    const file = this.files[request.url];
    if (request.method == "POST") {
      this.publish(Buffer.concat(await request.toArray()).toString());
      response.end(this.token(this.head));
    } else if (file) {
      response.writeHead(200, { "Content-Type": file[0] }).end(file[1]);
    } else if (request.headers.accept?.includes("text/event-stream")) {
      this.#stream(request, response);
    } else {
      response.writeHead(404).end();
    }
  }

  // #serve follows the rule of the protocol: a complete replay, or a gap and what
  // comes from now on.
  #serve(client, from) {
    this.clients.add(client);
    let word = "new", rest = [];
    if (from) {
      const [epoch, seq] = from.split("."), oldest = this.kept[0]?.seq ?? this.head + 1;
      const complete = epoch == this.epoch && +seq <= this.head && oldest <= +seq + 1;
      word = complete ? "resumed" : "gap";
      if (complete) {
        client.from = +seq;
        rest = this.kept.filter(message => message.seq > +seq);
      }
    }
    client.status(word);
    client.opened = true;
    client.from = undefined;
    for (const message of rest) if (this.clients.has(client)) client.send(message.seq, message.data);
  }
}
