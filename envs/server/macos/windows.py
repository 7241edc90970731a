"""Top-level windows of macOS: listing, activating and closing them, and checking the result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deskbench.envs import wait
from deskbench.envs.server.http.server import HttpError
from deskbench.envs.server.macos.ax import Accessibility

PROOF_SECONDS = 5.0


class Windows:
    """The session's windows, through accessibility."""

    def __init__(self, accessibility: Accessibility) -> None:
        self._accessibility = accessibility

    def listing(self) -> list[dict[str, Any]]:
        """The programs' windows as JSON of `envs.desktop.Window`, those of the front program last."""
        found = [self._describe(program, window) for program, window in self._all()]
        return sorted(found, key=lambda one: bool(one["active"]))

    def _all(self) -> Iterator[tuple[Any, Any]]:
        for program in self._accessibility.programs():
            for window in self._accessibility.windows_of(program):
                yield program, window

    def _describe(self, program: Any, window: Any) -> dict[str, Any]:
        x, y, width, height = self._accessibility.box(window) or (0, 0, 0, 0)
        return {
            "id": hex(hash((program.processIdentifier(), window)) & 0xFFFFFFFF),
            "title": self._accessibility.title(window), "wm_class": str(program.localizedName() or ""),
            "x": x, "y": y, "width": width, "height": height,
            "active": bool(program.isActive()) and self._accessibility.is_main(window),
        }  # fmt: skip

    def activate(self, name: str, *, strict: bool, by_class: bool) -> None:
        """Raise and focus a matching window, and wait until it is active.

        Raises:
            HttpError: 404, no such window; 500, it did not become active.
        """
        program, window = self._match(name, strict, by_class)

        def raised() -> bool:
            self._accessibility.raise_(program, window)
            return bool(self._describe(program, window)["active"])

        if not wait.until(raised, timeout=PROOF_SECONDS, interval=0.1):
            raise HttpError(500, f"the window {name!r} did not become active")

    def close(self, name: str, *, strict: bool, by_class: bool) -> None:
        """Ask a matching window to close.

        Raises:
            HttpError: 404, no such window; 500, it cannot be closed.
        """
        _, window = self._match(name, strict, by_class)
        if not self._accessibility.close(window):
            raise HttpError(500, f"the window {name!r} has no button to close it")

    def _match(self, name: str, strict: bool, by_class: bool) -> tuple[Any, Any]:
        seen = []
        for program, window in self._all():
            whole = str(self._describe(program, window)["wm_class" if by_class else "title"])
            if whole == name if strict else name.lower() in whole.lower():
                return program, window
            seen.append(repr(whole))
        raise HttpError(404, f"no window {name!r}; there are: {', '.join(seen) or 'none'}")
