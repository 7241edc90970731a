"""`deskbench tasks mutate`: recorded end states are changed and judged again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deskbench.agent.agents.scripted import OracleAgent
from deskbench.agent.base import Ending
from deskbench.agent.cli.main import app
from deskbench.agent.episode import Plan, run_episode
from deskbench.agent.replay.mutants import Mutated, Suite, mutate
from deskbench.agent.runs.record import EpisodeRecord, EpisodeWriter, ScoreRecord
from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import CheckError, UsageError
from deskbench.tasks.load import load
from tests.tasks.mutation.samples import workbook

NOTE = {"type": "vm_file", "path": "~/Documents/note.txt", "dest": "note.txt"}
SAID = "Meet Anna\nat the station\n"


def written(folder: Path, name: str, evaluator: dict[str, Any], **more: Any) -> Path:
    """A task file."""
    file = folder / "suite" / f"{name.partition('@')[0]}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"id": name, "instruction": "Write the note.", "evaluator": evaluator, **more}))
    return file


def equals(text: str, result: dict[str, Any] = NOTE) -> dict[str, Any]:
    return {"func": "text_equals", "result": result, "expected": {"type": "rule", "rules": {"expected": text}}}


def contains(text: str, result: dict[str, Any] = NOTE) -> dict[str, Any]:
    rules = {"include": [text], "exclude": []}
    return {"func": "check_include_exclude", "result": result, "expected": {"type": "rule", "rules": rules}}


def record(run: Path, task: Path, state: Any, *, score: float | None = 1.0, repeat: int = 0) -> Path:
    """A solved episode as `run` records it; a file's bytes are the state of a task with one file."""
    [read] = load(task)
    folder = run / "episodes" / "suite" / read.id / str(repeat + 1)
    (folder / "files" / "kept").mkdir(parents=True)
    if isinstance(state, bytes):
        name = read.evaluator.checks[0].result.parameters["dest"]  # type: ignore[union-attr]
        (folder / "files" / "kept" / name).write_bytes(state)
        state = {"$.evaluator.result": {"file": f"kept/{name}"}}
    (folder / "episode.json").write_text(
        EpisodeRecord(
            task=read.key, task_id=read.id, suite=read.suite, instruction=read.instruction, task_sha256=read.sha256,
            feasible=read.feasible, attempt=1, repeat=repeat, agent="oracle", provider="local", seed=0, width=640,
            height=400, policy="settled", started=0.0, finished=1.0, ending=Ending.DONE,
            score=ScoreRecord(value=score, reason=""), task_path=str(task), task_json=json.loads(task.read_text()),
            state=state,
        ).model_dump_json()
    )  # fmt: skip
    return folder


def one(suite: Suite) -> Mutated:
    [found] = suite.tasks
    return found


def test_a_check_that_sees_everything_kills_every_wrong_copy_and_no_harmless_one(tmp_path: Path) -> None:
    record(tmp_path / "run", written(tmp_path, "note", equals(SAID)), SAID.encode())
    suite = mutate(tmp_path / "run")
    assert suite.sound and suite.kills.mean == 1.0 == suite.tolerance.mean
    assert suite.kills.tasks > 20 and suite.tolerance.tasks >= 4
    assert suite.kills.method == "wilson" and suite.kills.low is not None and suite.kills.low > 0.8


def test_a_check_that_looks_at_one_word_lets_most_of_them_through(tmp_path: Path) -> None:
    record(tmp_path / "run", written(tmp_path, "note", contains("Anna")), SAID.encode())
    suite = mutate(tmp_path / "run")
    survived = {verdict.id: verdict for verdict in suite.verdicts if verdict.outcome == "survived"}
    assert not suite.sound and suite.kills.mean is not None and suite.kills.mean < 0.5
    assert survived["text/append-line[1]"].words == "there is a line after the last one"
    assert "text/drop-line[1]" not in survived and "text/drop-line[2]" in survived


