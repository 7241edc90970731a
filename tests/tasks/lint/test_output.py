"""Formats: text for people, JSON for scripts, SARIF for code scanning, annotations for pull requests."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from deskbench.tasks.lint import Report, examples, lint, output
from deskbench.tasks.lint.rules import chosen, rules


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suite").mkdir()
    examples.write(
        tmp_path / "suite",
        [{"oracle": None, "noqa": {"DB028": "a person, 100 %:\nsolved it"}, "evaluater": None},
         {"id": "Other", "instruction": "Write https://www.python.org/ into letter.txt.",
          "evaluator": {"expected": {"rules": {"expected": "https://www.python.org/"}}}},
         {"id": "third", "evaluater": {}}],
    )  # fmt: skip
    return lint(tmp_path / "suite")


def test_text_has_a_line_for_each_finding_and_the_counts(report: Report) -> None:
    *lines, summary = output.text(report).splitlines()
    assert len(lines) == len(report.findings) == 3
    assert re.fullmatch(r".*suite/Other\.json:2: DB002 error: \$\.id: is 'Other'.*", lines[0])
    assert summary == ("2 tasks, 3 errors (DB001 1, DB002 1, DB005 1); 1 allowed with a reason; 1 with a fix (--fix)")


def test_json_has_what_scripts_read_before_and_the_rules(report: Report) -> None:
    value = json.loads(json.dumps(output.document(report)))
    assert value["tasks"] == 2
    assert value["counts"] == {"error": 3, "warning": 0, "information": 0}
    assert value["by_rule"] == {"DB001": 1, "DB002": 1, "DB005": 1}
    assert {"file", "where", "message", "warning", "rule", "severity", "line", "help", "fixable"} == set(
        value["problems"][0]
    )
    assert value["allowed"][0]["rule"] == "DB028"


def test_sarif_is_built_as_the_standard_says(report: Report) -> None:
    value: dict[str, Any] = json.loads(json.dumps(output.sarif(report)))
    assert value["version"] == "2.1.0"
    assert value["$schema"].endswith("sarif-schema-2.1.0.json")
    [run] = value["runs"]
    described = run["tool"]["driver"]["rules"]
    assert [one["id"] for one in described] == list(rules())
    assert all(one["shortDescription"]["text"] and one["fullDescription"]["text"] for one in described)
    assert len(run["results"]) == 4
    for result in run["results"]:
        assert described[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        [location] = result["locations"]
        physical = location["physicalLocation"]
        assert physical["artifactLocation"]["uri"].startswith("suite/")
        assert physical["region"]["startLine"] >= 1
    [suppressed] = [result for result in run["results"] if "suppressions" in result]
    assert suppressed["suppressions"][0]["justification"].endswith("solved it")


def test_an_annotation_stands_on_one_line_with_its_file(report: Report) -> None:
    lines = output.github(report).splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("::error file=suite/Other.json,line=2,title=DB002::$.id: is 'Other'")
    assert output._escaped("a%b\nc:d,e", ":,") == "a%25b%0Ac%3Ad%2Ce"


@pytest.mark.parametrize("id", list(rules()))
def test_a_rule_is_explained_with_both_examples(id: str) -> None:
    text = output.explained(rules()[id])
    parts = text.split("\n\n")
    assert parts[0].startswith(f"{id} ({rules()[id].severity}")
    assert "From: " in text and "Found:" in text and "Not found:" in text and "What to do: " in text
    assert len(rules()[id].meaning) > 80


def test_rules_are_chosen_by_the_beginning_of_their_ids() -> None:
    assert chosen([], []) == frozenset(rules())
    assert chosen(["DB01"], []) == frozenset(f"DB01{n}" for n in range(10))
    assert chosen(["db001,DB002"], ["DB002"]) == {"DB001"}
    assert chosen([], ["DB0"]) == frozenset()
