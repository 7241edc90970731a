"""Nodes to OSWorld's XML: tags, namespaces and attributes have the names of its Ubuntu dialect."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from xml.sax.saxutils import escape, quoteattr

_BASE = "https://accessibility.ubuntu.example.org/ns/"
NAMESPACES = {
    "st": _BASE + "state",
    "attr": _BASE + "attributes",
    "cp": _BASE + "component",
    "doc": _BASE + "document",
    "docattr": _BASE + "document/attributes",
    "txt": _BASE + "text",
    "val": _BASE + "value",
    "act": _BASE + "action",
}
MAX_TAG = 256
MAX_CACHED = 1024
"""Texts up to this many characters are cached."""
# Characters that XML 1.0 cannot hold at all, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass
class Node:
    """One accessible object as it was read; `children` links the tree."""

    bus: str
    path: str
    name: str = ""
    role: str = "unknown"
    states: frozenset[str] = frozenset()
    interfaces: frozenset[str] = frozenset()
    children: list[Node] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)
    box: tuple[int, int, int, int] | None = None
    text: str = ""
    values: dict[str, str] = field(default_factory=dict)
    actions: list[tuple[str, str, str]] = field(default_factory=list)


def to_xml(applications: list[Node]) -> str:
    """The whole document."""
    spaces = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    parts = [f"<desktop-frame{spaces}>"]
    for application in applications:
        _write(application, parts)
    parts.append("</desktop-frame>")
    return "".join(parts)


def _write(node: Node, parts: list[str]) -> None:
    tag = _tag(node.role)
    parts.append(f"<{tag} name={_quoted(node.name)}")
    parts.append(_states(node.states))
    attributes = {_tag(key): value for key, value in node.attributes.items()}  # two keys may make the same name
    parts.extend(f" attr:{key}={_quoted(value)}" for key, value in attributes.items())
    if node.box is not None:
        x, y, width, height = node.box
        parts.append(f' cp:screencoord="({x}, {y})" cp:size="({width}, {height})"')
    parts.extend(f" val:{key}={_quoted(value)}" for key, value in node.values.items())
    for name, (_, description, binding) in {_tag(a[0]): a for a in node.actions}.items():
        parts.append(f" act:{name}_desc={_quoted(description)} act:{name}_kb={_quoted(binding)}")
    parts.extend(f' {flag}="true"' for flag in ("image", "selection") if flag.capitalize() in node.interfaces)
    text = _clean(node.text.replace("\ufffc", "").replace("\ufffd", "")) if node.text else ""
    if not node.children and not text:
        parts.append("/>")
        return
    parts.append(">" + escape(text, {"\r": "&#13;"}))
    for child in node.children:
        _write(child, parts)
    parts.append(f"</{tag}>")


@lru_cache(1024)
def _states(states: frozenset[str]) -> str:
    return "".join(f' st:{state}="true"' for state in sorted(states))


def _tag(name: str) -> str:
    return _short_tag(name[:MAX_TAG])


@lru_cache(1024)
def _short_tag(name: str) -> str:
    """A role or key as an XML name, with spaces replaced by dashes."""
    tag = _NOT_A_NAME.sub("", name.strip().replace(" ", "-")) or "unknown"
    return tag if tag[0].isalpha() or tag[0] == "_" else f"_{tag}"


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("", text)


def _quoted(text: str) -> str:
    return _short_quoted(text) if len(text) <= MAX_CACHED else quoteattr(_clean(text))


@lru_cache(1024)
def _short_quoted(text: str) -> str:
    return quoteattr(_clean(text))
