"""JSON from strangers, and its conversion to types."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbench.envs.wire import (
    MAX_DEPTH,
    MAX_JSON,
    MAX_VALUES,
    ActionResult,
    Health,
    Seen,
    StepReply,
    TooMuch,
    WireError,
    decode,
    folder_tree,
    loads,
    place,
)

FRAME = "0" * 64
SEEN = Seen(FRAME, False, 1280, 800, (3, 4), True, 12.5, problems=("one", "two"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab\\\"ü,[{"), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(VALUES, st.booleans())
def test_what_is_json_is_read(value: Any, ascii_only: bool) -> None:
    assert loads(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=300) | st.text('[]{},:"\\u0dD8c19-+.eEtrufalsn ', max_size=80).map(str.encode))
def test_what_is_none_is_said_to_be_none(body: bytes) -> None:
    try:
        found = loads(body)
    except WireError as error:
        assert len(str(error)) < 300
    else:
        json.dumps(found, allow_nan=False).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"NaN", b"[Infinity]", b"[-Infinity]", b"1e999", b"9" * 21, b"9" * 5000, b'{"a": 1, "a": 1}', b"", b"[1",
        b"\xff", b"\xef\xbb\xbf{}", b'"\xed\xa0\x80"', "{}".encode("utf-16"), b"{'a': 1}", b'"\n"', b"[1] [2]",
    ],
)  # fmt: skip
def test_json_is_strict(body: bytes) -> None:
    with pytest.raises(WireError, match="not JSON"):
        loads(body)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb'"\ud83d\ude00"', "\N{GRINNING FACE}"),
        (rb'"a\ud83db"', "a\ufffdb"),
        (rb'"\ude00\ud83d"', "\ufffd\ufffd"),
        (rb'"\ud83d\ud83d\ude00"', "\ufffd\N{GRINNING FACE}"),
        (rb'"\\ud83d"', r"\ud83d"),
        (rb'"\\\ud83d"', "\\\ufffd"),
        (rb'"\uDBFF\uDFFF\uD7FF"', "\U0010ffff\ud7ff"),
    ],
)
def test_half_of_a_pair_is_replaced(body: bytes, text: str) -> None:
    assert loads(body) == text


def test_keys_that_become_the_same_are_not_both_there() -> None:
    with pytest.raises(WireError, match="twice"):
        loads(rb'{"\ud800": 1, "\udfff": 2}')


@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_levels_are_counted(opened: str, closed: str) -> None:
    def nested(depth: int) -> bytes:
        return f"{opened * depth}{'[]' if opened == '[' else '1'}{closed * depth}".encode()

    inner = 1 if opened == "[" else 0
    loads(nested(MAX_DEPTH - inner))
    loads(nested(300), 512)
    for depth in (MAX_DEPTH - inner + 1, 900, 5000, 200_000):
        with pytest.raises(TooMuch):
            loads(nested(depth))


def test_values_are_counted_and_what_stands_in_strings_is_none() -> None:
    text = 'a, [b], {c}, d, e "quoted" \\' * (MAX_VALUES // 5)
    assert loads(json.dumps([text]).encode()) == [text]
    for body in (
        b"[" + b"1," * MAX_VALUES + b"1]",
        b"[" + b'"",' * MAX_VALUES + b"1]",
        b"[" + b"[]," * MAX_VALUES + b"1]",
    ):
        with pytest.raises(TooMuch, match="values"):
            loads(body)
    with pytest.raises(TooMuch, match="escapes"):
        loads(b'"' + rb"\u4e2d" * 3_000_001 + b'"')
    with pytest.raises(TooMuch, match="bytes"):
        loads(b" " * (MAX_JSON + 1))


# -- types --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Inner:
    number: int


@dataclass(frozen=True)
class Outer:
    inner: Inner
    pair: tuple[int, str] = (0, "")
    many: tuple[Inner, ...] = ()
    named: dict[str, float] = dataclasses.field(default_factory=dict)
    maybe: Inner | None = None
    share: float = 0.0


def test_a_value_becomes_what_its_annotation_says() -> None:
    given = {
        "inner": {"number": 1}, "pair": [2, "two"], "many": [{"number": 3}], "named": {"a": 1}, "maybe": None,
        "share": 2,
    }  # fmt: skip
    found = decode(Outer, given, "outer")
    assert found == Outer(Inner(1), (2, "two"), (Inner(3),), {"a": 1.0}, None, 2.0)
    assert isinstance(found.share, float) and isinstance(found.named["a"], float)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"inner": 1}, "inner must be a JSON object, not int"),
        ({"inner": {}}, "inner: .*number"),
        ({"inner": {"number": True}}, "inner.number is True; it must be int"),
        ({"inner": {"number": 1.0}}, "inner.number"),
        ({"inner": {"number": 2**64}}, "inner.number"),
        ({"pair": [1]}, "outer.pair"),
        ({"pair": [1, "a", 2]}, "outer.pair"),
        ({"pair": ["a", 1]}, "outer.pair"),
        ({"pair": "ab"}, "outer.pair"),
        ({"many": {"number": 1}}, "outer.many"),
        ({"many": [{"numbr": 1}]}, "did you mean 'number'"),
        ({"named": {"a": "b"}}, "outer.named"),
        ({"named": [["a", 1]]}, "outer.named"),
        ({"maybe": []}, "maybe"),
        ({"share": float("nan")}, "outer.share"),
        ({"share": float("inf")}, "outer.share"),
        ({"share": 10**400}, "outer.share"),
        ({"other": 1}, "unknown field 'other'"),
        ({"x" * 100_000: "y" * 100_000}, "unknown field"),
    ],
)
def test_a_value_that_is_not_so_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(WireError, match=said) as raised:
        decode(Outer, {"inner": {"number": 1}, **change}, "outer")
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize("value", [None, [], "x", 1])
@pytest.mark.parametrize("closed", [True, False])
def test_what_is_no_object_is_refused(value: Any, closed: bool) -> None:
    with pytest.raises(WireError, match="JSON object"):
        decode(Inner, value, "inner", closed=closed)


def test_a_foreign_answer_may_have_more() -> None:
    assert decode(Inner, {"number": 1, "more": [1]}, "inner", closed=False) == Inner(1)


def test_a_step_comes_back_as_it_was() -> None:
    reply = StepReply("id", (ActionResult(True, None, "out", 1.5), ActionResult(False, "why")), 2.5, SEEN)
    assert StepReply.decode(reply.encode(b"png")) == (reply, b"png")
    assert StepReply.decode(StepReply("id").encode(None)) == (StepReply("id"), None)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0}, {"height": -1}, {"width": 32_769}, {"width": 30_000, "height": 30_000}, {"frame": "../frame"},
        {"frame": FRAME.upper().replace("0", "A")}, {"cursor": (0, 10**6)}, {"cursor": (-(10**9), 0)},
    ],
)  # fmt: skip
def test_a_screen_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        decode(Seen, {**dataclasses.asdict(SEEN), **change}, "seen")


@pytest.mark.parametrize("screen", [(0, 0), (1, 40_000), (20_000, 20_000)])
def test_health_has_a_screen_that_can_be(screen: tuple[int, int]) -> None:
    with pytest.raises(WireError, match="pixels"):
        Health("deskbench", 1, "Linux", screen)


@pytest.mark.parametrize("value", [None, [1], [1, 2, 3], [1, "2"], [1, True], [1.5, 2], {"x": 1}, [1, 10**9]])
def test_a_place_is_two_numbers(value: Any) -> None:
    assert place([1, -2]) == (1, -2)
    with pytest.raises(WireError, match="cursor"):
        place(value)


def test_a_folder_that_was_not_read_is_listed_so() -> None:
    """OSWorld's server then sends only the error; ours adds the name."""
    closed = [{"error": "no"}, {"type": "directory", "name": "a", "children": [], "error": "no"}]
    tree = {"type": "directory", "name": "", "children": closed}
    assert folder_tree(tree) == tree
    assert folder_tree({"error": "Permission denied"}) == {"error": "Permission denied"}


@pytest.mark.parametrize(
    "tree",
    [
        None, [], {"type": "file", "name": "a"}, {"name": 1}, {"children": {}}, {"children": [1]}, {"error": 1},
        {"children": [{"type": "link", "name": "a"}]}, {"children": [{"type": "file"}]},
        {"children": [{"type": "directory", "name": "a", "children": [{"type": "file", "name": "a/b"}]}]},
    ],
)  # fmt: skip
def test_what_is_no_listing_is_refused(tree: Any) -> None:
    with pytest.raises(WireError, match="listing"):
        folder_tree(tree)
