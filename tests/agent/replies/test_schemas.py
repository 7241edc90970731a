"""Every function and every field of the vendors' schemas, as calls through the wire that the vendor speaks.

`golden/schemas.json` has one call a line. Its sources: Google's reference of computer-use actions (both vocabularies),
OpenAI's and Anthropic's SDK types, published agents of Kimi K3, Qwen, MAI-UI, Holo and Seed for OSWorld; Yutori's SDK
0.9.36 (navigator/n2_actions.py), microsoft/fara (src/fara/_prompts.py), THUDM/ComputerRL (mm_agents/autoglm_v), Meta's
guide on computer use (dev.meta.ai/docs/computer-use) and meta-models/meta-model-cookbook (13_macos_cua).
"""

import json
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.agents.profile import load_profile
from deskbench.agent.replies.vocabularies import VOCABULARIES
from deskbench.agent.replies.vocabulary import KNOWN
from deskbench.envs.types import ActionError, parse_action

from .lowered import same
from .test_said import actions_of

ROWS = json.loads((Path(__file__).parent / "golden" / "schemas.json").read_text(encoding="utf-8"))
FAMILIES = sorted({row["family"] for row in ROWS})


def reply_of(row: dict[str, Any]) -> tuple[str, Any]:
    """The call in the wire's own form."""
    name, arguments = row["call"], row["arguments"]
    endpoint = load_profile(row["family"]).endpoint
    if endpoint == "gemini":
        return "gemini_parts", [{"functionCall": {"name": name, "args": arguments}}]
    if row["family"] == "muse-spark":
        call = {"type": "function_call", "call_id": "c", "status": "completed", "name": name}
        return "responses_output", [{**call, "arguments": json.dumps(arguments)}]
    if endpoint == "interactions":
        return "interaction_steps", [{"type": "function_call", "id": "c", "name": name, "arguments": arguments}]
    if endpoint == "responses":
        call = {"type": "computer_call", "call_id": "c", "status": "completed", "pending_safety_checks": []}
        return "responses_output", [{**call, "actions": [{"type": name, **arguments}]}]
    if endpoint == "messages":
        return "anthropic_content", [{"type": "tool_use", "id": "t", "name": name, "input": arguments}]
    function = {"name": name, "arguments": json.dumps(arguments)}
    return "chat_message", {"role": "assistant", "tool_calls": [{"id": "c", "function": function}]}


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['family']}-{row['call']}-{i}" for i, row in enumerate(ROWS)])
def test_a_call_does_what_its_schema_says(row: dict[str, Any]) -> None:
    got = actions_of(row["family"], *reply_of(row))
    assert same([action for action in got if len(got) == 1 or action["type"] != "wait"], row["actions"], 0), got


@pytest.mark.parametrize("row", [row for row in ROWS if row["family"] == "gemini"], ids=lambda row: row["call"])
def test_gemini_means_the_same_over_interactions(row: dict[str, Any]) -> None:
    test_a_call_does_what_its_schema_says({**row, "family": "gemini-interactions"})


@pytest.mark.parametrize("family", FAMILIES)
def test_the_table_is_of_actions_that_exist(family: str) -> None:
    for row in ROWS:
        for action in row["actions"] if row["family"] == family else ():
            try:
                parse_action(action)
            except ActionError as error:
                pytest.fail(f"{row['call']}: {error}")


GEMINI_OTHERS = {"open_app", "list_apps"}
"""Of the environment for telephones."""
N2_OTHERS = {"bash", "read", "write", "edit"}
"""Tools that the profile does not offer (`disable_tools`)."""


def test_every_name_of_the_vendors_vocabularies_is_in_the_table() -> None:
    for families, vocabulary, others in (
        (("gemini", "gemini-2.5"), "gemini", GEMINI_OTHERS | {"left_click"}),
        (("openai-computer",), "openai", {"triple_click", "infeasible"}),
        (("claude",), "claude_toolset", set()),
        (("muse-spark",), "muse", {"computer_stop", "stop", "infeasible"}),
        (("yutori-n2",), "n2", N2_OTHERS),
        (("autoglm-v",), "autoglm", {"Agent.switch_window"}),
    ):
        called = {name for row in ROWS if row["family"] in families for name in called_in(row)}
        assert set(VOCABULARIES[vocabulary].handlers) - called == others


def called_in(row: dict[str, Any]) -> list[str]:
    """The names of a row's actions: a batch names its members."""
    members = row["arguments"].get("actions", [{"name": row["call"]}])
    return [member["action"] if "action" in member else member["name"] for member in members]


def test_every_action_of_fara_is_in_the_table() -> None:
    """The enumeration of the schema (microsoft/fara, src/fara/_prompts.py) without what is refused."""
    names = """key type mouse_move left_click left_click_drag right_click double_click triple_click scroll hscroll
        visit_url history_back web_search pause_and_memorize_fact ask_user_question wait terminate"""
    assert {row["arguments"]["action"] for row in ROWS if row["family"] == "fara-1.5"} == set(names.split())


def test_every_field_in_the_table_is_known() -> None:
    from deskbench.agent.replies.arguments import DESCRIPTIVE

    fields = {name for row in ROWS for name in row["arguments"]}
    others = {"scroll_x", "scroll_y", "repeat", "tap_key", "goals", "start_coordinate", "end_coordinate", "actions"}
    assert fields <= KNOWN | DESCRIPTIVE | others
