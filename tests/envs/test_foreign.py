"""Text, JSON and scores from other programs."""

import ast
import codecs
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from deskbench.envs import foreign, wait
from deskbench.envs.errors import UsageError

VALUE = {"text": "a\u2028b\x85c é 𝄞", "list": [1, 2.5, None, True, {"k": "v"}]}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_is_read_in_whatever_encoding_it_stands(encoding: str) -> None:
    data = json.dumps(VALUE, ensure_ascii=False).encode(encoding)
    assert foreign.document(data) == (VALUE, [])
    assert foreign.document(codecs.BOM_UTF8 + json.dumps(VALUE).encode()) == (VALUE, [])


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_lines_end_at_newlines_only(encoding: str) -> None:
    text = json.dumps(VALUE, ensure_ascii=False)
    assert foreign.lines(f"{text}\n{text}\r\n".encode(encoding)) == [text, f"{text}\r", ""]


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('{"a": 1, "a": 2}', "$.a", "twice"),
        ('{"b": [{"a b": 1, "a b": 1}]}', "$.b[0]['a b']", "twice"),
        ('{"a": {"b": ["x", "\\ud800"]}}', "$.a.b[1]", "surrogate"),
        ('{"\\udfff": 1}', "$", "surrogate"),
        ('{"a": NaN}', "$.a", "NaN"),
        ('{"a": -Infinity}', "$.a", "Infinity"),
        ('{"a": 1e999}', "$.a", "too large"),
        (f'{{"a": {"9" * 5000}}}', "$.a", "5000 digits"),
        ("[" * 65 + "]" * 65, "$" + "[0]" * 64, "nested"),
    ],
)
def test_what_json_allows_and_nobody_means_is_told_with_its_place(text: str, where: str, what: str) -> None:
    _, [fault] = foreign.document(text.encode())
    assert fault.where == where
    assert what in fault.message


def test_every_such_place_is_told() -> None:
    value, faults = foreign.document(b'{"a": NaN, "b": "\\ud800", "c": {"d": 1, "d": 2}}')
    assert [fault.where for fault in faults] == ["$.a", "$.b", "$.c.d"]
    assert value == {"a": None, "b": "\ufffd", "c": {"d": 2}}


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"{", "line 1, column 2"),
        (b"", "not JSON"),
        (b"\xff\xfe{", "UTF-16"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b"[" * 100_000, "nested"),
    ],
)
def test_what_is_no_json_is_told_in_one_line(data: bytes, what: str) -> None:
    with pytest.raises(foreign.Unread, match=what) as caught:
        foreign.document(data)
    assert "\n" not in str(caught.value)


@given(st.binary())
def test_no_bytes_make_the_reader_fall_over(data: bytes) -> None:
    foreign.lines(data)
    try:
        foreign.document(data)
    except foreign.Unread as error:
        assert "\n" not in str(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20,
)  # fmt: skip


@given(JSON, st.sampled_from(ENCODINGS))
def test_what_is_written_is_read(value: Any, encoding: str) -> None:
    # A JSON object begins with two ASCII characters, which reveal the encoding.
    document = {"value": value}
    assert foreign.document(json.dumps(document, ensure_ascii=False).encode(encoding)) == (document, [])


@pytest.mark.parametrize("text", ["1", "0.5\n", " 1.0 ", "0", "1e-3"])
def test_a_score_is_a_number(text: str) -> None:
    assert foreign.number(text) == float(text)


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "2", "", "True", "1.0000001", "1 0"])
def test_what_is_no_score_is_refused(text: str) -> None:
    with pytest.raises(foreign.Unread):
        foreign.number(text)


class Inner(BaseModel, extra="forbid"):
    kind: Literal["first", "vote"] = "first"


class Outer(BaseModel, extra="forbid"):
    name: str
    count: int = Field(default=1, ge=1, le=9)
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"name": "a", "cuont": 1}, "unknown setting 'cuont'; did you mean 'count'?"),
        ({"name": "a", "inner": {"kin": "vote"}}, "unknown setting 'inner.kin'"),
        ({}, "name is missing"),
        ({"name": "a", "count": "three"}, "count is 'three': it must be a whole number"),
        ({"name": "a", "count": 0}, "count is 0: it must be at least 1"),
        ({"name": "a", "count": 10}, "count is 10: it must be at most 9"),
        ({"name": "a", "inner": {"kind": "vot"}}, "inner.kind is 'vot'; did you mean 'vote'?"),
        ({"name": ["{x}"]}, "name is ['{x}']: Input should be a valid string"),
    ],
)
def test_the_first_thing_that_is_wrong_is_told_on_one_line(value: object, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(value)
    assert foreign.first_fault(caught.value, Outer.model_fields) == said


@pytest.mark.parametrize(
    ("data", "said"),
    [(None, "cannot read it: No such file"), (b"a =", "it is not TOML"), (b"\xff\xfe\x00", "it is not TOML")],
)
def test_a_toml_file_that_cannot_be_read_is_told_on_one_line(tmp_path: Path, data: bytes | None, said: str) -> None:
    if data is not None:
        (tmp_path / "x.toml").write_bytes(data)
    with pytest.raises(UsageError, match=said) as caught:
        foreign.read_toml(tmp_path / "x.toml", "it")
    assert "\n" not in str(caught.value)


def test_threads_parse_python_at_the_same_time() -> None:
    """Without a lock, about one of a hundred of these raises SystemError in CPython 3.11."""

    class Yielding:
        def __del__(self) -> None:
            wait.sleep(1e-9)

    def parse(_: int) -> int:
        loops = [Yielding() for _ in range(50)]
        for loop in loops:
            loop.itself = loop  # type: ignore[attr-defined]
        del loops
        return len(foreign.python_tree(source, "<test>").body)

    source = Path(ast.__file__).read_text() * 2
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(parse, range(80)))) == 1
    finally:
        sys.setswitchinterval(before)
