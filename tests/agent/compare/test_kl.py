"""The divergence between two policies, from what endpoints give, against what the definition says."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbench.agent.compare.kl import (
    FLOOR,
    drawn_otherwise,
    empirical,
    kl,
    kl_of_names,
    kl_of_reply,
    kl_of_tokens,
    name_token,
    smoothed,
)
from deskbench.agent.models.answers import Token

LOGPROBS = st.dictionaries(st.sampled_from("abcdef"), st.floats(-20, 0), min_size=1)


def token(text: str, **top: float) -> Token:
    return Token(text, math.log(top.get(text, 0.5)), {name: math.log(p) for name, p in top.items()})


def test_the_definition() -> None:
    p, q = {"a": 0.5, "b": 0.5}, {"a": 0.9, "b": 0.1}
    assert kl(p, q) == pytest.approx(0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1))
    assert kl(q, p) == pytest.approx(0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5))
    assert kl(p, q) != pytest.approx(kl(q, p))
    assert kl(p, p) == 0


def test_what_q_thinks_impossible_is_an_error_and_not_infinite_by_accident() -> None:
    with pytest.raises(ValueError, match="impossible"):
        kl({"a": 1.0}, {"b": 1.0})


def test_counts_are_smoothed_over_what_either_has() -> None:
    p, q = empirical(["click", "click", "type"], ["click", "key", "key"])
    assert p == {"click": 2.5 / 4.5, "key": 0.5 / 4.5, "type": 1.5 / 4.5}
    assert sum(q.values()) == pytest.approx(1)


@given(LOGPROBS, LOGPROBS)
def test_smoothed_tops_are_distributions_over_the_same(ours: dict[str, float], theirs: dict[str, float]) -> None:
    p, q = smoothed(ours, theirs)
    assert set(p) == set(q)
    for found in (p, q):
        assert sum(found.values()) == pytest.approx(1)
        assert min(found.values()) >= FLOOR / 8
    assert 0 <= kl(p, q) < 20
    assert kl(*smoothed(ours, ours)) == pytest.approx(0, abs=1e-9)


def test_tokens_are_compared_as_far_as_both_say_the_same() -> None:
    ours = [token("click", click=0.9, type=0.1), token("(", **{"(": 1.0}), token("5", **{"5": 0.6, "6": 0.4})]
    theirs = [token("click", click=0.5, type=0.5), token("(", **{"(": 1.0}), token("6", **{"5": 0.4, "6": 0.6})]
    each, count = kl_of_tokens([*ours, token("x", x=1.0)], [*theirs, token("y", y=1.0)])
    first = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    third = 0.6 * math.log(0.6 / 0.4) + 0.4 * math.log(0.4 / 0.6)
    assert count == 3
    assert each == pytest.approx((first + third) / 3, abs=1e-3)
    assert kl_of_tokens([], theirs) == (None, 0)


def test_a_longer_way_together_is_not_a_larger_divergence() -> None:
    """A pair that parts at its first token, and one that says the same for ten, differ as much at every token."""
    ours, theirs = token("a", a=0.7, b=0.3), token("a", a=0.4, b=0.6)
    short = kl_of_tokens([ours, ours], [token("b", a=0.4, b=0.6), theirs])
    long = kl_of_tokens([ours] * 10, [theirs] * 10)
    assert (short[1], long[1]) == (1, 10)
    assert short[0] == pytest.approx(long[0])


def test_a_reply_that_the_other_has_read() -> None:
    ours = [token("click", click=0.9, type=0.1), token("5", **{"5": 0.6, "6": 0.4})]
    theirs = [token("click", click=0.5, type=0.5), token("5", **{"5": 0.3, "6": 0.7})]
    each, ratio, count = kl_of_reply(ours, theirs)
    first = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    second = 0.6 * math.log(0.6 / 0.3) + 0.4 * math.log(0.4 / 0.7)
    assert count == 2
    assert each == pytest.approx((first + second) / 2, abs=1e-3)
    assert ratio == pytest.approx((math.log(0.9 / 0.5) + math.log(0.6 / 0.3)) / 2)
    assert kl_of_reply([], []) == (None, None, 0)
    never = Token("click", -40.0, {"click": -40.0, "type": 0.0})
    assert kl_of_reply(ours[:1], [never])[1] == pytest.approx(math.log(0.9) + 40), "nothing of it is cut off"


def test_in_the_mean_over_samples_the_estimates_are_the_divergence_of_whole_replies() -> None:
    """Two models over replies of two tokens, summed up by hand; 20,000 replies drawn from the first."""
    ours = {"": {"a": 0.7, "b": 0.3}, "a": {"a": 0.2, "b": 0.8}, "b": {"a": 0.5, "b": 0.5}}
    theirs = {"": {"a": 0.5, "b": 0.5}, "a": {"a": 0.4, "b": 0.6}, "b": {"a": 0.9, "b": 0.1}}
    whole = sum(
        ours[""][x] * ours[x][y] * math.log(ours[""][x] * ours[x][y] / (theirs[""][x] * theirs[x][y]))
        for x in "ab"
        for y in "ab"
    )
    draw = random.Random(1)
    sums = [0.0, 0.0, 0.0]
    rounds = 20_000
    for _ in range(rounds):
        first = draw.choices("ab", list(ours[""].values()))[0]
        said = [("", first), (first, draw.choices("ab", list(ours[first].values()))[0])]
        p, q = ([token(text, **model[before]) for before, text in said] for model in (ours, theirs))
        own = [token(draw.choices("ab", list(theirs[before].values()))[0], **theirs[before]) for before, _ in said]
        each, ratio, count = kl_of_reply(p, q)
        shared, length = kl_of_tokens(p, own)
        assert each is not None and ratio is not None and shared is not None
        sums = [
            total + value for total, value in zip(sums, (each * count, ratio * count, shared * length), strict=True)
        ]
    assert sums[0] / rounds == pytest.approx(whole, abs=0.01)
    assert sums[1] / rounds == pytest.approx(whole, abs=0.03)
    assert sums[2] / rounds < whole - 0.02


def test_one_reply_may_say_more_than_the_mean() -> None:
    """Along one path the sum is no lower bound of anything: here it is above the divergence of whole replies."""
    ours = {"": {"a": 0.99, "b": 0.01}, "b": {"a": 0.99, "b": 0.01}}
    theirs = {"": {"a": 0.99, "b": 0.01}, "b": {"a": 0.01, "b": 0.99}}
    rare = [token("b", **ours[""]), token("a", **ours["b"])]
    read = [token("b", **theirs[""]), token("a", **theirs["b"])]
    each, _, count = kl_of_reply(rare, read)
    assert each is not None
    assert each * count > 100 * (0.01 * 0.98 * math.log(99)) / 2


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"temperature": 1}, None),
        ({"temperature": 1.0, "top_p": 1.0, "top_k": -1, "min_p": 0.0}, None),
        ({"temperature": 0.2}, "temperature 0.2"),
        ({"temperature": 1, "top_p": 0.9}, "top_p 0.9"),
        ({"temperature": 0, "top_k": 1}, "temperature 0, top_k 1"),
        ({}, "no temperature is set, and the endpoint's default may not be 1"),
    ],
)
def test_how_replies_must_be_drawn_for_the_mean_to_hold(request_: dict[str, float], said: str | None) -> None:
    assert drawn_otherwise(request_) == said


@pytest.mark.parametrize(
    ("reply", "name"),
    [
        (["I see it. ", "pyautogui", ".", "click", "(x=1)"], "click"),
        (['{"name": "computer_use", ', '"arguments": {"action": "', "left_click", '"}}'], "left_click"),
        (["Thought: a\n", "Action: ", "scroll", "(start_box='(1,2)')"], "scroll"),
        (["<function=", "computer_use", ">\n<parameter=action>\n", "type", "\n"], "type"),
        (["pyautogui.move", "To(1, 2)\npyautogui.", "click", "(3, 4)"], "click"),
        (["Nothing ", "here"], None),
    ],
)
def test_the_token_that_names_the_action(reply: list[str], name: str | None) -> None:
    found = name_token([Token(text, 0.0, {text: 0.0}) for text in reply])
    assert (found.text if found else None) == name


def test_the_divergence_at_the_name() -> None:
    ours = [
        token("Hm. ", **{"Hm. ": 1.0}),
        token("pyautogui.", **{"pyautogui.": 1.0}),
        token("click", click=0.8, write=0.2),
    ]
    theirs = [token("pyautogui.", **{"pyautogui.": 1.0}), token("click", click=0.5, write=0.5)]
    ours.append(token("(", **{"(": 1.0}))
    theirs.append(token("(", **{"(": 1.0}))
    expected = 0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5)
    assert kl_of_names(ours, theirs) == pytest.approx(expected, abs=1e-3)
    assert kl_of_names(ours, []) is None


def test_a_name_with_a_blank_before_it_is_the_same_kind() -> None:
    ours = [token("Action:"), token("click", **{"click": 0.5, " click": 0.3, "write": 0.2}), token("(")]
    theirs = [token("Action:"), token(" click", **{"click": 0.3, " click": 0.5, " write": 0.2}), token("(")]
    assert kl_of_names(ours, theirs) == pytest.approx(0, abs=1e-9)
    other = [token("Action:"), token("click", **{"click": 0.1, " click": 0.1, "write": 0.8}), token("(")]
    expected = 0.8 * math.log(0.8 / 0.2) + 0.2 * math.log(0.2 / 0.8)
    assert kl_of_names(ours, other) == pytest.approx(expected, abs=1e-3)
