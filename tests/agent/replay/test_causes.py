"""Why a replay went another way, from two recordings."""

import json
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.replay.causes import Cause, cause_of
from deskbench.agent.replay.replay import Divergence, Failure, Replayed
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.record import EpisodeReader

from ..staged_runs import episode, picture, run

CLOCK = '<desktop-frame xmlns:cp="https://accessibility.ubuntu.example.org/ns/component"><label name="Sun 12:31" cp:screencoord="(100, 0)" cp:size="(80, 20)"/></desktop-frame>'  # noqa: E501


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """The same episode twice; the second has another screen before its second step."""
    folders = []
    for name in ("one", "two"):
        made = run(tmp_path / name, planned=1)
        episode(made, "suite/a", 1.0)
        folders.append(made / "episodes/suite/a/1")
    change(folders[1], 1, frame=picture(folders[1], "something else entirely"))
    return folders[0], folders[1]


def change(folder: Path, event: int, **seen: Any) -> None:
    path = EpisodeFolder(folder).steps
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[event]["observation"] |= seen
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def found(pair: tuple[Path, Path], *failures: Failure, step: int | None = 1, replayed: float = 1.0) -> Cause | None:
    first = None if step is None else Divergence(step, 0.01, ((110, 2, 150, 18),), Path("x.png"))
    result = Replayed(pair[1], 2, 1.0, replayed, first, 2, failures)
    return cause_of(EpisodeReader(pair[0]), EpisodeReader(pair[1]), result)


def test_screens_that_agree_again_are_a_race(pair: tuple[Path, Path]) -> None:
    assert found(pair) is Cause.RACE


def test_screens_that_stay_different_have_no_known_cause(pair: tuple[Path, Path]) -> None:
    change(pair[1], 2, frame=picture(pair[1], "and it stays so"))
    assert found(pair) is Cause.UNKNOWN
    change(pair[0], 1, settled=False)
    assert found(pair) is Cause.RACE


def test_places_that_show_a_time_are_a_clock(pair: tuple[Path, Path]) -> None:
    (EpisodeFolder(pair[0]).files).mkdir(exist_ok=True)
    EpisodeFolder(pair[0]).file("tree").write_text(CLOCK)
    change(pair[0], 1, accessibility="tree")
    assert found(pair) is Cause.CLOCK


def test_an_action_that_is_refused_now_is_the_cause_if_it_came_first(pair: tuple[Path, Path]) -> None:
    assert found(pair, Failure(0, "click", "off the screen")) is Cause.REFUSED
    assert found(pair, Failure(1, "click", "off the screen")) is Cause.RACE, "the screens differed before it"
    change(pair[0], 1, results=[[False, "off the screen", None]])
    assert found(pair, Failure(0, "click", "off the screen")) is Cause.RACE, "it was refused in the recording, too"


def test_another_score_on_the_same_screens_has_no_known_cause(pair: tuple[Path, Path]) -> None:
    assert found(pair, step=None, replayed=0.0) is Cause.UNKNOWN
    assert found(pair, step=None) is None
