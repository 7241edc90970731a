"""Identifies the sender of a request: by a bearer token or a signature, or as anybody here if tokens are off."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from deskbench.envs.server import signing
from deskbench.envs.server.http.exchange import HttpError


@dataclass(frozen=True)
class Caller:
    """What a request's head tells about its sender.

    Attributes:
        role: `control`, `agent`, or None for a stranger.
        known: the head alone proves the role: it has a bearer token, or the server requires no proof.
        signed: the signature, which has yet to be checked against the body.
        trusted: the server required no proof, so the sender could be a browser.
    """

    role: str | None
    known: bool = False
    signed: signing.Signed | None = None
    trusted: bool = False


@dataclass(frozen=True)
class Tokens:
    """The two tokens. With `open`, or without any tokens, the server also serves clients that have no token."""

    agent: str | None = None
    control: str | None = None
    open: bool = False
    _nonces: signing.Nonces = field(default_factory=signing.Nonces, repr=False, compare=False)

    def caller(self, header: str) -> Caller:
        """Who sends a request with this Authorization header."""
        signed = signing.Signed.read(header)
        if signed is not None:
            return Caller(signed.role, signed=signed) if self._key(signed.role) is not None else Caller(None)
        given = header[7:] if header.startswith("Bearer ") else ""
        for role in ("control", "agent"):
            key = self._key(role)
            if key is not None and hmac.compare_digest(given.encode("utf-8", "replace"), key.encode()):
                return Caller(role, known=True)
        return Caller("control", known=True, trusted=True) if self.open or self.control is None else Caller(None)

    def holds(self, signed: signing.Signed, method: str, path: str, body: bytes, content_type: str) -> bool:
        """Whether the signature fits this request and is used for the first time."""
        key = self._key(signed.role)
        if key is None:
            return False
        made = signing.request_proof(key, signed.nonce, method, path, body, content_type)
        return signing.same(made, signed.proof) and self._nonces.take(signed.nonce)

    def prove(self, signed: signing.Signed, status: int, body: bytes) -> str:
        """The proof of an answer to a signed request."""
        return signing.answer_proof(self._key(signed.role) or "", signed.nonce, status, body)

    def _key(self, role: str) -> str | None:
        return self.control if role == "control" else self.agent


def check_origin(headers: Mapping[str, str], caller: Caller, bound: str | None) -> None:
    """Refuse every page in a browser, whoever opened it.

    A page's requests carry an Origin. A page whose name was made to resolve to this machine (DNS rebinding) sees this
    server as its own origin, but its Host gives it away. A caller with a token is not a page, and may use any name of
    the machine.

    Args:
        headers: of the request, with names written like `Host`.
        caller: its sender.
        bound: the host name or address that the server listens on; None for a Unix socket.

    Raises:
        HttpError: 403.
    """
    if "Origin" in headers:
        raise HttpError(403, "the request has an Origin: the server refuses requests from pages in a browser")
    if caller.trusted and not _is_ours(headers.get("Host", "desktop"), bound):
        raise HttpError(403, "the Host is not this machine: use its address")


def _is_ours(host: str, bound: str | None) -> bool:
    name = host.strip().lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    if name in ("desktop", "localhost", "", bound):
        return True
    address = _address(name)
    if address is None or address.is_loopback:
        return address is not None
    here = _address(bound or "")
    return bound is not None and bound != "localhost" and not (here is not None and here.is_loopback)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
