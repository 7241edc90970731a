"""Replays and scoring again: the same loop, the same record, and what is said when it goes another way."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from deskbench.agent.agents.replay import AGAIN
from deskbench.agent.base import Ending
from deskbench.agent.batch import Batch
from deskbench.agent.replay.replay import describe, replay
from deskbench.agent.replay.rescore import rescore_all
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.record import EpisodeReader
from deskbench.agent.runs.scan import run_stamp
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.errors import EnvError, UsageError
from deskbench.envs.providers.fake import FakeDesktop, FakeProvider
from deskbench.envs.types import Action, Click, Observation, Type
from deskbench.envs.wire import Observe

from .. import paper
from ..paper import prepared, write_suite, write_task


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return write_suite(tmp_path / "suite", count=1)


def recorded(suite: Path, out: Path, name: str = "write-0", **changes: object) -> Path:
    Batch(prepared(suite, **changes), out).run()
    return out / "episodes" / "suite" / name / "1"


class Clumsy(FakeDesktop):
    """Drops the last letter of what is typed."""

    def act(self, actions: Sequence[Action], observe: Observe | None = None) -> Observation:
        return super().act([Type(a.text[:-1]) if isinstance(a, Type) else a for a in actions], observe)


class ClumsyProvider(FakeProvider):
    def start(self, spec: DesktopSpec) -> Desktop:
        return Clumsy("clumsy", spec)


class Late(FakeDesktop):
    """Shows what was typed one look late, and loses a click that comes before it."""

    late = False

    def act(self, actions: Sequence[Action], observe: Observe | None = None) -> Observation:
        before = self.observe(observe)
        if self.late and any(isinstance(action, Click) for action in actions):
            actions = []
        after = super().act(actions, observe)
        self.late = any(isinstance(action, Type) for action in actions)
        return replace(after, screenshot=before.screenshot) if self.late else after


class LateProvider(FakeProvider):
    def start(self, spec: DesktopSpec) -> Desktop:
        return Late("late", spec)


def test_a_replay_waits_for_the_recorded_screen(suite: Path, tmp_path: Path) -> None:
    episode = recorded(suite, tmp_path / "run")
    found = replay(episode, tmp_path / "replay", provider=f"{__name__}:LateProvider")
    assert found.agrees
    thoughts = [s.thought for s in EpisodeReader(tmp_path / "replay/episodes/suite/write-0/1").steps()]
    assert thoughts == [None, AGAIN, None, None]


def test_a_replay_agrees_on_score_and_screens(suite: Path, tmp_path: Path) -> None:
    found = replay(recorded(suite, tmp_path / "run"), tmp_path / "replay")
    assert found.agrees
    assert (found.recorded, found.replayed, found.divergence) == (1.0, 1.0, None)


@pytest.mark.parametrize("name", ["impossible", "write-0"])
@pytest.mark.parametrize("agent", ["null", "fail", "random"])
def test_every_agents_episode_can_be_repeated(suite: Path, tmp_path: Path, agent: str, name: str) -> None:
    episode = recorded(suite, tmp_path / "run", name, agent=agent, max_steps=5)
    found = replay(episode, tmp_path / "replay")
    assert found.agrees
    assert RunFolder(tmp_path / "replay").records()[0].ending == EpisodeReader(episode).episode.ending


def test_an_agent_that_broke_off_is_repeated_to_where_it_did(suite: Path, tmp_path: Path) -> None:
    write_task(suite, "write-0", oracle=[{"type": "type", "text": "h"}, {"type": "click", "target": {"name": "No"}}])
    episode = recorded(suite, tmp_path / "run")
    assert EpisodeReader(episode).episode.ending is Ending.AGENT_ERROR
    assert replay(episode, tmp_path / "replay").agrees


def test_the_first_step_whose_screen_differs_is_shown(suite: Path, tmp_path: Path) -> None:
    episode = recorded(suite, tmp_path / "run")
    found = replay(episode, tmp_path / "replay", provider=f"{__name__}:ClumsyProvider")
    assert not found.agrees
    assert (found.recorded, found.replayed) == (1.0, 0.0)
    assert found.divergence and found.divergence.step == 1  # seen before step 1: after the typing
    assert Image.open(found.divergence.picture).size == (1280 * 2 + 8, 800)
    lines = describe(found, EpisodeReader(episode).episode)
    assert "score DIFFERS: 1 recorded, 0 replayed" in lines
    assert "before step 1" in lines[-1]


REFUSED = [
    [{"type": "type", "text": "hel"}],
    [{"type": "exec", "lang": "python", "source": "print(1)"}],
    [{"type": "click", "button": "left", "count": 1, "x": 5, "y": 5}],
]


def test_steps_that_were_refused_are_listed_with_the_reason(suite: Path, tmp_path: Path) -> None:
    episode = recorded(suite, tmp_path / "run")
    lines = (episode / "steps.jsonl").read_text().splitlines()
    steps = [json.loads(line) for line in lines if json.loads(line)["kind"] == "step"]
    final = next(line for line in lines if json.loads(line)["kind"] == "final")
    made = [json.dumps({**steps[0], "index": i, "actions": actions}) for i, actions in enumerate(REFUSED)]
    (episode / "steps.jsonl").write_text("\n".join([*made, final]) + "\n")
    found = replay(episode, tmp_path / "replay")
    assert [(one.step, one.action) for one in found.failures] == [(1, "exec")]
    assert "code is not allowed" in found.failures[0].error
    lines = describe(found, EpisodeReader(episode).episode)
    assert [line for line in lines if line.startswith("  step 1: exec: code is not allowed")]


def test_a_replay_is_a_run_of_its_own_with_the_recorded_conditions(suite: Path, tmp_path: Path) -> None:
    episode = recorded(suite, tmp_path / "run", policy="immediate", width=800, height=600, seed=9)
    replay(episode, tmp_path / "replay")
    (again,) = RunFolder(tmp_path / "replay").records()
    assert (again.policy, again.width, again.height, again.seed) == ("immediate", 800, 600, 9)
    assert again.agent == "replay"


def test_a_task_that_has_changed_since_is_replayed_as_it_was(suite: Path, tmp_path: Path) -> None:
    episode = recorded(suite, tmp_path / "run")
    write_task(suite, "write-0", config=[{"type": "launch", "parameters": {"command": ["no-such-program"]}}])
    assert replay(episode, tmp_path / "replay").agrees
    (suite / "write-0.json").unlink()
    assert replay(episode, tmp_path / "replay-2").agrees


def test_what_is_no_episode_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no finished episode"):
        replay(tmp_path, tmp_path / "replay")


def test_a_desktop_that_does_not_live_through_it_is_no_verdict(suite: Path, tmp_path: Path) -> None:
    episode = recorded(suite, tmp_path / "run")
    with pytest.raises(EnvError, match="the replay did not finish"):
        replay(episode, tmp_path / "replay", provider=f"{paper.__name__}:Dead")


# Scoring again


def test_the_same_checks_give_the_same_scores(suite: Path, tmp_path: Path) -> None:
    recorded(suite, tmp_path / "run", agent="random")
    assert [one.changed for one in rescore_all(tmp_path / "run")] == [False, False]


def test_a_changed_check_gives_a_new_score_and_is_written_only_when_asked(suite: Path, tmp_path: Path) -> None:
    episode = recorded(suite, tmp_path / "run")
    write_task(tmp_path / "other", "write-0", evaluator={"func": "infeasible"})
    (one,) = rescore_all(episode, source=str(tmp_path / "other"))
    assert (one.before, one.after, one.changed) == (1.0, 0.0, True)
    assert EpisodeReader(episode).episode.score.value == 1.0
    run = RunFolder(tmp_path / "run")
    before = run_stamp(run)
    rescore_all(episode, source=str(tmp_path / "other"), write=True)
    assert EpisodeReader(episode).episode.score.value == 0.0
    assert run_stamp(run) != before, "who keeps the run's numbers does not see that they changed"


def test_an_episode_that_was_never_scored_stays_so(suite: Path, tmp_path: Path) -> None:
    recorded(suite, tmp_path / "run", provider=f"{paper.__name__}:Dead", retries=0)
    assert [(one.before, one.after) for one in rescore_all(tmp_path / "run")] == [(None, None)] * 2


def test_a_check_that_asks_for_more_than_was_recorded_is_not_scored(suite: Path, tmp_path: Path) -> None:
    episode = recorded(suite, tmp_path / "run")
    value = json.loads((suite / "write-0.json").read_text())
    evaluator = value["evaluator"]
    value["evaluator"] = {key: [evaluator[key]] * 2 for key in ("func", "result", "expected")}
    value["evaluator"]["result"] = [evaluator["result"], {"type": "vm_clipboard"}]
    write_task(tmp_path / "other", "write-0", evaluator=value["evaluator"])
    (one,) = rescore_all(episode, source=str(tmp_path / "other"))
    assert one.after is None
    assert "no value for" in one.reason


def test_what_was_read_is_known_wherever_a_task_asks_for_it_now(suite: Path, tmp_path: Path) -> None:
    episode = recorded(suite, tmp_path / "run")
    evaluator = json.loads((suite / "write-0.json").read_text())["evaluator"]
    twice = {key: [evaluator[key]] * 2 for key in ("func", "result", "expected")}
    write_task(tmp_path / "other", "write-0", evaluator=twice)
    (one,) = rescore_all(episode, source=str(tmp_path / "other"))
    assert (one.before, one.after) == (1.0, 1.0)


def test_a_getter_that_has_changed_needs_a_machine(suite: Path, tmp_path: Path) -> None:
    episode = recorded(suite, tmp_path / "run")
    evaluator = json.loads((suite / "write-0.json").read_text())["evaluator"]
    evaluator["result"]["command"] = ["cat", "/home/user/other.txt"]
    write_task(tmp_path / "other", "write-0", evaluator=evaluator)
    (one,) = rescore_all(episode, source=str(tmp_path / "other"))
    assert (one.before, one.after) == (1.0, None)


def test_a_folder_without_episodes_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a run nor an episode"):
        rescore_all(tmp_path)


def test_a_recording_of_elsewhere_gets_no_files_of_this_machine(tmp_path: Path) -> None:
    """What it says of its task is somebody else's word; it is refused once, and not tried again."""
    (tmp_path / "secret").write_text("x")
    upload = {"files": [{"local_path": str(tmp_path / "secret"), "path": "/home/user/x"}]}
    write_task(tmp_path / "suite", "one", config=[{"type": "upload_file", "parameters": upload}])
    made = prepared(tmp_path / "suite", host_files=True)
    Batch(made, tmp_path / "run").run()
    with pytest.raises(EnvError, match="--host-files"):
        replay(tmp_path / "run/episodes/suite/one/1", tmp_path / "again")
    assert len(RunFolder(tmp_path / "again").records()) == 1
    assert replay(tmp_path / "run/episodes/suite/one/1", tmp_path / "allowed", host_files=True).agrees


