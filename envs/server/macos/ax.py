"""Accessibility (AXUIElement): the programs' windows and their contents as OSWorld's XML for macOS; raising and
closing.

Attribute names are those of AXAttributeConstants.h. As in OSWorld's server, a tag is the role's description with `_` in
place of spaces, attributes keep their AX names, and an element's text is its value.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from deskbench.envs.server.elements import Element, to_xml, truth

MESSAGE_SECONDS = 1.0
"""Seconds that one request to a program may take."""
MAX_DEPTH = 50
MAX_NODES = 20_000
POINT, SIZE = 1, 2
"""kAXValueTypeCGPoint, kAXValueTypeCGSize."""
STATES = {"AXEnabled": "enabled", "AXFocused": "focused", "AXSelected": "selected", "AXExpanded": "expanded"}
TEXTS = {"AXHelp": "attr:AXHelp", "AXDescription": "attr:description", "AXIdentifier": "attr:AXIdentifier"}


class Accessibility:
    """Reads programs. `services` is PyObjC's ApplicationServices; `workspace` is AppKit's NSWorkspace."""

    def __init__(self, services: Any, workspace: Any) -> None:
        self._ax = services
        self._workspace = workspace

    def why_not(self) -> str:
        """Why accessibility does not work, in one line, or an empty string."""
        if self._ax.AXIsProcessTrusted():
            return ""
        return "the server lacks the permission for accessibility (see docker/macos)"

    def tree(self, timeout: float) -> tuple[str, bool]:
        """The XML, and whether it is complete; `timeout` in seconds."""
        reader = _Reader(self._ax, time.monotonic() + timeout)
        found = []
        for program in self.programs():
            name = str(program.localizedName() or "")
            windows = [reader.read(w, 0) for w in self.windows_of(program)] if reader.whole else []
            if windows:
                found.append(Element("application", name, {"role:AXRole": "AXApplication"}, None, "", windows))
        return to_xml("macos", found), reader.whole

    def programs(self) -> list[Any]:
        """Programs with a user interface: those that have windows or an icon in the Dock."""
        running = self._workspace.sharedWorkspace().runningApplications()
        return [program for program in running if program.activationPolicy() == 0]

    def windows_of(self, program: Any) -> list[Any]:
        """A program's windows as AXUIElements, the front one first."""
        element = self._ax.AXUIElementCreateApplication(program.processIdentifier())
        self._ax.AXUIElementSetMessagingTimeout(element, MESSAGE_SECONDS)
        return list(get(self._ax, element, "AXWindows") or [])

    def title(self, window: Any) -> str:
        """A window's title."""
        return str(get(self._ax, window, "AXTitle") or "")

    def box(self, window: Any) -> tuple[int, int, int, int] | None:
        """x, y, width, height in points."""
        return box_of(self._ax, window)

    def is_main(self, window: Any) -> bool:
        """Whether the window is its program's main one."""
        return bool(get(self._ax, window, "AXMain"))

    def raise_(self, program: Any, window: Any) -> None:
        """Bring a window to the front."""
        program.activateWithOptions_(2)  # NSApplicationActivateIgnoringOtherApps
        self._ax.AXUIElementPerformAction(window, "AXRaise")
        self._ax.AXUIElementSetAttributeValue(window, "AXMain", True)

    def close(self, window: Any) -> bool:
        """Press a window's close button; False if it has none."""
        button = get(self._ax, window, "AXCloseButton")
        return button is not None and self._ax.AXUIElementPerformAction(button, "AXPress") == 0


class _Reader:
    def __init__(self, services: Any, deadline: float) -> None:
        self._ax = services
        self._deadline = deadline
        self._count = 0
        self.whole = True

    def read(self, element: Any, depth: int) -> Element:
        self._count += 1
        made = self._describe(element)
        if depth < MAX_DEPTH:
            made.children += self._children(element, depth)
        return made

    def _children(self, element: Any, depth: int) -> Iterator[Element]:
        for child in get(self._ax, element, "AXChildren") or []:
            if time.monotonic() > self._deadline or self._count > MAX_NODES:
                self.whole = False
                return
            yield self.read(child, depth + 1)

    def _describe(self, element: Any) -> Element:
        def text(name: str) -> str:
            value = get(self._ax, element, name)
            return "" if value is None else str(value)

        role = text("AXRole")
        attributes = {"role:AXRole": role, "role:AXSubrole": text("AXSubrole")}
        for name, state in STATES.items():
            value = get(self._ax, element, name)
            if value is not None:
                attributes[f"st:{state}"] = truth(value)
        attributes |= {key: found for name, key in TEXTS.items() if (found := text(name))}
        tag = (text("AXRoleDescription") or role or "unknown").replace(" ", "_")
        return Element(tag, text("AXTitle") or text("AXDescription"), attributes, box_of(self._ax, element),
                       text("AXValue"))  # fmt: skip


def get(services: Any, element: Any, name: str) -> Any:
    """An attribute's value; None if there is none or the program does not answer."""
    error, value = services.AXUIElementCopyAttributeValue(element, name, None)
    return value if error == 0 else None


def box_of(services: Any, element: Any) -> tuple[int, int, int, int] | None:
    """x, y, width, height in points; None for an element without a position."""
    place, size = get(services, element, "AXPosition"), get(services, element, "AXSize")
    if place is None or size is None:
        return None
    there, point = services.AXValueGetValue(place, POINT, None)
    also, extent = services.AXValueGetValue(size, SIZE, None)
    if not (there and also):
        return None
    return int(point.x), int(point.y), int(extent.width), int(extent.height)
