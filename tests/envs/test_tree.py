"""A tree is read in its platform's dialect, and a hostile one is always refused in the same way."""

from itertools import pairwise
from pathlib import Path

import pytest

from deskbench.envs.errors import EnvError
from deskbench.envs.tree import PLATFORMS, elements

SPACES = ("state", "component", "value")


def document(platform: str, inside: str) -> str:
    uri = f"https://accessibility.{platform}.example.org/ns/"
    declared = " ".join(f'xmlns:{name}="{uri}{name}"' for name in SPACES)
    return f"<desktop {declared}>{inside}</desktop>"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_is_read_alike(platform: str) -> None:
    place = 'component:screencoord="(10, -20)" component:size="(30, 15)"'
    frame, button = list(
        elements(
            document(
                platform, f'<frame name="Letter"><button name="Save" state:enabled="true" {place}>S</button></frame>'
            )
        )
    )[1:]
    assert (button.platform, button.tag, button.name, button.text) == (platform, "button", "Save", "S")
    assert button.box == (10, -20, 30, 15)
    assert button.has("enabled") and not button.has("visible")
    assert [element.name for element in button.above()] == ["Letter", ""]
    assert frame.box is None and not frame.has("enabled")


def test_windows_writes_a_value_as_an_attribute() -> None:
    field = '<edit value:value="new">old</edit>'
    assert [list(elements(document(platform, field)))[1].value for platform in PLATFORMS] == ["old", "new", "old"]


@pytest.mark.parametrize(
    ("where", "size"),
    [
        ("(1, 2)", "(0, 5)"), ("(1, 2)", "(5, -1)"), ("", "(5, 5)"), ("(1, 2", "(5, 5)"), ("(1, 2, 3)", "(5, 5)"),
        ("(a, b)", "(5, 5)"), ("(1, 2)", "(1e999, 5)"), ("(" * 10_000, "(5, 5)"), ("(1, 2)", f"({'9' * 5000}, 5)"),
        ("(__import__('os'), 2)", "(5, 5)"),
    ],
)  # fmt: skip
def test_what_is_no_box_is_none(where: str, size: str) -> None:
    xml = document("ubuntu", f'<a component:screencoord="{where}" component:size="{size}"/>')
    assert list(elements(xml))[1].box is None


def test_fractions_are_cut() -> None:
    xml = document("macos", '<a component:screencoord="(1.9, -2.5)" component:size="(5.0, 6.7)"/>')
    assert list(elements(xml))[1].box == (1, -2, 5, 6)


def test_comments_and_instructions_are_no_elements() -> None:
    assert [element.tag for element in elements("<a><!-- b --><?c d?><e/></a>")] == ["a", "e"]


def bomb() -> str:
    names = "abcdefghij"
    lines = [f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in pairwise(names)]
    return f'<!DOCTYPE d [<!ENTITY a "ha">{"".join(lines)}]><d name="&j;"/>'


@pytest.mark.parametrize(
    "hostile",
    ["", "<a", "no XML", "<a name='\ud800'/>", "<a>\0</a>", "<a>" * 100_000 + "</a>" * 100_000,
     f"<a>{'x' * 11_000_000}</a>", bomb()],
    ids=["empty", "open", "text", "surrogate", "null", "deep", "long", "bomb"],
)  # fmt: skip
def test_a_hostile_tree_is_the_desktops_fault(hostile: str) -> None:
    with pytest.raises(EnvError, match="accessibility tree"):
        list(elements(hostile))


def test_no_file_of_this_machine_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    xml = f'<!DOCTYPE d [<!ENTITY a SYSTEM "file://{tmp_path}/secret">]><d><e>&a;</e></d>'
    assert [(element.tag, element.text) for element in elements(xml)] == [("d", ""), ("e", "")]
