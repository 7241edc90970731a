"""An endpoint that serves one task badly and the others well, on each wire."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.agent.models.endpoint import Endpoint, Say
from tests.agent.models.speaking import said
from tests.faults.base import MARK, Reply

AGENTS = {
    "chat": "vlm", "responses": "openai-computer", "messages": "claude", "gemini": "gemini",
    "interactions": "gemini-interactions",
}  # fmt: skip
"""The agent for each wire."""
QUICK = {"model": "m", "first_pause": "0.001", "longest_pause": "0.01", "attempts": "3", "retries": "1",
         "connect_timeout": "10"}  # fmt: skip
SAVE: dict[str, dict[str, Any]] = {
    "responses": {"name": "keypress", "arguments": {"keys": ["CTRL", "S"]}},
    "messages": {"name": "key", "arguments": {"text": "ctrl+s"}},
    "gemini": {"name": "hotkey", "arguments": {"keys": ["ctrl", "s"]}},
    "interactions": {"name": "hotkey", "arguments": {"keys": ["ctrl", "s"]}},
}
STEPS = 3
"""The number of replies that solve the task, on any wire."""


def good(wire: str, number: int, text: str = "hello") -> Say:
    """The n-th reply of a model that writes a text, saves it and says done."""
    if number >= STEPS - 1:
        return said(wire, "```DONE```" if wire == "chat" else "It is saved.")
    if wire == "chat":
        code = (f"pyautogui.write('{text}')", "pyautogui.hotkey('ctrl', 's')")[number]
        return said(wire, f"```python\n{code}\n```")
    return said(wire, "", calls=[({"name": "type", "arguments": {"text": text}}, SAVE[wire])[number]])


@dataclass
class Biased(Endpoint):
    """Serves a good model's replies; `reply` gives those for the task that must go wrong."""

    wire: str = "chat"
    reply: Reply = lambda number: None
    marked: bool = False
    """Whether the request belongs to that task."""
    bad: int = 0
    """Requests of that task so far."""
    told: int = 0
    """Good replies to it so far."""
    well: int = 0
    """Good replies to the others so far."""

    def answer(self, asked: dict[str, Any] | None) -> Say:
        """Reply according to the instruction in the request."""
        if asked is None:
            return Say({"data": []})
        if "previous_response_id" not in asked:  # otherwise the endpoint itself stores the instruction
            self.marked = MARK in json.dumps(asked)
        if not self.marked:
            self.well += 1
            return good(self.wire, self.well - 1)
        self.bad += 1
        found = self.reply(self.bad - 1)
        if found is None:
            self.told += 1
            found = good(self.wire, self.told - 1)
        return found
