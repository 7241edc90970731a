"""Whole episodes on a real desktop: a family's model that knows the solution says it in the family's own grammar.

What this shows is everything between a reply and the score; the model's part is the oracle's (`solving.py`).
"""

import json
from pathlib import Path

import pytest

from deskbench.agent.agents.family import FamilyAgent
from deskbench.agent.base import Ending
from deskbench.agent.episode import Plan, run_episode
from deskbench.agent.runs.record import EpisodeReader, EpisodeWriter
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.providers.local import LocalProvider
from deskbench.tasks.load import load

from ..models.endpoint import Say, endpoint
from .solving import SAY, Prompted

pytestmark = pytest.mark.desktop

EPISODES = {
    "kimi-vl": "editor-write-note", "ui-tars-1.5": "files-rename", "qwen3-vl": "form-newsletter",
    "claude": "files-new-folder", "openai-computer": "editor-append-line",
}  # fmt: skip


@pytest.mark.parametrize("family", SAY)
def test_a_family_solves_a_task_through_the_gui(family: str, tmp_path: Path) -> None:
    (task,) = [task for task in load("basics") if task.id == EPISODES[family]]
    provider = LocalProvider()
    try:
        desktop = provider.start(DesktopSpec(1280, 800))
        with endpoint(Say()) as server:
            agent = FamilyAgent.from_settings({"profile": family, "base_url": server.url})
            plan = Plan(task, agent.name, "local", tmp_path, max_steps=40, task_json=json.loads(task.path.read_text()))
            writer = EpisodeWriter(tmp_path / "episode")
            record = run_episode(plan, Prompted(agent, server, task.oracle), desktop, writer)
        provider.stop(desktop)
    finally:
        provider.close()
    assert record.score.value == 1.0, record.error or record.score.reason
    assert record.ending is Ending.DONE
    steps = EpisodeReader(tmp_path / "episode").steps()
    assert all(step.attempts == 1 and step.exchanges[0].error is None for step in steps)
    assert record.totals.usage.input_tokens > 0
