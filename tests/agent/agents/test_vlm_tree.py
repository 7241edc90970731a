"""The accessibility tree as a model reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbench.agent.models.tokens import Budget
from deskbench.agent.prompting.scaling import Scale
from deskbench.agent.prompting.tree import linearize, nodes
from deskbench.envs.errors import EnvError

from .screens import node, tree

SAME = Scale((1920, 1080), (1920, 1080))


def lines(xml: str, scale: Scale = SAME, tokens: int = 10_000) -> list[str]:
    return linearize(xml, scale, Budget(tokens)).text.split("\n")


def test_a_button_is_a_line_under_osworlds_header() -> None:
    header, line = lines(tree(node("push-button", "Save", (900, 500, 80, 30))))
    assert header == "tag\tname\ttext\tclass\tdescription\tposition (top-left x&y)\tsize (w&h)"
    assert line == 'push-button\tSave\t""\t\t\t(900, 500)\t(80, 30)'


def test_text_is_quoted_as_csv_does() -> None:
    table = linearize(tree(node("entry", "", text='a\t"b"\nc')), SAME, Budget(1000)).text
    assert '\nentry\t\t"a\t""b""\nc"\t\t\t(10, 20)' in table


@pytest.mark.parametrize("platform", ["ubuntu", "windows", "macos"])
def test_class_and_description_come_from_the_trees_own_platform(platform: str) -> None:
    xml = tree(node("push-button", "Go", attr_class="Button", attr_description="Goes"), platform=platform)
    assert lines(xml)[1].split("\t")[3:5] == ["Button", "Goes"]


@pytest.mark.parametrize(
    "hidden",
    [
        node("filler", "x"),
        node("push-button", ""),
        node("push-button", "x", states="visible enabled"),
        node("push-button", "x", states="showing enabled"),
        node("push-button", "x", states="visible showing"),
        node("push-button", "x", box=None),
        node("push-button", "x", box=(-5, 10, 20, 20)),
        node("push-button", "x", box=(5, 10, 0, 20)),
    ],
    ids=["layout", "nameless", "not showing", "not visible", "dead", "boxless", "off-screen", "flat"],
)
def test_what_a_person_cannot_use_is_left_out(hidden: str) -> None:
    assert list(nodes(tree(hidden))) == []


def test_windows_trees_need_no_showing_state_and_prefer_the_value() -> None:
    xml = tree(node("edit-textbox", "Name", states="visible enabled", text="old", val_value="new"), platform="windows")
    assert [n.text for n in nodes(xml)] == ["new"]


def test_positions_are_those_of_the_picture_that_is_sent() -> None:
    _, line = lines(tree(node("push-button", "Save", (900, 500, 80, 30))), Scale((1920, 1080), (960, 540)))
    assert line.endswith("(450, 250)\t(40, 15)")


def test_a_tree_that_is_too_long_is_cut_at_a_line_and_says_so() -> None:
    xml = tree(*(node("push-button", f"Button {i}") for i in range(200)))
    cut = lines(xml, tokens=500)
    assert len("\n".join(cut)) <= 500 * 4
    assert cut[-1] == f"[... {200 - (len(cut) - 2)} more left out]"


@pytest.mark.parametrize(
    "where", ["__import__('os').system('x')", "(1, 2", "1", "(1, 2, 3)", "('a', 'b')", "(1e999, 0)"]
)
def test_coordinates_from_the_machine_are_read_and_never_run(where: str) -> None:
    xml = tree(node("push-button", "x")).replace("(10, 20)", where)
    assert list(nodes(xml)) == []


@pytest.mark.parametrize("xml", ["", "<a", "not xml", '<!DOCTYPE a [<!ENTITY x "y">]><a>&undefined;</a>'])
def test_what_is_not_xml_is_the_desktops_fault(xml: str) -> None:
    with pytest.raises(EnvError):
        list(nodes(xml))


def test_entities_are_not_expanded() -> None:
    bomb = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><d><push-button name="a">&x;</push-button></d>'
    assert "root:" not in linearize(bomb, SAME, Budget(100)).text


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])), st.integers(1, 300))
def test_any_name_stays_on_its_line(name: str, tokens: int) -> None:
    out = lines(tree(node("push-button", name or "x"), node("link", "y")), tokens=tokens)
    assert len(out) <= 3
