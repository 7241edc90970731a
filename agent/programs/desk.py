"""Where a program's calls meet the episode's loop: calls come from the server's threads, answers from the loop.

The loop takes one call at a time. A call is carried out only if somebody still waits for its answer when it is taken.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

MOST_WAITING = 16
"""Calls that may wait at once; more are refused."""
NOT_YET = "The episode has not begun, or it has ended; nothing was done."


@dataclass(frozen=True)
class Answer:
    """The answer to a call.

    Attributes:
        text: for the model.
        pictures: PNG files.
        error: the call was refused, or its action failed.
        ended: the episode has ended, so no further call is carried out.
    """

    text: str
    pictures: tuple[bytes, ...] = ()
    error: bool = False
    ended: bool = False


@dataclass(frozen=True)
class ToolCall:
    """A call that waits for its answer: the tool's name, and its arguments as the program gave them."""

    name: str
    arguments: Mapping[str, Any]
    answer: Future[Answer] = field(default_factory=Future)


class Desk:
    """Hands calls over to the loop, in the order in which they came. Closed at first."""

    def __init__(self) -> None:
        self._calls: queue.Queue[ToolCall] = queue.Queue(MOST_WAITING)
        self._lock = threading.Lock()
        self._closed: str | None = NOT_YET

    def submit(self, name: str, arguments: Mapping[str, Any]) -> Future[Answer]:
        """Hand in a call; it is refused at once if the episode has ended, or if there are too many. Any thread."""
        call = ToolCall(name, arguments)
        with self._lock:
            if self._closed is not None:
                call.answer.set_result(Answer(self._closed, error=True, ended=True))
                return call.answer
            try:
                self._calls.put_nowait(call)
            except queue.Full:
                refused = f"Nothing was done: {MOST_WAITING} calls wait already. Make one call at a time."
                call.answer.set_result(Answer(refused, error=True))
        return call.answer

    def take(self, timeout: float) -> ToolCall | None:
        """The next call for whose answer somebody waits, or None after `timeout` seconds without one."""
        try:
            call = self._calls.get(timeout=max(timeout, 0.001))
        except queue.Empty:
            return None
        return call if call.answer.set_running_or_notify_cancel() else None

    def open(self) -> None:
        """Accept calls from now on."""
        with self._lock:
            self._closed = None

    def close(self, text: str) -> None:
        """Refuse all calls from now on, and those that wait, with this text."""
        with self._lock:
            self._closed = text
            while not self._calls.empty():
                call = self._calls.get_nowait()
                if call.answer.set_running_or_notify_cancel():
                    call.answer.set_result(Answer(text, error=True, ended=True))
