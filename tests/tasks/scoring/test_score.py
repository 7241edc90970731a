"""Scores: OSWorld's arithmetic, a reason for every 0, and None for unscored episodes."""

import json
from pathlib import Path
from typing import Any

import pytest

from deskbench.envs.desktop import CommandResult, DesktopSpec
from deskbench.envs.errors import CheckError, GuestError, NotThere, SetupError, Unfit
from deskbench.envs.providers.fake import FakeDesktop, FakeProvider
from deskbench.tasks.load import load
from deskbench.tasks.scoring.packing import NotFit, packed, plain, unpacked
from deskbench.tasks.scoring.score import rescore, restore, score, value_of
from deskbench.tasks.setup import run_before_check, run_steps
from deskbench.tasks.types import Call, Score, Task
from deskbench.tasks.world import MAX_KEPT, Context, World

HALF, BROKEN = f"{__name__}:half", f"{__name__}:broken"
"""Foreign metrics that the registry does not list."""


def half(result: Any) -> float:
    return 0.5


def broken(result: Any) -> float:
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
    evaluator = {"func": ["exact_match", HALF], "result": [value(1), value(1)], "expected": [rule(1), {}]}
    assert scored(task(tmp_path, evaluator), tmp_path)[0].value == 0.75


def test_what_is_not_there_is_0_and_said_before_the_metric_is_asked(tmp_path: Path) -> None:
    missing = {"type": "vm_file_text", "path": "/home/user/nowhere.txt"}
    found, _ = scored(task(tmp_path, {"func": BROKEN, "result": missing}), tmp_path)
    assert found.value == 0.0
    assert "nothing to check" in found.reason


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
    assert "it is feasible" in found.reason


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
    one = task(tmp_path, {"func": BROKEN, "result": value(1)})
    with pytest.raises(CheckError, match="a fault of the check"):
        scored(one, tmp_path)


def test_a_getter_that_raises_is_the_checks_fault(tmp_path: Path) -> None:
    (tmp_path / "no.txt").write_text("gone before it is read")
    one = task(
        tmp_path, {"func": "exact_match", "result": {"type": "task_file", "path": "no.txt"}, "expected": rule(1)}
    )
    (tmp_path / "no.txt").unlink()
    with pytest.raises(CheckError, match="no such file next to the task"):
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
    with pytest.raises(CheckError, match="no value for"):
        rescore(one, {}, tmp_path / "cache", said_fail=False)


def test_a_file_beside_the_task_is_read_from_there_when_it_is_scored_again(tmp_path: Path) -> None:
    config = [{"type": "write_file", "parameters": {"path": "~/a.txt", "text": "hello"}}]
    wanted = {"type": "task_file", "path": "gold.txt"}
    evaluator = {"func": "compare_text_file", "result": {"type": "vm_file", "path": "~/a.txt"}, "expected": wanted}
    (tmp_path / "gold.txt").write_text("hello")
    one = task(tmp_path, evaluator, config=config)
    found, world = scored(one, tmp_path)
    state = json.loads(json.dumps(world.state))
    assert found.value == 1.0 == rescore(one, state, tmp_path / "cache", said_fail=False).value


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
    for name in ("../../etc/passwd", "..", "a/..", "\udcff\n", "\U0001f600" * 200 + "." + "\U0001f600" * 50, ""):
        [path] = world.keep_together({name: b"data"})
        assert path.parent.parent == tmp_path / "cache"
        assert path.read_bytes() == b"data"


