"""The one loop: every ending, what is scored, what an agent gets to see, what is on disk when."""

import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.base import AgentError, Decision, Ending, ModelError, ModelFatal, Needs, RefusalError, Usage
from deskbench.agent.episode import run_episode
from deskbench.agent.limits import Limited
from deskbench.agent.runs.record import EpisodeReader, EpisodeRecord, EpisodeWriter, NoteRecord
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.errors import CheckError, EnvError, GuestTimeout, StorageError, Unfit
from deskbench.envs.providers.fake import FakeDesktop
from deskbench.envs.types import (
    Action,
    AskUser,
    Click,
    CursorPosition,
    Done,
    Exec,
    Fail,
    Key,
    Observation,
    TakeScreenshot,
    Type,
    Wait,
    Zoom,
)
from deskbench.envs.wire import Observe
from deskbench.tasks.types import Task
from deskbench.tasks.user import NOBODY
from tests.tasks.test_assets import serving

from .paper import WRITE, Script, plan, task


class Stage:
    """One episode on the desktop in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.desktop = FakeDesktop("fake", DesktopSpec())
        self.episode = folder / "episode"

    def run(self, *answers: Sequence[Action] | Exception, agent: Script | None = None, **changes: Any) -> EpisodeRecord:
        self.agent = agent or Script(*answers)
        one = changes.pop("task", None)
        interrupted = changes.pop("interrupted", lambda: False)
        if not isinstance(one, Task):
            one = task(self.folder, **(one or {}))
        writer = EpisodeWriter(self.episode)
        made = plan(one, self.folder / "assets", **changes)
        try:
            return run_episode(made, self.agent, self.desktop, writer, interrupted=interrupted)
        finally:
            writer.close()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


INFEASIBLE = {"evaluator": {"func": "infeasible"}}


# How an episode ends, and what it scores.


def test_done_and_the_end_state_is_right(stage: Stage) -> None:
    record = stage.run(WRITE, [Done()])
    assert (record.ending, record.score.value) == (Ending.DONE, 1.0)


def test_done_and_the_end_state_is_wrong(stage: Stage) -> None:
    record = stage.run([Done()])
    assert (record.ending, record.score.value) == (Ending.DONE, 0.0)
    assert record.score.reason


def test_fail_on_a_feasible_task_scores_nothing_even_if_the_end_state_is_right(stage: Stage) -> None:
    record = stage.run(WRITE, [Fail("no")])
    assert (record.ending, record.score.value) == (Ending.FAILED, 0.0)


def test_fail_passes_an_infeasible_task_and_done_does_not(stage: Stage, tmp_path: Path) -> None:
    assert stage.run([Fail()], task=INFEASIBLE).score.value == 1.0
    assert Stage(tmp_path / "other").run([Done()], task=INFEASIBLE).score.value == 0.0


def test_the_step_limit_ends_it_and_the_end_state_is_scored(stage: Stage) -> None:
    record = stage.run(WRITE, [], [], [Done()], max_steps=3)
    assert (record.ending, record.score.value, record.totals.steps) == (Ending.STEP_LIMIT, 1.0, 3)


def test_the_time_limit_ends_it_between_steps_and_the_end_state_is_scored(stage: Stage) -> None:
    record = stage.run(WRITE, [Done()], max_seconds=1e-9)
    assert (record.ending, record.score.value, record.totals.steps) == (Ending.TIME_LIMIT, 0.0, 0)


def test_the_agent_knows_how_much_time_it_has(stage: Stage) -> None:
    stage.run([Done()], max_seconds=100.0)
    assert stage.agent.goal and 0 < (stage.agent.goal.seconds or 0) <= 100


def test_the_budget_ends_it_and_the_end_state_is_scored(stage: Stage) -> None:
    record = stage.run(agent=Script(WRITE, [], [Done()], cost=0.4), budget_usd=0.5)
    assert (record.ending, record.score.value, record.totals.steps) == (Ending.BUDGET, 1.0, 2)
    assert record.totals.usage.cost_usd == pytest.approx(0.8)


def test_an_error_of_the_agent_counts_and_the_end_state_is_scored(stage: Stage) -> None:
    record = stage.run(WRITE, AgentError("no target"))
    assert (record.ending, record.score.value, record.error) == (Ending.AGENT_ERROR, 1.0, "AgentError: no target")


def test_a_refusal_is_an_ending_of_its_own_and_the_end_state_is_scored(stage: Stage) -> None:
    record = stage.run(WRITE, RefusalError("the model declined: I will not."))
    assert (record.ending, record.score.value) == (Ending.REFUSED, 1.0)
    assert record.error == "RefusalError: the model declined: I will not."


def test_a_mistake_in_an_agents_own_code_is_no_score(stage: Stage) -> None:
    record = stage.run(KeyError("oops"))
    assert (record.ending, record.score.value) == (Ending.AGENT_CRASH, None)
    assert record.error == "AgentCrash: script: KeyError: 'oops'"
    assert "oops" in record.score.reason


class Mumbling(Script):
    """Returns what is no decision."""

    def __init__(self, said: Any) -> None:
        super().__init__()
        self.said = said

    def act(self, observation: Observation) -> Decision:
        decision: Decision = self.said
        return decision


CLICK: Any = "click"  # which is no action


@pytest.mark.parametrize("said", ["click 3 4", None, Decision((CLICK,))])
def test_so_is_a_decision_that_is_none(stage: Stage, said: Any) -> None:
    record = stage.run(agent=Mumbling(said))
    assert (record.ending, record.score.value) == (Ending.AGENT_CRASH, None)
    assert "which is not a Decision" in str(record.error) or "which is not an action" in str(record.error)


def test_a_solution_that_does_not_find_its_target_is_a_broken_task(stage: Stage) -> None:
    record = stage.run(WRITE, CheckError("oracle: no button"))
    assert (record.ending, record.score.value) == (Ending.AGENT_ERROR, None)
    assert "the task is broken" in record.score.reason


def test_an_endpoint_that_failed_is_nobodys_score(stage: Stage) -> None:
    record = stage.run(WRITE, ModelError("connection refused"))
    assert (record.ending, record.score.value) == (Ending.AGENT_ERROR, None)
    assert "connection refused" in record.score.reason


def test_an_endpoint_that_can_never_succeed_is_recorded_and_stops_the_run(stage: Stage) -> None:
    with pytest.raises(ModelFatal, match="401"):
        stage.run(ModelFatal("401"))
    assert EpisodeReader(stage.episode).episode.score.value is None


def test_a_desktop_that_breaks_off_is_not_scored(stage: Stage) -> None:
    stage.desktop = Dying("dying", DesktopSpec())
    record = stage.run(WRITE, [Done()])
    assert (record.ending, record.score.value) == (Ending.ENV_ERROR, None)
    assert record.error == "GuestTimeout: no answer"


class Dying(FakeDesktop):
    def act(self, actions: Sequence[Action], observe: Observe | None = None) -> Observation:
        raise GuestTimeout("no answer")


def test_set_up_that_did_not_take_effect_is_not_scored(stage: Stage) -> None:
    record = stage.run(task={"config": [{"type": "launch", "parameters": {"command": ["no-such-program"]}}]})
    assert (record.ending, record.score.value) == (Ending.ENV_ERROR, None)
    assert "$.config[0]" in (record.error or "")
    assert stage.agent.seen == []


def test_a_check_that_fails_is_not_a_score(stage: Stage) -> None:
    broken = {
        "func": "tests.faults.checks:raises",
        "result": {"type": "vm_command_line", "command": ["cat", "/home/user/note.txt"]},
        "expected": {"type": "rule", "rules": {}},
    }
    record = stage.run(WRITE, [Done()], task={"evaluator": broken})
    assert (record.ending, record.score.value) == (Ending.DONE, None)
    assert record.error and record.error.startswith(CheckError.__name__)


def test_an_interrupted_episode_is_not_scored(stage: Stage) -> None:
    record = stage.run(WRITE, [Done()], interrupted=lambda: bool(stage.desktop.done))
    assert (record.ending, record.score.value, record.totals.steps) == (Ending.INTERRUPTED, None, 1)


@pytest.mark.parametrize("answer", [[Done()], AgentError("x"), ModelError("x"), KeyError("x")])
def test_the_agent_is_closed_whatever_the_ending(stage: Stage, answer: Sequence[Action] | Exception) -> None:
    stage.run(answer)
    assert stage.agent.closed


# Whose fault it is when a desktop fails.


@pytest.mark.parametrize("first", [[], [CursorPosition()], [Wait(0.0), TakeScreenshot()], [AskUser("?")]])
def test_a_desktop_that_fails_before_the_agent_did_anything_is_infrastructure(
    stage: Stage, first: Sequence[Action]
) -> None:
    stage.desktop = Hanging("hanging", DesktopSpec(), after=1)
    record = stage.run(first, [Done()], deaths=1)
    assert (record.ending, record.score.value, record.deaths, record.tampered) == (Ending.ENV_ERROR, None, 1, False)


@pytest.mark.parametrize(("on_tamper", "value"), [("zero", 0.0), ("unscored", None)])
def test_a_desktop_that_hangs_a_second_time_while_the_agent_acts_counts(
    stage: Stage, on_tamper: str, value: float | None
) -> None:
    stage.desktop = Hanging("hanging", DesktopSpec(), after=1)
    record = stage.run(WRITE, [Done()], deaths=1, on_tamper=on_tamper)
    assert (record.score.value, record.deaths, record.tampered) == (value, 2, True)
    assert record.score.reason == "the desktop died twice while the agent acted: no answer"


class Hanging(FakeDesktop):
    """Answers so many steps, and then none."""

    def __init__(self, name: str, spec: DesktopSpec, after: int) -> None:
        super().__init__(name, spec)
        self.left = after

    def act(self, actions: Sequence[Action], observe: Observe | None = None) -> Observation:
        self.left -= 1
        if self.left < 0:
            raise GuestTimeout("no answer")
        return super().act(actions, observe)


def test_a_desktop_that_dies_while_its_end_state_is_scored_died_while_the_agent_acted(stage: Stage) -> None:
    stage.desktop = Fading("fading", DesktopSpec())
    record = stage.run(WRITE, [Done()])
    assert (record.ending, record.score.value, record.deaths) == (Ending.ENV_ERROR, None, 1)


class Fading(FakeDesktop):
    """Does not live to be scored."""

    def act(self, actions: Sequence[Action], observe: Observe | None = None) -> Observation:
        seen = super().act(actions, observe)
        self.running = not any(isinstance(action, Done) for action in actions)
        return seen


def test_a_desktop_that_dies_because_the_run_ends_is_not_held_against_the_agent(stage: Stage) -> None:
    stage.desktop = Hanging("hanging", DesktopSpec(), after=1)
    record = stage.run(WRITE, [Type("x")], deaths=1, interrupted=lambda: stage.desktop.left < 0)
    assert (record.ending, record.score.value, record.tampered) == (Ending.INTERRUPTED, None, False)


def test_what_an_agent_lacks_of_the_desktop_is_the_desktops_fault(stage: Stage) -> None:
    record = stage.run(EnvError("the desktop gave no accessibility tree"))
    assert (record.ending, record.score.value) == (Ending.ENV_ERROR, None)


def test_an_end_state_that_is_not_fit_to_be_read_is_0_with_the_reason(stage: Stage) -> None:
    stage.desktop = Crooked("crooked", DesktopSpec())
    (stage.folder / "paper").mkdir()
    (stage.folder / "paper" / "suite.py").write_text("def test(): return True\n")
    checked = {
        "func": "check_python_file_by_test_suite",
        "result": {"type": "vm_file", "path": "/home/user/note.txt", "dest": "note.txt"},
        "expected": {"type": "task_file", "path": "suite.py"},
    }
    record = stage.run(WRITE, [Done()], task={"evaluator": checked})
    assert (record.ending, record.score.value) == (Ending.DONE, 0.0)
    assert "is a folder" in record.score.reason


class Crooked(FakeDesktop):
    """A folder lies where a file was wanted."""

    def write_file(self, path: str, data: bytes) -> None:
        raise Unfit(f"{path} is a folder")


# Faults that nobody foresaw.


def test_a_fault_of_ours_is_recorded_with_its_traceback_and_not_scored(stage: Stage) -> None:
    stage.desktop = Senseless("senseless", DesktopSpec())
    record = stage.run(WRITE, [Done()])
    assert (record.ending, record.score.value, record.deaths) == (Ending.CRASHED, None, 0)
    notes = [event for event in EpisodeReader(stage.episode).events() if isinstance(event, NoteRecord)]
    assert any("RecursionError" in str(note.detail.get("traceback")) for note in notes)
    assert stage.agent.closed


class Senseless(FakeDesktop):
    """Breaks whoever reads what it says."""

    def act(self, actions: Sequence[Action], observe: Observe | None = None) -> Observation:
        raise RecursionError("maximum recursion depth exceeded")


def test_an_agent_that_cannot_be_closed_keeps_its_score(stage: Stage) -> None:
    class Clinging(Script):
        def close(self) -> None:
            raise RuntimeError("a connection does not close")

    record = stage.run(agent=Clinging(WRITE, [Done()]))
    assert (record.ending, record.score.value) == (Ending.DONE, 1.0)


def test_halves_of_characters_are_written_as_what_they_are_not(stage: Stage) -> None:
    record = stage.run(WRITE, [Done("\ud83d\ude00 and half of it: \ud83d")])
    assert (record.ending, record.answer) == (Ending.DONE, "\U0001f600 and half of it: \ufffd")
    assert EpisodeReader(stage.episode).episode == record


def test_an_agents_words_may_be_anything(stage: Stage) -> None:
    deep: dict[str, object] = {}
    for _ in range(5000):
        deep = {"deeper": deep}

    class Wild(Script):
        def act(self, observation: Observation) -> Decision:
            return replace(super().act(observation), reply="\udc80", notes=({"deep": deep, "\udc80": ["\udc80"]},))

    record = stage.run(agent=Wild(WRITE, [Done()]))
    assert (record.ending, record.score.value) == (Ending.DONE, 1.0)
    step = EpisodeReader(stage.episode).steps()[0]
    assert step.reply == "\ufffd" and step.notes[0]["\ufffd"] == ["\ufffd"]


# Time.


def test_waits_are_cut_to_the_time_that_is_left(stage: Stage) -> None:
    stage.run([Wait(600.0), Wait(600.0), Wait(), Type("x")], [Done()], max_seconds=100.0)
    waits = [action.seconds or 0.0 for action in stage.desktop.done if isinstance(action, Wait)]
    assert len(waits) == 3 and 0 < sum(waits) <= 100
    assert EpisodeReader(stage.episode).steps()[0].actions[0] == {"type": "wait", "seconds": 600.0}


def test_code_for_which_there_is_no_time_is_not_begun(stage: Stage) -> None:
    code: list[Action] = [Type("a"), *[Exec("bash", "true")] * 3]
    stage.run(code, [Done()], code_allowed=True, task={"requires": {"code": True}}, max_seconds=1.0)
    assert "no time" in str(stage.agent.seen[1].results[-1].error)


def test_a_desktop_that_is_slow_at_every_call_is_not_asked_for_ever() -> None:
    desktop = Limited(FakeDesktop("slow", DesktopSpec()), lambda: False)
    with desktop.within(1000.0, "scoring"):
        assert desktop.run(["true"]).returncode == 0
    with desktop.within(-1.0, "scoring"), pytest.raises(GuestTimeout, match="slow: scoring did not finish within"):
        desktop.run(["true"])
    assert desktop.run(["true"]).returncode == 0


def test_a_run_that_is_to_end_begins_no_call_when_its_grace_is_over() -> None:
    over: list[bool] = []
    for grace, ends in ((1000.0, False), (-1.0, True)):
        desktop = Limited(FakeDesktop("fake", DesktopSpec()), lambda: bool(over), grace)
        over.clear()
        assert desktop.run(["true"]).returncode == 0
        over.append(True)
        if ends:
            with pytest.raises(GuestTimeout, match="the run is ending"):
                desktop.run(["true"])
        else:
            assert desktop.run(["true"]).returncode == 0


# What the agent gets to see.


def test_an_agent_sees_what_it_needs_and_no_more(stage: Stage) -> None:
    stage.run(agent=Script([Done()], needs=Needs(screenshot=False, accessibility=True)))
    seen = stage.agent.seen[0]
    assert seen.screenshot is None
    assert seen.accessibility and "Save" in seen.accessibility


def test_the_next_observation_says_what_became_of_the_actions(stage: Stage) -> None:
    stage.run([CursorPosition(), Click(x=5000, y=5), Type("never")], [Done()])
    results = stage.agent.seen[1].results
    assert [result.ok for result in results] == [True, False, False]
    assert results[0].output == "640, 400"
    assert "off the screen" in (results[1].error or "")


def test_nobody_answers_a_question_and_the_agent_is_told_so(stage: Stage) -> None:
    stage.run([AskUser("Which file?")], [Done()])
    assert stage.agent.seen[1].answer == NOBODY


def test_code_that_is_not_allowed_is_refused_with_what_stands_behind_it(stage: Stage) -> None:
    stage.run([Type("a"), Exec("bash", "rm -rf /"), Type("b")], [Done()], code_allowed=True)
    assert [a.type for a in stage.desktop.done] == ["type", "done"]
    results = stage.agent.seen[1].results
    assert [result.ok for result in results] == [True, False, False]
    assert "not allowed" in (results[1].error or "")


def test_code_is_allowed_where_both_the_task_and_the_action_space_allow_it(stage: Stage) -> None:
    stage.run([Exec("bash", "true")], [Done()], code_allowed=True, task={"requires": {"code": True}})
    assert stage.agent.goal and stage.agent.goal.code_allowed
    assert "runs no code" in (stage.agent.seen[1].results[0].error or "")  # it arrived at the desktop


def test_looking_changes_nothing_and_shows_the_whole_screen(stage: Stage) -> None:
    stage.run([Zoom((0, 0, 10, 10))], [TakeScreenshot()], [], [Done()])
    assert len({seen.screenshot.sha256 for seen in stage.agent.seen if seen.screenshot}) == 1
    assert stage.desktop.text == ""


# What is on disk.


def test_a_step_is_on_disk_before_it_is_carried_out(stage: Stage) -> None:
    stage.desktop = Nosy("nosy", DesktopSpec())
    stage.desktop.steps = stage.episode / "steps.jsonl"
    stage.run(WRITE, [Key(("enter",))], [Done()])
    assert stage.desktop.found == [1, 2, 3]


class Nosy(FakeDesktop):
    """Looks how many steps are recorded whenever it is to carry one out."""

    steps: Path

    def act(self, actions: Sequence[Action], observe: Observe | None = None) -> Observation:
        self.found = [*getattr(self, "found", []), self.steps.read_text().count('"kind":"step"')]
        return super().act(actions, observe)


def test_the_record_holds_everything(stage: Stage) -> None:
    record = stage.run(WRITE, [Done("forty-two")], seed=7, repeat=2, attempt=3)
    read = EpisodeReader(stage.episode)
    assert read.episode == record
    assert [step.actions for step in read.steps()] == [
        [{"type": "type", "text": "hello"}, {"type": "key", "keys": ["ctrl", "s"]}],
        [{"type": "done", "answer": "forty-two"}],
    ]
    assert len(read.frames()) == 3
    assert all(read.screenshot(seen) for seen in read.frames())
    assert (record.answer, record.seed, record.repeat, record.attempt) == ("forty-two", 7, 2, 3)
    assert record.totals.usage.input_tokens == 20
    assert record.totals.model_ms == 10.0
    assert record.state == {"$.evaluator.result": "hello", "$.evaluator.expected": {"expected": "hello"}}


def test_what_a_failed_step_cost_is_kept(stage: Stage) -> None:
    error = AgentError("no reply was an action")
    error.decision = Decision((), reply="gibberish", usage=Usage(500, 50, 0.25), attempts=4)
    record = stage.run(error)
    assert (record.totals.usage.input_tokens, record.totals.usage.cost_usd) == (500, 0.25)
    assert EpisodeReader(stage.episode).steps()[0].reply == "gibberish"


def test_a_full_disk_stops_the_run(stage: Stage) -> None:
    class Full(EpisodeWriter):
        def step(self, index: int, observation: Observation, decision: Decision) -> None:
            raise StorageError("cannot write steps.jsonl: No space left on device")

    writer = Full(stage.episode)
    agent = Script(WRITE)
    with pytest.raises(StorageError):
        run_episode(plan(task(stage.folder), stage.folder), agent, stage.desktop, writer)
    writer.close()
    assert agent.closed
    assert stage.desktop.done == []


def test_episodes_side_by_side_do_not_mix(tmp_path: Path) -> None:
    records: list[EpisodeRecord] = []
    stages = [Stage(tmp_path / str(number)) for number in range(6)]
    threads = [
        threading.Thread(target=lambda s=s, n=n: records.append(s.run([Type(str(n))], [Done()], seed=n)))
        for n, s in enumerate(stages)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(r.seed for r in records) == list(range(6))
    for number, one in enumerate(stages):
        assert EpisodeReader(one.episode).steps()[0].actions == [{"type": "type", "text": str(number)}]


@pytest.mark.parametrize(
    ("path", "ending", "said"),
    [
        ("/gone", Ending.DONE, r"the check failed: cannot fetch a file that the task needs: http://[^ ]*/gone: 404"),
        ("/short", Ending.ENV_ERROR, r"cannot fetch a file that the task needs: http://[^ ]*/short"),
    ],
)
def test_an_expected_file_that_cannot_be_fetched_is_no_fault_of_the_desktop(
    path: str, ending: Ending, said: str, stage: Stage
) -> None:
    """What is gone for good is the check's fault; after what may pass the episode is tried again."""
    with serving() as web:
        evaluator = {
            "func": "compare_text_file",
            "result": {"type": "vm_file", "path": "/home/user/note.txt"},
            "expected": {"type": "cloud_file", "path": f"{web.address}{path}", "dest": "b"},
        }
        record = stage.run(WRITE, [Done()], task={"evaluator": evaluator})
    assert (record.ending, record.score.value, record.permanent) == (ending, None, False)
    assert re.match(said, record.score.reason), record.score.reason
