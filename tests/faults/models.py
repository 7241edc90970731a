"""Faults of models and of their servers, on every wire."""

from __future__ import annotations

from typing import Any

from tests.agent.models.endpoint import Say
from tests.agent.models.speaking import OVERLONG, WIRES, document, failed, said
from tests.faults.base import Becomes, Reply, Scene, Whose, fault
from tests.faults.serving import good

FINE = Becomes("done", 1.0)
UNSCORED = Becomes("agent_error", said="the model's endpoint failed")
ENDS = Becomes("agent_error", goes_on=False, said="ModelFatal", told="error: .*HTTP")
"""No other episode of this run could succeed."""
COUNTS = Becomes("agent_error", 0.0, said="none of 2 replies was an action")
"""The model itself failed to act."""


def always(say: Say) -> Reply:
    """Reply to every request."""
    return lambda number: say


def once(say: Say) -> Reply:
    """Reply to the first request only."""
    return lambda number: say if number == 0 else None


def first(wire: str, say: Say) -> Reply:
    """Reply instead of a good model's first reply."""
    return lambda number: say if number == 0 else good(wire, number)


def broken_off(wire: str, how: str) -> Say:
    """A reply that contains an action, and says that it is incomplete."""
    found = document(wire, "```python\npyautogui.write('wrong')\n```")
    if how == "choices[0].error":
        found["choices"][0] |= {"error": {"code": 502, "message": "provider disconnected"}, "finish_reason": "error"}
        return Say(found)
    holder = found[HOLDERS[wire]][0] if wire in HOLDERS else found
    holder[NAMED[wire]] = how
    return Say(found)


BROKEN_OFF = {
    "chat": ("error", "abort", "choices[0].error"), "responses": ("failed",), "messages": ("pause_turn",),
    "gemini": ("OTHER",), "interactions": ("failed",),
}  # fmt: skip
"""How each wire says that a reply is incomplete."""
NAMED = {
    "chat": "finish_reason", "responses": "status", "messages": "stop_reason", "gemini": "finishReason",
    "interactions": "status",
}  # fmt: skip
HOLDERS = {"chat": "choices", "gemini": "candidates"}

