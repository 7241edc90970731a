"""What stands at a point of the screen, and what an oracle calls it."""

import pytest

from deskbench.agent.recording.targets import seen, submenus_at, target_at
from deskbench.envs.targets import find_point, parse_oracle_step

SCREEN = (1280, 800)
SPACES = " ".join(
    f'xmlns:{short}="https://accessibility.ubuntu.example.org/ns/{name}"'
    for short, name in (("st", "state"), ("cp", "component"))
)
SHOWN = 'st:enabled="true" st:sensitive="true" st:visible="true" st:showing="true"'


def one(role: str, name: str, box: tuple[int, int, int, int], *inner: str, text: str = "", more: str = "") -> str:
    x, y, width, height = box
    place = f'cp:screencoord="({x}, {y})" cp:size="({width}, {height})"'
    return f'<{role} name="{name}" {SHOWN} {more} {place}>{text}{"".join(inner)}</{role}>'


TREE = (
    f"<desktop-frame {SPACES}><application name='editor'>"
    + one(
        "frame", "Notes", (100, 100, 600, 400),
        one("push-button", "Save", (110, 110, 60, 30)),
        one("push-button", "Close", (180, 110, 60, 30)),
        one("check-box", "Wrap lines", (110, 150, 400, 20)),
        one("icon", "", (110, 180, 40, 40), text="draft.txt"),
        one("text", "", (110, 230, 580, 200), text="long " * 40),
        one("label", "Twice", (110, 440, 50, 20)), one("label", "Twice", (170, 440, 50, 20)),
        one("menu", "File", (250, 110, 40, 20),
            one("menu", "New", (250, 130, 90, 20), one("menu-item", "Folder", (340, 130, 90, 20)))),
        more='st:active="true"',
    )
    + one("frame", "Behind", (650, 150, 500, 400), one("push-button", "Close", (655, 235, 30, 30)))
    + "</application></desktop-frame>"
)  # fmt: skip


@pytest.mark.parametrize(
    ("point", "target"),
    [
        ((115, 120), {"role": "push-button", "name": "Save"}),
        ((200, 120), {"role": "push-button", "name": "Close", "within": "Notes"}),
        ((120, 160), {"role": "check-box", "name": "Wrap lines", "at": [0, 0], "dx": 10, "dy": 10}),
        ((130, 200), {"text": "draft.txt"}),
        ((120, 240), {"role": "text", "at": [0, 0], "dx": 10, "dy": 10}),
        ((670, 250), {"role": "text", "at": [0, 0], "dx": 560, "dy": 20}),  # the window behind has a button there
        ((120, 450), {"role": "frame", "name": "Notes", "at": [0, 0], "dx": 20, "dy": 350}),
        ((1100, 300), {"role": "frame", "name": "Behind", "at": [0, 0], "dx": 450, "dy": 150}),
        ((30, 700), {"role": "screen", "at": [0, 0], "dx": 30, "dy": 700}),
        ((380, 140), {"role": "menu-item", "name": "Folder"}),
    ],
)
def test_a_point_is_named_by_role_and_name_else_by_text_else_by_its_place(
    point: tuple[int, int], target: dict[str, object]
) -> None:
    assert target_at(TREE, point, SCREEN) == target
    (parsed,) = parse_oracle_step({"type": "click", "target": target}).targets
    found = find_point(TREE, parsed, SCREEN)
    assert found is not None
    if "at" in target:
        assert found == point


def test_without_a_tree_a_point_is_a_place_on_the_screen() -> None:
    assert target_at(None, (5, 6), SCREEN) == {"role": "screen", "at": [0, 0], "dx": 5, "dy": 6}


def test_the_menus_on_the_way_to_an_item_are_known() -> None:
    assert submenus_at(TREE, (380, 140)) == [(295, 140)]
    assert submenus_at(TREE, (115, 120)) == []


def test_the_list_says_what_is_unique() -> None:
    found = {(one.role, one.name, one.window): one for one in seen(TREE, SCREEN)}
    assert found["push-button", "Save", "Notes"].unique
    assert not found["push-button", "Close", "Notes"].unique
    assert found["icon", "", "Notes"].text == "draft.txt"
    assert ("text", "", "Notes") not in found
