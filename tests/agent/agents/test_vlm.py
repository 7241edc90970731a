"""The vision-language agent on a scripted endpoint: what it shows, what it remembers, what it makes of replies."""

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from deskbench.agent.agents.vlm import NOT_SHOWN, VlmAgent
from deskbench.agent.base import Decision, Goal, Needs
from deskbench.agent.prompting.scaling import png_bytes
from deskbench.envs.errors import AgentError, EnvError, ModelError, ModelFatal, RefusalError
from deskbench.envs.types import ActionResult, Click, Done, Fail, Observation, Screenshot, Type, Wait

from ..models.endpoint import Endpoint, Say, endpoint, error, reply
from .screens import node, observation, picture, tree

GOAL = Goal("Press Save.", 640, 400, max_steps=5)
BOX = (100, 50, 80, 30)
XML = tree(node("push-button", "Save", BOX))
CLICK = reply("I see Save.\n\n```python\npyautogui.click(140, 65)\n```")


def agent(server: Endpoint, **settings: str) -> VlmAgent:
    quick = {"first_pause": "0.001", "longest_pause": "0.01", "attempts": "2"}
    made = VlmAgent.from_settings({"base_url": server.url, "model": "gpt-4o-mini", **quick, **settings})
    assert isinstance(made, VlmAgent)
    made.start(GOAL)
    return made


def act(server: Endpoint, seen: Observation | None = None, **settings: str) -> Decision:
    made = agent(server, **settings)
    try:
        return made.act(seen or observation(picture(640, 400, BOX), XML))
    finally:
        made.close()


def sent(server: Endpoint, request: int = -1) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = server.asked[request]["messages"]
    return messages


def pictures(message: dict[str, Any]) -> list[Image.Image]:
    if isinstance(message["content"], str):
        return []
    urls = [p["image_url"]["url"] for p in message["content"] if p["type"] == "image_url"]
    return [Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))) for url in urls]


