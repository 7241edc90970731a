"""Every operator finds something to change in its kind's sample, and changes it the same way each time."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from deskbench.tasks.mutation.operators import About, Operator, find_kind, kinds, operator, operators, seed_of
from tests.tasks.mutation.samples import SAMPLES

LONG = About(named='Notes "Old" chalk', instruction="Which port is it?")
"""Names that some operators look for."""
ELSEWHERE = {
    "answer/case": "yes", "text/candidates": b"5 files\n",
}  # fmt: skip
"""Evidence for operators that find nothing to change in their kind's sample."""


def sample(one: Operator) -> Any:
    return ELSEWHERE.get(one.name) or SAMPLES[one.kind]()


def known(one: Operator, raw: Any) -> About:
    settings = one.name == "ini/unrelated"
    return About(seed_of(raw), LONG.instruction, "[view] show" if settings else LONG.named, settings)


def made(one: Operator) -> list[tuple[Any, str]]:
    raw = sample(one)
    kind = find_kind(one.kind)
    return [(kind.write(model, raw), words) for model, words in one.change(kind.read(raw), known(one, raw))]


def test_every_kind_has_operators_and_a_sample() -> None:
    assert {kind.name for kind in kinds()} == set(SAMPLES)
    assert {one.kind for one in operators()} == set(SAMPLES)


@pytest.mark.parametrize("one", operators(), ids=lambda one: one.name)
def test_it_has_something_to_change_and_says_what(one: Operator) -> None:
    found = made(one)
    assert found
    assert len({words for _, words in found}) == len(found)
    assert one.title


@pytest.mark.parametrize("one", operators(), ids=lambda one: one.name)
def test_a_copy_that_must_cost_the_score_is_another_to_its_kind(one: Operator) -> None:
    kind, raw = find_kind(one.kind), sample(one)
    model = kind.read(raw)
    before = json.dumps(kind.key(model), default=str)
    keys = [json.dumps(kind.key(new), default=str) for new, _ in one.change(model, known(one, raw))]
    if one.must == "fail":
        assert any(key != before for key in keys)
    else:
        assert any(changed != raw for changed, _ in made(one))


@pytest.mark.parametrize("one", operators(), ids=lambda one: one.name)
def test_it_is_the_same_each_time_and_leaves_what_it_is_given(one: Operator) -> None:
    raw = sample(one)
    before = copy.deepcopy(raw)
    first = [(seed_of(new), words) for new, words in made(one)]
    assert first == [(seed_of(new), words) for new, words in made(one)]
    assert raw == before


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - {"jpeg"}))
def test_what_is_read_and_written_again_is_the_same_to_its_kind(name: str) -> None:
    kind, raw = find_kind(name), SAMPLES[name]()
    model = kind.read(raw)
    again = kind.read(kind.write(model, raw))
    assert json.dumps(kind.key(again), default=str) == json.dumps(kind.key(model), default=str)


def test_choices_are_by_the_evidence_and_in_order() -> None:
    about = About(seed="a")
    chosen = about.some(range(100))
    assert len(chosen) == 6 and chosen == sorted(chosen) == about.some(range(100))
    assert chosen != About(seed="b").some(range(100))


def test_of_settings_only_what_the_check_names_matters() -> None:
    assert About(named="mode").matters("anything")
    settings = About(named="Start\\\\ Page general", settings=True)
    assert settings.matters("Start Page") and settings.matters("General")
    assert not settings.matters("other") and not settings.matters("general", "other")


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="is there already"):
        operator("text/drop-line", kind="text", must="fail")(lambda model, about: iter(()))
