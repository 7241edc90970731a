"""`deskbench tasks verify` as a person or a script calls it."""

import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deskbench.agent.cli.verify import continued
from deskbench.agent.verify.record import read
from deskbench.agent.verify.verify import ROWS
from deskbench.envs import wait
from deskbench.tasks.load import VALIDATION

from ..paper import write_suite, write_task
from .test_cli import FAKE, deskbench, started


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return write_suite(tmp_path / "suite", 2)


def test_a_verified_suite_counts_in_a_run_until_it_changes(suite: Path, tmp_path: Path) -> None:
    ran = deskbench("run", suite, "--agent", "oracle", *FAKE, folder=tmp_path)
    assert "validated 0 of 3 tasks; the others: deskbench tasks verify TASKS --stale" in ran.stderr
    done = deskbench("tasks", "verify", suite, "--k", 2, "-n", 2, *FAKE, folder=tmp_path)
    assert done.returncode == 0 and done.stdout == "", done.stderr
    assert "valid   suite/write-0: oracle 2/2, again 1/1, nothing 1/1" in done.stderr
    assert "3 of 3 tasks are valid" in done.stderr
    ran = deskbench("run", suite, "--agent", "oracle", *FAKE, "--json", folder=tmp_path)
    shown = json.loads(ran.stdout)
    assert shown["validated"] == {"n": 3, "of": 3}
    assert json.loads((tmp_path / shown["folder"] / "run.json").read_text())["validated"] == {"n": 3, "of": 3}
    assert '"validated":{"n":3,"of":3}' in (tmp_path / shown["report"]).read_text().replace(" ", "")

    write_task(suite, "write-1", instruction="Write hello, and save it.")
    again = deskbench("tasks", "verify", suite, "--k", 1, "--stale", *FAKE, folder=tmp_path)
    assert again.returncode == 0
    assert "stale suite/write-1: the task, its assets or the code of its check changed" in again.stderr
    assert "write-0" not in again.stderr and "1 of 1 tasks are valid" in again.stderr
    nothing = deskbench("tasks", "verify", suite, "--k", 1, "--stale", *FAKE, folder=tmp_path)
    assert nothing.returncode == 0 and "every record is up to date" in nothing.stderr
    nothing = deskbench("tasks", "verify", suite, "--k", 1, "--stale", "--json", *FAKE, folder=tmp_path)
    shown = json.loads(nothing.stdout)
    assert (nothing.returncode, shown["status"], shown["tasks"], shown["folder"]) == (0, 0, [], None)
    assert len(json.loads((suite / VALIDATION).read_text())["results"]) > 3


def test_a_record_of_more_runs_is_kept_and_one_of_fewer_is_stale(suite: Path, tmp_path: Path) -> None:
    def verified(*options: object) -> str:
        done = deskbench("tasks", "verify", suite, *options, *FAKE, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def ks() -> dict[str, int]:
        return {key: entry.k for key, entry in read(suite / VALIDATION).items()}

    one = ("--task", "write-0")
    verified("--k", 2, *one)
    assert "kept the record of suite/write-0 with --k 2: it is up to date" in verified("--k", 1, *one)
    assert ks() == {"suite/write-0": 2}
    assert "stale suite/write-0: was verified with --k 2, not 3" in verified("--k", 3, "--stale", *one)
    assert ks() == {"suite/write-0": 3}


def test_the_record_of_a_deleted_task_goes(suite: Path, tmp_path: Path) -> None:
    assert deskbench("tasks", "verify", suite, "--k", 1, *FAKE, folder=tmp_path).returncode == 0
    (suite / "write-1.json").unlink()
    (suite / "impossible.json").write_text("{")  # not deleted, only broken for now
    only = ("--task", "write-0", "--k", 2)
    assert deskbench("tasks", "verify", suite / "write-0.json", *only, *FAKE, folder=tmp_path).returncode == 0
    assert set(read(suite / VALIDATION)) == {"suite/write-0", "suite/write-1", "suite/impossible"}
    (suite / "impossible.json").unlink()
    assert deskbench("tasks", "verify", suite, *only, *FAKE, folder=tmp_path).returncode == 0
    assert set(read(suite / VALIDATION)) == {"suite/write-0"}


def test_a_task_that_is_not_valid_is_said_with_the_trial_and_its_episode(suite: Path, tmp_path: Path) -> None:
    start = [{"type": "write_file", "parameters": {"path": "/home/user/note.txt", "text": "hello"}}]
    write_task(suite, "given", config=start)
    done = deskbench("tasks", "verify", suite, "--task", "given", "--k", 1, "--json", *FAKE, folder=tmp_path)
    assert done.returncode == 1
    assert "INVALID suite/given" in done.stderr and "done : not as it must be: score 1" in done.stderr
    shown = json.loads(done.stdout)
    assert (shown["status"], [(one["task"], one["valid"]) for one in shown["tasks"]]) == (1, [("suite/given", False)])
    [wrong] = [cell for cell in shown["tasks"][0]["cells"] if cell["column"] == "done"]
    assert (tmp_path / shown["folder"] / "suite" / wrong["folder"] / "episode.json").is_file()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["nowhere"], 2, "no such file, folder or suite: nowhere"),
        (["suite", "--task", "write-9"], 2, "no task 'write-9'; did you mean 'write-"),
        (["suite", "--provider", "fak"], 2, "did you mean 'fake'?"),
        (["suite", "--k", "0"], 2, "--k"),
        (["suite", "--resume", "x", "--out", "y"], 2, "leave out --out"),
    ],
)
def test_what_cannot_be_verified_is_one_line(
    words: list[str], status: int, said: str, suite: Path, tmp_path: Path
) -> None:
    done = deskbench("tasks", "verify", *words, folder=tmp_path)
    assert done.returncode == status
    assert said in done.stderr and "Traceback" not in done.stderr


