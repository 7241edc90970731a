"""The macOS part without a Mac: the order of its events, and its tree, with stand-ins for Apple's calls."""

import plistlib
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from lxml import etree

from deskbench.envs.actions import parse_action
from deskbench.envs.providers import bundle
from deskbench.envs.server.macos.ax import Accessibility
from deskbench.envs.server.macos.input import Input
from deskbench.envs.server.macos.keys import KEYS, stroke
from deskbench.envs.server.macos.windows import Windows
from deskbench.envs.server.x11.keysyms import InputError
from deskbench.envs.targets import Target, find_point

SHIFT, CONTROL, COMMAND = 0x20000, 0x40000, 0x100000


@dataclass
class Quartz:
    """Quartz's event calls; posted events are recorded as (what, detail, flags)."""

    posted: list[tuple[Any, ...]] = field(default_factory=list)

    def CGEventCreate(self, source: None) -> dict[str, Any]:
        return {}

    def CGEventGetLocation(self, event: dict[str, Any]) -> SimpleNamespace:
        return SimpleNamespace(x=70.4, y=80.6)

    def CGEventCreateMouseEvent(self, source: None, kind: int, at: tuple[int, int], button: int) -> dict[str, Any]:
        return {"what": (kind, at, button)}

    def CGEventSetIntegerValueField(self, event: dict[str, Any], name: int, value: int) -> None:
        event["what"] += (value,)

    def CGEventCreateScrollWheelEvent(self, source: None, unit: int, wheels: int, *notches: int) -> dict[str, Any]:
        return {"what": ("wheel", *notches)}

    def CGEventCreateKeyboardEvent(self, source: None, code: int, down: bool) -> dict[str, Any]:
        return {"what": ("down" if down else "up", code)}

    def CGEventKeyboardSetUnicodeString(self, event: dict[str, Any], length: int, text: str) -> None:
        assert length == len(text.encode("utf-16-le")) // 2 <= 20
        event["what"] = (event["what"][0], text)

    def CGEventSetFlags(self, event: dict[str, Any], flags: int) -> None:
        event["flags"] = flags

    def CGEventPost(self, tap: int, event: dict[str, Any]) -> None:
        self.posted.append((*event["what"], event["flags"]))


def done(*actions: dict[str, Any]) -> list[tuple[Any, ...]]:
    quartz = Quartz()
    made = Input(quartz, 800, 600)
    for action in actions:
        made.perform(parse_action(action))
    return quartz.posted


def test_a_double_click_with_a_modifier_says_that_it_is_one() -> None:
    events = done({"type": "click", "x": 10, "y": 20, "count": 2, "modifiers": ["super"]})
    at = (10, 20)
    assert events == [
        (5, at, 0, 0), ("down", 0x37, COMMAND),
        (1, at, 0, 1, COMMAND), (2, at, 0, 1, COMMAND), (1, at, 0, 2, COMMAND), (2, at, 0, 2, COMMAND), ("up", 0x37, 0),
    ]  # fmt: skip


def test_a_click_without_a_point_is_where_the_pointer_is() -> None:
    assert done({"type": "click", "button": "back"}) == [(25, (70, 81), 3, 1, 0), (26, (70, 81), 3, 1, 0)]


def test_a_drag_moves_with_the_button_down_and_lets_it_go() -> None:
    kinds = [event[0] for event in done({"type": "drag", "path": [[0, 0], [30, 0]]})]
    assert kinds == [5, 1, 6, 6, 6, 6, 2]


def test_the_wheel_turns_up_and_right() -> None:
    events = done({"type": "scroll", "x": 1, "y": 1, "dx": 2, "dy": 1})
    assert events[1:] == [("wheel", 1, -1, 0), ("wheel", 0, -1, 0)]


def test_text_is_unicode_and_lines_end_with_enter() -> None:
    events = done({"type": "type", "text": "Grüße\t漢🙂\n"})
    downs = [event[1] for event in events if event[0] == "down"]
    assert downs == ["Grüße", KEYS["tab"], "漢🙂", KEYS["enter"]]
    long = [event[1] for event in done({"type": "type", "text": "🙂" * 25}) if event[0] == "down"]
    assert "".join(long) == "🙂" * 25  # no surrogate pair is split


def test_a_chord_is_held_in_order_and_a_sign_brings_its_shift() -> None:
    events = done({"type": "key", "keys": ["ctrl", "?"]})
    shift, slash = KEYS["shift"], stroke("/")
    assert slash is not None
    assert events == [
        ("down", KEYS["ctrl"], CONTROL), ("down", shift, CONTROL | SHIFT), ("down", slash[0], CONTROL | SHIFT),
        ("up", slash[0], CONTROL | SHIFT), ("up", shift, CONTROL), ("up", KEYS["ctrl"], 0),
    ]  # fmt: skip


