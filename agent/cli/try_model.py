"""Try one family on one screenshot: show the request, the reply, and where its actions would go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deskbench.agent.agents.family import FamilyAgent
from deskbench.agent.base import Goal
from deskbench.agent.report.drawing import draw_actions
from deskbench.envs.errors import AgentError, EnvError, ModelError, UsageError
from deskbench.envs.types import Observation, Screenshot


@dataclass(frozen=True)
class Tried:
    """The result of one try.

    Attributes:
        family: its name.
        request: the request as a run would record it, with each picture replaced by its hash.
        reply, thought: the model's, or None if no model was asked.
        actions: canonical actions, in pixels of the screenshot.
        error: why the reply is not an action, or None.
        picture: the file with the actions drawn on the screenshot, or None.
        input_tokens, output_tokens, cost_usd: what the request cost.
    """

    family: str
    request: dict[str, Any]
    reply: str | None = None
    thought: str | None = None
    actions: tuple[dict[str, Any], ...] = ()
    error: str | None = None
    picture: Path | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None


def try_family(
    family: str,
    settings: Mapping[str, str],
    screenshot: Path,
    instruction: str,
    *,
    out: Path,
    reply: str | None = None,
    dry: bool = False,
) -> Tried:
    """Try a family.

    Args:
        family: its name, or the path of a profile.
        settings: the run's settings (`family_config.FamilySettings`).
        screenshot: a PNG.
        instruction: the task for the model.
        out: the picture to write.
        reply: read this reply instead of asking the model.
        dry: only build the request, and ask no model.

    Raises:
        UsageError: the family, a setting or the screenshot is wrong.
        ModelError: the endpoint failed.
    """
    seen = _observation(screenshot)
    offline = {"base_url": "http://127.0.0.1:9/v1"} if dry or reply is not None else {}
    agent = FamilyAgent.from_settings({"profile": family, **offline, **settings})
    try:
        agent.start(Goal(instruction, seen.width, seen.height))
        request = agent.preview(seen)
        if dry:
            return Tried(agent.profile.name, request)
        return _asked(agent, seen, request, reply, out)
    finally:
        agent.close()


def _asked(agent: FamilyAgent, seen: Observation, request: dict[str, Any], reply: str | None, out: Path) -> Tried:
    name = agent.profile.name
    try:
        if reply is not None:
            read = agent.read(reply, seen)
            actions, said, thought, usage = read.actions, reply, read.thought, None
        else:
            decision = agent.act(seen)
            actions, said, thought, usage = decision.actions, decision.reply or "", decision.thought, decision.usage
    except ModelError:
        raise
    except AgentError as error:
        spent = error.decision.exchanges if error.decision is not None else ()
        last = reply if reply is not None else (spent[-1].reply if spent else None)
        return Tried(name, request, last, error=str(error))
    assert seen.screenshot is not None
    out.parent.mkdir(parents=True, exist_ok=True)
    draw_actions(seen.screenshot.image, actions).save(out)
    found = Tried(name, request, said, thought, tuple(a.to_json() for a in actions), None, out)
    if usage is None:
        return found
    spent_on = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens, "cost_usd": usage.cost_usd}
    return Tried(**{**vars(found), **spent_on})


def _observation(path: Path) -> Observation:
    try:
        shot = Screenshot.of(path.read_bytes())
        return Observation(shot, shot.image.width, shot.image.height)
    except OSError as error:
        raise UsageError(f"cannot read the screenshot {path}: {error.strerror or error}") from None
    except EnvError as error:
        raise UsageError(f"the screenshot {path} is not a PNG: {error}") from None
