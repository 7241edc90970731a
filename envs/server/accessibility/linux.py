"""AT-SPI: every application's nodes, read by concurrent requests.

Interfaces and members follow at-spi2-core's D-Bus protocol (its xml/*.xml). All requests for a node go out as soon as
its parent has named it, so no application waits for another. `Cache.GetItems` would answer many requests at once. But
applications offer it only when something listens to their events, which would slow them down.
"""

from __future__ import annotations

import contextlib
import gc
import json
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice
from typing import Any

from deskbench.envs.server.accessibility import messages
from deskbench.envs.server.accessibility.bus import (
    REGISTRY,
    ROOT,
    AccessibilityError,
    Bus,
    SigningUp,
    patiently,
)
from deskbench.envs.server.accessibility.cells import BOX, MAX_SHOWN, ShownCells
from deskbench.envs.server.accessibility.constants import ROLES, STATES
from deskbench.envs.server.accessibility.markup import Node, to_xml
from deskbench.envs.server.accessibility.messages import Question
from deskbench.envs.server.accessibility.office import put_below_menu_bars

MAX_DEPTH = 50
MAX_WIDTH = 1024
"""OSWorld's limits."""
MAX_NODES = 20_000
MAX_PATH = 1024
"""The most characters of an object's path, which a dozen requests repeat."""
MAX_WRITTEN = 20 * 2**20
"""The most bytes of a tree in JSON; the controller reads half as much again, for the rest of the answer."""
MAX_TERMINAL = 2**20
"""The most characters of a terminal's text; its end is kept."""
TERMINAL_SECONDS = 2.0
LOOK_SECONDS = 1.0
_A11Y = "org.a11y.atspi."
_NULL = "/org/a11y/atspi/null"


def _property(interface: str, name: str) -> Question:
    return messages.property_of(_A11Y + interface, name)


_NODE = _A11Y + "Accessible"
NAME = _property("Accessible", "Name")
ROLE = Question(_NODE, "GetRole", "u", messages.number)
STATE = Question(_NODE, "GetState", "au", messages.numbers)
INTERFACES = Question(_NODE, "GetInterfaces", "as", messages.strings)
ATTRIBUTES = Question(_NODE, "GetAttributes", "a{ss}", messages.pairs)
CHILDREN = Question(_NODE, "GetChildren", "a(so)", messages.pairs)
COUNT = _property("Accessible", "ChildCount")
TEXT = Question(_A11Y + "Text", "GetText", "s", messages.string, "ii", struct.pack("<ii", 0, -1))
ACTIONS = Question(_A11Y + "Action", "GetActions", "a(sss)", messages.triples)


@lru_cache(256)
def _action_name(index: int) -> Question:
    return Question(_A11Y + "Action", "GetName", "s", messages.string, "i", struct.pack("<i", index))


VALUES = {
    key: _property("Value", name)
    for key, name in {
        "value": "CurrentValue", "min": "MinimumValue", "max": "MaximumValue", "step": "MinimumIncrement",
    }.items()
}  # fmt: skip
EVERYTHING = (NAME, ROLE, STATE, INTERFACES, ATTRIBUTES)
SKELETON = (ROLE, STATE)
"""The requests for each node. Its children follow once its state is known."""

_lock = threading.Lock()
_bus: Bus | None = None
_first: str | None = None
"""The id of the session's bus. Applications look for a bus when they start, and never for another."""
_signing_up = SigningUp()
_action_names: dict[tuple[str, int, str, str], str] = {}
"""An action's name, by application, number, localized name and description. `GetActions` returns only the last two."""
MAX_ACTION_NAMES = 10_000
MAX_ACTION_NAME = 1024
"""The most characters remembered of an action."""
MAX_INTERFACES = 64


def tree(timeout: float) -> tuple[str, bool]:
    """OSWorld's XML of all applications, and whether it is complete.

    Args:
        timeout: seconds; after that, returns what has been read.

    Raises:
        AccessibilityError: there is no accessibility bus, or the programs' answers make no tree that can be sent.
    """
    with _lock, _whatever_they_say(), _collecting_later():
        found, whole = _reading(lambda bus: _Reader(bus, time.monotonic() + timeout, EVERYTHING))
        put_below_menu_bars(found)
        written = to_xml(found)
    if len(written) * 6 > MAX_WRITTEN and len(json.dumps(written)) > MAX_WRITTEN:
        raise AccessibilityError(f"the tree has more than {MAX_WRITTEN} bytes")
    return written, whole


