"""What connections share: a number of slots and a number of bytes. Safe to use from several threads."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator, Mapping

from deskbench.envs.server.http.exchange import HttpError


class Slots:
    """A limited number of slots of each kind. Safe to use from several threads."""

    def __init__(self, most: Mapping[str, int]) -> None:
        self._most, self._taken, self._changed = most, Counter[str](), threading.Condition()

    def take(self, kind: str, patience: float = 0.0) -> bool:
        """Take a slot, if one is free within `patience` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._taken[kind] < self._most[kind], patience):
                return False
            self._taken[kind] += 1
            return True

    def give(self, kind: str) -> None:
        """Give a slot back."""
        with self._changed:
            self._taken[kind] -= 1
            self._changed.notify()


class Room:
    """A number of bytes that several threads share."""

    def __init__(self, most: int) -> None:
        self._left, self._lock = most, threading.Lock()

    @contextlib.contextmanager
    def part(self) -> Iterator[Part]:
        """A share, given back at the end of the block."""
        part = Part(self)
        try:
            yield part
        finally:
            self.take(-part.size)

    def take(self, size: int) -> None:
        """Take this many bytes; a negative number gives bytes back.

        Raises:
            HttpError: 503, there are not enough left.
        """
        with self._lock:
            if size > self._left:
                raise HttpError(503, "others are sending too much")
            self._left -= size


class Part:
    """A share of a Room; `size` is in bytes."""

    def __init__(self, room: Room) -> None:
        self._room, self.size = room, 0

    def grow(self, size: int) -> None:
        """Change the size.

        Raises:
            HttpError: 503, there is no room for it.
        """
        self._room.take(size - self.size)
        self.size = size
