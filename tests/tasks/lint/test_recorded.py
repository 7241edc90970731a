"""Findings from what a desktop showed of the start state."""

from pathlib import Path
from typing import Any

import pytest

from deskbench.tasks.lint import examples, recorded
from deskbench.tasks.load import load
from deskbench.tasks.types import Task

TEXT = {"type": "vm_file", "path": "~/Documents/letter.txt", "dest": "letter.txt"}
TWO: dict[str, Any] = {
    "func": ["text_equals", "text_equals"],
    "result": [TEXT, TEXT],
    "expected": [{"type": "rule", "rules": {"expected": text}} for text in ("a", "b")],
}


def made(folder: Path, patch: dict[str, Any]) -> Task:
    [file] = examples.write(folder, patch)
    [task] = load(file)
    return task


@pytest.mark.parametrize(("conj", "id"), [("and", "DB009"), ("or", "DB010")])
def test_checks_that_the_start_meets_are_named(tmp_path: Path, conj: str, id: str) -> None:
    task = made(tmp_path, {"evaluator": {**TWO, "conj": conj}})
    [finding] = recorded.start_score(task, [0.0, 1.0])
    assert (finding.rule, finding.where) == (id, "$.evaluator.func[1]")
    assert finding.line and '"text_equals"' in task.path.read_text().splitlines()[finding.line - 1]
    assert recorded.start_score(task, [0.0, 0.5]) == []


def test_what_the_file_allows_is_none(tmp_path: Path) -> None:
    task = made(tmp_path, {"evaluator": TWO, "noqa": {"DB009": "a guard"}})
    assert recorded.start_score(task, [0.0, 1.0]) == []


def test_an_expected_file_in_the_start_state_is_named_unless_it_is_the_result(tmp_path: Path) -> None:
    task = made(tmp_path, {})
    found = {"/home/user/.cache/x": "11", "/home/user/Documents/letter.txt": "11", "/home/user/y": "22"}
    [finding] = recorded.start_files(task, found, {"11"})
    assert finding.rule == "DB006" and "/home/user/.cache/x" in finding.message


def test_an_answer_on_the_first_screen_is_named(tmp_path: Path) -> None:
    answer = {
        "result": {"type": "agent_answer", "path": None, "dest": None},
        "expected": {"rules": {"expected": "54329"}},
    }
    task = made(tmp_path, {"evaluator": answer})
    assert [finding.rule for finding in recorded.first_screen(task, "port = 54329")] == ["DB008"]
    assert recorded.first_screen(task, "port = 154329") == []
    assert recorded.first_screen(made(tmp_path, {}), "We meet on Thursday.") == []
