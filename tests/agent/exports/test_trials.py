"""Jobs of Harbor as runs, and what other programs leave that is no run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.base import Ending
from deskbench.agent.exports.export import export
from deskbench.agent.exports.foreign import import_any
from deskbench.agent.runs.folder import RunFolder
from deskbench.envs.errors import UsageError

from ..staged_runs import episode, run


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
    assert "suite__a__1: left out: the tool call 'bash_command' is no action of deskbench" in told
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
