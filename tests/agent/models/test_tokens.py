"""Texts within a budget of tokens, counted by a tokenizer's own file or estimated."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbench.agent.agents.vlm import VlmAgent
from deskbench.agent.base import Goal
from deskbench.agent.models.tokens import Budget, budget_of, fit_lines
from deskbench.envs.errors import UsageError

from ..agents.screens import node, observation, tree
from .endpoint import endpoint, reply


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """A small one, trained here: words and their pieces."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE(unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.train_from_iterator(["push-button Save Cancel entry menu"] * 9, trainers.BpeTrainer(special_tokens=["?"]))
    made.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


LINES = st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=30), max_size=60)


@given(LINES, st.integers(20, 200))
def test_a_text_is_within_its_budget_and_says_what_it_lacks(lines: list[str], tokens: int) -> None:
    found = fit_lines("head", lines, Budget(tokens))
    assert found.tokens <= tokens
    assert found.kept + found.left_out == len(lines)
    assert (found.note is None) == (found.left_out == 0)
    shown = found.text.split("\n")
    assert shown[: found.kept + 1] == ["head", *lines[: found.kept]]
    if found.left_out:
        assert shown[-1] == f"[... {found.left_out} more left out]"
        more = "\n".join(["head", *lines[: found.kept + 1], f"[... {found.left_out - 1} more left out]"])
        assert Budget(tokens).count(more) > tokens or found.left_out == 1


def test_a_tokenizer_counts_as_it_does(tokenizer: Path) -> None:
    budget = budget_of(5, str(tokenizer))
    assert budget.count("Save Cancel Save") == 3
    assert budget.counter == "tokenizer.json"
    assert fit_lines("entry", ["Save", "Cancel"], budget).left_out == 0


def test_a_tiktoken_file_counts_as_it_does(tmp_path: Path) -> None:
    ranks = [bytes([i]) for i in range(256)] + [b"he", b"ll", b"hell"]
    path = tmp_path / "small.tiktoken"
    path.write_text("".join(f"{base64.b64encode(token).decode()} {rank}\n" for rank, token in enumerate(ranks)))
    assert budget_of(5, str(path)).count("hello") == 2


@pytest.mark.parametrize(("name", "text"), [("a.json", "{}"), ("a.tiktoken", "no such"), ("none.json", None)])
def test_a_file_that_is_none_is_the_users_error(tmp_path: Path, name: str, text: str | None) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match="tokenizer"):
        budget_of(5, str(tmp_path / name))


def test_what_was_cut_is_said_to_the_model_and_recorded(tokenizer: Path) -> None:
    xml = tree(*(node("push-button", f"Save {i}") for i in range(50)))
    with endpoint(reply("```DONE```")) as server:
        made = VlmAgent.from_settings(
            {"base_url": server.url, "model": "m", "observation": "a11y_tree", "tree_tokens": "300",
             "tokenizer": str(tokenizer)}
        )  # fmt: skip
        made.start(Goal("Save.", 640, 400))
        decision = made.act(observation(xml=xml))
        made.close()
    (note,) = decision.notes
    assert note["what"] == "text_budget" and note["counter"] == "tokenizer.json" and note["tokens"] <= 300
    assert note["kept"] + note["left_out"] == 50
    assert f"[... {note['left_out']} more left out]" in str(server.asked[0]["messages"])
