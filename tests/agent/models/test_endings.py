"""How a reply ended decides whose it is: whole, the model's own failure, or an endpoint that broke off."""

import json
from typing import Any

import pytest

from deskbench.agent.agents.family import FamilyAgent
from deskbench.agent.base import Goal
from deskbench.agent.models.client import ClientConfig, ModelClient, Spending
from deskbench.agent.models.messages import Message
from deskbench.agent.models.room import room_in
from deskbench.agent.replies.calls import NoAction, Truncated
from deskbench.envs.errors import AgentError, ModelError, ModelFatal, RefusalError

from ..agents.screens import observation
from .endpoint import Endpoint, Say, endpoint
from .speaking import OVERLONG, WIRES, document, events, failed, said, streamed

MISSING = object()
QUICK = {"first_pause": 0.001, "longest_pause": 0.01, "attempts": 3}


def client(server: Endpoint, wire: str, **settings: Any) -> ModelClient:
    return ModelClient(ClientConfig(server.url, "m", wire=wire, **{**QUICK, **settings}))


def ask(server: Endpoint, wire: str, **settings: Any) -> str:
    made = client(server, wire, **settings)
    try:
        return made.complete([Message.of("user", "Step 1")], Spending()).text
    finally:
        made.close()


def ending_with(wire: str, value: Any) -> dict[str, Any]:
    """A reply that looks whole, and says that it ended so."""
    found = document(wire, "fine")
    holder, name = {
        "chat": lambda: (found["choices"][0], "finish_reason"),
        "responses": lambda: (found, "status"),
        "messages": lambda: (found, "stop_reason"),
        "gemini": lambda: (found["candidates"][0], "finishReason"),
        "interactions": lambda: (found, "status"),
    }[wire]()
    if value is MISSING:
        del holder[name]
    else:
        holder[name] = value
    return found


WHOLE = {
    "chat": ["stop", "tool_calls", "function_call"], "responses": ["completed"],
    "messages": ["end_turn", "tool_use", "stop_sequence"], "gemini": ["STOP"],
    "interactions": ["completed", "requires_action"],
}  # fmt: skip
BROKEN_OFF = {
    "chat": ["error", "abort", "cancelled", "", None, MISSING, ["stop"], 0],
    "responses": ["failed", "cancelled", "in_progress", "queued", None, MISSING],
    "messages": ["pause_turn", "error", "", None, MISSING, {"type": "end_turn"}],
    "gemini": ["OTHER", "FINISH_REASON_UNSPECIFIED", "NO_IMAGE", "stop", None, MISSING],
    "interactions": [*"failed cancelled in_progress queued idle budget_exceeded COMPLETED".split(), None, MISSING],
}
PAIRS = [(wire, value) for wire, values in BROKEN_OFF.items() for value in values]


@pytest.mark.parametrize(("wire", "value"), [(wire, value) for wire, values in WHOLE.items() for value in values])
def test_the_documented_endings_are_whole(wire: str, value: str) -> None:
    with endpoint(Say(ending_with(wire, value))) as server:
        assert (ask(server, wire), len(server.asked)) == ("fine", 1)


@pytest.mark.parametrize(("wire", "value"), PAIRS)
def test_every_other_ending_is_asked_again(wire: str, value: Any) -> None:
    with endpoint(Say(ending_with(wire, value)), said(wire, "after it")) as server:
        assert (ask(server, wire), len(server.asked)) == ("after it", 2)


@pytest.mark.parametrize("wire", WIRES)
def test_an_endpoint_that_never_ends_well_is_its_own_fault(wire: str) -> None:
    with endpoint(Say(ending_with(wire, MISSING))) as server, pytest.raises(ModelError, match="incomplete reply"):
        ask(server, wire)


@pytest.mark.parametrize("state", ["incomplete", "in_progress"])
def test_an_item_that_broke_off_makes_a_response_that_did(state: str) -> None:
    found = document("responses", "", calls=[{"name": "click", "arguments": {"x": 1, "y": 2}}])
    found["output"][0]["status"] = state
    with endpoint(Say(found), said("responses", "after it")) as server:
        assert ask(server, "responses") == "after it"


