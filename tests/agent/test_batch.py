"""Runs: retries of what infrastructure broke, resuming, ending early, what is in the folder at the end."""

import contextlib
import json
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deskbench.agent.base import Ending, ModelFatal
from deskbench.agent.batch import Batch, Progress
from deskbench.agent.replay.reuse import plan_reuse
from deskbench.agent.report.outcomes import outcomes
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.ledger import Ledger
from deskbench.envs import wait
from deskbench.envs.errors import UsageError

from . import paper
from .paper import prepared, write_suite, write_task

HERE = paper.__name__


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return write_suite(tmp_path / "suite")


def manifest(folder: Path) -> dict[str, object]:
    return dict(json.loads((folder / "run.json").read_text()))


def test_the_oracle_passes_and_the_null_agent_does_not(suite: Path, tmp_path: Path) -> None:
    assert Batch(prepared(suite), tmp_path / "oracle").run().all.mean == 1.0
    summary = Batch(prepared(suite, agent="null"), tmp_path / "null").run()
    assert (summary.feasible.mean, summary.infeasible.mean) == (0.0, 0.0)


def test_fail_passes_what_is_infeasible_and_nothing_else(suite: Path, tmp_path: Path) -> None:
    summary = Batch(prepared(suite, agent="fail"), tmp_path / "run").run()
    assert (summary.feasible.mean, summary.infeasible.mean) == (0.0, 1.0)


def test_the_random_agent_does_the_same_for_the_same_seed(suite: Path, tmp_path: Path) -> None:
    def actions(name: str, seed: int) -> list[str]:
        Batch(prepared(suite, agent="random", seed=seed, max_steps=6), tmp_path / name).run()
        files = sorted((tmp_path / name / "episodes/suite/write-0/1").glob("steps.jsonl"))
        return [str(json.loads(line).get("actions")) for line in files[0].read_text().splitlines()]

    assert actions("one", 3) == actions("two", 3) != actions("three", 4)


@pytest.mark.parametrize("parallel", [1, 4])
def test_repeats_have_folders_and_seeds_of_their_own(suite: Path, tmp_path: Path, parallel: int) -> None:
    summary = Batch(prepared(suite, repeats=3, parallel=parallel, seed=10), tmp_path / "run").run()
    records = RunFolder(tmp_path / "run").records()
    assert (summary.scored, len(records)) == (12, 12)
    assert sorted((r.repeat, r.seed) for r in records if r.task == "suite/write-0") == [(0, 10), (1, 11), (2, 12)]


