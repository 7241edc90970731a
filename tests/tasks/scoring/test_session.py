"""One process for many requests: it answers like separate processes, and a crash costs one request."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from deskbench.envs.errors import CheckError
from deskbench.envs.wait import until
from deskbench.tasks.scoring import session
from deskbench.tasks.scoring.sandbox import Limits
from deskbench.tasks.scoring.session import Nursery
from deskbench.tasks.scoring.worker import evaluate

CATASTROPHIC = {"pattern": "(a+)+b"}
"""A regular expression that takes for ever on a row of a's."""


def asked(text: str, pattern: str = "a+") -> dict[str, object]:
    return {"do": "metric", "metric": "text_matches", "result": text, "expected": {"pattern": pattern}, "options": {},
            "theirs": [True, False], "strict": None, "harmless": False}  # fmt: skip


def test_it_answers_one_request_after_another(tmp_path: Path) -> None:
    numbers = set()
    with Nursery() as nursery:
        with nursery.one_process() as one:
            for text, value in (("aaa", 1.0), ("b", 0.0), ("aa", 1.0)):
                ended = one.run(asked(text), Limits())
                assert ended.answer == {"value": value, "note": ""}, ended
                assert one._child is not None
                numbers.add(one._child.number)
        assert len(numbers) == 1 and not one.folder.exists()
        with nursery.one_process() as other:
            assert other.run(asked("aa"), Limits()).answer
            assert other._child is not None and other._child.number not in numbers


def test_a_check_says_the_same_in_it_and_outside(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("one\n")
    wanted = {"expected": "one"}
    alone = evaluate("text_equals", file, wanted, {}, (True, False))
    with Nursery() as nursery, nursery.one_process():
        assert evaluate("text_equals", file, wanted, {}, (True, False)) == alone == 1.0
        file.write_text("two\n")
        assert evaluate("text_equals", file, wanted, {}, (True, False)) == 0.0
        with pytest.raises(CheckError):
            evaluate("text_matches", "one", {"pattern": "("}, {}, (True, False))


@pytest.mark.skipif(sys.platform == "win32", reason="limits of the processor are POSIX's")
def test_a_request_that_does_not_end_is_ended_and_the_next_has_its_own_time(tmp_path: Path) -> None:
    with Nursery() as nursery, nursery.one_process() as one:
        assert one.run(asked("aa"), Limits(seconds=20)).answer
        ended = one.run(asked("a" * 60 + "c", CATASTROPHIC["pattern"]), Limits(seconds=1))
        assert ended.answer is None and ended.spent
        assert one.run(asked("aa"), Limits(seconds=20)).answer == {"value": 1.0, "note": ""}


def test_it_writes_nothing_outside_of_its_folder(tmp_path: Path) -> None:
    outside = tmp_path / "room" / "copies"
    outside.parent.mkdir()
    request = {"do": "read", "reader": "mutation.copies", "arguments": {
        "getter": "vm_file", "parameters": {}, "value": {"file": str(_file(tmp_path))}, "named": "", "instruction": "",
        "only": [], "into": {"file": str(outside)}}}  # fmt: skip
    with Nursery() as nursery, nursery.one_process() as one:
        refused = one.run(request, Limits())
        room = one.folder / "room"
        room.mkdir()
        made = one.run({**request, "arguments": {**request["arguments"], "into": {"file": str(room / "c")}}}, Limits())  # type: ignore[dict-item]
    assert made.answer is not None and made.answer["value"]["copies"]
    if sys.platform == "linux" and refused.answer is not None and "value" not in refused.answer:
        assert not list(outside.parent.iterdir())


def _file(folder: Path) -> Path:
    file = folder / "note.txt"
    file.write_text("one\ntwo\n")
    return file


def test_what_needs_a_folder_of_its_own_has_a_process_of_its_own(tmp_path: Path) -> None:
    with Nursery() as nursery, nursery.one_process() as one:
        ended = session.run(asked("aa"), Limits(), into=tmp_path)
        assert ended.answer == {"value": 1.0, "note": ""}
        assert one._child is None


def test_several_sessions_at_once_do_not_see_each_other() -> None:
    with Nursery() as nursery, nursery.one_process() as one, nursery.one_process() as other:
        for session_ in (one, other):
            assert session_.run(asked("aa"), Limits()).answer == {"value": 1.0, "note": ""}
        assert one.folder != other.folder
        one.end()
        assert other.run(asked("b"), Limits()).answer == {"value": 0.0, "note": ""}


def test_what_was_started_is_gone_with_it() -> None:
    with Nursery() as nursery, nursery.one_process() as one:
        one.run(asked("aa"), Limits())
        assert one._child is not None and nursery._process is not None
        numbers = (one._child.number, nursery._process.pid)
        assert all(psutil.pid_exists(number) for number in numbers)
    assert until(lambda: not any(_runs(number) for number in numbers), timeout=60)


def _runs(number: int) -> bool:
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
