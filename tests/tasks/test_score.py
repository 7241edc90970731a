"""Scores: OSWorld's arithmetic, a reason for every 0, and None for what is not scored."""

import json
from pathlib import Path
from typing import Any

import pytest

from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.errors import CheckError, NotThere, SetupError
from deskbench.envs.providers.fake import FakeProvider
from deskbench.tasks.load import load
from deskbench.tasks.registry import metric
from deskbench.tasks.score import rescore, score
from deskbench.tasks.setup import run_steps
from deskbench.tasks.types import Score, Task
from deskbench.tasks.world import Context, World


@metric("half_for_tests")
def half(result: Any) -> float:
    """Half a point."""
    return 0.5


@metric("broken_for_tests")
def broken(result: Any) -> float:
    """Raises."""
    raise KeyError("a fault of the check")


def rule(value: Any) -> dict[str, Any]:
    return {"type": "rule", "rules": {"expected": value}}


def value(text: Any) -> dict[str, Any]:
    return {"type": "rule", "rules": text}


def task(folder: Path, evaluator: dict[str, Any], **more: Any) -> Task:
    path = folder / "t.json"
    path.write_text(json.dumps({"id": "t", "instruction": "x", "evaluator": evaluator, **more}))
    return load(path)[0]


def scored(one: Task, folder: Path, *, said_fail: bool = False, answer: str | None = None) -> tuple[Score, World]:
    desktop = FakeProvider().start(DesktopSpec())
    world = World(desktop, one, folder / "cache", folder / "assets", answer)
    context = Context(desktop, one, folder / "cache", folder / "assets", (1280, 800), window_seconds=0.5)
    run_steps(one.config, context)
    return score(one, world, context, said_fail=said_fail), world


def many(names: list[str], results: list[Any], conj: str) -> dict[str, Any]:
    return {"func": names, "conj": conj, "result": [value(r) for r in results], "expected": [rule(1)] * len(names)}


@pytest.mark.parametrize(
    ("conj", "results", "expected"),
    [
        ("and", [1, 1], 1.0),
        ("and", [1, 2], 0.0),
        ("or", [2, 1], 1.0),
        ("or", [2, 2], 0.0),
    ],
)
def test_and_takes_all_or_takes_any(tmp_path: Path, conj: str, results: list[int], expected: float) -> None:
    found, _ = scored(task(tmp_path, many(["exact_match"] * 2, results, conj)), tmp_path)
    assert found.value == expected


def test_and_is_the_mean_when_nothing_is_0(tmp_path: Path) -> None:
    evaluator = {"func": ["exact_match", "half_for_tests"], "result": [value(1), value(1)], "expected": [rule(1), {}]}
    assert scored(task(tmp_path, evaluator), tmp_path)[0].value == 0.75


def test_what_is_not_there_is_0_and_said_before_the_metric_is_asked(tmp_path: Path) -> None:
    missing = {"type": "vm_file_text", "path": "/home/user/nowhere.txt"}
    found, _ = scored(task(tmp_path, {"func": "broken_for_tests", "result": missing}), tmp_path)
    assert found.value == 0.0
    assert "there is nothing to check" in found.reason


def test_a_window_that_the_agent_has_closed_is_no_fault_of_the_machine(tmp_path: Path) -> None:
    missing = {"type": "activate_window", "parameters": {"window_name": "Gone"}}
    evaluator = {"func": "exact_match", "result": value(2), "expected": rule(1), "postconfig": [missing]}
    found, _ = scored(task(tmp_path, evaluator), tmp_path)
    assert found.value == 0.0
    assert "no window 'Gone'" in found.reason
    with pytest.raises(NotThere):
        scored(task(tmp_path, evaluator, config=[missing]), tmp_path)


def test_an_infeasible_task_is_passed_by_fail_alone(tmp_path: Path) -> None:
    one = task(tmp_path, {"func": "infeasible"})
    assert scored(one, tmp_path, said_fail=True)[0].value == 1.0
    assert scored(one, tmp_path)[0].value == 0.0


def test_fail_on_a_feasible_task_is_0_whatever_the_end_state(tmp_path: Path) -> None:
    one = task(tmp_path, {"func": "exact_match", "result": value(1), "expected": rule(1)})
    found, _ = scored(one, tmp_path, said_fail=True)
    assert (found.value, found.checks) == (0.0, ())
    assert "it can" in found.reason