def text(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "\n".join(p["text"] for p in content if p["type"] == "text")


# One step


def test_a_step_is_a_screenshot_out_and_actions_back() -> None:
    with endpoint(CLICK) as server:
        decision = act(server)
    assert decision.actions == (Click(x=140, y=65),)
    assert "I see Save." in (decision.thought or "")
    assert decision.reply == "I see Save.\n\n```python\npyautogui.click(140, 65)\n```"
    assert decision.attempts == 1
    assert decision.usage.input_tokens == 100
    assert decision.usage.cost_usd == pytest.approx((100 * 0.15 + 10 * 0.6) / 1e6)
    assert decision.model_ms > 0


def test_the_prompt_has_the_task_the_size_and_the_actions() -> None:
    with endpoint(CLICK) as server:
        act(server)
    system = text(sent(server)[0])
    assert "Press Save." in system
    assert "640 wide and 400 high" in system
    assert "pyautogui" in system
    assert "{" not in system.split("```python")[0]


@pytest.mark.parametrize("space", ["pyautogui", "computer_13", "actions"])
def test_each_action_space_has_its_prompt(space: str) -> None:
    said = {
        "pyautogui": "```python\npyautogui.click(140, 65)\n```",
        "computer_13": '```json\n{"action_type": "CLICK", "x": 140, "y": 65}\n```',
        "actions": '```json\n[{"type": "click", "x": 140, "y": 65}]\n```',
    }[space]
    with endpoint(reply(said)) as server:
        assert act(server, action_space=space).actions == (Click(x=140, y=65),)
    word = {"pyautogui": "hotkey", "computer_13": "action_type", "actions": "modifiers"}[space]
    assert word in text(sent(server)[0])


@pytest.mark.parametrize(
    ("said", "action"),
    [("```DONE```", Done()), ("```FAIL```", Fail()), ("```WAIT```", Wait())],
)
def test_the_special_words_end_or_wait(said: str, action: object) -> None:
    with endpoint(reply(f"So.\n{said}")) as server:
        (got,) = act(server).actions
    assert type(got) is type(action)


def test_the_record_points_at_the_frame() -> None:
    seen = observation()
    assert seen.screenshot is not None
    with endpoint(CLICK) as server:
        decision = act(server, seen)
    record = json.dumps(decision.exchanges[0].request)
    assert seen.screenshot.sha256 in record
    assert hashlib.sha256(seen.screenshot.png).hexdigest() == seen.screenshot.sha256
    assert "base64" not in record


# Observation types

TYPES = {
    "screenshot": (Needs(accessibility=False), 1, []),
    "a11y_tree": (Needs(screenshot=False, accessibility=True), 0, ["push-button\tSave", "(100, 50)\t(80, 30)"]),
    "screenshot_a11y_tree": (Needs(accessibility=True), 1, ["push-button\tSave"]),
    "som": (Needs(accessibility=True), 1, ["1\tpush-button\tSave"]),
}


@pytest.mark.parametrize(("kind", "expected"), TYPES.items())
def test_each_observation_type_asks_for_and_shows_what_it_says(
    kind: str, expected: tuple[Needs, int, list[str]]
) -> None:
    needs, count, texts = expected
    with endpoint(CLICK) as server:
        made = agent(server, observation=kind)
        made.act(observation(picture(640, 400, BOX), XML))
        made.close()
    assert made.needs == needs
    assert len(pictures(sent(server)[-1])) == count
    for expected_text in texts:
        assert expected_text in text(sent(server)[-1])


def test_a_tag_stands_for_the_middle_of_its_box() -> None:
    with endpoint(reply("```python\npyautogui.click(tag_1)\n```")) as server:
        assert act(server, observation="som").actions == (Click(x=140, y=65),)
        assert act(server, observation="som", image_size="320x200").actions == (Click(x=141, y=65),)


def test_marks_are_on_the_picture_that_is_sent() -> None:
    with endpoint(CLICK) as server:
        act(server, observation="som")
    (shown,) = pictures(sent(server)[-1])
    assert shown.convert("RGB").getpixel((140, 50)) == (255, 0, 0)


def test_a_tree_that_the_time_limit_cut_is_said_to_be_incomplete() -> None:
    with endpoint(CLICK) as server:
        act(server, observation(xml=XML, accessibility_complete=False), observation="a11y_tree")
    assert "incomplete" in text(sent(server)[-1])


@pytest.mark.parametrize("kind", ["a11y_tree", "som"])
def test_a_tree_that_is_not_there_is_the_desktops_fault(kind: str) -> None:
    with endpoint(CLICK) as server, pytest.raises(EnvError, match="no bus"):
        act(server, observation(problems=("no bus",)), observation=kind)
    assert server.asked == []


@pytest.mark.parametrize("size", ["none", "320x200"])
def test_a_picture_that_is_none_is_the_desktops_fault(size: str) -> None:
    broken = Observation(Screenshot.of(b"not a picture"), 640, 400)
    with endpoint(CLICK) as server, pytest.raises(EnvError, match="cannot be read"):
        act(server, broken, image_size=size)


# Scaling


def test_points_on_a_scaled_picture_are_scaled_back() -> None:
    with endpoint(reply("```python\npyautogui.click(70, 32)\n```")) as server:
        decision = act(server, max_side="320")
    (shown,) = pictures(sent(server)[-1])
    assert shown.size == (320, 200)
    assert "320 wide and 200 high" in text(sent(server)[0])
    assert decision.actions == (Click(x=141, y=65),)


def test_a_click_outside_the_screen_is_told_to_the_model() -> None:
    with endpoint(reply("```python\npyautogui.click(5000, 10)\n```"), CLICK) as server:
        decision = act(server)
    assert decision.actions == (Click(x=140, y=65),)
    assert "5000" in text(sent(server)[-1])


# Malformed replies


def test_a_reply_that_is_no_action_is_shown_to_the_model_and_asked_again() -> None:
    with endpoint(reply("I would rather not say."), CLICK) as server:
        decision = act(server)
    assert decision.actions == (Click(x=140, y=65),)
    assert decision.attempts == 2
    assert decision.usage.input_tokens == 200
    assert [m["role"] for m in sent(server)[-2:]] == ["assistant", "user"]
    assert sent(server)[-2]["content"] == "I would rather not say."


def test_a_reply_that_was_cut_off_is_asked_again_as_well() -> None:
    cut = reply("```python\npyautogui.cl", finish="length")
    with endpoint(cut, cut, CLICK) as server:
        assert act(server).actions == (Click(x=140, y=65),)
    assert "cut off" in text(sent(server)[-1])


def test_a_model_that_never_says_an_action_fails_with_all_that_it_said() -> None:
    with endpoint(reply("Hm.")) as server, pytest.raises(AgentError, match="none of 3 replies") as caught:
        act(server, retries="2")
    assert type(caught.value) is AgentError
    spent = caught.value.decision
    assert isinstance(spent, Decision)
    assert (spent.actions, spent.attempts, spent.usage.input_tokens) == ((), 3, 300)
    assert [e.reply for e in spent.exchanges] == ["Hm."] * 3


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Say("", 500), ModelError),
        (Say(fault="close"), ModelError),
        (error(401), ModelFatal),
        (reply(None, refusal="no"), RefusalError),
    ],
    ids=["500", "broken off", "401", "refusal"],
)
def test_no_fault_of_the_endpoint_becomes_a_decision(fault: Say, kind: type[AgentError]) -> None:
    with endpoint(fault) as server, pytest.raises(kind) as caught:
        act(server)
    assert type(caught.value) is kind
    assert caught.value.decision.actions == ()
    assert caught.value.decision.exchanges