@pytest.mark.parametrize("details", [None, {}, {"reason": "server_error"}, {"reason": None}, {"reason": ["x"]}])
def test_a_response_that_is_incomplete_for_another_reason_is_asked_again(details: Any) -> None:
    found = {**document("responses", "half"), "status": "incomplete", "incomplete_details": details}
    with endpoint(Say(found), said("responses", "after it")) as server:
        assert (ask(server, "responses"), len(server.asked)) == ("after it", 2)


@pytest.mark.parametrize(
    "more",
    [
        {"status": "failed", "errors": [{"code": "internal", "message": "no"}]},
        {"steps": [{"type": "model_output", "error": {"code": 13, "message": "no"}}]},
        {"steps": None},
    ],
)
def test_an_interaction_that_failed_is_asked_again(more: dict[str, Any]) -> None:
    with endpoint(Say({**document("interactions", "half"), **more}), said("interactions", "after it")) as server:
        assert (ask(server, "interactions"), len(server.asked)) == ("after it", 2)


def test_an_interaction_that_was_blocked_is_a_refusal() -> None:
    blocked = {"status": "failed", "steps": [], "errors": [{"code": "content_blocked", "message": "no"}]}
    with endpoint(Say(blocked)) as server, pytest.raises(RefusalError):
        ask(server, "interactions")


def test_an_interactions_stream_becomes_the_same_steps() -> None:
    def deltas(index: int, step: dict[str, Any], *pieces: dict[str, Any]) -> list[dict[str, Any]]:
        start = {"event_type": "step.start", "index": index, "step": step}
        more = [{"event_type": "step.delta", "index": index, "delta": piece} for piece in pieces]
        return [start, *more, {"event_type": "step.stop", "index": index}]

    hm = [{"type": "thought_summary", "content": {"type": "text", "text": text}} for text in ("H", "m")]
    pieces = [{"type": "arguments_delta", "arguments": text} for text in ('{"x": 5', '00, "y": 1}')]
    call = {"type": "function_call", "id": "c", "name": "click", "arguments": {}}
    found = [
        *deltas(0, {"type": "thought"}, *hm, {"type": "thought_signature", "signature": "c2ln"}),
        *deltas(1, call, *pieces),
        *deltas(2, {**call, "id": "d"}, {"type": "arguments_delta", "arguments": '{"x": '}),
        {"event_type": "interaction.completed", "interaction": {"status": "requires_action"}},
        {"done": True},
    ]
    with endpoint(streamed(found)) as server:
        made = client(server, "interactions", stream=True)
        answer = made.complete([Message.of("user", "Step 1")], Spending())
        made.close()
    assert server.asked[0]["stream"] is True and answer.reasoning == "Hm" and answer.native is not None
    assert answer.native.content[:2] == [
        {"type": "thought", "summary": [{"type": "text", "text": "Hm"}], "signature": "c2ln"},
        {**call, "arguments": {"x": 500, "y": 1}},
    ]
    assert [(c.arguments, c.problem is None) for c in answer.calls] == [({"x": 500, "y": 1}, True), ({}, False)]


ERROR = {"code": 502, "message": "provider disconnected"}


@pytest.mark.parametrize("finish", ["error", "stop", None])
def test_an_error_beside_half_a_reply_is_asked_again(finish: str | None) -> None:
    choice = {"message": {"role": "assistant", "content": "half"}, "finish_reason": finish, "error": ERROR}
    with endpoint(Say({"choices": [choice]}), said("chat", "after it")) as server:
        assert ask(server, "chat") == "after it"


def test_an_error_beside_half_a_reply_that_is_for_good_ends_the_run() -> None:
    choice = {"message": {"content": "half"}, "error": {"code": "402", "message": "out of credits"}}
    with endpoint(Say({"choices": [choice]})) as server, pytest.raises(ModelFatal, match="out of credits"):
        ask(server, "chat")


@pytest.mark.parametrize("finish", ["error", "abort", None])
def test_a_stream_that_ends_in_an_error_is_asked_again(finish: str | None) -> None:
    last = {"choices": [{"delta": {}, "finish_reason": finish, "error": ERROR}]}
    broken = streamed([*events("chat", "half")[:2], last, {"done": True}])
    with endpoint(broken, streamed(events("chat", "after it"))) as server:
        assert ask(server, "chat", stream=True) == "after it"


