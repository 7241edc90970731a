"""Whole episodes of families whose vendors have their own loop: real HTTP on both sides of the model, and the one loop.

The desktop is the one in memory, because only what reaches it counts here. `test_family_desktop.py` has real desktops.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.agents.family import FamilyAgent
from deskbench.agent.base import Ending
from deskbench.agent.episode import run_episode
from deskbench.agent.runs.record import EpisodeReader, EpisodeWriter
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.providers.fake import FakeDesktop
from deskbench.envs.types import Click, Done, Drag, Key, Scroll, Type, Wait

from ..models.endpoint import Say, endpoint, reply
from ..models.speaking import said
from ..paper import plan, task
from .test_family import n2, tool

SCREEN = DesktopSpec(1000, 500)


def fara(**arguments: Any) -> Say:
    return reply(tool("computer_use", **arguments))


def autoglm(code: str) -> Say:
    return reply(f"<think>\nNext.\n</think>\n<answer>```python\n{code}\n```")


# The text box and the button of the desktop in memory are at (20..620, 60..360) and (20..100, 20..50).
SCRIPTS: dict[str, list[Say]] = {
    "yutori-n2": [
        n2(("left_click", {"coordinates": [100, 200]}), ("type", {"text": "hello"})),
        n2(("scroll", {"coordinates": [100, 200], "direction": "down", "amount": 2}), ("wait", {"duration": 0})),
        n2(("drag", {"start_coordinates": [100, 200], "coordinates": [200, 400]})),
        n2(("left_click", {})),
        n2(("left_click", {"coordinates": [50, 70]})),
        said("chat", "Saved."),
    ],
    "fara-1.5": [
        fara(action="left_click", coordinate=[100, 200]),
        fara(action="type", text="hello"),
        fara(action="scroll", pixels=-400),
        fara(action="left_click_drag", coordinate=[200, 400]),
        fara(action="press", coordinate=[50, 70]),
        fara(action="left_click", coordinate=[50, 70]),
        fara(action="terminate", answer="Saved."),
    ],
    "autoglm-v": [
        autoglm("Agent.type([100, 200], 'hello')"),
        autoglm("Agent.scroll([100, 200], 'down')"),
        autoglm("Agent.drag_and_drop([100, 200], [200, 400])"),
        autoglm("Agent.press([50, 70])"),
        autoglm("Agent.click([50, 70])"),
        autoglm("Agent.exit(success=True)"),
    ],
}
WHEEL = {
    "yutori-n2": Scroll(dy=-2, x=100, y=100), "fara-1.5": Scroll(dy=-2), "autoglm-v": Scroll(dy=-100, x=100, y=100),
}  # fmt: skip


@pytest.mark.parametrize("family", SCRIPTS)
def test_a_family_solves_a_task_and_corrects_itself(family: str, tmp_path: Path) -> None:
    desktop = FakeDesktop("fake", SCREEN)
    with endpoint(*SCRIPTS[family]) as server:
        agent = FamilyAgent.from_settings({"profile": family, "base_url": server.url})
        writer = EpisodeWriter(tmp_path / "episode")
        record = run_episode(plan(task(tmp_path), tmp_path / "assets", max_steps=9), agent, desktop, writer)
        writer.close()
    assert (record.ending, record.score.value) == (Ending.DONE, 1.0), record.error
    done = [action for action in desktop.done if not isinstance(action, (Done, Wait, Key))]
    drag = Drag(((100, 100), (200, 200)))
    assert done == [Click(x=100, y=100), Type("hello"), WHEEL[family], drag, Click(x=50, y=35)]
    steps = EpisodeReader(tmp_path / "episode").steps()
    assert [step.attempts for step in steps].count(2) == 1 and len(server.asked) == len(steps) + 1
    told = json.dumps(next(step for step in steps if step.attempts == 2).exchanges[1].request["messages"][-1])
    assert "nothing was done" in told


@pytest.mark.parametrize(
    ("family", "say"),
    [
        ("yutori-n2", lambda: said("chat", "", calls=[{"name": "infeasible", "arguments": {"reason": "No network."}}])),
        ("fara-1.5", lambda: fara(action="terminate", answer="No network. [INFEASIBLE]")),
        ("autoglm-v", lambda: autoglm("Agent.exit(success=False)")),
    ],
)
def test_a_family_says_that_a_task_cannot_be_done(family: str, say: Callable[[], Say], tmp_path: Path) -> None:
    with endpoint(say()) as server:
        agent = FamilyAgent.from_settings({"profile": family, "base_url": server.url})
        one = task(tmp_path, evaluator={"func": "infeasible"}, oracle=[{"type": "fail"}])
        writer = EpisodeWriter(tmp_path / "episode")
        record = run_episode(plan(one, tmp_path / "assets"), agent, FakeDesktop("fake", SCREEN), writer)
        writer.close()
    assert (record.ending, record.score.value) == (Ending.FAILED, 1.0), record.error


def test_a_family_that_never_answers_in_its_form_is_at_fault(tmp_path: Path) -> None:
    with endpoint(reply("<answer>```python\nAgent.click([500])\n```</answer>")) as server:
        agent = FamilyAgent.from_settings({"profile": "autoglm-v", "base_url": server.url, "retries": "1"})
        writer = EpisodeWriter(tmp_path / "episode")
        record = run_episode(plan(task(tmp_path), tmp_path / "a"), agent, FakeDesktop("fake", SCREEN), writer)
        writer.close()
    assert (record.ending, record.score.value) == (Ending.AGENT_ERROR, 0.0)
    assert "must be two numbers" in str(record.error) and len(server.asked) == 2
