"""Agents of families on scripted endpoints: what each shows, remembers and sends back, and what becomes of replies."""

import json
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.agents.family import FamilyAgent
from deskbench.agent.agents.profile import load_profile, profile_names
from deskbench.agent.agents.vlm import VlmAgent
from deskbench.agent.base import Goal
from deskbench.envs.errors import AgentError, ReplyError, UsageError
from deskbench.envs.types import AskUser, Click, Done, Fail, Key, TakeScreenshot, Type, Wait, Zoom

from ..models.endpoint import Endpoint, Say, endpoint, reply
from ..models.speaking import document, said
from .screens import observation, picture

GOAL = Goal("Press Save.", 640, 400, max_steps=9)
QUICK = {"first_pause": "0.001", "longest_pause": "0.01", "attempts": "2"}


def agent(server: Endpoint, family: str, **settings: str) -> FamilyAgent:
    made = FamilyAgent.from_settings({"profile": family, "base_url": server.url, **QUICK, **settings})
    made.start(GOAL)
    return made


def play(family: str, script: list[Say], steps: int = 1, **settings: str) -> tuple[list[Any], Endpoint]:
    """So many steps, each on a screen of its own; their decisions, and the endpoint with what it was asked."""
    with endpoint(*script) as server:
        made = agent(server, family, **settings)
        try:
            decisions = [made.act(observation(picture(640, 400, (n, 50, 80, 30)))) for n in range(steps)]
        finally:
            made.close()
    return decisions, server


def tool(name: str, **arguments: Any) -> str:
    return f"Action: go.\n<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


# Every family


SAYS = {
    "python": '## Action:\nGo.\n\n## Code:\n```python\npyautogui.press("enter")\n```',
    "comments": '```python\npyautogui.press("enter")\n```',
    "prompt": '```python\npyautogui.press("enter")\n```',
    "planner": '```python\nagent.hotkey(["enter"])\n```',
    "object": '{"thought": "t", "tool_call": {"tool_name": "hotkey", "keys": ["enter"]}}',
}
VOCABULARY = {
    "ui_tars": "Action: hotkey(key='enter')", "glm": "<|begin_of_box|>key(keys='enter')<|end_of_box|>",
    "scalecua": "<action>\npress('enter')\n</action>", "qwen": tool("computer_use", action="key", keys=["enter"]),
    "evocua": tool("computer_use", action="key", keys=["enter"]),
    "fara": tool("computer_use", action="key", keys=["Enter"]),
    "fara_1.5": tool("computer_use", action="key", keys=["Enter"]),
    "autoglm": "<think>\nSo.\n</think>\n<answer>```python\nAgent.hotkey(['enter'])\n```</answer>",
    "minimax": tool("computer", action="key", text="Return"),
}  # fmt: skip
NATIVE = {
    "openai": {"name": "keypress", "arguments": {"keys": ["ENTER"]}},
    "gemini": {"name": "hotkey", "arguments": {"keys": ["enter"]}},
    "claude": {"name": "key", "arguments": {"text": "Return"}},
    "claude_toolset": {"name": "key", "arguments": {"text": "Return"}},
}


def n2(*members: tuple[str, dict[str, Any]], text: str = "") -> Say:
    """A batch of Navigator n2."""
    actions = [{"name": name, "arguments": arguments} for name, arguments in members]
    return said("chat", text, calls=[{"name": "computer_batch", "arguments": {"actions": actions}}])


def muse(*actions: dict[str, Any], name: str = "computer.computer", **arguments: Any) -> Say:
    """A call of Muse Spark's: a batch of actions, or the arguments of another function."""
    given = json.dumps({"actions": list(actions)} if actions else arguments)
    call = {"type": "function_call", "call_id": "call_1", "status": "completed", "name": name, "arguments": given}
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2VjcmV0"}
    return Say({**document("responses", ""), "output": [thought, call]})


def enter_in(family: str) -> Say:
    profile = load_profile(family)
    rules = profile.reply
    if rules.vocabulary == "muse":
        return muse({"action": "key", "text": "enter"})
    if rules.vocabulary == "n2":
        return n2(("key_press", {"key": "enter"}))
    if rules.form == "native":
        return said(profile.endpoint, "", calls=[NATIVE[rules.vocabulary]])
    if rules.action_space == "computer_13":
        return reply('```json\n{"action_type": "PRESS", "key": "enter"}\n```')
    if rules.vocabulary == "mobile":
        typed = {"tagged": tool("mobile_use", action="type", text="\n"), "pairs": "action:TYPE\tvalue:x\tsummary:s"}
        return reply(typed[rules.form])
    if family in ("seed", "ui-tars-2"):
        call = "<function=hotkey><parameter=key>enter</parameter></function>"
        return reply(f"<seed:tool_call>{call}</seed:tool_call>")
    return said(profile.endpoint, SAYS.get(rules.form) or VOCABULARY[rules.vocabulary])


