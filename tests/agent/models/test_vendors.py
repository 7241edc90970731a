"""Request bodies against the vendors' own types: what goes out is what their SDKs would send, key for key."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import TypeAdapter

from deskbench.agent.agents.profile import load_profile, profile_names
from deskbench.agent.models.wires.registry import WIRES

from ..agents.test_family import enter_in, play
from .endpoint import endpoint

CHAT_EXTRAS = {
    "thinking", "chat_template_kwargs", "reasoning_effort", "response_format", "frequency_penalty", "stop_sequences",
    "skip_special_tokens", "include_stop_str_in_output", "tool_set", "disable_tools",
}  # fmt: skip
"""Fields of other makers, or of OpenAI's with values that are the makers' own."""


def bodies(family: str) -> list[dict[str, Any]]:
    settings = {} if load_profile(family).endpoint != "responses" else {"extra": '{"store": false}'}
    _, server = play(family, [enter_in(family)], steps=3, **settings)
    return [{k: v for k, v in asked.items() if k != "path"} for asked in server.asked]


def forced(value: Any) -> Any:
    """Pydantic reads iterables lazily: read them."""
    if isinstance(value, Mapping):
        return {key: forced(inner) for key, inner in value.items()}
    if value is None or isinstance(value, (str, int, float)):
        return value
    return [forced(inner) for inner in value]


def families(endpoint: str) -> list[str]:
    return [name for name in profile_names() if load_profile(name).endpoint == endpoint]


@pytest.mark.parametrize("family", families("chat"))
def test_chat_completions(family: str) -> None:
    from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming

    adapter = TypeAdapter(CompletionCreateParamsNonStreaming)
    for body in bodies(family):
        sent = {key: value for key, value in body.items() if key not in CHAT_EXTRAS}
        profile = load_profile(family)
        if profile.templates.role == "tool" or profile.history.results == "inside":
            continue  # pictures in tool turns are Seed's and Yutori's own
        assert forced(adapter.validate_python(sent)) == sent


@pytest.mark.parametrize("family", families("responses"))
def test_responses(family: str) -> None:
    from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming

    adapter = TypeAdapter(ResponseCreateParamsNonStreaming)
    _, server = play(family, [enter_in(family)], steps=2)
    for body in [*bodies(family), {k: v for k, v in server.asked[1].items() if k != "path"}]:
        for tool in body["tools"]:  # Meta's guide leaves out `strict`, which the SDK's types require
            if tool["type"] == "function":
                tool.setdefault("strict", None)
        for item in body["input"]:  # OpenAI's guide has a detail here, the SDK's types (3.57) do not
            if isinstance(item.get("output"), dict):
                item["output"].pop("detail", None)
        assert forced(adapter.validate_python(body)) == body


@pytest.mark.parametrize("family", families("messages"))
def test_messages(family: str) -> None:
    from anthropic.types.beta.message_create_params import MessageCreateParamsNonStreaming

    adapter = TypeAdapter(MessageCreateParamsNonStreaming)
    for body in bodies(family):
        sent = {key: value for key, value in body.items() if key != "temperature"}  # MiniMax's; Anthropic's has none
        assert forced(adapter.validate_python(sent)) == sent


def test_the_toolsets_inputs_are_read_as_its_own_parser_reads_them() -> None:
    """What the SDK's driver refuses, our strict vocabulary refuses as well, and nothing else."""
    from anthropic.types.beta import BetaComputerLeftClickInput, BetaComputerScrollInput, BetaComputerZoomInput

    from deskbench.agent.replies.calls import Call
    from deskbench.agent.replies.spaces import Space
    from deskbench.agent.replies.vocabularies import VOCABULARIES
    from deskbench.agent.replies.vocabulary import to_actions
    from deskbench.envs.errors import ReplyError

    space = Space("image", (1280, 800), (1280, 800))
    cases: list[tuple[str, Any, dict[str, Any]]] = [
        ("left_click", BetaComputerLeftClickInput, {"coordinate": [640, 360]}),
        ("left_click", BetaComputerLeftClickInput, {"coordinate": [640, 360], "text": "ctrl"}),
        ("left_click", BetaComputerLeftClickInput, {"coordinate": "[640, 360]"}),
        ("left_click", BetaComputerLeftClickInput, {"coordinate": [640.5, 360]}),
        ("scroll", BetaComputerScrollInput, {"scroll_direction": "down", "scroll_amount": 3}),
        ("scroll", BetaComputerScrollInput, {"scroll_direction": "sideways", "scroll_amount": 3}),
        ("zoom", BetaComputerZoomInput, {"region": [0, 0, 100, 100]}),
        ("zoom", BetaComputerZoomInput, {"region": "all"}),
    ]
    for name, kind, given in cases:
        theirs, ours = True, True
        try:
            TypeAdapter(kind).validate_python(given)
        except ValueError:
            theirs = False
        try:
            to_actions([Call(name, given)], VOCABULARIES["claude_toolset"], space)
        except ReplyError:
            ours = False
        assert ours == theirs, (name, given)


