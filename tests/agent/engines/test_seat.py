"""A seat without Ray: what a node does for a run, and what it never does."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
import yaml

import deskbench
from deskbench.agent.base import Ending
from deskbench.agent.build import Prepared
from deskbench.agent.engines.attempt import plan_of
from deskbench.agent.engines.cluster import OBJECT_STORE_BYTES
from deskbench.agent.engines.keys import keys_of
from deskbench.agent.engines.seat import Look, Seat, Terms
from deskbench.agent.episode import Plan
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.ledger import Planned
from deskbench.envs import wait
from deskbench.envs.errors import UsageError
from deskbench.envs.redact import KNOWN

from .. import paper
from ..paper import prepared, write_task

HERE = paper.__name__
SECONDS = 30.0


@pytest.fixture
def ready(tmp_path: Path) -> Prepared:
    write_task(tmp_path / "suite", "one")
    return prepared(tmp_path / "suite")


def seat_of(ready: Prepared) -> Seat:
    seat = Seat()
    seat.open(terms(ready), {})
    return seat


def terms(ready: Prepared, version: str = deskbench.__version__) -> Terms:
    return Terms(ready.config, version, end_seconds=30.0, place="run")


def plan(ready: Prepared) -> Plan:
    return plan_of(ready, ready.tasks[0], Planned(ready.tasks[0].key, 0, 0), 1)


def looked(seat: Seat, wanted: str) -> Look:
    found = wait.until(lambda: look if getattr(look := seat.look(1.0), wanted) else None, timeout=SECONDS)
    assert found is not None
    return found


@pytest.mark.parametrize("counts", [True, False])
def test_a_record_is_there_only_after_the_answer(ready: Prepared, tmp_path: Path, counts: bool) -> None:
    seat, folder = seat_of(ready), EpisodeFolder(tmp_path / "run/1")
    seat.begin(plan(ready), 7, folder.path, 0)
    look = looked(seat, "handed")
    assert look.handed is not None and look.began and not look.ended and look.left > 0
    record, written = look.handed
    assert (record.ending, record.score.value, written.file.exists(), folder.finished) == (
        Ending.DONE,
        1.0,
        True,
        False,
    )
    if counts:
        written.publish()  # who has the ledger does this
    seat.answer(counts)
    assert looked(seat, "ended").error is None
    assert (folder.finished, folder.late.exists(), written.file.exists()) == (counts, not counts, False)
    seat.close()


def test_one_attempt_after_another_and_news_without_delay(ready: Prepared, tmp_path: Path) -> None:
    seat = seat_of(ready)
    for token in (1, 2):
        seat.begin(plan(ready), token, tmp_path / f"run/{token}", 0)
        looked(seat, "handed")
        seat.answer(False)
        began = wait.now()
        while not seat.look(20.0).ended:
            pass
        assert wait.now() - began < 10.0
    seat.close()


def test_an_attempt_that_is_interrupted_ends_and_a_seat_that_closes_takes_its_desktop(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "one")
    ready = prepared(tmp_path / "suite", agent=f"{HERE}:Stubborn", max_steps=5000)
    seat = seat_of(ready)
    seat.begin(plan(ready), 1, tmp_path / "run/1", 0)
    assert looked(seat, "step").phase == ""
    seat.interrupt()
    look = looked(seat, "handed")
    assert look.handed is not None and look.handed[0].ending is Ending.INTERRUPTED
    seat.close()
    assert looked(seat, "ended").error is None
    assert EpisodeFolder(tmp_path / "run/1").late.exists()


def test_an_error_that_ends_the_run_can_be_sent(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "one")
    ready = prepared(tmp_path / "suite", agent=f"{HERE}:Refused")
    seat = seat_of(ready)
    seat.begin(plan(ready), 1, tmp_path / "run/1", 0)
    looked(seat, "handed")
    seat.answer(True)
    error = pickle.loads(pickle.dumps(looked(seat, "ended").error))
    assert (type(error).__name__, str(error)) == ("ModelFatal", "the endpoint answers 401")
    seat.close()


def test_another_version_of_deskbench_is_refused(ready: Prepared) -> None:
    with pytest.raises(UsageError, match=rf"has deskbench {deskbench.__version__}, and this machine has 0\.0\.1"):
        Seat().open(terms(ready, "0.0.1"), {})


def test_a_node_gets_the_keys_that_the_settings_name_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixture = tmp_path / "two.toml"
    mixture.write_text(
        'experts = [{ name = "a", settings = { api_key_env = "KEY_OF_A" } }]\ngate = { otherwise = ["a"] }\n'
    )
    for name in ("KEY_OF_A", "KEY_OF_USER", "KEY_OF_MODEL", "KEY_OF_PROGRAM", "KEY_OF_NOBODY"):
        monkeypatch.setenv(name, f"secret-of-{name}")
    write_task(tmp_path / "suite", "one")
    config = prepared(tmp_path / "suite").config

    def names(**changes: object) -> set[str]:
        return {*keys_of(config.model_copy(update=changes))}

    assert names() == set()
    assert names(agent="vlm", agent_settings={"api_key_env": "KEY_OF_MODEL", "model": "KEY_OF_NOBODY"}) == {
        "KEY_OF_MODEL"
    }
    assert names(user_api_key_env="KEY_OF_USER") == {"KEY_OF_USER"}
    assert names(agent="mixture", agent_settings={"mixture": str(mixture)}) == {"KEY_OF_A"}
    assert names(agent="program", agent_settings={"env": "KEY_OF_PROGRAM, KEY_OF_A"}) == {"KEY_OF_PROGRAM", "KEY_OF_A"}
    assert names(user_api_key_env="NOT_SET") == set()


def test_a_key_that_came_to_a_node_is_never_written(ready: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_ON_NODE", "another")
    Seat().open(terms(ready), {"KEY_ON_NODE": "sk-only-on-this-node"})
    assert (os.environ["KEY_ON_NODE"], KNOWN.text("it is sk-only-on-this-node.")) == (
        "sk-only-on-this-node",
        "it is [secret].",
    )


# What the documentation shows for a cluster.


def test_the_manifest_has_the_nodes_that_the_page_works_out() -> None:
    page = (Path(__file__).parents[3] / "docs/scale.md").read_text(encoding="utf-8")
    manifest = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    (group,) = manifest["spec"]["workerGroupSpecs"]
    resources = json.loads(json.loads(group["rayStartParams"]["resources"]))  # KubeRay hands it to a shell as it is
    assert group["replicas"] * resources["desktop"] == 200
    assert int(group["rayStartParams"]["object-store-memory"]) == OBJECT_STORE_BYTES
    assert manifest["spec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
