"""A run as ATIF trajectories, read by Harbor's own models."""

import json
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.base import Ending
from deskbench.agent.batch import Batch
from deskbench.agent.exports.export import export
from deskbench.agent.runs.layout import EpisodeFolder

from ..paper import prepared, write_suite
from ..staged_runs import episode, run
from .consumers import harbor_trajectory


def read(out: Path) -> dict[str, Any]:
    """Each trajectory as Harbor reads it, by its trial."""
    model = harbor_trajectory()
    files = sorted(out.glob("*/agent/trajectory.json"))
    return {file.parents[1].name: model.model_validate_json(file.read_bytes()) for file in files}


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    made = run(tmp_path / "run", planned=3)
    episode(made, "suite/a", 1.0)
    episode(made, "suite/a", 0.5, repeat=1, attempt=2)
    episode(made, "suite/b", None, ending=Ending.ENV_ERROR)
    path = EpisodeFolder(made / "episodes/suite/a/2").steps
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0] |= {"thought": "It is there.", "attempts": 2}
    lines[1]["observation"] |= {"results": [[False, "off the screen", None]], "answer": "the red one"}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return made


def test_harbor_reads_every_trajectory(recorded: Path, tmp_path: Path) -> None:
    export(recorded, tmp_path / "out", "atif")
    found = read(tmp_path / "out")
    assert list(found) == ["suite__a__1", "suite__a__2", "suite__b__1"]
    one = found["suite__a__2"]
    assert one.schema_version == "ATIF-v1.8" and one.trajectory_id == "run/suite/a/2"
    asked, first, second = one.steps
    assert (asked.source, asked.message[0].text) == ("user", "Do suite/a.")
    assert (first.message, first.reasoning_content, first.llm_call_count) == ("I click.", "It is there.", 2)
    (call,) = first.tool_calls
    assert (call.function_name, call.arguments["x"], call.arguments["y"]) == ("click", 100, 60)
    result, answer, screen = first.observation.results
    assert (result.source_call_id, result.content) == (call.tool_call_id, "off the screen")
    assert (answer.content, screen.source_call_id) == ("the red one", None)
    assert (second.metrics.prompt_tokens, one.final_metrics.total_cost_usd) == (100, 0.002)
    assert one.extra["deskbench"]["score"]["reason"] == "because"


def test_its_pictures_stand_beside_it(recorded: Path, tmp_path: Path) -> None:
    export(recorded, tmp_path / "out", "atif", success_only=True)
    (one,) = read(tmp_path / "out").values()
    assert one.has_multimodal_content()
    shown = [one.steps[0].message[1], *(step.observation.results[-1].content[0] for step in one.steps[1:])]
    folder = tmp_path / "out/suite__a__1/agent"
    assert len({part.source.path for part in shown}) == 3
    assert all((folder / part.source.path).is_file() for part in shown)
    export(recorded, tmp_path / "bare", "atif", frames=False)
    assert not any(one.has_multimodal_content() for one in read(tmp_path / "bare").values())
    assert not list((tmp_path / "bare").rglob("*.png"))


def test_a_trial_has_a_reward_or_what_failed(recorded: Path, tmp_path: Path) -> None:
    export(recorded, tmp_path / "out", "atif")
    assert (tmp_path / "out/suite__a__2/verifier/reward.txt").read_text() == "0.5\n"
    scored, failed = (json.loads((tmp_path / "out" / f"suite__{name}/result.json").read_text())
                      for name in ("a__2", "b__1"))  # fmt: skip
    assert scored["verifier_result"] == {"rewards": {"reward": 0.5}} and scored["exception_info"] is None
    assert failed["verifier_result"] is None and failed["exception_info"]["exception_type"] == "env_error"


def test_steps_that_no_model_decided_say_so(tmp_path: Path) -> None:
    Batch(prepared(write_suite(tmp_path / "suite", 1)), tmp_path / "run").run()
    export(tmp_path / "run", tmp_path / "out", "atif")
    for one in read(tmp_path / "out").values():
        assert {step.llm_call_count for step in one.steps if step.source == "agent"} == {0}


def test_two_episodes_never_share_a_folder(tmp_path: Path) -> None:
    made = run(tmp_path / "run", planned=2)
    episode(made, "a/b__c", 1.0)
    episode(made, "a__b/c", 0.0)
    done = export(made, tmp_path / "out", "atif")
    assert (done.scored, done.left_out) == (1, ("a__b/c/1: another episode has the folder a__b__c__1",))
    assert json.loads((tmp_path / "out/a__b__c__1/result.json").read_text())["task_name"] == "a/b__c"
