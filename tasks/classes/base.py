"""Stand-ins for `desktop_env.task_base`: a task class is also a dictionary of its own attributes.

Names and defaults come from OSWorld-V2 (release of 2026-06-24, public task classes and their descriptions).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

FIELDS: dict[str, Any] = {
    "id": "", "snapshot": "", "instruction": "", "source": "", "config": (), "trajectory": "", "related_apps": (),
    "evaluator": None, "proxy": False, "image": None, "instance_type": None, "volume_size": None,
    "platform": "ubuntu", "user_simulator": None, "disable_vnc": False, "disable_recording": False,
    "intermediate_eval_safe": True,
}  # fmt: skip
"""The attributes of a class, with their defaults."""


class BaseTask(dict):  # type: ignore[type-arg]
    """A task: its attributes, its set-up and its evaluation."""

    def __init__(self, **given: Any) -> None:
        super().__init__({name: getattr(self, name, default) for name, default in FIELDS.items()} | given)

    def setup(self, setup_controller: Any, use_proxy: bool = False) -> None:
        """Prepare the desktop; by default, run the steps of `config`."""
        setup_controller.setup(list(self["config"] or ()), use_proxy)

    def evaluate(self, env: Any) -> float | dict[str, Any]:
        """Judge the desktop: returns a score from 0 to 1, or a dictionary with the score and its parts.

        {"score": 0.5, "partial_scores": {"saved": {"score": 1.0, "weight": 0.5, "description": "the file is there"}}}
        """
        raise NotImplementedError(f"{type(self).__name__} has no evaluate()")


@dataclass
class Phase:
    """One phase of a task; the agent gets its instruction when the previous phase is done.

    Attributes:
        name: for the record.
        instruction: the text that the agent gets.
        setup: prepares the desktop (setup_controller, use_proxy), or None.
        evaluate: judges it (env), as `BaseTask.evaluate` does; it earns at most its weight.
        weight: its share of the task's score; the weights of all phases add up to 1.
        gate_min_score: the score needed for the next phase to begin, or None.
    """

    name: str
    instruction: str
    evaluate: Callable[[Any], float | dict[str, Any]]
    setup: Callable[..., None] | None = None
    weight: float = 1.0
    gate_min_score: float | None = None


class MultiPhaseTask(BaseTask):
    """A task with several phases."""

    def get_phases(self) -> Sequence[Phase | dict[str, Any]]:
        """The phases in order, as `Phase`s or as dictionaries with the same keys."""
        raise NotImplementedError(f"{type(self).__name__} has no get_phases()")
