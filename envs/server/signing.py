"""Proof of who speaks: each request and each answer carries a keyed hash, and the key itself never crosses the wire.

Both ends know a token, which the server gets on its standard input or from a file. The controller signs each request
with it and a number that is used once (a nonce). The server signs the answer with the same nonce. Whoever takes the
server's place learns no token, cannot forge an answer, and cannot repeat a request.

    Authorization: Deskbench <role> <nonce> <proof>        of a request
    Deskbench-Proof: <proof>                               of an answer

The proof is an HMAC (RFC 2104) with SHA-256.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass

SCHEME = "Deskbench"
ANSWER_HEADER = "Deskbench-Proof"
REMEMBERED = 65_536
"""How many nonces a server remembers. A signed request is accepted once, at least until that many others have come."""


@dataclass(frozen=True)
class Signed:
    """The Authorization header of a signed request: whose key (`control` or `agent`), the nonce, the proof."""

    role: str
    nonce: str
    proof: str

    def header(self) -> str:
        """The header's value."""
        return f"{SCHEME} {self.role} {self.nonce} {self.proof}"

    @classmethod
    def read(cls, header: str) -> Signed | None:
        """Read a header's value; None if it has another scheme or is malformed."""
        parts = header.split(" ")
        if len(parts) != 4 or parts[0] != SCHEME or parts[1] not in ("control", "agent"):
            return None
        return cls(*parts[1:]) if 16 <= len(parts[2]) <= 64 and parts[2].isalnum() else None


def sign(token: str, role: str, method: str, path: str, body: bytes, content_type: str = "") -> Signed:
    """Sign a request under a new nonce."""
    nonce = secrets.token_hex(16)
    return Signed(role, nonce, request_proof(token, nonce, method, path, body, content_type))


def request_proof(token: str, nonce: str, method: str, path: str, body: bytes, content_type: str = "") -> str:
    """The proof of a request, in hex."""
    return _proof(token, body, "request", nonce, method, path, content_type)


def answer_proof(token: str, nonce: str, status: int, body: bytes) -> str:
    """The proof of the answer to the request with this nonce, in hex. With status 101, the body is empty."""
    return _proof(token, body, "answer", nonce, str(status))


def same(one: str, other: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _proof(token: str, body: bytes, *head: str) -> str:
    made = hmac.new(token.encode(), "\n".join([*head, str(len(body)), ""]).encode("utf-8", "replace"), "sha256")
    made.update(body)
    return made.hexdigest()


class Nonces:
    """The nonces that a server has accepted. Safe to use from several threads."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._taken: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, nonce: str) -> bool:
        """Accept a nonce; False if it was accepted before."""
        with self._lock:
            if nonce in self._taken:
                return False
            self._taken[nonce] = None
            if len(self._taken) > self._most:
                self._taken.popitem(last=False)
            return True
