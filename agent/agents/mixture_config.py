"""The data of an agent made of several: its experts, gate and combiner, in one TOML file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deskbench.envs.actions import nearest
from deskbench.envs.errors import UsageError
from deskbench.envs.foreign import first_fault, read_toml


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Expert(_Data):
    """An endpoint that can answer a step.

    Attributes:
        name: its name in the rules and the record.
        about: what it is good at, for a gate that is a model.
        settings: settings as for `deskbench run --set`: of a family if `profile` is among them, else of the prompt
            agent.
    """

    name: str
    about: str = ""
    settings: dict[str, str]


class Rule(_Data):
    """The experts for steps that meet certain conditions; all given conditions must hold.

    Attributes:
        steps: the step's number, counted from 1, is between these two, inclusive.
        same_screen: the screen has stayed the same for at least this many steps (1: nothing has changed).
        failed: an action of the last step failed.
        tree: this regular expression matches in the accessibility tree.
        elements: the tree has at least this many elements.
        use: the experts to ask.
    """

    steps: tuple[int, int] | None = None
    same_screen: int | None = Field(default=None, ge=1)
    failed: bool | None = None
    tree: str | None = None
    elements: int | None = None
    use: tuple[str, ...] = Field(min_length=1)


class Gate(_Data):
    """Chooses the experts to ask.

    Attributes:
        kind: what decides. `rules`: the first rule that holds. `classifier`: a function. `model`: an endpoint.
        rules: the rules, for `rules`.
        otherwise: the experts to ask if no rule holds, or if the classifier or model names none.
        function: `package.module:function`, which maps (observation, step) to names of experts, for `classifier`.
        settings: settings of the endpoint, for `model`: base_url, model and so on.
    """

    kind: Literal["rules", "classifier", "model"] = "rules"
    rules: tuple[Rule, ...] = ()
    otherwise: tuple[str, ...] = Field(min_length=1)
    function: str | None = None
    settings: dict[str, str] = Field(default_factory=dict)


class Combiner(_Data):
    """Picks one of several answers.

    Attributes:
        kind: `first`: ask the experts in order until one answers with an action. `vote`: ask all, and use the answer
            (kind and target) that most agree on, or the earlier expert's in a tie. `judge`: show the screen and the
            answers to an endpoint.
        near: targets within this many pixels agree.
        settings: settings of the judge's endpoint.
    """

    kind: Literal["first", "vote", "judge"] = "first"
    near: float = 14.0
    settings: dict[str, str] = Field(default_factory=dict)


class MixtureConfig(_Data):
    """Experts, gate, combiner."""

    name: str = "mixture"
    experts: tuple[Expert, ...] = Field(min_length=1)
    gate: Gate
    combine: Combiner = Combiner()

    @model_validator(mode="after")
    def _consistent(self) -> MixtureConfig:
        known = [expert.name for expert in self.experts]
        if len(set(known)) < len(known):
            raise ValueError("experts must have different names")
        for rule in self.gate.rules:
            _check_names(rule.use, known)
            if rule.tree is not None:
                try:
                    re.compile(rule.tree)
                except re.error as error:
                    raise ValueError(f"the rule's tree is not a regular expression: {error}") from None
        _check_names(self.gate.otherwise, known)
        if self.gate.kind == "classifier" and ":" not in (self.gate.function or ""):
            raise ValueError("a classifier needs function = 'package.module:function'")
        for what, part in (("gate", self.gate), ("combine", self.combine)):
            if part.kind in ("model", "judge") and not {"base_url", "model"} <= set(part.settings):
                raise ValueError(f"{what}: settings need base_url and model")
        return self

    @property
    def needs_tree(self) -> bool:
        """Whether a rule reads the accessibility tree."""
        return any(rule.tree is not None or rule.elements is not None for rule in self.gate.rules)


def _check_names(names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"unknown expert {name!r}{nearest(name, known)}")


def load_mixture(path: Path) -> MixtureConfig:
    """Read a mixture's file.

    Raises:
        UsageError: the file is wrong; the message is one line.
    """
    try:
        return MixtureConfig.model_validate(read_toml(path, f"the mixture {path}"))
    except ValidationError as error:
        raise UsageError(f"mixture: {path}: {first_fault(error, MixtureConfig.model_fields)}") from None