def test_what_cannot_be_done_leaves_nothing_down() -> None:
    quartz = Quartz()
    made = Input(quartz, 800, 600)
    made.perform(parse_action({"type": "key_down", "key": "shift"}))
    with pytest.raises(InputError, match="off the screen"):
        made.perform(parse_action({"type": "drag", "path": [[1, 1], [900, 1]]}))
    with pytest.raises(InputError, match="has no key"):
        made.perform(parse_action({"type": "key", "keys": ["ctrl", "漢"]}))
    made.release_all()
    assert quartz.posted[-1] == ("up", KEYS["shift"], 0)
    assert sum(event[0] == "down" for event in quartz.posted) == sum(event[0] == "up" for event in quartz.posted)


@dataclass(frozen=True)
class Program:
    """An NSRunningApplication."""

    name: str = "TextEdit"

    def localizedName(self) -> str:
        return self.name

    def processIdentifier(self) -> int:
        return 7

    def activationPolicy(self) -> int:
        return 0

    def isActive(self) -> bool:
        return True

    def activateWithOptions_(self, options: int) -> bool:
        return True


BUTTON = {"AXRole": "AXButton", "AXRoleDescription": "button", "AXTitle": "Save & close", "AXEnabled": True,
          "AXPosition": (110, 220), "AXSize": (80, 20)}  # fmt: skip
WINDOW = {"AXRole": "AXWindow", "AXRoleDescription": "standard window", "AXTitle": "Untitled", "AXMain": True,
          "AXPosition": (100, 200), "AXSize": (400, 300), "AXChildren": ["button"], "AXCloseButton": "close"}  # fmt: skip  # noqa: E501


@dataclass
class Services:
    """The calls of ApplicationServices that the server uses, backed by dictionaries."""

    things: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"app": {"AXWindows": ["window"]}, "window": WINDOW, "button": BUTTON}
    )
    pressed: list[tuple[str, str]] = field(default_factory=list)

    def AXIsProcessTrusted(self) -> bool:
        return True

    def AXUIElementCreateApplication(self, number: int) -> str:
        return "app"

    def AXUIElementSetMessagingTimeout(self, element: str, seconds: float) -> int:
        return 0

    def AXUIElementSetAttributeValue(self, element: str, name: str, value: object) -> int:
        return 0

    def AXUIElementPerformAction(self, element: str, name: str) -> int:
        self.pressed.append((element, name))
        return 0

    def AXUIElementCopyAttributeValue(self, element: str, name: str, _: None) -> tuple[int, Any]:
        value = self.things[element].get(name)
        return (0, value) if value is not None else (-25212, None)  # kAXErrorNoValue

    def AXValueGetValue(self, value: tuple[int, int], kind: int, _: None) -> tuple[bool, SimpleNamespace]:
        names = ("x", "y") if kind == 1 else ("width", "height")
        return True, SimpleNamespace(**dict(zip(names, value, strict=True)))


def accessibility(services: Services) -> Accessibility:
    workspace = SimpleNamespace(runningApplications=lambda: [Program()])
    return Accessibility(services, SimpleNamespace(sharedWorkspace=lambda: workspace))


def test_the_tree_is_osworlds_and_an_oracle_finds_its_way_in_it() -> None:
    xml, whole = accessibility(Services()).tree(5.0)
    root = etree.fromstring(xml.encode())
    assert whole and root.tag == "desktop"
    assert [node.tag for node in root.iter()] == ["desktop", "application", "standard_window", "button"]
    assert find_point(xml, Target(role="button", name="Save & close")) == (150, 230)


def test_windows_are_listed_raised_and_closed() -> None:
    services = Services()
    windows = Windows(accessibility(services))
    (one,) = windows.listing()
    assert (one["title"], one["wm_class"], one["x"], one["height"], one["active"]) == (
        "Untitled",
        "TextEdit",
        100,
        300,
        True,
    )
    windows.activate("untitled", strict=False, by_class=False)
    windows.close("TextEdit", strict=True, by_class=True)
    assert services.pressed == [("window", "AXRaise"), ("close", "AXPress")]


def test_the_launch_agent_is_a_property_list() -> None:
    plist = plistlib.loads((bundle.INSTALLERS / "macos/org.deskbench.server.plist").read_bytes())
    assert plist["KeepAlive"] and plist["LimitLoadToSessionType"] == "Aqua"
    assert plist["ProgramArguments"][1:3] == ["-m", "deskbench.envs.server"]
