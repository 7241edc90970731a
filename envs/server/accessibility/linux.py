"""AT-SPI: every application's nodes, read in a few rounds of calls that run side by side.

Interfaces and members are those of at-spi2-core's D-Bus protocol (xml/*.xml there). An application's cache
(`Cache.GetItems`) gives most nodes at once; those that it lacks are asked for one by one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

from deskbench.envs.server.accessibility.bus import AccessibilityError, Bus, Call
from deskbench.envs.server.accessibility.constants import ROLES, STATES
from deskbench.envs.server.accessibility.markup import Node, to_xml

MAX_DEPTH = 50
MAX_WIDTH = 1024
"""OSWorld's limits."""
MAX_NODES = 20_000
_A11Y = "org.a11y.atspi."
_ROOT = "/org/a11y/atspi/accessible/root"
_NULL = "/org/a11y/atspi/null"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_VALUES = {"CurrentValue": "value", "MinimumValue": "min", "MaximumValue": "max", "MinimumIncrement": "step"}

_lock = threading.Lock()
_bus: Bus | None = None


def tree(timeout: float) -> tuple[str, bool]:
    """OSWorld's XML of all applications, and whether it is whole.

    Args:
        timeout: seconds; what was read by then is answered.

    Raises:
        AccessibilityError: there is no accessibility bus.
    """
    with _lock:
        reader = _Reader(_connected(), time.monotonic() + timeout)
        try:
            applications = reader.read()
        except (OSError, AccessibilityError) as error:
            _disconnect()
            raise AccessibilityError(str(error)) from None
        return to_xml(applications), not reader.slow and not reader.cut


def terminal_text() -> str | None:
    """Text of the focused terminal in the active window, its blank end stripped; None when there is none.

    Raises:
        AccessibilityError: there is no accessibility bus.
    """
    with _lock:
        reader = _Reader(_connected(), time.monotonic() + 2.0)
        try:
            return reader.terminal()
        except OSError as error:
            _disconnect()
            raise AccessibilityError(str(error)) from None


def why_not() -> str | None:
    """Why there is no accessibility here, in one line, or None."""
    try:
        with _lock:
            _connected()
    except AccessibilityError as error:
        return str(error)
    return None


def _connected() -> Bus:
    global _bus  # noqa: PLW0603  (one connection for the life of the desktop)
    if _bus is None:
        _bus = Bus()
    return _bus


def _disconnect() -> None:
    global _bus  # noqa: PLW0603
    if _bus is not None:
        _bus.close()
    _bus = None