@pytest.mark.parametrize("parallel", [1, 3])
def test_no_desktop_starts_for_which_there_is_no_episode(
    tmp_path: Path, parallel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(paper.STARTS, str(tmp_path / "starts"))
    (tmp_path / "starts").mkdir()
    write_task(tmp_path / "suite", "one")
    Batch(
        prepared(tmp_path / "suite", repeats=7, parallel=parallel, provider=f"{HERE}:Counted"), tmp_path / "run"
    ).run()
    assert len([*(tmp_path / "starts").iterdir()]) == 7


def test_what_infrastructure_broke_is_tried_again_and_never_scored(suite: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    batch = Batch(prepared(suite, provider=f"{HERE}:Flaky", retries=9), tmp_path / "run", told.append)
    summary = batch.run()
    assert (summary.scored, summary.all.mean) == (4, 1.0)
    broken = [r for r in RunFolder(tmp_path / "run").records() if r.ending is Ending.ENV_ERROR]
    assert broken and all(r.score.value is None for r in broken)
    assert told[-1].retried == len(broken)


def test_what_stays_broken_is_unscored_and_kept_out_of_the_mean(suite: Path, tmp_path: Path) -> None:
    summary = Batch(prepared(suite, provider=f"{HERE}:Dead", retries=1), tmp_path / "run").run()
    assert (summary.planned, summary.scored, summary.unscored, summary.all.mean) == (4, 0, 4, None)
    assert len(RunFolder(tmp_path / "run").records()) == 8


# Desktops that die while the agent acts.


def test_a_desktop_that_dies_again_while_the_agent_acts_counts_as_0_with_the_reason(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "one")
    batch = Batch(prepared(tmp_path / "suite", agent=f"{HERE}:Killer", provider=f"{HERE}:Mortal"), tmp_path / "run")
    summary = batch.run()
    assert (summary.scored, summary.unscored, summary.all.mean) == (1, 0, 0.0)
    assert (summary.deaths, summary.tampered) == (2, ("suite/one",))
    first, second = RunFolder(tmp_path / "run").records()  # two retries were allowed, and one was made
    assert (first.score.value, first.deaths, first.tampered) == (None, 1, False)
    assert (second.score.value, second.deaths, second.tampered, second.ending) == (0.0, 2, True, Ending.ENV_ERROR)
    assert second.score.reason.startswith("the desktop died twice while the agent acted: ")


def test_it_stays_unscored_where_the_run_says_so_and_is_not_tried_again(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "one")
    wanted = prepared(
        tmp_path / "suite", agent=f"{HERE}:Killer", provider=f"{HERE}:Mortal", on_tamper="unscored", retries=5
    )
    summary = Batch(wanted, tmp_path / "run").run()
    assert (summary.scored, summary.unscored, summary.all.mean, summary.all_planned.mean) == (0, 1, None, 0.0)
    assert summary.tampered == ("suite/one",)
    again = Batch(wanted, tmp_path / "run").run(resume=True)
    assert (again, len(RunFolder(tmp_path / "run").records())) == (summary, 2)
    assert manifest(tmp_path / "run")["on_tamper"] == "unscored"


def test_a_death_of_an_earlier_session_counts(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "one")
    wanted = prepared(tmp_path / "suite", agent=f"{HERE}:Killer", provider=f"{HERE}:Mortal", retries=0)
    assert Batch(wanted, tmp_path / "run").run().all.mean is None  # once is nobody's fault
    assert Batch(wanted, tmp_path / "run").run(resume=True).all.mean == 0.0
    with pytest.raises(UsageError, match="on_tamper"):
        Batch(prepared(tmp_path / "suite", on_tamper="unscored"), tmp_path / "run").run(resume=True)


def test_repeats_of_a_task_are_episodes_of_their_own(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "one")
    wanted = prepared(tmp_path / "suite", agent=f"{HERE}:Killer", provider=f"{HERE}:Mortal", retries=0, repeats=2)
    summary = Batch(wanted, tmp_path / "run").run()
    assert (summary.unscored, summary.deaths, summary.tampered) == (2, 2, ())


def test_a_desktop_that_died_once_leaves_the_score_of_the_next(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "one")
    wanted = prepared(tmp_path / "suite", agent=f"{HERE}:KillerOnce", provider=f"{HERE}:Mortal")
    summary = Batch(wanted, tmp_path / "run").run()
    assert (summary.all.mean, summary.deaths, summary.tampered) == (1.0, 1, ())


def test_desktops_that_die_before_the_agent_acts_are_never_held_against_it(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "one")
    wanted = prepared(tmp_path / "suite", agent=f"{HERE}:Killer", provider=f"{HERE}:Unready", retries=4)
    summary = Batch(wanted, tmp_path / "run").run()
    assert (summary.unscored, summary.deaths, len(RunFolder(tmp_path / "run").records())) == (1, 0, 5)


def test_what_will_fail_the_same_way_is_not_tried_again(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        gone = {"url": f"http://127.0.0.1:{server.server_port}/no-such-file", "path": "/home/user/note.txt"}
        write_task(tmp_path / "suite", "one", config=[{"type": "download", "parameters": {"files": [gone]}}])
        summary = Batch(prepared(tmp_path / "suite", retries=5), tmp_path / "run").run()
        server.shutdown()
    assert (summary.unscored, summary.deaths) == (1, 0)
    (record,) = RunFolder(tmp_path / "run").records()
    assert record.permanent and "404" in (record.error or "")


def test_nor_is_set_up_with_a_program_that_is_not_there(tmp_path: Path) -> None:
    missing = [{"type": "launch", "parameters": {"command": ["no-such-program"]}}]
    write_task(tmp_path / "suite", "one", config=missing)
    assert Batch(prepared(tmp_path / "suite", retries=5), tmp_path / "run").run().unscored == 1
    (record,) = RunFolder(tmp_path / "run").records()
    assert record.permanent and "cannot start" in (record.error or "")


# Faults that nobody foresaw.


def test_one_episode_never_ends_the_run(suite: Path, tmp_path: Path) -> None:
    """A provider whose start, stop and end fail, and desktops that do: what can be scored is."""
    batch = Batch(prepared(suite, provider=f"{HERE}:Buggy", retries=9), tmp_path / "run")
    summary = batch.run()
    assert (summary.scored, summary.all.mean, summary.endings) == (4, 1.0, {"done": 3, "failed": 1})
    crashed = [r for r in RunFolder(tmp_path / "run").records() if r.ending is Ending.CRASHED]
    assert {str(r.error).partition(":")[0] for r in crashed} == {"RecursionError", "DecompressionBombError"}
    assert all(r.score.value is None for r in crashed)
    notes = [json.loads(line) for path in tmp_path.rglob("steps.jsonl") for line in path.read_text().splitlines()]
    said = [note["detail"] for note in notes if note["kind"] == "note" and note["what"] == "error"]
    assert any("DecompressionBombError" in detail.get("traceback", "") for detail in said)
    assert any("stopping the desktop: KeyError" in detail["error"] for detail in said)
    assert (manifest(tmp_path / "run")["state"], batch.unclosed) == ("done", "OSError: a desktop does not end")


def test_an_agent_whose_code_has_a_mistake_is_not_scored(suite: Path, tmp_path: Path) -> None:
    summary = Batch(prepared(suite, agent=f"{HERE}:Confused"), tmp_path / "run").run()
    assert (summary.all.mean, summary.endings) == (None, {"agent_crash": 4})
    assert len(RunFolder(tmp_path / "run").records()) == 4  # none is tried again


def test_a_worker_that_hangs_is_replaced_and_its_late_result_does_not_count(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "one")
    write_task(tmp_path / "suite", "two")
    told: list[Progress] = []
    wanted = prepared(tmp_path / "suite", agent=f"{HERE}:HangsOnce", provider=f"{HERE}:Watched", step_seconds=1.0)
    summary = Batch(wanted, tmp_path / "run", told.append).run()
    assert (summary.scored, summary.all.mean, told[-1].retried, told[-1].finished) == (2, 1.0, 1, 2)
    assert not any(provider.running for provider in paper.Watched.made)
    paper.HangsOnce.released.set()  # now it goes on
    late = tmp_path / "run/episodes/suite/one/1/superseded.json"
    assert wait.until(late.exists, timeout=30)
    assert [record.attempt for record in RunFolder(tmp_path / "run").records()] == [2, 1]
    ledger = Ledger(tmp_path / "run/ledger.sqlite")
    lost = [(one.task, one.number, one.state) for one in ledger.attempts() if one.cause]
    assert lost == [("suite/one", 1, "superseded")]
    ledger.close()


def test_what_hangs_until_no_retry_is_left_says_so(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "one")
    wanted = prepared(tmp_path / "suite", agent=f"{HERE}:Asleep", retries=1, step_seconds=0.5)
    assert Batch(wanted, tmp_path / "run").run().scored == 0
    (found,) = outcomes(RunFolder(tmp_path / "run")).episodes
    assert (found.ending, found.score) == ("lost", None)
    assert "hung" in found.reason


def test_a_desktop_that_does_not_end_keeps_no_other_episode_waiting(suite: Path, tmp_path: Path) -> None:
    batch = Batch(prepared(suite, provider=f"{HERE}:Unending"), tmp_path / "run", end_seconds=1.0)
    summary = batch.run()
    paper.Unending.released.set()
    assert (summary.scored, summary.all.mean) == (4, 1.0)
    assert batch.progress.scores == [1.0] * 4
    assert batch.unclosed == "they did not end within 1 s"


def test_an_endpoint_that_refuses_the_key_ends_the_run_at_once(suite: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFatal, match="401"):
        Batch(prepared(suite, agent=f"{HERE}:Refused"), tmp_path / "run").run()
    assert len(RunFolder(tmp_path / "run").records()) == 1
    assert manifest(tmp_path / "run")["state"] == "broken"


def test_a_budget_that_is_spent_begins_no_new_episode(suite: Path, tmp_path: Path) -> None:
    batch = Batch(prepared(suite, agent=f"{HERE}:Costly", budget_usd=2.0), tmp_path / "run")
    summary = batch.run()
    assert (summary.scored, summary.planned, batch.full, batch.interrupted) == (2, 4, True, False)
    assert manifest(tmp_path / "run")["state"] == "budget"


def test_a_budget_counts_what_earlier_sessions_cost(suite: Path, tmp_path: Path) -> None:
    Batch(prepared(suite, agent=f"{HERE}:Costly", budget_usd=2.0), tmp_path / "run").run()
    again = Batch(prepared(suite, agent=f"{HERE}:Costly", budget_usd=2.5), tmp_path / "run")
    assert again.run(resume=True).scored == 3
    assert again.progress.cost_usd == 3.0


def test_an_interrupted_run_ends_soon_and_is_resumed_where_it_was(suite: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    batch = Batch(prepared(suite, agent=f"{HERE}:SlowWriter", max_steps=10), folder)
    thread = threading.Thread(target=batch.run)
    thread.start()
    assert wait.until(lambda: RunFolder(folder).records(), timeout=30)
    batch.interrupt()
    thread.join()
    before = {r.task for r in RunFolder(folder).records() if r.score.value is not None}
    assert 1 <= len(before) < 4
    assert manifest(folder)["state"] == "interrupted"

    Batch(prepared(suite, agent=f"{HERE}:SlowWriter", max_steps=10), folder).run(resume=True)
    scored = [r.task for r in RunFolder(folder).records() if r.score.value is not None]
    assert sorted(scored) == sorted(set(scored)) and len(scored) == 4
    assert manifest(folder)["state"] == "done"


def test_an_episode_that_was_recorded_just_before_a_kill_is_not_run_again(suite: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    Batch(prepared(suite), folder).run()
    ledger = Ledger(folder / "ledger.sqlite")
    with ledger._writing() as base:  # as if the kill came between the record and the ledger
        base.execute("update attempt set state = 'started', finished = null, score = null where task = 'suite/write-1'")
    ledger.close()
    Batch(prepared(suite), folder).run(resume=True)
    assert len(RunFolder(folder).records()) == 4


def test_a_folder_with_a_run_is_not_written_over(suite: Path, tmp_path: Path) -> None:
    Batch(prepared(suite), tmp_path / "run").run()
    with pytest.raises(UsageError, match="--resume"):
        Batch(prepared(suite), tmp_path / "run").run()


def test_a_run_is_resumed_only_as_it_was_begun(suite: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    Batch(prepared(suite), folder).run()
    with pytest.raises(UsageError, match="max_steps"):
        Batch(prepared(suite, max_steps=3), folder).run(resume=True)
    Batch(prepared(suite, parallel=3, retries=0), folder).run(resume=True)
    write_task(suite, "write-0", instruction="Something else.")
    with pytest.raises(UsageError, match="other tasks"):
        Batch(prepared(suite), folder).run(resume=True)


def test_a_resumed_run_says_what_changed_meanwhile(suite: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    Batch(prepared(suite), folder).run()
    run = RunFolder(folder)
    now = run.manifest()
    Batch(prepared(suite), folder).run(resume=True)
    same = ("code", "versions", "desktop", "protocol")
    assert {name: run.manifest()[name] for name in same} == {name: now[name] for name in same}
    older = json.loads(json.dumps(now))  # as if older code had begun the run
    older["versions"]["deskbench"] = "0.0.1"
    older["code"]["functions"]["getter vm_command_line"] = older["code"]["agent"] = "another"
    run.write_manifest(older)
    told = {
        f"versions deskbench: 0.0.1, then {now['versions']['deskbench']}", "code agent changed",
        "code functions getter vm_command_line changed",
    }  # fmt: skip
    for expected in (told, set()):  # the third session is like the second
        batch = Batch(prepared(suite), folder)
        batch.run(resume=True)
        assert set(batch.changes) == expected
        found = run.manifest()
        assert found["versions"] == now["versions"] | {"deskbench": f"0.0.1, then {now['versions']['deskbench']}"}
        changed = {"getter vm_command_line": "mixed"}
        assert found["code"] == now["code"] | {"agent": "mixed", "functions": now["code"]["functions"] | changed}
    assert {choice.why for choice in plan_reuse(prepared(suite), folder).choices} == {"the agent's code has changed"}


def test_the_manifest_says_what_the_number_was_made_of(suite: Path, tmp_path: Path) -> None:
    Batch(prepared(suite), tmp_path / "run").run()
    found = manifest(tmp_path / "run")
    assert {"agent", "provider", "policy", "planned", "task_set", "versions", "config", "protocol", "state"} <= set(
        found
    )
    assert found["state"] == "done"


def test_no_desktop_is_left_whatever_the_ending(suite: Path, tmp_path: Path) -> None:
    for number, agent in enumerate(("oracle", f"{HERE}:Refused", f"{HERE}:Costly")):
        batch = Batch(prepared(suite, agent=agent, provider=f"{HERE}:Watched"), tmp_path / str(number))
        with contextlib.suppress(ModelFatal):
            batch.run()
        assert paper.Watched.made and not any(p.running for p in paper.Watched.made)


@pytest.mark.parametrize(
    ("own", "named", "in_force"), [(2, None, 2), (2, 4, 4), (4, 2, 2), (None, None, 15), (None, 3, 3)]
)
def test_the_limit_that_a_person_names_wins_over_the_tasks(
    tmp_path: Path, own: int | None, named: int | None, in_force: int
) -> None:
    write_task(tmp_path / "suite", "write", limits={} if own is None else {"steps": own})
    ready = prepared(tmp_path / "suite", agent=f"{HERE}:Idle", max_steps=named)
    Batch(ready, tmp_path / "run").run()
    (record,) = RunFolder(tmp_path / "run").records()
    assert (record.max_steps, record.totals.steps) == (in_force, in_force)


def test_the_same_for_seconds(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "write", limits={"seconds": 500})
    for named, in_force in ((None, 500.0), (50.0, 50.0)):
        folder = tmp_path / f"run-{named}"
        Batch(prepared(tmp_path / "suite", agent="null", max_seconds=named), folder).run()
        assert RunFolder(folder).records()[0].max_seconds == in_force
