"""Jobs of Harbor as runs, and what other programs leave that is no run."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from deskbench.agent.base import Ending
from deskbench.agent.exports.export import export
from deskbench.agent.exports.foreign import import_any
from deskbench.agent.runs.folder import RunFolder
from deskbench.envs.errors import UsageError

from ..staged_runs import episode, run
from .consumers import cua_bench_results, harbor_trajectory


@pytest.fixture
def job(tmp_path: Path) -> Path:
    made = run(tmp_path / "run", planned=3)
    episode(made, "suite/a", 1.0)
    episode(made, "suite/a", 0.5, repeat=1, attempt=2, ending=Ending.TIME_LIMIT)
    episode(made, "suite/b", None, ending=Ending.ENV_ERROR)
    return export(made, tmp_path / "job", "atif").folder


def test_what_export_wrote_comes_back(job: Path, tmp_path: Path) -> None:
    done = import_any(job, tmp_path / "back")
    assert (done.planned, done.scored, done.problems) == (3, 2, ())
    for before, after in zip(RunFolder(tmp_path / "run").final(), RunFolder(tmp_path / "back").final(), strict=True):
        old, new = before.episode, after.episode
        same = ("task", "repeat", "instruction", "ending", "score", "agent", "started", "finished", "width")
        assert {name: getattr(new, name) for name in same} == {name: getattr(old, name) for name in same}
        assert [(s.actions, s.reply, s.usage) for s in after.steps()] == [
            (s.actions, s.reply, s.usage) for s in before.steps()
        ]
        assert [seen.frame for seen in after.frames()] == [seen.frame for seen in before.frames()]


def test_parts_of_another_form_are_named_and_do_not_end_a_later_export(job: Path, tmp_path: Path) -> None:
    path = job / "suite__a__1/agent/trajectory.json"
    extra = json.loads(path.read_text())["extra"]
    good = {"name": "saved", "score": 1.0, "weight": 1.0, "description": ""}
    extra["deskbench"]["score"]["parts"] = [good, {"score": 1.0}]
    change(path, extra=extra)
    done = import_any(job, tmp_path / "back")
    assert done.problems == ("suite__a__1/trajectory.json: 1 of 2 parts of the score left out",)
    assert RunFolder(tmp_path / "back").final()[0].episode.score.parts == [good]
    assert export(tmp_path / "back", tmp_path / "osworld").scored == 2


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_trial_that_is_not_of_a_desktop_is_left_out(job: Path, tmp_path: Path) -> None:
    step = {"step_id": 1, "source": "agent", "message": "", "tool_calls": [
        {"tool_call_id": "1", "function_name": "bash_command", "arguments": {"keystrokes": "ls"}}]}  # fmt: skip
    change(job / "suite__a__1/agent/trajectory.json", steps=[step])
    change(job / "suite__a__2/result.json", verifier_result={"rewards": {"reward": 7}})
    change(job / "suite__b__1/agent/trajectory.json", schema_version="other")
    done = import_any(job, tmp_path / "back")
    assert (done.planned, done.scored) == (1, 0)
    told = "\n".join(done.problems)
    assert "suite__a__1: left out: the tool call 'bash_command' is no action on a desktop" in told
    assert "suite__b__1: left out: other is not a version of ATIF" in told
    assert "suite__a__2/result.json: the reward" in told
    (job / "suite__a__2/result.json").unlink()
    with pytest.raises(UsageError, match=r"no trial that can be imported: .*there is no result\.json"):
        import_any(job, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_picture_outside_of_the_trial_is_not_read(job: Path, tmp_path: Path) -> None:
    path = job / "suite__a__1/agent/trajectory.json"
    text = path.read_text().replace('"images/', '"../../suite__a__2/agent/images/')
    path.write_text(text)
    import_any(job, tmp_path / "back")
    first = RunFolder(tmp_path / "back").final()[0]
    assert [seen.frame for seen in first.frames()] == [None] * 3


def with_own(value: dict[str, Any], **own: Any) -> None:
    value["extra"]["deskbench"].update(own)


def with_picture(value: dict[str, Any], name: str) -> None:
    value["steps"][0]["message"][1]["source"]["path"] = name


@pytest.mark.parametrize(
    ("file", "edit", "said"),
    [
        ("agent/trajectory.json", lambda v: with_own(v, seed=1 << 70), "left out: seed is 1180591620717411303424"),
        ("agent/trajectory.json", lambda v: with_own(v, task="s/" + "a" * 300), "is longer than 255 bytes"),
        ("agent/trajectory.json", lambda v: with_picture(v, "images/a\0b"), ""),
        (
            "agent/trajectory.json",
            lambda v: with_picture(v, "images/" + "a" * 300),
            "not a picture: File name too long",
        ),
        (
            "result.json",
            lambda v: v.update(started_at="1969-01-01T00:00:00Z"),
            "left out: 1969-01-01 00:00:00+00:00 is before 1970",
        ),
        ("result.json", lambda v: v.update(started_at="0001-01-01T00:00:00"), "left out: year 0 is out of range"),
    ],
)
def test_one_trial_never_ends_the_import_of_the_others(
    job: Path, tmp_path: Path, file: str, edit: Callable[[dict[str, Any]], None], said: str
) -> None:
    path = job / "suite__a__1" / file
    value = json.loads(path.read_text())
    edit(value)
    path.write_text(json.dumps(value))
    done = import_any(job, tmp_path / "back")
    assert done.planned == 3 - ("left out" in said or "longer" in said) and done.scored == done.planned - 1
    assert said in "\n".join(done.problems)


@pytest.mark.parametrize(
    ("rewards", "reason"),
    [
        ({"reward": 7}, "the reward is 7; a score is a number from 0 to 1"),
        ({"reward": None}, "there is no reward"),
        ({"speed": 1.0, "quality": 0.0}, "none of its rewards is called reward"),
    ],
)
def test_a_reward_that_is_no_score_is_no_score(job: Path, tmp_path: Path, rewards: object, reason: str) -> None:
    change(job / "suite__a__1/result.json", verifier_result={"rewards": rewards})
    assert import_any(job, tmp_path / "back").planned == 3
    score = RunFolder(tmp_path / "back").final()[0].episode.score
    assert (score.value, score.reason) == (None, reason)


def test_traces_without_scores_are_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "traces").mkdir()
    (tmp_path / "traces/dataset_info.json").write_text("{}")
    with pytest.raises(UsageError, match="as cua-bench keeps them, without the scores"):
        import_any(tmp_path, tmp_path / "out")


def png(colour: str, size: tuple[int, int] = (640, 400)) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", size, colour).save(made, "PNG")
    return made.getvalue()


def cua_variant(folder: Path, reward: float | None, outputs: Sequence[Sequence[dict[str, Any]]], attempt: int) -> None:
    """A variant as cua-bench writes it, by cua-bench's own functions."""
    folder.mkdir(parents=True)
    told = cua_bench_results()
    rows: list[dict[str, Any]] = [
        {"event_name": "reset", "data_json": "{}", "data_images": [png("red")], "timestamp": "2026-01-02T03:04:05Z"}
    ]
    rows += [
        {
            "event_name": "agent_step",
            "data_json": json.dumps({"output": output, "usage": {"prompt_tokens": 7, "completion_tokens": 2}}),
            "data_images": [png("blue")], "timestamp": "2026-01-02T03:04:06Z",
        }
        for output in outputs
    ]  # fmt: skip
    rows.append({"event_name": "evaluate", "data_json": json.dumps({"result": [reward]}), "timestamp": None})
    told.write_atif(
        rows, folder, session_id="s", agent_name="cua-agent", model_name="openai/m", description="Save it.",
        evaluation=[reward], reward=reward,
    )  # fmt: skip
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    fields = told.harbor_trial_fields(
        task="notes", variant=2, attempt=attempt, output_dir=str(folder), reward=reward, evaluation=[reward],
        error=None, started_at=when, finished_at=when, setup_started=None, timing={},
        agent_label="cua-agent", model="openai/m",
    )  # fmt: skip
    (folder / "result.json").write_text(json.dumps({"variant": 2, "attempt": attempt, "reward": reward, **fields}))


