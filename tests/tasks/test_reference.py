"""The reference matches the registry: shapes in words, and every name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from deskbench.tasks import registry
from deskbench.tasks.reference import COMMANDS, Field, describe, described, examples, shape, table
from deskbench.tasks.registry import Kind, Regex
from deskbench.tasks.taskfile import OURS, USED

KINDS: tuple[Kind, ...] = ("metric", "getter", "setup")


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (str, "text"), (bool, "true or false"), (Path, "file"), (Any, "anything"), (None, "null"),
        (str | None, "text or null"), (list[int] | None, "null or list of whole numbers"),
        (list[str | int], "list of (text or whole number)"), (Sequence[Sequence[Any]], "list of list"),
        (Mapping[str, Any], "object"), (dict[str, float], "object of numbers"), (dict, "object"), (list, "list"),
        (tuple[int, int], "[whole number, whole number]"), (tuple[int, ...], "list of whole numbers"),
        (Literal["and", "or"], '"and" or "or"'), (list[Regex], "list of regular expression"),
    ],
)  # fmt: skip
def test_a_type_in_words(annotation: Any, words: str) -> None:
    assert shape(annotation) == words


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_described(kind: Kind) -> None:
    found = described(kind)
    assert sorted(one.name for one in found) == list(registry.names(kind))
    assert all(one.line for one in found), "each has a docstring"
    told = [field.shape for one in found for field in (*one.options, *(key for s in one.shapes for key in s.fields))]
    assert not [words for words in told if "typing." in words or "<" in words]


def test_a_metric() -> None:
    one = describe("metric", "text_equals")
    assert (one.group, one.result, one.expected, one.optional) == ("data.text", "anything", "Expected", ())
    assert one.options[0] == Field("ignore_case", "true or false", False, "false")
    assert [(s.name, s.fields) for s in one.shapes] == [("Expected", (Field("expected", "anything", True),))]


def test_keys_that_may_be_left_out_are_those_that_the_check_does_not_want() -> None:
    (one,) = describe("metric", "check_include_exclude").shapes
    assert [(field.name, field.required) for field in one.fields] == [("include", False), ("exclude", False)]


def test_what_may_be_left_out_and_other_names() -> None:
    assert describe("metric", "compare_table").optional == ("expected",)
    assert describe("metric", "exact_match").also == ("compare_answer",)
    assert describe("metric", "compare_archive").open


def test_where_a_value_is_from() -> None:
    assert describe("getter", "vm_file").source == "a file of the desktop"
    assert describe("getter", "vm_clipboard").programs == ("xclip",)
    assert describe("setup", "launch").source == ""


def test_an_unknown_name_says_the_nearest() -> None:
    with pytest.raises(registry.RegistryError, match="did you mean 'text_equals'"):
        describe("metric", "text_equal")


@pytest.mark.parametrize(("kind", "command"), COMMANDS.items())
def test_the_page_is_what_the_registry_says(kind: Kind, command: str) -> None:
    page = Path(__file__).parents[2] / f"docs/tables/{command}.md"
    assert page.read_text(encoding="utf-8") == table(kind), f"deskbench tasks {command} --markdown > {page}"


def test_the_page_on_tasks_names_every_key_of_a_file() -> None:
    page = (Path(__file__).parents[2] / "docs/tasks.md").read_text(encoding="utf-8")
    assert [key for key in (*USED, *OURS) if f"`{key}`" not in page] == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_example_is_shown(kind: Kind) -> None:
    name, example = next(iter(examples(kind).items()))
    assert describe(kind, name).example == example
