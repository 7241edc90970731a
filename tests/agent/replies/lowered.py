"""Lists of actions as what reaches the desktop, so that two spellings of the same input compare equal.

A click with a key held is the key down, the click, the key up; a move and a click are a click there; a line end in a
text is Enter. Waits count only where there is nothing else.
"""

from typing import Any

Event = tuple[Any, ...]


def lowered(actions: list[dict[str, Any]]) -> list[Event]:
    """Canonical actions (JSON) as events."""
    events = _Events(all(action["type"] == "wait" for action in actions))
    for action in actions:
        events.add(action)
    return events.found


class _Events:
    def __init__(self, waits: bool) -> None:
        self.found: list[Event] = []
        self._waits = waits
        self._at: tuple[int, int] | None = None

    def add(self, action: dict[str, Any]) -> None:
        held = action.get("modifiers", [])
        self.found += [("down", key) for key in held]
        self._one(action)
        self.found += [("up", key) for key in reversed(held)]

    def _go(self, point: Any) -> None:
        if point is not None and point[0] is not None and tuple(point) != self._at:
            self.found.append(("move", *point))
            self._at = tuple(point)

    def _keys(self, keys: list[str]) -> None:
        self.found += [("down", key) for key in keys] + [("up", key) for key in reversed(keys)]

    def _one(self, action: dict[str, Any]) -> None:
        kind = action["type"]
        if kind in ("move", "click", "mouse_down", "mouse_up", "scroll"):
            self._go((action.get("x"), action.get("y")))
        if kind == "click":
            self.found += [("press", action["button"]), ("release", action["button"])] * action["count"]
        elif kind in ("mouse_down", "mouse_up"):
            self.found.append(("press" if kind == "mouse_down" else "release", action["button"]))
        elif kind == "drag":
            self._go(action["path"][0])
            self.found.append(("press", action["button"]))
            for point in action["path"][1:]:
                self._go(point)
            self.found.append(("release", action["button"]))
        elif kind == "scroll":
            self.found.append(("wheel", action["dx"], action["dy"]))
        else:
            self._other(kind, action)

    def _other(self, kind: str, action: dict[str, Any]) -> None:
        if kind == "type":
            self._text(action["text"])
        elif kind == "key":
            self._keys(action["keys"])
        elif kind in ("key_down", "key_up"):
            self.found.append((kind[4:], action["key"]))
        elif kind == "zoom":
            self.found.append(("zoom", *action["region"]))
        elif kind == "wait":
            self.found += [("wait", action.get("seconds"))] if self._waits else []
        elif kind != "move":
            self.found.append((kind, action.get("answer") or action.get("reason") or action.get("text")))

    def _text(self, text: str) -> None:
        for index, part in enumerate(text.split("\n")):
            if index:
                self._keys(["enter"])
            if part and self.found and self.found[-1][0] == "text":
                self.found[-1] = ("text", self.found[-1][1] + part)
            elif part:
                self.found.append(("text", part))


def same(got: list[dict[str, Any]], wanted: list[dict[str, Any]], tolerance: int = 1) -> bool:
    """Whether two lists of actions do the same, points within a tolerance in pixels.

    What an answer, a reason or a wait holds counts only where it is wanted.
    """
    ours, theirs = lowered(got), lowered(wanted)
    return len(ours) == len(theirs) and all(
        one[0] == other[0] and len(one) == len(other) and _same_values(one, other, tolerance)
        for one, other in zip(ours, theirs, strict=True)
    )


def _same_values(one: Event, other: Event, tolerance: int) -> bool:
    for value, wanted in zip(one[1:], other[1:], strict=True):
        if one[0] in ("move", "zoom"):
            if abs(value - wanted) > tolerance:
                return False
        elif one[0] in ("done", "fail", "ask_user", "wait"):
            if wanted is not None and value != wanted:
                return False
        elif value != wanted:
            return False
    return True
