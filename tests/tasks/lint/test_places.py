"""Positions of values in a document: every value is found at its path, on the line that a reader sees."""

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deskbench.tasks.lint.facts import below
from deskbench.tasks.lint.places import places

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)


def walked(value: Any, where: str = "$") -> Iterator[tuple[str, Any]]:
    yield where, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walked(inner, below(where, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from walked(inner, f"{where}[{index}]")


@settings(max_examples=150, deadline=None)
@given(VALUES, st.sampled_from([None, 1, 2, "\t"]), st.booleans())
def test_every_value_is_found_at_its_path(value: Any, indent: int | str | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    found = places(text)
    for where, inner in walked(value):
        place = found.by_path[where]
        assert json.loads(text[place.start : place.end]) == inner


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='{}[]:,"\\\n 1ae.-', max_size=30))
def test_no_text_breaks_it(text: str) -> None:
    found = places(text)
    assert all(found.line(where) for where in found.by_path)
    assert found.line("$.a[0]['b']") is None or "$" in found.by_path


def test_a_line_is_that_of_the_key_and_of_the_nearest_outer_value() -> None:
    found = places('{\n "a": [\n  1,\n  {"b c": 2}\n ]\n}')
    assert [found.line(where) for where in ("$", "$.a", "$.a[0]", "$.a[1]['b c']")] == [1, 2, 3, 4]
    assert found.line("$.a[1].none.of[3]['these']") == 4
    assert found.line("$.none") == 1
    assert found.line("") is None


def test_what_is_no_json_has_the_places_before_the_fault() -> None:
    found = places('{"a": 1, "b" 2}')
    assert "$.a" in found.by_path
    assert places("").by_path == {}
    assert places("[" * 200).by_path == {}