# The model's own failures


REASONED: dict[str, list[dict[str, Any]]] = {
    "chat": [
        {"choices": [{"finish_reason": "stop", "message": {"content": None, "reasoning_content": "hm"}}]},
        {"choices": [{"finish_reason": "stop", "message": {"content": " ", "reasoning": "hm"}}]},
        {"choices": [{"finish_reason": "stop", "message": {"content": ""}}],
         "usage": {"completion_tokens": 90, "completion_tokens_details": {"reasoning_tokens": 90}}},
    ],
    "responses": [{"id": "r", "status": "completed", "output": [{"type": "reasoning", "summary": []}]}],
    "messages": [
        {"stop_reason": "end_turn", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}]},
        {"stop_reason": "end_turn", "content": [{"type": "redacted_thinking", "data": "x"}]},
    ],
    "gemini": [
        {"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "hm", "thought": True}]}}]},
        {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"thoughtsTokenCount": 90}},
    ],
    "interactions": [
        {"status": "completed", "steps": [{"type": "thought", "signature": "c2ln"}]},
        {"status": "completed", "steps": [], "usage": {"total_thought_tokens": 90}},
    ],
}  # fmt: skip


@pytest.mark.parametrize(("wire", "body"), [(wire, body) for wire, bodies in REASONED.items() for body in bodies])
def test_reasoning_alone_is_the_models_failure(wire: str, body: dict[str, Any]) -> None:
    with endpoint(Say(body)) as server:
        with pytest.raises(NoAction):
            ask(server, wire)
        assert len(server.asked) == 1


FAMILIES = {
    "chat": "qwen3-vl", "responses": "openai-computer", "messages": "claude", "gemini": "gemini",
    "interactions": "gemini-interactions",
}  # fmt: skip


def too_much(wire: str, message: str) -> Say:
    return failed(wire, 400, message, "invalid_request_error" if "gemini" not in FAMILIES[wire] else "INVALID_ARGUMENT")


LIMITS = {
    "chat": "'max_tokens' is too large: 40. This model's maximum context length is 128 tokens and your request has "
            "100 input tokens (40 > 128 - 100).",
    "responses": "Invalid 'max_output_tokens': integer above maximum value. Expected a value <= 28, but got 40.",
    "messages": "max_tokens: 40 > 28, which is the maximum allowed number of output tokens for this model",
    "gemini": "The maxOutputTokens value of 40 is not supported: the range is from 1 (inclusive) to 29 (exclusive).",
    "interactions": "The max_output_tokens value of 40 is not supported: it goes from 1 (inclusive) to 29 (exclusive).",
}  # fmt: skip


def settings_of(asked: dict[str, Any]) -> int:
    config = asked.get("generationConfig") or asked.get("generation_config") or asked
    return int(next(config[name] for name in ("max_tokens", "max_output_tokens", "maxOutputTokens") if name in config))


@pytest.mark.parametrize("wire", WIRES)
def test_a_longer_reply_is_as_long_as_the_endpoint_says(wire: str) -> None:
    script = [said(wire, "I th", "cut off"), too_much(wire, LIMITS[wire]), said(wire, "fine")]
    with endpoint(*script) as server:
        assert ask(server, wire, max_tokens=10, longer=4.0) == "fine"
        assert list(map(settings_of, server.asked)) == [10, 40, 28]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("complaint", ["context", "limit", "silent"])
def test_a_longer_reply_that_is_refused_leaves_the_one_that_was_cut_off(complaint: str, wire: str) -> None:
    message = {"context": OVERLONG[wire], "limit": LIMITS[wire].replace("28", "5").replace("29", "6"), "silent": "no"}
    with endpoint(said(wire, "I th", "cut off"), too_much(wire, message[complaint])) as server:
        with pytest.raises(Truncated, match="limit of 10 tokens"):
            ask(server, wire, max_tokens=10)
        assert len(server.asked) == 2


@pytest.mark.parametrize("wire", WIRES)
def test_a_longer_reply_is_asked_for_again_where_the_endpoint_fails(wire: str) -> None:
    with endpoint(said(wire, "I th", "cut off"), failed(wire, 503, "busy"), said(wire, "fine")) as server:
        assert ask(server, wire, max_tokens=10) == "fine"


