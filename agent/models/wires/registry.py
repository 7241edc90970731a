"""The wires by name."""

from __future__ import annotations

from deskbench.agent.models.wires.base import Wire
from deskbench.agent.models.wires.chat import ChatWire
from deskbench.agent.models.wires.gemini import GeminiWire
from deskbench.agent.models.wires.messages import MessagesWire
from deskbench.agent.models.wires.responses import ResponsesWire

WIRES: dict[str, Wire] = {wire.name: wire for wire in (ChatWire(), ResponsesWire(), MessagesWire(), GeminiWire())}
"""Wires have no state, so all clients share them."""