@pytest.mark.parametrize("family", profile_names())
def test_every_family_plays_an_episode_in_its_own_form(family: str) -> None:
    decisions, server = play(family, [enter_in(family)], steps=4)
    mobile = load_profile(family).reply.vocabulary == "mobile"
    for decision in decisions:
        assert isinstance(decision.actions[0], Type) if mobile else decision.actions == (Key(("enter",)),)
        assert decision.attempts == 1
        assert "base64" not in json.dumps(decision.exchanges[0].request)
    texts = json.dumps([{k: v for k, v in asked.items() if k != "path"} for asked in server.asked])
    assert "Press Save." in texts
    for name in ("instruction", "platform", "width", "height", "resolution", "steps", "actions", "form", "points", "n"):
        assert f"{{{name}}}" not in texts, name


def written(family: str) -> bool:
    """Whether the model writes its actions as text."""
    profile = load_profile(family)
    return "tools" not in profile.request and profile.reply.form not in ("native", "planner", "comments")


@pytest.mark.parametrize("family", [name for name in profile_names() if written(name)])
def test_a_reply_that_another_program_got_is_remembered_as_ones_own(family: str) -> None:
    body = enter_in(family).body
    text = body["choices"][0]["message"]["content"] if "choices" in body else body["content"][0]["text"]
    with endpoint(enter_in(family)) as server:
        asking, hearing = agent(server, family), agent(server, family)
        for n in range(3):
            seen = observation(picture(640, 400, (n, 50, 80, 30)))
            assert asking.act(seen).actions == hearing.hear(seen, text).actions
        assert hearing.turn(seen).messages == asking.turn(seen).messages
        with pytest.raises(ReplyError):
            hearing.hear(seen, "<think>")
        assert hearing.turn(seen).messages == asking.turn(seen).messages
        asking.close()
        hearing.close()


def test_the_vlm_agent_takes_a_profile_as_well() -> None:
    with endpoint(said("chat", SAYS["python"])) as server:
        made = VlmAgent.from_settings({"profile": "kimi-vl", "base_url": server.url})
        assert made.name == "kimi-vl:kimi-vl"
        made.close()


# Kimi


def test_kimi_is_shown_the_picture_first_and_answers_in_fractions() -> None:
    click = "## Action:\nClick Save.\n\n## Code:\n```python\npyautogui.click(x=0.5, y=0.25)\n```"
    (decision,), server = play("kimi-vl", [reply(click)])
    assert decision.actions == (Click(x=320, y=100),)
    system, user = server.asked[0]["messages"]
    assert "computer.terminate" in system["content"]
    assert [part["type"] for part in user["content"]] == ["image_url", "text"]
    assert user["content"][1]["text"].startswith("## Task Instruction:\nPress Save.")
    assert (server.asked[0]["temperature"], server.asked[0]["max_tokens"]) == (0.2, 512)


def test_kimi_merges_the_steps_before_its_window() -> None:
    step = '## Action:\nPress number {}.\n\n## Code:\n```python\npyautogui.press("a")\n```'
    _, server = play("kimi-vl", [reply(step.format(n)) for n in range(5)], steps=5)
    messages = server.asked[-1]["messages"]
    assert [m["role"] for m in messages] == ["system", "assistant", "user", "assistant", "user", "assistant", "user"]
    assert "Press number 0." in messages[1]["content"] and "Press number 1." in messages[1]["content"]
    assert "Press number 3." in messages[5]["content"]
    assert "Task Instruction" not in json.dumps(messages[2]["content"])
    assert "Task Instruction" in json.dumps(messages[6]["content"])


def test_reasoning_that_did_not_end_is_asked_for_again() -> None:
    cut = "◁think▷Maybe\n```python\npyautogui.click(x=0.1, y=0.1)\n```"
    whole = '◁think▷Yes.◁/think▷## Action:\nGo.\n## Code:\n```python\npyautogui.press("esc")\n```'
    (decision,), _ = play("kimi-vl-thinking", [reply(cut), reply(whole)])
    assert decision.actions == (Key(("esc",)),)
    assert decision.attempts == 2
    assert "Yes." in (decision.thought or "")


# Histories


