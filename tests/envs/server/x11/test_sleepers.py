"""Programs at rest: real programs that sleep, that lie, and that hide."""

import os
import statistics
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from deskbench.envs import wait
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.providers.local import LocalDesktop, LocalProvider
from deskbench.envs.server.settle import BUSY, REACTION
from deskbench.envs.server.x11.sleepers import Sleepers, Terminal
from deskbench.envs.types import Key, Move, Observation, Type
from deskbench.envs.wire import Observe
from tests.other_user import OtherUser

LATE = 0.2
"""Seconds after which some of these programs write a line: longer than a reaction, shorter than quiet time."""
TIMER = f"""
import ctypes, os, struct, sys
input()
libc = ctypes.CDLL(None)
timer = libc.timerfd_create(1, 0)
libc.timerfd_settime(timer, 0, struct.pack("qqqq", 0, 0, 0, {LATE * 1e9:.0f}), None)
os.read(timer, 8)
print("late", flush=True)
input()
"""
PANEL = """#!/usr/bin/python3
import time
while input() != "end":
    for frame in range(8):
        time.sleep(0.045)
        print(frame, end=" ", flush=True)
"""
NETWORK = """
import socket
there = socket.create_server(("127.0.0.1", 0))
here = socket.create_connection(there.getsockname())
while input() != "end": print("more", flush=True)
"""
ENDLESS = "import time\nprint(1, flush=True)\nwhile True: time.sleep(0.01)"
CHANGING = """
import os, threading, time
print(flush=True)
while input() == "thread":
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    print(flush=True)
os.execvp("sh", ["sh", "-c", "echo; read line"])
"""


pytestmark = pytest.mark.desktop


@pytest.fixture(scope="module")
def desktop() -> Iterator[LocalDesktop]:
    provider = LocalProvider()
    one = provider.start(DesktopSpec(width=640, height=480))
    try:
        yield one
    finally:
        provider.close()


def in_terminal(desktop: LocalDesktop, code: str) -> None:
    """Run Python in a terminal of its own, and wait until it has the keyboard."""
    desktop.launch(["xterm", "-e", "/usr/bin/python3", "-c", code])


def enter(desktop: LocalDesktop, text: str = "") -> Observation:
    """Type a line; what the desktop says must hold, and come as soon as before."""
    seen = desktop.act([Type(f"{text}\n")])
    assert seen.settled and seen.settled_by in ("rest", "quiet")
    return seen


def test_an_action_is_answered_when_every_program_sleeps(desktop: LocalDesktop) -> None:
    in_terminal(desktop, "while input() != 'end': pass")
    seen = [enter(desktop) for _ in range(20)]
    assert "rest" in {one.settled_by for one in seen}, [(one.settled_by, one.settle_ms) for one in seen]
    rested = [one.settle_ms for one in seen if one.settled_by == "rest"]
    assert statistics.median(rested) < 1000
    enter(desktop, "end")


def test_a_look_at_a_desktop_at_rest_says_so(desktop: LocalDesktop) -> None:
    assert wait.until(lambda: desktop.observe().settled_by == "rest", timeout=30)
    assert desktop.observe(Observe(policy="immediate")).settled_by is None
    quiet = desktop.act([Move(600, 500)], Observe(policy="quiet"))
    assert (quiet.settled, quiet.settled_by) == (True, "quiet") and quiet.settle_ms >= 1e3 * REACTION


def test_a_timer_that_is_a_file_is_waited_for(desktop: LocalDesktop) -> None:
    in_terminal(desktop, TIMER)
    seen = enter(desktop)
    later = desktop.observe(Observe(policy="fixed:0.6"))
    assert seen.screenshot and later.screenshot
    same = seen.screenshot.sha256 == later.screenshot.sha256
    assert (same, seen.settle_ms >= LATE * 1e3) == (True, True), (seen.settled_by, seen.settle_ms, desktop.settlings())
    enter(desktop)


def test_the_desktop_s_own_programs_are_waited_for_if_they_are_about_to_wake(desktop: LocalDesktop) -> None:
    desktop.write_file("/tmp/xfce4-panel", PANEL.encode())
    desktop.run(["chmod", "+x", "/tmp/xfce4-panel"])
    desktop.launch(["xterm", "-e", "/tmp/xfce4-panel"])
    for _ in range(3):
        seen = enter(desktop)
        later = desktop.observe(Observe(policy="fixed:0.5"))
        assert seen.screenshot and later.screenshot
        assert seen.screenshot.sha256 == later.screenshot.sha256, (seen.settled_by, seen.settle_ms, desktop.settlings())
    enter(desktop, "end")


