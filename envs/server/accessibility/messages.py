"""D-Bus messages by hand: the few kinds that reading a tree needs, thousands of times.

A general D-Bus library spends most of a reading on signatures. Here, a request's bytes are ready except for its path
and serial number, and every answer has one known form. Format: the D-Bus specification, "Message Protocol".
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

METHOD_RETURN = 2
MAX_MESSAGE = 2**24
"""The largest message in bytes. The specification allows eight times that, but no honest application needs it."""
MAX_ROWS = 65_536
"""The most rows of an array."""
MAX_CACHED = 8192
"""How many byte strings to cache with their meaning: most answers repeat earlier ones."""
MAX_CACHED_SIZE = 4096
"""The longest such string in bytes. Longer ones do not repeat, and would fill the memory."""
_PADDING = [b"\0" * count for count in range(8)]
_HEAD = struct.Struct("<cBBBIII")
_LENGTH = struct.Struct("<I")
_PATH, _INTERFACE, _MEMBER, _REPLY_SERIAL, _DESTINATION, _SIGNATURE = 1, 2, 3, 5, 6, 8


class MessageError(ValueError):
    """The bytes are not a message that we understand; the connection is unusable."""


@dataclass(frozen=True, eq=False)
class Question:
    """A method call with constant arguments, compared by identity, which is fast.

    Attributes:
        interface, member: the method to call.
        signature, body: its arguments, as types and bytes.
        answer: the type of the answer.
        decode: turns the body of an answer of that type into a value.
    """

    interface: str
    member: str
    answer: str
    decode: Callable[[bytes], Any]
    signature: str = ""
    body: bytes = b""


def property_of(interface: str, name: str) -> Question:
    """The request for a property."""
    return Question("org.freedesktop.DBus.Properties", "Get", "v", variant, "ss", written(interface, name))


def written(*texts: str) -> bytes:
    """Strings as a message body."""
    body = b""
    for text in texts:
        data = text.encode()
        body += b"\0" * (-len(body) % 4) + _LENGTH.pack(len(data)) + data + b"\0"
    return body


@lru_cache(4096)
def _fixed_fields(question: Question, destination: str) -> bytes:
    fields = _string_field(_INTERFACE, "s", question.interface) + _string_field(_MEMBER, "s", question.member)
    fields += _string_field(_DESTINATION, "s", destination)
    if question.signature:
        code = question.signature.encode()
        fields += _padded(bytes([_SIGNATURE, 1]) + b"g\0" + bytes([len(code)]) + code + b"\0")
    return fields


def _string_field(field: int, kind: str, text: str) -> bytes:
    data = text.encode()
    return _padded(bytes([field, 1]) + kind.encode() + b"\0" + _LENGTH.pack(len(data)) + data + b"\0")


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 8)


@lru_cache(MAX_CACHED)
def _path_field(path: str) -> bytes:
    data = path.encode()
    return b"\1\1o\0" + _LENGTH.pack(len(data)) + data + b"\0"


def ask(question: Question, destination: str, path: str, serial: int) -> bytes:
    """The bytes of a method call."""
    fields = _fixed_fields(question, destination) + _path_field(path)
    head = _HEAD.pack(b"l", 1, 0, 1, len(question.body), serial, len(fields))
    return head + fields + _PADDING[-len(fields) % 8] + question.body


class Answer(NamedTuple):
    """A message that arrived. `serial` is the request's, or 0 if it answers none; `next` is where the message ends."""

    kind: int
    serial: int
    signature: str
    body: bytes
    next: int


def take(buffer: bytearray, at: int) -> Answer | None:
    """The message that begins at `at`; None if it is still incomplete.

    Raises:
        MessageError: these are not the bytes of a little-endian message.
    """
    if len(buffer) - at < 16:
        return None
    order, kind, _, version, body_length, _, fields_length = _HEAD.unpack_from(buffer, at)
    begin = at + 16 + fields_length + (-fields_length % 8)
    end = begin + body_length
    if order != b"l" or version != 1 or fields_length + body_length > MAX_MESSAGE:
        raise MessageError("not a message of this machine")
    if len(buffer) < end:
        return None
    try:
        serial, signature = _header(buffer, at + 16, fields_length)
    except (IndexError, struct.error):
        raise MessageError("a message's header is malformed") from None
    return Answer(kind, serial, signature, bytes(buffer[begin:end]), end)


