"""verifiers: its own commands play, score and validate our tasks, with a model behind real HTTP."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.runs.record import EpisodeReader

from ..models.endpoint import Say, endpoint, error, reply
from ..paper import write_suite, write_task
from .venvs import python_with

VERIFIERS = "verifiers==0.4.*"
HERE = Path(__file__).parent
TASKSET = "deskbench-verifiers"
Json = dict[str, Any]


def says(text: str) -> Say:
    """A completion with all that OpenAI's reference demands: verifiers checks it."""
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    about = {"id": "c", "object": "chat.completion", "created": 1, "model": "scripted"}
    return Say({**reply(text, usage=usage).body, **about})


def act(kind: str, **arguments: Any) -> Say:
    """An action in the words of the family whose prompt the model gets by default."""
    return says(f"I do this:\n```json\n{json.dumps({'action_type': kind, **arguments})}\n```")


DONE = act("DONE")
WRITE = [act("TYPING", text="hello"), act("HOTKEY", keys=["ctrl", "s"])]
RENAME = [
    act("CLICK", x=640, y=400), act("HOTKEY", keys=["ctrl", "a"]), act("PRESS", key="f2"),
    act("HOTKEY", keys=["ctrl", "a"]), act("TYPING", text="final.txt"), act("PRESS", key="enter"),
]  # fmt: skip


def ran(folder: Path, command: list[str], status: int = 0, **more: str) -> str:
    """What a program of verifiers' environment prints."""
    program = python_with(VERIFIERS).parent / command[0]
    done = subprocess.run([program, *command[1:]], cwd=folder, env={**os.environ, **more}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=240)  # fmt: skip
    assert done.returncode == status, done.stdout
    return done.stdout


def statuses(folder: Path, *commands: list[str]) -> tuple[list[Any], str]:
    """The exit statuses of several commands, and what they print. One process runs all: it takes seconds to start."""
    told = ran(folder, ["python", str(HERE / "verifiers_episodes.py"), json.dumps(commands)])
    return json.loads(told.splitlines()[-1]), told


def evaluation(name: str, url: str, *words: str) -> list[str]:
    model = ["-m", "scripted", "--client.base-url", url]
    return ["eval", TASKSET, *model, "--no-push", "--no-rich", "--run.name", name, *words]


def on_paper(task: Path, provider: str = "fake") -> list[str]:
    return ["--env.taskset.source", str(task), "--env.taskset.task.provider", provider]


def episode_of(folder: Path, name: str) -> tuple[Json, Json]:
    """The only episode of an evaluation, and its trace."""
    [episode] = map(json.loads, (folder / "outputs" / name / "traces.jsonl").read_text().splitlines())
    [trace] = episode["traces"]
    return episode, trace


def checked(folder: Path, name: str) -> dict[str, Json]:
    """The rows of a validation, by task."""
    rows = map(json.loads, (folder / "outputs" / name / "results.jsonl").read_text().splitlines())
    return {row["name"]: row for row in rows}


def reasons(rows: dict[str, Json]) -> dict[str, tuple[str, str]]:
    return {name: (row["gold"]["reason"], row["noop"]["reason"]) for name, row in rows.items()}


@pytest.fixture
def task(tmp_path: Path) -> Path:
    return write_task(tmp_path / "suite", "write")