def test_a_check_that_is_too_strict_breaks_on_harmless_copies(tmp_path: Path) -> None:
    strict = {**equals(SAID), "options": {"strip": False}}
    record(tmp_path / "run", written(tmp_path, "note", strict), SAID.encode())
    broke = [verdict for verdict in mutate(tmp_path / "run").verdicts if verdict.outcome == "broke"]
    assert {verdict.id.partition("[")[0] for verdict in broke} == {"text/final-newline", "text/trailing-blanks"}
    assert all(verdict.at_fault and verdict.reason for verdict in broke)


def test_what_the_author_allows_is_counted_apart_with_the_reason(tmp_path: Path) -> None:
    why = {"text/append*": "more may follow", "note.txt:text/prepend*": "a head may stand there", "json/*": "never"}
    task = written(tmp_path, "note", contains("Meet Anna\nat the station"), allowed=why)
    record(tmp_path / "run", task, SAID.encode())
    found = one(mutate(tmp_path / "run"))
    allowed = {verdict.id: verdict.allowed for verdict in found.verdicts if verdict.allowed}
    assert allowed["text/append-line[1]"] == "more may follow"
    assert allowed["text/prepend-line[1]"] == "a head may stand there"
    assert found.unused == ["json/*"]
    faults = {verdict.id for verdict in found.verdicts if verdict.at_fault}
    assert faults and not faults & set(allowed)
    assert mutate(tmp_path / "run").kills.mean != 1.0  # what is allowed still counts


def test_a_task_whose_own_record_does_not_score_is_not_counted(tmp_path: Path) -> None:
    record(tmp_path / "run", written(tmp_path, "note", equals("another text")), SAID.encode())
    found = one(mutate(tmp_path / "run"))
    assert found.verdicts == [] and found.excuse.startswith("it does not score 1 when it is scored again: text_equals")


def test_a_task_whose_getters_are_others_now_is_not_counted(tmp_path: Path) -> None:
    task = written(tmp_path, "note", equals(SAID))
    record(tmp_path / "run", task, SAID.encode())
    written(tmp_path, "note", equals(SAID, {**NOTE, "path": "~/other.txt"}))
    found = one(mutate(tmp_path / "run"))
    assert "the record has no value for $.evaluator.result" in found.excuse


def test_a_task_that_cannot_be_read_is_not_counted_and_stops_no_other(tmp_path: Path) -> None:
    task = written(tmp_path, "note", equals(SAID))
    record(tmp_path / "run", task, SAID.encode())
    foreign = record(tmp_path / "run", written(tmp_path, "foreign", equals(SAID)), SAID.encode())
    told = json.loads((foreign / "episode.json").read_text())
    (foreign / "episode.json").write_text(json.dumps({**told, "task_json": {}, "task_path": ""}))
    record(tmp_path / "run", written(tmp_path, "spoilt", equals(SAID)), SAID.encode())
    (tmp_path / "suite" / "spoilt.json").write_text("{")
    found = {one.task: one for one in mutate(tmp_path / "run").tasks}
    assert found["suite/foreign"].excuse == "the record has no task: it comes from another harness"
    assert found["suite/spoilt"].excuse.startswith("its task cannot be read: ")
    assert found["suite/note"].count("killed") > 20


def test_the_checks_are_those_of_the_file_as_it_is_now(tmp_path: Path) -> None:
    task = written(tmp_path, "note", contains("Anna"))
    record(tmp_path / "run", task, SAID.encode())
    assert not mutate(tmp_path / "run").sound
    written(tmp_path, "note", equals(SAID))
    assert mutate(tmp_path / "run").sound
    other = written(tmp_path / "elsewhere", "note", contains("Anna"))
    assert not mutate(tmp_path / "run", source=str(other)).sound


def test_a_check_that_fails_is_neither_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3]))  # where its own process finds the metric
    module = "tests.agent.replay.test_mutants:breaks_on_two_lines"
    task = written(tmp_path, "note", {**equals(""), "func": module, "result": {"type": "vm_clipboard"}})
    record(tmp_path / "run", task, {"$.evaluator.result": "one"})
    suite = mutate(tmp_path / "run")
    failed = [verdict for verdict in suite.verdicts if verdict.outcome == "failed"]
    assert failed and all(verdict.at_fault and "the check failed" in verdict.reason for verdict in failed)
    assert suite.kills.tasks + len(failed) == len(suite.verdicts)


