"""client.py CA: a client of https://localhost/ that holds two WebSockets open, one of
the push service and one by a tunnel to an app of its own, and asks for a page again
and again, each time by a new connection, until a line comes on standard input.
Prints what went wrong, how many pages it got, the code by which the push service
closed its WebSocket, and whether the tunnel is still open."""

import base64
import hashlib
import select
import socket
import ssl
import struct
import sys
import threading

trust = ssl.create_default_context(cafile=sys.argv[1])
TEXT = b"\x81\x01x"
HEAD = "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n"
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
)


def ask(path, fields):
    conn = trust.wrap_socket(socket.create_connection(("127.0.0.1", 443), 30), server_hostname="localhost")
    conn.sendall((HEAD % (path, fields)).encode())
    return conn


def accept(head):
    """What shows that a handshake was understood (RFC 6455 section 4.2.2)."""
    key = next(line.split(": ")[1] for line in head.decode().split("\r\n") if line.lower().startswith("sec-websocket-key:"))
    return base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


def app(listener):
    """Answers by WebSocket whatever comes with the same frame."""
    conn, _ = listener.accept()
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += conn.recv(4096)
    conn.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        + f"Sec-WebSocket-Accept: {accept(head)}\r\n\r\n".encode()
    )
    while conn.recv(4096):
        conn.sendall(TEXT)


def close_code(conn):
    """The code of the Close frame by which a WebSocket ends, on which nothing else was sent."""
    data = b""
    while piece := conn.recv(4096):
        data += piece
        frame = data.partition(b"\r\n\r\n")[2]
        if len(frame) >= 4 and frame[0] == 0x88:
            return struct.unpack("!H", frame[2:4])[0]
    return data


def answers(conn):
    """Whether the app answers by the tunnel."""
    conn.settimeout(30)
    try:
        conn.sendall(b"\x81\x81\0\0\0\0x")  # a text, masked
        return conn.recv(4096) == TEXT
    except OSError:
        return False


def hold():
    code.append(close_code(pushed))


listener = socket.create_server(("127.0.0.1", 9999))
threading.Thread(target=app, args=[listener], daemon=True).start()
tunnel = ask("/tunnel", UPGRADE)
head = b""
while not head.endswith(b"\r\n\r\n"):
    head += tunnel.recv(1)
if not head.startswith(b"HTTP/1.1 101 ") or not answers(tunnel):
    print("no tunnel:", head, flush=True)
pushed, code = ask("/websocket", UPGRADE), []
holder = threading.Thread(target=hold)
holder.start()
pages = failures = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    try:
        answer = b""
        with ask("/", "Connection: close") as page:
            while piece := page.recv(4096):
                answer += piece
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise OSError(answer[:80] or "no answer")
        pages += 1
    except OSError as err:
        failures += 1
        print("failed:", err, flush=True)
    if pages == 1:
        print("begun", flush=True)
holder.join(30)
state = "open" if answers(tunnel) else "cut"
print(f"{pages} pages, {failures} failures, closed by {code}, the tunnel is {state}")
