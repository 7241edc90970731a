"""What endpoints do, on every wire, and what becomes of it: no fault is ever an action, Done, Fail or a score."""

import email.utils
import hashlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from deskbench.agent.agents.family import FamilyAgent
from deskbench.agent.base import Goal
from deskbench.agent.models.client import ClientConfig, ModelClient, Spending
from deskbench.agent.models.messages import LEFT_OUT, Message, Picture
from deskbench.envs.errors import AgentError
from deskbench.envs.types import Click

from ..agents.screens import observation
from .endpoint import Endpoint, Say, endpoint
from .speaking import OVERLONG, WIRES, document, events, failed, said, stream_error, streamed

PNG = b"\x89PNG\r\n\x1a\nnot really a picture"
PICTURE = Picture(PNG, hashlib.sha256(PNG).hexdigest(), 1280, 800)
TURNS = [
    Message.of("system", "s"),
    Message.of("user", "Step 1", PICTURE),
    Message.of("assistant", "a"),
    Message.of("user", "Step 2", PICTURE),
]
SHORT = 0.6
"""Seconds that a reply may take, where an endpoint is slow."""


def ask(server: Endpoint, wire: str, **settings: Any) -> str:
    quick = {"first_pause": 0.001, "longest_pause": 0.01, "attempts": 3, "connect_timeout": 5.0, "read_timeout": 5.0}
    client = ModelClient(ClientConfig(server.url, "m", wire=wire, **{**quick, **settings}))
    spending = Spending()
    try:
        text = client.complete(TURNS, spending).text
        return "the reply" if text == "fine" else repr(text)
    except AgentError as error:
        assert spending.exchanges[-1].error
        return type(error).__name__
    finally:
        client.close()


def after(script: Callable[[str], list[Say]], **settings: Any) -> Callable[[str], str]:
    """Serve a script; the outcome is what came, and after how many requests."""

    def run(wire: str) -> str:
        with endpoint(*script(wire)) as server:
            began = time.monotonic()
            got = ask(server, wire, **settings)
            assert time.monotonic() - began < 20
            return f"{got}, {len(server.asked)} request{'s' if len(server.asked) != 1 else ''}"

    return run


def then_fine(fault: Callable[[str], Say], **settings: Any) -> Callable[[str], str]:
    return after(lambda wire: [fault(wire), said(wire)], **settings)


def always(fault: Callable[[str], Say], **settings: Any) -> Callable[[str], str]:
    return after(lambda wire: [fault(wire)], **settings)


def status(code: int, kind: str = "", **headers: str) -> Callable[[str], Say]:
    return lambda wire: failed(wire, code, "no", kind, {k.replace("_", "-"): v for k, v in headers.items()})


def overlong(wire: str) -> Say:
    kind = "INVALID_ARGUMENT" if wire in ("gemini", "interactions") else "invalid_request_error"
    return failed(wire, 400, OVERLONG[wire], kind)


def fewer_pictures(wire: str) -> str:
    with endpoint(overlong(wire), said(wire)) as server:
        got = ask(server, wire)
        first, second = (str(asked) for asked in server.asked)
        assert first.count(PICTURE.base64) == 2 and second.count(PICTURE.base64) == 1
        assert LEFT_OUT in second
        return f"{got}, {len(server.asked)} requests"


def more_tokens(wire: str) -> str:
    with endpoint(said(wire, "I th", "cut off"), said(wire)) as server:
        got = ask(server, wire, max_tokens=10, longer=4.0)
        assert "40" in str(server.asked[1]) and "'I th'" not in got
        return f"{got}, {len(server.asked)} requests"


def waited(headers: dict[str, str], least: float) -> Callable[[str], str]:
    def run(wire: str) -> str:
        began = time.monotonic()
        got = then_fine(lambda wire: failed(wire, 429, "slow down", headers=headers))(wire)
        assert time.monotonic() - began >= least
        return got

    return run


BROKEN = {
    "chat": ("qwen3-vl", {"name": "computer_use", "arguments": {"action": "left_click", "coordinate": [1]}}),
    "responses": ("openai-computer", {"name": "click", "arguments": {"x": 10}}),
    "messages": ("claude", {"name": "left_click", "arguments": {"coordinate": "[140, 65]"}}),
    "gemini": ("gemini", {"name": "click", "arguments": {"x": 500}}),
    "interactions": ("gemini-interactions", {"name": "click", "arguments": {"x": 500}}),
}
RIGHT = {
    "chat": {"name": "computer_use", "arguments": {"action": "left_click", "coordinate": [500, 500]}},
    "responses": {"name": "click", "arguments": {"x": 320, "y": 200}},
    "messages": {"name": "left_click", "arguments": {"coordinate": [320, 200]}},
    "gemini": {"name": "click", "arguments": {"x": 500, "y": 500}},
    "interactions": {"name": "click", "arguments": {"x": 500, "y": 500}},
}


