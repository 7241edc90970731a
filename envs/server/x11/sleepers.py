"""Which programs of the session sleep, and when each will wake by itself.

Two looks in a row that find every thread asleep, and none put on a core in between, prove that at one moment nothing
ran and nothing was about to, but for timers. When those are due, the programs' own calls say.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import resource
import select
import threading
import time
import tty
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deskbench.envs import wait
from deskbench.envs.server.settle import Rest, Timer
from deskbench.envs.server.x11 import proc
from deskbench.envs.server.x11.activity import INFRASTRUCTURE
from deskbench.envs.server.x11.outside import Outside
from deskbench.envs.server.x11.proc import GONE
from deskbench.envs.server.x11.waits import FOREVER, Thread, Wait, count

MOST_THREADS = min(1024, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
"""Threads that are watched; each costs two open files. A program with threads beyond these counts as hidden."""
LONGEST = 0.15
"""Seconds after which a `Rest` gives up looking again: the caller has other evidence, which must not wait for this."""
TERMINAL_SECONDS = 0.05
"""How long to wait for our own terminal."""
BUSY_LOOKS, BUSY_PAUSE = 6, 0.006
"""Looks after a first one that finds everything asleep, and seconds between two of them, where a kernel's worker may
be on its way from one program to another and other work keeps it from its core."""
TTY, FLAGS, KERNEL = 4, 6, 0x200000
"""Fields of proc(5)'s `stat` behind the name: the terminal, and flags with PF_KTHREAD (linux/sched.h)."""
FOREIGN = ("wineserver",)
"""Programs that act for others in ways that their calls do not show: how the names begin."""
SERVANTS = {
    "Compositor": "Chrome_ChildIOT",
    "VM Periodic Tas": "Signal Dispatch", "G1 Service": "Signal Dispatch", "Monitor Deflati": "Signal Dispatch",
    "VM Thread": "Signal Dispatch", "C1 CompilerThre": "Signal Dispatch", "C2 CompilerThre": "Signal Dispatch",
}  # fmt: skip
"""Threads that draw nothing when their own timers are due, each with another thread that tells their programs from
others (names as the kernel has them, 15 characters).

The compositor of Chromium, and of what is made with it, puts frames together if another process, whose timers count,
tells it to; 250 ms after input, its own timer changes the order of work (`kSmoothnessTakesPriorityExpirationDelay`,
cc/trees/proxy_impl.cc). The others compile for Java, and keep house for it every 50 to 1000 ms (HotSpot's
watcherThread.cpp, g1ServiceThread.cpp, monitorDeflationThread.cpp, vmThread.cpp, compileBroker.cpp). The timers of a
program in Java have a thread of their own.
"""
TOOLKIT = "AWT-XAWT"
"""Java's thread that hands over to the X server what the program's other threads have drawn. It does so when its `poll`
ends: at an event, or up to 500 ms later (`DEF_AWT_MAX_POLL_TIMEOUT`, libawt_xawt's XToolkit.c).
"""


@dataclass(frozen=True)
class Look:
    """The session's threads at one moment.

    Attributes:
        threads: by process and thread.
        names: of the processes, as the kernel has them (15 characters).
        hidden: processes whose timers cannot be seen.
    """

    threads: Mapping[tuple[int, int], Wait]
    names: Mapping[int, str]
    hidden: frozenset[int]

    @property
    def asleep(self) -> bool:
        """No thread ran, or waited for a core or a disk."""
        return all(wait.asleep for wait in self.threads.values())

    def same(self, before: Look) -> bool:
        """No thread has begun, ended, or run since an earlier look."""
        return self.threads.keys() == before.threads.keys() and not self.ran(before)

    def ran(self, before: Look) -> set[int]:
        """The processes of which a thread has run since an earlier look, new ones among them."""
        old = before.threads
        return {
            key[0] for key, wait in self.threads.items() if key not in old or not wait.goes_on(old[key])
        }  # fmt: skip


@dataclass(frozen=True)
class _Program:
    """A process at the last look: its name, and what its threads did."""

    name: str
    threads: Mapping[int, Wait]