REASONED: dict[str, dict[str, Any]] = {
    "chat": {"choices": [{"finish_reason": "stop", "message": {"content": None, "reasoning_content": "Hm."}}]},
    "responses": {"id": "r", "status": "completed", "output": [{"type": "reasoning", "summary": []}]},
    "messages": {"stop_reason": "end_turn", "content": [{"type": "thinking", "thinking": "Hm", "signature": "s"}]},
    "gemini": {"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "Hm", "thought": True}]}}]},
    "interactions": {"status": "completed", "steps": [{"type": "thought", "signature": "c2ln"}]},
}
NO_ACTION = {
    "chat": said("chat", "I shall write it now."),
    **{wire: said(wire, "", calls=[{"name": "quadruple_click", "arguments": {}}]) for wire in WIRES[1:]},
}
"""Replies without an action. On the other wires a plain text is an answer, as their vendors define it."""
BLIND = "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"


def too_long(wire: str) -> Say:
    """The request is longer than the model's context."""
    kind = "INVALID_ARGUMENT" if wire in ("gemini", "interactions") else "invalid_request_error"
    return failed(wire, 400, OVERLONG[wire], kind)


def over_each_wire(wire: str) -> None:
    """Register the faults that can happen on any wire."""
    for how in BROKEN_OFF[wire]:
        name = f"{wire}-{how.lower().replace('[0].', '-')}"
        what = f"a reply that breaks off ({wire}: {how if '[' in how else f'{NAMED[wire]} {how}'})"
        fault(
            f"{name}-once", f"{what}, once", Whose.ENDPOINT, FINE, Scene(wire=wire, reply=once(broken_off(wire, how)))
        )
        fault(name, f"{what}, always", Whose.ENDPOINT, UNSCORED, Scene(wire=wire, reply=always(broken_off(wire, how))))
    cut = said(wire, "I th", "cut off")
    fault(f"{wire}-cut-off", f"a reply that stays cut off ({wire})", Whose.MODEL, COUNTS,
          Scene(wire=wire, reply=always(cut)))  # fmt: skip
    fault(f"{wire}-cut-off-too-long", f"a cut-off reply whose longer request is 'too long' ({wire})", Whose.MODEL, COUNTS,
          Scene(wire=wire, reply=lambda number: (cut, too_long(wire))[number % 2]))  # fmt: skip
    fault(f"{wire}-reasoning", f"a reply of reasoning alone ({wire})", Whose.MODEL, COUNTS,
          Scene(wire=wire, reply=always(Say(REASONED[wire]))))  # fmt: skip
    fault(f"{wire}-no-action", f"replies that are never an action ({wire})", Whose.MODEL, COUNTS,
          Scene(wire=wire, reply=always(NO_ACTION[wire])))  # fmt: skip
    fault(f"{wire}-refusal", f"a refusal ({wire})", Whose.MODEL, Becomes("refused", 0.0, said="RefusalError"),
          Scene(wire=wire, reply=always(said(wire, "I will not.", "refused"))))  # fmt: skip


for _wire in WIRES:
    over_each_wire(_wire)

fault("cut-off-once", "a reply that is cut off once", Whose.MODEL, FINE,
      Scene(wire="chat", reply=once(said("chat", "I th", "cut off"))))  # fmt: skip
fault("half-a-pair-reply", "half of a surrogate pair in a reply", Whose.MODEL, FINE,
      Scene(wire="chat", reply=first("chat", said("chat", "I write \ud83d.\n```python\npyautogui.write('hello')\n```"))))  # fmt: skip
_EXPECTS = {"func": "exact_match", "result": {"type": "vm_command_line", "command": ["cat", "/home/user/note.txt"]},
            "expected": {"type": "rule", "rules": {"expected": "hello\ufffd"}}}  # fmt: skip
for _wire in WIRES:
    fault(f"half-a-pair-argument-{_wire}", f"half of a surrogate pair in typed text ({_wire})", Whose.MODEL, FINE,
          Scene(wire=_wire, reply=first(_wire, good(_wire, 0, "hello\ud83d")), task={"evaluator": _EXPECTS}))  # fmt: skip
fault("too-long", "a request that is too long even without the older pictures", Whose.ENDPOINT, UNSCORED,
      Scene(wire="chat", reply=always(too_long("chat"))))  # fmt: skip

for _status in (401, 402, 403, 404):
    fault(f"status-{_status}", f"HTTP {_status}", Whose.ENDPOINT, ENDS,
          Scene(wire="chat", reply=always(failed("chat", _status, "no")), command=True))  # fmt: skip
fault("status-402-messages", "HTTP 402 (messages)", Whose.ENDPOINT, ENDS,
      Scene(wire="messages", reply=always(failed("messages", 402, "no", "billing_error")), command=True))  # fmt: skip
fault("blind", "'image input is not supported' (HTTP 500)", Whose.ENDPOINT, ENDS,
      Scene(wire="chat", reply=always(failed("chat", 500, BLIND)), command=True))  # fmt: skip
for _status in (429, 500):
    fault(f"status-{_status}-once", f"HTTP {_status}, once", Whose.ENDPOINT, FINE,
          Scene(wire="chat", reply=once(failed("chat", _status, "busy"))))  # fmt: skip
    fault(f"status-{_status}", f"HTTP {_status}, always", Whose.ENDPOINT, UNSCORED,
          Scene(wire="chat", reply=always(failed("chat", _status, "busy"))))  # fmt: skip
fault("status-400", "HTTP 400, always", Whose.ENDPOINT, UNSCORED,
      Scene(wire="chat", reply=always(failed("chat", 400, "no such field"))))  # fmt: skip
fault("drip", "one byte a second, forever", Whose.ENDPOINT, UNSCORED,
      Scene(wire="chat", settings={"total_timeout": "4"}, reply=always(Say(fault="drip", pace=1.0))))  # fmt: skip
fault("closed", "a connection that is closed half-way through a reply, once", Whose.ENDPOINT, FINE,
      Scene(wire="chat", reply=once(Say(document("chat", "x" * 999), fault="cut"))))  # fmt: skip
fault("silent", "no answer, forever", Whose.ENDPOINT, UNSCORED,
      Scene(wire="chat", settings={"read_timeout": "0.5", "attempts": "2"}, reply=always(Say(fault="hang"))))  # fmt: skip
fault("no-json", "a page of HTML under HTTP 200, always", Whose.ENDPOINT, UNSCORED,
      Scene(wire="chat", reply=always(Say("<!doctype html><title>Sign in</title>"))))  # fmt: skip
