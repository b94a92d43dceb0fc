#!/usr/bin/env python3
"""idle.py COUNT [tls]: memory of wsfront (PSS) per idle WebSocket subscriber, plain or over its own TLS 1.3.

Starts /usr/local/bin/wsfront on CPU 0 and ends it. Needs COUNT + 100 open files."""
import re, resource, socket, ssl, subprocess, sys, tempfile, time

count, tls = int(sys.argv[1]), len(sys.argv) > 2
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
port, publish = 9700, 9701
state = tempfile.TemporaryDirectory()
common = ["--channel", "bench", "--publish-listen", f"127.0.0.1:{publish}", "--publish-key", "bench", "--state", state.name, "--log-level", "warn"]
if tls:
    command = ["run", "--listen", f"127.0.0.1:{port}", "--http-listen", "off", "--tls", "internal", "--host", "localhost", "--push", "/websocket",
               "--access-log", "off"]
else:
    command = ["push", "--listen", f"127.0.0.1:{port}", "--path", "/websocket"]
server = subprocess.Popen(["taskset", "-c", "0", "/usr/local/bin/wsfront", *command, *common])
unverified = ssl.create_default_context()
unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE


def connect(i):
    s = socket.create_connection(("127.0.0.1", port), source_address=(f"127.0.0.{2 + i % 200}", 0))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls:
        s = unverified.wrap_socket(s, server_hostname="localhost")
    s.sendall(f"GET /websocket HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += s.recv(4096)
    assert b" 101 " in head, head
    return s


def memory():
    with open(f"/proc/{server.pid}/smaps_rollup") as f:
        return int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))


try:
    for _ in range(50):
        try:
            connect(0).close()
            break
        except OSError:
            time.sleep(0.1)
    for i in range(20):
        connect(i).close()
    time.sleep(4)
    before = memory()
    subscribers = [connect(i) for i in range(count)]
    for wait in (2, 2, 2):
        time.sleep(wait)
        print(f"{(memory() - before) / count:.2f} KiB per subscriber of {count}, {memory()} KiB in all")
finally:
    server.terminate()
    server.wait()