def test_pictures_are_dropped_in_chunks_so_that_requests_begin_alike() -> None:
    _, server = play("qwen3.5", [reply(VOCABULARY["qwen"])], steps=23)
    shown = [json.dumps(asked["messages"]).count('image_url": {') for asked in server.asked]
    assert shown[:20] == list(range(1, 21)) and shown[20:] == [11, 12, 13]
    for before, now in zip(server.asked[:19], server.asked[1:20], strict=True):
        assert now["messages"][: len(before["messages"])] == before["messages"]


def test_the_first_picture_can_be_kept() -> None:
    _, server = play("minimax-m3", [said("messages", VOCABULARY["minimax"])], steps=31)
    shown = [json.dumps(asked["messages"]).count('"type": "image"') for asked in server.asked]
    assert shown[:29] == list(range(1, 30)) and shown[29:] == [11, 12]
    assert '"type": "image"' in json.dumps(server.asked[-1]["messages"][0])


def test_actions_are_the_history_where_a_family_sees_one_picture() -> None:
    says = [reply(f"<operation>\nDo thing {n}\n</operation>\n<action>\npress('a')\n</action>") for n in range(3)]
    _, server = play("scalecua", says, steps=3)
    assert len(server.asked[-1]["messages"]) == 2
    assert "1. Do thing 0\n2. Do thing 1" in server.asked[-1]["messages"][1]["content"][1]["text"]
    assert "Operations so far:\nNone" in json.dumps(server.asked[0]["messages"]).replace("\\n", "\n")


def test_glm_has_everything_in_one_turn_and_its_memory_comes_back() -> None:
    says = 'So. <|begin_of_box|>key(keys="a")<|end_of_box|>\nMemory:\n["the code is 7"]'
    _, server = play("glm-v", [reply(says)], steps=3)
    (turn,) = server.asked[-1]["messages"]
    texts = " ".join(part["text"] for part in turn["content"] if part["type"] == "text")
    assert sum(part["type"] == "image_url" for part in turn["content"]) == 3
    assert 'Memory: ["the code is 7"]' in texts
    assert "Memory: (nothing yet)" in json.dumps(server.asked[0])
    sizes = [picture_size(part) for part in turn["content"] if part["type"] == "image_url"]
    assert sizes == [(320, 200), (320, 200), (640, 400)]


def test_only_servers_of_ones_own_are_told_to_keep_special_tokens() -> None:
    _, server = play("glm-v", [enter_in("glm-v")])
    assert server.asked[0]["skip_special_tokens"] is False
    makers = FamilyAgent.from_settings({"profile": "glm-v", "api_key_env": ""})
    makers.start(GOAL)
    assert "skip_special_tokens" not in makers.preview(observation())
    makers.close()


