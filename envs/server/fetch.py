"""The desktop's own downloads, for OSWorld's clients; deskbench's controller fetches files itself."""

from __future__ import annotations

from urllib.parse import urlsplit

MAX_DOWNLOAD = 2**31
SECONDS = 300.0
TRIES = 3


def fetch(url: str) -> bytes:
    """The bytes behind an http(s) URL; whole, or not at all.

    Raises:
        OSError: after three tries, or another kind of URL.
    """
    import urllib.request  # 3 MB that most desktops never need

    if urlsplit(url).scheme not in ("http", "https"):
        raise OSError(f"{url} is not an http or https URL")
    last = OSError("not tried")
    for _ in range(TRIES):
        try:
            with urllib.request.urlopen(url, timeout=SECONDS) as answer:
                data: bytes = answer.read(MAX_DOWNLOAD)
                length = answer.headers.get("Content-Length")
            if length is None or int(length) == len(data):
                return data
            last = OSError(f"{len(data)} of {length} bytes")
        except OSError as error:
            last = error
    raise last
