"""What a thread waits for, and when it will wake by itself: what the kernel tells about its system call.

A program with a window waits for events in `poll` or a call like it, and that call's timeout is the time to the
program's next timer. `/proc/PID/task/TID/syscall` (proc(5)) shows the call and its arguments to whoever may trace the
process: here, a thread of the server with the user's rights. `schedstat` beside it counts how often the thread was put
on a core. Two looks with equal counts and only sleeping threads prove that nothing ran in between.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import struct
import time
from dataclasses import dataclass

from deskbench.envs.server.x11 import proc

FOREVER = math.inf
MILLISECONDS = {"x86_64": {7: 2, 232: 3, 281: 3}, "aarch64": {22: 3}}.get(platform.machine(), {})
"""poll, epoll_wait, epoll_pwait (asm/unistd.h), each with the argument that holds its timeout in milliseconds."""
TIMESPEC = {
    "x86_64": {271: 2, 270: 4, 441: 3, 35: 0, 128: 2}, "aarch64": {73: 2, 72: 4, 441: 3, 101: 0, 137: 2},
}.get(platform.machine(), {})  # fmt: skip
"""ppoll, pselect6, epoll_pwait2, nanosleep, rt_sigtimedwait, each with the argument that points to a timespec."""
TIMEVAL = {"x86_64": {23: 4}}.get(platform.machine(), {})
"""select, whose timeout is in microseconds."""
FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine(), -1)
FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_REALTIME = 0, 9, 256
"""linux/futex.h: the first takes the time to wait, the second the moment to wait for."""
CLOCK_SLEEP = {"x86_64": 230, "aarch64": 115}.get(platform.machine(), -1)
TIMER_ABSTIME = 1
ENDLESS = {
    "x86_64": frozenset((0, 1, 17, 18, 19, 20, 34, 42, 43, 44, 45, 46, 47, 61, 65, 73, 130, 247, 288)),
    "aarch64": frozenset((63, 64, 65, 66, 67, 68, 32, 95, 133, 193, 202, 203, 206, 207, 211, 212, 242, 260)),
}.get(platform.machine(), frozenset())  # fmt: skip
"""Calls that wait for others, or for a disk, and have no timeout: read, write, pread64, pwrite64, readv, writev, pause,
connect, accept, sendto, recvfrom, sendmsg, recvmsg, wait4, semop, flock, rt_sigsuspend, waitid, accept4."""


@dataclass(frozen=True)
class Wait:
    """What one thread did when it was looked at.

    Attributes:
        slices: how often it was put on a core since it began.
        asleep: it neither ran nor waited for a core or a disk.
        wake: monotonic seconds at which it wakes by itself, at the latest; FOREVER if it waits for others only.
        late: seconds by which that may be too late. The call tells how long it lasts, and not when it began: at some
            moment since the look before. Infinite at a first look.
        known: whether `wake` is known. It is not if the call cannot be read, or if we do not know the call.
    """

    slices: int
    asleep: bool
    wake: float = FOREVER
    known: bool = True
    late: float = 0.0

    def goes_on(self, before: Wait) -> bool:
        """Whether the thread sleeps, and has slept since an earlier look. One that was on a core then has run since."""
        return self.asleep and before.asleep and 0 <= self.slices == before.slices


class Thread:
    """The files of one thread, kept open: to read them again costs a tenth of opening them."""

    def __init__(self, process: int, thread: int) -> None:
        self._which = f"{process}/task/{thread}"
        self._memory = f"/proc/{process}/mem"
        self._count = os.open(f"/proc/{self._which}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        self._call: int | None = None
        self._seen = b""
        self._last = Wait(0, asleep=False)
        self._looked = -math.inf

    def close(self) -> None:
        """Give the files back."""
        for file in (self._count, self._call):
            if file is not None:
                os.close(file)
        self._call = None

    def look(self) -> Wait:
        """What it does now.

        Raises:
            OSError: it has ended.
        """
        before, self._looked = self._looked, time.monotonic()
        slices = count(os.pread(self._count, 96, 0))
        if self._call is None:  # not ours to read may mean not yet
            with contextlib.suppress(OSError):
                self._call = os.open(f"/proc/{self._which}/syscall", os.O_RDONLY | os.O_CLOEXEC)
        try:
            call = os.pread(self._call, 256, 0) if self._call is not None else b""
        except PermissionError:  # its owner has changed, or it has made itself unreadable
            call = b""
        if not call:
            return self._unknown(slices)
        seen = b"%d " % slices + call
        if seen != self._seen:
            self._seen, self._last = seen, self._read(slices, call.split(), before)
        return self._last

    def _read(self, slices: int, call: list[bytes], before: float) -> Wait:
        if call[0] == b"running":
            return Wait(slices, asleep=False)
        if len(call) < 7:  # outside a system call: a page is being read, or it has ended
            return self._unknown(slices)
        number, *arguments = (int(part, 0) for part in call)
        if number in ENDLESS:
            return Wait(slices, self._sleeps())
        now = time.monotonic()
        try:
            seconds = self._timeout(number, arguments)
        except (OSError, OverflowError, struct.error):  # not ours to read, no address, or the call has just ended
            seconds = None
        if seconds is None:
            return self._unknown(slices)
        return Wait(slices, asleep=True, wake=now + seconds, late=now - before)

    def _unknown(self, slices: int) -> Wait:
        return Wait(slices, self._sleeps(), known=False)

    def _timeout(self, number: int, arguments: list[int]) -> float | None:
        """Seconds until the call ends by itself; None for a call that we do not know."""
        if number in MILLISECONDS:
            milliseconds = arguments[MILLISECONDS[number]] & 0xFFFFFFFF
            return FOREVER if milliseconds >= 0x80000000 else milliseconds / 1e3
        if number in TIMESPEC:
            return self._pointed(arguments[TIMESPEC[number]], 1e-9)
        if number in TIMEVAL:
            return self._pointed(arguments[TIMEVAL[number]], 1e-6)
        if number == CLOCK_SLEEP:
            seconds = self._pointed(arguments[2], 1e-9)
            return seconds - time.monotonic() if arguments[1] & TIMER_ABSTIME else seconds
        return self._futex(arguments) if number == FUTEX else None

    def _futex(self, arguments: list[int]) -> float:
        operation = arguments[1] & 0x7F
        if operation not in (FUTEX_WAIT, FUTEX_WAIT_BITSET):
            return FOREVER
        seconds = self._pointed(arguments[3], 1e-9)
        if operation == FUTEX_WAIT or seconds == FOREVER:
            return seconds
        return seconds - (time.time() if arguments[1] & FUTEX_REALTIME else time.monotonic())

    def _pointed(self, address: int, unit: float) -> float:
        """The time in the program's memory at an address: seconds, and a fraction in units."""
        if not address:
            return FOREVER
        memory = os.open(self._memory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            whole, fraction = struct.unpack("qq", os.pread(memory, 16, address))
        finally:
            os.close(memory)
        return float(whole + fraction * unit)

    def _sleeps(self) -> bool:
        return proc.state(self._which) not in "RD"


def count(schedstat: bytes) -> int:
    """How often a thread was put on a core, from its `schedstat` (the third number); zero if nobody counts."""
    return int(schedstat.split()[2])
