"""`deskbench.Env`: the same loop as a run's, driven from outside."""

import asyncio
import json
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

import deskbench
from deskbench.agent.base import Decision, Ending, Usage
from deskbench.agent.cli.main import app
from deskbench.agent.runs.folder import RunFolder
from deskbench.envs import wait
from deskbench.envs.errors import CheckError, EnvError, StartError, UsageError
from deskbench.envs.types import ActionError, Click, Done, Exec, Fail, Key, Move, Type, Wait

from .. import paper
from ..paper import WRITE, write_suite, write_task

HERE = paper.__name__
POSTCONFIG = {
    "evaluator": {
        "func": "exact_match",
        "postconfig": [{"type": "execute", "parameters": {"command": ["true"]}}],
        "result": {"type": "vm_command_line", "command": ["cat", "/home/user/note.txt"]},
        "expected": {"type": "rule", "rules": {"expected": "hello"}},
    }
}


@pytest.fixture
def task(tmp_path: Path) -> Path:
    return write_task(tmp_path / "suite", "write")


@pytest.fixture
def env(task: Path) -> Iterator[deskbench.Env]:
    with deskbench.Env(task, provider="fake") as env:
        yield env


def made(task: Path, **settings: Any) -> deskbench.Env:
    return deskbench.Env(task, **{"provider": "fake", **settings})


# An episode.


def test_the_reward_comes_at_the_end(env: deskbench.Env) -> None:
    seen, info = env.reset(seed=7)
    assert seen.screenshot and (seen.width, seen.height) == (1280, 800)
    assert (info["task"], info["seed"], info["instruction"]) == ("suite/write", 7, "Write hello and save.")
    seen, *rest, info = env.step(WRITE)
    assert rest == [0.0, False, False]
    assert [one.ok for one in seen.results] == [True, True] and "score" not in info
    seen, *rest, info = env.step(Done())
    assert rest == [1.0, True, False]
    assert (info["step"], info["ending"], info["score"].reason, info["masked"]) == (2, "done", "passed", False)
    assert env.score().value == 1.0


def test_the_limit_truncates_and_the_end_state_is_scored(task: Path) -> None:
    with made(task, max_steps=2) as env:
        env.reset()
        assert env.step(WRITE)[1:4] == (0.0, False, False)
        assert env.step([])[1:4] == (1.0, False, True)
        with pytest.raises(UsageError, match=r"^the episode has ended: call reset\(\) for the next one$"):
            env.step([])


def test_fail_is_an_end_of_its_own(env: deskbench.Env) -> None:
    env.reset()
    assert env.step(Fail("no"))[1:4] == (0.0, True, False)


@pytest.mark.parametrize(
    "sent",
    [
        {"type": "type", "text": "hello"},
        [{"type": "type", "text": "hello"}],
        Type("hello"),
        (Type("hel"), {"type": "type", "text": "lo"}),
        Decision((Type("hello"),), thought="first the word", usage=Usage(3, 4)),
    ],
)
def test_actions_are_objects_or_their_json_or_a_decision(env: deskbench.Env, sent: Any) -> None:
    env.reset()
    env.step(sent)
    env.step(Key(("ctrl", "s")))
    assert env.step({"type": "done"})[1] == 1.0


def test_every_reset_is_a_fresh_desktop(env: deskbench.Env) -> None:
    for _ in range(2):
        env.reset()
        assert env.score().value == 0.0
        env.step(WRITE)
        assert env.score().value == 1.0


def test_a_suite_is_chosen_from_by_seed_or_by_name(tmp_path: Path) -> None:
    with made(write_suite(tmp_path / "suite")) as env:
        assert len(env.tasks) == 4
        first = [env.reset(seed=seed)[1]["task"] for seed in range(8)]
        assert first == [env.reset(seed=seed)[1]["task"] for seed in range(8)] and len(set(first)) > 1
        assert env.reset(task="write-1")[1]["task"] == env.reset(task="suite/write-1")[1]["task"] == "suite/write-1"
        with pytest.raises(UsageError, match=r"^no task 'write-9'; did you mean 'suite/write-\d'\?$"):
            env.reset(task="write-9")


def test_seeds_that_are_drawn_follow_from_the_last_one_given(env: deskbench.Env) -> None:
    drawn = [[env.reset(seed=1)[1]["seed"], env.reset()[1]["seed"], env.reset()[1]["seed"]] for _ in range(2)]
    assert drawn[0] == drawn[1] and len({*drawn[0]}) == 3