@pytest.mark.desktop
@pytest.mark.slow
@pytest.mark.timeout(900)  # the first test on a machine installs verifiers
def test_its_command_lets_a_model_solve_a_task(tmp_path: Path) -> None:
    words = ["--env.taskset.source", "basics/files-rename", "--env.taskset.task.record", str(tmp_path / "record"),
             "--env.taskset.task.seed", "5"]  # fmt: skip
    with endpoint(*RENAME, DONE) as model:
        command, *rest = evaluation("run", model.url, *words)
        ran(tmp_path, [f"vf-{command}", *rest])
    episode, trace = episode_of(tmp_path, "run")
    assert (episode["ok"], trace["stop_condition"], trace["errors"]) == (True, "done", [])
    assert trace["rewards"] == {"desktop_score": {"score": 1.0, "weight": 1.0}}
    assert trace["metrics"] == {"steps": 7.0, "malformed": 0.0}
    result = trace["info"]["desktop"]
    assert (result["score"], result["reason"], result["ending"], result["seed"]) == (1.0, "passed", "done", 5)
    assert [check["metric"] for check in result["checks"]] == ["directory_tree", "text_equals"]
    assert EpisodeReader(Path(result["folder"])).episode.score.value == 1.0
    assert len(trace["nodes"]) == 15, "the conversation is not one sample"
    roles = ["system", *["user", "assistant"] * 7]
    assert [[turn["role"] for turn in one["messages"]] for one in model.asked] == [roles[: 2 * n] for n in range(1, 8)]
    said = model.asked[-1]["messages"]
    assert "Rename the file draft.txt" in said[0]["content"]
    assert [part["type"] for turn in said[1::2] for part in turn["content"]] == ["text", "image_url"] * 7


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_ending_has_its_reward_and_a_wrong_setting_is_told_before_a_model_is_asked(
    task: Path, tmp_path: Path
) -> None:
    limits = {"step_limit": ["--env.taskset.task.max-steps", "2"], "max_turns": ["--env.player.max-turns", "2"]}
    wrong = [["--env.taskset.source", "basic"], ["--env.taskset.task.grammar", "claude"]]
    with ExitStack() as stack:
        model = stack.enter_context(endpoint(says("What shall I do?"), DONE))
        commands = [evaluation("zero", model.url, *on_paper(task))]
        for name, words in limits.items():
            writing = stack.enter_context(endpoint(*WRITE, DONE))
            commands.append(evaluation(name, writing.url, *on_paper(task), *words))
        commands += [evaluation("wrong", "http://127.0.0.1:1/v1", *words) for words in wrong]
        found, told = statuses(tmp_path, *commands)
    assert found == [0, 0, 0, 1, 1] and "Traceback" not in told
    episode, trace = episode_of(tmp_path, "zero")
    assert (episode["ok"], trace["rewards"]["desktop_score"]["score"], trace["metrics"]["malformed"]) == (True, 0.0, 1)
    assert model.asked[1]["messages"][-1]["content"][0]["text"].startswith("Your last reply was no action")
    for name in limits:
        _, trace = episode_of(tmp_path, name)
        assert (trace["stop_condition"], trace["rewards"]["desktop_score"]["score"]) == (name, 1.0)
    assert "no such file, folder or suite: basic" in told and "grammar claude: this family answers with calls" in told


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_failure_is_no_reward_of_0_and_a_resumed_evaluation_plays_it_again(task: Path, tmp_path: Path) -> None:
    poison, mortal = act("TYPING", text="poison"), on_paper(task, "tests.agent.paper:Mortal")
    with endpoint(poison) as killing, endpoint(poison, *WRITE, DONE) as once, endpoint(error(401, "bad key")) as closed:
        again = evaluation("again", once.url, *mortal)
        commands = [evaluation("killed", killing.url, *mortal), evaluation("closed", closed.url, *mortal)]
        assert statuses(tmp_path, *commands, again, [*again, "--resume"])[0] == [0] * 4
    failures = {"killed": ("SandboxError", "mortal has been stopped"), "closed": ("ProviderError", "bad key")}
    for name, (kind, told) in failures.items():
        episode, trace = episode_of(tmp_path, name)
        assert (episode["ok"], trace["ok"], trace["rewards"], trace["info"]) == (False, False, {}, {})
        [fault] = trace["errors"]
        assert fault["type"] == kind and told in fault["message"]
    episode, trace = episode_of(tmp_path, "again")
    assert (episode["ok"], trace["rewards"]["desktop_score"]["score"], len(once.asked)) == (True, 1.0, 4)


@pytest.mark.desktop
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_validation_plays_the_oracle_and_scores_an_untouched_desktop(tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", 1)
    write_task(suite, "no-oracle", oracle=None)
    write_task(suite, "wrong", oracle=[{"type": "type", "text": "bye"}])
    write_task(suite, "lost", oracle=[{"type": "click", "target": {"name": "Nowhere"}}])
    empty = {"type": "vm_command_line", "command": ["true"]}, {"type": "rule", "rules": {"expected": ""}}
    write_task(suite, "solved", evaluator={"func": "exact_match", "result": empty[0], "expected": empty[1]})
    words = ["validate", TASKSET, "--runtime.type", "subprocess", "--no-rich", "--run.name"]
    real = [*words, "real", "--taskset.source", "basics/files-rename"]
    paper = [*words, "paper", "--taskset.source", str(suite), "--taskset.task.provider", "fake"]
    assert statuses(tmp_path, real, paper)[0] == [0, 0]
    assert reasons(checked(tmp_path, "real")) == {"basics/files-rename": ("valid", "valid")}
    rows = checked(tmp_path, "paper")
    assert reasons(rows) == {
        "suite/write-0": ("valid", "valid"), "suite/impossible": ("valid", "valid"),
        "suite/no-oracle": ("unchecked", "valid"), "suite/wrong": ("invalid", "valid"),
        "suite/lost": ("error", "valid"), "suite/solved": ("valid", "invalid"),
    }  # fmt: skip
    assert rows["suite/lost"]["gold"]["error"].startswith("oracle: no {'name': 'Nowhere'} on the screen")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_another_version_of_it_is_one_line(tmp_path: Path) -> None:
    (folder := tmp_path / "verifiers-0.5.0.dist-info").mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: verifiers\nVersion: 0.5.0\n")
    told = "verifiers is version 0.5.0; it must be at least 0.4 and below 0.5: pip install 'deskbench[verifiers]'"
    assert ran(tmp_path, ["vf-eval", TASKSET, "--no-push"], 1, PYTHONPATH=str(tmp_path)) == f"{told}\n"


def test_without_it_one_line_names_the_extra() -> None:
    code = "import deskbench.agent.harnesses.verifiers"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    told = "ImportError: verifiers is not installed: pip install 'deskbench[verifiers]'"
    assert done.stderr.splitlines()[-1] == told
