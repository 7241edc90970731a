"""The desktop's own downloads, for OSWorld's clients; deskbench's controller fetches files itself."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

MAX_DOWNLOAD = 2**31
SECONDS = 300.0
"""Seconds for one attempt."""
TRIES = 3
_PART = 1 << 20


def fetch(url: str) -> bytes:
    """The complete body of an http(s) URL.

    Raises:
        OSError: all three attempts failed, or it is another kind of URL.
    """
    try:
        scheme = urlsplit(url).scheme
    except ValueError as error:
        raise OSError(f"{url} is not a URL: {error}") from None
    if scheme not in ("http", "https"):
        raise OSError(f"{url} is not an http or https URL")
    last = OSError("not tried")
    for _ in range(TRIES):
        try:
            return _once(url)
        except OSError as error:
            last = error
    raise last


def _once(url: str) -> bytes:
    import http.client  # 3 MB that most desktops never need
    import urllib.request

    until, parts, size = time.monotonic() + SECONDS, [], 0
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            while size <= MAX_DOWNLOAD and (part := answer.read1(_PART)):
                parts.append(part)
                size += len(part)
                if time.monotonic() > until:
                    raise TimeoutError(f"not done after {SECONDS:g} s")
            length = answer.headers.get("Content-Length")
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"{type(error).__name__}: {error}") from None
    if size > MAX_DOWNLOAD or (length is not None and int(length) != size):
        raise OSError(f"{size} of {length} bytes")
    return b"".join(parts)
