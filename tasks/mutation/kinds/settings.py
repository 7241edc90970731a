"""Settings: files of sections and `key=value` lines, and the output of Windows' `reg query`. The model is the lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from deskbench.tasks.mutation.kinds.text import decoded, encoded
from deskbench.tasks.mutation.operators import About, Raw, kind, operator

Lines = list[str]
Change = Iterator[tuple[Lines, str]]
_SECTION = re.compile(r"\s*\[(.+)\]\s*$")
_ENTRY = re.compile(r"(\s*)([^#;=\[\s][^=]*?)(\s*=\s*)(.*?)\s*$")


@dataclass(frozen=True)
class Entry:
    """A line that sets a key, and its section ("" for none)."""

    line: int
    section: str
    key: str
    value: str
    head: str
    """The line up to the value."""


def _read(raw: Raw) -> Lines:
    return decoded(raw).split("\n")


def _write(model: Lines, raw: Raw) -> Raw:
    return encoded("\n".join(model), raw)


def _key(model: Lines) -> list[str]:
    """The content: every key with its section and value, in order."""
    return [f"[{entry.section}] {entry.key} = {entry.value}" for entry in _entries(model)]


kind("ini", "INI files and others of key=value lines", read=_read, write=_write, key=_key)


def _entries(lines: Lines) -> Iterator[Entry]:
    section = ""
    for number, line in enumerate(lines):
        head = _SECTION.match(line)
        if head:
            section = head[1]
        entry = _ENTRY.match(line)
        if entry and not head:
            yield Entry(number, section, entry[2], entry[4], "".join(entry.group(1, 2, 3)))


def has_entries(text: str) -> bool:
    """Whether a text has `key=value` lines."""
    return next(_entries(text.split("\n")), None) is not None


def _chosen(lines: Lines, about: About, most: int = 6) -> list[Entry]:
    return about.some([entry for entry in _entries(lines) if about.matters(entry.key, entry.section)], most)


def _instead(lines: Lines, entry: Entry, *new: str) -> Lines:
    return [*lines[: entry.line], *new, *lines[entry.line + 1 :]]


def neighbours(value: str) -> list[str]:
    """Similar values: the next numbers, the opposite of true or false, a different word."""
    bare = value.strip('"')
    quote = '"' * (bare != value)
    others = {"true": "false", "false": "true", "yes": "no", "no": "yes", "on": "off", "off": "on"}
    if bare.lower() in others:
        return [quote + others[bare.lower()] + quote]
    if bare in ("0", "1"):
        return [quote + str(1 - int(bare)) + quote]
    if re.fullmatch(r"-?\d+", bare):
        return [f"{quote}{int(bare) + step}{quote}" for step in (1, -1)]
    return [quote + (bare[:-1] if bare else "other") + quote, f"{quote}{bare}2{quote}"]


@operator("ini/unset", kind="ini", must="fail")
def unset(lines: Lines, about: About) -> Change:
    """A key is not set, so its default applies."""
    for entry in _chosen(lines, about):
        yield _instead(lines, entry), f"{entry.key} is not set"


@operator("ini/comment-out", kind="ini", must="fail")
def comment_out(lines: Lines, about: About) -> Change:
    """A key is commented out."""
    for entry in _chosen(lines, about, 3):
        yield _instead(lines, entry, "#" + lines[entry.line]), f"{entry.key} is commented out"


@operator("ini/neighbour", kind="ini", must="fail")
def neighbour(lines: Lines, about: About) -> Change:
    """A key has a value close to the right one."""
    for entry in _chosen(lines, about):
        for value in neighbours(entry.value):
            yield _instead(lines, entry, entry.head + value), f"{entry.key} is {value}, not {entry.value}"


@operator("ini/other-section", kind="ini", must="fail")
def other_section(lines: Lines, about: About) -> Change:
    """A key is in a different section."""
    for entry in _chosen(lines, about, 3):
        moved = [*_instead(lines, entry), "[Other Section]", lines[entry.line]]
        yield moved, f"{entry.key} is in a different section"


@operator("ini/other-key", kind="ini", must="fail")
def other_key(lines: Lines, about: About) -> Change:
    """The value is under a different key."""
    for entry in _chosen(lines, about, 3):
        new = entry.head.replace(entry.key, entry.key + "2", 1) + entry.value
        yield _instead(lines, entry, new), f"{entry.key} is called {entry.key}2"


@operator("ini/overridden", kind="ini", must="fail")
def overridden(lines: Lines, about: About) -> Change:
    """A key is set a second time to a different value, which applies."""
    for entry in _chosen(lines, about, 3):
        value = neighbours(entry.value)[0]
        twice = _instead(lines, entry, lines[entry.line], entry.head + value)
        yield twice, f"{entry.key} is set to {entry.value} and then to {value}"


@operator("ini/comment", kind="ini", must="stay")
def comment(lines: Lines, about: About) -> Change:
    """There is a comment at the top and an empty line at the end."""
    yield ["# written by hand", *lines, ""], "there is a comment at the top and an empty line at the end"


@operator("ini/unrelated", kind="ini", must="stay")
def unrelated(lines: Lines, about: About) -> Change:
    """In a program's settings, a key that the task is not about has a different value."""
    if about.settings:
        others = [e for e in _entries(lines) if not about.matters(e.key) and e.value]
        for entry in about.some(others, 2):
            value = neighbours(entry.value)[0]
            yield _instead(lines, entry, entry.head + value), f"{entry.key} is {value}, not {entry.value}"


