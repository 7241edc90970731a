"""Show earlier steps in a request: pure functions from the episode so far to turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deskbench.agent.agents.profile import HistoryPolicy, Templates
from deskbench.agent.models.messages import Message, Native, Part, Picture, Result, Text
from deskbench.agent.prompting.templates import fill, parts_of
from deskbench.agent.replies.calls import Call, Malformed, unwrapped


@dataclass(frozen=True)
class Step:
    """One step of an episode.

    Attributes:
        n: its number, from 1.
        shown: the screen and regions of it.
        small: the same pictures for later steps (half size, for some families).
        notes: results of the last actions, or "".
        reply: the model's text without its reasoning; "" at the current step.
        thought, said, memory: its reasoning, the line that says what it does, and its own notes to remember.
        native: its turn as the endpoint returned it.
        calls: native calls in it, whose results the next turn must contain.
    """

    n: int
    shown: tuple[Text | Picture, ...]
    small: tuple[Text | Picture, ...] = ()
    notes: str = ""
    reply: str = ""
    thought: str = ""
    said: str = ""
    memory: str = ""
    native: Native | None = None
    calls: tuple[Call, ...] = ()


def pictured(count: int, policy: HistoryPolicy) -> list[int]:
    """The indexes of the steps whose pictures are shown; `count` steps include the current one.

    Pictures above the policy's number are dropped a chunk at a time. Until the next chunk is dropped, every request
    begins with the whole request before it, as an endpoint's cache needs.
    """
    over = max(0, count - policy.pictures) // policy.chunk * policy.chunk
    kept = list(range(over, count))
    return [0, *kept] if policy.first and over else kept


def build(
    templates: Templates, policy: HistoryPolicy, past: Sequence[Step], now: Step, values: Mapping[str, str]
) -> list[Message]:
    """The turns of a request.

    Args:
        templates, policy: the profile's, expanded.
        past: the earlier steps.
        now: the current step.
        values: names for the templates that stay the same for the whole episode.
    """
    steps = [*past, now]
    shown = set(pictured(len(steps), policy))
    hidden = [step for index, step in enumerate(past) if index not in shown]
    common = {**values, "n": str(now.n), "memory": past[-1].memory if past and past[-1].memory else "(nothing yet)"}
    common["steps"] = "\n".join(fill(templates.step, common | _own(step)) for step in hidden) or "None"
    system = fill(templates.system, common)
    turns = [Message.of("system", system)] if system else []
    if policy.shape == "single":
        return [*turns, _single(templates, policy, past, now, common, shown)]
    if policy.older == "merge" and hidden:
        turns.append(Message.of("assistant", common["steps"]))
    first = True
    for index, step in enumerate(steps):
        if index not in shown and policy.older not in ("keep", "replies"):
            continue
        before = past[index - 1] if index else None
        template = _template(templates, first=first, last=step is now)
        if index in shown or first or policy.older == "keep":
            turns.append(_seen(templates, policy, template, before, step, common, index in shown))
        elif step.notes:
            turns.append(Message.of(templates.role, step.notes))
        if step is not now:
            turns.append(_replied(templates, policy, step, common))
        first = False
    return turns


def _template(templates: Templates, *, first: bool, last: bool) -> str:
    if last and templates.now is not None:
        return templates.now
    return templates.first if first or templates.next is None else templates.next


def _own(step: Step) -> dict[str, str]:
    return {"n": str(step.n), "reply": step.reply, "thought": step.thought, "said": step.said}


def _seen(
    templates: Templates,
    policy: HistoryPolicy,
    template: str,
    before: Step | None,
    step: Step,
    common: Mapping[str, str],
    shown: bool,
) -> Message:
    """What the model saw at a step: the results of its calls, or a turn from the template."""
    pictures: Sequence[Text | Picture] = step.shown if shown else _hidden(policy)
    notes = [Text(step.notes)] if step.notes else []
    if before is not None and before.calls and policy.native:
        return Message("user", (*_results(templates, policy, before.calls, pictures), *notes))
    parts: Sequence[Part] = parts_of(template, {**common, **_own(step)}, pictures)
    return Message(templates.role, (*parts, *notes))


def _hidden(policy: HistoryPolicy) -> list[Text | Picture]:
    return [Text(policy.placeholder)] if policy.placeholder else []


def _results(
    templates: Templates, policy: HistoryPolicy, calls: Sequence[Call], pictures: Sequence[Text | Picture]
) -> list[Result]:
    """The results of all calls, in order; the last result has the current screen."""
    last = len(calls) - 1
    return [
        Result(
            str(call.id),
            call.name,
            (Text(fill(templates.result, _result_values(call))), *(pictures if index == last else ())),
            extra=call.extra,
            inside=policy.results == "inside",
        )
        for index, call in enumerate(calls)
    ]


def _result_values(call: Call) -> dict[str, str]:
    try:
        names = [inner.name for inner in unwrapped([call])]
    except Malformed:
        names = [call.name]
    return {"name": call.name, "lines": "\n".join(f"[{index}:{name}]" for index, name in enumerate(names))}


def _replied(templates: Templates, policy: HistoryPolicy, step: Step, common: Mapping[str, str]) -> Message:
    if policy.native and step.native is not None:
        return Message.of("assistant", step.native)
    return Message.of("assistant", fill(templates.reply, {**common, **_own(step)}))


def _single(
    templates: Templates,
    policy: HistoryPolicy,
    past: Sequence[Step],
    now: Step,
    common: Mapping[str, str],
    shown: set[int],
) -> Message:
    """Everything in one user turn, with the earlier steps in place of `{history}`."""
    before, _, after = templates.first.partition("{history}")
    parts: list[Text | Picture] = [Text(fill(before, common))]
    for index, step in enumerate(past):
        pictures: Sequence[Text | Picture] = step.small if index in shown else _hidden(policy)
        parts += parts_of(templates.past, {**common, **_own(step)}, pictures)
    parts += parts_of(after, common, now.shown)
    notes = [Text(now.notes)] if now.notes else []
    return Message("user", (*parts, *notes))
