"""A program's output: bounded, without secrets, read for what it cost."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.base import Usage
from deskbench.agent.programs.output import HEAD, LONGEST_LINE, TAIL, Bill, Kept
from deskbench.envs.redact import KNOWN


def kept(path: Path, *pieces: bytes) -> str:
    reading, writing = os.pipe()
    output = Kept(os.fdopen(reading, "rb"), path)
    with os.fdopen(writing, "wb") as file:
        for piece in pieces:
            file.write(piece)
    output.close(30)
    return path.read_text(encoding="utf-8")


def test_what_was_written_is_kept_whole(tmp_path: Path) -> None:
    assert kept(tmp_path / "out", b"one\ntwo", b" and \xff") == "one\ntwo and \ufffd\n"


def test_of_megabytes_the_beginning_and_the_end_are_kept(tmp_path: Path) -> None:
    text = kept(tmp_path / "out", b"first\n", *[b"x" * 999 + b"\n"] * 9000, b"last\n")
    assert len(text) < HEAD + TAIL + 100
    assert text.startswith("first\nxxx")
    assert text.endswith("xxx\nlast\n")
    assert "characters are left out]" in text


def test_a_line_without_an_end_is_bounded_too(tmp_path: Path) -> None:
    assert len(kept(tmp_path / "out", *[b"y" * 100_000] * 100)) < HEAD + TAIL + 100


def test_secrets_are_cut_out_wherever_a_piece_ends(tmp_path: Path) -> None:
    secret = "sk-this-is-the-key-of-test-output"
    KNOWN.add(secret)
    for before in range(LONGEST_LINE - 40, LONGEST_LINE + 40, 13):
        text = kept(tmp_path / str(before), b"z" * before + secret.encode() + b"z" * 3000)
        assert secret not in text
        assert "[secret]" in text


def due(*lines: Any) -> Usage:
    bill = Bill()
    for line in lines:
        bill.read(line if isinstance(line, str) else json.dumps(line))
    return bill.due()


def test_claude_codes_total_is_what_it_cost() -> None:
    usage = {"input_tokens": 5, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 200, "output_tokens": 7}
    assert due("hello", {"type": "result", "total_cost_usd": 0.25, "usage": usage}) == Usage(305, 7, 0.25)


def test_codexs_turns_add_up_and_have_no_price() -> None:
    turn = {"type": "turn.completed", "usage": {"input_tokens": 10, "cached_input_tokens": 4, "output_tokens": 2}}
    assert due(turn, turn) == Usage(20, 4, None)


def test_opencodes_steps_add_up_and_a_cost_of_nothing_is_unknown() -> None:
    def step(cost: float) -> dict[str, Any]:
        return {"type": "step_finish", "part": {"tokens": {"input": 10, "output": 2}, "cost": cost}}

    assert due(step(0.25), step(0.5)) == Usage(20, 4, 0.75)
    assert due(step(0)) == Usage(10, 2, None)


def test_each_decision_gets_what_was_added_since_the_last() -> None:
    bill = Bill()
    bill.read('{"total_cost_usd": 0.25}')
    assert bill.due().cost_usd == 0.25
    bill.read('{"total_cost_usd": 0.75}')
    assert [bill.due().cost_usd, bill.due().cost_usd] == [0.5, 0.0]


@pytest.mark.parametrize(
    "line",
    ['{"total_cost_usd": -1}', '{"total_cost_usd": "much"}', '{"total_cost_usd": NaN}', '{"total_cost_usd": true}',
     '{"total_cost_usd"', "[" * 100_000, '{"total_cost_usd":' + "[" * 100_000, '{"turn.completed": 1, "usage": []}',
     '{"type": "step_finish", "part": [1]}', '{"type": "turn.completed", "usage": "much"}'],
)  # fmt: skip
def test_a_program_cannot_break_the_bill(line: str) -> None:
    assert due(line) == Usage()