@operator("ini/section-order", kind="ini", must="stay")
def section_order(lines: Lines, about: About) -> Change:
    """The sections are in reverse order."""
    starts = [n for n, line in enumerate(lines) if _SECTION.match(line)]
    if not starts:
        return
    parts = [lines[start:end] for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]
    names = [part[0] for part in parts]
    if len(parts) > 1 and len(set(names)) == len(names):
        ordered = [line for part in reversed(parts) for line in part]
        yield [*lines[: starts[0]], *(line for line in ordered if line.strip())], "the sections are in reverse order"


# -- output of `reg query`

_VALUE = re.compile(r"(\s+)(\S.*?)(\s+)(REG_[A-Z_]+)(\s+)(.*?)\r?$")


def _reg_key(model: Lines) -> list[str]:
    return [line.strip() for line in model if line.strip()]


kind("registry", "Keys and values of Windows' registry", read=_read, write=_write, key=_reg_key)


def is_registry(text: str) -> bool:
    """Whether a text is output of `reg query`."""
    return bool(re.match(r"\s*HKEY_[A-Z_]+\\", text))


def _values(lines: Lines, about: About) -> list[tuple[int, re.Match[str]]]:
    found = [(number, m) for number, line in enumerate(lines) if (m := _VALUE.match(line))]
    return about.some([(number, m) for number, m in found if about.matters(m[2])])


def _line(m: re.Match[str], *, name: str | None = None, type: str | None = None, data: str | None = None) -> str:
    parts = (m[1], name or m[2], m[3], type or m[4], m[5], m[6] if data is None else data, m.string[m.end(6) :])
    return "".join(parts)


@operator("registry/unset", kind="registry", must="fail")
def registry_unset(lines: Lines, about: About) -> Change:
    """A value is missing."""
    for number, m in _values(lines, about):
        yield lines[:number] + lines[number + 1 :], f"the value {m[2]} is missing"


@operator("registry/neighbour", kind="registry", must="fail")
def registry_neighbour(lines: Lines, about: About) -> Change:
    """A value has data close to the right data."""
    for number, m in _values(lines, about):
        hexadecimal = re.fullmatch(r"0x([0-9a-fA-F]+)", m[6])
        others = [f"0x{int(hexadecimal[1], 16) + 1:x}"] if hexadecimal else neighbours(m[6])
        for data in others:
            yield [*lines[:number], _line(m, data=data), *lines[number + 1 :]], f"{m[2]} is {data}, not {m[6]}"


@operator("registry/empty", kind="registry", must="fail")
def registry_empty(lines: Lines, about: About) -> Change:
    """A value has no data."""
    for number, m in _values(lines, about):
        yield [*lines[:number], _line(m, data=""), *lines[number + 1 :]], f"{m[2]} has no data"


@operator("registry/more", kind="registry", must="fail")
def registry_more(lines: Lines, about: About) -> Change:
    """A value has more data after or before the right data."""
    for number, m in _values(lines, about):
        for data in (f"{m[6]} and more", f"not {m[6]}", f"{m[6]}0"):
            yield [*lines[:number], _line(m, data=data), *lines[number + 1 :]], f"{m[2]} is {data!r}, not {m[6]!r}"


@operator("registry/type", kind="registry", must="fail")
def registry_type(lines: Lines, about: About) -> Change:
    """A value has a different type."""
    for number, m in _values(lines, about):
        new = "REG_DWORD" if m[4] == "REG_SZ" else "REG_SZ"
        yield [*lines[:number], _line(m, type=new), *lines[number + 1 :]], f"{m[2]} has the type {new}"


@operator("registry/name", kind="registry", must="fail")
def registry_name(lines: Lines, about: About) -> Change:
    """A value has a different name."""
    for number, m in _values(lines, about):
        for name in (m[2] + "2", "My" + m[2]):
            yield [*lines[:number], _line(m, name=name), *lines[number + 1 :]], f"{m[2]} is called {name}"


def _subkeys(lines: Lines, about: About) -> list[tuple[int, str]]:
    """The keys below the requested one. The requested key itself is followed by its values."""
    heads = [
        n
        for n, line in enumerate(lines)
        if line.startswith("HKEY_") and not _VALUE.match("".join(lines[n + 1 : n + 2]))
    ]
    found = [(number, lines[number].rstrip("\r").rpartition("\\")[2]) for number in heads]
    return about.some([(number, name) for number, name in found if about.matters(name)])


@operator("registry/key-gone", kind="registry", must="fail")
def registry_key_gone(lines: Lines, about: About) -> Change:
    """A key that the check names is missing."""
    for number, name in _subkeys(lines, about):
        yield lines[:number] + lines[number + 1 :], f"the key {name} is missing"


@operator("registry/key-renamed", kind="registry", must="fail")
def registry_key_renamed(lines: Lines, about: About) -> Change:
    """A key that the check names has a longer name."""
    for number, name in _subkeys(lines, about):
        new = lines[number].replace(name, name + " (2)")
        yield [*lines[:number], new, *lines[number + 1 :]], f"the key {name} is called {name} (2)"


@operator("registry/other-value", kind="registry", must="stay")
def registry_other_value(lines: Lines, about: About) -> Change:
    """If all values of a key are listed, there is an extra one that the task is not about."""
    found = [(number, m) for number, line in enumerate(lines) if (m := _VALUE.match(line))]
    for number, m in found[-1:] if len(found) > 1 else []:
        extra = _line(m, name="LastUsed", type="REG_SZ", data="yesterday")
        yield [*lines[: number + 1], extra, *lines[number + 1 :]], "there is also a value LastUsed"
