"""client.py CA: a client of https://localhost/ that holds a WebSocket open and asks
for a page again and again, each time by a new connection, until a line comes on
standard input. Prints what went wrong, how many pages it got, and the code by
which the WebSocket was closed."""

import select
import socket
import ssl
import struct
import sys
import threading

trust = ssl.create_default_context(cafile=sys.argv[1])
HEAD = "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n"
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
)


def ask(path, fields):
    conn = trust.wrap_socket(socket.create_connection(("127.0.0.1", 443), 30), server_hostname="localhost")
    conn.sendall((HEAD % (path, fields)).encode())
    return conn


def close_code(conn):
    """The code of the Close frame by which a WebSocket ends, on which nothing else was sent."""
    data = b""
    while piece := conn.recv(4096):
        data += piece
        frame = data.partition(b"\r\n\r\n")[2]
        if len(frame) >= 4 and frame[0] == 0x88:
            return struct.unpack("!H", frame[2:4])[0]
    return data


def hold():
    code.append(close_code(tunnel))


tunnel, code = ask("/websocket", UPGRADE), []
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
print(f"{pages} pages, {failures} failures, closed by {code}")
