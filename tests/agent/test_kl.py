"""The divergence between two policies, from what endpoints give, against what the definition says."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbench.agent.kl import FLOOR, empirical, kl, kl_of_names, kl_of_tokens, name_token, smoothed
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
    total, count = kl_of_tokens([*ours, token("x", x=1.0)], [*theirs, token("y", y=1.0)])
    first = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    third = 0.6 * math.log(0.6 / 0.4) + 0.4 * math.log(0.4 / 0.6)
    assert count == 3
    assert total == pytest.approx(first + third, abs=1e-3)
    assert kl_of_tokens([], theirs) == (None, 0)


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
