"""Cuts secrets out of everything that is written, both as they are and in every form that an endpoint may echo.

One place knows the secrets of this process: `KNOWN`. Code that reads a secret from the environment registers it there
(`secret_of`). Everything that is written goes through it: recordings, printed output, the errors of endpoints.
"""

from __future__ import annotations

import base64
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import unquote

CUT = "[secret]"
SHORTEST = 6
"""Characters. Shorter secrets, and stand-ins for a key, may also occur in ordinary text and numbers."""
SHORTEST_LIKELY = 12
"""Characters, for a variable that only has a secret's name: in `DB_PASSWORD=password`, the value is a word."""
STAND_INS = frozenset(
    {"dummy", "empty", "lm-studio", "no-key", "not-needed", "ollama", "sk-no-key-required", "token-abc123"}
)
"""Values for servers that need no key, from the documentation of vLLM, llama.cpp, Ollama and LM Studio."""
_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_LOGIN = re.compile(r"(?<=://)[^/\s\"'<>?#]*@")
"""The user and password of a URL (RFC 3986, 3.2.1), whatever characters they have before the host ends."""
_PASSWORD = re.compile(r"://[^/\s:@]*:([^/\s]+)@")
_STORED = re.compile(
    r"(?:password|client_secret|(?:access|refresh|id)_token|private_key_id)[\"']?\s*:\s*"
    r"(?:\"([^\"]{6,})\"|'([^']{6,})'|([^\s\"',}]{6,}))"
)
LARGEST_FILE = 1 << 20
"""The largest credentials file that is read, in bytes."""
_MARKED = r"(?i)\b((?:bearer|basic|api[-_ ]?key|authorization|password|token|key)[\"']?\s*[:=]?\s*[\"']?)(?-i:{})\b"
_NAMED = {'"': "&quot;", "&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;"}
_ESCAPED = {"\n": "n", "\r": "r", "\t": "t", "\f": "f", "\b": "b"}

_Form = tuple[str, re.Pattern[str], str]
"""A text to look for first (a fast search), the pattern to try if it occurs, and the replacement."""


class Redactor:
    """Cuts secrets out of text and JSON. Safe to use from several threads."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: dict[str, tuple[_Form, ...]] = {}
        self._lock = threading.Lock()
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Add secrets. The longest are cut out first."""
        with self._lock:
            new = {secret: tuple(_forms(secret)) for secret in secrets if secret and secret not in self._forms}
            if new:  # a new dictionary: other threads go on with the one they have
                known = {**self._forms, **new}
                self._forms = dict(sorted(known.items(), key=lambda item: -len(item[0])))

    def text(self, text: str) -> str:
        """A text without secrets."""
        for forms in self._forms.values():
            for probe, pattern, put in forms:
                if probe in text:
                    text = pattern.sub(put, text)
        return text

    def told(self, text: str) -> str:
        """Like `text`, for deskbench's own messages; also removes logins from URLs."""
        return self.text(without_logins(text))

    def value(self, value: Any) -> Any:
        """A JSON value without secrets, in keys and in texts."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(name): self.value(item) for name, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, (list, tuple)) else value


KNOWN = Redactor()
"""The secrets of this process."""


def secret_of(name: str) -> str:
    """Read a secret from an environment variable, empty if it is not set. From now on it is redacted."""
    secret = os.environ.get(name, "").strip()
    KNOWN.add(secret)
    return secret


def secrets_in(environment: Mapping[str, str]) -> Iterator[str]:
    """The secrets in an environment: variables with a secret's name, and passwords in URLs."""
    for name, value in environment.items():
        if _NAME.search(name) and len(value) >= SHORTEST_LIKELY:
            yield value
        for password in _PASSWORD.findall(value):
            yield unquote(password)


def secrets_beside(settings: Path) -> Iterator[str]:
    """The secrets in a credentials file and the files next to it (Google's, in JSON or YAML)."""
    for path in (settings, *settings.parent.iterdir()):
        if path.suffix in (".json", ".yaml", ".yml") and path.is_file() and path.stat().st_size <= LARGEST_FILE:
            for found in _STORED.findall(path.read_text(encoding="utf-8", errors="replace")):
                yield "".join(found)  # only one group matched


