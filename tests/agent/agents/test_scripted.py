"""The oracle: finds named targets, waits for them a stated number of times, says what it did not find."""

import pytest

from deskbench.agent.agents.scripted import LOOKS, OracleAgent
from deskbench.agent.base import CheckError, Goal
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.errors import EnvError
from deskbench.envs.providers.fake import FakeDesktop
from deskbench.envs.targets import parse_oracle
from deskbench.envs.types import Click, Done, Fail, Observation, Type, Wait
from deskbench.envs.wire import Observe


def look() -> Observation:
    return FakeDesktop("fake", DesktopSpec()).observe(Observe(accessibility=True))


def oracle(*steps: dict[str, object]) -> OracleAgent:
    agent = OracleAgent(parse_oracle(list(steps)))
    agent.start(Goal("", 1280, 800))
    return agent


SAVE: dict[str, object] = {"type": "click", "target": {"role": "push-button", "name": "Save"}}
OPEN: dict[str, object] = {"type": "click", "target": {"role": "push-button", "name": "Open"}}


def test_steps_come_one_by_one_and_done_is_added() -> None:
    agent = oracle({"type": "type", "text": "a"}, SAVE)
    said = [action for _ in range(3) for action in agent.act(look()).actions]
    assert said == [Type("a"), Click(x=60, y=35), Done()]


def test_an_oracle_that_ends_by_itself_gets_no_done() -> None:
    agent = oracle({"type": "fail"})
    assert agent.act(look()).actions == (Fail(),)


def test_it_needs_the_tree_only_for_named_targets() -> None:
    assert not oracle({"type": "type", "text": "a"}).needs.accessibility
    assert oracle(SAVE).needs.accessibility


def test_a_point_may_be_counted_from_the_edges_of_the_screen() -> None:
    seen = look()
    agent = oracle({"type": "click", "target": {"role": "screen", "at": [0, 1], "dx": 18, "dy": -18}})
    assert agent.act(seen).actions == (Click(x=18, y=seen.height - 18),)


def test_a_target_that_is_not_there_is_waited_for_and_then_named() -> None:
    agent = oracle(OPEN)
    waits = [agent.act(look()).actions[0] for _ in range(LOOKS - 1)]
    seconds = [action.seconds for action in waits if isinstance(action, Wait) and action.seconds is not None]
    assert len(seconds) == len(waits) and seconds == sorted(seconds)
    assert seconds[0] < 0.5 and sum(seconds) >= 9  # a dialog may be slow, but few are
    with pytest.raises(CheckError) as caught:
        agent.act(look())
    assert "'name': 'Open'" in str(caught.value)
    assert "'Save'" in str(caught.value)  # what is there instead


def test_the_nearest_names_are_told_first_with_their_roles() -> None:
    tree = "".join(
        f'<{role} name="{name}" cp:screencoord="(1, 1)" cp:size="(9, 9)"/>'
        for role, name in (
            ("label", "Zoom"),
            ("menu-item", "Save As..."),
            ("push-button", "Cancel"),
            ("menu", "Savings"),
        )
    )
    space = "https://accessibility.ubuntu.example.org/ns/component"
    seen = Observation(None, 1280, 800, accessibility=f'<desktop-frame xmlns:cp="{space}">{tree}</desktop-frame>')
    agent = oracle({"type": "click", "target": {"role": "push-button", "name": "Save as"}})
    with pytest.raises(CheckError, match=r"nearest: menu-item 'Save As\.\.\.', menu 'Savings', "):
        for _ in range(LOOKS):
            agent.act(seen)


def test_a_target_that_comes_late_is_found() -> None:
    agent = oracle(SAVE)
    empty = Observation(None, 1280, 800, accessibility="<desktop-frame/>")
    assert isinstance(agent.act(empty).actions[0], Wait)
    assert agent.act(look()).actions[0] == Click(x=60, y=35)


def test_a_desktop_without_a_tree_is_said_to_be_one() -> None:
    agent = oracle(SAVE)
    blind = Observation(None, 1280, 800, problems=("accessibility: the bus is down",))
    with pytest.raises(EnvError, match="the bus is down"):  # no fault of the task's
        for _ in range(LOOKS):
            agent.act(blind)