def breaks_on_two_lines(result: str, rules: Any) -> float:
    """A metric of somebody else's, which has a fault of its own."""
    if "and more" in result:
        raise CheckError("never thought of")
    return float(result == "one")


def test_the_end_state_of_another_seed_must_not_score(tmp_path: Path) -> None:
    answer = {"type": "agent_answer"}
    for name, said in (("port@1", "8080"), ("port@2", "9090"), ("port@3", "8080")):
        task = written(tmp_path / name, name, {"func": "number_equals", "result": answer,
                       "expected": {"type": "rule", "rules": {"expected": int(said)}}})  # fmt: skip
        record(tmp_path / "run", task, {"$.evaluator.result": said})
    found = {task.task: task for task in mutate(tmp_path / "run").tasks}
    seeds = [verdict for verdict in found["suite/port@1"].verdicts if verdict.id.startswith("seed/")]
    assert [(verdict.words, verdict.outcome) for verdict in seeds] == [("it is the end state of port@2", "killed")]
    assert found["suite/port@1"].equivalent >= 1  # of the third, which is the same


def test_one_solved_episode_of_each_task_takes_part(tmp_path: Path) -> None:
    task = written(tmp_path, "note", equals(SAID))
    record(tmp_path / "run", task, SAID.encode())
    record(tmp_path / "run", task, SAID.encode(), repeat=1)
    record(tmp_path / "run", written(tmp_path, "other", equals(SAID)), b"no", score=0.0)
    assert [one.task for one in mutate(tmp_path / "run").tasks] == ["suite/note"]
    with pytest.raises(UsageError, match="there is no solved episode of a task 'nite'; did you mean 'note'"):
        mutate(tmp_path / "run", tasks=["nite"])
    with pytest.raises(UsageError, match="no copy is called text/nothing"):
        mutate(tmp_path / "run", only=["text/nothing"])


def test_a_run_with_nothing_solved_is_refused(tmp_path: Path) -> None:
    record(tmp_path / "run", written(tmp_path, "note", equals(SAID)), b"no", score=0.0)
    with pytest.raises(UsageError, match="no episode has a score of 1"):
        mutate(tmp_path / "run")


