"""Films of episodes, and desktops that a person may take over."""

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

from deskbench.agent.base import Decision
from deskbench.agent.batch import Batch
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.offers import offer, offered, withdraw
from deskbench.envs import wait
from deskbench.envs.types import Done, Observation, Type

from . import test_watched as here
from .paper import Script, prepared, write_task

ADDRESS = "http://127.0.0.1:6080/deskbench.html#a-secret_0"


class Looker(Script):
    """Takes a second for one decision, and remembers who was offered its desktop."""

    episode: ClassVar[Path]
    offers: ClassVar[list[tuple[str | None, int]]] = []

    def __init__(self) -> None:
        super().__init__([Type("x")], [Done()])

    def act(self, observation: Observation) -> Decision:
        wait.sleep(0.5)
        address = offered(Looker.episode)
        status = requests.get(address.partition("#")[0], timeout=10).status_code if address else 0
        Looker.offers.append((address, status))
        return super().act(observation)


def notes(episode: Path, what: str) -> list[dict[str, Any]]:
    """The details of the notes of a kind."""
    lines = [json.loads(line) for line in (episode / "steps.jsonl").read_text().splitlines()]
    return [line["detail"] for line in lines if line["kind"] == "note" and line["what"] == what]


def test_an_address_is_kept_for_this_user_alone_and_not_in_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    episode = tmp_path / "run/episodes/s/a/1"
    episode.mkdir(parents=True)
    offer(episode, "http://127.0.0.1:1/old.html#x")
    offer(episode, ADDRESS)
    (kept,) = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert offered(episode) == ADDRESS and not any(episode.iterdir())
    kept.write_text("javascript:alert(1)")
    assert offered(episode) is None
    withdraw(episode)
    withdraw(episode)
    assert offered(episode) is None and not kept.exists()


def test_a_desktop_that_cannot_be_filmed_is_scored_all_the_same(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "write")
    assert Batch(prepared(tmp_path / "suite", video=True), tmp_path / "run").run().all.mean == 1.0
    episode = tmp_path / "run/episodes/suite/write/1"
    (error,) = (note["error"] for note in notes(episode, "error"))
    assert error.startswith("the screen is not filmed: ") and error.endswith("cannot be recorded")
    assert not (episode / "video.mp4").exists()


def test_films_and_take_overs_may_change_when_a_run_is_resumed(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "write")
    Batch(prepared(tmp_path / "suite"), tmp_path / "run").run()
    facts = RunFolder(tmp_path / "run").manifest()
    del facts["config"]["video"]  # a run of an older version
    RunFolder(tmp_path / "run").write_manifest(facts)
    again = prepared(tmp_path / "suite", take_over=True)
    assert Batch(again, tmp_path / "run").run(resume=True).scored == 1


@pytest.mark.desktop
def test_the_film_of_an_episode_spans_its_steps(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "idle", config=[])
    agent = f"{here.__name__}:Looker"
    Looker.episode = tmp_path / "run/episodes/suite/idle/1"
    Batch(prepared(tmp_path / "suite", provider="local", agent=agent, video=True), tmp_path / "run").run()
    (film,) = notes(Looker.episode, "video")
    assert (Looker.episode / "video.mp4").read_bytes()[4:8] == b"ftyp"
    steps = [json.loads(line) for line in (Looker.episode / "steps.jsonl").read_text().splitlines()]
    times = [step["time"] for step in steps if step["kind"] == "step"]
    assert len(times) == 2
    assert film["asked"] < film["began"] < min(times) and max(times) < film["ended"]


@pytest.mark.slow
@pytest.mark.desktop
def test_a_desktop_can_be_taken_over_while_its_episode_runs_and_not_later(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "idle", config=[])
    agent = f"{here.__name__}:Looker"
    Looker.episode = tmp_path / "run/episodes/suite/idle/1"
    Looker.offers.clear()
    Batch(prepared(tmp_path / "suite", provider="local", agent=agent, take_over=True), tmp_path / "run").run()
    addresses = {address for address, _ in Looker.offers}
    assert len(addresses) == 1 and None not in addresses
    assert {status for _, status in Looker.offers} == {200}
    assert offered(Looker.episode) is None
    (address,) = addresses
    with pytest.raises(requests.ConnectionError):
        requests.get(str(address), timeout=5)
