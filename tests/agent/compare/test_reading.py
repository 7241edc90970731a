"""What one model says, read by another: the divergence of whole replies, from a server with vLLM's prompt tokens."""

from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.base import Decision, Exchange
from deskbench.agent.compare.policies import Comparison, compare, maker
from deskbench.agent.compare.reading import parts
from deskbench.agent.models.answers import Token
from deskbench.agent.models.likelihood import NotGiven, along, read_prompt

from ..models.vllm import END, Model, divergence, served, words
from ..staged_runs import episode

TEXT = "```python\npyautogui.<kind>(<x>, 60)\n```"
KINDS = {"click": 0.7, "doubleClick": 0.2, "moveTo": 0.1}
OTHER_KINDS = {"click": 0.4, "doubleClick": 0.3, "moveTo": 0.3}
XS = {"100": 0.5, "110": 0.4, "300": 0.1}
OTHER_XS = {"100": 0.2, "110": 0.2, "300": 0.6}


def first(**more: Any) -> Model:
    return Model(words(TEXT, kind=KINDS, x=XS), **more)


def second(**more: Any) -> Model:
    return Model(words(TEXT, kind=OTHER_KINDS, x=OTHER_XS), **more)


def compared(
    run: Path, ours: Model, theirs: Model, *, agent: str = "vlm", q: dict[str, str] | None = None, **more: str
) -> Comparison:
    with served(ours), served(theirs):
        given = {"attempts": "1", "logprobs": "20", "temperature": "1", "model": "gpt-4o", **more}
        one, other = ({**given, "base_url": model.url} for model in (ours, theirs))
        return compare(run, maker(agent, one), maker(agent, {**other, **(q or {})}))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for number in range(3):
        episode(tmp_path, f"basics/{number}", 1.0)
    return tmp_path


def test_the_estimates_are_the_divergence_of_whole_replies(tmp_path: Path) -> None:
    """50 replies, each drawn from P; what the models differ by is summed up over all that they can say."""
    for number in range(25):
        episode(tmp_path, f"basics/{number}", 1.0)
    ours, theirs = first(), second()
    truth = divergence(ours, theirs)
    found = compared(tmp_path, ours, theirs)
    tokens = {step.reply_tokens for step in found.steps}
    assert tokens == {len(ours.slots) + 1}
    each = truth / tokens.pop()
    for name, error in (("kl_reply", 0.002), ("ratio", 0.05)):
        total = found.totals[name]
        assert total.low is not None and total.high is not None
        assert total.mean == pytest.approx(each, abs=error)
        assert total.low - 1e-3 <= each <= total.high + 1e-3
    assert found.notes == ()


def test_the_shared_beginning_ends_earlier(run: Path) -> None:
    found = compared(run, first(), second())
    assert all(0 < step.tokens < step.reply_tokens for step in found.steps if step.kinds[0] != step.kinds[1])
    assert any(step.kinds[0] != step.kinds[1] for step in found.steps)
    assert all(step.kl_reply == pytest.approx(found.steps[0].kl_reply) for step in found.steps)


def test_a_model_is_as_far_from_itself_as_nothing(run: Path) -> None:
    found = compared(run, first(), first(draw=second().draw))
    assert found.totals["kl_reply"].mean == pytest.approx(0, abs=1e-9)
    assert found.totals["ratio"].mean == pytest.approx(0, abs=1e-9)


def test_what_is_sent_is_the_reply_as_the_end_of_the_prompt(run: Path) -> None:
    theirs = second()
    found = compared(run, first(), theirs)
    asked = [body for body in theirs.asked if "prompt_logprobs" in body]
    assert len(asked) == len(found.steps) == 6
    for body in asked:
        assert body["messages"][-1]["role"] == "assistant"
        assert body["messages"][-1]["content"].startswith("```python\npyautogui.")
        assert "image_url" in str(body["messages"][-2])
        assert body["max_tokens"] == 1 and body["prompt_logprobs"] == 20


@pytest.mark.parametrize("named", [True, False])
def test_older_servers_do_not_name_the_prompts_tokens(run: Path, named: bool) -> None:
    ours, theirs = first(), second(named=named)
    truth = divergence(ours, theirs)
    found = compared(run, ours, theirs)
    assert found.totals["kl_reply"].mean == pytest.approx(truth / (len(ours.slots) + 1), abs=0.002)


def test_what_is_beyond_the_top_is_still_in_the_ratio(run: Path) -> None:
    """Q has the reply's token outside of its two most likely ones, and says how likely it was all the same."""
    ours = Model(words(TEXT, kind={"click": 1.0}, x={"100": 1.0}))
    theirs = Model(words(TEXT, kind={"moveTo": 0.6, "scroll": 0.3, "click": 0.1}, x={"100": 1.0}))
    found = compared(run, ours, theirs, logprobs="2")
    count = len(ours.slots) + 1
    assert found.totals["ratio"].mean * count == pytest.approx(2.302585, abs=1e-5)
    assert found.totals["kl_reply"].mean * count == pytest.approx(2.302585, abs=1e-3)


