"""The replay of a whole run: which episodes agree, where the others part, and why."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from deskbench.agent.batch import Batch
from deskbench.agent.cli.main import app
from deskbench.agent.replay.causes import Cause
from deskbench.agent.replay.suite import Outcome, Replays, Results, line, page, totals
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.errors import StartError, UsageError
from deskbench.envs.providers.fake import FakeDesktop, FakeProvider
from deskbench.envs.types import Action, Observation, Type
from deskbench.envs.wire import Observe

from .. import paper
from ..paper import prepared, write_suite, write_task
from ..staged_runs import run as staged_run


class Changed(FakeDesktop):
    """Types another text in the tasks that say so."""

    def act(self, actions: Sequence[Action], observe: Observe | None = None) -> Observation:
        wrong = any(isinstance(action, Type) and action.text == "wrong" for action in actions)
        return super().act([Type("other")] if wrong else actions, observe)


class ChangedProvider(FakeProvider):
    def start(self, spec: DesktopSpec) -> Desktop:
        return Changed("changed", spec)


class NoMore(FakeProvider):
    """Has no desktop for the first three asks."""

    asked = 0

    def start(self, spec: DesktopSpec) -> Desktop:
        NoMore.asked += 1
        if NoMore.asked <= 3:
            raise StartError("no memory")
        return super().start(spec)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four episodes: two are the same on any desktop, two are not on `Changed`."""
    folder = tmp_path_factory.mktemp("replay")
    suite = write_suite(folder / "suite", count=1)
    write_task(suite, "wrong", oracle=[{"type": "type", "text": "wrong"}])
    write_task(
        suite, "network", oracle=[{"type": "type", "text": "wrong"}], requires={"network": "full"}
    )  # fmt: skip
    Batch(prepared(suite, network=True), folder / "run").run()
    return folder / "run"


def test_every_episode_is_replayed_and_the_differences_have_a_cause(recorded: Path, tmp_path: Path) -> None:
    told: list[Outcome] = []
    replays = Replays(recorded, tmp_path / "out", provider=f"{__name__}:ChangedProvider", on_done=told.append)
    results = replays.go(parallel=3)
    by_task = {one.task: one for one in results.episodes}
    assert {name: one.cause for name, one in by_task.items()} == {
        "suite/impossible": None, "suite/network": Cause.NETWORK, "suite/write-0": None, "suite/wrong": Cause.UNKNOWN,
    }  # fmt: skip
    wrong = by_task["suite/wrong"]
    assert (wrong.step, wrong.steps) == (1, 1) and wrong.share and wrong.picture
    assert Image.open(tmp_path / "out" / wrong.picture).width > 1280
    summary = results.summary()
    assert (summary["same_score"], summary["compared"], summary["same_screens"]) == (4, 4, 2)
    assert summary["causes"] == {"network": 1, "unknown": 1} and len(told) == 4
    assert "screens differ at the end; cause: unknown" in line(wrong)
    assert totals(results).startswith("4 of 4 replayed; same score 4 of 4 (100.0%); same screens 2 of 4")


def test_a_replay_that_stopped_goes_on_with_what_is_left(recorded: Path, tmp_path: Path) -> None:
    provider = f"{__name__}:NoMore"
    first = Replays(recorded, tmp_path / "out", provider=provider).go()
    assert [one.error is None for one in first.episodes].count(False) == 1
    assert first.summary()["failed"] == 1
    again: list[Outcome] = []
    second = Replays(recorded, tmp_path / "out", provider=provider, on_done=again.append).go()
    assert len(again) == 1 and all(one.agrees for one in second.episodes)
    with pytest.raises(UsageError, match="has the replay of"):
        Replays(recorded, tmp_path / "out").go()
    with pytest.raises(UsageError, match="is no replay of a run"):
        Replays(recorded, recorded).go()