def called(**action: Any) -> dict[str, Any]:
    return {"type": "computer_call", "call_id": "c", "action": action}


def said(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def test_what_cua_bench_wrote_is_imported(tmp_path: Path) -> None:
    outputs = [
        [said("I click."), called(type="click", button="left", x=10, y=20)],
        [called(type="keypress", keys=["ctrl", "s"]), called(type="scroll", x=5, y=6, scroll_x=0, scroll_y=300)],
        [said("DONE")],
    ]
    cua_variant(tmp_path / "job/notes_v2", 1.0, outputs, 0)
    cua_variant(tmp_path / "job/notes_v2_a1", 0.0, [[called(type="left_mouse_down", x=1, y=2)]], 1)
    cua_variant(tmp_path / "job/notes_v2_a2", None, [[{**called(), "type": "function_call", "name": "bash"}]], 2)
    done = import_any(tmp_path / "job", tmp_path / "run")
    assert (done.planned, done.scored) == (2, 2)
    assert done.problems == ("notes_v2_a2: left out: the tool call 'bash' is no action on a desktop",)
    first, second = RunFolder(tmp_path / "run").final()
    found = first.episode
    assert (found.task, found.repeat, found.instruction) == ("cua-bench/notes_v2", 0, "Save it.")
    assert (found.ending, found.score.value, found.answer) == (Ending.DONE, 1.0, "DONE")
    assert (found.width, found.height, found.totals.usage.input_tokens) == (640, 400, 21)
    assert [[action["type"] for action in step.actions] for step in first.steps()] == [
        ["click"], ["key", "scroll"], ["done"],
    ]  # fmt: skip
    assert all(seen.frame is not None for seen in first.frames())
    assert (second.episode.repeat, second.episode.score.value) == (1, 0.0)


def harbor_trial(folder: Path, calls: Sequence[tuple[str, Mapping[str, Any]]], size: tuple[int, int]) -> None:
    """A trial of Harbor's agent computer-1; Harbor's own model checks the trajectory."""
    (folder / "agent/images").mkdir(parents=True)
    (folder / "agent/images/a.png").write_bytes(png("green", size))
    shot = {"type": "image", "source": {"media_type": "image/png", "path": "images/a.png"}}
    steps: list[dict[str, Any]] = [{"step_id": 1, "source": "user", "message": "Look it up."}]
    for number, (name, arguments) in enumerate(calls, 2):
        call = {"tool_call_id": f"c{number}", "function_name": name, "arguments": arguments}
        result = {"source_call_id": f"c{number}", "content": [{"type": "text", "text": "ok"}, shot]}
        steps.append({"step_id": number, "source": "agent", "message": "", "tool_calls": [call],
                      "observation": {"results": [result]}})  # fmt: skip
    agent = {"name": "computer-1", "version": "1", "model_name": "m"}
    value = {"schema_version": "ATIF-v1.8", "session_id": "s", "agent": agent, "steps": steps}
    harbor_trajectory().model_validate(value)
    (folder / "agent/trajectory.json").write_text(json.dumps(value))
    reward = {"task_name": "org/look", "source": "web", "verifier_result": {"rewards": {"reward": 1}}}
    (folder / "result.json").write_text(json.dumps(reward))


ABSENT = dict.fromkeys(("x", "y", "end_x", "end_y", "text", "keys", "scroll_x", "modifier", "zoom_region"))
"""Fields of a `ComputerAction` that an action does not use; Harbor writes them as null."""


def test_both_forms_of_harbors_own_agent_are_imported(tmp_path: Path) -> None:
    harbor_trial(tmp_path / "job/a", [
        ("computer", {"action": "left_click", "coordinate": [30, 40], "text": "ctrl"}),
        ("computer", {"action": "key", "text": "ctrl+s"}),
        ("mark_task_complete", {"result": "42"}),
    ], (1024, 768))  # fmt: skip
    harbor_trial(tmp_path / "job/b", [
        ("computer_action", {**ABSENT, "type": "navigate", "url": "https://example.org"}),
        ("computer_action", {**ABSENT, "type": "click", "x": 3, "y": 4, "modifier": "shift", "source": "native"}),
        ("computer_action", {**ABSENT, "type": "drag", "x": 1, "y": 2, "end_x": 3, "end_y": 4}),
        ("computer_action", {**ABSENT, "type": "scroll", "x": 9, "y": 9, "scroll_y": None}),
        ("computer_action", {**ABSENT, "type": "zoom", "zoom_region": [0, 0, 9, 9]}),
        ("computer_action", {**ABSENT, "type": "done", "text": "it is there"}),
    ], (1024, 768))  # fmt: skip
    done = import_any(tmp_path / "job", tmp_path / "run")
    assert (done.planned, done.scored, done.problems) == (2, 2, ())
    first, second = RunFolder(tmp_path / "run").final()
    assert (first.episode.answer, first.episode.ending) == ("42", Ending.DONE)
    (click,), (key,), _ = (step.actions for step in first.steps())
    assert (click["x"], click["y"], click["modifiers"], key["keys"]) == (30, 40, ["ctrl"], ["ctrl", "s"])
    acted = [step.actions for step in second.steps()]
    assert [[action["type"] for action in actions] for actions in acted] == [
        ["key", "type", "key"], ["click"], ["drag"], ["scroll"], ["zoom"], ["done"],
    ]  # fmt: skip
    assert acted[1][0]["modifiers"] == ["shift"] and acted[2][0]["path"] == [[1, 2], [3, 4]]
    assert acted[3][0]["dy"] == -5 and second.episode.answer == "it is there"


def test_points_of_a_picture_of_unknown_size_are_not_guessed(tmp_path: Path) -> None:
    harbor_trial(tmp_path / "job/a", [("computer", {"action": "left_click", "coordinate": [30, 40]})], (1920, 1080))
    with pytest.raises(UsageError, match="a picture of unknown size, smaller than the screen"):
        import_any(tmp_path / "job", tmp_path / "run")
