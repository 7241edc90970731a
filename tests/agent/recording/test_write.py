"""The oracle and the file of a recording."""

from pathlib import Path

import pytest

from deskbench.agent.recording.differences import Proposal
from deskbench.agent.recording.events import State
from deskbench.agent.recording.reduce import Step
from deskbench.agent.recording.write import check_name, oracle, task_json, write_task
from deskbench.envs.errors import UsageError
from deskbench.envs.types import Click, Drag, Key, Type
from deskbench.tasks.load import load

from .test_targets import TREE

SEEN = State(0, 1280, 800, TREE)
TEXT = Proposal(
    '~/a.txt holds "x"', "text_equals", {"type": "vm_file", "path": "~/a.txt", "dest": "a.txt"},
    {"type": "rule", "rules": {"expected": "x"}},
)  # fmt: skip
PICTURE = Proposal(
    "~/p.png is as it was", "images_equal", {"type": "vm_file", "path": "~/p.png", "dest": "p.png"},
    {"type": "task_file", "path": "assets/p.png"}, {"tolerance": 3.0}, {"assets/p.png": b"PNG"},
)  # fmt: skip


def place(x: int, y: int) -> dict[str, object]:
    return {"role": "frame", "name": "Notes", "at": [0, 0], "dx": x - 100, "dy": y - 100}


def test_points_are_named_and_keys_are_as_they_are() -> None:
    assert oracle([Step(Click(x=140, y=125), 0, SEEN), Step(Type("a"), 1, SEEN), Step(Key(("enter",)), 2, SEEN)]) == [
        {"type": "click", "target": {"role": "push-button", "name": "Save"}},
        {"type": "type", "text": "a"},
        {"type": "key", "keys": ["enter"]},
    ]


def test_an_item_of_a_menu_in_a_menu_is_reached_by_the_way_of_a_hand() -> None:
    assert oracle([Step(Click(x=260, y=115), 0, SEEN), Step(Click(x=380, y=140), 1, SEEN, ((300, 250),))]) == [
        {"type": "click", "target": {"role": "menu", "name": "File"}},
        {"type": "move", "target": {"role": "menu", "name": "New"}},
        {"type": "click", "target": {"role": "menu-item", "name": "Folder"}},
    ]


def test_a_menu_that_the_tree_does_not_show_covers_what_it_shows() -> None:
    bare = State(0, 1280, 800, _without_popup(TREE))
    steps = [Step(Click("right", x=130, y=200), 0, bare), Step(Click(x=140, y=125), 1, bare, ((140, 250),))]
    assert oracle(steps) == [
        {"type": "click", "button": "right", "target": {"text": "draft.txt"}},
        {"type": "move", "target": place(140, 250)},
        {"type": "click", "target": place(140, 125)},
    ]


def _without_popup(tree: str) -> str:
    start = tree.index("<menu-item")
    return tree[:start] + tree[tree.index("</menu-item>") + len("</menu-item>") :]


def test_a_drag_leads_to_the_very_pixel() -> None:
    (drag,) = oracle([Step(Drag(((130, 200), (120, 450))), 0, SEEN)])
    assert drag == {
        "type": "drag",
        "targets": [{"text": "draft.txt", "at": [0, 0], "dx": 20, "dy": 20}, place(120, 450)],
    }


def test_the_file_can_be_read_and_has_what_its_checks_need(tmp_path: Path) -> None:
    path = tmp_path / "my-task.json"
    start = {"id": "start", "config": [{"type": "launch", "parameters": {"command": ["mousepad"]}}], "oracle": [1],
             "requires": {"os": ["linux"], "apps": ["mousepad"]}, "limits": {"steps": 2}}  # fmt: skip
    steps = oracle([Step(Type("x"), 0, SEEN)]) * 5
    write_task(path, task_json(path, start, "Do it.", steps, [TEXT, PICTURE]), [TEXT, PICTURE])
    (task,) = load(path)
    assert (task.id, task.instruction, len(task.oracle), task.limits.steps) == ("my-task", "Do it.", 5, 6)
    assert [(check.metric, check.options) for check in task.evaluator.checks] == [
        ("text_equals", {}), ("images_equal", {"tolerance": 3.0}),
    ]  # fmt: skip
    assert (tmp_path / "assets/p.png").read_bytes() == b"PNG"
    other = Proposal(**{**vars(PICTURE), "assets": {"assets/p.png": b"other"}})
    with pytest.raises(UsageError, match="is there already"):
        write_task(tmp_path / "b.json", {}, [other])


@pytest.mark.parametrize("name", ["Task.json", "a_b.json", "a.txt", "a--b.json"])
def test_a_name_that_is_no_id_is_refused_before_anything_starts(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        check_name(tmp_path / name)
    check_name(tmp_path / "a-b2.json")