def test_a_program_that_may_hear_from_the_network_is_answered_by_quiet_time(desktop: LocalDesktop) -> None:
    in_terminal(desktop, NETWORK)
    assert {enter(desktop).settled_by for _ in range(3)} == {"quiet"}
    enter(desktop, "end")


def test_a_timer_without_end_costs_no_more_than_before(desktop: LocalDesktop) -> None:
    waits = "while [ ! -s /tmp/begun ]; do sleep 0.1; done"
    started = desktop.run(f"python3 -c '{ENDLESS}' >/tmp/begun & {waits}; echo $!", shell=True)
    try:
        for _ in range(3):
            seen = desktop.act([Key(("shift",))])
            assert seen.settled
            assert seen.settle_ms <= BUSY * 1e3 + 2000
    finally:
        desktop.run(["kill", "-9", started.stdout.strip()])


def test_a_stopped_program_is_not_waited_for(desktop: LocalDesktop) -> None:
    in_terminal(desktop, "import os; print(os.getppid(), file=open('/tmp/parent', 'w'), flush=True); input()")
    parent = desktop.run(["cat", "/tmp/parent"]).stdout.strip()
    desktop.run(["kill", "-STOP", parent])
    try:
        assert enter(desktop).settle_ms <= BUSY * 1e3 + 2000
    finally:
        desktop.run(["kill", "-CONT", parent])
    assert desktop.observe().settled


def test_a_program_that_ends_takes_its_window_along_before_the_answer(desktop: LocalDesktop) -> None:
    before = desktop.observe().screenshot
    in_terminal(desktop, "input()")
    seen, later = enter(desktop).screenshot, desktop.observe(Observe(policy="fixed:0.5")).screenshot
    assert before and seen and later and seen.sha256 == later.sha256


def test_another_users_program_hides_its_timers_and_is_seen_to_run(other_user: OtherUser) -> None:
    """It counts as hidden: what it does is answered by quiet time."""
    with subprocess.Popen([sys.executable, "-c", "while True: input()"], stdin=subprocess.PIPE) as process:
        said = other_user.python(f"""
            import os
            from deskbench.envs.server.x11.sleepers import Sleepers
            look = Sleepers(os.getpid()).look()
            print({process.pid} in look.hidden, look.threads[{process.pid}, {process.pid}].slices > 0)
        """)
        process.kill()
    assert said.stdout.split() == ["True", "True"], said.stderr


def test_a_program_that_was_not_ours_to_read_is_read_once_it_is(other_user: OtherUser) -> None:
    """As a program of the session is that was first seen while it started."""
    said = other_user.python("""
        import ctypes, subprocess, sys
        from deskbench.envs.server.x11.waits import Thread
        code = ("import ctypes; hide = ctypes.CDLL(None).prctl; hide(4, 0); print(1, flush=True); input();"
                "hide(4, 1); print(2, flush=True); input()")
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            thread = Thread(process.pid, process.pid)
            print(thread.look().known)
            process.stdin.write(b"go on\\n"), process.stdin.flush()
            process.stdout.readline()
            print(thread.look().known)
            process.kill()
    """)  # prctl(2): PR_SET_DUMPABLE
    assert said.stdout.split() == ["False", "True"], said.stderr


def test_threads_that_begin_and_a_program_that_becomes_another_are_seen_at_the_next_look() -> None:
    here = Sleepers(os.getpid())
    with subprocess.Popen([sys.executable, "-c", CHANGING], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        commands, answers = process.stdin, process.stdout
        assert commands is not None and answers is not None

        def after(line: bytes) -> tuple[str, int]:
            commands.write(line)
            commands.flush()
            answers.readline()
            look = here.look()
            return look.names[process.pid], sum(key[0] == process.pid for key in look.threads)

        name, threads = after(b"")
        assert name.startswith("python") and threads == 1
        assert [after(b"thread\n"), after(b"thread\n")] == [(name, 2), (name, 3)]
        assert after(b"other\n") == ("sh", 1)
        process.kill()


def test_a_stopped_terminal_holds_nobody_up() -> None:
    """A program of the desktop may open our terminal, and stop its output or fill it."""
    terminal = Terminal()
    assert terminal.passed(0)
    assert terminal.passed(0)
    termios.tcflow(terminal._far, termios.TCOOFF)
    assert not any(terminal.passed(0) for _ in range(3))


def test_why_this_evidence_is_missing() -> None:
    here = Sleepers(os.getpid())
    assert here.trouble(os.getpid()) == ""
    assert "X server" in here.trouble(0)
    assert "No such file" in here.trouble(2**22 - 1)
    assert not Path(f"/proc/{2**22 - 1}").exists()