# Scores on the way.


def test_partial_scores_come_with_every_step_and_leave_the_reward_alone(task: Path) -> None:
    with made(task, partial_scores=True) as env:
        env.reset()
        steps = [env.step(Type("hello")), env.step(Key(("ctrl", "s"))), env.step(Done())]
        assert [(reward, info["score"].value) for _, reward, _, _, info in steps] == [
            (0.0, 0.0),
            (0.0, 1.0),
            (1.0, 1.0),
        ]


def test_checks_that_change_the_desktop_are_left_for_the_end(tmp_path: Path) -> None:
    with made(write_task(tmp_path / "suite", "write", **POSTCONFIG), partial_scores=True) as env:
        env.reset()
        *_, info = env.step(WRITE)
        assert info["score"].value is None and "only the end state is scored" in info["score"].reason
        assert env.score().value is None


# What a model writes.


def test_a_familys_text_is_read_by_its_grammar(task: Path, tmp_path: Path) -> None:
    with made(task, grammar="ui-tars-1.5", record=tmp_path / "run") as env:
        env.reset()
        for text in ("Thought: write it.\nAction: type(content='hello')", "Action: hotkey(key='ctrl s')"):
            assert env.step(text)[4]["problem"] is None
        assert env.step("Thought: done.\nAction: finished(content='')")[1:3] == (1.0, True)
    steps = RunFolder(tmp_path / "run").final()[0].steps()
    assert steps[0].thought and steps[0].actions == [{"type": "type", "text": "hello"}]
    assert steps[1].reply == "Action: hotkey(key='ctrl s')"


def test_text_that_is_no_action_is_a_step_that_does_nothing(task: Path) -> None:
    with made(task, grammar="ui-tars-1.5", max_steps=2) as env:
        env.reset()
        seen, reward, terminated, truncated, info = env.step("Action: click(start_box='(99999,1)')")
        assert (reward, terminated, truncated, seen.results, info["step"]) == (0.0, False, False, (), 1)
        assert info["problem"] and "outside" in info["problem"]
        assert env.step("Action: jump()")[3]