def names_secret(name: str) -> bool:
    """Whether the name of a header or setting suggests a secret."""
    return re.fullmatch(r"(?i)(proxy-)?authorization|cookie|.*(api[-_]?key|token|secret|password)", name) is not None


def without_logins(text: str) -> str:
    """Remove user and password from a text's URLs."""
    return _LOGIN.sub("", text) if "@" in text else text


class Printed:
    """A text stream that cuts secrets out on the way to standard output or standard error."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding, self.errors = stream.encoding, stream.errors

    def write(self, text: str) -> int:
        """Write a text; returns its length."""
        self._stream.write(KNOWN.told(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream behind."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Whether the stream behind is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The file descriptor of the stream behind."""
        return self._stream.fileno()

    def readable(self) -> bool:
        """Always False."""
        return False

    def writable(self) -> bool:
        """Always True."""
        return True


def _forms(secret: str) -> Iterator[_Form]:
    if len(secret) < SHORTEST or secret.lower() in STAND_INS:
        yield secret, re.compile(_MARKED.format(re.escape(secret))), rf"\1{CUT}"
        return
    data = secret.encode("utf-8", "surrogatepass")
    yield _form(secret)
    for text in (data.hex(), data.hex().upper()):
        yield text, re.compile(text), CUT
    yield "%", re.compile("".join(map(_percent, data)), re.IGNORECASE), CUT
    yield "u00", re.compile("".join(rf"\\+u{ord(char):04x}" for char in secret), re.IGNORECASE), CUT
    for offset in range(3):
        core = _base64_core(data, offset)
        probe, pattern, _ = _form(core)
        yield probe, re.compile(rf"[A-Za-z0-9+/_-]?{pattern.pattern}[A-Za-z0-9+/_-]?(?:=|%3[Dd]){{0,2}}"), CUT


def _form(text: str) -> _Form:
    """A pattern for a text in which any character except letters and digits may be escaped, in any way, repeatedly."""
    runs = re.findall(r"[A-Za-z0-9]+", text)
    return max(runs, key=len, default=""), re.compile("".join(_pieces(text))), CUT


def _pieces(text: str) -> Iterator[str]:
    for piece in re.findall(r"[A-Za-z0-9]+|\\+|.", text, re.DOTALL):
        if piece[0] == "\\":
            yield rf"(?:\\+|{_percent(0x5C)}|&#92;|&#[xX]5[cC];)+"
        else:
            yield piece if piece.isascii() and piece.isalnum() else _written(piece)


def _written(char: str) -> str:
    """A pattern for every way to write a character: JSON, URL, HTML, and base64's two alphabets."""
    units = char.encode("utf-16-be", "surrogatepass")
    ways = [
        rf"\\*{re.escape(char)}" if char in "\"'/`" else re.escape(char),
        "".join(_percent(byte) for byte in char.encode("utf-8", "surrogatepass")),
        "".join(rf"\\+u(?i:{units[i : i + 2].hex()})" for i in range(0, len(units), 2)),
        rf"&#0*{ord(char)};|&#[xX]0*(?i:{ord(char):x});",
    ]
    ways += [more for known, more in ((" ", r"\+"), ("+", "-"), ("/", "_")) if known == char]
    ways += [_NAMED[char]] if char in _NAMED else []
    ways += [rf"\\+{_ESCAPED[char]}"] if char in _ESCAPED else []
    return f"(?:{'|'.join(ways)})"


def _percent(byte: int) -> str:
    return f"%(?:25)*(?i:{byte:02x})"


def _base64_core(data: bytes, offset: int) -> str:
    """The base64 text that depends on these bytes alone, not on what precedes (`offset` bytes past a multiple of three)
    or follows.
    """
    coded = base64.b64encode(bytes(offset) + data).decode()
    return coded[-(-8 * offset // 6) : 8 * (offset + len(data)) // 6]