@pytest.mark.parametrize(
    ("prompts", "said"), [("ignored", "vLLM's do, SGLang's do not"), ("refused", "Unknown parameter")]
)
def test_servers_that_do_not_give_it_are_asked_once(run: Path, prompts: str, said: str) -> None:
    theirs = second(prompts=prompts)
    found = compared(run, first(), theirs)
    assert sum("prompt_logprobs" in body for body in theirs.asked) == 1
    assert "kl_reply" not in found.totals and "ratio" not in found.totals
    assert found.totals["kl_tokens"].n == 6
    assert any("Q could not read" in note and said in note for note in found.notes)


def test_other_tokens_are_no_number(run: Path) -> None:
    for named in (True, False):
        theirs = second(whole=True, named=named)
        found = compared(run, first(), theirs)
        assert "kl_reply" not in found.totals
        assert any("other tokens" in note and "6 of 6 steps" in note for note in found.notes)


def test_other_temperatures_are_named(run: Path) -> None:
    found = compared(run, first(), second(), temperature="0.2")
    assert found.totals["kl_reply"].n == 6
    assert [note for note in found.notes if "temperature 0.2" in note and "6 of 6 steps" in note]
    assert "nor give a lower bound" in "\n".join(found.notes)


def test_a_reply_after_a_complaint_is_another_prompts(run: Path) -> None:
    found = compared(run, first(begins=["Hm."]), second())
    assert [step.reply_tokens > 0 for step in found.steps] == [False, True, True, True, True, True]
    assert found.steps[0].kl_tokens is None and found.steps[0].kl_name is None
    assert any(note.startswith("note: P's first reply was not an action (1 of 6 steps)") for note in found.notes)


def test_reading_is_paid_for(run: Path) -> None:
    """18 requests: 6 replies of each, and 6 that are read."""
    found = compared(run, first(), second())
    output = 12 * len(first().slots) + 6
    assert found.cost_usd == pytest.approx((18 * 1000 * 2.5 + output * 10) / 1e6)


def test_a_familys_agent_reads_as_well(run: Path) -> None:
    text = "## Action:\nGo.\n\n## Code:\n```python\npyautogui.<kind>(x=<x>, y=0.5)\n```"
    ours = Model(words(text, kind=KINDS, x={"0.1": 0.5, "0.2": 0.5}))
    theirs = Model(words(text, kind=OTHER_KINDS, x={"0.1": 0.1, "0.2": 0.9}))
    found = compared(run, ours, theirs, agent="kimi-vl", stream="false")
    assert found.totals["kl_reply"].mean * (len(ours.slots) + 1) == pytest.approx(divergence(ours, theirs), abs=0.01)


def test_an_agent_without_a_model_cannot_read(run: Path) -> None:
    with served(first()) as model:
        given = {"base_url": model.url, "model": "gpt-4o", "logprobs": "20"}
        found = compare(run, maker("vlm", given), maker("null", {}))
    assert "kl_reply" not in found.totals


# What servers write


def said(reply: str, *texts: str) -> tuple[str, list[str], str | None]:
    """A reply as the server writes it, and its tokens, into what is read."""
    decision = Decision((), exchanges=(Exchange({}, reply),))
    text, inside, end = parts(decision, [Token(text, -1.0, {text: -1.0}) for text in texts])
    return text, [token.text for token in inside], end.text if end else None


def test_the_token_that_ends_a_reply_is_not_in_its_text() -> None:
    assert said("click(1)", "click", "(1)", END) == ("click(1)", ["click", "(1)"], END)
    assert said("click(1)", "click", "(1)") == ("click(1)", ["click", "(1)"], None)
    assert said("click(1)", "<think>", "</think>", "click", "(1)") == (
        "<think></think>click(1)", ["<think>", "</think>", "click", "(1)"], None
    )  # fmt: skip


def test_broken_answers_are_no_numbers() -> None:
    choice = {"choices": [{"message": {"content": ""}}]}
    with pytest.raises(NotGiven):
        read_prompt(choice)
    with pytest.raises(NotGiven):
        read_prompt({**choice, "prompt_logprobs": {"1": 2}})
    odd = [None, 3, {"5": None}, {"6": {"decoded_token": "a", "logprob": "x"}}, {"7": {"logprob": float("nan")}}]
    prompt = read_prompt({**choice, "prompt_logprobs": odd})
    assert [place.top for place in prompt.places] == [{}] * 5
    with pytest.raises(NotGiven, match="other tokens"):
        along(prompt, ["a"])
    with pytest.raises(NotGiven):
        along(prompt, ["a"] * 6)
    with pytest.raises(NotGiven):
        along(prompt, [])


def test_two_tokens_of_the_same_text_are_one() -> None:
    entry = {"1": {"decoded_token": "�", "logprob": -1.0}, "2": {"decoded_token": "�", "logprob": -1.0}}
    prompt = read_prompt({"choices": [{}], "prompt_logprobs": [None, entry]})
    assert prompt.places[1].top == {"�": pytest.approx(-1 + 0.6931472)}
    never = {"1": {"decoded_token": "a", "logprob": float("-inf")}}
    assert read_prompt({"choices": [{}], "prompt_logprobs": [never]}).places[0].top == {"a": -9999.0}
