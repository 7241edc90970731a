"""Runs in a desktop as the agent: tries to reach the host's network, sockets and shared memory.

`network.py tcp PORT ADDRESS...`, `network.py proxy PORT ADDRESS...`, `network.py abstract NAME`, `network.py shared KEY
MARKER`, `network.py names`. Prints a line of JSON. Standard library only.
"""

import ctypes
import json
import os
import socket
import sys
from collections.abc import Callable

SECONDS = 2.0


def tcp(port, *addresses):
    """Connect and say hello."""
    reached, said = [], set()
    for address in addresses:
        try:
            with socket.create_connection((address, int(port)), SECONDS) as there:
                there.sendall(b"hello\n")
                reached.append(address)
        except OSError as error:
            said.add(error.strerror or type(error).__name__)
    return {"ok": bool(reached), "said": f"reached {reached}" if reached else ", ".join(sorted(said))}


def proxy(port, *addresses):
    """Ask a desktop's proxy, which has a list of names, for addresses that are not on it."""
    there = os.environ.get("http_proxy") or os.environ.get("HTTP_PROXY")
    if not there:
        return {"ok": False, "said": "no proxy is named"}
    host, _, number = there.partition("//")[2].strip("/").partition(":")
    reached, said = [], set()
    for address in addresses:
        for request in (f"CONNECT {address}:{port} HTTP/1.1", f"GET http://{address}:{port}/ HTTP/1.1"):
            try:
                with socket.create_connection((host, int(number)), 10) as sock:
                    sock.settimeout(10)
                    sock.sendall(f"{request}\r\nHost: example.org\r\n\r\n".encode())
                    status = sock.recv(200).split(b"\r\n")[0].decode("latin-1")
                    if " 200" in status:
                        sock.sendall(b"hello\n")
                        reached.append(request)
                    said.add(status)
            except OSError as error:
                said.add(str(error))
    return {"ok": bool(reached), "said": f"reached {reached}" if reached else ", ".join(sorted(said))[:300]}


def abstract(name):
    """A Unix socket without a file, whose name belongs to a network namespace."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(SECONDS)
        try:
            sock.connect("\0" + name)
            sock.sendall(b"hello\n")
        except OSError as error:
            return {"ok": False, "said": error.strerror or str(error)}
    return {"ok": True, "said": "connected"}


def shared(key, marker):
    """System V shared memory under the host's key, and POSIX shared memory under its name."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = libc.shmget(int(key), 0, 0)
    if found >= 0:
        return {"ok": True, "said": f"the host's segment is {found} here"}
    if os.path.exists(f"/dev/shm/{marker}"):
        return {"ok": True, "said": "the host's /dev/shm is here"}
    return {"ok": False, "said": os.strerror(ctypes.get_errno())}


def names():
    """Interfaces other than the loopback."""
    there = [name for _, name in socket.if_nameindex() if name != "lo" and not name.startswith("tunl")]
    return {"ok": bool(there), "said": f"interfaces {there}" if there else "only the loopback"}


def main():
    """Run the attack with the given name."""
    todo: dict[str, Callable[..., object]] = {
        "tcp": tcp,
        "proxy": proxy,
        "abstract": abstract,
        "shared": shared,
        "names": names,
    }
    print(json.dumps(todo[sys.argv[1]](*sys.argv[2:])))


if __name__ == "__main__":
    main()
