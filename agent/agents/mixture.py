"""An agent made of several experts: a gate picks who answers each step, and a combiner picks one of the answers."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deskbench.agent.agents.agreement import same_actions
from deskbench.agent.agents.mixture_config import MixtureConfig, Rule, load_mixture
from deskbench.agent.agents.model import ModelAgent
from deskbench.agent.agents.settings import client_config
from deskbench.agent.agents.vlm import VlmAgent
from deskbench.agent.base import Decision, Exchange, Goal, Needs, Usage
from deskbench.agent.models.client import ModelClient, Spending
from deskbench.agent.models.messages import Message
from deskbench.agent.prompting.observing import look
from deskbench.agent.prompting.scaling import Scale
from deskbench.envs import wait
from deskbench.envs.errors import AgentError, ModelError, ReplyError, UsageError
from deskbench.envs.types import Observation

_Expert = ModelAgent[Any, Any]
_ELEMENT = re.compile(r"<[A-Za-z]")


class MixtureAgent:
    """Asks the experts that the gate picks, and tells the others what was done."""

    def __init__(self, config: MixtureConfig) -> None:
        self.config = config
        self.name = config.name
        self._experts: dict[str, _Expert] = {e.name: VlmAgent.from_settings(e.settings) for e in config.experts}
        seen = [expert.needs for expert in self._experts.values()]
        self.needs = Needs(
            screenshot=True,
            accessibility=config.needs_tree or any(needs.accessibility for needs in seen),
        )
        self._gate = ModelClient(client_config("gate", config.gate.settings)) if config.gate.kind == "model" else None
        self._judge = (
            ModelClient(client_config("combine", config.combine.settings)) if config.combine.kind == "judge" else None
        )
        self._classify = _function(config.gate.function) if config.gate.kind == "classifier" else None
        self._goal = Goal("", 0, 0)
        self._deadline: float | None = None
        self._frames: list[str] = []

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> MixtureAgent:
        """Make an agent from a run's settings: `mixture`, the path of its file.

        Raises:
            UsageError: the setting is missing, or the file cannot be read or is wrong.
        """
        if set(settings) != {"mixture"}:
            raise UsageError("mixture: use --set mixture=FILE.toml, and put all other settings into that file")
        return cls(load_mixture(Path(settings["mixture"])))

    def check(self) -> None:
        """Check before a run that all endpoints can be reached.

        Raises:
            ModelError: an endpoint cannot be reached, or does not accept the key.
        """
        for part in (*self._experts.values(), self._gate, self._judge):
            if part is not None:
                part.check()

    def start(self, goal: Goal) -> None:
        """Begin an episode with every expert."""
        self._goal = goal
        self._frames = []
        self._deadline = wait.now() + goal.seconds if goal.seconds is not None else None
        for expert in self._experts.values():
            expert.start(goal)

    def close(self) -> None:
        """Close all connections."""
        for part in (*self._experts.values(), self._gate, self._judge):
            if part is not None:
                part.close()

    def act(self, observation: Observation) -> Decision:
        """The decision of the expert that the gate and the combiner choose, with the cost of all experts.

        Raises:
            AgentError: none of the experts asked answered with an action.
            ModelError: an endpoint failed.
        """
        self._frames.append(observation.screenshot.sha256 if observation.screenshot else "")
        spending = Spending()
        answers: dict[str, Decision] = {}
        failed: dict[str, str] = {}
        try:
            picked, why = self._pick(observation, spending)
            self._ask(picked, observation, answers, failed, spending)
            chosen, how = self._combine(answers, observation, spending)
        except AgentError as error:
            error.decision = _whole(Decision(()), answers, spending, ())
            raise
        for name, expert in self._experts.items():
            if name != chosen:
                expert.witness(observation, answers[chosen].actions, asked=name in answers)
        note = self._note(picked, chosen, why, how, answers, failed, spending)
        return _whole(answers[chosen], answers, spending, (note,))

    # -- the gate

    def _pick(self, observation: Observation, spending: Spending) -> tuple[tuple[str, ...], str]:
        """The experts to ask, and why."""
        gate = self.config.gate
        if self._gate is not None:
            return self._named(self._gate_says(observation, spending)), "model"
        if self._classify is not None:
            said = self._classify(observation, len(self._frames))
            return self._named([said] if isinstance(said, str) else said), "classifier"
        for number, rule in enumerate(gate.rules, 1):
            if self._holds(rule, observation):
                return rule.use, f"rule {number}"
        return gate.otherwise, "otherwise"

    def _named(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in self._experts if name in names) or self.config.gate.otherwise

    def _holds(self, rule: Rule, observation: Observation) -> bool:
        step, tree = len(self._frames), observation.accessibility or ""
        if rule.steps is not None and not rule.steps[0] <= step <= rule.steps[1]:
            return False
        if rule.same_screen is not None:
            last = self._frames[-rule.same_screen - 1 :]
            if len(last) <= rule.same_screen or len(set(last)) > 1:
                return False
        if rule.failed is not None and rule.failed is not any(not result.ok for result in observation.results):
            return False
        if rule.tree is not None and not re.search(rule.tree, tree):
            return False
        return rule.elements is None or len(_ELEMENT.findall(tree)) >= rule.elements

    def _gate_says(self, observation: Observation, spending: Spending) -> list[str]:
        """The experts that the gate's model names."""
        assert self._gate is not None
        who = "\n".join(f"{e.name}: {e.about or 'an agent'}" for e in self.config.experts)
        system = (
            "You choose who does the next step of a task on a computer. Answer with one name of this list and "
            f"nothing else.\n{who}\n\nThe task: {self._goal.instruction}"
        )
        shown = look(observation, "screenshot", Scale.fit((observation.width, observation.height), None, 512)).parts
        messages = [Message.of("system", system), Message.of("user", f"Step {len(self._frames)}.", *shown)]
        said = self._gate.complete(messages, spending, self._deadline).text
        return [name for name in self._experts if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said)][:1]

    # -- the experts

    def _ask(
        self,
        picked: Sequence[str],
        observation: Observation,
        answers: dict[str, Decision],
        failed: dict[str, str],
        spending: Spending,
    ) -> None:
        """Ask the experts in order; with the combiner `first`, stop at the first answer."""
        for name in picked:
            try:
                answers[name] = self._experts[name].act(observation)
            except ModelError as error:
                _book(error.decision, spending)
                raise
            except AgentError as error:  # the next expert may do better
                failed[name] = str(error)
                _book(error.decision, spending)
            if answers and self.config.combine.kind == "first":
                return
        if not answers:
            why = "; ".join(f"{name}: {error}" for name, error in failed.items())
            raise AgentError(f"none of the experts answered with an action: {why}")

    # -- the combiner

    def _combine(
        self, answers: Mapping[str, Decision], observation: Observation, spending: Spending
    ) -> tuple[str, dict[str, Any]]:
        """The name of the expert whose answer is used, and facts about the choice."""
        names = list(answers)
        if len(names) == 1 or self.config.combine.kind == "first":
            return names[0], {}
        groups = self._groups(answers)
        if self.config.combine.kind == "vote" or len(groups) == 1:
            best = max(groups, key=len)  # the first of the largest groups
            return best[0], {"votes": groups}
        return self._judged(names, answers, observation, spending)

    def _groups(self, answers: Mapping[str, Decision]) -> list[list[str]]:
        """Groups of experts that agree."""
        groups: list[list[str]] = []
        for name, decision in answers.items():
            for group in groups:
                if same_actions(answers[group[0]].actions, decision.actions, self.config.combine.near):
                    group.append(name)
                    break
            else:
                groups.append([name])
        return groups

    def _judged(
        self, names: Sequence[str], answers: Mapping[str, Decision], observation: Observation, spending: Spending
    ) -> tuple[str, dict[str, Any]]:
        """Show the judge the screen and the numbered answers; without a valid number, the first answer is used."""
        assert self._judge is not None
        lines = [f"{i}. {_words(answers[name])}" for i, name in enumerate(names, 1)]
        system = (
            "Several agents propose the next step of a task on a computer. Answer with the number of the best proposal "
            f"and nothing else.\n\nThe task: {self._goal.instruction}"
        )
        shown = look(observation, "screenshot", Scale.fit((observation.width, observation.height), None, None)).parts
        messages = [Message.of("system", system), Message.of("user", *shown, "\n".join(lines))]
        try:
            said = self._judge.complete(messages, spending, self._deadline).text
        except ReplyError as error:
            said = str(error)
        number = next((int(n) for n in re.findall(r"\d{1,3}", said) if 1 <= int(n) <= len(names)), None)
        return names[(number or 1) - 1], {"judge": said[:200], "named": number is not None}

    def _note(
        self,
        picked: Sequence[str],
        chosen: str,
        why: str,
        how: Mapping[str, Any],
        answers: Mapping[str, Decision],
        failed: Mapping[str, str],
        spending: Spending,
    ) -> dict[str, Any]:
        """What each expert did and its cost; `own` is the cost of the gate, the judge and failed answers."""
        usages = {name: decision.usage for name, decision in answers.items()}
        return {
            "what": "mixture", "gate": why, "picked": list(picked), "chosen": chosen, **how, "failed": dict(failed),
            "asked": {name: _spent(usage) for name, usage in usages.items()}, "own": _spent(spending.usage),
            "spared": [name for name in self._experts if name not in answers and name not in failed],
        }  # fmt: skip