def terminal_text() -> str | None:
    """The text of the focused terminal in the active window, without trailing blanks; None without a focused terminal.

    Raises:
        AccessibilityError: there is no accessibility bus, or the programs' answers cannot be read.
    """
    with _lock, _whatever_they_say():
        deadline = time.monotonic() + patiently(TERMINAL_SECONDS)
        found, _ = _reading(lambda bus: _Reader(bus, deadline, SKELETON, enter=_may_hold_terminal))
        frames = [frame for root in found for frame in root.children if "active" in frame.states]
        nodes = [node for frame in frames for node in _walk(frame)]
        terminals = [node for node in nodes if node.role == "terminal" and "focused" in node.states]
        if len(terminals) != 1:
            return None
        bus, node = _connected(), terminals[0]
        bus.ask(node.bus, node.path, TEXT, partial(_set_text, node))
        bus.run(deadline)
        return node.text.rstrip()[-MAX_TERMINAL:]


@contextlib.contextmanager
def _whatever_they_say() -> Iterator[None]:
    """Turn any error that a program's answer causes into AccessibilityError, so that it does not end the step."""
    try:
        yield
    except AccessibilityError:
        raise
    except Exception as error:  # noqa: BLE001  (the boundary to programs)
        _disconnect()
        raise AccessibilityError(f"a program's answer cannot be read: {type(error).__name__}: {error}") from None


