#!/usr/bin/env python3
"""crowds.py [--count N] [--peer nginx] [TEST...]: what crowds of hostile clients cost, in memory and in the time of others.

Tests: half-open (TLS handshakes that stop after the first byte), hello (that stop behind ClientHello), partial (a request's head over TLS that
stops), plain-partial (the same without TLS), body (a small upload that stops), keep-alive (idle behind one request), idle-h2 (HTTP/2 with no
stream), slow (all kinds at once, dripping; the page time of others beside that of quiet), flood (200 MB for somebody who does not read, through a
tunnel in either direction, as a download, by HTTP/2, and to a push client). Default all.

Starts /usr/local/bin/wsfront, or with --peer nginx Debian's, on CPU 0 with its limits raised to where they are not in the way, and ends it. The
figure is PSS; what the kernel holds for sockets is not in it. Needs COUNT + 200 open files."""
import argparse, asyncio, os, resource, re, selectors, socket, ssl, statistics, struct, subprocess, sys, tempfile, threading, time

tests = ["half-open", "hello", "partial", "plain-partial", "body", "keep-alive", "idle-h2", "slow", "flood"]
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("tests", nargs="*", metavar="TEST", help="one of " + ", ".join(tests))
parser.add_argument("--count", type=int, default=2000, help="connections of a crowd (default %(default)s)")
parser.add_argument("--peer", choices=["wsfront", "nginx"], default="wsfront")
parser.add_argument("--rounds", type=int, default=5, help="of quiet and slow in turn (default %(default)s)")
args = parser.parse_args()
for name in args.tests:
    if name not in tests:
        parser.error(f"no test {name}; there are {', '.join(tests)}")
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
secure, plain, origin, publish = 9710, 9711, 9712, 9713
flood = 200 << 20
work = tempfile.TemporaryDirectory()
handshake = ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


# The application: pages of 1 KiB, and a WebSocket that floods, or does not read.

class Origin(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.flooded = 0  # bytes that were taken from it

    def run(self):
        asyncio.run(self.serve())

    async def serve(self):
        server = await asyncio.start_server(self.client, "127.0.0.1", origin, backlog=4096)
        async with server:
            await server.serve_forever()

    async def client(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                target = head.split(" ", 2)[1]
                length = re.search(r"(?im)^content-length: *(\d+)", head)
                if length:
                    await reader.readexactly(int(length[1]))
                if target.startswith("/websocket"):
                    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
                    if target.endswith("deaf"):
                        await asyncio.sleep(600)
                    frame = b"\x82\x7f" + struct.pack(">Q", 65536) + bytes(65536)
                    for _ in range(flood // 65536):
                        writer.write(frame)
                        await writer.drain()
                        self.flooded += len(frame)
                    return
                if target.startswith("/flood"):
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % flood)
                    for _ in range(flood // 65536):
                        writer.write(bytes(65536))
                        await writer.drain()
                        self.flooded += 65536
                    continue
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + bytes(1024))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


# The server.

def start():
    if args.peer == "nginx":
        cert, key = f"{work.name}/cert.pem", f"{work.name}/key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=localhost",
                        "-keyout", key, "-out", cert], check=True, stderr=subprocess.DEVNULL)
        with open(f"{work.name}/nginx.conf", "w") as f:
            f.write(f"""user root; worker_processes 1; daemon off; pid {work.name}/pid; error_log {work.name}/error.log; events {{ worker_connections 20000; }}
http {{ access_log off; proxy_max_temp_file_size 0; client_body_temp_path {work.name}/b; proxy_temp_path {work.name}/p; fastcgi_temp_path {work.name}/f; uwsgi_temp_path {work.name}/u; scgi_temp_path {work.name}/s;
  server {{ listen 127.0.0.1:{plain} backlog=4096; listen 127.0.0.1:{secure} ssl http2 backlog=4096; ssl_certificate {cert}; ssl_certificate_key {key};
    location / {{ proxy_pass http://127.0.0.1:{origin}; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    location /websocket {{ proxy_pass http://127.0.0.1:{origin}; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }} }} }}""")
        command = ["nginx", "-p", work.name, "-c", f"{work.name}/nginx.conf"]
    else:
        with open(f"{work.name}/wsfront.yaml", "w") as f:
            f.write(f"""
listen: 127.0.0.1:{secure}
http_listen: 127.0.0.1:{plain}
state: {work.name}/state
access_log: off
log: {{level: error}}
limits: {{max_handshakes: {args.count + 100}}}
push: {{publish: {{listen: "127.0.0.1:{publish}"}}}}
sites:
  - hosts: [localhost]
    tls: internal
    routes:
      - {{path: /, app: "http://127.0.0.1:{origin}"}}
      - {{path: /websocket, tunnel: "ws://127.0.0.1:{origin}"}}
      - {{path: /push, push: {{channel: flood}}}}
  - hosts: [127.0.0.1]
    tls: off
    routes:
      - {{path: /, app: "http://127.0.0.1:{origin}"}}
""")
        command = ["/usr/local/bin/wsfront", "run", "--config", f"{work.name}/wsfront.yaml"]
    server = subprocess.Popen(["taskset", "-c", "0", *command], env={**os.environ, "GOMAXPROCS": "1"})
    for _ in range(100):
        try:
            page(connect(0), "localhost")
            return server
        except OSError:
            time.sleep(0.1)
    sys.exit("the server does not serve")


