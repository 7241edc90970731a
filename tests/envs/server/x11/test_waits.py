"""What a thread waits for: real children in every kind of wait."""

import contextlib
import math
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from deskbench.envs import wait
from deskbench.envs.server.x11.waits import Thread, Wait

SECONDS = 60.0
TIMED = {
    "poll": "import select; p = select.poll(); p.register(0); p.modify(0, 0); p.poll({ms:.0f})",
    "epoll": "import select; select.epoll().poll({s})",
    "select": "import select; select.select([], [], [], {s})",
    "sleep": "import time; time.sleep({s})",
    "futex until a moment": "import threading; threading.Event().wait({s})",
    "signal": "import signal; signal.sigtimedwait([signal.SIGUSR1], {s})",
}
ENDLESS = {
    "poll": "import select; p = select.poll(); p.register(0); p.modify(0, 0); p.poll()",
    "pipe": "input()",
    "child": "import subprocess; subprocess.run(['sleep', '60'])",
    "lock": "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
}


@contextlib.contextmanager
def child(code: str) -> Iterator[int]:
    """A Python that says that it is about to wait."""
    words = [sys.executable, "-c", f"print('now', flush=True); {code}"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


def asleep(process: int) -> Wait:
    """The first look that finds it asleep for 0.1 s."""
    thread = Thread(process, process)
    seen: list[Wait] = []

    def rests() -> bool:
        seen.append(thread.look())
        return len(seen) > 10 and all(one.asleep and one.slices == seen[-1].slices for one in seen[-10:])

    assert wait.until(rests, timeout=30, max_interval=0.02), "the child does not wait"
    thread.close()
    return seen[-1]


@pytest.mark.parametrize("code", TIMED.values(), ids=TIMED)
def test_the_moment_at_which_a_thread_wakes_by_itself_is_known(code: str) -> None:
    began = time.monotonic()
    with child(code.format(s=SECONDS, ms=SECONDS * 1e3)) as process:
        found = asleep(process)
        assert began + SECONDS <= found.wake <= time.monotonic() + SECONDS


@pytest.mark.parametrize("code", ENDLESS.values(), ids=ENDLESS)
def test_a_thread_that_waits_for_others_has_no_timer(code: str) -> None:
    with child(code) as process:
        assert asleep(process).wake == math.inf


def test_a_thread_that_computes_is_not_asleep() -> None:
    with child("\nwhile True: pass") as process:
        thread = Thread(process, process)
        assert not any(thread.look().asleep for _ in range(100))
        thread.close()


def test_a_thread_that_has_ended_is_told() -> None:
    with child("input()") as process:
        thread = Thread(process, process)
    with pytest.raises(ProcessLookupError):
        thread.look()
    thread.close()