def _function(dotted: str | None) -> Callable[[Observation, int], str | Sequence[str]]:
    module, _, name = (dotted or "").partition(":")
    try:
        found: Callable[[Observation, int], str | Sequence[str]] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"mixture: the gate's function {dotted!r} cannot be imported: {error}") from None
    return found


def _book(decision: Any, spending: Spending) -> None:
    """Add the cost of a failed answer to the mixture's own cost."""
    if isinstance(decision, Decision):
        for exchange in decision.exchanges:
            spending.add(exchange, Usage())
        spending.usage += decision.usage
        spending.ms += decision.model_ms


def _whole(
    chosen: Decision, answers: Mapping[str, Decision], spending: Spending, notes: Sequence[Mapping[str, Any]]
) -> Decision:
    """A decision with the cost of all experts that were asked."""
    everyone = list(answers.values())
    usage = spending.usage
    exchanges: list[Exchange] = list(spending.exchanges)
    for one in everyone:
        usage += one.usage
        exchanges += one.exchanges
    return Decision(
        chosen.actions,
        chosen.reply,
        chosen.thought,
        usage,
        spending.ms + sum(one.model_ms for one in everyone),
        len(exchanges),
        tuple(exchanges),
        (*notes, *chosen.notes),
    )


def _words(decision: Decision) -> str:
    return json.dumps([action.to_json() for action in decision.actions], ensure_ascii=False)[:1000]


def _spent(usage: Usage) -> dict[str, Any]:
    return {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens, "cost_usd": usage.cost_usd}