def k3(name: str, **arguments: Any) -> Say:
    call = {"id": "c7", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
    return reply("", "tool_calls", reasoning_content="because", tool_calls=[call])


def test_kimi_k3_has_tools_whose_results_and_reasoning_go_back() -> None:
    script = [k3("computer_action", description="d", code="pyautogui.click(x=0.5, y=0.25)"), k3("computer_wait")]
    decisions, server = play("kimi-k3", script, steps=2)
    assert decisions[0].actions == (Click(x=320, y=100),)
    first, second = server.asked
    assert [tool["function"]["name"] for tool in first["tools"]] == [
        "computer_action", "computer_wait", "computer_terminate",
    ]  # fmt: skip
    assert (first["temperature"], first["reasoning_effort"], first["tool_choice"]) == (1.0, "max", "required")
    assert [m["role"] for m in second["messages"]] == ["system", "user", "assistant", "tool", "user"]
    turn, result, now = second["messages"][2:]
    assert turn["reasoning_content"] == "because" and turn["tool_calls"][0]["id"] == "c7"
    assert (result["tool_call_id"], result["content"]) == ("c7", "computer_action: done.")
    assert "image_url" in json.dumps(now)


def test_kimi_k3_is_told_in_the_tools_result_what_was_wrong() -> None:
    script = [k3("computer_action", description="d", code="open('x')"), k3("computer_terminate", status="success")]
    (decision,), server = play("kimi-k3", script)
    assert decision.actions == (Done(),)
    assert [m["role"] for m in server.asked[1]["messages"]] == ["system", "user", "assistant", "tool"]
    assert "the name 'open' is not defined" in server.asked[1]["messages"][-1]["content"]


def test_n2_gets_its_tools_from_the_server_and_one_of_ours() -> None:
    _, server = play("yutori-n2", [enter_in("yutori-n2")])
    (asked,) = server.asked
    assert (asked["model"], asked["tool_set"]) == ("n2", "computer_use_tools-20260830")
    assert asked["disable_tools"] == ["bash", "read", "write", "edit"]
    assert [tool["function"]["name"] for tool in asked["tools"]] == ["infeasible"]
    assert asked["max_completion_tokens"] == 20480 and "temperature" not in asked and "max_tokens" not in asked
    assert [part["type"] for part in asked["messages"][1]["content"]] == ["text", "image_url"]


def test_n2_has_the_screen_inside_the_result_and_sees_the_two_newest() -> None:
    batch = n2(
        ("left_click", {"coordinates": [500, 250]}), ("type", {"text": "a"}), ("screenshot", {}), text="I click."
    )
    (first, *_), server = play("yutori-n2", [batch], steps=4)
    assert first.actions == (Click(x=320, y=100), Type("a"), TakeScreenshot())
    system, task, *turns = server.asked[-1]["messages"]
    assert [turn["role"] for turn in turns] == ["assistant", "tool"] * 3
    assert turns[0]["content"] == "I click." and turns[0]["tool_calls"][0]["id"] == turns[1]["tool_call_id"]
    assert turns[-1]["content"][0] == {"type": "text", "text": "[0:left_click]\n[1:type]\n[2:screenshot]"}
    assert [[part["type"] for part in turn["content"]] for turn in (task, *turns[1::2])] == [
        ["text", "text"], ["text", "text"], ["text", "image_url"], ["text", "image_url"],
    ]  # fmt: skip
    assert turns[1]["content"][1]["text"] == "[older image omitted]" and "infeasible" in system["content"]


def test_n2_is_told_in_the_result_what_was_wrong_and_its_reasoning_goes_back() -> None:
    wrong = n2(("left_click", {"coordinates": [500, 250], "speed": 1}))
    wrong.body["choices"][0]["message"]["reasoning_content"] = "because"
    (decision,), server = play("yutori-n2", [wrong, said("chat", "All is saved.")])
    assert decision.actions == (Done("All is saved."),) and decision.attempts == 2
    turn, result = server.asked[1]["messages"][2:]
    assert turn["reasoning_content"] == "because"
    assert (result["role"], result["tool_call_id"]) == ("tool", "c0")
    assert "left_click: unknown argument 'speed'" in result["content"][0]["text"]


def test_fara_sees_three_screens_and_all_its_replies() -> None:
    calls = [reply(f"Step {n}.\n" + tool("computer_use", action="wait", time=n)) for n in range(1, 6)]
    _, server = play("fara-1.5", calls, steps=5)
    asked = server.asked[-1]
    assert asked["chat_template_kwargs"] == {"enable_thinking": False} and asked["temperature"] == 0.0
    system, first, *turns = asked["messages"]
    assert "resolution of 1000x1000" in system["content"]
    assert first == {"role": "user", "content": "Press Save."}
    assert [turn["role"] for turn in turns] == ["assistant", "assistant", *["user", "assistant"] * 2, "user"]
    assert [turn["content"].partition("\n")[0] for turn in turns if turn["role"] == "assistant"] == [
        "Step 1.", "Step 2.", "Step 3.", "Step 4.",
    ]  # fmt: skip
    assert picture_size(turns[-1]["content"][0]) == (640, 384)


def test_autoglm_sees_one_screen_of_its_own_size_and_its_thoughts() -> None:
    _, server = play("autoglm-v", [enter_in("autoglm-v")], steps=3)
    asked = server.asked[-1]
    assert (asked["temperature"], asked["top_p"], asked["max_tokens"]) == (0.2, 0.1, 2048)
    assert asked["stop"] == ["<|user|>", "<|observation|>", "</answer>"] and asked["include_stop_str_in_output"]
    system, *past, now = asked["messages"]
    assert "Press Save." in system["content"]
    assert [turn["content"] for turn in past[::2]] == ["**Environment State (Omitted)**"] * 2
    assert past[1]["content"] == ("<think>\nSo.\n</think>\n<answer>```python\nAgent.hotkey(['enter'])\n```</answer>")
    assert [part["type"] for part in now["content"]] == ["image_url", "text"]
    assert picture_size(now["content"][0]) == (1280, 720) and now["content"][0]["image_url"]["detail"] == "high"


def test_what_the_person_answers_stays_where_only_replies_are_kept() -> None:
    question = reply(tool("computer_use", action="ask_user_question", question="Which day?"))
    with endpoint(question) as server:
        made = agent(server, "fara-1.5")
        for n in range(5):
            made.act(observation(answer="On Monday." if n == 1 else None))
        made.close()
    turns = server.asked[-1]["messages"]
    assert turns[3] == {"role": "user", "content": "The person answers: On Monday."}


def picture_size(part: dict[str, Any]) -> tuple[int, int]:
    import base64

    png = base64.b64decode(part["image_url"]["url"].partition(",")[2])
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def test_seed_sees_screens_as_a_tools_answers_and_its_reasoning_goes_back() -> None:
    call = "<seed:tool_call><function=wait><parameter=time>1</parameter></function></seed:tool_call>"
    _, server = play("seed", [reply(call, reasoning_content="because")], steps=2)
    roles = [m["role"] for m in server.asked[1]["messages"]]
    assert roles == ["system", "tool", "assistant", "tool"]
    assert server.asked[1]["messages"][1]["tool_call_id"] == "1"
    assert server.asked[1]["messages"][2]["reasoning_content"] == "because"


# Native calls


def test_claude_gets_a_result_for_every_call_and_its_blocks_back() -> None:
    calls = [
        {"name": "left_click", "arguments": {"coordinate": [140, 65]}},
        {"name": "type", "arguments": {"text": "hi"}},
    ]
    decisions, server = play("claude", [said("messages", "So.", calls=calls)], steps=2)
    assert decisions[0].actions == (Click(x=140, y=65), Type("hi"))
    body = server.asked[1]
    assert body["tools"][0] == {"type": "computer_toolset_20260801", "configs": {"zoom": {"enabled": True}}}
    assert [tool.get("name") for tool in body["tools"]] == [None, "infeasible"]
    assert "anthropic-beta" not in {name.lower() for name in server.headers[1]}
    user, assistant, results = body["messages"]
    assert [block["type"] for block in user["content"]] == ["image", "text"]
    assert [block["type"] for block in assistant["content"]] == ["text", "tool_use", "tool_use"]
    assert [r["tool_use_id"] for r in results["content"]] == ["toolu_0", "toolu_1"]
    assert {r["toolset_name"] for r in results["content"]} == {"computer"}
    assert [p["type"] for p in results["content"][1]["content"]] == ["text", "image"]
    assert body["system"][0]["cache_control"] == {"type": "ephemeral"}


def test_claude_of_other_versions_is_told_the_pictures_size() -> None:
    call = {"name": "computer", "arguments": {"action": "left_click", "coordinate": [10, 20]}}
    (decision,), server = play("claude-20251124", [said("messages", "", calls=[call])], image_size="320x200")
    assert decision.actions == (Click(x=21, y=41),)
    entry, _ = server.asked[0]["tools"]
    assert (entry["display_width_px"], entry["display_height_px"]) == (320, 200)
    assert server.headers[0]["anthropic-beta"] == "computer-use-2025-11-24"


def test_a_zoom_is_answered_with_the_region() -> None:
    calls = [{"name": "zoom", "arguments": {"region": [0, 0, 320, 100]}}]
    decisions, server = play("claude", [said("messages", "", calls=calls)], steps=2)
    assert decisions[0].actions == (Zoom((0, 0, 320, 100)),)
    (result,) = server.asked[1]["messages"][-1]["content"]
    assert [part["type"] for part in result["content"]] == ["text", "image", "image"]


def test_responses_remembers_and_only_what_is_new_is_sent() -> None:
    call = {"name": "click", "arguments": {"x": 140, "y": 65, "button": "left"}}
    _, server = play("openai-computer", [said("responses", "", calls=[call])], steps=2)
    first, second = server.asked
    assert first["path"] == "/v1/responses" and first["tools"][0] == {"type": "computer"}
    assert first["input"][0]["content"][1]["detail"] == "original"
    assert "previous_response_id" not in first and second["previous_response_id"] == "resp_1"
    (output,) = second["input"]
    assert (output["type"], output["call_id"]) == ("computer_call_output", "call_1")
    assert output["output"]["type"] == "computer_screenshot"


def test_responses_can_be_told_to_remember_nothing() -> None:
    call = {"name": "wait", "arguments": {}}
    _, server = play("openai-cua", [said("responses", "", calls=[call])], steps=2, extra='{"store": false}')
    assert "previous_response_id" not in server.asked[1]
    assert [item["type"] if "type" in item else item["role"] for item in server.asked[1]["input"]] == [
        "user", "computer_call", "computer_call_output",
    ]  # fmt: skip
    entry, _ = server.asked[0]["tools"]
    assert (entry["display_width"], entry["environment"]) == (640, "linux")


def test_gemini_gets_its_signed_parts_back() -> None:
    call = {"name": "click", "arguments": {"x": 500, "y": 500}}
    decisions, server = play("gemini", [said("gemini", "So.", calls=[call])], steps=2)
    assert decisions[0].actions == (Click(x=320, y=200),)
    assert server.asked[0]["path"] == "/v1/models/gemini-3.5-flash:generateContent"
    model = server.asked[1]["contents"][1]
    assert model["role"] == "model" and model["parts"][1]["thoughtSignature"] == "c2lnbg=="
    response = server.asked[1]["contents"][2]["parts"][0]["functionResponse"]
    assert response["name"] == "click" and "inlineData" in response["parts"][0]


def test_interactions_stand_alone_with_their_signed_steps() -> None:
    call = {"name": "click", "arguments": {"x": 500, "y": 500, "intent": "So."}}
    decisions, server = play("gemini-interactions", [said("interactions", "So.", calls=[call])], steps=2)
    assert decisions[0].actions == (Click(x=320, y=200),)
    assert (decisions[0].usage.input_tokens, decisions[0].usage.output_tokens) == (100, 10)
    first, second = server.asked
    assert first["path"] == "/v1/interactions" and first["store"] is False
    assert first["tools"][0] == {"type": "computer_use", "environment": "desktop"}
    assert first["generation_config"] == {"max_output_tokens": 8192, "thinking_summaries": "auto"}
    assert "previous_interaction_id" not in second and second["input"][0] == first["input"][0]
    assert [step["type"] for step in second["input"]] == [
        "user_input", "thought", "model_output", "function_call", "function_result",
    ]  # fmt: skip
    assert second["input"][1]["signature"] == "c2lnbg==" and second["input"][3]["arguments"] == call["arguments"]
    result = second["input"][-1]
    assert (result["call_id"], result["name"]) == ("call_0", "click")
    assert [part["type"] for part in result["result"]] == ["text", "image"]
    assert json.loads(result["result"][0]["text"]) == {"output": "click: done."}


def test_muse_spark_gets_a_result_in_words_and_the_screen_in_a_turn_beside_it() -> None:
    batch = muse(
        {"action": "left_click", "coordinate": [500, 500]}, {"action": "type", "text": "a"},
        {"action": "key", "text": "ctrl+s"},
    )  # fmt: skip
    decisions, server = play("muse-spark", [batch], steps=2)
    assert decisions[0].actions == (Click(x=320, y=200), Type("a"), Key(("ctrl", "s")))
    first, second = server.asked
    assert first["path"] == "/v1/responses" and first["store"] is first["parallel_tool_calls"] is False
    assert first["include"] == ["reasoning.encrypted_content"]
    assert [tool["name"] for tool in first["tools"]] == ["computer.computer", "computer.stop"]
    assert "previous_response_id" not in second
    task, thought, call, output, screen = second["input"]
    assert task == first["input"][0] and thought["encrypted_content"] == "c2VjcmV0" and call["type"] == "function_call"
    assert output == {
        "type": "function_call_output", "call_id": "call_1",
        "output": "Carried out:\n[0:left_click]\n[1:type]\n[2:key]",
    }  # fmt: skip
    assert screen["role"] == "user" and [part["type"] for part in screen["content"]] == ["input_image"]


def test_muse_spark_is_told_what_was_wrong_with_a_fresh_screen() -> None:
    wrong, right = muse({"action": "left_click"}, {"action": "scroll"}), muse({"action": "wait", "duration": 2})
    (decision,), server = play("muse-spark", [wrong, right])
    assert decision.actions == (Wait(2.0),) and decision.attempts == 2
    output, screen = server.asked[1]["input"][-2:]
    assert "scroll: direction is" in output["output"]
    assert [part["type"] for part in screen["content"]] == ["input_image"]


def test_muse_spark_remembers_the_first_screen_and_that_others_were_there() -> None:
    _, server = play("muse-spark", [muse({"action": "key", "text": "a"})], steps=31)
    shown = [json.dumps(asked["input"]).count('"input_image"') for asked in server.asked]
    assert shown[:29] == list(range(1, 30)) and shown[29:] == [11, 12]
    outputs = [item["output"] for item in server.asked[-1]["input"] if item.get("type") == "function_call_output"]
    assert sum(text.endswith("[Screenshot has been truncated to save context]") for text in outputs) == 19


@pytest.mark.parametrize(
    ("answer", "action"),
    [
        ("There are 7.", Done("There are 7.")),
        ("infeasible: no printer", Fail("infeasible: no printer")),
        ("This is Infeasible.", Fail("This is Infeasible.")),
        ("It cannot be done: not supported", Done("It cannot be done: not supported")),
    ],
)
def test_muse_spark_stops_with_an_answer_or_the_word_for_what_cannot_be_done(answer: str, action: object) -> None:
    (decision,), _ = play("muse-spark", [muse(name="computer.stop", answer=answer)])
    assert decision.actions == (action,)


def test_calls_that_a_server_took_out_of_the_text_are_read_and_put_back() -> None:
    call = {"name": "computer_use", "arguments": {"action": "left_click", "coordinate": [500, 500]}}
    decisions, server = play("qwen3-vl", [said("chat", "Action: Click.", calls=[call])], steps=2)
    (click,) = decisions[0].actions
    assert isinstance(click, Click) and (click.x, click.y) == (320, 200)
    back = server.asked[1]["messages"][2]["content"]
    assert back.startswith("Action: Click.\n<tool_call>\n") and '"coordinate": [500, 500]' in back


# Safety checks

CHECK = {"id": "sc_1", "code": "malicious_instructions", "message": "Injected instructions detected"}


def checked() -> Say:
    body = said("responses", "", calls=[{"name": "click", "arguments": {"x": 5, "y": 5}}]).body
    body["output"][0]["pending_safety_checks"] = [CHECK]
    return Say(body)


def test_a_safety_check_is_recorded_and_acknowledged() -> None:
    decisions, server = play("openai-computer", [checked()], steps=2)
    assert decisions[0].actions == (Click(x=5, y=5),)
    assert decisions[0].notes == ({"what": "safety_checks", "policy": "acknowledge", "checks": [CHECK]},)
    assert server.asked[1]["input"][0]["acknowledged_safety_checks"] == [CHECK]


def test_geminis_confirmation_is_acknowledged_in_its_response() -> None:
    decision = {"decision": "require_confirmation", "explanation": "cookie banner"}
    call = {"name": "click", "arguments": {"x": 500, "y": 250, "safety_decision": decision}}
    decisions, server = play("gemini", [said("gemini", "", calls=[call])], steps=2)
    assert decisions[0].notes[0]["checks"] == [decision]
    response = server.asked[1]["contents"][2]["parts"][0]["functionResponse"]["response"]
    assert response["safety_acknowledgement"] == "true"


def test_the_same_over_interactions_is_acknowledged_in_the_result() -> None:
    decision = {"decision": "require_confirmation", "explanation": "cookie banner"}
    call = {"name": "click", "arguments": {"x": 500, "y": 250, "safety_decision": decision}}
    decisions, server = play("gemini-interactions", [said("interactions", "", calls=[call])], steps=2)
    assert decisions[0].notes[0]["checks"] == [decision]
    told = json.loads(server.asked[1]["input"][-1]["result"][0]["text"])
    assert told["safety_acknowledgement"] is True and "safety_acknowledgement" not in server.asked[1]["input"][-1]


def test_a_safety_check_can_stop_the_agent() -> None:
    with pytest.raises(AgentError, match="malicious_instructions") as caught:
        play("openai-computer", [checked()], safety="stop")
    assert caught.value.decision.actions == ()
    assert caught.value.decision.exchanges


# Endings


@pytest.mark.parametrize(
    ("family", "text", "action"),
    [
        ("claude", "The port is 8080.", Done("The port is 8080.")),
        ("claude", "No such thing here. [INFEASIBLE]", Fail("No such thing here.")),
        ("openai-computer", "Saved. [DONE]", Done("Saved.")),
        ("gemini-interactions", "The port is 8080.", Done("The port is 8080.")),
        ("gemini-interactions", "No such thing here. [INFEASIBLE]", Fail("No such thing here.")),
        ("muse-spark", "There are 7.", Done("There are 7.")),
        ("muse-spark", "No such file. [INFEASIBLE]", Fail("No such file.")),
        ("seed", "All is done.", Done("All is done.")),
        ("glm-v", "What is the password?", AskUser("What is the password?")),
        ("minimax-m3", "[INFEASIBLE] No network.", Fail("No network.")),
        ("yutori-n2", "There are 7.", Done("There are 7.")),
        ("yutori-n2", "No such file. [INFEASIBLE]", Fail("No such file.")),
        ("autoglm-v", "It is done. [DONE]", Done("It is done.")),
    ],
)  # fmt: skip
def test_a_reply_without_an_action_means_what_the_family_means_by_it(family: str, text: str, action: object) -> None:
    (decision,), _ = play(family, [said(load_profile(family).endpoint, text)])
    assert decision.actions == (action,)


def test_a_model_that_must_act_is_asked_to_go_on() -> None:
    call = tool("computer_use", action="left_click", coordinate=[1, 2])
    (decision,), _ = play("qwen2.5-vl", [said("chat", "The port is 8080."), said("chat", call)])
    assert decision.actions == (Click(x=1, y=2),)
    assert decision.attempts == 2


# Planners


def planner(family: str, says: str, *points: str) -> tuple[Any, Endpoint, Endpoint]:
    with endpoint(reply(says)) as server, endpoint(*map(reply, points)) as grounder:
        made = agent(server, family, grounder_base_url=grounder.url)
        try:
            return made.act(observation()), server, grounder
        finally:
            made.close()


def test_a_grounder_finds_what_the_planner_names() -> None:
    says = 'Now save.\n```python\nagent.drag_and_drop("The handle", "The right end")\n```'
    decision, server, grounder = planner("gta1", says, "(322, 196)", "(100,100)")
    assert decision.actions[0].path == ((320, 200), (99, 102))
    assert [p["text"] for asked in grounder.asked for p in asked["messages"][1]["content"] if "text" in p] == [
        "The handle", "The right end",
    ]  # fmt: skip
    assert len(decision.exchanges) == 3 and decision.usage.input_tokens == 300
    assert "agent.click" in server.asked[0]["messages"][0]["content"]


def test_jedis_comments_are_grounded() -> None:
    says = "```python\nimport pyautogui\n# The Save button\npyautogui.click(x=0, y=0)\npyautogui.press('a')\n```"
    point = tool("computer_use", action="left_click", coordinate=[322, 196])
    decision, _, _ = planner("jedi", says, point)
    assert decision.actions == (Click(x=320, y=200), Key(("a",)))


def test_a_grounder_without_a_point_is_told_to_the_planner() -> None:
    with pytest.raises(AgentError, match="the grounder gave no point"):
        planner("gta1", '```python\nagent.click("Save")\n```', "I cannot see it.")


# Settings


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"profile": "kimi"}, "did you mean 'kimi-"),
        ({"profile": "kimi-vl", "temprature": "1"}, "did you mean 'temperature'"),
        ({"profile": "kimi-vl", "safety": "off"}, "safety is 'off'"),
        ({"profile": "kimi-vl", "grounder_model": "x"}, "for planners"),
        ({"profile": "kimi-vl", "image_size": "big"}, "WIDTHxHEIGHT"),
        ({"profile": "/no/such.toml"}, "cannot read the profile"),
    ],
)
def test_a_setting_that_is_wrong_is_named(settings: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        FamilyAgent.from_settings(settings)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_makers_key_is_sent_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-secret-0123456789")
    (_,), server = play("claude", [said("messages", "[DONE]")])
    assert "secret" not in json.dumps(server.headers)
    (_,), server = play("claude", [said("messages", "[DONE]")], api_key_env="ANTHROPIC_API_KEY")
    assert server.headers[0]["x-api-key"] == "sk-ant-secret-0123456789"


def test_a_family_of_ones_own_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'base = "qwen3-vl"\ntitle = "Mine"\nmodel = "mine"\nkey = ""\nfacts = "my own"\n'
        '[space]\nkind = "grid"\ngrid = 1000\n[history]\npictures = 1\n'
    )
    (decision,), server = play(str(path), [reply(tool("computer_use", action="left_click", coordinate=[1000, 1000]))])
    assert decision.actions == (Click(x=639, y=399),)
    assert server.asked[0]["model"] == "mine"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("title =", "not TOML"),
        ('base = "nonsense"', "unknown family 'nonsense'"),
        ('base = "qwen3-vl"\nendpont = "chat"', "did you mean 'endpoint'"),
        ('base = "qwen3-vl"\n[reply]\nvocabulary = "qwne"', "did you mean 'qwen'"),
        ('base = "qwen3-vl"\nkey = ""\n[templates]\nsystem = "{prompt:nothing}"', "no prompt 'nothing'"),
    ],
)
def test_a_profile_that_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        FamilyAgent.from_settings({"profile": str(path)})
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", profile_names())
def test_profiles_are_short(name: str) -> None:
    import deskbench.agent

    (folder,) = deskbench.agent.__path__
    assert len((Path(folder) / "profiles" / f"{name}.toml").read_text().splitlines()) < 80