def test_what_cannot_be_scored_again_says_what_it_needs(suite: Path, tmp_path: Path) -> None:
    episode = recorded(suite, tmp_path / "run")
    value = json.loads((suite / "write-0.json").read_text())
    value["evaluator"]["result"] = {"type": "vm_clipboard"}
    write_task(tmp_path / "other", "write-0", evaluator=value["evaluator"])
    (one,) = rescore_all(episode, source=str(tmp_path / "other"))
    assert one.needs == "a desktop: the record has no value for getter vm_clipboard at $.evaluator.result"
    assert rescore_all(episode)[0].needs == ""
    recorded(suite, tmp_path / "dead", provider=f"{paper.__name__}:Dead", retries=0)
    assert [one.needs.partition(":")[0] for one in rescore_all(tmp_path / "dead")] == ["another run"] * 2


def test_functions_that_have_changed_since_the_run_are_named(suite: Path, tmp_path: Path) -> None:
    episode = recorded(suite, tmp_path / "run")
    assert rescore_all(episode)[0].changed_code == ()
    run = RunFolder(tmp_path / "run")
    manifest = run.manifest()
    assert set(manifest["code"]["functions"]) == {
        "setup launch", "getter vm_command_line", "getter rule", "metric exact_match",
    }  # fmt: skip
    manifest["code"]["functions"]["metric exact_match"] = "another"
    run.write_manifest(manifest)
    assert rescore_all(episode)[0].changed_code == ("metric exact_match",)
    run.write_manifest({name: value for name, value in manifest.items() if name != "code"})
    assert rescore_all(episode)[0].changed_code is None
