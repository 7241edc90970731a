"""Runs in a desktop as the agent: costs the server what strangers may cost it, by any route to it.

`limits.py slow COUNT` opens slow connections and holds them; `limits.py malformed` sends invalid requests. Prints a
line of JSON. Standard library only.
"""

import json
import os
import select
import socket
import sys
import time
from collections.abc import Callable

MALFORMED = (
    b"\0" * 100, b"GET\r\n\r\n", b"\x16\x03\x01\0\0\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/run HTTP/1.1\r\n\r\n",
    b"POST /v1/run HTTP/1.1\r\nContent-Length: -5\r\n\r\n", b"POST /v1/run HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /v1/run HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    b"POST /v1/step HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + b"[" * 100_000, b"GET /%ff%00 HTTP/1.1\r\nHost: \xff\r\n\r\n",
    b"POST /v1/run HTTP/1.1\r\nAuthorization: Deskbench control " + b"a" * 5000 + b" x\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /v1/run HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"POST /v1/run HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n",
)  # fmt: skip


def ways():
    """Addresses of listening programs outside the session: the server's, if it is reachable."""
    found: list[tuple[socket.AddressFamily, tuple[str, int] | str]] = []
    for name, family, host in (("tcp", socket.AF_INET, "127.0.0.1"), ("tcp6", socket.AF_INET6, "::1")):
        try:
            with open(f"/proc/net/{name}", encoding="ascii") as file:
                lines = [line.split() for line in file.read().splitlines()[1:]]
        except OSError:
            continue
        found += [(family, (host, int(line[1].rpartition(":")[2], 16))) for line in lines if line[3] == "0A"]
    with open("/proc/net/unix", encoding="utf-8") as file:
        for line in file.read().splitlines()[1:]:
            part = line.split()
            if len(part) > 7 and int(part[3], 16) & 0x10000:
                name = part[7]
                if not any(word in name for word in ("X11", "dbus", "at-spi", "ICE", "pulse")):
                    found.append((socket.AF_UNIX, "\0" + name[1:] if name.startswith("@") else name))
    return found


def reached():
    """The addresses that lead to an HTTP server."""
    good = []
    for family, address in ways():
        try:
            with socket.socket(family) as sock:
                sock.settimeout(3.0)
                sock.connect(address)
                sock.sendall(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                if sock.recv(8).startswith(b"HTTP/"):
                    good.append((family, address))
        except OSError:
            continue
    return good


def slow(count):
    """Send one byte on each of many connections, and hold them in a child."""
    there = reached()
    if not there:
        return {"ok": False, "said": f"no way to the server among {len(ways())} addresses"}
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        import resource

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        held = []
        for number in range(int(count)):
            family, address = there[number % len(there)]
            try:
                sock = socket.socket(family)
                sock.settimeout(5.0)
                sock.connect(address)
                sock.sendall((b"P", b"POST /v1/step HTTP/1.1\r\nContent-Length: 9\r\n\r\n")[number % 2])
                held.append(sock)
            except OSError:
                continue
        os.write(write, f"{len(held)} connections".encode())
        time.sleep(60)
        os._exit(0)
    said = os.read(read, 100).decode() if select.select([read], [], [], 45)[0] else "still connecting"
    return {"ok": True, "said": f"{said} by {len(there)} ways"}


def malformed():
    """Send invalid requests: the server answers 4xx, or nothing."""
    there, statuses = reached(), set()
    for family, address in there:
        for request in MALFORMED:
            try:
                with socket.socket(family) as sock:
                    sock.settimeout(3.0)
                    sock.connect(address)
                    sock.sendall(request)
                    sock.shutdown(socket.SHUT_WR)
                    statuses.add(sock.recv(200).split(b"\r\n")[0].decode("latin-1")[:40])
            except OSError:
                continue
    bad = [status for status in statuses if " 5" in status[:12] and " 503" not in status]
    return {"ok": bool(bad), "said": f"{len(there)} ways, said {sorted(bad or statuses)}"}


if __name__ == "__main__":
    todo: dict[str, Callable[..., object]] = {"slow": slow, "malformed": malformed}
    print(json.dumps(todo[sys.argv[1]](*sys.argv[2:])))
