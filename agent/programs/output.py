"""A program's output: kept in a bounded file without secrets, and read for what the program cost."""

from __future__ import annotations

import contextlib
import io
import json
import math
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from deskbench.agent.base import Usage
from deskbench.envs.redact import KNOWN

HEAD, TAIL = 2 << 20, 64 << 10
"""Characters of the beginning and of the end of a stream that are kept."""
LONGEST_LINE = 1 << 20
"""Characters; a longer line is kept in pieces, and is not read for costs."""
OVERLAP = 1024
"""Characters of a piece that wait for the next one, so that no secret is cut in two."""
CHUNK = 1 << 16
_TELLING = ("total_cost_usd", "turn.completed", "step_finish")
"""What a line that tells a cost contains."""
TOLD = 500
"""Characters of the end of the output that a message tells."""


class Kept:
    """Reads one stream of a program to its end in a thread, so that the program never has to wait.

    Args:
        stream: the read end of the pipe.
        path: the file that gets the text, or None.
        on_line: called with every line.
    """

    def __init__(
        self, stream: io.BufferedReader, path: Path | None, on_line: Callable[[str], None] = lambda line: None
    ) -> None:
        self._stream, self._path, self._on_line = stream, path, on_line
        self._room, self._beyond, self._end = HEAD, 0, ""
        self._thread = threading.Thread(target=self._read, name="program-output", daemon=True)
        self._thread.start()

    def close(self, timeout: float) -> None:
        """Wait for the end of the stream, at most `timeout` seconds."""
        self._thread.join(timeout)

    @property
    def end(self) -> str:
        """The end of what was written so far, for messages."""
        return KNOWN.text(self._end)[-TOLD:].strip()

    def _read(self) -> None:
        left = ""
        with self._stream, contextlib.ExitStack() as stack:
            file = None if self._path is None else stack.enter_context(self._path.open("a", encoding="utf-8"))
            while chunk := self._stream.read1(CHUNK):
                left = self._lines(left + chunk.decode("utf-8", "replace"), file)
            self._lines(left + "\n" if left else "", file)
            self._finish(file)

    def _lines(self, text: str, file: TextIO | None) -> str:
        """Handle whole lines; returns the rest, which waits for more."""
        whole, newline, left = text.rpartition("\n")
        if newline:
            self._keep(whole + newline, file)
            for line in whole.split("\n"):
                self._on_line(line)
        if len(left) > LONGEST_LINE:
            self._keep(left[:-OVERLAP], file)
            left = left[-OVERLAP:]
        return left

    def _keep(self, text: str, file: TextIO | None) -> None:
        if self._room:  # what is beyond is redacted at the end, if it is still kept then
            text = KNOWN.text(text)
            if file is not None:
                file.write(text[: self._room])
                file.flush()
        self._end = (self._end + text)[-TAIL:]
        self._beyond += max(0, len(text) - self._room)
        self._room = max(0, self._room - len(text))

    def _finish(self, file: TextIO | None) -> None:
        """Write the end of what was beyond the room; where it begins, a secret may have been cut in two."""
        if file is None or not self._beyond:
            return
        end = KNOWN.text(self._end[-self._beyond :])
        if self._beyond > len(self._end):
            end = end[OVERLAP:]
            file.write(f"\n[about {self._beyond - len(end)} characters are left out]\n")
        file.write(end)


class Bill:
    """What a program says that it has cost so far. Any thread may read it.

    It reads lines of JSON on standard output: `{"total_cost_usd": …, "usage": {"input_tokens", "output_tokens"}}` is
    the total so far (the last line of Claude Code's `--output-format json` and `stream-json`); `turn.completed` with
    `usage` adds a turn (Codex's `exec --json`); `step_finish` with `tokens` and `cost` adds a step (opencode's
    `run --format json`, whose cost is 0 if it knows no price).
    """

    def __init__(self) -> None:
        self._total = Usage()
        self._paid = Usage()

    def read(self, line: str) -> None:
        """Read a line of output; a line that says nothing of costs is ignored."""
        if not line.startswith("{") or not any(word in line for word in _TELLING):
            return
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return
        kind, part = value.get("type"), _mapping(value.get("part"))
        if kind == "turn.completed":
            self._total = self._total + Usage(*_tokens(_mapping(value.get("usage"))))
        elif kind == "step_finish":
            tokens = _mapping(part.get("tokens"))
            given, made = (int(_amount(tokens.get(name)) or 0) for name in ("input", "output"))
            self._total = self._total + Usage(given, made, _amount(part.get("cost")) or None)
        elif (cost := _amount(value.get("total_cost_usd"))) is not None:
            self._total = Usage(*_tokens(_mapping(value.get("usage"))), cost)

    def due(self) -> Usage:
        """What was added since the last call."""
        total, paid = self._total, self._paid
        self._paid = total
        cost = None if total.cost_usd is None else max(0.0, total.cost_usd - (paid.cost_usd or 0.0))
        return Usage(
            max(0, total.input_tokens - paid.input_tokens), max(0, total.output_tokens - paid.output_tokens), cost
        )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _tokens(usage: Mapping[str, Any]) -> tuple[int, int]:
    """Input and output tokens. Anthropic counts what came from or went to the cache apart; OpenAI does not."""
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return sum(int(_amount(usage.get(name)) or 0) for name in names), int(_amount(usage.get("output_tokens")) or 0)


def _amount(value: Any) -> float | None:
    """A number that can be an amount, or None."""
    good = (
        isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and 0 <= value < 1e12
    )
    return float(value) if good else None