def test_a_run_of_which_nothing_counts_is_no_success(tmp_path: Path) -> None:
    record(tmp_path / "run", written(tmp_path, "never", {"func": "infeasible"}), {})
    done = CliRunner().invoke(app, ["tasks", "mutate", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert "not counted: it is infeasible" in done.stdout and "nothing was counted" in done.stderr


def test_other_task_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    record(tmp_path / "run", written(tmp_path, "note", equals(SAID)), SAID.encode())
    with pytest.raises(UsageError, match="no such file, folder or suite: nowhere"):
        mutate(tmp_path / "run", source="nowhere")


def test_a_file_that_two_checks_judge_is_changed_once(tmp_path: Path) -> None:
    both = {"func": ["text_equals", "check_include_exclude"], "conj": "and", "result": [NOTE, NOTE],
            "expected": [equals(SAID)["expected"], contains("Anna")["expected"]]}  # fmt: skip
    task = written(tmp_path, "note", both)
    kept = {"file": "kept/note.txt"}
    folder = record(tmp_path / "run", task, {"$.evaluator.result[0]": kept, "$.evaluator.result[1]": kept})
    (folder / "files" / "kept" / "note.txt").write_text(SAID)
    ids = [verdict.id for verdict in one(mutate(tmp_path / "run")).verdicts]
    assert len(ids) == len(set(ids))


def test_a_workbook_that_is_written_again_first_has_to_score(tmp_path: Path) -> None:
    sheet = {"type": "vm_file", "path": "~/costs.xlsx", "dest": "costs.xlsx"}
    rules = {"sheet_idx": 0, "coordinate": "B2", "props": {"value": {"method": "eq", "ref": 900}}}
    check = {"func": "compare_table", "result": sheet, "options": {"rules": [{"type": "check_cell", **rules}]}}
    record(tmp_path / "run", written(tmp_path, "costs", check), workbook())
    found = one(mutate(tmp_path / "run"))
    outcomes = {verdict.words: verdict.outcome for verdict in found.verdicts}
    assert outcomes.get("B2 is empty", "killed") == "killed" and found.notes == []
    assert found.count("stayed") == found.count("stayed", "broke") > 2


def test_the_command_tells_each_survivor_and_how_to_see_it(tmp_path: Path) -> None:
    why = {"text/append*": "more may follow", "json/*": "never"}
    record(tmp_path / "run", written(tmp_path, "note", contains("Anna"), allowed=why), SAID.encode())
    record(tmp_path / "run", written(tmp_path, "whole", equals(SAID)), SAID.encode())
    done = CliRunner().invoke(app, ["tasks", "mutate", str(tmp_path / "run")])
    assert done.exit_code == 1
    assert "suite/whole: " in done.stdout and "kill rate " in done.stdout and "tolerance rate 100.0%" in done.stdout
    assert "  scores 1: note.txt: text/drop-line[2]: line 2 is missing\n" in done.stdout
    shown = "--task suite/note --only 'note.txt:text/drop-line[2]'"
    assert f"    deskbench tasks mutate {tmp_path / 'run'} {shown}\n" in done.stdout
    assert "    allowed: more may follow\n" in done.stdout
    assert "  note: allowed 'json/*' matches no copy that survived or broke\n" in done.stdout
    alone = CliRunner().invoke(app, ["tasks", "mutate", str(tmp_path / "run"), "--task", "note", "--only",
                                     "note.txt:text/drop-line[2]"])  # fmt: skip
    assert alone.exit_code == 1
    assert "    -at the station\n" in alone.stdout and "    check_include_exclude: 1\n" in alone.stdout
    assert alone.stdout.count("scores 1:") == 1


def test_the_command_prints_no_control_character_of_a_file(tmp_path: Path) -> None:
    record(tmp_path / "run", written(tmp_path, "whole", equals("Tea\x1b[2J")), b"Tea\x1b[2J")
    done = CliRunner().invoke(app, ["tasks", "mutate", str(tmp_path / "run"), "--only", "text/append*"])
    assert r"-Tea\x1b[2J" in done.stdout and "\x1b" not in done.stdout


def test_json_has_everything(tmp_path: Path) -> None:
    record(tmp_path / "run", written(tmp_path, "whole", equals(SAID)), SAID.encode())
    done = CliRunner().invoke(app, ["tasks", "mutate", str(tmp_path / "run"), "--json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["sound"] is True and found["kill_rate"]["mean"] == 1.0
    verdict = found["tasks"][0]["verdicts"][0]
    assert (verdict["id"], verdict["outcome"], verdict["words"]) == (
        "files/missing[1]",
        "killed",
        "the file is missing",
    )


@pytest.mark.desktop
@pytest.mark.slow
def test_a_recorded_run_with_a_weak_check_planted(desktop: Desktop, tmp_path: Path) -> None:
    """Two tasks of `basics`, solved for real: one has its own check, the other one that looks for a word."""
    for name in ("editor-append-line", "terminal-make-tree"):
        [task] = [task for task in load("basics") if task.id == name]
        content = json.loads(task.path.read_text(encoding="utf-8"))
        if name == "editor-append-line":
            content["evaluator"] = contains("coffee", content["evaluator"]["result"])
        file = tmp_path / "suite" / f"{name}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content))
        [planted] = load(file)
        folder = tmp_path / "run" / "episodes" / "suite" / name / "1"
        plan = Plan(planted, "oracle", "local", tmp_path / "assets", task_json=content)
        done = run_episode(plan, OracleAgent(planted.oracle), desktop, EpisodeWriter(folder))
        assert done.score.value == 1.0, done.score
    found = {task.task: task for task in mutate(tmp_path / "run").tasks}
    tree, weak = found["suite/terminal-make-tree"], found["suite/editor-append-line"]
    assert tree.count("killed") > 20 and not any(verdict.at_fault for verdict in tree.verdicts)
    survived = [verdict.words for verdict in weak.verdicts if verdict.outcome == "survived"]
    assert "line 1 is missing" in survived and weak.count("killed") > 2