def _header(buffer: bytearray, at: int, fields_length: int) -> tuple[int, str]:
    serial = 0
    if buffer[at] == _REPLY_SERIAL:  # everyone puts it first, and it is the one field that differs between answers
        (serial,) = _LENGTH.unpack_from(buffer, at + 4)
        at += 8
        fields_length -= 8
    data = bytes(buffer[at : at + max(fields_length, 0)])
    later, signature = _fields(data) if len(data) <= MAX_CACHED_SIZE else _fields.__wrapped__(data)
    return serial or later, signature


@lru_cache(MAX_CACHED)
def _fields(data: bytes) -> tuple[int, str]:
    """The serial of the request that a header answers, and the answer's type. All fields are strings or numbers."""
    serial, signature, at = 0, "", 0
    while at < len(data):
        at += -at % 8
        field, kind = data[at], data[at + 2]
        at += 4
        if kind == 0x67:  # g: a length of one byte
            if field == _SIGNATURE:
                signature = data[at + 1 : at + 1 + data[at]].decode("ascii", "replace")
            at += data[at] + 2
        else:
            (length,) = _LENGTH.unpack_from(data, at)
            if field == _REPLY_SERIAL:
                serial = length
            at += 4 if kind == 0x75 else length + 5  # u: a number; otherwise a string with its NUL
    return serial, signature


def string(body: bytes, at: int = 0) -> str:
    """A string."""
    (length,) = _LENGTH.unpack_from(body, at)
    return body[at + 4 : at + 4 + length].decode("utf-8", "replace")


def number(body: bytes) -> int:
    """An unsigned number."""
    (found,) = _LENGTH.unpack_from(body)
    return int(found)


def numbers(body: bytes) -> tuple[int, ...]:
    """An array of unsigned numbers."""
    return struct.unpack_from(f"<{number(body) // 4}I", body, 4)


def box(body: bytes) -> tuple[int, int, int, int]:
    """A struct of four signed numbers."""
    x, y, width, height = struct.unpack_from("<4i", body)
    return x, y, width, height


def variant(body: bytes) -> str | float | int:
    """A variant that holds a string or a number."""
    if body[:3] == b"\1s\0":
        return string(body, 4)
    if body[:3] == b"\1d\0":
        return float(struct.unpack_from("<d", body, 8)[0])
    if body[:3] == b"\1i\0":
        return int(struct.unpack_from("<i", body, 4)[0])
    raise MessageError(f"a variant of type {body[1:2]!r}")


def pair(body: bytes) -> tuple[str, str]:
    """A struct of two strings or paths."""
    second = 4 + number(body) + 1
    return string(body), string(body, second + (-second % 4))


def strings(body: bytes) -> tuple[str, ...]:
    """An array of strings."""
    return tuple(row[0] for row in _table(body, 1, 4))


def pairs(body: bytes) -> tuple[tuple[str, ...], ...]:
    """An array of structs, or a dictionary, of two strings or paths."""
    return _table(body, 2, 8)


def triples(body: bytes) -> tuple[tuple[str, ...], ...]:
    """An array of structs of three strings."""
    return _table(body, 3, 8)


def _table(body: bytes, width: int, alignment: int) -> tuple[tuple[str, ...], ...]:
    read = _rows if len(body) <= MAX_CACHED_SIZE else _rows.__wrapped__
    return read(body, width, alignment)


@lru_cache(MAX_CACHED)
def _rows(body: bytes, width: int, alignment: int) -> tuple[tuple[str, ...], ...]:
    """An array of rows of strings. Cached, because similar nodes answer with the same bytes."""
    at, end = alignment, number(body) + alignment
    rows: list[tuple[str, ...]] = []
    while at < end and len(rows) < MAX_ROWS:
        at += -at % alignment
        row = []
        for _ in range(width):
            at += -at % 4
            row.append(string(body, at))
            at += _LENGTH.unpack_from(body, at)[0] + 5
        rows.append(tuple(row))
    return tuple(rows)
