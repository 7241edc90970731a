"""An agent made of several, as data: its experts, its gate and its combiner, in one TOML file."""

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
        name: for the rules and the record.
        about: what it is good at, for a gate that is a model.
        settings: as `deskbench run --set` takes them; with `profile`, of a family, else of the prompt agent.
    """

    name: str
    about: str = ""
    settings: dict[str, str]


class Rule(_Data):
    """Who answers a step that looks like this; all that is given must hold.

    Attributes:
        steps: the step's number is from the first to the second, from 1.
        same_screen: the screen is the one of so many steps before, at least (1: nothing has changed).
        failed: an action of the last step failed.
        tree: a regular expression found in the accessibility tree.
        elements: the tree has so many elements at least.
        use: the experts to ask.
    """

    steps: tuple[int, int] | None = None
    same_screen: int | None = Field(default=None, ge=1)
    failed: bool | None = None
    tree: str | None = None
    elements: int | None = None
    use: tuple[str, ...] = Field(min_length=1)


class Gate(_Data):
    """Who is asked.

    Attributes:
        kind: `rules`: the first rule that holds. `classifier`: a function. `model`: an endpoint.
        rules: for `rules`.
        otherwise: the experts where no rule holds, or the classifier or model names none.
        function: `package.module:function`, of (observation, step) to names of experts, for `classifier`.
        settings: of the endpoint, for `model`: base_url, model and the like.
    """

    kind: Literal["rules", "classifier", "model"] = "rules"
    rules: tuple[Rule, ...] = ()
    otherwise: tuple[str, ...] = Field(min_length=1)
    function: str | None = None
    settings: dict[str, str] = Field(default_factory=dict)


class Combiner(_Data):
    """What is done with several answers.

    Attributes:
        kind: `first`: experts are asked in order until one answers with an action. `vote`: all are asked, and the
            answer that most agree on is taken (kind and target), the earlier expert's where it is even. `judge`: an
            endpoint is shown the screen and the answers.
        near: pixels within which targets agree.
        settings: of the judge's endpoint.
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
            raise ValueError("two experts have the same name")
        for rule in self.gate.rules:
            _check_names(rule.use, known)
            if rule.tree is not None:
                try:
                    re.compile(rule.tree)
                except re.error as error:
                    raise ValueError(f"the rule's tree is no regular expression: {error}") from None
        _check_names(self.gate.otherwise, known)
        if self.gate.kind == "classifier" and ":" not in (self.gate.function or ""):
            raise ValueError("a classifier needs function = 'package.module:function'")
        for what, part in (("gate", self.gate), ("combine", self.combine)):
            if part.kind in ("model", "judge") and not {"base_url", "model"} <= set(part.settings):
                raise ValueError(f"{what}: settings need base_url and model")
        return self

    @property
    def needs_tree(self) -> bool:
        """Whether a rule looks at the accessibility tree."""
        return any(rule.tree is not None or rule.elements is not None for rule in self.gate.rules)


def _check_names(names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"unknown expert {name!r}{nearest(name, known)}")


def load_mixture(path: Path) -> MixtureConfig:
    """Read a file.

    Raises:
        UsageError: one line with what is wrong.
    """
    try:
        return MixtureConfig.model_validate(read_toml(path, f"the mixture {path}"))
    except ValidationError as error:
        raise UsageError(f"mixture: {path}: {first_fault(error, MixtureConfig.model_fields)}") from None