@pytest.mark.parametrize("family", families("gemini"))
def test_generate_content(family: str) -> None:
    from google.genai import types

    def same(kind: Any, value: Any) -> None:
        read = kind.model_validate(value)
        back = read.model_dump_json(by_alias=True, exclude_none=True)
        # The SDK writes base64 for URLs, which the REST reference does not ask for.
        assert json.loads(back) == json.loads(
            json.dumps(value).replace("/", "_").replace("+", "-").replace("image_png", "image/png")
        )

    for body in bodies(family):
        for content in body["contents"]:
            if content["role"] == "user":
                same(types.Content, content)
            else:
                types.Content.model_validate(content)
        same(types.Content, body["systemInstruction"])
        same(types.GenerationConfig, body["generationConfig"])
        for tool in body["tools"]:
            same(types.Tool, tool)


@pytest.mark.parametrize("family", families("interactions"))
def test_interactions(family: str) -> None:
    """Google's own client sends the same to the same path, and reads the scripted replies."""
    from google import genai
    from google.genai._gaos.types.interactions import CreateModelInteraction

    for body in bodies(family):
        CreateModelInteraction.model_validate(body)
        with endpoint(enter_in(family)) as server:
            options = genai.types.HttpOptions(base_url=server.url.removesuffix("/v1"), api_version="v1")
            theirs = genai.Client(api_key="AIza-not-a-key", http_options=options)
            reply = theirs.interactions.create(**body)
            theirs.close()
        (asked,), (headers,) = server.asked, server.headers
        assert asked == {"path": "/v1" + WIRES["interactions"].path("", False), **body}
        sent = {name.lower(): value for name, value in headers.items()}
        ours = WIRES["interactions"].headers("AIza-not-a-key")
        assert {name.lower(): value for name, value in ours.items()}.items() <= sent.items()
        assert reply.status == "requires_action" and reply.usage.total_thought_tokens == 4
        assert [step.type for step in reply.steps] == ["thought", "function_call"]


def test_scripted_replies_are_such_as_the_vendors_send() -> None:
    """The endpoints of these tests say what the vendors' own types can read."""
    from anthropic.types.beta import BetaMessage
    from google.genai import types
    from openai.types.chat import ChatCompletion
    from openai.types.responses import Response

    from .speaking import document

    frame = {"id": "x", "model": "m", "created": 1, "created_at": 1.0, "object": "chat.completion", "role": "assistant",
             "tools": [], "tool_choice": "auto", "parallel_tool_calls": False, "stop_sequence": None}  # fmt: skip
    call = {"name": "click", "arguments": {"x": 1, "y": 2, "button": "left"}}
    ChatCompletion.model_validate({**frame, **document("chat", "hi", calls=[call])})
    Response.model_validate({**frame, **document("responses", "hi", calls=[call]), "object": "response"})
    BetaMessage.model_validate({**frame, **document("messages", "hi", calls=[call])})
    types.GenerateContentResponse.model_validate(document("gemini", "hi", calls=[call]))
