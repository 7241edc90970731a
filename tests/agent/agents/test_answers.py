"""Whole episodes against an endpoint of each wire, on the desktop in memory: what a model's last words are worth.

The task asks a question, so that an answer that gets lost on the way is a 0.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.base import Ending
from deskbench.agent.batch import Batch
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.record import EpisodeReader, EpisodeRecord

from ..models.endpoint import Endpoint, Say, endpoint
from ..models.speaking import WIRES, said
from ..paper import prepared, write_task

FAMILIES = {
    "chat": "qwen3-vl", "responses": "openai-computer", "messages": "claude", "gemini": "gemini",
    "interactions": "gemini-interactions",
}  # fmt: skip
QUICK = {"first_pause": "0.001", "longest_pause": "0.01", "attempts": "2", "retries": "1"}
QUESTION = {
    "instruction": "How many lines has the file? Answer with the number.",
    "config": [],
    "evaluator": {
        "func": "exact_match",
        "result": {"type": "agent_answer"},
        "expected": {"type": "rule", "rules": {"expected": "42"}},
    },
    "oracle": [{"type": "done", "answer": "42"}],
}
IMPOSSIBLE = {"evaluator": {"func": "infeasible"}, "oracle": [{"type": "fail"}]}


def played(folder: Path, wire: str, *script: Say, task: dict[str, Any] = QUESTION, **settings: str) -> EpisodeRecord:
    """The record of a run of one episode against this script."""
    source = write_task(folder / "suite", "asked", **task)
    with endpoint(*script) as server:
        run(folder, FAMILIES[wire], source, server, settings)
    (record,) = RunFolder(folder / "run").records()
    return record


def run(folder: Path, agent: str, source: Path, server: Endpoint, settings: dict[str, str]) -> None:
    given = {"base_url": server.url, **QUICK, **settings}
    Batch(prepared(source, agent=agent, agent_settings=given, retries=0, max_steps=4), folder / "run").run()


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("text", ["42\n[DONE]", "42 [DONE]", "42\n\n**[DONE]**", "42\n`[DONE]`\n", "42 ([DONE])"])
def test_the_message_before_the_ending_word_is_the_answer(wire: str, text: str, tmp_path: Path) -> None:
    record = played(tmp_path, wire, said(wire, text))
    assert (record.answer, record.score.value, record.ending) == ("42", 1.0, Ending.DONE)


@pytest.mark.parametrize("wire", ["responses", "messages", "gemini", "interactions"])
def test_a_last_message_without_a_call_is_the_answer_where_the_vendor_means_it_so(wire: str, tmp_path: Path) -> None:
    record = played(tmp_path, wire, said(wire, "42"))
    assert (record.answer, record.score.value) == ("42", 1.0)


@pytest.mark.parametrize("wire", WIRES)
def test_an_ending_word_that_is_talked_about_ends_nothing(wire: str, tmp_path: Path) -> None:
    quoted = 'The page says "[INFEASIBLE]" and `[DONE]`, which is its own text.'
    record = played(tmp_path, wire, said(wire, quoted), said(wire, "42 [DONE]"))
    assert record.answer == (quoted if FAMILIES[wire] != "qwen3-vl" else "42")


@pytest.mark.parametrize("wire", WIRES)
def test_what_cannot_be_done_is_said_with_its_reason(wire: str, tmp_path: Path) -> None:
    record = played(tmp_path, wire, said(wire, "There is no printer. [INFEASIBLE]"), task=IMPOSSIBLE)
    assert (record.score.value, record.ending) == (1.0, Ending.FAILED)
    (step,) = EpisodeReader(tmp_path / "run/episodes/suite/asked/1").steps()
    assert step.actions == [{"type": "fail", "reason": "There is no printer."}]


CALLED = {
    "responses": Say({
        "id": "r", "status": "completed", "error": None,
        "output": [{"type": "function_call", "call_id": "f", "name": "infeasible", "arguments": '{"reason": "No."}'}],
    }),
    "messages": said("messages", "", calls=[{"name": "infeasible", "arguments": {"reason": "No."}}]),
    "gemini": said("gemini", "", calls=[{"name": "infeasible", "arguments": {"reason": "No."}}]),
    "interactions": said("interactions", "", calls=[{"name": "infeasible", "arguments": {"reason": "No."}}]),
    "chat": said("chat", "", calls=[{"name": "infeasible", "arguments": {"reason": "No."}}]),
}  # fmt: skip


@pytest.mark.parametrize("wire", WIRES)
def test_infeasible_is_a_function_where_there_are_functions(wire: str, tmp_path: Path) -> None:
    source = write_task(tmp_path / "suite", "asked", **IMPOSSIBLE)
    with endpoint(CALLED[wire]) as server:
        run(tmp_path, FAMILIES[wire], source, server, {})
        assert wire == "chat" or '"infeasible"' in json.dumps(server.asked[0])
    (record,) = RunFolder(tmp_path / "run").records()
    assert (record.score.value, record.ending) == (1.0, Ending.FAILED)


# Whose fault it was


def thought_alone(wire: str) -> Say:
    """A whole reply with reasoning in it and nothing else."""
    forms: dict[str, dict[str, Any]] = {
        "chat": {"choices": [{"finish_reason": "stop", "message": {"content": "", "reasoning_content": "Hm, 42?"}}]},
        "responses": {"id": "r", "status": "completed", "output": [{"type": "reasoning", "summary": []}]},
        "messages": {"stop_reason": "end_turn", "content": [{"type": "thinking", "thinking": "Hm", "signature": "s"}]},
        "gemini": {"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "Hm", "thought": True}]}}]},
        "interactions": {"status": "completed", "steps": [{"type": "thought", "signature": "c2ln"}]},
    }
    return Say(forms[wire])


MODELS_OWN = {
    "cut off, always": lambda wire: [said(wire, "I th", "cut off")],
    "reasoning alone, always": lambda wire: [thought_alone(wire)],
    "in no form": lambda wire: [said(wire, "", calls=[{"name": "quadruple_click", "arguments": {}}])],
}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("failure", MODELS_OWN)
def test_what_the_model_does_wrong_counts(failure: str, wire: str, tmp_path: Path) -> None:
    record = played(tmp_path, wire, *MODELS_OWN[failure](wire))
    assert (record.ending, record.score.value) == (Ending.AGENT_ERROR, 0.0)


@pytest.mark.parametrize("wire", WIRES)
def test_a_reply_that_breaks_off_is_never_scored(wire: str, tmp_path: Path) -> None:
    whole = dict(said(wire, "42 [DONE]").body)
    broken: dict[str, dict[str, Any]] = {
        "chat": {"choices": [{**whole.get("choices", [{}])[0], "finish_reason": "error"}]},
        "responses": {**whole, "status": "cancelled"},
        "messages": {**whole, "stop_reason": None},
        "gemini": {"candidates": [{**whole.get("candidates", [{}])[0], "finishReason": "OTHER"}]},
        "interactions": {**whole, "status": "cancelled"},
    }
    record = played(tmp_path, wire, Say(broken[wire]))
    assert record.score.value is None
    assert "incomplete reply" in str(record.error)


# Text from outside


HALF = "\ud83d"


@pytest.mark.parametrize("wire", WIRES)
def test_half_a_character_is_mended_where_it_enters(wire: str, tmp_path: Path) -> None:
    record = played(tmp_path, wire, said(wire, f"4{HALF}2 [DONE]"))
    assert record.answer == "4\ufffd2"
    (step,) = EpisodeReader(tmp_path / "run/episodes/suite/asked/1").steps()
    assert step.reply == "4\ufffd2 [DONE]"


TYPED = {
    "chat": said("chat", "", calls=[{"name": "computer_use", "arguments": {"action": "type", "text": f"a{HALF}"}}]),
    "responses": said("responses", "", calls=[{"name": "type", "arguments": {"text": f"a{HALF}"}}]),
    "messages": said("messages", "", calls=[{"name": "type", "arguments": {"text": f"a{HALF}"}}]),
    "gemini": said("gemini", "", calls=[{"name": "type", "arguments": {"text": f"a{HALF}"}}]),
    "interactions": said("interactions", "", calls=[{"name": "type", "arguments": {"text": f"a{HALF}"}}]),
}


@pytest.mark.parametrize("wire", WIRES)
def test_half_a_character_in_a_calls_arguments_is_mended(wire: str, tmp_path: Path) -> None:
    record = played(tmp_path, wire, TYPED[wire], said(wire, "42 [DONE]"))
    assert record.score.value == 1.0, record.error
    first = EpisodeReader(tmp_path / "run/episodes/suite/asked/1").steps()[0]
    assert first.actions == [{"type": "type", "text": "a\ufffd"}]


WRITTEN = {
    "kimi-vl": "## Action:\nType.\n## Code:\n```python\npyautogui.write('a\\ud83d')\n```",
    "ui-tars-1.5": "Action: type(content='a\\ud83d')",
    "qwen3-vl": '<tool_call>\n{"name": "computer_use", "arguments": {"action": "type", "text": "a\\ud83d"}}\n'
    "</tool_call>",
    "prompt-agent": "```python\npyautogui.write('a\\ud83d')\n```",
    "prompt-agent-computer-13": '```json\n{"action_type": "TYPING", "text": "a\\ud83d"}\n```',
    "holo3": '{"thought": "t", "tool_call": {"tool_name": "write", "content": "a\\ud83d"}}',
}


@pytest.mark.parametrize("family", WRITTEN)
def test_half_a_character_that_is_written_as_an_escape_is_mended(family: str, tmp_path: Path) -> None:
    source = write_task(tmp_path / "suite", "asked", **QUESTION)
    with endpoint(said("chat", WRITTEN[family])) as server:
        run(tmp_path, family, source, server, {})
    (record,) = RunFolder(tmp_path / "run").records()
    assert record.ending is Ending.STEP_LIMIT, record.error
    first = EpisodeReader(tmp_path / "run/episodes/suite/asked/1").steps()[0]
    assert first.actions == [{"type": "type", "text": "a\ufffd"}]