def test_a_reply_that_filled_the_context_is_the_models() -> None:
    full = {**document("messages", "I th"), "stop_reason": "model_context_window_exceeded"}
    with endpoint(Say(full)) as server, pytest.raises(Truncated):
        ask(server, "messages")


@pytest.mark.parametrize("wire", WIRES)
def test_what_no_longer_fits_for_the_models_own_words_is_the_models(wire: str) -> None:
    script = [said(wire, "x" * 9000, "cut off"), said(wire, "x" * 9000, "cut off"), too_much(wire, OVERLONG[wire])]
    settings = {name: str(value) for name, value in QUICK.items()}
    with endpoint(*script) as server:
        agent = FamilyAgent.from_settings({"profile": FAMILIES[wire], "base_url": server.url, **settings})
        agent.start(Goal("Press Save.", 640, 400))
        with pytest.raises(AgentError) as caught:
            agent.act(observation())
        agent.close()
        assert type(caught.value) is AgentError and "cut off" in str(caught.value)
        assert len(json.dumps(server.asked[2])) < len(json.dumps(server.asked[0])) + 9000


@pytest.mark.parametrize(
    ("message", "asked", "room"),
    [
        ("'max_tokens' or 'max_completion_tokens' is too large: 8192. This model's maximum context length is 8192 "
         "tokens and your request has 1000 input tokens (8192 > 8192 - 1000).", 8192, 7192),
        ("This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (1000 in the "
         "messages, 8000 in the completion). Please reduce the length of the messages or completion.", 8000, 7192),
        ("This model's maximum context length is 8192 tokens. However, you requested 8000 output tokens and your "
         "prompt contains at least 1000 input tokens, for a total of at least 9000 tokens.", 8000, 7192),
        ("Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of "
         "9000 tokens: 1000 tokens from the input messages and 8000 tokens for the completion.", 8000, 7192),
        ("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or "
         "`max_tokens` and try again", 20000, 10000),
        ("max_tokens: 80000 > 64000, which is the maximum allowed number of output tokens for claude-x", 80000, 64000),
        ("max_tokens is too large: 300000. This model supports at most 16384 completion tokens, whereas you provided "
         "300000.", 300000, 16384),
        ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", 16000, 8192),
        ("`max_tokens` must be less than or equal to `8,192`, the maximum value for `max_tokens`", 32000, 8192),
        ("This endpoint's maximum context length is 8192 tokens. However, you requested about 9000 tokens (1000 of "
         "text input, 8000 in the output).", 8000, 7192),
        ("`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 1000 `inputs` tokens and 8000 `max_new_tokens`",
         8000, 3096),
        ("The value of max_tokens should be between 1 and 4096", 8000, 4096),
        ("Your input exceeds the context window of this model.", 9000, None),
        ("context length is 4096 tokens and your request has 5000 input tokens", 9000, None),
        ("", 9000, None),
    ],
)  # fmt: skip
def test_endpoints_say_how_long_a_reply_may_be(message: str, asked: int, room: int | None) -> None:
    assert room_in(message, asked) == room


# For good


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("status", [400, 404, 422, 500])
@pytest.mark.parametrize(
    "message",
    [
        "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
        "This model does not support image input",
        "This endpoint doesn't support images",
        "Image inputs are not currently supported by this model",
        "At most 0 image(s) may be provided in one prompt.",
        "some-model is not a multimodal model",
        "Unsupported content type: 'image_url'",
        "Content type 'image_url' is not supported by this model",
        "Only text input is supported",
        "This model has no vision encoder",
        "The model does not have a vision tower",
        "The 'image' modality is not supported by this model",
    ],
)
def test_a_model_that_takes_no_pictures_ends_the_run(message: str, status: int, wire: str) -> None:
    with endpoint(failed(wire, status, message)) as server:
        with pytest.raises(ModelFatal):
            ask(server, wire)
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    "message",
    ["The model does not support image formats like webp", "image too large", "busy", "Unsupported input image format"],
)
def test_a_picture_that_is_not_taken_is_another_matter(message: str) -> None:
    with endpoint(failed("chat", 500, message), said("chat")) as server:
        assert ask(server, "chat") == "fine"