def test_a_0_shows_what_was_seen(tmp_path: Path) -> None:
    one = task(tmp_path, {"func": "text_equals", "result": value("seen"), "expected": rule("wanted")})
    [outcome] = scored(one, tmp_path)[0].checks
    assert (outcome.value, outcome.result) == (0.0, "seen")
    assert "wanted" in outcome.expected


def test_a_file_that_is_not_there_is_a_task_not_done(tmp_path: Path) -> None:
    evaluator = {
        "func": "text_equals",
        "result": {"type": "vm_file", "path": "~/no", "dest": "no"},
        "expected": rule(1),
    }
    found, _ = scored(task(tmp_path, evaluator), tmp_path)
    assert found.value == 0.0
    assert "no such file" in found.reason


def test_a_metric_that_raises_is_the_checks_fault_not_a_0(tmp_path: Path) -> None:
    one = task(tmp_path, {"func": "broken_for_tests", "result": value(1)})
    with pytest.raises(CheckError, match="a fault of the check"):
        scored(one, tmp_path)


def test_a_getter_that_raises_is_the_checks_fault(tmp_path: Path) -> None:
    one = task(
        tmp_path, {"func": "exact_match", "result": {"type": "task_file", "path": "no.txt"}, "expected": rule(1)}
    )
    with pytest.raises(CheckError, match="no such file beside the task"):
        scored(one, tmp_path)


def test_the_agents_answer_can_be_checked(tmp_path: Path) -> None:
    one = task(tmp_path, {"func": "text_equals", "result": {"type": "agent_answer"}, "expected": rule("42")})
    assert scored(one, tmp_path, answer=" 42 ")[0].value == 1.0
    assert scored(one, tmp_path)[0].value == 0.0


def test_recorded_values_and_files_score_the_same_with_no_machine(tmp_path: Path) -> None:
    config = [{"type": "write_file", "parameters": {"path": "~/a.txt", "text": "hello"}}]
    evaluator = {"func": "text_equals", "result": {"type": "vm_file", "path": "~/a.txt"}, "expected": rule("hello")}
    one = task(tmp_path, evaluator, config=config)
    found, world = scored(one, tmp_path)
    assert found.value == 1.0
    state = json.loads(json.dumps(world.state))
    again = rescore(one, state, tmp_path / "cache", said_fail=False)
    assert (again.value, again.checks) == (found.value, found.checks)
    with pytest.raises(CheckError, match="no value of"):
        rescore(one, {}, tmp_path / "cache", said_fail=False)


def test_a_set_up_step_that_did_not_take_effect_raises_with_its_place(tmp_path: Path) -> None:
    config = [{"type": "tidy_desktop", "parameters": {}}]
    one = task(tmp_path, {"func": "exact_match", "result": value(1), "expected": rule(1)}, config=config)
    with pytest.raises(SetupError, match=r"\$\.config\[0\]: tidy_desktop: .*never been implemented"):
        scored(one, tmp_path)


def test_placeholders_are_filled_and_other_braces_stay(tmp_path: Path) -> None:
    one = task(tmp_path, {"func": "infeasible"})
    context = Context(FakeProvider().start(DesktopSpec()), one, tmp_path, tmp_path, (1280, 800))
    text = "{SCREEN_WIDTH}x{SCREEN_HEIGHT} {SCREEN_WIDTH_HALF},{SCREEN_HEIGHT_HALF} {CLIENT_PASSWORD} {x} {{y}}"
    assert context.fill(text) == "1280x800 640,400 password {x} {{y}}"


def test_files_from_the_desktop_get_names_of_ours(tmp_path: Path) -> None:
    one = task(tmp_path, {"func": "infeasible"})
    world = World(FakeProvider().start(DesktopSpec()), one, tmp_path / "cache", tmp_path)
    for name in ("../../etc/passwd", "/etc/passwd", "x.tar.gz/../..", "a" * 5000 + ".txt", "\n.\0"):
        path = world.keep(name, b"data")
        assert path.parent == tmp_path / "cache"
        assert path.read_bytes() == b"data"
