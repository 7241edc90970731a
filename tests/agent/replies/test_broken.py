"""No reply, however broken, raises anything but a ReplyError or yields an action off the screen; in every family."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deskbench.agent.agents.grounding import find_point
from deskbench.agent.agents.profile import load_profile, profile_names
from deskbench.agent.models.answers import Again, CutOff, Overflow
from deskbench.agent.models.sse import Broken
from deskbench.agent.models.wires.registry import WIRES
from deskbench.agent.replies.calls import Call
from deskbench.agent.replies.grammar import Grammar
from deskbench.agent.replies.grammars import read_reply
from deskbench.agent.replies.spaces import KINDS, Space
from deskbench.agent.replies.vocabularies import VOCABULARIES
from deskbench.envs.errors import AgentError, ReplyError
from deskbench.envs.types import Action, Zoom, parse_action

from .test_families import GOLDEN

SCREEN = (1280, 800)
GRAMMARS = {name: load_profile(name) for name in profile_names()}
TEXTS = [str(case["reply"]) for case in GOLDEN if case["reply_kind"] == "text"]
PIECES = [
    *TEXTS, "<tool_call>", "</tool_call>", '{"name": "computer_use", "arguments": ', '{"action": "left_click", ',
    '"coordinate": ', "[500, 250]", "[500]", '"[1,2]"', "[1e999, 2]", "[-5, 99999]", "}}", "}", "{", "Action: ",
    "click(start_box='", "(500,250)')", "(5", "type(content='", "it's'", "')", "\\", "\\n", "drag(", "finished(",
    "<function=click>", "<parameter=point>", "<point>500 250</point>", "</parameter>", "</function>", "agent.click(",
    '"Save"', ", 1, 'left')", "```python\n", "```", "pyautogui.click(", "x=0.5", ", y=0.25)", "computer.terminate(",
    "# Save\n", "action:CLICK\tpoint:500,250", "\t", "\n", "<think>", "</think>", "◁think▷", "◁/think▷", "[DONE]",
    "<answer>", "</answer>", "Agent.click(", "Agent.type(text=", "Agent.exit(", "[500, 250])",
    "[INFEASIBLE]", "<|begin_of_box|>", "<|end_of_box|>", "<action>", "</action>", "click(x=966, y=546)", "scroll(",
    "hotkey('ctrl', 'c')", '"tool_call": {"tool_name": "click", ', '"x": 5, "y": ', "NaN", "1" * 5000, "[" * 3000,
    "(" * 500, "\x00", "\ud800", "é", "null", "true", "-", "direction='down'", '"text": "', '"', "'", ",", " ",
]  # fmt: skip
REPLIES = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=8).map("".join)
LIKELY = ["ctrl+s", "down", "[500, 250]", "success", "left", 500, 999, 1000, 0.5, [500, 250], ["ctrl", "c"]]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(LIKELY),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("xy"), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
NAMES = sorted(
    {n for v in VOCABULARIES.values() for n in v.handlers} | {"computer", "computer_use", "computer_batch", "nonsense"}
)
ARGUMENTS = sorted(
    """
    action actions coordinate start_coordinate end_coordinate point start_box end_box x y x2 y2 destination_x path text
    content keys key button clicks direction scroll_direction scroll_amount pixels magnitude scroll_x scroll_y time
    duration status answer region press_enter clear repeat instruction shift url safety_decision 0 1 2 17 odd
    coordinates start_coordinates modifier amount success drag_from_coordinate drop_on_coordinate question command
    """.split()
)
CALLS = st.lists(
    st.builds(Call, st.sampled_from(NAMES), st.dictionaries(st.sampled_from(ARGUMENTS), VALUES, max_size=5)), max_size=3
)
SPACES = st.builds(
    Space, st.sampled_from(KINDS), st.just(SCREEN), st.sampled_from([(1280, 800), (1036, 644)]),
    st.sampled_from([999, 1000]),
)  # fmt: skip


def on_screen(action: Action) -> bool:
    points = list(action.points)
    if isinstance(action, Zoom):
        left, top, right, bottom = action.region
        points += [(left, top), (right, bottom)]
    parse_action(json.loads(json.dumps(action.to_json())))  # and it can be carried out
    return all(0 <= x < SCREEN[0] and 0 <= y < SCREEN[1] for x, y in points)


def check(text: str, calls: list[Call], grammar: Grammar, space: Space) -> None:
    try:
        read = read_reply(text, calls, grammar, space, pointer=(5, 5), locate=lambda _: (7, 7))
    except ReplyError as error:
        assert str(error)
        assert len(str(error)) < 2000
        return
    assert read.actions
    assert all(map(on_screen, read.actions))


@settings(max_examples=400, deadline=None)
@given(REPLIES, st.sampled_from(sorted(GRAMMARS)))
@example("Action: click(start_box='(1,2')", "ui-tars-1")
@example('{"tool_call": []}', "holo3")
def test_a_text(text: str, family: str) -> None:
    profile = GRAMMARS[family]
    check(text, [], profile.reply.grammar, Space(profile.space.kind, SCREEN, (1280, 800), profile.space.grid))


@pytest.mark.parametrize("family", sorted(GRAMMARS))
def test_every_golden_reply_in_every_family(family: str) -> None:
    profile = GRAMMARS[family]
    for text in TEXTS:
        check(text, [], profile.reply.grammar, Space(profile.space.kind, SCREEN, (1280, 800), profile.space.grid))


@settings(max_examples=500, deadline=None)
@given(CALLS, st.sampled_from(sorted(VOCABULARIES)), SPACES)
def test_native_calls(calls: list[Call], vocabulary: str, space: Space) -> None:
    check("Text. [DONE]", calls, Grammar("native", vocabulary), space)


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([
            "choices", "message", "content", "error", "usage", "finish_reason", "tool_calls", "function", "arguments",
            "name", "output", "type", "status", "id", "call_id", "actions", "action", "pending_safety_checks",
            "candidates", "parts", "functionCall", "args", "text", "promptFeedback", "stop_reason", "input",
            "delta", "response", "content_block", "summary", "usageMetadata", "logprobs", "incomplete_details",
        ]),
        inner | st.sampled_from(["message", "computer_call", "tool_use", "text", "message_stop", "stop", "thinking"]),
        max_size=4,
    ),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(WIRES)), DOCUMENTS, st.lists(st.dictionaries(st.sampled_from(["type", "choices", "delta",
       "candidates", "response", "content_block", "message", "usage"]), DOCUMENTS), max_size=4))  # fmt: skip
@example("interactions", {"status": []}, [])
def test_an_answer_of_any_shape(wire: str, document: Any, events: list[dict[str, Any]]) -> None:
    spoken = WIRES[wire]
    documents = [document] if isinstance(document, dict) else []
    with contextlib.suppress(Broken):
        documents.append(spoken.gather(events))
    for found in documents:
        try:
            counts = spoken.counts(found)
            answer = spoken.read(found)
        except (Again, CutOff, Overflow, AgentError):
            continue
        assert answer.text.strip() or answer.calls
        assert 0 <= counts.cached + counts.written <= (counts.input or 0)


@settings(max_examples=200, deadline=None)
@given(REPLIES, SPACES)
def test_a_grounders_reply(text: str, space: Space) -> None:
    try:
        x, y = find_point(text, space)
    except ReplyError:
        return
    assert 0 <= x < SCREEN[0] and 0 <= y < SCREEN[1]


@given(st.sampled_from(KINDS), st.integers(0, 1279), st.integers(0, 799), st.sampled_from([999, 1000]))
def test_a_point_and_back(kind: str, x: int, y: int, grid: int) -> None:
    space = Space(kind, SCREEN, (1316, 812), grid)
    back = space.place(*space.to_model(x, y))
    assert abs(back[0] - x) <= 1 and abs(back[1] - y) <= 1
