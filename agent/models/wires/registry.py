"""The wires by name."""

from __future__ import annotations

from deskbench.agent.models.wires.base import Wire
from deskbench.agent.models.wires.chat import ChatWire
from deskbench.agent.models.wires.gemini import GeminiWire
from deskbench.agent.models.wires.interactions import InteractionsWire
from deskbench.agent.models.wires.messages import MessagesWire
from deskbench.agent.models.wires.responses import ResponsesWire

_ALL: tuple[Wire, ...] = (ChatWire(), ResponsesWire(), MessagesWire(), GeminiWire(), InteractionsWire())
WIRES: dict[str, Wire] = {wire.name: wire for wire in _ALL}
"""Wires have no state, so all clients share them."""
