"""A task's user who is played by a model: asked over the wire, remembers, and never becomes the agent's fault."""

from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.base import Ending
from deskbench.agent.build import prepare
from deskbench.agent.config import RunConfig
from deskbench.agent.episode import run_episode
from deskbench.agent.runs.record import EpisodeReader, EpisodeWriter
from deskbench.agent.user import user_of
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.errors import ModelFatal
from deskbench.envs.providers.fake import FakeProvider
from deskbench.envs.types import AskUser, Done
from deskbench.tasks.user import NOBODY

from .models.endpoint import endpoint, error, reply
from .paper import Script, plan, task, write_task

PLAYED = {"type": "model", "persona": "Ann, who likes blue."}


def config(url: str, **more: Any) -> RunConfig:
    return RunConfig(user_base_url=url, user_model="m", **more)


def test_the_model_is_told_whom_it_plays_and_what_was_said(tmp_path: Path) -> None:
    one = task(tmp_path, user=PLAYED)
    with endpoint(reply("Blue."), reply("I said blue.")) as server:
        ask = user_of(one, config(server.url))
        assert [ask("Which colour?"), ask("Which again?")] == ["Blue.", "I said blue."]
    system, *turns = server.asked[1]["messages"]
    assert "Ann, who likes blue." in system["content"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert server.asked[0]["model"] == "m"


def test_a_model_that_declines_is_nobody(tmp_path: Path) -> None:
    with endpoint(reply(None, refusal="I will not")) as server:
        assert user_of(task(tmp_path, user=PLAYED), config(server.url))("Which colour?") == NOBODY


def test_the_answer_is_seen_and_recorded(tmp_path: Path) -> None:
    one = task(tmp_path, user=PLAYED)
    agent = Script([AskUser("Which colour?")], [Done()])
    with endpoint(reply("Blue.")) as server:
        planned = plan(one, tmp_path / "assets", ask=user_of(one, config(server.url)))
        run_episode(planned, agent, FakeProvider().start(DesktopSpec()), EpisodeWriter(tmp_path / "episode"))
    assert agent.seen[1].answer == "Blue."
    assert EpisodeReader(tmp_path / "episode").steps()[1].observation.answer == "Blue."


def test_an_endpoint_that_refuses_leaves_the_episode_without_a_score(tmp_path: Path) -> None:
    one = task(tmp_path, user=PLAYED)
    with endpoint(error(401)) as server, pytest.raises(ModelFatal):
        planned = plan(one, tmp_path / "assets", ask=user_of(one, config(server.url)))
        agent = Script([AskUser("Which colour?")], [Done()])
        run_episode(planned, agent, FakeProvider().start(DesktopSpec()), EpisodeWriter(tmp_path / "episode"))
    record = EpisodeReader(tmp_path / "episode").episode
    assert (record.score.value, record.ending) == (None, Ending.AGENT_ERROR)


def test_without_an_endpoint_such_a_task_is_skipped_with_what_to_say(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "asks", user=PLAYED)
    prepared = prepare(RunConfig(source=str(tmp_path / "suite"), agent="null", provider="fake"))
    assert [why for _, why in prepared.skipped] == [
        "a model must play its user: --set user_base_url=URL --set user_model=NAME"
    ]
    assert prepare(config("http://127.0.0.1:9/v1", source=str(tmp_path / "suite"), agent="null", provider="fake")).tasks
