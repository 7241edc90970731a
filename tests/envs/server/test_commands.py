"""Commands: run to their end within a limit, or started and left alone."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import psutil
import pytest

from deskbench.envs import wait
from deskbench.envs.server import commands
from deskbench.envs.server.commands import CommandTimeout
from deskbench.envs.server.http.limits import MAX_OUTPUT
from deskbench.envs.server.http.server import HttpError

PATIENCE = 20.0


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A separate home folder for the test."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("command", "shell", "expected"),
    [
        ("echo 'a b' c", False, ["echo", "a b", "c"]),
        (["echo", 1, "x y"], False, ["echo", "1", "x y"]),
        ("echo $HOME | wc", True, ["/bin/bash", "-c", "echo $HOME | wc"]),
        (["echo", "a", "|", "wc"], True, ["/bin/bash", "-c", "echo a | wc"]),
    ],
)
def test_a_command_is_split_unless_it_is_a_shells(command: object, shell: bool, expected: list[str]) -> None:
    found = commands.argv(command, shell=shell)
    assert [*found[:-1], found[-1].split("\n")[-1]] == expected


def test_only_a_leading_tilde_is_expanded(home: Path) -> None:
    assert commands.argv(["ls", "~/x", "a~/x", "~"], shell=False) == ["ls", f"{home}/x", "a~/x", "~"]


@pytest.mark.parametrize("command", ["", [], None, 7, {"a": 1}, [["ls"]], ["a\0b"], "a\0b", "'open", [None], [""]])
def test_what_is_no_command_is_the_callers_mistake(command: object) -> None:
    with pytest.raises(HttpError) as caught:
        commands.argv(command, shell=False)
    assert caught.value.status == 400


def test_output_and_status_come_back(home: Path) -> None:
    done = commands.run(["/bin/sh", "-c", "pwd; echo err >&2; exit 3"], timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (3, f"{home}\n", "err\n")


def test_what_is_no_text_is_replaced() -> None:
    assert commands.run(["printf", r"a\377b"], timeout=PATIENCE).stdout == "a\ufffdb"


def test_endless_output_is_cut() -> None:
    """The limit applies to what is kept; the command's own status is returned."""
    loud = f"head -c {MAX_OUTPUT + 100_000} /dev/zero | tr '\\0' a; exit 5"
    done = commands.run(["/bin/sh", "-c", loud], timeout=PATIENCE)
    assert (len(done.stdout), done.returncode) == (MAX_OUTPUT, 5)


def test_output_that_grows_on_the_wire_is_cut_there() -> None:
    """A NUL takes six characters of JSON, and the controller must be able to read what arrives."""
    done = commands.run(["head", "-c", str(MAX_OUTPUT), "/dev/zero"], timeout=PATIENCE)
    assert 0 < len(json.dumps(done.stdout)) <= MAX_OUTPUT + 2


def test_a_command_that_prints_for_ever_is_killed_and_fills_nothing(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setenv("TMPDIR", str(scratch))
    before = psutil.Process().memory_info().rss
    with pytest.raises(CommandTimeout):
        commands.run(["yes", "x" * 1000], timeout=1.0)
    assert psutil.Process().memory_info().rss - before < 20 * MAX_OUTPUT
    assert os.listdir(scratch) == []


def test_what_is_left_behind_may_go_on_printing(home: Path) -> None:
    """Nobody reads its output, but a closed pipe would end it and a full one would stop it."""
    script = f"(for i in $(seq 3000); do echo {'x' * 100} || exit; done; echo whole > {home}/end) & exit 3"
    assert commands.run(["/bin/bash", "-c", script], timeout=PATIENCE).returncode == 3
    assert wait.until((home / "end").exists, timeout=PATIENCE)


def test_a_child_that_prints_for_ever_does_not_hold_the_answer_up(home: Path) -> None:
    script = f"yes & echo $! > {home}/child; echo begun >&2"
    done = commands.run(["/bin/sh", "-c", script], timeout=PATIENCE)
    os.kill(int((home / "child").read_text()), 9)
    assert done.stderr == "begun\n" and len(done.stdout) <= MAX_OUTPUT


def test_the_system_s_own_programs_are_not_those_of_the_session_s_path(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "ls").write_text("#!/bin/sh\nexit 1\n")
    (home / "ls").chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}:{os.environ['PATH']}")
    monkeypatch.setenv("LD_PRELOAD", "evil.so")
    monkeypatch.setenv("PYTHONPATH", "evil")
    assert commands.system("ls") in ("/usr/bin/ls", "/bin/ls")
    assert not {"LD_PRELOAD", "PYTHONPATH"} & set(commands.clean())


def test_a_late_command_is_killed_with_its_children(home: Path) -> None:
    script = f"sleep 1000 & echo $! > {home}/child; wait"
    with pytest.raises(CommandTimeout, match=r"/bin/sh was still running after 0.5 s and has been killed"):
        commands.run(["/bin/sh", "-c", script], timeout=0.5)
    child = int((home / "child").read_text())
    assert wait.until(lambda: not alive(child), timeout=PATIENCE)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_child_left_behind_does_not_hold_the_answer_up(home: Path) -> None:
    done = commands.run(["/bin/sh", "-c", f"sleep 1000 & echo $! > {home}/child; echo begun"], timeout=PATIENCE)
    child = int((home / "child").read_text())
    try:
        assert done.stdout == "begun\n" and alive(child)
    finally:
        os.kill(child, 9)


def test_a_command_has_nothing_to_read() -> None:
    assert commands.run(["cat"], timeout=PATIENCE).stdout == ""


def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        commands.run(["no-such-program"], timeout=PATIENCE)


@pytest.mark.parametrize(
    ("lang", "source", "output"),
    [
        ("python", "import sys\nprint(sys.version_info[0], 'ünï')", "3 ünï\n"),
        ("bash", "cat\nfor i in 1 2; do echo $i; done", "1\n2\n"),
        ("bash", "# " + "x" * 300_000 + "\necho large", "large\n"),
    ],
)
def test_source_text_runs(lang: str, source: str, output: str) -> None:
    done = commands.run_source(lang, source, PATIENCE)
    assert (done.stdout, done.stderr, done.returncode) == (output, "", 0)


def test_source_text_that_is_late_is_killed_and_leaves_no_file(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scratch = tmp_path_factory.mktemp("scratch")
    done = commands.run_source("bash", "echo ${0%/*/*}", PATIENCE)
    assert not Path(done.stdout.strip(), "script").exists()
    monkeypatch.setenv("TMPDIR", str(scratch))
    with pytest.raises(CommandTimeout):
        commands.run_source("bash", "sleep 1000", 0.2)


def test_a_started_program_is_left_alone_in_a_group_of_its_own() -> None:
    process = commands.spawn([sys.executable, "-c", "import time; time.sleep(1000)"])
    try:
        assert os.getpgid(process.pid) == process.pid
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
