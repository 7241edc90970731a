"""The OCR endpoint's policy: it decides from an instruction and the lines of text on the screen, without cheating.

It sees what any model sees. It remembers nothing between requests, and reads its position from its own last reply.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from deskbench.agent.ocr.match import Line, find, right_of
from deskbench.agent.ocr.plan import Step, make_plan

LOOKS = 2
"""How often the policy looks for something before it continues without it."""
CONFIRM = ("Yes", "OK", "Delete", "Move to Trash", "Confirm", "Continue")
"""Possible names of the button that confirms, most common first."""
_MEMORY = re.compile(r"\[next (\d+), done (\d+), missing (\d+), looked (\d+)\]")

Primitive = dict[str, Any]
"""An action in the canonical JSON form."""


@dataclass(frozen=True)
class Memory:
    """The position: the next step's index, the numbers of steps done and not found, and the looks for the next one."""

    next: int = 0
    done: int = 0
    missing: int = 0
    looked: int = 0

    @classmethod
    def of(cls, earlier: Sequence[str]) -> Memory:
        """Read the position from its own earlier replies; without one, each reply counts as one finished step."""
        for reply in reversed(earlier):
            found = _MEMORY.findall(reply)
            if found:
                return cls(*map(int, found[-1]))
        return cls(len(earlier), len(earlier))

    def __str__(self) -> str:
        return f"[next {self.next}, done {self.done}, missing {self.missing}, looked {self.looked}]"


def answer(
    instruction: str, lines: Sequence[Line], earlier: Sequence[str], size: tuple[int, int], action_space: str
) -> str:
    """The next reply.

    Args:
        instruction: the task in words.
        lines: the text on the screen, in reading order.
        earlier: the policy's own replies so far.
        size: size of the picture in pixels.
        action_space: `pyautogui`, `computer_13` or `actions`.
    """
    plan = make_plan(instruction)
    memory = Memory.of(earlier)
    while memory.next < len(plan):
        step = plan[memory.next]
        actions = _carry_out(step, lines, size)
        if actions == []:
            memory = replace(memory, next=memory.next + 1)
        elif actions is not None:
            after = replace(memory, next=memory.next + 1, done=memory.done + (not step.prepares), looked=0)
            return _reply(f"Step {memory.next + 1} of {len(plan)}: {_say(step)}.", after, actions, action_space)
        elif memory.looked + 1 < LOOKS:
            after = replace(memory, looked=memory.looked + 1)
            return _reply(f"I do not see {step.label!r} yet and look again.", after, [{"type": "wait"}], action_space)
        else:
            memory = Memory(memory.next + 1, memory.done, memory.missing + 1)
    if memory.done == 0:
        why = "Nothing that the task names is on the screen." if plan else "I do not know how to begin with this task."
        return _reply(why, memory, [{"type": "fail", "reason": why}], action_space)
    return _reply("All that I understood of the task is done.", memory, [{"type": "done"}], action_space)


def _carry_out(step: Step, lines: Sequence[Line], size: tuple[int, int]) -> list[Primitive] | None:
    """The actions of a step, empty if there is nothing to do, or None if its target is not on the screen."""
    if step.kind == "confirm":
        names = (step.label,) if step.label else CONFIRM
        button = next((found for name in names if (found := find(name, lines))), None)
        return [] if button is None else [_click(*button.centre)]
    if step.kind == "keys":
        return [{"type": "key", "keys": list(step.keys)}]
    if step.kind == "wait":
        return [{"type": "wait"}]
    if step.kind == "scroll":
        return [{"type": "scroll", "dy": step.amount, "x": size[0] // 2, "y": size[1] // 2}]
    if step.kind == "type":
        return _type(step, lines, size)
    found = find(step.label or "", lines)
    if found is None:
        return None
    x, y = right_of(found, lines, size[0]) if step.beside else found.centre
    if step.kind == "click":
        return [_click(x, y, step.button, step.count)]
    end = find(step.target or "", lines)
    return [{"type": "drag", "path": [[x, y], list(end.centre)]}] if end else None


def _type(step: Step, lines: Sequence[Line], size: tuple[int, int]) -> list[Primitive]:
    """Type into the field beside its label, or at the keyboard focus if the label is not on the screen."""
    found = find(step.label, lines) if step.label else None
    actions: list[Primitive] = []
    if found is not None:
        x, y = right_of(found, lines, size[0])
        actions.append(_click(x, y))
    if step.replace and (found is not None or step.label is None):
        actions.append({"type": "key", "keys": ["ctrl", "a"]})
    return [*actions, {"type": "type", "text": step.text + ("\n" if step.enter else "")}]


def _click(x: int, y: int, button: str = "left", count: int = 1) -> Primitive:
    return {"type": "click", "x": x, "y": y, "button": button, "count": count}


def _say(step: Step) -> str:
    if step.kind == "keys":
        return f"press {'+'.join(step.keys)}"
    if step.kind == "type":
        return f"type {step.text!r}" + (f" for {step.label!r}" if step.label else "")
    return f"{step.kind} {step.label!r}" if step.label else step.kind


def _reply(thought: str, memory: Memory, actions: list[Primitive], action_space: str) -> str:
    return f"{thought} {memory}\n\n{render(actions, action_space)}"


def render(actions: Sequence[Primitive], action_space: str) -> str:
    """Actions as fenced text of an action space."""
    if action_space == "actions":
        return f"```json\n{json.dumps(list(actions), ensure_ascii=False)}\n```"
    ends = {"wait": "WAIT", "done": "DONE", "fail": "FAIL"}
    if action_space == "computer_13":
        objects = [o for action in actions for o in _computer_13(action, ends)]
        return f"```json\n{json.dumps(objects[0] if len(objects) == 1 else objects, ensure_ascii=False)}\n```"
    if actions[0]["type"] in ends:
        return f"```{ends[actions[0]['type']]}```"
    return "```python\n" + "\n".join(line for action in actions for line in _python(action)) + "\n```"


def _python(action: Primitive) -> list[str]:
    kind = action["type"]
    if kind == "click":
        where = f"{action['x']}, {action['y']}"
        return [f"pyautogui.click({where}, clicks={action.get('count', 1)}, button={action.get('button', 'left')!r})"]
    if kind == "key":
        return [f"pyautogui.hotkey({', '.join(map(repr, action['keys']))})"]
    if kind == "type":
        return [f"pyautogui.write({action['text']!r})"]
    if kind == "scroll":
        return [f"pyautogui.scroll({action['dy']}, {action['x']}, {action['y']})"]
    (x, y), (end_x, end_y) = action["path"]
    return [f"pyautogui.moveTo({x}, {y})", f"pyautogui.dragTo({end_x}, {end_y}, button='left')"]


def _computer_13(action: Primitive, ends: dict[str, str]) -> list[Primitive]:
    kind = action["type"]
    if kind in ends:
        return [{"action_type": ends[kind]}]
    if kind == "click":
        where = {"x": action["x"], "y": action["y"]}
        return [
            {
                "action_type": "CLICK",
                **where,
                "button": action.get("button", "left"),
                "num_clicks": action.get("count", 1),
            }
        ]
    if kind == "key":
        return [{"action_type": "HOTKEY", "keys": action["keys"]}]
    if kind == "type":
        return [{"action_type": "TYPING", "text": action["text"]}]
    if kind == "scroll":
        return [{"action_type": "SCROLL", "dx": 0, "dy": action["dy"]}]
    (x, y), (end_x, end_y) = action["path"]
    return [{"action_type": "MOVE_TO", "x": x, "y": y}, {"action_type": "DRAG_TO", "x": end_x, "y": end_y}]
