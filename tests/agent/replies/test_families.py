"""Golden replies of every family, and what must become of them; read with the profiles that runs use."""

import json
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.agents.grounding import find_point
from deskbench.agent.agents.profile import Profile, load_profile
from deskbench.agent.models.answers import Again, Answer, CutOff
from deskbench.agent.models.wires.registry import WIRES
from deskbench.agent.prompting.pictures import scale_for
from deskbench.agent.replies.calls import Malformed, NoAction, Truncated
from deskbench.agent.replies.grammars import read_reply
from deskbench.agent.replies.spaces import Space
from deskbench.envs.errors import RefusalError

from .lowered import same

GOLDEN = json.loads((Path(__file__).parent / "golden" / "families.json").read_text(encoding="utf-8"))

PROFILES = {
    "kimi_vl": "kimi-vl", "kimi_k2": "kimi-k2", "opencua": "opencua", "prompt_agent": "prompt-agent",
    "ui_tars_1": "ui-tars-1", "ui_tars_1.5": "ui-tars-1.5", "ui_tars_2": "ui-tars-2", "qwen2.5_vl": "qwen2.5-vl",
    "qwen3_vl": "qwen3-vl", "qwen3.5": "qwen3.5", "evocua": "evocua", "scalecua": "scalecua", "glm_v": "glm-v",
    "minimax_m3": "minimax-m3", "holo3": "holo3", "openai_cua": "openai-cua", "openai_gpt5": "openai-computer",
    "fara": "fara", "fara_1.5": "fara-1.5", "yutori_n2": "yutori-n2", "autoglm_v": "autoglm-v",
    "gemini_interactions": "gemini-interactions", "muse_spark": "muse-spark",
}  # fmt: skip


def profile_of(case: dict[str, Any]) -> Profile:
    params = case.get("params", {})
    name = {
        "anthropic": {
            "computer_toolset_20260801": "claude", "computer_20241022": "claude-20241022",
            "computer_20250124": "claude-20250124",
        }.get(params.get("tool_version", ""), "claude-20251124"),
        "gemini": "gemini-2.5" if params.get("generation") == "2.5" else "gemini",
        "doubao_seed": "seed" if "<function" in str(case["reply"]) else "doubao",
        "gui_owl": "gui-owl-1.5" if params.get("coordinate_space") == "0-1000" else "gui-owl",
        "planner_grounder": {"agent_s3": "agent-s3"}.get(params.get("grounder", ""), params.get("grounder", "gta1")),
    }.get(case["family"])  # fmt: skip
    if params.get("action_space") == "computer_13":
        name = "prompt-agent-computer-13"
    return load_profile(name or PROFILES[case["family"]])


BODIES = {
    "text": lambda reply: {"choices": [{"finish_reason": "stop", "message": {"content": reply}}]},
    "chat_message": lambda reply: {"choices": [{"finish_reason": "stop", "message": reply}]},
    "responses_output": lambda reply: {"id": "r", "status": "completed", "output": reply},
    "anthropic_content": lambda reply: {"content": reply, "stop_reason": "tool_use"},
    "gemini_parts": lambda reply: {
        "candidates": [{"content": {"role": "model", "parts": reply}, "finishReason": "STOP"}]
    },
    "interaction_steps": lambda reply: {"id": "v1", "status": "requires_action", "steps": reply},
}


def answer_of(case: dict[str, Any], profile: Profile) -> Answer:
    """The reply through the wire that the family speaks; MiniMax's texts come on Anthropic's."""
    kind, reply = case["reply_kind"], case["reply"]
    if kind == "text" and profile.endpoint == "messages":
        kind, reply = "anthropic_content", [{"type": "text", "text": reply}]
    if kind == "composite":
        kind, reply = "text", reply["planner_reply"]
    return WIRES[profile.endpoint].read(BODIES.get(kind, lambda whole: whole)(reply))


def spaces_of(case: dict[str, Any], profile: Profile) -> Space:
    screen = (case["screen_width"], case["screen_height"])
    return Space(profile.space.kind, screen, (case["image_width"], case["image_height"]), profile.space.grid)


def actions_of(case: dict[str, Any]) -> list[dict[str, Any]]:
    profile = profile_of(case)
    answer = answer_of(case, profile)
    found = iter(case["reply"]["grounder_replies"] if case["reply_kind"] == "composite" else ())

    def locate(description: str) -> tuple[int, int]:
        assert profile.grounder is not None
        screen = (case["screen_width"], case["screen_height"])
        image = scale_for(profile.grounder.image, screen).image
        return find_point(next(found), Space(profile.grounder.space.kind, screen, image, profile.grounder.space.grid))

    marks = case.get("context", {}).get("marks_xywh")
    if marks:
        return marked(case, marks)
    read = read_reply(answer.text, answer.calls, profile.reply.grammar, spaces_of(case, profile), locate=locate)
    return [action.to_json() for action in read.actions]


def marked(case: dict[str, Any], marks: list[list[int]]) -> list[dict[str, Any]]:
    """Set of marks: the prompt agent's own reader, as `--agent vlm` uses it."""
    from deskbench.agent.replies.fenced import parse_reply

    names = {f"tag_{i}": (x + w // 2, y + h // 2) for i, (x, y, w, h) in enumerate(marks, 1)}
    screen = (case["screen_width"], case["screen_height"])
    return [a.to_json() for a in parse_reply(case["reply"], action_space="pyautogui", screen=screen, names=names)[1]]


ERRORS: dict[str, type[Exception] | tuple[type[Exception], ...]] = {
    "truncated": (CutOff, Truncated),
    "refusal": RefusalError,
    "malformed_tool_call": Malformed,
    "no_action": NoAction,
    "empty": Again,
}


@pytest.mark.parametrize("case", GOLDEN, ids=[case["id"] for case in GOLDEN])
def test_golden_replies(case: dict[str, Any]) -> None:
    if "expected_error" in case:
        with pytest.raises(ERRORS[case["expected_error"]]):
            actions_of(case)
        return
    got = actions_of(case)
    assert same(got, case["expected_actions"], case["tolerance_px"]), got
