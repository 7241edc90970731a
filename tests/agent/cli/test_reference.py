"""`deskbench tasks metrics|getters|setup`: tables, one by its name, JSON, and names that are not known."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deskbench.agent.cli.main import app
from deskbench.envs.errors import UsageError
from deskbench.tasks import registry
from deskbench.tasks.lint import lint
from deskbench.tasks.registry import Kind
from deskbench.tasks.schema import LIKE

COMMANDS: list[tuple[str, Kind]] = [("metrics", "metric"), ("getters", "getter"), ("setup", "setup")]


def said(*words: str) -> str:
    found = CliRunner().invoke(app, ["tasks", *words], env={"COLUMNS": "200"}, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.mark.parametrize(("command", "kind"), COMMANDS)
def test_the_table_has_every_name(command: str, kind: Kind) -> None:
    words = said(command).split()
    assert [name for name in registry.names(kind) if name not in words] == []


@pytest.mark.parametrize(("command", "kind"), COMMANDS)
def test_json_has_everything_of_every_name(command: str, kind: Kind) -> None:
    rows: list[dict[str, Any]] = json.loads(said(command, "--json"))
    assert sorted(row["name"] for row in rows) == list(registry.names(kind))
    assert json.loads(said(command, rows[0]["name"], "--json")) == rows[0]


def test_one_metric() -> None:
    text = said("metrics", "text_equals")
    assert "text_equals (data.text)" in text
    assert "1 when the text of a value or file is `expected`" in text
    assert "expected: Expected" in text
    assert "  ignore_case: true or false, default false" in text
    assert "  expected: anything, required" in text


def test_a_getter_says_where_its_value_is_from() -> None:
    assert "source: a file of the desktop" in said("getters", "vm_file")


def test_an_unknown_name_is_the_users_error() -> None:
    with pytest.raises(UsageError, match="unknown set-up type 'lanch'; did you mean 'launch'"):
        said("setup", "lanch")


def test_help_lists_every_template() -> None:
    assert [like for like in LIKE if like not in said("new", "--help")] == []


def test_a_task_that_is_like_another(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    assert said("new", str(path), "--like", "terminal").strip() == str(path)
    assert json.loads(path.read_text())["related_apps"] == ["lxterminal"]


def test_a_new_task_is_a_json_file_whatever_its_name(tmp_path: Path) -> None:
    assert said("new", str(tmp_path / "my-task")).strip() == str(tmp_path / "my-task.json")


@pytest.mark.parametrize("like", LIKE)
def test_a_new_task_has_no_error(tmp_path: Path, like: str) -> None:
    said("new", str(tmp_path / "mine.json"), "--like", like)
    assert [str(one) for one in lint(tmp_path).findings if one.severity == "error"] == []