def test_a_recording_without_pictures_has_no_screens_that_agree(recorded: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(recorded, bare)
    for folder in RunFolder(bare).episodes():
        events = [json.loads(text) for text in folder.steps.read_text().splitlines()]
        for event in events:
            if "observation" in event:
                event["observation"]["frame"] = None
        folder.steps.write_text("".join(json.dumps(event) + "\n" for event in events))
    unscored = EpisodeFolder(bare / "episodes/suite/impossible/1").record
    record = json.loads(unscored.read_text())
    record["score"]["value"] = None
    unscored.write_text(json.dumps(record))
    results = Replays(bare, tmp_path / "out", provider="fake").go()
    summary = results.summary()
    assert (summary["same_screens"], summary["compared_screens"]) == (0, 0)
    told = {one.task: (one.agrees, one.cause, line(one)) for one in results.episodes}
    agrees, cause, said = told["suite/write-0"]
    assert agrees and cause is None and said.endswith("screens not compared")
    agrees, cause, said = told["suite/impossible"]
    assert not agrees and cause is None and "nothing to compare" in said
    assert "; same screens 0 of 0;" in totals(results)


def test_no_text_of_a_run_is_markup() -> None:
    one = Outcome(
        task="<b>a</b>", repeat=0, attempt=1, episode="x", folder="y", picture='"><script>', step=0, error="<i>"
    )
    shown = page(Results(run="/runs/<u>", provider=None, planned=1, episodes=(one,)))
    assert not re.search(r"<(b|i|u|script)>", shown) and "&lt;b&gt;a" in shown


def test_the_page_shows_what_differs(recorded: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [
        "replay", str(recorded), "-n", "2", "--provider", f"{__name__}:ChangedProvider", "--out", str(tmp_path / "out"),
        "--json",
    ])  # fmt: skip
    assert done.exit_code == 1, done.output
    value = json.loads(done.stdout)
    assert value["same_score"] == 4 and [one["agrees"] for one in value["episodes"]].count(False) == 2
    text = (tmp_path / "out/replay.html").read_text()
    shown = re.findall(r'src="([^"]+)"', text)
    assert len(shown) == 2 and all((tmp_path / "out" / name).is_file() for name in shown)
    assert text.count("<tr") == 1 + 4 and "network" in text


def test_what_cannot_be_replayed_is_told_at_once(recorded: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no finished episode"):
        Replays(staged_run(tmp_path / "empty", planned=1), tmp_path / "out").go()
    assert not (tmp_path / "out").exists()
    assert RunFolder(recorded).exists
    dead = Replays(recorded, tmp_path / "dead", provider=f"{paper.__name__}:Dead").go(parallel=2)
    assert {one.error for one in dead.episodes} == {
        "EnvError: the replay did not finish: StartError: Xvfb ended with status 1"
    }
    assert dead.summary()["share_same_score"] is None


def without_frames(episode: EpisodeFolder) -> None:
    for frame in episode.frames.iterdir():
        frame.unlink()


def garbled_frames(episode: EpisodeFolder) -> None:
    for frame in episode.frames.iterdir():
        frame.write_bytes(b"no picture")


def without_steps(episode: EpisodeFolder) -> None:
    episode.steps.unlink()


def unknown_event(episode: EpisodeFolder) -> None:
    episode.steps.write_text('{"kind": "another"}')


def unknown_action(episode: EpisodeFolder) -> None:
    episode.steps.write_text(episode.steps.read_text().replace('"type":"type"', '"type":"typo"'))


def unknown_policy(episode: EpisodeFolder) -> None:
    episode.record.write_text(json.dumps(json.loads(episode.record.read_text()) | {"policy": "never"}))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (without_frames, "cannot be read: No such file"), (garbled_frames, "the picture"),
        (without_steps, "steps.jsonl cannot be read: No such file"), (unknown_event, "line 1 is not an event"),
        (unknown_action, "unknown action type 'typo'"), (unknown_policy, "setting policy is 'never'"),
    ],
)  # fmt: skip
def test_a_damaged_episode_has_no_result_and_the_others_have(
    damage: Callable[[EpisodeFolder], None], said: str, recorded: Path, tmp_path: Path
) -> None:
    shutil.copytree(recorded, tmp_path / "run")
    damage(RunFolder(tmp_path / "run").episode("suite/wrong", 1))
    results = Replays(tmp_path / "run", tmp_path / "out", provider=f"{__name__}:ChangedProvider").go()
    (failed,) = (one for one in results.episodes if one.error is not None)
    assert failed.task == "suite/wrong" and said in str(failed.error) and len(results.episodes) == 4
    assert results.summary()["compared"] == 3


def outcome(task: str, **changes: Any) -> Outcome:
    return Outcome(task=task, repeat=0, attempt=1, episode="x", folder="y", **changes)


def test_a_replay_without_a_score_is_no_other_score() -> None:
    same, unscored = outcome("s/a", recorded=1.0, replayed=1.0), outcome("s/b", recorded=1.0, cause=Cause.UNKNOWN)
    results = Results(run="r", provider=None, planned=2, episodes=(same, unscored))
    assert results.summary()["share_same_score"] == 1.0 and results.summary()["not_scored"] == 1
    assert totals(results).startswith("2 of 2 replayed, 1 not scored; same score 1 of 1 (100.0%)")
    assert same.agrees and not unscored.agrees and "DIFFERS" not in line(unscored)


def test_results_of_an_earlier_attempt_do_not_count(recorded: Path, tmp_path: Path) -> None:
    Replays(recorded, tmp_path / "out").go()
    old = Results.model_validate_json((tmp_path / "out/replay.json").read_bytes())
    earlier = old.episodes[0].model_copy(update={"attempt": 0})
    (tmp_path / "out/replay.json").write_text(
        old.model_copy(update={"episodes": (earlier, *old.episodes)}).model_dump_json()
    )
    assert Replays(recorded, tmp_path / "out").go().episodes == old.episodes


def test_a_picture_is_found_whatever_the_task_is_called() -> None:
    one = outcome("s/a", step=0, picture="javascript:alert(1)/50% #1?/difference-000.png")
    shown = page(Results(run="r", provider=None, planned=1, episodes=(one,)))
    assert 'href="javascript%3Aalert%281%29/50%25%20%231%3F/difference-000.png"' in shown


@pytest.mark.parametrize("command", ["rescore", "replay"])
def test_a_terminal_obeys_no_text_of_a_run(command: str, recorded: Path, tmp_path: Path) -> None:
    shutil.copytree(recorded, tmp_path / "run")
    record = RunFolder(tmp_path / "run").episode("suite/wrong", 1).record
    named = {"task": "suite/\x1b]0;title\x07", "task_json": {}, "task_path": ""}
    record.write_text(json.dumps(json.loads(record.read_text()) | named))
    more = ["--out", str(tmp_path / "out")] if command == "replay" else []
    done = CliRunner().invoke(app, [command, str(tmp_path / "run"), *more])
    assert r"suite/\x1b]0;title\x07" in done.output and "\x1b" not in done.output


def test_ctrl_c_ends_the_replay_and_what_is_done_is_kept(recorded: Path, tmp_path: Path) -> None:
    def stop(outcome: Outcome) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Replays(recorded, tmp_path / "out", on_done=stop).go()
    again: list[Outcome] = []
    results = Replays(recorded, tmp_path / "out", on_done=again.append).go(parallel=2)
    assert len(results.episodes) == 4 and 0 < len(again) < 4 and results.summary()["same_screens"] == 4