def fed_back(wire: str) -> str:
    """A malformed call goes back to the model in the wire's own way; then it says it right."""
    family, broken = BROKEN[wire]
    with endpoint(said(wire, "", calls=[broken]), said(wire, "", calls=[RIGHT[wire]])) as server:
        agent = FamilyAgent.from_settings({"profile": family, "base_url": server.url})
        agent.start(Goal("Press Save.", 640, 400))
        (action,) = agent.act(observation()).actions
        agent.close()
        assert isinstance(action, Click) and abs((action.x or 0) - 320) <= 1 and abs((action.y or 0) - 200) <= 1
        told = {"messages": "'is_error': True", "gemini": "'error':", "responses": "computer_call_output",
                "interactions": "'is_error': True"}  # fmt: skip
        assert told.get(wire, "That cannot be carried out") in str(server.asked[1])
        assert "That cannot be carried out" in str(server.asked[1])
        return f"the reply, {len(server.asked)} requests"


def refused_connection(wire: str) -> str:
    with endpoint(said(wire)) as server:
        url = server.url
    return f"{ask(Endpoint(url, []), wire)}, 0 requests"


def cut_stream(wire: str) -> Say:
    found = events(wire, "fine")
    return streamed(found[: -2 if wire in ("chat", "messages", "interactions") else -1])


TWICE = "the reply, 2 requests"
CONDITIONS: dict[str, tuple[Callable[[str], str], str]] = {
    "429, Retry-After in seconds": (waited({"Retry-After": "0.2"}, 0.2), TWICE),
    "429, Retry-After as a date": (waited({"Retry-After": email.utils.formatdate(0, usegmt=True)}, 0), TWICE),
    "429, retry-after-ms": (waited({"retry-after-ms": "150"}, 0.15), TWICE),
    "429 for longer than the task has": (
        always(status(429, Retry_After="3600"), total_timeout=5.0, longest_retry_after=9e9), "ModelError, 1 request"),
    "429, always": (always(status(429)), "ModelError, 3 requests"),
    **{f"{code}, then a reply": (then_fine(status(code)), TWICE) for code in (408, 409, 500, 502, 503, 529)},
    "500, always": (always(status(500)), "ModelError, 3 requests"),
    "connection refused": (refused_connection, "ModelError, 0 requests"),
    "connection closed": (then_fine(lambda wire: Say(fault="close")), TWICE),
    "no answer": (
        always(lambda wire: Say(fault="hang"), read_timeout=0.1, total_timeout=SHORT, attempts=2),
        "ModelError, 2 requests"),
    "a byte now and then, for ever": (
        always(lambda wire: Say(fault="drip"), total_timeout=SHORT, attempts=2), "ModelError, 1 request"),
    "context too long, then a reply": (fewer_pictures, TWICE),
    "413, then a reply": (then_fine(lambda wire: Say("Payload Too Large", 413)), TWICE),
    "context too long, always": (always(overlong), "ModelError, 2 requests"),
    "400": (always(status(400)), "ModelError, 1 request"),
    **{f"{code}": (always(status(code)), "ModelFatal, 1 request") for code in (401, 402, 403, 404)},
    "301": (always(lambda wire: Say("", 301, {"Location": "https://x.example"})), "ModelFatal, 1 request"),
    "cut off by the token limit": (more_tokens, TWICE),
    "cut off again": (always(lambda wire: said(wire, "I th", "cut off"), max_tokens=10), "Truncated, 2 requests"),
    "refusal": (always(lambda wire: said(wire, "I will not.", "refused")), "RefusalError, 1 request"),
    "malformed native call": (fed_back, TWICE),
    "empty 200": (then_fine(lambda wire: Say("")), TWICE),
    "HTML 200": (then_fine(lambda wire: Say("<!doctype html><title>Sign in</title>")), TWICE),
    "200 that is not JSON": (then_fine(lambda wire: Say("{not json")), TWICE),
    "200 of another shape": (then_fine(lambda wire: Say({"hello": [1]})), TWICE),
    "200 with an empty reply": (then_fine(lambda wire: said(wire, "")), TWICE),
    "200 with an error in it": (then_fine(lambda wire: Say({"error": {"message": "upstream"}})), TWICE),
    "body cut off": (then_fine(lambda wire: Say(document(wire, "x" * 9999), fault="cut")), TWICE),
    "stream": (after(lambda wire: [streamed(events(wire, "fine"))], stream=True), "the reply, 1 request"),
    "stream that nobody asked for": (after(lambda wire: [streamed(events(wire, "fine"))]), "the reply, 1 request"),
    "stream without its end": (then_fine(cut_stream, stream=True), TWICE),
    "stream cut off": (
        then_fine(lambda wire: Say(streamed(events(wire, "fine" * 99)).body, headers={
            "Content-Type": "text/event-stream"}, fault="cut"), stream=True), TWICE),
    "stream with an error: overloaded": (
        then_fine(lambda wire: streamed([*events(wire, "fi")[:1], stream_error(wire, "overloaded_error", 529)]),
                  stream=True), TWICE),
    "stream with an error: key": (
        always(lambda wire: streamed([stream_error(wire, "authentication_error", 401)]), stream=True),
        "ModelFatal, 1 request"),
}  # fmt: skip


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_fault_is_survived_or_is_the_endpoints(condition: str, wire: str) -> None:
    happens, becomes = CONDITIONS[condition]
    assert happens(wire) == becomes
