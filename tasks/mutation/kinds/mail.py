"""Mail: folders in mbox format (RFC 4155) and single messages. The model is the list of messages as written."""

from __future__ import annotations

import email
import re
from collections.abc import Callable, Iterator
from email.message import Message

from deskbench.tasks.mutation.operators import About, Raw, Unlike, kind, operator

Messages = list[bytes]
Change = Iterator[tuple[Messages, str]]
FEW = 3
_START = re.compile(rb"^From [^\r\n]*\r?\n", re.MULTILINE)
_HEADER = re.compile(rb"^[A-Za-z-]+:", re.MULTILINE)


def _read(raw: Raw) -> Messages:
    data = bytes(raw)
    starts = [found.start() for found in _START.finditer(data)]
    if not starts or starts[0] != 0:
        starts = [0]
    parts = [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]
    if not all(_HEADER.search(part) for part in parts):
        raise Unlike("it holds no messages")
    return parts


def _write(model: Messages, raw: Raw) -> bytes:
    return b"".join(model)


def _key(model: Messages) -> list[str]:
    """What a reader sees: addresses, subject, flags, and the parts of each message."""
    lines = []
    for one in model:
        message = email.message_from_bytes(_START.sub(b"", one, count=1))
        lines += [f"{name}: {value}" for name, value in message.items() if name.lower() in _SHOWN]
        for part in message.walk():
            body = part.get_payload(decode=True)
            shown = body.decode("utf-8", "replace") if isinstance(body, bytes) else ""
            lines.append(f"[{part.get_content_type()} {part.get_filename() or ''}] {shown}")
    return lines


_SHOWN = ("from", "to", "cc", "bcc", "subject", "x-mozilla-status", "reply-to")
kind("mail", "Mail folders and messages", read=_read, write=_write, key=_key)


def _header(message: bytes, name: str) -> re.Match[bytes] | None:
    head = re.search(rb"\r?\n\r?\n", message)
    found = re.compile(rb"^" + name.encode() + rb":[ \t]*([^\r\n]*)", re.MULTILINE | re.IGNORECASE).search(message)
    return found if found and (head is None or found.start() < head.start()) else None


def _subject(message: bytes) -> str:
    found = _header(message, "Subject")
    return repr(found[1].decode("utf-8", "replace")) if found else "without a subject"


@operator("mail/missing", kind="mail", must="fail")
def missing(messages: Messages, about: About) -> Change:
    """A message is missing from the folder, because it is in another one."""
    for n in about.some(range(len(messages))):
        yield messages[:n] + messages[n + 1 :], f"the message {_subject(messages[n])} (number {n + 1}) is missing"


@operator("mail/twice", kind="mail", must="fail")
def twice(messages: Messages, about: About) -> Change:
    """A message occurs twice."""
    for n in about.some(range(len(messages)) if messages[0].startswith(b"From ") else [], FEW):
        yield messages[: n + 1] + messages[n:], f"the message {_subject(messages[n])} (number {n + 1}) occurs twice"


def _other_header(name: str, words: str, change: Callable[[bytes], bytes]) -> None:
    def changed(messages: Messages, about: About) -> Change:
        for n in about.some([n for n, message in enumerate(messages) if _header(message, name)], FEW):
            found = _header(messages[n], name)
            assert found is not None
            start, end = found.span(1)
            new = messages[n][:start] + change(found[1]) + messages[n][end:]
            told = f"the message {_subject(messages[n])} (number {n + 1}) {words}"
            yield [*messages[:n], new, *messages[n + 1 :]], told

    changed.__doc__ = f"A message {words}."
    operator(f"mail/{name.lower()}", kind="mail", must="fail")(changed)


_other_header("To", "goes to somebody else", lambda old: b"other." + old)
_other_header("Cc", "has a copy for somebody else", lambda old: b"other." + old)
_other_header("Subject", "has a different subject", lambda old: old + b" 2")


@operator("mail/body", kind="mail", must="fail")
def body(messages: Messages, about: About) -> Change:
    """A message's text has an extra line."""
    for n in about.some(range(len(messages)), FEW):
        place = _text_begins(messages[n])
        if place is not None and b"base64" not in messages[n].lower():
            new = messages[n][:place] + b"One more line.\n" + messages[n][place:]
            yield [*messages[:n], new, *messages[n + 1 :]], f"the message {_subject(messages[n])} has an extra line"


def _text_begins(message: bytes) -> int | None:
    """Where the text begins: after the headers, and after the first part's headers if there are several parts."""
    heads = [found.end() for found in re.finditer(rb"\r?\n\r?\n", message)]
    if not heads:
        return None
    return heads[1] if b"multipart/" in message[: heads[0]] and len(heads) > 1 else heads[0]


@operator("mail/attachment", kind="mail", must="fail")
def attachment(messages: Messages, about: About) -> Change:
    """A message has lost an attachment."""
    for n in about.some(range(len(messages)), FEW):
        start = _START.match(messages[n])
        message = email.message_from_bytes(messages[n][start.end() if start else 0 :])
        parts = message.get_payload()
        if not isinstance(parts, list):
            continue
        kept = [part for part in parts if not (isinstance(part, Message) and part.get_filename())]
        if len(kept) < len(parts):
            message.set_payload(kept)
            new = (start[0] if start else b"") + message.as_bytes()
            yield [*messages[:n], new, *messages[n + 1 :]], f"the message {_subject(messages[n])} has no attachment"


@operator("mail/id", kind="mail", must="stay")
def other_id(messages: Messages, about: About) -> Change:
    """A message has a different id."""
    for n in about.some([n for n, message in enumerate(messages) if _header(message, "Message-ID")], 1):
        found = _header(messages[n], "Message-ID")
        assert found is not None
        new = messages[n][: found.start(1)] + b"<another@mail.example>" + messages[n][found.end(1) :]
        yield [*messages[:n], new, *messages[n + 1 :]], f"the message {_subject(messages[n])} has a different id"
