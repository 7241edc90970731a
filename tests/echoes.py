"""A secret in the forms in which endpoints, libraries and encoders write it, made by those themselves."""

import base64
import html
import json
import urllib.parse
from collections.abc import Iterator


def json_forms(key: str) -> Iterator[str]:
    for ascii_ in (True, False):
        once = json.dumps(key, ensure_ascii=ascii_)[1:-1]
        yield from (once, json.dumps(once, ensure_ascii=ascii_)[1:-1])
        yield json.dumps(json.dumps(json.dumps(key, ensure_ascii=ascii_)))
        yield once.replace("/", "\\/")
    codes = key.encode("utf-16-be")
    yield "".join(f"\\u{codes[i : i + 2].hex()}" for i in range(0, len(codes), 2))
    for char in "\"'<>&+":
        key = key.replace(char, f"\\u{ord(char):04X}") if "\\" not in key else key
    yield key


def url_forms(key: str) -> Iterator[str]:
    yield from (urllib.parse.quote(key), urllib.parse.quote(key, safe=""), urllib.parse.quote_plus(key))
    yield urllib.parse.quote(key, safe="!*'()~-_.")
    yield urllib.parse.quote(urllib.parse.quote(key, safe=""), safe="")
    lower = urllib.parse.quote(key, safe="")
    for code in {lower[i : i + 3] for i in range(len(lower)) if lower[i] == "%"}:
        lower = lower.replace(code, code.lower())
    yield lower
    yield "".join(f"%{byte:02X}" for byte in key.encode())
    yield "".join(f"%{byte:02x}" for byte in key.encode())


def base64_forms(key: str) -> Iterator[str]:
    for before in ("", "u", "us", "use", "user:", "a-longer-user-name:"):
        data = (before + key).encode()
        for coded in (base64.b64encode(data), base64.urlsafe_b64encode(data)):
            yield from (coded.decode(), coded.decode().rstrip("="), urllib.parse.quote(coded.decode(), safe=""))


def other_forms(key: str) -> Iterator[str]:
    yield from (key, key.encode().hex(), key.encode().hex().upper(), html.escape(key), html.escape(key, quote=False))
    yield key.replace('"', "&#34;").replace("'", "&#39;")
    yield f"https://x.example/?api_key={urllib.parse.quote(key, safe='')}&more=1"


def forms(key: str) -> list[str]:
    return [*json_forms(key), *url_forms(key), *base64_forms(key), *other_forms(key)]
