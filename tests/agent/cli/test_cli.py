"""The command line as a script sees it: exit status, one JSON document, errors of one line; Ctrl-C and kill."""

import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer.core
import typer.testing

from deskbench.agent.cli.main import app
from deskbench.agent.config import MAX_SECONDS, MAX_STEPS, RunConfig
from deskbench.agent.runs.folder import RunFolder
from deskbench.envs import wait

from ..dribble import dribbling
from ..paper import write_suite, write_task
from ..staged_runs import episode, run

ROOT = Path(__file__).resolve().parents[3]
PAPER = "tests.agent.paper"


def environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}


def deskbench(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deskbench.agent", *map(str, words)]
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=120, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


@contextmanager
def started(*words: object, folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "deskbench.agent", *map(str, words)]
    process = subprocess.Popen(
        command, cwd=folder, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return write_suite(tmp_path / "suite")


FAKE = ("--provider", "fake")


def test_a_run_prints_its_numbers_and_where_everything_is(suite: Path, tmp_path: Path) -> None:
    ran = deskbench("run", suite, "--agent", "oracle", *FAKE, folder=tmp_path)
    assert ran.returncode == 0
    assert ran.stdout == ""
    for wanted in ("all", "feasible", "infeasible", "unscored as 0", "1.000", "95 % interval", "policy settled"):
        assert wanted in ran.stderr
    folder = (tmp_path / "runs/latest").resolve()
    assert re.fullmatch(r"\d{8}-\d{6}-oracle-suite", folder.name)
    assert str(folder.relative_to(tmp_path)) in ran.stderr
    assert ran.stderr.count("impossible: 1 (failed, 1 step") == 1
    assert re.search(r"^1 +write-0 +done +\d", ran.stderr, re.MULTILINE)
    assert (folder / "report.html").is_file()


def test_json_is_one_document_on_stdout(suite: Path, tmp_path: Path) -> None:
    ran = deskbench("run", suite, "--agent", "null", *FAKE, "--json", folder=tmp_path)
    found = json.loads(ran.stdout)
    assert ran.returncode == 0
    assert found["summary"]["feasible"]["mean"] == 0.0
    assert [(one["task"], one["score"], one["ending"]) for one in found["episodes"]] == [
        (f"suite/{name}", 0.0, "done") for name in ("impossible", "write-0", "write-1", "write-2")
    ]
    assert found["episodes"][1]["reason"] == "exact_match: does not match"
    assert Path(tmp_path, found["report"]).is_file()


def test_a_budget_that_is_spent_is_said_to_be(suite: Path, tmp_path: Path) -> None:
    words = ("run", suite, "--agent", f"{PAPER}:Costly", *FAKE, "--budget", 2)
    ran = deskbench(*words, "--json", folder=tmp_path)
    assert (ran.returncode, json.loads(ran.stdout)["state"]) == (1, "budget")
    ran = deskbench(*words, "--out", "again", folder=tmp_path)
    assert "the budget is spent; continue with: deskbench run --resume again" in ran.stderr


def test_a_run_with_unscored_episodes_ends_with_status_1(suite: Path, tmp_path: Path) -> None:
    ran = deskbench("run", suite, "--agent", "null", "--provider", f"{PAPER}:Dead", "--retries", 0, folder=tmp_path)
    assert ran.returncode == 1
    assert "0 of 4 scored" in ran.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "SUITE", "--agent", "orakel"), "unknown agent 'orakel'; did you mean 'oracle'?"),
        (("run", "SUITE", "--agent", "null", "--provider", "fak"), "unknown provider 'fak'; did you mean 'fake'?"),
        (("run", "nowhere", "--agent", "null"), "no such file, folder or suite: nowhere"),
        (("run", "SUITE", "--agent", "null", "--set", "max_stepz=3"), "has no settings; given: max_stepz"),
        (("run", "SUITE", "--agent", "oracle", "--set", "model=x"), "has no settings; given: model"),
        (("run", "SUITE", "--agent", "null", "--screen", "big"), "--screen big: write WIDTHxHEIGHT"),
        (("run", "SUITE", "--agent", "null", "--engine", "threads", "--address", "a:1"), "--address names a Ray"),
        (("run", "--resume", "nowhere"), "nowhere is not a run folder"),
        (("run", "--resume", "nowhere", "--set", "seed=3"), "leave out --set"),
        (("replay", "nowhere"), "nowhere holds no finished episode"),
        (("rescore", "nowhere"), "neither a run nor an episode"),
        (("run", "SUITE", "--agent", "null", "--osworld-strict=1.0.3"), "setting osworld_strict is '1.0.3'"),
        (("rescore", "nowhere", "--osworld-strict=old"), "--osworld-strict=old: use 1.0.2 or main"),
        (("rescore", "nowhere", "--osworld-strict", "--no-osworld-strict"), "cannot be used together"),
        (("report", "nowhere"), "nowhere is not a run folder"),
        (("desktop", "--provider", "fak"), "unknown provider"),
        (("rnu",), "no such command 'rnu'. Did you mean 'run'? See deskbench --help"),
        (("run", "SUITE", "--max-steps", "few"), "'--max-steps'"),
        (("run", "SUITE", "--agnt", "null"), "no such option: --agnt"),
        (("run", "SUITE", "--agent"), "option '--agent' requires an argument"),
        (("tasks", "new"), "missing argument 'path'; see deskbench tasks new --help"),
    ],
)
def test_what_the_user_got_wrong_is_one_line_and_status_2(
    suite: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    ran = deskbench(*(str(suite) if word == "SUITE" else word for word in words), folder=tmp_path)
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ")
    assert said in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("tasks", "new", "/proc/x"), ("tasks", "new", "x" * 300), ("tasks", "new", ""), ("tasks", "new", "a\udcff"),
        ("tasks", "new", "/proc/x/y.json"), ("tasks", "new", "/dev/null/y.json"),
        ("report", "x" * 300), ("run", "SUITE", "--agent", "os:path"),
        ("export", "RUN", "--out", "/proc/x"), ("export", "RUN", "--out=/proc/x/y"),
        ("report", "RUN", "--out", "/proc/x/y.html"), ("report", "/dev/null"), ("view", "/nowhere"),
        ("run", "SUITE", "--agent", "null", "--out", "/proc/x"),
        ("run", "SUITE", "--agent", "null", "--out", "/dev/null"),
        ("replay", "/nowhere"), ("rescore", "/dev/null"), ("import-results", "/nowhere", "--out", "/proc/x"),
    ],
)  # fmt: skip
def test_a_path_that_cannot_be_used_is_one_line_and_status_2(
    suite: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    made = run(tmp_path / "made", planned=1)
    episode(made, "chrome/a", 1.0)
    put = {"RUN": str(made), "SUITE": str(suite)}
    ran = deskbench(*(put.get(word, word) for word in words), folder=tmp_path)
    assert ran.returncode == 2, ran.stderr
    assert ran.stderr.startswith("error: ")
    assert len(ran.stderr.strip().splitlines()) == 1
    debugged = deskbench(*(put.get(word, word) for word in words), "--debug", folder=tmp_path)
    assert "Traceback" in debugged.stderr


def test_the_version_is_printed(tmp_path: Path) -> None:
    done = deskbench("--version", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"deskbench \d+\.\d+\.\d+\n", done.stdout)


def test_a_list_of_tasks_is_whole_however_narrow_the_terminal(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "x" * 120, instruction="Open buggy:A: and [bold]save[/bold].")
    command = [sys.executable, "-m", "deskbench.agent", "tasks", "list", str(tmp_path / "suite")]
    environ = {**environment(), "COLUMNS": "40"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[1].startswith(f"suite/{'x' * 120}  Open buggy:A: and [bold]save[/bold].")


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    ran = deskbench("run", "nowhere", "--agent", "null", "--debug", folder=tmp_path)
    assert "Traceback" in ran.stderr


def test_an_error_under_json_is_json_too(tmp_path: Path) -> None:
    ran = deskbench("run", "nowhere", "--agent", "null", "--json", folder=tmp_path)
    assert json.loads(ran.stdout)["kind"] == "UsageError"


def test_the_words_of_an_unknown_option_are_a_usage_error(tmp_path: Path) -> None:
    assert deskbench("run", "--no-such-option", folder=tmp_path).returncode == 2


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    if not isinstance(command, typer.core.TyperGroup) or command.invoke_without_command:
        yield path, command
    if isinstance(command, typer.core.TyperGroup):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_the_commands_are_found() -> None:
    assert len(COMMANDS) > 15
    assert {("run",), ("serve", "ocr"), ("models",), ("models", "try")} <= set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example_that_it_takes(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    shown = typer.testing.CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "300"})
    assert shown.exit_code == 0
    assert str(command.help).split(".")[0].split()[0] in shown.stdout
    words = shlex.split(str(command.epilog).partition(" > ")[0])
    assert words[: 2 + len(path)] == ["Example:", "deskbench", *path]
    assert str(command.epilog) in shown.stdout
    command.make_context(path[-1], words[2 + len(path) :])  # a usage error where it does not take them


def test_every_option_and_argument_says_what_it_is() -> None:
    silent = [
        f"{' '.join(path)} {parameter.name}"
        for path, command in COMMANDS.items()
        for parameter in command.params
        if not getattr(parameter, "help", None) and parameter.name != "help"
    ]
    assert silent == []


def test_replay_and_rescore_say_in_their_status_whether_they_agree(suite: Path, tmp_path: Path) -> None:
    deskbench("run", suite, "--agent", "oracle", *FAKE, "--out", "run", folder=tmp_path)
    ran = deskbench("replay", "run/episodes/suite/write-0/1", "--json", folder=tmp_path)
    assert ran.returncode == 0
    assert json.loads(ran.stdout)["agrees"] is True
    assert deskbench("rescore", "run", folder=tmp_path).returncode == 0
    changed = write_suite(tmp_path / "changed" / "suite")
    for file in changed.glob("write-*.json"):
        file.write_text(file.read_text().replace('"expected": "hello"', '"expected": "bye"'))
    ran = deskbench("rescore", "run", "--tasks", changed, folder=tmp_path)
    assert ran.returncode == 1
    assert "3 scores changed" in ran.stdout


def test_the_record_says_which_revision_of_osworld_was_repeated(suite: Path, tmp_path: Path) -> None:
    one = ("--task", "write-0", "--agent", "oracle", *FAKE, "--out")

    def recorded(folder: str) -> Any:
        return json.loads((tmp_path / folder / "episodes/suite/write-0/1/episode.json").read_text())["osworld_strict"]

    deskbench("run", suite, *one, "right", folder=tmp_path)
    deskbench("run", *one, "bare", "--osworld-strict", suite, folder=tmp_path)  # what follows is no revision
    deskbench("run", suite, *one, "named", "--osworld-strict=main", folder=tmp_path)
    assert [recorded(name) for name in ("right", "bare", "named")] == [None, "1.0.2", "main"]
    deskbench("rescore", "bare", "--osworld-strict=main", folder=tmp_path)
    assert recorded("bare") == "1.0.2"
    deskbench("rescore", "bare", "--osworld-strict=main", "--write", folder=tmp_path)
    deskbench("rescore", "named", "--no-osworld-strict", "--write", folder=tmp_path)
    assert [recorded(name) for name in ("bare", "named")] == ["main", None]


def test_doctor_fails_only_for_what_stops_a_desktop(tmp_path: Path) -> None:
    ran = deskbench("doctor", "--provider", f"{PAPER}:Ailing", "--json", folder=tmp_path)
    assert ran.returncode == 0
    assert [check["state"] for check in json.loads(ran.stdout)] == ["ok", "note", "optional"]
    ran = deskbench("doctor", "--provider", f"{PAPER}:Ill", folder=tmp_path)
    assert ran.returncode == 1
    assert ran.stdout.splitlines()[-2:] == ["FAIL     engine: it does not run", "         fix: start it"]
    assert "stopped by: engine" in ran.stderr


def test_the_help_of_run_names_the_defaults_that_a_run_has(tmp_path: Path) -> None:
    command = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
    shown = {parameter.name: parameter.show_default for parameter in command.params}
    defaults = {**RunConfig().model_dump(), "screen": "1280x800"}
    for name in (
        "source",
        "agent",
        "provider",
        "parallel",
        "repeats",
        "seed",
        "policy",
        "retries",
        "on_tamper",
        "screen",
    ):
        assert shown[name] == str(defaults[name]), name
    assert (MAX_STEPS, MAX_SECONDS) == (15, 600)
    assert shown["max_steps"] == "the task's own, or 15" and shown["max_seconds"] == "the task's own, or 600"


def test_the_users_own_defaults_are_used_and_recorded(suite: Path, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('provider = "fake"\nagent = "null"\nrepeats = 2\n')
    environ = {**environment(), "DESKBENCH_CONFIG": "own.toml"}
    command = [sys.executable, "-m", "deskbench.agent", "run", str(suite), "--agent", "oracle", "--task", "write-0"]
    done = subprocess.run([*command, "--json"], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120,
                          check=True)  # fmt: skip
    assert [one["score"] for one in json.loads(done.stdout)["episodes"]] == [1.0, 1.0]
    manifest = json.loads((tmp_path / "runs/latest/run.json").read_text())
    assert manifest["origins"] == {
        "provider": "own.toml", "repeats": "own.toml", "agent": "flag", "source": "flag", "only": "flag"
    }  # fmt: skip


def test_a_desktop_is_kept_until_it_is_ended(tmp_path: Path) -> None:
    with started("desktop", "--provider", "fake", "--json", folder=tmp_path) as process:
        assert process.stderr
        assert "until Ctrl-C" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert json.loads(out)["health"]["screen"] == [1280, 800]
    assert process.returncode == 0


# Ended early


def scored(folder: Path) -> list[str]:
    return [record.task for record in RunFolder(folder).records() if record.score.value is not None]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_run_cleanly_and_says_how_to_go_on(suite: Path, tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "run"
    words = ("run", suite, "--agent", f"{PAPER}:SlowWriter", *FAKE, "--out", folder)
    with started(*words, folder=tmp_path) as process:
        assert wait.until(lambda: scored(folder), timeout=60)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"--resume {folder}" in said.replace("\n", "")
    assert "Traceback" not in said
    assert 1 <= len(scored(folder)) < 4
    manifest = folder / "run.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "protocol": 0}))  # as if by older code
    ran = deskbench("run", "--resume", folder, folder=tmp_path)
    assert ran.returncode == 0
    assert "not as when this run began (its manifest has both): protocol: 0, then 1" in ran.stderr
    assert sorted(scored(folder)) == ["suite/impossible", "suite/write-0", "suite/write-1", "suite/write-2"]


def test_a_second_ctrl_c_ends_it_at_once(suite: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = ("run", suite, "--agent", f"{PAPER}:Asleep", *FAKE, "--out", folder)
    with started(*words, folder=tmp_path) as process:
        assert wait.until(lambda: list(folder.glob("episodes/*/*/1/steps.jsonl")), timeout=60)
        process.send_signal(signal.SIGINT)
        assert process.stderr
        assert any("Ctrl-C again" in line for line in iter(process.stderr.readline, ""))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130


def test_ctrl_c_ends_a_run_though_its_desktop_answers_byte_by_byte(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "one", config=None)
    folder = tmp_path / "run"
    with dribbling() as machine:
        words = ("run", tmp_path / "suite", "--agent", "null", "--provider", f"remote:{machine.url}", "--out", folder)
        with started(*words, folder=tmp_path) as process:
            assert machine.asked.wait(60)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=180)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert [record.ending for record in RunFolder(folder).records()] == ["interrupted"]


def test_a_desktop_that_answers_byte_by_byte_ends_its_episode_and_not_the_run(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "one", config=None)
    with dribbling() as machine:
        words = ("run", tmp_path / "suite", "--agent", "null", "--provider", f"remote:{machine.url}", "--retries", 0)
        ran = deskbench(*words, "--json", folder=tmp_path)
    found = json.loads(ran.stdout)
    assert (ran.returncode, found["state"], found["summary"]["endings"]) == (1, "done", {"env_error": 1})


def test_what_tampering_counts_is_an_option_and_is_said(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "one")
    words = ("run", tmp_path / "suite", "--agent", f"{PAPER}:Killer", "--provider", f"{PAPER}:Mortal")
    ran = deskbench(*words, folder=tmp_path)
    assert ran.returncode == 0
    assert "desktops that died while the agent acted: 2; tampered: 1: suite/one (counted as zero)" in ran.stderr
    ran = deskbench(*words, "--on-tamper", "unscored", "--json", folder=tmp_path)
    found = json.loads(ran.stdout)
    assert (ran.returncode, found["on_tamper"], found["summary"]["tampered"]) == (1, "unscored", ["suite/one"])
    assert found["summary"]["all_planned"]["mean"] == 0.0
    ran = deskbench(*words, "--on-tamper", "never", folder=tmp_path)
    assert ran.returncode == 2
    assert "setting on_tamper is 'never'" in ran.stderr


@pytest.mark.parametrize("finished", [0, 1, 2])
def test_kill_loses_no_finished_episode(suite: Path, tmp_path: Path, finished: int) -> None:
    folder = tmp_path / "run"
    words = ("run", suite, "--agent", f"{PAPER}:SlowWriter", *FAKE, "-n", 2, "--out", folder)
    with started(*words, folder=tmp_path) as process:
        wait.until(lambda: len(scored(folder)) >= finished and (folder / "ledger.sqlite").exists(), timeout=60)
        process.kill()
        process.communicate()
    before = {path: path.read_bytes() for path in folder.rglob("episode.json")}
    assert len(before) >= finished
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as ledger:
        assert ledger.execute("pragma integrity_check").fetchone() == ("ok",)
    ran = deskbench("run", "--resume", folder, folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(scored(folder)) == ["suite/impossible", "suite/write-0", "suite/write-1", "suite/write-2"]
    assert json.loads((folder / "run.json").read_text())["state"] == "done"


@pytest.mark.parametrize("kilobytes", [16, 40])
def test_a_full_disk_stops_the_run_with_one_line_and_what_is_recorded_stays(
    suite: Path, tmp_path: Path, kilobytes: int
) -> None:
    """A limit on the size of files stands for the disk: sooner the ledger hits it, or later a step's line."""
    folder = tmp_path / "run"
    words = [sys.executable, "-m", "deskbench.agent", "run", suite, "--agent", f"{PAPER}:Wordy", *FAKE, "--out", folder]
    command = f'ulimit -f {kilobytes}; exec "$@"'
    ran = subprocess.run(
        ["bash", "-c", command, "bash", *map(str, words)], cwd=tmp_path, env=environment(), capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert "error: cannot write" in ran.stderr
    before = {path: path.read_bytes() for path in folder.rglob("episode.json")}
    ran = deskbench("run", "--resume", folder, folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert {path: path.read_bytes() for path in before} == before
    assert len(scored(folder)) == 4


def test_a_person_solves_a_task_in_the_terminal(tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", count=1)
    answers = "pyautogui.write('hello')\nnonsense(\n" + '{"type": "key", "keys": ["ctrl", "s"]}\nDONE\nFAIL\n'
    command = [sys.executable, "-m", "deskbench.agent", "run", str(suite), "--agent", "human", *FAKE]
    command += ["--task", "write-0", "--task", "impossible"]
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False,
        input="FAIL\n" + answers,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "The task: Write hello and save." in ran.stderr
    assert "That cannot be carried out" in ran.stderr
    folder = tmp_path / "runs/latest"
    assert {r.task_id: r.score.value for r in RunFolder(folder).records()} == {"impossible": 1.0, "write-0": 1.0}