class TestWhatTheAgentLeft:
    """Something exists but cannot be read: 0 with the reason, in the score, in the record and when scored again."""

    def folder_for_a_file(self, folder: Path) -> tuple[Task, World, Context]:
        evaluator = {"func": "text_equals", "result": {"type": "vm_file", "path": "~/a.txt"}, "expected": rule("hello")}
        one = task(folder, evaluator)
        desktop = FakeProvider().start(DesktopSpec())
        desktop.write_file("~/a.txt/inner", b"")
        world = World(desktop, one, folder / "cache", folder / "assets")
        return one, world, Context(desktop, one, folder / "cache", folder / "assets", (1280, 800))

    def test_a_folder_where_a_file_was_wanted(self, tmp_path: Path) -> None:
        one, world, context = self.folder_for_a_file(tmp_path)
        found = score(one, world, context, said_fail=False)
        assert (found.value, found.reason) == (0.0, "text_equals: ~/a.txt is a folder")
        again = rescore(one, json.loads(json.dumps(world.state)), tmp_path / "cache", said_fail=False)
        assert (again.value, again.checks) == (found.value, found.checks)

    def test_in_set_up_it_is_a_fault_of_the_set_up(self, tmp_path: Path) -> None:
        one = task(tmp_path, {"func": "exact_match", "result": value(1), "expected": rule(1)})
        desktop = FakeProvider().start(DesktopSpec())
        desktop.write_file("~/a.png/inner", b"")
        context = Context(desktop, one, tmp_path / "cache", tmp_path / "assets", (1280, 800))
        step = Call(type="change_wallpaper", parameters={"path": "~/a.png"}, where="$.config[0]")
        with pytest.raises(SetupError, match=r"\$\.config\[0\]: change_wallpaper: ~/a.png is a folder"):
            run_steps([step], context)
        assert run_before_check([step], context) == ["$.config[0]: change_wallpaper: ~/a.png is a folder"]

    @pytest.mark.parametrize(
        ("status", "said"),
        [(504, "was still running after 1 s and has been killed"), (400, "cannot run '/home/user/x': No such file")],
    )
    def test_a_command_that_the_agent_has_spoilt_is_an_answer(self, tmp_path: Path, status: int, said: str) -> None:
        command = {"type": "vm_command_line", "command": ["/home/user/x"], "timeout": 1}
        one = task(tmp_path, {"func": "exact_match", "result": command, "expected": rule("1\n")})
        desktop = Spoilt("spoilt", DesktopSpec(), GuestError(said, status))
        world = World(desktop, one, tmp_path / "cache", tmp_path / "assets")
        context = Context(desktop, one, tmp_path / "cache", tmp_path / "assets", (1280, 800))
        found = score(one, world, context, said_fail=False)
        assert found.value == 0.0 and said in found.reason
        assert run_before_check([Call(type="execute", parameters={"command": ["x"]}, where="$")], context)

    def test_a_desktop_that_fails_is_still_a_failure(self, tmp_path: Path) -> None:
        command = {"type": "vm_command_line", "command": ["x"]}
        one = task(tmp_path, {"func": "exact_match", "result": command, "expected": rule("1\n")})
        desktop = Spoilt("spoilt", DesktopSpec(), GuestError("out of order", 500))
        world = World(desktop, one, tmp_path / "cache", tmp_path / "assets")
        with pytest.raises(GuestError, match="out of order"):
            value_of(one.evaluator.checks[0].result, world)

    def test_an_output_that_is_too_long_to_be_looked_at(self, tmp_path: Path) -> None:
        command = {"type": "vm_command_line", "command": ["cat", "/home/user/a"]}
        one = task(tmp_path, {"func": "exact_match", "result": command, "expected": rule("1\n")})
        desktop = FakeProvider().start(DesktopSpec())
        desktop.write_file("~/a", b"y\n" * 5_000_000)
        found = value_of(one.evaluator.checks[0].result, World(desktop, one, tmp_path / "cache", tmp_path / "assets"))
        assert isinstance(found, NotFit) and "more than" in found.reason

    def test_names_that_are_no_text_can_be_recorded(self, tmp_path: Path) -> None:
        one = task(tmp_path, {"func": "check_moved_jpgs", "result": {"type": "list_directory", "path": "~"},
                              "expected": rule(["a.jpg"])})  # fmt: skip
        desktop = FakeProvider().start(DesktopSpec())
        for name in ("~/\udcff.jpg", "~/line\nbreak", "~/.. "):
            desktop.write_file(name, b"")
        world = World(desktop, one, tmp_path / "cache", tmp_path / "assets")
        context = Context(desktop, one, tmp_path / "cache", tmp_path / "assets", (1280, 800))
        assert score(one, world, context, said_fail=False).value == 0.0
        assert "\\ufffd.jpg" in json.dumps(world.state)
        json.dumps(world.state, ensure_ascii=False).encode()

    def test_more_files_than_are_kept(self, tmp_path: Path) -> None:
        one = task(tmp_path, {"func": "infeasible"})
        world = World(FakeProvider().start(DesktopSpec()), one, tmp_path / "cache", tmp_path)
        world.count(MAX_KEPT)
        with pytest.raises(Unfit, match="more than 1024 MiB together"):
            world.keep("a", b"1")

    def test_where_it_was_read_is_in_the_record(self, tmp_path: Path) -> None:
        for getter, source in (
            ({"type": "vm_file_text", "path": "~/a"}, "file"), ({"type": "agent_answer"}, "answer"),
            ({"type": "vm_command_line", "command": ["echo", "1"]}, "program"), (value("1"), "task"),
        ):  # fmt: skip
            one = task(tmp_path, {"func": "exact_match", "result": getter, "expected": rule("1")})
            [outcome] = scored(one, tmp_path, answer="1")[0].checks
            assert outcome.source == source


class Spoilt(FakeDesktop):
    """A desktop in memory whose commands fail."""

    def __init__(self, name: str, spec: DesktopSpec, error: GuestError) -> None:
        super().__init__(name, spec)
        self.error = error

    def run(self, *command: Any, **more: Any) -> CommandResult:
        raise self.error


@pytest.mark.parametrize(
    "made",
    [
        {"file": "../../etc/passwd"}, {"unfit": "x"}, {"map": {"file": "x"}}, {"": "/etc/passwd"}, [{"file": "a"}],
        {"map": 1}, {"a": 1, "file": "x"}, {"unfit": {"file": "x"}},
    ],
)  # fmt: skip
def test_what_an_agent_writes_is_never_taken_for_a_file(made: Any, tmp_path: Path) -> None:
    kept = json.loads(json.dumps(packed(made, str)))
    assert unpacked(kept, Path) == made == restore(kept, tmp_path)


def test_values_are_plain_and_not_too_deep() -> None:
    assert plain({"a": ("\ud800", float("nan"), {1: b"x"})}) == {"a": ["\ufffd", "nan", {"1": "b'x'"}]}
    deep: Any = 0
    for _ in range(400):
        deep = [deep]
    with pytest.raises(Unfit, match="nested deeper"):
        plain(deep)