# History


def test_the_last_steps_keep_their_pictures_and_older_ones_their_words() -> None:
    with endpoint(CLICK) as server:
        made = agent(server, history="2", observation="screenshot_a11y_tree")
        for _ in range(5):
            made.act(observation(xml=XML))
        made.close()
    messages = sent(server)
    users = [m for m in messages if m["role"] == "user"]
    assert [len(pictures(m)) for m in users] == [0, 0, 1, 1, 1]
    assert [NOT_SHOWN in text(m) for m in users] == [True, True, False, False, False]
    assert ["push-button" in text(m) for m in users] == [False, False, True, True, True]
    assert sum(m["role"] == "assistant" for m in messages) == 4
    assert [text(m).split("\n")[0] for m in users] == [f"Step {i} of at most 5." for i in range(1, 6)]


def test_a_new_episode_begins_with_nothing() -> None:
    with endpoint(CLICK) as server:
        made = agent(server)
        made.act(observation())
        made.start(GOAL)
        made.act(observation())
        made.close()
    assert [m["role"] for m in sent(server)] == ["system", "user"]


def test_what_went_wrong_with_an_action_is_told() -> None:
    results = (ActionResult(True), ActionResult(False, "no such key"), ActionResult(True, None, "42"))
    with endpoint(CLICK) as server:
        act(server, observation(results=results, answer="Yes."))
    said = text(sent(server)[-1])
    assert "Action 2 of the last step failed: no such key" in said
    assert "gave: 42" in said
    assert "The person answers: Yes." in said


def test_a_zoom_is_seen_at_the_next_step() -> None:
    with endpoint(reply('```json\n[{"type": "zoom", "region": [0, 0, 320, 100]}]\n```')) as server:
        made = agent(server, action_space="actions")
        made.act(observation())
        made.act(observation())
        made.close()
    assert [p.size for p in pictures(sent(server)[-1])] == [(640, 400), (640, 200)]


# Prompts


def test_an_exact_prompt_is_used_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text('Answer {"json": {}} on {width}x{height}, {unknown}. Do: {instruction}')
    with endpoint(CLICK) as server:
        act(server, prompt=str(tmp_path / "mine.txt"))
    assert text(sent(server)[0]) == 'Answer {"json": {}} on 640x400, {unknown}. Do: Press Save.'


def test_a_prompt_without_a_place_for_the_task_gets_it_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("Act.")
    with endpoint(CLICK) as server:
        act(server, prompt=str(tmp_path / "mine.txt"))
    assert text(sent(server)[0]) == "Act.\n\nThe task: Press Save."


def test_the_words_of_a_task_are_not_filled_in() -> None:
    with endpoint(CLICK) as server:
        made = agent(server)
        made.start(Goal("Type {width} and {instruction}.", 640, 400))
        made.act(observation())
        made.close()
    assert text(sent(server)[0]).endswith("Type {width} and {instruction}.")


def test_typed_text_comes_through_unchanged() -> None:
    with endpoint(reply('```python\npyautogui.write("<é, 日本> {x}")\n```')) as server:
        assert act(server).actions == (Type("<é, 日本> {x}"),)


def test_the_picture_is_the_frame_itself_when_nothing_is_scaled() -> None:
    image = picture()
    with endpoint(CLICK) as server:
        act(server, observation(image))
    url = sent(server)[-1]["content"][1]["image_url"]["url"]
    assert base64.b64decode(url.split(",")[1]) == png_bytes(image)
