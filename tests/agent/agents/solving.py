"""The oracle as a model: what it does next, said in a family's own grammar by a scripted endpoint.

The endpoint sees requests only; the oracle sees what the desktop showed the agent, as a person beside the model would.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from deskbench.agent.agents.family import FamilyAgent
from deskbench.agent.agents.scripted import OracleAgent
from deskbench.agent.base import Decision, Goal, Needs
from deskbench.agent.prompting.pictures import scale_for
from deskbench.agent.replies.spaces import Space
from deskbench.envs.targets import OracleStep
from deskbench.envs.types import Action, Click, Done, Drag, Key, Observation, Scroll, Type, Wait

from ..models.endpoint import Endpoint, Say
from ..models.speaking import said

Point = Callable[[int, int], tuple[float, float]]


class Prompted:
    """A family's agent, whose model is told beforehand what the oracle would do on each screen."""

    name = "prompted"
    needs = Needs(accessibility=True)

    def __init__(self, agent: FamilyAgent, server: Endpoint, oracle: Sequence[OracleStep]) -> None:
        self._agent, self._server, self._oracle = agent, server, OracleAgent(oracle)

    def start(self, goal: Goal) -> None:
        self._agent.start(goal)
        self._oracle.start(goal)

    def act(self, observation: Observation) -> Decision:
        profile = self._agent.profile
        scale = scale_for(profile.image, (observation.width, observation.height))
        space = Space(profile.space.kind, scale.screen, scale.image, profile.space.grid)
        actions = self._oracle.act(observation).actions
        self._server.script[:] = [SAY[profile.name](actions, space.to_model)]
        return self._agent.act(observation)

    def close(self) -> None:
        self._agent.close()


def kimi(actions: Sequence[Action], point: Point) -> Say:
    lines = "\n".join(line for action in actions for line in _python(action, point))
    return said("chat", f"## Action:\nThe next step.\n\n## Code:\n```python\n{lines}\n```")


def _python(action: Action, point: Point) -> list[str]:
    if isinstance(action, Click) and action.x is not None and action.y is not None:
        x, y = point(action.x, action.y)
        return [f"pyautogui.click(x={x}, y={y}, clicks={action.count}, button={action.button!r})"]
    if isinstance(action, Drag):
        (x, y), (to_x, to_y) = (point(*action.path[0]), point(*action.path[-1]))
        return [f"pyautogui.moveTo({x}, {y})", f"pyautogui.dragTo({to_x}, {to_y})"]
    if isinstance(action, Type):
        return [f"pyautogui.write({action.text!r})"]
    if isinstance(action, Key):
        return [f"pyautogui.hotkey({', '.join(map(repr, action.keys))})"]
    if isinstance(action, Wait):
        return [f"time.sleep({action.seconds})"]
    assert isinstance(action, Done), action
    return ['computer.terminate(status="success")']


def ui_tars(actions: Sequence[Action], point: Point) -> Say:
    calls = "\n\n".join(_call(action, point) for action in actions)
    return said("chat", f"Thought: The next step.\nAction: {calls}")


def _call(action: Action, point: Point) -> str:
    if isinstance(action, Click) and action.x is not None and action.y is not None:
        x, y = point(action.x, action.y)
        name = {("left", 1): "click", ("left", 2): "left_double", ("right", 1): "right_single"}
        return f"{name[action.button, action.count]}(start_box='({x},{y})')"
    if isinstance(action, Type):
        return f"type(content={action.text!r})"
    if isinstance(action, Key):
        return f"hotkey(key='{' '.join(action.keys)}')"
    if isinstance(action, Wait):
        return "wait()"
    assert isinstance(action, Done), action
    return "finished(content='')"


def qwen(actions: Sequence[Action], point: Point) -> Say:
    calls = "\n".join(
        f"<tool_call>\n{json.dumps({'name': 'computer_use', 'arguments': _arguments(action, point)})}\n</tool_call>"
        for action in actions
    )
    return said("chat", f"Action: The next step.\n{calls}")


def _arguments(action: Action, point: Point) -> dict[str, Any]:
    if isinstance(action, Click) and action.x is not None and action.y is not None:
        names = {("left", 1): "left_click", ("left", 2): "double_click", ("right", 1): "right_click"}
        return {"action": names[action.button, action.count], "coordinate": list(point(action.x, action.y))}
    if isinstance(action, Type):
        return {"action": "type", "text": action.text}
    if isinstance(action, Key):
        return {"action": "key", "keys": list(action.keys)}
    if isinstance(action, Wait):
        return {"action": "wait", "time": action.seconds}
    assert isinstance(action, Done), action
    return {"action": "terminate", "status": "success"}


def claude(actions: Sequence[Action], point: Point) -> Say:
    calls = [call for action in actions for call in _tool_use(action, point)]
    if not calls:
        return said("messages", "All is done. [DONE]")
    return said("messages", "The next step.", calls=calls)


def _tool_use(action: Action, point: Point) -> list[dict[str, Any]]:
    if isinstance(action, Click) and action.x is not None and action.y is not None:
        names = {("left", 1): "left_click", ("left", 2): "double_click", ("right", 1): "right_click"}
        x, y = map(int, point(action.x, action.y))
        return [{"name": names[action.button, action.count], "arguments": {"coordinate": [x, y]}}]
    if isinstance(action, Type):
        return [{"name": "type", "arguments": {"text": action.text}}]
    if isinstance(action, Key):
        return [{"name": "key", "arguments": {"text": "+".join(action.keys)}}]
    if isinstance(action, Wait):
        return [{"name": "wait", "arguments": {"duration": action.seconds}}]
    assert isinstance(action, Done), action
    return []


def openai(actions: Sequence[Action], point: Point) -> Say:
    calls = [call for action in actions for call in _computer(action, point)]
    if not calls:
        return said("responses", "All is done. [DONE]")
    return said("responses", "", calls=calls)


def _computer(action: Action, point: Point) -> list[dict[str, Any]]:
    if isinstance(action, Click) and action.x is not None and action.y is not None:
        x, y = point(action.x, action.y)
        name = "double_click" if action.count == 2 else "click"
        button = {} if action.count == 2 else {"button": action.button}
        return [{"name": name, "arguments": {"x": x, "y": y, **button}}]
    if isinstance(action, Scroll):
        place = {"x": action.x, "y": action.y, "scroll_x": 100 * action.dx, "scroll_y": -100 * action.dy}
        return [{"name": "scroll", "arguments": place}]
    if isinstance(action, Type):
        return [{"name": "type", "arguments": {"text": action.text}}]
    if isinstance(action, Key):
        return [{"name": "keypress", "arguments": {"keys": [key.upper() for key in action.keys]}}]
    if isinstance(action, Wait):
        return [{"name": "wait", "arguments": {}}]
    assert isinstance(action, Done), action
    return []


SAY: dict[str, Callable[[Sequence[Action], Point], Say]] = {
    "kimi-vl": kimi, "ui-tars-1.5": ui_tars, "qwen3-vl": qwen, "claude": claude, "openai-computer": openai,
}  # fmt: skip
