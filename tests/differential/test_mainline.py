"""The hash that links a case to the result of OSWorld's main branch for its inputs."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.differential import mainline
from tests.differential.__main__ import differing
from tests.differential.case import Case, Verdict, judge


def packed(path: Path, members: dict[str, str], year: int = 2024) -> Path:
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), text)
    return path


def hashed(*arguments: Any, **options: Any) -> str:
    return mainline.digest(Case("compare_table", "any name", arguments, options))


FIELD = '<fld id="{FEE6E273-8139-4DE1-BE3E-ED05147DA77%d}"/>'


def test_neither_the_place_nor_the_time_counts(tmp_path: Path) -> None:
    one = packed(tmp_path / "a/x.xlsx", {"s.xml": FIELD % 1, "docProps/core.xml": "today"}, 2024)
    other = packed(tmp_path / "b/x.xlsx", {"s.xml": FIELD % 2, "docProps/core.xml": "later"}, 2025)
    assert hashed(one) == hashed(other)


@pytest.mark.parametrize("change", ["content", "name", "option", "argument", "beside"])
def test_all_else_does(tmp_path: Path, change: str) -> None:
    file = packed(tmp_path / "a/x.xlsx", {"s.xml": "1"})
    before = hashed(file, rule=1)
    if change == "beside":  # a printed sheet, which the metric finds by the workbook's name
        (tmp_path / "a/x-Sheet1.csv").write_text("1\n")
    other = packed(tmp_path / "b" / ("y.xlsx" if change == "name" else "x.xlsx"), {"s.xml": "2"})
    after = {
        "content": lambda: hashed(other, rule=1),
        "name": lambda: hashed(packed(other, {"s.xml": "1"}), rule=1),
        "option": lambda: hashed(file, rule=2),
        "argument": lambda: hashed(file, None, rule=1),
        "beside": lambda: hashed(file, rule=1),
    }[change]()
    assert after != before


def test_inputs_that_main_was_never_asked_about_are_wrong_where_every_machine_makes_the_same(tmp_path: Path) -> None:
    found = judge(Case("exact_match", "new", ("never asked", {"expected": "never asked"})), tmp_path)
    assert found.problem == "main was never asked about these inputs"
    package = packed(tmp_path / "a/x.zip", {"a": "1"})
    assert not mainline.must_be_known(Case("compare_archive", "of a library's version", (package, package)))


@pytest.mark.parametrize(
    ("differs", "problem"),
    [
        ("", "1.0.2: disagreement that no difference explains"),
        ("accents", "accents is no listed difference of compare_csv"),
        ("number-inside", "number-inside is no listed difference of compare_csv"),
        ("csv-bom", ""),
    ],
)
def test_a_disagreement_needs_a_listed_difference(tmp_path: Path, differs: str, problem: str) -> None:
    for name, text in (("a.csv", "\ufeffa,b\n"), ("b.csv", "a,b\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    case = Case("compare_csv", "byte order mark", (tmp_path / "a.csv", tmp_path / "b.csv"), differs=differs)
    verdict: Verdict = judge(case, tmp_path)
    assert verdict.problem == problem


def test_the_tasks_to_which_the_revisions_difference_matters_are_counted(tmp_path: Path) -> None:
    """Counted by metric and by getter; a task that uses two such things counts once."""
    time = {"type": "rule_relativeTime", "rules": {"relativeTime": {"from": "tomorrow"}, "expected": {"a": "{Day}"}}}
    rule = {"type": "rule", "rules": {"expected": "x"}}
    text = {"type": "vm_file_text", "path": "/a"}
    evaluators = [
        (["check_direct_json_object", "compare_config"], [{"type": "agent_answer"}, text], [time, rule]),
        ("compare_config", text, rule),
        ("exact_match", text, rule),
    ]
    (tmp_path / "examples/os").mkdir(parents=True)
    for name, (func, result, expected) in enumerate(evaluators):
        evaluator = {"func": func, "result": result, "expected": expected}
        task = {"id": str(name), "instruction": "x", "evaluator": evaluator}
        (tmp_path / f"examples/os/{name}.json").write_text(json.dumps(task))
    (tmp_path / "test_all.json").write_text(json.dumps({"os": ["0", "1", "2"]}))
    page = differing(tmp_path)
    assert page.startswith("2 of 3 tasks\n")
    assert "| `compare_config` | 2 |\n| `rule_relativeTime` | 1 |\n" in page
