"""Top-level windows, through the window manager's properties (EWMH): listing, activating and closing, with checks."""

from __future__ import annotations

import threading
from typing import Any

from deskbench.envs import wait
from deskbench.envs.server.http.server import HttpError
from deskbench.envs.server.x11.activity import LOOK_SECONDS, Rest, goes_on

MAX_WORDS = 4096
"""The most 4-byte words to read of a property, which a program can make as long as it likes."""
MAX_WINDOWS = 1000
"""The most windows listed, topmost first; each takes a handful of requests."""
PROOF_SECONDS = 5.0
CLOSE_SECONDS = 45.0
"""Seconds that a closed window may take to disappear, and its program to end, while the program is busy."""
CLOSE_LOOKS = 60
"""After this many looks at an idle program, its window counts as staying open: at least three seconds."""


class Windows:
    """Uses one connection to X. Safe to use from several threads. `patience`: how many times slower the machine is."""

    def __init__(self, display_name: str | None = None, patience: float = 1.0) -> None:
        from Xlib import display

        self._patience = patience
        self._display = display.Display(display_name)
        self._root = self._display.screen().root
        self._lock = threading.Lock()

    def listing(self) -> list[dict[str, Any]]:
        """The managed windows, bottom to top, as JSON of `envs.desktop.Window`."""
        with self._lock:
            ids = list(self._property(self._root, "_NET_CLIENT_LIST_STACKING") or [])
            active = (self._property(self._root, "_NET_ACTIVE_WINDOW") or [0])[0]
            return [found for number in ids[-MAX_WINDOWS:] if (found := self._describe(number, active)) is not None]

    def activate(self, name: str, *, strict: bool, by_class: bool) -> None:
        """Raise and focus the topmost match, and wait until it is the active window.

        Raises:
            HttpError: 404, no such window; 500, it did not become active.
        """
        wanted = str(self._match(name, strict, by_class)["id"])
        self._tell(wanted, "_NET_ACTIVE_WINDOW", [2, 0, 0, 0, 0])
        if not wait.until(lambda: self._is_active(wanted), timeout=PROOF_SECONDS):
            raise HttpError(500, f"the window {name!r} did not become active")

    def close(self, name: str, *, strict: bool, by_class: bool) -> None:
        """Ask the topmost match to close; return when it is gone, or when its program asks a question.

        If it was the program's last window, the program gets time to end. Until then, it could take the next file to
        open, and then end without showing it. It may take as long as it stays busy, however slow the machine is. A
        program that becomes idle without a window stays on purpose.

        Raises:
            HttpError: 404, no such window.
        """
        window = self._match(name, strict, by_class)["id"]
        before, program = self._ids(), self._program(window)
        self._tell(window, "_NET_CLOSE_WINDOW", [0, 2, 0, 0, 0])
        rest = Rest(CLOSE_LOOKS, program)
        wait.until(
            lambda: self._closed(window, program, before) or rest.reached(), timeout=CLOSE_SECONDS * self._patience,
            max_interval=LOOK_SECONDS,
        )  # fmt: skip

    def _closed(self, window: str, program: int, before: set[str]) -> bool:
        now = self._ids()
        others = now - before if window in now else now
        asks_or_has_more = any(self._program(other) == program for other in others)
        return asks_or_has_more or (window not in now and not goes_on(program))

    def _ids(self) -> set[str]:
        return {w["id"] for w in self.listing()}

    def _program(self, window: str) -> int:
        """The process that a window claims to belong to; 0 if it names no process or is gone."""
        from Xlib.error import BadWindow

        with self._lock:
            try:
                found = self._property(self._display.create_resource_object("window", int(window, 16)), "_NET_WM_PID")
            except BadWindow:
                return 0
        return int(found[0]) if found else 0

    def _match(self, name: str, strict: bool, by_class: bool) -> dict[str, Any]:
        windows = self.listing()
        window: dict[str, Any]
        for window in reversed(windows):
            parts = window["wm_class"].split(".") if by_class else [window["title"]]
            if any(part == name if strict else name.lower() in part.lower() for part in [*parts, ".".join(parts)]):
                return window
        titles = ", ".join(repr(w["wm_class"] if by_class else w["title"]) for w in windows) or "none"
        raise HttpError(404, f"no window {name!r}; there are: {titles}")

    def _is_active(self, wanted: str) -> bool:
        return any(w["id"] == wanted and w["active"] for w in self.listing())

    def _tell(self, window: str, message: str, data: list[int]) -> None:
        from Xlib import X
        from Xlib.protocol import event

        with self._lock:
            target = self._display.create_resource_object("window", int(window, 16))
            kind = self._display.intern_atom(message)
            said = event.ClientMessage(window=target, client_type=kind, data=(32, data))
            self._root.send_event(said, event_mask=X.SubstructureRedirectMask | X.SubstructureNotifyMask)
            self._display.sync()

    def _property(self, window: Any, name: str) -> Any:
        found = self._found(window, name)
        return found.value if found is not None else None

    def _found(self, window: Any, name: str) -> Any:
        from Xlib import X

        return window.get_property(self._display.intern_atom(name), X.AnyPropertyType, 0, MAX_WORDS)

    def _text(self, window: Any, name: str) -> str:
        """A property's text. Any program may have stored numbers there, which count as empty."""
        from Xlib import Xatom

        found = self._found(window, name)
        if found is None or not isinstance(found.value, bytes):
            return ""
        return found.value.decode("latin-1" if found.property_type == Xatom.STRING else "utf-8", "replace")

    def _describe(self, number: int, active: int) -> dict[str, Any] | None:
        from Xlib.error import BadDrawable, BadWindow

        window = self._display.create_resource_object("window", number)
        try:
            title = self._text(window, "_NET_WM_NAME") or self._text(window, "WM_NAME")
            wm_class = self._text(window, "WM_CLASS").split("\0")
            size = window.get_geometry()
            at = window.translate_coords(self._root, 0, 0)
        except (BadWindow, BadDrawable):
            return None  # it went away while we looked
        return {
            "id": hex(number),
            "title": title,
            "wm_class": ".".join(wm_class[:2]),
            "x": -at.x,
            "y": -at.y,
            "width": size.width,
            "height": size.height,
            "active": number == active,
        }
