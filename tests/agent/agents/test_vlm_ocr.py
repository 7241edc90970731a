"""The vision-language agent and the OCR endpoint together: pictures in, actions out, nothing else between them."""

import threading
from collections.abc import Iterator

import pytest
from PIL import Image, ImageDraw, ImageFont

from deskbench.agent.agents.vlm import VlmAgent
from deskbench.agent.base import Goal
from deskbench.agent.ocr.server import base_url, make_server
from deskbench.envs.types import Click, Done, Fail, Key, Type, Wait

from .screens import node, observation, tree

FORM = {"Settings": (30, 20), "Name:": (30, 100), "Remember me": (30, 200), "Cancel": (400, 340), "Submit": (520, 340)}
SIZE = (640, 400)

pytestmark = pytest.mark.ocr


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with make_server("127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield base_url(server)
        server.shutdown()
        thread.join()


def form() -> Image.Image:
    picture = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(picture)
    for text, where in FORM.items():
        pen.text(where, text, fill="black", font=ImageFont.load_default(size=18))
    return picture


def play(url: str, instruction: str, **settings: str) -> list[object]:
    agent = VlmAgent.from_settings({"base_url": url, "model": "deskbench-ocr", **settings})
    assert isinstance(agent, VlmAgent)
    agent.check()
    agent.start(Goal(instruction, *SIZE))
    actions: list[object] = []
    seen = observation(form(), tree(node("push-button", "Submit", (510, 330, 90, 40))))
    for _ in range(8):
        decision = agent.act(seen)
        assert decision.usage.cost_usd == 0
        assert decision.attempts == 1
        actions += decision.actions
        if isinstance(actions[-1], (Done, Fail)):
            break
    agent.close()
    return actions


@pytest.mark.parametrize("space", ["pyautogui", "computer_13", "actions"])
def test_a_form_is_filled_in_whatever_the_action_space(url: str, space: str) -> None:
    instruction = 'Set the name to "Ada <é>", tick Remember me and press Submit.'
    click, empty, text, tick, submit, done = play(url, instruction, action_space=space, history="1")
    assert isinstance(click, Click) and click.x is not None and click.x > 80 and 95 < (click.y or 0) < 125
    assert (empty, text) == (Key(("ctrl", "a")), Type("Ada <é>"))
    assert isinstance(tick, Click) and 195 < (tick.y or 0) < 225
    assert isinstance(submit, Click) and 515 < (submit.x or 0) < 600
    assert isinstance(done, Done)


@pytest.mark.parametrize("observed", ["screenshot_a11y_tree", "som"])
def test_other_observations_have_the_picture_that_it_needs(url: str, observed: str) -> None:
    click, done = play(url, "Press Submit.", observation=observed, max_side="500")
    assert isinstance(click, Click) and 515 < (click.x or 0) < 600 and 335 < (click.y or 0) < 365
    assert isinstance(done, Done)


def test_what_is_not_there_is_looked_for_twice_and_then_it_fails(url: str) -> None:
    look, end = play(url, 'Click "Print"')
    assert isinstance(look, Wait)
    assert isinstance(end, Fail)