def test_a_suite_that_does_not_load_starts_no_desktop(suite: Path, tmp_path: Path) -> None:
    (suite / "broken.json").write_text("{")
    done = deskbench("tasks", "verify", suite, *FAKE, folder=tmp_path)
    assert done.returncode == 2 and "broken.json" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_ctrl_c_keeps_what_was_verified(tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", 40)
    with started("tasks", "verify", suite, "--k", 3, "--out", "out", *FAKE, folder=tmp_path) as process:
        rows = tmp_path / "out" / "suite" / ROWS
        assert wait.until(lambda: rows.is_file() and rows.read_text().count("\n") > 5, timeout=60)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 3
    assert re.search(r"\d+ of 41 tasks are valid, \d+ not finished", said), said
    [command] = re.findall(r"continue with: deskbench (.*)", said)
    before = rows.read_text().count("\n")
    done = deskbench(*shlex.split(command), folder=tmp_path)
    assert done.returncode == 0 and "41 of 41 tasks are valid" in done.stderr
    results = [json.loads(line) for line in rows.read_text().splitlines()]
    assert len(results) > before
    assert len({(one["task"], one["column"], one["name"]) for one in results}) == len(results)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["tasks", "verify", "a"], "deskbench tasks verify a --resume out"),
        (["tasks", "verify", "a b", "--out", "x", "--k", "1"], "deskbench tasks verify 'a b' --k 1 --resume out"),
        (["tasks", "verify", "--out=x", "a", "--stale"], "deskbench tasks verify a --stale --resume out"),
        (["tasks", "verify", "--resume", "out", "a"], "deskbench tasks verify a --resume out"),
    ],
)
def test_the_command_that_continues_has_the_same_options(words: list[str], command: str) -> None:
    assert continued(words, Path("out")) == command


def test_a_new_verification_does_not_mix_with_another(tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", 0)
    words = ("tasks", "verify", suite, "--k", 1, *FAKE)
    absent = deskbench(*words, "--resume", "out", folder=tmp_path)
    assert absent.returncode == 2 and "out has no verification to continue" in absent.stderr
    assert deskbench(*words, "--out", "out", folder=tmp_path).returncode == 0
    again = deskbench(*words, "--out", "out", folder=tmp_path)
    assert again.returncode == 2 and "continue it with --resume" in again.stderr


def test_a_suite_that_cannot_be_written_is_said_and_the_record_stands_in_the_run(tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", 0)
    inside = ["bwrap", "--dev-bind", "/", "/", "--ro-bind", str(suite), str(suite), "--"]
    words = ["tasks", "verify", str(suite), "--k", "1", "--out", "out", *map(str, FAKE)]
    done = subprocess.run([*inside, sys.executable, "-m", "deskbench.agent", *words], cwd=tmp_path, check=False,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"cannot write {suite}: the record goes to out; copy it there, or it does not count" in done.stderr
    assert "record out/suite/validation.json" in done.stderr
    assert not (suite / VALIDATION).exists()
    assert len(json.loads((tmp_path / "out" / "suite" / VALIDATION).read_text())["results"]) > 3


def test_a_full_disk_is_no_invalid_task(tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", 0)
    small = ["bash", "-c", 'ulimit -f 4; exec "$@"', "bash"]  # no file may have more than 4 KiB
    words = ["tasks", "verify", str(suite), "--k", "1", "--out", "out", *FAKE]
    done = subprocess.run([*small, sys.executable, "-m", "deskbench.agent", *words], cwd=tmp_path, check=False,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "File too large" in done.stderr and "Traceback" not in done.stderr


def test_a_suite_of_another_system_is_not_tried(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "write", requires={"os": ["windows"]}, oracle=[{"type": "done"}])
    done = deskbench("tasks", "verify", tmp_path / "suite", "--provider", "local", folder=tmp_path)
    assert done.returncode == 2
    assert "skipped suite/write: needs windows" in done.stderr and "nothing was tried" in done.stderr
    shown = json.loads(deskbench("tasks", "verify", tmp_path / "suite", "--json", "--provider", "local",
                                 folder=tmp_path).stdout)  # fmt: skip
    assert (shown["status"], shown["tasks"], list(shown["skipped"])) == (2, [], ["suite/write"])


def test_tasks_that_were_skipped_are_counted(tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", 0)
    write_task(suite, "online", requires={"network": "full"})
    done = deskbench("tasks", "verify", suite, "--k", 1, *FAKE, folder=tmp_path)
    assert done.returncode == 0 and "1 of 1 tasks are valid, 1 skipped" in done.stderr, done.stderr


def test_an_error_that_nobody_expected_says_nothing_about_the_tasks(suite: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def broken():\n    raise RuntimeError('a bug')\n")
    done = deskbench("tasks", "verify", suite, "--provider", "mine:broken", folder=tmp_path)
    assert (done.returncode, done.stdout) == (3, "") and "RuntimeError: a bug" in done.stderr