class _Reader:
    """One reading of the whole tree."""

    def __init__(self, bus: Bus, deadline: float) -> None:
        self._bus = bus
        self._deadline = deadline
        self._known: dict[tuple[str, str], Node] = {}
        self._shape: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self.slow: set[str] = set()
        self.cut = False

    def read(self) -> list[Node]:
        """All applications with their trees."""
        roots = self._applications()
        self._read_caches({bus for bus, _ in roots})
        self._complete(roots)
        found = [self._assemble(root, 0) for root in roots if root in self._known]
        self._details([node for root in found for node in _walk(root)])
        return found

    def terminal(self) -> str | None:
        """See `terminal_text`."""
        roots = self._applications()
        self._read_caches({bus for bus, _ in roots})
        self._complete(roots)
        for root in (self._assemble(r, 0) for r in roots if r in self._known):
            for frame in root.children:
                if "active" in frame.states:
                    found = [n for n in _walk(frame) if n.role == "terminal" and "focused" in n.states]
                    if len(found) == 1:
                        self._details(found)
                        return found[0].text.rstrip()
        return None

    def _ask(self, calls: Iterable[Call]) -> dict[Any, Any]:
        return self._bus.ask(calls, self._deadline, self.slow)

    def _applications(self) -> list[tuple[str, str]]:
        call = Call("apps", _A11Y + "Registry", _ROOT, _A11Y + "Accessible", "GetChildren")
        answer = self._ask([call]).get("apps")
        if answer is None:
            raise AccessibilityError("the accessibility registry does not answer")
        return [(str(bus), str(path)) for bus, path in answer[0]][:MAX_WIDTH]

    def _read_caches(self, names: set[str]) -> None:
        calls = [Call(n, n, "/org/a11y/atspi/cache", _A11Y + "Cache", "GetItems") for n in names]
        for items, *_ in self._ask(calls).values():
            by_parent: dict[tuple[str, str], list[tuple[int, tuple[str, str]]]] = {}
            for item in items:
                self._take_item(item, by_parent)
            for parent, children in by_parent.items():
                self._shape[parent] = [ref for _, ref in sorted(children)]

    def _take_item(self, item: Any, by_parent: dict[tuple[str, str], list[tuple[int, tuple[str, str]]]]) -> None:
        """One cache item, (so)(so)(so)iiassusau; the older form with a list of children is left to `_complete`."""
        if not isinstance(item[3], int):
            return
        ref, _, parent, index, count, interfaces, name, role, _, states = item
        self._known[ref] = _node(ref, name, role, states, interfaces)
        by_parent.setdefault(parent, []).append((index, ref))
        if count == 0:
            self._shape.setdefault(ref, [])
        self._counts[ref] = count

    def _complete(self, roots: list[tuple[str, str]]) -> None:
        """Ask for the nodes and children that the caches lack, level by level."""
        level = list(roots)
        for _ in range(MAX_DEPTH):
            self._fetch_nodes([ref for ref in level if ref not in self._known])
            level = [ref for ref in level if ref in self._known]
            self._fetch_children([ref for ref in level if not self._children_known(ref)])
            level = [child for ref in level for child in self._shape.get(ref, [])[:MAX_WIDTH]]
            if not level or len(self._known) > MAX_NODES:
                self.cut |= bool(level)
                return

    def _children_known(self, ref: tuple[str, str]) -> bool:
        shape, count = self._shape.get(ref), self._counts.get(ref)
        return shape is not None and count is not None and len(shape) == count

    def _fetch_children(self, refs: list[tuple[str, str]]) -> None:
        calls = [Call(ref, *ref, _A11Y + "Accessible", "GetChildren") for ref in refs]
        for ref, body in self._ask(calls).items():
            self._shape[ref] = [(str(b), str(p)) for b, p in body[0] if p != _NULL]
            self._counts[ref] = len(self._shape[ref])

    def _fetch_nodes(self, refs: list[tuple[str, str]]) -> None:
        calls = []
        for ref in refs:
            calls.append(Call((ref, "name"), *ref, _PROPERTIES, "Get", "ss", (_A11Y + "Accessible", "Name")))
            calls += [
                Call((ref, member), *ref, _A11Y + "Accessible", member)
                for member in ("GetRole", "GetState", "GetInterfaces")
            ]
        found = self._ask(calls)
        for ref in refs:
            if (ref, "GetRole") not in found:
                continue  # it went away while we read
            name = found.get((ref, "name"), (("s", ""),))[0][1]
            states = found.get((ref, "GetState"), ([0, 0],))[0]
            interfaces = found.get((ref, "GetInterfaces"), ([],))[0]
            self._known[ref] = _node(ref, name, found[ref, "GetRole"][0], states, interfaces)

    def _assemble(self, ref: tuple[str, str], depth: int) -> Node:
        node = self._known[ref]
        if depth < MAX_DEPTH:
            refs = [r for r in self._shape.get(ref, ())[:MAX_WIDTH] if r in self._known]
            node.children = [self._assemble(child, depth + 1) for child in refs]
        return node

    def _details(self, nodes: list[Node]) -> None:
        calls = []
        for node in nodes:
            calls += _detail_calls(node)
        by_ref = {(node.bus, node.path): node for node in nodes}
        for (ref, what), body in self._ask(calls).items():
            _take_detail(by_ref[ref], what, body)


def _walk(node: Node) -> Iterable[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _node(ref: tuple[str, str], name: str, role: int, states: list[int], interfaces: list[str]) -> Node:
    bits = states[0] | (states[1] << 32 if len(states) > 1 else 0)
    return Node(
        bus=ref[0],
        path=ref[1],
        name=name,
        role=ROLES[role] if 0 <= role < len(ROLES) else "unknown",
        states=frozenset(s for i, s in enumerate(STATES) if bits >> i & 1),
        interfaces=frozenset(i.rpartition(".")[2] for i in interfaces),
    )


def _detail_calls(node: Node) -> list[Call]:
    ref = (node.bus, node.path)
    calls = [Call((ref, "attributes"), *ref, _A11Y + "Accessible", "GetAttributes")]
    if {"visible", "showing"} <= node.states and "Component" in node.interfaces:
        calls.append(Call((ref, "box"), *ref, _A11Y + "Component", "GetExtents", "u", (0,)))
    if "Text" in node.interfaces:
        calls.append(Call((ref, "text"), *ref, _A11Y + "Text", "GetText", "ii", (0, -1)))
    if "Value" in node.interfaces:
        calls += [Call((ref, p), *ref, _PROPERTIES, "Get", "ss", (_A11Y + "Value", p)) for p in _VALUES]
    if "Action" in node.interfaces:
        calls.append(Call((ref, "actions"), *ref, _A11Y + "Action", "GetActions"))
    return calls


def _take_detail(node: Node, what: str, body: Any) -> None:
    if what == "attributes":
        node.attributes = dict(body[0])
    elif what == "box":
        node.box = tuple(body[0])
    elif what == "text":
        node.text = body[0]
    elif what == "actions":
        node.actions = [(name, description, binding) for name, description, binding in body[0]]
    else:
        node.values[_VALUES[what]] = str(body[0][1])