@contextlib.contextmanager
def _collecting_later() -> Iterator[None]:
    """Do without the cycle collector: it would look again and again through nodes that are all still needed."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def why_not() -> str | None:
    """Why accessibility does not work here, in one line, or None."""
    if _bus is not None or not _lock.acquire(timeout=LOOK_SECONDS):
        return None  # a reading is under way
    try:
        _connected()
    except AccessibilityError as error:
        return str(error)
    finally:
        _lock.release()
    return None


def _may_hold_terminal(node: Node, depth: int) -> bool:
    return depth == 0 or "active" in node.states or depth > 1


def _reading(make: Callable[[Bus], _Reader]) -> tuple[list[Node], bool]:
    """Read the nodes. If the bus has ended since the last time, connect once more."""
    fresh = _bus is None
    try:
        return make(_connected()).read()
    except AccessibilityError:
        _disconnect()
        if fresh:
            raise
    return make(_connected()).read()


def _connected() -> Bus:
    global _bus, _first  # noqa: PLW0603  (one connection for the life of the desktop)
    if _bus is None:
        found = Bus()
        _first = _first or found.id
        if found.id != _first:
            found.close()
            raise AccessibilityError("the accessibility bus has ended; running programs are not on the new one")
        _bus = found
    return _bus


def _disconnect() -> None:
    global _bus  # noqa: PLW0603  (one connection for the life of the desktop)
    if _bus is not None:
        _bus.close()
    _bus = None
    _action_names.clear()


class _Reader:
    """One reading.

    Args:
        bus: the bus to ask.
        deadline: monotonic seconds.
        asked: the requests for every node.
        enter: whether to read a node's children, given the node and its depth (an application's is 0).
    """

    def __init__(
        self,
        bus: Bus,
        deadline: float,
        asked: tuple[Question, ...],
        enter: Callable[[Node, int], bool] = lambda node, depth: True,
    ) -> None:
        self._bus, self._deadline, self._asked, self._enter = bus, deadline, asked, enter
        self._count = 0
        self._cut = False

    def read(self) -> tuple[list[Node], bool]:
        """The applications with their trees, and whether they are complete."""
        self._bus.begin()
        roots = self._applications()
        self._bus.meet({name for name, _ in roots}, self._deadline)
        nodes = [Node(name, path, role="") for name, path in roots]
        for node in nodes:
            self._ask_about(node, 0)
        self._bus.run(self._deadline)
        for node in nodes:
            if node.bus in self._bus.slow:  # keep it, even though it did not answer everything
                node.role = node.role or "application"
        return _present(nodes), not self._bus.slow and not self._cut

    def _applications(self) -> list[tuple[str, str]]:
        found: list[Any] = []
        self._bus.ask(REGISTRY, ROOT, CHILDREN, found.append)
        self._bus.run(self._deadline)
        if not found or found[0] is None:
            raise AccessibilityError("the accessibility registry does not answer")
        self._cut = _signing_up.goes_on(self._bus.registry(self._deadline - time.monotonic()))
        return list(found[0][:MAX_WIDTH])

    def _ask_about(self, node: Node, depth: int) -> None:
        self._count += 1
        for question in self._asked:
            self._bus.ask(node.bus, node.path, question, partial(self._take, node, depth, question))

    def _take(self, node: Node, depth: int, question: Question, value: Any) -> None:
        """Store an answer about a node. None means that it was refused."""
        if value is None:
            return
        if question is NAME:
            node.name = value if isinstance(value, str) else ""
        elif question is ROLE:
            node.role = ROLES[value] if value < len(ROLES) else "unknown"
        elif question is STATE:
            node.states = _states(value[:2])
            self._ask_for_place(node)
            self._ask_for_children(node, depth)
        elif question is INTERFACES:
            node.interfaces = _interfaces(value[:MAX_INTERFACES])
            self._ask_for_place(node)
            self._ask_details(node)
        elif question is ATTRIBUTES:
            node.attributes = dict(value)

    def _ask_for_children(self, node: Node, depth: int) -> None:
        """Ask a node for its children. A node that creates them on request may have too many, so ask for their count
        first.
        """
        if depth >= MAX_DEPTH or not self._enter(node, depth):
            return
        if "manages_descendants" in node.states:
            self._bus.ask(node.bus, node.path, COUNT, partial(self._take_count, node, depth))
        else:
            self._bus.ask(node.bus, node.path, CHILDREN, partial(self._take_children, node, depth))

    def _take_count(self, node: Node, depth: int, count: Any) -> None:
        if isinstance(count, int) and 0 <= count <= MAX_WIDTH:
            self._bus.ask(node.bus, node.path, CHILDREN, partial(self._take_children, node, depth))
        else:
            ShownCells(self._bus, node.bus, node.path, partial(self._take_shown, node, depth))

    def _take_shown(self, node: Node, depth: int, cells: list[tuple[str, str]] | None) -> None:
        if cells is None:
            self._cut = True
        self._take_children(node, depth, cells, MAX_SHOWN)

    def _take_children(
        self, node: Node, depth: int, refs: Sequence[tuple[str, str]] | None, most: int = MAX_WIDTH
    ) -> None:
        if refs is not None and len(refs) > most:
            self._cut = True
        for name, path in islice(refs or (), most):
            if path == _NULL or len(path) > MAX_PATH or len(name) > MAX_PATH:
                continue
            if self._count >= MAX_NODES:
                self._cut = True
                return
            node.children.append(Node(name or node.bus, path, role=""))
            self._ask_about(node.children[-1], depth + 1)

    def _ask_for_place(self, node: Node) -> None:
        """Ask where a node is, as soon as both its states and its interfaces are known; either may be first."""
        if "Component" in node.interfaces and {"visible", "showing"} <= node.states:
            self._bus.ask(node.bus, node.path, BOX, partial(_set_box, node))

    def _ask_details(self, node: Node) -> None:
        """Ask what only some interfaces answer."""
        if "Text" in node.interfaces:
            self._bus.ask(node.bus, node.path, TEXT, partial(_set_text, node))
        if "Action" in node.interfaces:
            self._bus.ask(node.bus, node.path, ACTIONS, partial(self._take_actions, node))
        if "Value" in node.interfaces:
            for key, question in VALUES.items():
                self._bus.ask(node.bus, node.path, question, partial(_set_value, node, key))

    def _take_actions(self, node: Node, actions: Iterable[tuple[str, str, str]] | None) -> None:
        """Store the actions, and ask for the real names of those not seen before; most have been.

        GTK 2 gives no localized names, so its actions cannot be recognised.
        """
        for index, (localized, description, binding) in enumerate(actions or ()):
            key = (node.bus, index, localized, description)
            name = _action_names.get(key) if localized else None
            node.actions.append((name or localized, description, binding))
            if name is None:
                self._bus.ask(node.bus, node.path, _action_name(index), partial(_set_action_name, node, key))


def _set_box(node: Node, value: tuple[int, int, int, int] | None) -> None:
    node.box = value


def _set_text(node: Node, value: str | None) -> None:
    node.text = value or ""


def _set_action_name(node: Node, key: tuple[str, int, str, str], name: str | None) -> None:
    if name is None:
        return
    if len(_action_names) >= MAX_ACTION_NAMES:
        _action_names.clear()
    if len(key[2]) + len(key[3]) + len(name) <= MAX_ACTION_NAME:
        _action_names[key] = name
    node.actions[key[1]] = (name, *node.actions[key[1]][1:])


def _set_value(node: Node, key: str, value: float | None) -> None:
    if value is not None:
        node.values[key] = str(value)


@lru_cache(1024)
def _states(words: tuple[int, ...]) -> frozenset[str]:
    bits = sum(word << 32 * index for index, word in enumerate(words[:2]))
    return frozenset(state for index, state in enumerate(STATES) if bits >> index & 1)


@lru_cache(1024)
def _interfaces(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name.rpartition(".")[2] for name in names)


def _present(nodes: list[Node]) -> list[Node]:
    """Drop nodes without a role: they went away during the reading."""
    found = [node for node in nodes if node.role]
    for node in found:
        node.children = _present(node.children)
    return found


def _walk(node: Node) -> Iterable[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)
