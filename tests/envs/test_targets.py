"""The position of a named target: its centre, on every platform, and only while it is usable."""

import pytest

from deskbench.envs.actions import ActionError
from deskbench.envs.errors import EnvError
from deskbench.envs.targets import SCREEN, Target, find_point, parse_oracle_step

PLATFORMS = ("ubuntu", "windows", "macos")


def tree(platform: str = "ubuntu", *, state: str = "enabled", where: str = "(10, 20)", size: str = "(30, 16)") -> str:
    uri = f"https://accessibility.{platform}.example.org/ns/"
    return (
        f'<desktop xmlns:st="{uri}state" xmlns:cp="{uri}component"><frame name="Letter">'
        f'<button name="Save" st:{state}="true" cp:screencoord="{where}" cp:size="{size}">Keep</button>'
        "</frame></desktop>"
    )


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    "target",
    [Target(role="button"), Target(name="Save"), Target(name_re="^S.v"), Target(text="Keep"), Target(text_re="p$"),
     Target(role="button", within="Letter", index=-1)],
)  # fmt: skip
def test_it_is_found_by_what_it_is(platform: str, target: Target) -> None:
    assert find_point(tree(platform), target) == (25, 28)


@pytest.mark.parametrize(
    "target",
    [
        Target(role="link"),
        Target(name="Sav"),
        Target(text_re="^e"),
        Target(name="Save", within="Table"),
        Target(name="Save", index=1),
    ],
)
def test_what_is_something_else_is_not_found(target: Target) -> None:
    assert find_point(tree(), target) is None


def test_what_is_greyed_out_or_off_the_screen_is_not_found() -> None:
    for xml in (tree(state="visible"), tree(where="(-40, 20)"), tree(size="(0, 16)"), tree(where="nowhere")):
        assert find_point(xml, Target(name="Save")) is None
    assert find_point(tree(state="sensitive"), Target(name="Save")) == (25, 28)


@pytest.mark.parametrize("broken", ["", "<desktop", "<a name='\ud800'/>", "<a>" * 100_000])
def test_a_broken_tree_is_the_desktops_fault(broken: str) -> None:
    with pytest.raises(EnvError, match="accessibility tree"):
        find_point(broken, Target(name="Save"))


def test_the_screen_needs_no_tree() -> None:
    step = parse_oracle_step({"type": "click", "target": {"role": SCREEN, "at": [0, 1], "dx": 9, "dy": -9}})
    action = step.resolve("<broken", (800, 600))
    assert action is not None
    assert action.to_json() == {"type": "click", "button": "left", "count": 1, "x": 9, "y": 591}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("index", "1", r"target\.index is '1'; it must be a whole number"),
        ("dx", "3", r"target\.dx is '3'; it must be a whole number"),
        ("at", [0.5], r"target\.at has 1 items; it must have 2"),
        ("at", ["left", 0.5], r"target\.at\[0\] is 'left'; it must be a number"),
        ("text", 7, r"target\.text is 7; it must be a string"),
        ("nmae", "Save", r"target: unknown field 'nmae'; did you mean 'name'"),
    ],
)
def test_a_target_with_a_wrong_field_is_refused(field: str, value: object, said: str) -> None:
    with pytest.raises(ActionError, match=said):
        parse_oracle_step({"type": "click", "target": {"role": "button", field: value}})