def memory(server):
    """PSS of the server and its children, in bytes, once it has settled."""
    def once():
        pids = [server.pid] + [int(p) for p in open(f"/proc/{server.pid}/task/{server.pid}/children").read().split()]
        return sum(int(re.search(r"^Pss:\s+(\d+)", open(f"/proc/{p}/smaps_rollup").read(), re.M)[1]) << 10 for p in pids)
    last = once()
    for _ in range(10):
        time.sleep(0.5)
        now = once()
        if abs(now - last) < 64 << 10:
            return now
        last = now
    return last


# Clients.

unverified = ssl.create_default_context()
unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
h2 = ssl.create_default_context()
h2.check_hostname, h2.verify_mode = False, ssl.CERT_NONE
h2.set_alpn_protocols(["h2"])


def raw(i, port):
    s = socket.socket()
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.bind((f"127.0.0.{2 + i % 200}", 0))
    s.connect(("127.0.0.1", port))
    return s


def connect(i, context=unverified):
    return context.wrap_socket(raw(i, secure), server_hostname="localhost")


def page(s, host):
    s.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer or len(answer.split(b"\r\n\r\n", 1)[1]) < 1024:
        piece = s.recv(65536)
        if not piece:
            raise OSError("the connection was closed")
        answer += piece
    return s


def hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    o = unverified.wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        o.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def half_open(i):
    s = raw(i, secure)
    s.sendall(b"\x16")
    return s


def hello_only(i):
    s = raw(i, secure)
    s.sendall(hello())
    return s


partial_head = b"GET /partial HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nCookie: a="


def partial(i):
    s = connect(i)
    s.sendall(partial_head)
    return s


def plain_partial(i):
    s = raw(i, plain)
    s.sendall(partial_head)
    return s


def body(i):
    s = connect(i)
    s.sendall(b"POST /form HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8192\r\n\r\n" + bytes(1024))
    return s


def keep_alive(i):
    return page(connect(i), "localhost")


def idle_h2(i):
    s = connect(i, h2)
    s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
    s.recv(4096)
    return s


crowds = {"half-open": half_open, "hello": hello_only, "partial": partial, "plain-partial": plain_partial, "body": body, "keep-alive": keep_alive, "idle-h2": idle_h2}


def crowd(server, name):
    warm = [crowds[name](i) for i in range(20)]
    for s in warm:
        s.close()
    before = memory(server)
    held = [crowds[name](i) for i in range(args.count)]
    if "idle" in name or "alive" in name:
        time.sleep(8)  # what their handshakes took is given back
    grown = memory(server) - before
    print(f"{name:14} {grown / len(held) / 1000:8.1f} kB each of {len(held)}", flush=True)
    for s in held:
        s.close()