@pytest.mark.parametrize(
    ("grammar", "told"),
    [
        ("nosuch", r"^unknown family 'nosuch'"),
        ("claude", r"^grammar claude: this family answers with calls of its endpoint, .* send actions instead$"),
        ("yutori-n2", r"^grammar yutori-n2: this family answers with calls of its endpoint, .* send actions instead$"),
        ("agent-s3", r"^grammar agent-s3: this family needs a grounder, .* send actions instead$"),
    ],
)
def test_a_family_whose_text_is_no_action_is_refused(task: Path, grammar: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        made(task, grammar=grammar)


# Mistakes of the trainer.


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"type": "clik"}, r"^unknown action type 'clik'; did you mean 'click'\?$"),
        ([Wait(), {"type": "click", "x": "1"}], r"^actions\[1\]: click.x is '1'; it must be a whole number$"),
        (Click(x=5000, y=1), r"^actions\[0\]: click: \(5000, 1\) is off the screen, which is 1280x800$"),
        ([Wait(), Move(-1, 0)], r"^actions\[1\]: move: \(-1, 0\) is off the screen"),
        (7, r"^an action must be a JSON object, not int$"),
        (Decision(("click",)), r"^actions\[0\]: str is not an action$"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_action_is_an_error_and_the_episode_goes_on(env: deskbench.Env, sent: Any, told: str) -> None:
    env.reset()
    with pytest.raises(ActionError, match=told):
        env.step(sent)
    assert env.step(WRITE)[4]["step"] == 1
    assert env.step(Done())[1] == 1.0


def test_text_without_a_grammar_is_a_mistake(env: deskbench.Env) -> None:
    env.reset()
    with pytest.raises(UsageError, match=r"^step\(\) got text: name the family .*grammar=NAME\)$"):
        env.step("click(1, 2)")


def test_nothing_works_before_reset(env: deskbench.Env) -> None:
    for call in (lambda: env.step(Done()), env.score, lambda: env.goal):
        with pytest.raises(UsageError, match=r"^there is no episode yet: call reset\(\) first$"):
            call()


@pytest.mark.parametrize(
    ("named", "settings", "told"),
    [
        ("basics/files-renam", {}, r"^no task 'files-renam'; did you mean 'files-rename'\?$"),
        ("nosuch", {}, r"^no such file, folder or suite: nosuch; suites: basics, windows$"),
        ("nosuch/task", {}, r"^no such file, folder or suite: nosuch/task; "),
        ("basics", {"provder": "fake"}, r"^unknown setting 'provder'; did you mean 'provider'\?$"),
        ("basics", {"provider": "lokal"}, r"^unknown provider 'lokal'; did you mean 'local'\?$"),
        ("basics", {"max_steps": 0}, r"^setting max_steps is 0: "),
        ("basics", {"on_failure": "zero"}, r"^setting on_failure is 'zero'; it must be raise or mask$"),
        ("basics", {"needs": True}, r"^setting needs is True; it must be a deskbench.agent.base.Needs$"),
        ("basics", {"warm": -1}, r"^setting warm is -1; it must be a whole number of at least 0$"),
        ("basics", {"grammar": 7}, r"^setting grammar is 7; it must be the name of a family, or None$"),
        ("windows", {"provider": "local"}, r"^windows/\S+ needs windows; the desktop is Linux \(and \d+ more tasks "),
        (7, {}, r"^the task is 7; it must be a name or a path$"),
    ],
)
def test_a_wrong_name_or_setting_is_one_line(named: Any, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        deskbench.Env(named, **{"provider": "fake", **settings})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", ["1", -1, 1.5, 2**63])
def test_a_seed_is_a_whole_number(env: deskbench.Env, seed: Any) -> None:
    with pytest.raises(UsageError, match=r"^seed is .*; it must be a whole number from 0 to 2\*\*63 - 1$"):
        env.reset(seed=seed)
    assert env.reset(seed=np.int64(3))[1]["seed"] == 3  # type: ignore[arg-type]


def test_a_limit_that_is_over_at_once_is_told_by_reset(task: Path) -> None:
    with made(task, max_seconds=1e-9) as env, pytest.raises(EnvError, match=r"before its first step: time_limit$"):
        env.reset()


def test_code_needs_the_trainers_word_and_the_tasks(tmp_path: Path) -> None:
    task = write_task(tmp_path / "suite", "write", requires={"code": True})
    for code, told in ((False, "code is not allowed"), (True, "a desktop in memory runs no code")):
        with made(task, code=code) as env:
            env.reset()
            seen, *_ = env.step(Exec("bash", "true"))
            assert told in str(seen.results[0].error) and env.goal.code_allowed is code


# Failures.


def test_a_desktop_that_fails_is_an_error_and_never_a_reward(task: Path) -> None:
    with made(task, provider=f"{HERE}:Mortal") as env:
        env.reset()
        with pytest.raises(EnvError, match="mortal"):
            env.step(Type("poison"))
        with pytest.raises(UsageError, match="has ended"):
            env.step([])
        assert env.score().value is None
        env.reset()
        env.step(WRITE)
        assert env.step(Done())[1] == 1.0


def test_a_desktop_that_fails_can_be_masked(task: Path, tmp_path: Path) -> None:
    with made(task, provider=f"{HERE}:Mortal", on_failure="mask", record=tmp_path / "run") as env:
        before, _ = env.reset()
        seen, reward, terminated, truncated, info = env.step(Type("poison"))
        assert (seen, reward, terminated, truncated) == (before, None, False, True)
        assert (info["masked"], info["ending"], info["score"].value) == (True, "env_error", None)
        assert info["error"].startswith("the desktop failed: ")
    record = RunFolder(tmp_path / "run").records()[0]
    assert (record.ending, record.score.value) == (Ending.ENV_ERROR, None)


@pytest.mark.parametrize("on_failure", ["raise", "mask"])
def test_a_check_that_fails_is_no_reward_either(tmp_path: Path, on_failure: str) -> None:
    evaluator = {"func": f"{__name__}:broken", "result": {"type": "rule", "rules": 1}}
    with made(write_task(tmp_path / "suite", "write", evaluator=evaluator), on_failure=on_failure) as env:
        env.reset()
        if on_failure == "raise":
            with pytest.raises(CheckError, match="no judge"):
                env.step(Done())
        else:
            *_, reward, _, _, info = env.step(Done())
            assert reward is None and info["masked"] and "no judge" in info["error"]


def broken(result: Any) -> float:
    raise ValueError("no judge")


def test_reset_tries_other_desktops_before_it_gives_up(task: Path) -> None:
    with made(task, provider=f"{HERE}:Flaky", retries=9, warm=0, on_failure="mask") as env:
        for _ in range(3):
            env.reset()
    with made(task, provider=f"{HERE}:Dead", retries=1, warm=0, on_failure="mask") as env, pytest.raises(StartError):
        env.reset()


def test_the_bug_of_a_provider_is_an_error_with_its_cause(task: Path) -> None:
    env = made(task, provider=f"{HERE}:Buggy", retries=0, warm=0)
    with pytest.raises(EnvError, match="RecursionError") as caught:
        env.reset()
    assert isinstance(caught.value.__cause__, RecursionError)
    with pytest.raises(OSError, match="a desktop does not end"):
        env.close()


# The record.


def test_an_episode_is_recorded_as_that_of_a_run(task: Path, tmp_path: Path) -> None:
    with made(task, record=tmp_path / "run", name="policy-7") as env:
        _, info = env.reset(seed=3)
        env.step(Decision((*WRITE,), reply="now", thought="hm", usage=Usage(10, 2, 0.5)))
        env.step(Done())
        assert info["folder"] == str(tmp_path / "run/episodes/suite/write/1")
    reader = RunFolder(tmp_path / "run").final()[0]
    record = reader.episode
    assert (record.agent, record.provider, record.seed, record.score.value) == ("policy-7", "fake", 3, 1.0)
    assert (record.totals.steps, record.totals.usage.cost_usd) == (2, 0.5)
    assert [step.thought for step in reader.steps()] == ["hm", None] and len(reader.frames()) == 3
    manifest = RunFolder(tmp_path / "run").manifest()
    assert (manifest["state"], manifest["planned"], manifest["agent"]) == ("done", 1, "policy-7")


def test_an_episode_that_is_left_is_recorded_as_interrupted(task: Path, tmp_path: Path) -> None:
    with made(task, record=tmp_path / "run") as env:
        env.reset()
        env.step(WRITE)
        env.reset()
    assert [one.ending for one in RunFolder(tmp_path / "run").records()] == [Ending.INTERRUPTED] * 2
    assert {one.score.value for one in RunFolder(tmp_path / "run").records()} == {None}


def test_what_is_recorded_is_not_to_do_again(tmp_path: Path) -> None:
    suite, run = write_suite(tmp_path / "suite", 1), tmp_path / "run"
    with made(suite, record=run) as env:
        todo = list(env.todo(range(2)))
        assert todo == [(task, seed) for seed in range(2) for task in ("suite/impossible", "suite/write-0")]
        env.reset(task="suite/write-0", seed=1)
        env.step(Done())
        env.reset(task="suite/write-0", seed=0)  # and is cut short
    with made(suite, record=run) as env:
        assert list(env.todo(range(2))) == [one for one in todo if one != ("suite/write-0", 1)]
        env.reset(task="suite/write-0", seed=0)
        env.step(Done())
        assert [(one.repeat, one.seed, one.attempt, one.score.value) for one in env.recorded()] == [
            (0, 1, 1, 0.0),
            (1, 0, 3, 0.0),
        ]
        env.reset(task="suite/write-0", seed=0)  # once more, although it has a score
        env.step(Done())
        assert [one.repeat for one in env.recorded()] == [0, 1, 2]


def test_a_record_belongs_to_one_process_and_one_configuration(task: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with made(task, record=run), pytest.raises(UsageError, match=r"^another process is working on "):
        made(task, record=run)
    with pytest.raises(UsageError, match=r"began with another max_steps; start a new run$"):
        made(task, record=run, max_steps=3)


def test_nothing_is_kept_without_a_record(env: deskbench.Env) -> None:
    env.reset()
    env.step(Done())
    assert env.recorded() == [] and list(env.todo((1, 2))) == [("suite/write", 1), ("suite/write", 2)]


KILLED = """
    import os, signal, sys, deskbench
    from deskbench.envs.types import Done
    with deskbench.Env(sys.argv[1], provider="fake", record=sys.argv[2]) as env:
        for task, seed in env.todo(range(3)):
            env.reset(task=task, seed=seed)
            if (task, seed) == ("suite/write-0", 1) and len(sys.argv) > 3:
                os.kill(os.getpid(), signal.SIGKILL)
            env.step(Done())
            print(task, seed, flush=True)
"""


def test_a_collection_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    suite, run = write_suite(tmp_path / "suite", 1), tmp_path / "run"
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(suite), str(run)]
    first = subprocess.run([*command, "kill"], capture_output=True, text=True, check=False)
    assert first.returncode == -signal.SIGKILL, first.stderr
    second = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = first.stdout.splitlines() + second.stdout.splitlines()
    assert sorted(lines) == sorted(
        f"{task} {seed}" for seed in range(3) for task in ("suite/impossible", "suite/write-0")
    )
    records = [reader.episode for reader in RunFolder(run).final()]
    assert len(records) == 6 and all(one.score.value is not None for one in records)
    assert json.loads((run / "run.json").read_text())["planned"] == 6


# The end.


def test_closing_twice_is_safe_and_leaves_nothing_running(task: Path) -> None:
    paper.Watched.made.clear()
    env = made(task, provider=f"{HERE}:Watched")
    env.reset()
    provider = paper.Watched.made[-1]
    assert wait.until(lambda: len(provider.running) == 2, timeout=10)  # one is warm
    env.close()
    env.close()
    assert provider.running == {}
    with pytest.raises(UsageError, match=r"^the environment is closed$"):
        env.reset()


def test_another_thread_can_close_it(task: Path) -> None:
    env = made(task)
    env.reset()
    closer = threading.Thread(target=env.close)
    closer.start()
    closer.join(20)
    with pytest.raises(UsageError):
        env.step([])


# For asyncio.


def test_an_async_environment_has_the_same_names(tmp_path: Path) -> None:
    async def play(name: str) -> tuple[float | None, str]:
        async with deskbench.AsyncEnv(write_task(tmp_path / name, "write"), provider="fake") as env:
            _, info = await env.reset(seed=1)
            await env.step(WRITE)
            assert (await env.score()).value == 1.0
            assert env.goal.seed == 1 and env.recorded() == [] and [*env.todo()] == [(env.tasks[0], 0)]
            _, reward, *_ = await env.step(Done())
            return reward, info["task"]

    async def both() -> tuple[tuple[float | None, str], ...]:
        return (*await asyncio.gather(play("one"), play("two")),)

    assert asyncio.run(both()) == ((1.0, "one/write"), (1.0, "two/write"))


def test_the_names_are_the_same() -> None:
    def public(cls: type) -> set[str]:
        return {name for name in vars(cls) if not name.startswith("_")}

    assert public(deskbench.AsyncEnv) == public(deskbench.Env) - {"sharing", "ask_to_end", "interrupt", "leave"}


def test_an_async_environment_that_is_cancelled_can_be_closed(task: Path) -> None:
    async def cancel() -> None:
        env = deskbench.AsyncEnv(task, provider="fake")
        await env.reset()
        step = asyncio.ensure_future(env.step(WRITE))
        step.cancel()
        await env.close()
        await env.close()
        with pytest.raises(UsageError, match="closed"):
            await env.reset()

    asyncio.run(cancel())


# What other commands make of a record, and a real desktop.


def test_other_commands_read_what_was_recorded(task: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with made(task, record=run) as env:
        env.reset(seed=1)
        env.step(WRITE)
        env.step(Done())
    for words, told in (
        (["rescore", run], "1 episode, 0 scores changed"),
        (["replay", run / "episodes/suite/write/1", "--out", tmp_path / "again"], "score agrees: 1 recorded"),
        (["report", run, "--out", tmp_path / "report.html"], ""),
        (["runs", "show", run], "env on "),
        (["export", run, "--out", tmp_path / "export", "--format", "osworld"], ""),
    ):
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output
        assert told in done.output, done.output


LEFT = """
    import sys, deskbench
    from deskbench.envs.types import Wait
    env = deskbench.Env("basics/files-rename", record=sys.argv[1], max_steps=10**6)
    env.reset(seed=1)
    print("ready", flush=True)
    while True:
        env.step(Wait(0.1))
"""


@pytest.mark.desktop
def test_nothing_is_left_running_after_ctrl_c(tmp_path: Path) -> None:
    """Without a `with`, which would be easier."""
    command = [sys.executable, "-c", textwrap.dedent(LEFT), str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        desktops = psutil.Process(process.pid).children(recursive=True)
        assert desktops
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert told.splitlines()[-1] == "KeyboardInterrupt"
    assert wait.until(lambda: not any(one.is_running() for one in desktops), timeout=20)
    with deskbench.Env("basics/files-rename", record=tmp_path / "run", max_steps=10**6) as env:
        assert list(env.todo((1,))) == [("basics/files-rename", 1)] and env.recorded() == []
