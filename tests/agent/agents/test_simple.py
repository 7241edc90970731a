"""Baselines, replays and people."""

import io
from pathlib import Path

import pytest

from deskbench.agent.agents.human import HumanAgent
from deskbench.agent.agents.replay import ReplayAgent
from deskbench.agent.agents.simple import FailAgent, NullAgent, RandomAgent
from deskbench.agent.base import AgentError, Goal
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.providers.fake import FakeDesktop
from deskbench.envs.types import Action, Click, Done, Fail, Observation, Type

GOAL = Goal("Do it.", 1280, 800, max_steps=30, seed=4)


def look() -> Observation:
    return FakeDesktop("fake", DesktopSpec()).observe()


def test_null_is_done_and_fail_fails() -> None:
    for agent, action in ((NullAgent(), Done), (FailAgent(), Fail)):
        agent.start(GOAL)
        assert isinstance(agent.act(look()).actions[0], action)


def random_actions(seed: int) -> list[Action]:
    agent = RandomAgent()
    agent.start(Goal("", 1280, 800, max_steps=30, seed=seed))
    return [action for _ in range(30) for action in agent.act(look()).actions]


def test_random_is_the_same_for_the_same_seed_and_ends_at_the_limit() -> None:
    assert random_actions(4) == random_actions(4) != random_actions(5)
    assert isinstance(random_actions(4)[-1], Done)


def test_random_stays_on_the_screen() -> None:
    desktop = FakeDesktop("fake", DesktopSpec())
    results = desktop.act(random_actions(9)[:-1]).results
    assert all(result.ok for result in results)


def test_replay_answers_what_was_recorded_and_says_when_it_ends() -> None:
    agent = ReplayAgent([[Type("a")], [], [Done()]])
    agent.start(GOAL)
    assert [agent.act(look()).actions for _ in range(3)] == [(Type("a"),), (), (Done(),)]
    with pytest.raises(AgentError, match="recording ends"):
        agent.act(look())


def human(text: str) -> tuple[HumanAgent, io.StringIO]:
    asked = io.StringIO()
    agent = HumanAgent(asked, io.StringIO(text))
    agent.start(GOAL)
    return agent, asked


@pytest.mark.parametrize(
    ("line", "action"),
    [
        ('{"type": "click", "x": 10, "y": 20}', Click(x=10, y=20)),
        ("pyautogui.click(10, 20)", Click(x=10, y=20)),
        ("pyautogui.write('héllo')", Type("héllo")),
        ("DONE", Done()),
        ("FAIL", Fail()),
    ],
)
def test_a_person_answers_in_json_or_pyautogui(line: str, action: Action) -> None:
    agent, _ = human(line + "\n")
    assert agent.act(look()).actions == (action,)
    agent.close()


def test_a_person_is_told_the_task_and_where_the_picture_is() -> None:
    agent, asked = human("DONE\n")
    seen = look()
    agent.act(seen)
    path = Path(asked.getvalue().split("step 1 of at most 30: ")[1].splitlines()[0])
    assert seen.screenshot and path.read_bytes() == seen.screenshot.png
    assert "Do it." in asked.getvalue()
    agent.close()
    assert not path.exists()


def test_an_answer_that_is_no_action_is_asked_for_again() -> None:
    agent, asked = human('{"type": "clack"}\npyautogui.clack(1)\nDONE\n')
    assert agent.act(look()).actions == (Done(),)
    assert asked.getvalue().count("cannot be carried out") == 2
    agent.close()


def test_an_empty_line_looks_again() -> None:
    agent, _ = human("\n")
    assert agent.act(look()).actions == ()
    agent.close()


def test_when_nobody_answers_the_agent_gives_up() -> None:
    agent, _ = human("")
    with pytest.raises(AgentError, match="input has ended"):
        agent.act(look())
    agent.close()