class Terminal:
    """A terminal of our own, through which a byte goes after all that programs have written to theirs.

    What is written to a terminal reaches its reader by a worker of the kernel (`flush_to_ldisc`), the one thing on the
    way from a key to its drawing that no process does. Workers take up their work in order: when our byte has arrived,
    whoever reads earlier ones has been woken.
    """

    def __init__(self) -> None:
        self._near, self._far = os.openpty()
        tty.setraw(self._far)
        for end in (self._near, self._far):
            os.set_blocking(end, False)  # a program may open it, too, and stop it
        self._bytes = itertools.cycle(range(256))

    def passed(self, pause: float) -> bool:
        """Send a byte through after a pause; False if it takes longer than a program may be kept waiting."""
        wait.sleep(pause)
        byte, until = bytes([next(self._bytes)]), time.monotonic() + TERMINAL_SECONDS
        try:
            os.write(self._far, byte)
            while (left := until - time.monotonic()) > 0 and select.select([self._near], [], [], left)[0]:
                if os.read(self._near, 4096).endswith(byte):
                    return True
        except OSError:
            return False
        return False


class Sleepers:
    """Looks at the session's threads; safe to use from several threads, all of which have the user's rights.

    Args:
        own: the process that asks; it is left out.
    """

    def __init__(self, own: int) -> None:
        self._own = own
        self._threads: dict[tuple[int, int], Thread] = {}
        self._programs: dict[int, _Program] = {}
        self._kernel: dict[int, bool] = {}
        self._kinds: dict[tuple[int, int], str] = {}
        self._toolkits: dict[tuple[int, int], bool] = {}
        self._lock = threading.Lock()
        self._terminal = Terminal()
        self._outside = Outside()
        self._last: Look | None = None

    def trouble(self, display: int) -> str:
        """Why this evidence is missing here, or "" if it is not.

        Args:
            display: the X server's process; 0 if it runs where its processes cannot be seen.
        """
        if not display:
            return "the X server's process cannot be seen"
        own = f"self/task/{threading.get_native_id()}"
        try:
            if not count(proc.read(f"{own}/schedstat")):
                return "the kernel does not count how often a thread runs (CONFIG_SCHED_INFO)"
            proc.read(f"{own}/syscall")
            for seen in (1, display):
                proc.state(f"{seen}")
        except (OSError, IndexError) as error:
            return f"/proc does not tell what programs wait for: {error}"
        return ""

    def rest(self, before: Look, decides: Callable[[Rest], bool] = lambda _: True) -> Rest:
        """Look, and compare with an earlier look. If everything sleeps, look again to see whether it goes on sleeping.

        Args:
            before: a look from before the actions.
            decides: whether it matters that everything sleeps. If not, nobody looks again, and it counts as not proved.
        """
        until = time.monotonic() + LONGEST
        with self._lock:
            last, now = self._last or before, self._look()
            found = self._found(now, before, now.ran(last), still=False)
            if now.asleep and decides(dataclasses.replace(found, still=True)):
                now, still = self._again(now, until, BUSY_LOOKS if self._through_workers(now) else 1)
                found = self._found(now, before, now.ran(last), still=still)
            self._last = now
        if not found.still:
            return found
        due, woken = self._outside.look(found.ran)
        wakes = {**found.wakes, **{Timer(process, 0): wake for process, wake in due.items()}}
        return dataclasses.replace(found, wakes=wakes, hidden=found.hidden | woken)

    def _again(self, now: Look, until: float, times: int) -> tuple[Look, bool]:
        """Look so many times more; the last look, and whether nothing ran before it."""
        still = True
        while times and still:
            last, still = now, self._terminal.passed(BUSY_PAUSE if times > 1 else 0)
            now = self._look()
            still = still and now.same(last) and time.monotonic() < until
            times -= 1
        return now, still

    def _found(self, now: Look, before: Look, moved: set[int], *, still: bool) -> Rest:
        programs = {process for process, name in now.names.items() if name not in INFRASTRUCTURE}
        ran, hidden = now.ran(before), set(now.hidden)
        concerned = programs | ran
        hidden |= {process for process in programs if now.names[process].startswith(FOREIGN)}
        timed = {
            Timer(*key): wait for key, wait in now.threads.items()
            if key[0] in concerned and wait.known and wait.wake < FOREVER
        }  # fmt: skip
        drawing = {timer.process: wait.wake for timer, wait in timed.items() if self._to_show(timer)}
        timed = {timer: wait for timer, wait in timed.items() if not self._kind(timer)}
        awake = (process for (process, _), one in now.threads.items() if not one.asleep)
        return Rest(
            still, frozenset(ran & programs), {timer: wait.wake for timer, wait in timed.items()},
            frozenset(hidden & programs), frozenset(awake), frozenset(moved), now.names,
            {timer: wait.wake - wait.late for timer, wait in timed.items()}, drawing, frozenset(ran - programs),
        )  # fmt: skip

    def _to_show(self, key: tuple[int, int]) -> bool:
        """Whether a thread will show something that other threads have drawn."""
        return self._kind(key) == TOOLKIT and self._toolkits.setdefault(key, True)

    def _kind(self, key: tuple[int, int]) -> str:
        """`TOOLKIT`, a name in `SERVANTS`, or "" for a thread like any other."""
        process, thread = key
        if process == thread:
            return ""
        if key in self._kinds:
            return self._kinds[key]
        try:
            name = proc.name(f"{process}/task/{thread}")
            if name in SERVANTS:  # while it starts, the other thread may not be there yet
                others = (proc.name(f"{process}/task/{other}") for other in proc.numbers(f"{process}/task"))
                if SERVANTS[name] not in others:
                    return ""
        except GONE:
            return ""
        self._kinds[key] = name if name in (TOOLKIT, *SERVANTS) else ""
        return self._kinds[key]

    def _note_drawing(self, process: int, before: _Program, now: _Program) -> None:
        """Note whether a program's toolkit has something to show: another thread may have drawn since it ran.

        A thread that has just begun may not have its name yet.
        """
        old = before.threads
        for key, drawn in self._toolkits.items():
            if key[0] == process and key[1] in now.threads:
                ran = {thread for thread, one in now.threads.items() if thread in old and not one.goes_on(old[thread])}
                others = any(self._kind((process, thread)) == "" for thread in ran)
                begun = not now.threads.keys() <= old.keys()
                self._toolkits[key] = others or begun or (drawn and key[1] not in ran)

    def look(self) -> Look:
        """Every thread of the session now, but the kernel's."""
        with self._lock:
            return self._look()

    def _through_workers(self, look: Look) -> bool:
        """A program has a terminal, and something runs that is not seen here: a worker of the kernel, perhaps."""
        return not _alone() and any(_field(process, TTY) != "0" for process in look.names)

    def _look(self) -> Look:
        threads: dict[tuple[int, int], Wait] = {}
        names: dict[int, str] = {}
        processes = [number for number in proc.numbers("") if number != self._own]
        known = self._kernel
        self._kernel = {number: known[number] if number in known else _is_kernel(number) for number in processes}
        before, self._programs = self._programs, {}
        for process in processes:
            if self._kernel[process]:
                continue
            try:
                found = self._program(process, before.get(process))
            except GONE:
                continue
            if process in before:
                self._note_drawing(process, before[process], found)
            self._programs[process], names[process] = found, found.name
            threads.update(((process, thread), wait) for thread, wait in found.threads.items())
        for key in (self._threads.keys() | self._kinds.keys()) - threads.keys():
            self._forget(key)
        return Look(threads, names, frozenset(process for (process, _), wait in threads.items() if not wait.known))

    def _program(self, process: int, before: _Program | None) -> _Program:
        """Look at a process. Only its own threads can start another or give it a name. So if none has run since the
        look before, its name and its list of threads need not be read again.
        """
        old = before.threads if before else {}
        found = {thread: self._one((process, thread)) for thread in old}
        same = {thread: one for thread, one in found.items() if one and one.goes_on(old[thread])}
        if before and same and same.keys() == old.keys():
            return _Program(before.name, same)
        name, threads = proc.name(f"{process}"), {}
        for thread in proc.numbers(f"{process}/task"):
            one = found.get(thread) or self._one((process, thread))
            if one is not None:
                threads[thread] = one
        return _Program(name, threads)

    def _one(self, key: tuple[int, int]) -> Wait | None:
        """What a thread does; None if it has ended."""
        try:
            if key not in self._threads and len(self._threads) >= MOST_THREADS:
                return Wait(-1, proc.state("{}/task/{}".format(*key)) not in "RD", known=False)
            thread = self._threads.get(key)
            if thread is None:
                thread = self._threads[key] = Thread(*key)
            return thread.look()
        except GONE:
            self._forget(key)
            return None
        except OSError:  # no more files can be opened
            return Wait(-1, asleep=False, known=False)

    def _forget(self, key: tuple[int, int]) -> None:
        thread = self._threads.pop(key, None)
        if thread is not None:
            thread.close()
        self._kinds.pop(key, None)
        self._toolkits.pop(key, None)


def _is_kernel(process: int) -> bool:
    return bool(int(_field(process, FLAGS)) & KERNEL)


def _field(process: int, number: int) -> str:
    """A field of proc(5)'s `stat` behind the name; zero for a process that has ended."""
    try:
        return proc.stat(f"{process}")[1][number]
    except GONE:
        return "0"


def _alone() -> bool:
    """This thread is all that runs on the machine, the kernel's workers included (loadavg in proc(5))."""
    return proc.read("loadavg").split()[3].startswith(b"1/")