class Slow(threading.Thread):
    """args.count clients of all kinds, each of which goes on by a byte a second."""

    def __init__(self):
        super().__init__(daemon=True)
        kinds = [half_open, partial, plain_partial, body, self.reader]
        self.clients = [kinds[i % len(kinds)](i) for i in range(args.count)]
        self.lost, self.ended = 0, threading.Event()

    @staticmethod
    def reader(i):
        s = raw(i, plain)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(b"GET /flood HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        return s

    def run(self):
        while not self.ended.wait(1):
            for i, s in enumerate(self.clients):
                try:
                    if i % 5 == 4:
                        s.recv(1)
                    elif i % 5 > 0:
                        s.sendall(b"x")
                except OSError:
                    self.lost += 1
                    s.close()
                    self.clients[i] = [half_open, partial, plain_partial, body, self.reader][i % 5](i)


def page_times(seconds):
    """Times of pages by a connection that is kept and by new ones in turn, 100 a second."""
    kept, times, began = connect(1), [], time.monotonic()
    for i in range(int(seconds * 100)):
        time.sleep(max(0, began + i / 100 - time.monotonic()))
        start = time.monotonic()
        if i % 10 == 0:
            page(connect(i), "localhost").close()
        else:
            page(kept, "localhost")
        times.append(time.monotonic() - start)
    return times


def p99(times):
    return sorted(times)[int(len(times) * 0.99)]


def slow(server):
    quiet, crowded = [], []
    for _ in range(args.rounds):
        quiet.append(p99(page_times(6)))
        them = Slow()
        them.start()
        crowded.append(p99(page_times(6)))
        them.ended.set()
        them.join()
        for s in them.clients:
            s.close()
        time.sleep(1)
    a, b = statistics.median(quiet), statistics.median(crowded)
    print(f"slow           p99 of others {a * 1000:.1f} ms quiet, {b * 1000:.1f} ms beside {args.count} slow clients: {b / a:.2f} times; "
          f"rounds {', '.join(f'{y / x:.2f}' for x, y in zip(quiet, crowded))}", flush=True)


def not_reading(server, name, begin):
    """What 200 MB for somebody who does not read costs."""
    taken, before = app.flooded, memory(server)
    s = begin()
    worst, quiet, last = 0, 0, -1
    while quiet < 4:  # until nothing moves any more
        time.sleep(0.5)
        worst = max(worst, memory(server) - before)
        quiet, last = quiet + 1 if app.flooded == last else 0, app.flooded
    print(f"flood {name:17} {worst / 1e6:6.2f} MB grown; {(app.flooded - taken) / 1e6:.1f} MB taken of 200 MB", flush=True)
    s.close()


def upgraded(target):
    s = connect(3)
    s.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{handshake}".encode())
    s.recv(1024)
    return s


def download():
    s = connect(3)
    s.sendall(b"GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return s


def download_h2():
    s = connect(3, h2)
    # SETTINGS with the largest window, WINDOW_UPDATE of the connection, GET /flood by HPACK: literal path and authority.
    settings = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00" + struct.pack(">HI", 4, 0x7fffffff)
    update = b"\x00\x00\x04\x08\x00\x00\x00\x00\x00" + struct.pack(">I", 0x7fff0000 - 65535)
    block = b"\x82\x87" + b"\x04\x06/flood" + b"\x01\x09localhost"
    s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + update + struct.pack(">I", len(block))[1:] + b"\x01\x05" + struct.pack(">I", 1) + block)
    return s


def upload():
    """A client that floods a backend which does not read."""
    s = upgraded("/websocket/deaf")
    s.settimeout(2)
    frame = b"\x82\xff" + struct.pack(">Q", 65536) + b"\x00" * 4 + bytes(65536)
    def send():
        try:
            for _ in range(flood // 65536):
                s.sendall(frame)
                app.flooded += 65536
        except OSError:
            pass
    threading.Thread(target=send, daemon=True).start()
    return s


def push(server):
    """What 200 MB published to a client that does not read costs: its queue at most, after which it is cut."""
    key = open(f"{work.name}/state/publish.key").read().strip()
    p = socket.create_connection(("127.0.0.1", publish))

    def send(count):
        for _ in range(count):
            p.sendall(f"POST /channels/flood HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Length: 65536\r\n\r\n".encode() + b"x" * 65536)
            status = p.recv(4096).split(b"\r\n", 1)[0]
            if b" 20" not in status:
                sys.exit(f"publish: {status}")

    send(flood // 65536 // 4)  # what it costs with nobody there is not the client's
    before, worst = memory(server), 0
    s = upgraded("/push")
    for _ in range(20):
        send(flood // 65536 // 20)
        worst = max(worst, memory(server) - before)
    print(f"flood push client       {worst / 1e6:6.2f} MB grown", flush=True)
    s.close()


def floods(server):
    not_reading(server, "tunnel, to client", lambda: upgraded("/websocket"))
    not_reading(server, "tunnel, to backend", upload)
    not_reading(server, "download", download)
    not_reading(server, "download by HTTP/2", download_h2)
    if args.peer == "wsfront":
        push(server)


app = Origin()
app.start()
for name in args.tests or tests:
    server = start()  # anew for each: what one crowd has left behind is not the next one's
    try:
        if name in crowds:
            crowd(server, name)
        elif name == "slow":
            slow(server)
        else:
            floods(server)
    finally:
        server.terminate()
        server.wait()
