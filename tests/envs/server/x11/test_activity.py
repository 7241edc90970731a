"""Busy and idle programs according to /proc: on a busy machine, too, they are told apart."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator

import pytest

from deskbench.envs import wait
from deskbench.envs.server.x11.activity import Rest, at_work, goes_on

PATIENCE = 30.0
BUSY = "print(flush=True)\nwhile True: pass"
BUSY_THREAD = """
import threading, time
def work():
    while True: pass
threading.Thread(target=work, daemon=True).start()
print(flush=True)
while True: time.sleep(3600)
"""
ASLEEP = "import time\nprint(flush=True)\ntime.sleep(3600)"


@pytest.fixture
def program(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program that has reported its start."""
    process = subprocess.Popen([sys.executable, "-c", request.param], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("program", [BUSY, BUSY_THREAD], indirect=True, ids=["first thread", "another thread"])
def test_a_program_that_computes_is_at_work(program: subprocess.Popen[bytes]) -> None:
    rest = Rest(2, program.pid, services=frozenset())
    assert not any(rest.reached() for _ in range(50))
    assert at_work()


@pytest.mark.parametrize("program", [ASLEEP], indirect=True)
def test_a_program_that_sleeps_comes_to_rest_after_so_many_looks(program: subprocess.Popen[bytes]) -> None:
    rest, looks = Rest(5, program.pid, services=frozenset()), itertools.count()  # other desktops have theirs
    assert wait.until(lambda: next(looks) >= 0 and rest.reached(), timeout=PATIENCE)
    assert next(looks) >= 5


@pytest.mark.parametrize("program", [ASLEEP], indirect=True)
def test_a_program_that_has_ended_does_not_go_on_whether_collected_or_not(program: subprocess.Popen[bytes]) -> None:
    assert goes_on(program.pid)
    program.kill()
    assert wait.until(lambda: not goes_on(program.pid), timeout=PATIENCE)
    program.wait()
    assert not goes_on(program.pid)
