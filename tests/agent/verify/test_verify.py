"""Verification's own logic on a desktop in memory, and one suite on a real one."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.build import make_provider
from deskbench.agent.cli.verify import exit_status
from deskbench.agent.verify.cells import COLUMNS, Cell, Outcome
from deskbench.agent.verify.record import desktop_of, is_broken, is_valid, read, validated, write
from deskbench.agent.verify.stage import Stage
from deskbench.agent.verify.trials import blind
from deskbench.agent.verify.verify import ROWS, Found, Verification
from deskbench.envs.types import Wait
from deskbench.tasks.fingerprint import key_of
from deskbench.tasks.load import VALIDATION, load

from ..paper import Flaky, prepared, write_suite, write_task

SAVE = {"type": "click", "target": {"role": "push-button", "name": "Save"}}
SAVED = ["cat", "/home/user/note.txt"]
FLAKY = f"{Flaky.__module__}:{Flaky.__name__}"


def wants(text: str) -> dict[str, Any]:
    return {
        "func": "exact_match",
        "result": {"type": "vm_command_line", "command": SAVED},
        "expected": {"type": "rule", "rules": {"expected": text}},
    }


def verified(source: Path, folder: Path, **options: Any) -> Verification:
    one = Verification(prepared(source, agent="null"), folder, **{"k": 1, **options})
    one.run()
    return one


def cells(one: Verification, task: str, column: str) -> list[tuple[str, Outcome, float | None]]:
    return [(cell.name, cell.outcome, cell.score) for cell in one.found[task].cells.values() if cell.column == column]


def test_a_good_task_stands_every_trial(tmp_path: Path) -> None:
    write_task(
        tmp_path / "paper", "write",
        mutants=[{"name": "nothing written", "steps": [
            {"type": "write_file", "parameters": {"path": "/home/user/note.txt", "text": "hell"}}]}],
    )  # fmt: skip
    one = verified(tmp_path / "paper", tmp_path / "out", k=3)
    found = one.found["paper/write"]
    assert [(c.name, c.outcome, c.score) for c in found.cells.values() if c.column == "oracle"] == [
        (str(number), Outcome.RIGHT, 1.0) for number in (1, 2, 3)
    ]
    assert cells(one, "paper/write", "prefix") == [("without the last 1", Outcome.RIGHT, 0.0)]
    assert cells(one, "paper/write", "mutant") == [("nothing written", Outcome.RIGHT, 0.0)]
    assert cells(one, "paper/write", "again") == [("", Outcome.RIGHT, 1.0)]
    for column in ("nothing", "done", "fail", "random"):
        assert cells(one, "paper/write", column) == [("", Outcome.RIGHT, 0.0)], column
    for column in ("solution", "neutral", "blind", "shell"):
        assert [outcome for _, outcome, _ in cells(one, "paper/write", column)] == [Outcome.NONE], column
    assert {cell.column for cell in found.cells.values()} == set(COLUMNS)
    assert exit_status([found]) == 0


def test_to_say_so_is_the_solution_of_an_infeasible_task(tmp_path: Path) -> None:
    one = verified(write_suite(tmp_path / "paper", 0), tmp_path / "out")
    assert cells(one, "paper/impossible", "fail") == [("", Outcome.RIGHT, 1.0)]
    assert cells(one, "paper/impossible", "done") == [("", Outcome.RIGHT, 0.0)]
    [copies] = one.found["paper/impossible"].of("neutral")
    assert (copies.outcome, copies.reason) == (Outcome.NONE, "it is infeasible: its check judges no end state")
    assert exit_status(list(one.found.values())) == 0


def test_a_check_that_anything_passes_is_found_by_every_trial_that_does_nothing(tmp_path: Path) -> None:
    start = [{"type": "write_file", "parameters": {"path": "/home/user/note.txt", "text": "hello"}}]
    write_task(tmp_path / "paper", "given", config=start)
    one = verified(tmp_path / "paper", tmp_path / "out")
    wrong = {cell.column for cell in one.found["paper/given"].cells.values() if cell.outcome is Outcome.WRONG}
    assert wrong == {"nothing", "done", "random"}
    assert exit_status(list(one.found.values())) == 1


def test_a_prefix_that_is_enough_is_found_and_one_that_changes_nothing_does_not_count(tmp_path: Path) -> None:
    text = [{"type": "type", "text": "hello"}, SAVE]
    write_task(tmp_path / "paper", "idle", oracle=[*text, {"type": "move", "x": 5, "y": 5}])
    write_task(
        tmp_path / "paper", "enough", oracle=[*text, {"type": "type", "text": "!"}, SAVE],
        evaluator=wants("") | {"func": "check_include_exclude",
                               "expected": {"type": "rule", "rules": {"include": ["hello"], "exclude": []}}},
    )  # fmt: skip
    one = verified(tmp_path / "paper", tmp_path / "out")
    assert ("without the last 1", Outcome.NONE, 1.0) in cells(one, "paper/idle", "prefix")
    assert ("without the last 2", Outcome.RIGHT, 0.0) in cells(one, "paper/idle", "prefix")
    assert exit_status([one.found["paper/idle"]]) == 0
    assert cells(one, "paper/enough", "prefix") == [
        ("without the last 1", Outcome.WRONG, 1.0),
        ("without the last 2", Outcome.WRONG, 1.0),
        ("without the last 3", Outcome.RIGHT, 0.0),
    ]  # fmt: skip
    assert exit_status([one.found["paper/enough"]]) == 1


def test_an_oracle_that_finds_no_target_is_an_error_and_no_invalid_task(tmp_path: Path) -> None:
    write_task(tmp_path / "paper", "lost", oracle=[{"type": "click", "target": {"name": "Nowhere"}}])
    one = verified(tmp_path / "paper", tmp_path / "out")
    [(_, outcome, score)] = cells(one, "paper/lost", "oracle")
    assert (outcome, score) == (Outcome.ERROR, None)
    assert "Nowhere" in one.found["paper/lost"].of("oracle")[0].reason
    assert exit_status(list(one.found.values())) == 3


def test_a_neutral_change_and_another_solution_must_pass_too(tmp_path: Path) -> None:
    harmless = {"type": "write_file", "parameters": {"path": "/home/user/other.txt", "text": "x"}}
    spoiling = {"type": "write_file", "parameters": {"path": "/home/user/note.txt", "text": "bye"}}
    keys = [{"type": "type", "text": "hello"}, {"type": "key", "keys": ["ctrl", "s"]}]
    write_task(
        tmp_path / "paper", "write",
        neutral=[{"name": "another file", "steps": [harmless]}, {"name": "spoiled", "steps": [spoiling]}],
        solutions=[{"name": "keys", "steps": keys}],
    )  # fmt: skip
    one = verified(tmp_path / "paper", tmp_path / "out")
    assert cells(one, "paper/write", "solution") == [("keys", Outcome.RIGHT, 1.0)]
    assert cells(one, "paper/write", "neutral") == [
        ("another file", Outcome.RIGHT, 1.0), ("spoiled", Outcome.WRONG, 0.0),
    ]  # fmt: skip


def test_harmless_copies_of_the_evidence_must_pass_unless_the_author_allows_them_not_to(tmp_path: Path) -> None:
    file = {"type": "vm_file", "path": "/home/user/note.txt", "dest": "note.txt"}
    check = {"func": "text_matches", "result": file, "expected": {"type": "rule", "rules": {"pattern": "hello"}}}
    write_task(tmp_path / "paper", "strict", evaluator=check)
    write_task(tmp_path / "paper", "allowed", evaluator=check, allowed={"text/bom*": "the editor writes none"})
    one = verified(tmp_path / "paper", tmp_path / "out")
    blank = ("copy text/trailing-blanks[1] of note.txt", Outcome.RIGHT, 1.0)
    assert blank in cells(one, "paper/strict", "neutral")
    [told] = [cell for cell in one.found["paper/strict"].of("neutral") if cell.outcome is not Outcome.RIGHT]
    assert (told.name, told.outcome) == ("copy text/bom[1] of note.txt", Outcome.WRONG)
    assert told.reason == "the file begins with a byte order mark: text_matches: does not match"
    [told] = [cell for cell in one.found["paper/allowed"].of("neutral") if cell.outcome is not Outcome.RIGHT]
    assert told.outcome is Outcome.NONE and told.reason.endswith("a byte order mark: the editor writes none")
    assert [found.valid for found in one.found.values()] == [True, False]

    before = (tmp_path / "out" / ROWS).read_bytes()
    verified(tmp_path / "paper", tmp_path / "out")
    assert (tmp_path / "out" / ROWS).read_bytes() == before


@pytest.mark.parametrize(
    ("texts", "outcome"), [(("hello", "howdy"), Outcome.RIGHT), (("hello", "hello"), Outcome.WRONG)]
)
def test_another_seeds_actions_must_not_do(texts: tuple[str, str], outcome: Outcome, tmp_path: Path) -> None:
    write_task(
        tmp_path / "paper", "seeded", seeds=[{"text": text} for text in texts], evaluator=wants("{{text}}"),
        oracle=[{"type": "type", "text": "{{text}}"}, SAVE],
    )  # fmt: skip
    one = verified(tmp_path / "paper", tmp_path / "out")
    for name, other in (("seeded@0", "seeded@1"), ("seeded@1", "seeded@0")):
        [(said, found, _)] = cells(one, f"paper/{name}", "blind")
        assert (said, found) == (f"actions of {other}", outcome)


def test_one_seed_alone_is_tried_against_another_too(tmp_path: Path) -> None:
    write_task(
        tmp_path / "paper", "seeded", seeds=[{"text": "hello"}, {"text": "hello"}], evaluator=wants("{{text}}"),
        oracle=[{"type": "type", "text": "{{text}}"}, SAVE],
    )  # fmt: skip
    alone = prepared(tmp_path / "paper", agent="null", only=("seeded@1",))
    one = Verification(alone, tmp_path / "out", k=1)
    one.run()
    assert list(one.found) == ["paper/seeded@1"]
    assert cells(one, "paper/seeded@1", "blind") == [("actions of seeded@0", Outcome.WRONG, 1.0)]
    count = episodes(tmp_path / "out")
    Verification(alone, tmp_path / "out", k=1).run()
    assert episodes(tmp_path / "out") == count


def test_seeds_without_an_oracle_have_nothing_to_repeat(tmp_path: Path) -> None:
    write_task(
        tmp_path / "paper", "seeded", seeds=[{"text": "a"}, {"text": "b"}], evaluator=wants("{{text}}"), oracle=None
    )
    one = verified(tmp_path / "paper", tmp_path / "out")
    assert [outcome for _, outcome, _ in cells(one, "paper/seeded@0", "blind")] == [Outcome.NONE]
    assert exit_status(list(one.found.values())) == 1


@pytest.mark.parametrize("column", ["blind", "prefix"])
def test_actions_that_were_cut_short_prove_nothing(column: Any, tmp_path: Path) -> None:
    path = write_task(tmp_path / "paper", "slow", limits={"seconds": 0.0001})
    ready = prepared(path, agent="null")
    stage = Stage(make_provider("fake"), "fake", ready.spec, tmp_path / "out")
    trial = dataclasses.replace(blind(ready.tasks[0], "another", [(Wait(0.1),)] * 9), column=column)
    cell = stage.carry_out(trial).cell
    assert (cell.outcome, cell.score) == (Outcome.TIMEOUT, 0.0)


# -- resuming, interrupting, failing desktops


def episodes(folder: Path) -> int:
    return len(list(folder.glob("episodes/*/*/*/episode.json")))


def test_what_is_decided_is_not_tried_again(tmp_path: Path) -> None:
    source = write_suite(tmp_path / "paper", 1)
    verified(source, tmp_path / "out")
    count = episodes(tmp_path / "out")
    with (tmp_path / "out" / ROWS).open("a") as rows:
        rows.write('{"task": "paper/wri')  # the controller was killed here
    again = verified(source, tmp_path / "out")
    assert episodes(tmp_path / "out") == count > 0
    assert all(is_valid(list(found.cells.values())) for found in again.found.values())


def test_an_error_is_tried_again_and_so_is_a_task_that_has_changed(tmp_path: Path) -> None:
    write_task(tmp_path / "paper", "write", oracle=[{"type": "click", "target": {"name": "Nowhere"}}])
    assert exit_status(list(verified(tmp_path / "paper", tmp_path / "out").found.values())) == 3
    write_task(tmp_path / "paper", "write")
    one = verified(tmp_path / "paper", tmp_path / "out")
    assert exit_status(list(one.found.values())) == 0


def test_results_of_another_desktop_are_not_taken_over(tmp_path: Path) -> None:
    source = write_suite(tmp_path / "paper", 1)
    verified(source, tmp_path / "out")
    count = episodes(tmp_path / "out")
    other = dataclasses.replace(prepared(source, agent="null"), made_of={"image": "other"})
    again = Verification(other, tmp_path / "out", k=1)
    again.run()
    assert episodes(tmp_path / "out") == 2 * count
    assert [entry.desktop["image"] for entry in again.entries()] == ["other", "other"]


def test_a_prefix_run_that_failed_leaves_nothing_behind_once_it_passes(tmp_path: Path) -> None:
    path = write_task(tmp_path / "paper", "write")
    one = verified(path.parent, tmp_path / "out")
    rows = tmp_path / "out" / ROWS
    key = one.found["paper/write"].depends
    failed = Cell(task="paper/write", column="prefix", outcome=Outcome.ERROR, reason="lost\u2028desktop", key=key)
    kept = [line for line in rows.read_text().split("\n") if '"prefix"' not in line]
    rows.write_text("\n".join([*kept, failed.model_dump_json()]) + '\n{"task": "paper/wri')
    for _ in range(2):  # the second time from what the first has written behind the broken line
        again = verified(path.parent, tmp_path / "out")
        assert exit_status(list(again.found.values())) == 0
        assert [cell.name for cell in again.found["paper/write"].of("prefix")] == ["without the last 1"]


def test_an_end_keeps_what_was_found(tmp_path: Path) -> None:
    source = write_suite(tmp_path / "paper", 3)
    done: list[Found] = []

    def first(found: Found) -> None:
        done.append(found)
        one.interrupt()

    one = Verification(prepared(source, agent="null"), tmp_path / "out", k=1, on_task=first)
    one.run()
    assert [entry.task for entry in one.entries()] == [found.task.key for found in done]
    assert len(done) == 1
    again = verified(source, tmp_path / "out")
    assert len(list(again.entries())) == 4


def test_a_desktop_that_dies_costs_an_attempt_and_is_named(tmp_path: Path) -> None:
    write_task(tmp_path / "paper", "write")
    one = Verification(prepared(tmp_path / "paper", agent="null", provider=FLAKY), tmp_path / "out", k=1)
    one.run()
    assert cells(one, "paper/write", "oracle") == [("1", Outcome.RIGHT, 1.0)]
    assert any("attempt 1: the desktop failed" in cell.reason for cell in one.found["paper/write"].cells.values())


# -- the record


def recorded(tmp_path: Path) -> Path:
    source = write_suite(tmp_path / "paper", 1)
    one = verified(source, tmp_path / "out")
    write(source / VALIDATION, "paper", list(one.entries()), {"python": "3"})
    return source


def why_not(source: Path, provider: str = "fake", **made_of: str) -> dict[str, str]:
    return dict(validated(load(str(source)), provider, made_of).why_not)


def test_a_record_holds_until_something_changes(tmp_path: Path) -> None:
    source = recorded(tmp_path)
    assert why_not(source) == {}
    assert len(load(str(source))) == 2  # the record is no task
    path = source / "write-0.json"
    value = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(value.items())) | {"tags": ["new"]}))  # order and tags mean nothing
    assert why_not(source) == {}
    path.write_text(json.dumps(value | {"instruction": "Write hello, and save it."}))
    assert list(why_not(source)) == ["paper/write-0"]
    assert "changed" in why_not(source)["paper/write-0"]
    path.write_text(json.dumps(value))
    assert "another desktop" in why_not(source, "docker", image="full", digest="sha256:1")["paper/write-0"]


def test_a_record_goes_stale_when_wine_changes(tmp_path: Path) -> None:
    source = write_suite(tmp_path / "paper", 1)
    made_of = {"wine": "wine-8.0", "template": "1"}
    entries = [
        entry.model_copy(update={"desktop": desktop_of(task, "wine", made_of)})
        for task, entry in zip(load(str(source)), verified(source, tmp_path / "out").entries(), strict=True)
    ]
    write(source / VALIDATION, "paper", entries, {})
    assert why_not(source, "wine", **made_of) == {}
    reason = why_not(source, "wine", wine="wine-10.0", template="1")["paper/write-0"]
    assert "wine was wine-8.0, is wine-10.0" in reason


def test_a_tasks_assets_and_the_code_of_its_check_are_in_its_key(tmp_path: Path) -> None:
    (tmp_path / "paper" / "assets").mkdir(parents=True)
    asset = tmp_path / "paper" / "assets" / "a.txt"
    asset.write_text("one")
    files = [{"local_path": "assets/a.txt", "path": "~/a.txt"}]
    path = write_task(tmp_path / "paper", "write", config=[{"type": "upload_file", "parameters": {"files": files}}])
    before = key_of(load(str(path))[0])
    asset.write_text("two")
    assert key_of(load(str(path))[0]) != before
    other = write_task(tmp_path / "paper", "other", evaluator=wants("hello") | {"func": "text_equals"})
    assert key_of(load(str(other))[0]) != key_of(load(str(path))[0])


def test_a_task_that_failed_does_not_count_as_validated(tmp_path: Path) -> None:
    start = [{"type": "write_file", "parameters": {"path": "/home/user/note.txt", "text": "hello"}}]
    source = write_task(tmp_path / "paper", "given", config=start).parent
    write(source / VALIDATION, "paper", list(verified(source, tmp_path / "out").entries()), {})
    found = validated(load(str(source)), "fake", {})
    assert (found.n, found.m) == (0, 1) and "failed its verification" in found.why_not["paper/given"]


@pytest.mark.parametrize(
    ("oracle", "said"),
    [([{"type": "click", "target": {"name": "Nowhere"}}], "ended with errors or timeouts"), (None, "has no solution")],
)
def test_a_task_that_was_not_decided_did_not_fail(oracle: Any, said: str, tmp_path: Path) -> None:
    source = write_task(tmp_path / "paper", "write", oracle=oracle).parent
    write(source / VALIDATION, "paper", list(verified(source, tmp_path / "out").entries()), {})
    assert said in why_not(source)["paper/write"]


def test_the_record_has_the_fields_of_openenvs_report(tmp_path: Path) -> None:
    report = json.loads((recorded(tmp_path) / VALIDATION).read_text())
    assert set(report) == {
        "report_schema_version", "target", "source_digest", "signature", "manifest", "policy_version", "lane",
        "levels_run", "results", "verdict",
    }  # fmt: skip
    assert (report["target"], report["verdict"]) == ("paper", "pass")
    for result in report["results"]:
        assert set(result) == {"check_id", "status", "measured", "evidence", "remediation", "duration_s"}
        assert result["status"] in ("pass", "fail", "skip", "error")
    ids = {result["check_id"] for result in report["results"]}
    assert ids >= {"semantic.oracle_max", "semantic.floor_gap", "semantic.verifier_determinism"}


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"results": [{"check_id": "deskbench.task"}]}', '{"results": 3}', "[" * 100_000,
        '{"results": [{"check_id": "deskbench.task", "measured": [1]}]}',
        '{"results": [{"check_id": "deskbench.task", "measured": {"task": "a/b"}}, {"check_id": "x", "measured": 1}]}',
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_read_is_none(text: str, tmp_path: Path) -> None:
    path = write_task(tmp_path / "paper", "write")
    record = path.parent / VALIDATION
    assert why_not(path) == {"paper/write": "was never verified"}
    record.write_text(text)
    assert read(record) == {} and is_broken(record)
    assert why_not(path) == {"paper/write": "validation.json cannot be read, or has another format"}


# -- what the start state says


def test_a_check_that_the_start_state_meets_and_an_answer_that_is_on_the_screen_are_noted(tmp_path: Path) -> None:
    there = [{"type": "write_file", "parameters": {"path": "/home/user/note.txt", "text": "seven"}}]
    opened = [*there, {"type": "launch", "parameters": {"command": ["editor", "~/note.txt"]}}]
    result = {"type": "vm_command_line", "command": SAVED}
    write_task(
        tmp_path / "paper", "guard", config=opened,
        evaluator={
            "func": ["exact_match", "exact_match"], "result": [{"type": "agent_answer"}, result],
            "expected": [{"type": "rule", "rules": {"expected": text}} for text in ("Seven", "seven")],
        },
        oracle=[{"type": "done", "answer": "Seven"}],
    )  # fmt: skip
    one = verified(tmp_path / "paper", tmp_path / "out")
    [nothing] = one.found["paper/guard"].of("nothing")
    assert nothing.outcome is Outcome.RIGHT
    assert [note.split(":")[0] for note in nothing.notes] == ["DB009 $.evaluator.func[1]", "DB008 $.evaluator.func[0]"]


def test_what_a_file_allows_with_a_reason_is_not_noted(tmp_path: Path) -> None:
    there = [{"type": "write_file", "parameters": {"path": "/home/user/note.txt", "text": "hello"}}]
    write_task(tmp_path / "paper", "given", config=there, noqa={"DB009": "it is a test"})
    one = verified(tmp_path / "paper", tmp_path / "out")
    assert one.found["paper/given"].of("nothing")[0].notes == ()


@pytest.mark.desktop
def test_a_gold_file_that_the_agent_can_read_is_noted(tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    (suite / "assets").mkdir(parents=True)
    (suite / "assets" / "gold.txt").write_text("forty-two\n")
    files = [{"local_path": "assets/gold.txt", "path": "~/.old/answer.txt"}]
    write_task(
        suite, "leak", config=[{"type": "upload_file", "parameters": {"files": files}}], oracle=None,
        evaluator={
            "func": "compare_text_file",
            "result": {"type": "vm_file", "path": "~/mine.txt", "dest": "mine.txt"},
            "expected": {"type": "task_file", "path": "assets/gold.txt"},
        },
    )  # fmt: skip
    one = Verification(prepared(suite, agent="null", provider="local"), tmp_path / "out", k=1)
    one.run()
    [nothing] = one.found["suite/leak"].of("nothing")
    assert nothing.outcome is Outcome.RIGHT, nothing
    assert [note.split(":")[0] for note in nothing.notes] == ["DB006 $.config"]
    assert "/.old/answer.txt" in nothing.notes[0]
    assert exit_status(list(one.found.values())) == 1  # nobody has shown that it can be solved
