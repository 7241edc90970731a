"""Task files: everything that is wrong is said before a machine starts, with file, JSON path and the nearest name."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskbench.envs.errors import UsageError
from deskbench.tasks.load import LIBRARY, check, check_all, load, read, skip_reason, task_set_hash
from deskbench.tasks.schema import new_task, task_schema

OSWORLD = Path(os.environ.get("OSWORLD_TASKS") or Path(__file__).resolve().parents[3] / "shared" / "osworld_tasks")

GOOD: dict[str, Any] = {
    "id": "one",
    "instruction": "Do it.",
    "config": [{"type": "write_file", "parameters": {"path": "~/a", "text": "a"}}],
    "evaluator": {
        "func": "text_equals",
        "result": {"type": "vm_file", "path": "~/a", "dest": "a"},
        "expected": {"type": "rule", "rules": {"expected": "a"}},
    },
    "oracle": [{"type": "click", "target": {"role": "push-button", "name": "Save"}}],
}


def write(folder: Path, name: str = "one.json", **changes: Any) -> Path:
    value = {k: v for k, v in {**GOOD, **changes}.items() if v is not None}
    path = folder / name
    path.write_text(json.dumps(value))
    return path


def said(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        load(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_good_file_is_one_task(tmp_path: Path) -> None:
    [task] = load(write(tmp_path))
    assert task.key == f"{tmp_path.name}/one"
    assert [c.type for c in task.config] == ["write_file"]
    [check] = task.evaluator.checks
    assert (check.metric, check.result.type if check.result else None) == ("text_equals", "vm_file")
    assert task.feasible


@pytest.mark.parametrize(
    ("changes", "where", "what"),
    [
        ({"config": [{"type": "lunch", "parameters": {}}]}, "$.config[0]", "did you mean 'launch'"),
        ({"config": [{"type": "launch", "parameters": {"comand": "x"}}]}, "$.config[0]", "did you mean 'command'"),
        ({"config": [{"type": "launch", "parameters": {}}]}, "$.config[0]", "missing parameter 'command'"),
        ({"config": [{"type": "sleep", "parameters": {"seconds": "soon"}}]}, "$.config[0]", "'soon'"),
        ({"config": {}}, "$.config", "a list"),
        ({"config": [{"typ": "launch"}]}, "$.config[0]", "type"),
        ({"evaluator": {**GOOD["evaluator"], "func": "text_equal"}}, "$.evaluator.func", "did you mean 'text_equals'"),
        (
            {"evaluator": {**GOOD["evaluator"], "result": {"type": "vm_fil", "path": "a"}}},
            "$.evaluator.result",
            "did you mean 'vm_file'",
        ),
        (
            {"evaluator": {**GOOD["evaluator"], "options": {"ignore_cas": True}}},
            "$.evaluator.func",
            "did you mean 'ignore_case'",
        ),
        ({"evaluator": {**GOOD["evaluator"], "conj": "xor"}}, "$.evaluator.conj", "xor"),
        ({"evaluator": {"func": ["exact_match"], "result": []}}, "$.evaluator.result", "as long as func"),
        ({"evaluater": {}}, "$.evaluater", "did you mean 'evaluator'"),
        ({"instruction": ""}, "$.instruction", "not empty"),
        ({"id": "a/b"}, "$.id", "a/b"),
        ({"oracle": [{"type": "clik", "target": {"name": "x"}}]}, "$.oracle", "did you mean 'click'"),
        ({"oracle": [{"type": "click", "target": {"nme": "x"}}]}, "$.oracle", "did you mean 'name'"),
        ({"requires": {"network": "on"}}, "$.requires.network", "on"),
        ({"limits": {"step": 3}}, "$.limits.step", "did you mean 'steps'"),
        (
            {"config": [{"type": "upload_file", "parameters": {"files": [{"local_path": "no.txt", "path": "~/x"}]}}]},
            "$.config[0].parameters.files[0].local_path",
            "no such file: no.txt",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, changes: dict[str, Any], where: str, what: str) -> None:
    text = said(write(tmp_path, **changes))
    assert text.startswith(f"{tmp_path}/one.json: {where}: ")
    assert what in text


def test_what_is_not_json_is_said_with_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text('{"id": "one",\n "instruction" "x"}')
    assert "line 2, column 16" in said(path)
    path.write_bytes(b'{"id": "\xff"}')
    assert "UTF-8" in said(path)
    path.write_text("[1]")
    assert "must be a JSON object" in said(path)


def test_an_id_that_two_files_have_is_named_with_both(tmp_path: Path) -> None:
    write(tmp_path, "a.json")
    write(tmp_path, "b.json")
    text = said(tmp_path)
    assert "a.json" in text
    assert "b.json" in text


def test_every_problem_is_listed_not_only_the_first(tmp_path: Path) -> None:
    write(tmp_path, "a.json", config=[{"type": "lunch"}, {"type": "slep"}])
    write(tmp_path, "b.json", id="two", evaluator={"func": "nothing_like_it"})
    assert len(check_all(tmp_path)) == 3
    assert "2 more" in said(tmp_path)


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    assert "suites: basics" in said(tmp_path / "nothing")
    assert "no task files" in said(tmp_path)


def test_a_template_becomes_one_task_for_each_seed(tmp_path: Path) -> None:
    seeds = [{"word": "red", "n": 3}, {"word": "blue", "n": 4}]
    tasks = load(write(tmp_path, instruction="Write {{word}} {{n}} times.", seeds=seeds, limits={"steps": "{{n}}"}))
    assert [t.id for t in tasks] == ["one@0", "one@1"]
    assert [t.instruction for t in tasks] == ["Write red 3 times.", "Write blue 4 times."]
    assert [t.limits.steps for t in tasks] == [3, 4]


def test_parallel_lists_become_whole_checks(tmp_path: Path) -> None:
    rule = {"type": "rule", "rules": {"expected": 1}}
    evaluator = {
        "func": ["exact_match", "text_equals"],
        "conj": "or",
        "result": [rule, rule],
        "expected": [rule, rule],
        "options": [{}, {"strip": False}],
    }
    [task] = load(write(tmp_path, evaluator=evaluator))
    assert [(c.metric, c.options) for c in task.evaluator.checks] == [
        ("exact_match", {}),
        ("text_equals", {"strip": False}),
    ]
    assert task.evaluator.conj == "or"


def test_a_flag_that_is_written_as_a_string_is_read(tmp_path: Path) -> None:
    assert load(write(tmp_path, config=[{"type": "execute", "parameters": {"command": "id", "shell": "true"}}]))


def test_the_hash_of_a_set_does_not_depend_on_its_order(tmp_path: Path) -> None:
    write(tmp_path, "a.json")
    write(tmp_path, "b.json", id="two")
    tasks = load(tmp_path)
    assert task_set_hash(tasks) == task_set_hash(tasks[::-1])
    write(tmp_path, "b.json", id="two", instruction="Do it better.")
    assert task_set_hash(tasks) != task_set_hash(load(tmp_path))


def test_a_task_that_cannot_be_done_here_says_why(tmp_path: Path) -> None:
    requires = {"os": ["linux"], "apps": ["gimp"], "network": "full"}
    [task] = load(write(tmp_path, requires=requires))

    def why(platform: str, network: bool, gimp: bool) -> str | None:
        return skip_reason(task, platform=platform, network=network, has_app={"gimp": gimp})

    assert why("Linux", True, True) is None
    assert "needs linux" in str(why("Windows", True, True))
    assert "gimp" in str(why("Linux", True, False))
    assert "network" in str(why("Linux", False, True))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["config", "evaluator", "oracle", "limits", "requires", "mutants", "seeds", "tags"]), ANY_JSON)
def test_no_json_makes_the_loader_fall_over(key: str, value: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tasks, problems = read(write(Path(folder), **{key: value}))
        assert tasks or problems
        for task in tasks:
            check(task)


def test_a_new_task_passes_the_check(tmp_path: Path) -> None:
    new_task(tmp_path / "t" / "mine.json")
    assert check_all(tmp_path / "t") == []
    with pytest.raises(UsageError, match="already"):
        new_task(tmp_path / "t" / "mine.json")


def test_the_schema_knows_every_name() -> None:
    text = json.dumps(task_schema())
    for name in ("vm_file", "text_equals", "launch", "upload_file", "mutants", "oracle", "infeasible"):
        assert f'"{name}"' in text


def test_the_library_is_right() -> None:
    assert [p for p in LIBRARY.iterdir() if p.is_dir() and not p.name.startswith("_")] != []
    assert check_all("basics") == []


@pytest.mark.skipif(not OSWORLD.is_dir(), reason="OSWorld's task files are not beside this checkout")
def test_every_file_of_osworld_is_read() -> None:
    tasks, problems = read(OSWORLD)
    assert len(tasks) == 418
    assert problems == []
    assert check_all(OSWORLD) == []
    small, _ = read(OSWORLD, split="test_small")
    assert len(small) == 39
    assert sum(not t.feasible for t in tasks if "examples_windows" not in str(t.path)) == 29
