"""Checks of files in separate processes: hostile files end as a 0 or an error, never as harm or a hang."""

import os
import re
import zipfile
from pathlib import Path
from typing import Any

import docx
import pytest

from deskbench.envs.errors import CheckError
from deskbench.tasks.scoring.sandbox import environment
from deskbench.tasks.scoring.worker import evaluate

BOMB = b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9)
) + b"]><w:document>&j;</w:document>"  # fmt: skip
OUTSIDE = b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><w:document>&a;</w:document>'


def document(path: Path, text: str = "text") -> Path:
    made = docx.Document()
    made.add_paragraph(text)
    made.save(str(path))
    return path


def with_part(path: Path, name: str, data: bytes) -> Path:
    """A document with one part replaced."""
    good = document(path.with_name("good.docx"))
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, data if info.filename == name else old.read(info))
    return path


def test_a_check_of_files_is_worked_out_elsewhere(tmp_path: Path) -> None:
    one, same, other = (document(tmp_path / f"{n}.docx", t) for n, t in enumerate(("text", "text", "other")))
    assert evaluate("compare_docx_files", one, same, {}) == 1.0
    assert evaluate("compare_docx_files", other, same, {}) < 1.0


@pytest.mark.parametrize("data", [BOMB, OUTSIDE, b"", b"<w:document>", b"\x00" * 1000])
def test_a_document_of_hostile_xml_is_no_document(data: bytes, tmp_path: Path) -> None:
    hostile = with_part(tmp_path / "a.docx", "word/document.xml", data)
    assert evaluate("compare_docx_files", hostile, document(tmp_path / "b.docx"), {}, seconds=60) == 0.0


def test_a_document_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path: Path) -> None:
    path = document(tmp_path / "a.docx")
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("word/big.xml", "w", force_zip64=True) as part,
    ):
        for _ in range(1100):
            part.write(bytes(2**20))
    assert path.stat().st_size < 4 * 2**20
    assert evaluate("compare_docx_files", path, document(tmp_path / "b.docx"), {}, seconds=60) == 0.0


LATE = r"(used more than 2 s of processor time|took more than 8 s)"
"""On a busy machine the wall clock runs out first."""


def test_an_archive_writes_nothing_outside(tmp_path: Path) -> None:
    paths = []
    for name in ("a.zip", "b.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("../../escaped.txt", "x")
            archive.writestr("/tmp/deskbench-escaped.txt", "x")
        paths.append(tmp_path / name)
    evaluate("compare_archive", paths[0], paths[1], {"file_type": "text"})
    assert not (tmp_path.parent.parent / "escaped.txt").exists() and not (tmp_path / "escaped.txt").exists()
    assert not Path("/tmp/deskbench-escaped.txt").exists()


def test_a_check_that_does_not_end_is_ended_and_the_text_is_at_fault() -> None:
    found = evaluate("text_matches", "a" * 40 + "b", {"pattern": "(a+)+$"}, {}, (True, False), seconds=2)
    assert found == 0.0
    assert re.search(f"{LATE}; the check works without it", found.note)


def test_a_check_of_what_the_agent_has_no_hand_in_is_at_fault_itself() -> None:
    with pytest.raises(CheckError, match=LATE):
        evaluate("text_matches", "a" * 40 + "b", {"pattern": "(a+)+$"}, {}, (False, False), seconds=2)


@pytest.mark.parametrize("theirs", [(True, False), (False, True)])
def test_a_file_that_takes_all_memory_is_at_fault(tmp_path: Path, theirs: tuple[bool, bool]) -> None:
    (tmp_path / "a.txt").write_bytes(b"a line\n" * 20_000_000)
    (tmp_path / "b.txt").write_text("a\n")
    pair = (tmp_path / "a.txt", tmp_path / "b.txt") if theirs[0] else (tmp_path / "b.txt", tmp_path / "a.txt")
    found = evaluate("diff_text_file", *pair, {}, theirs, memory=2**30)
    assert found == 0.0 and "used more than 1024 MiB of memory" in found.note


def test_what_is_expected_takes_all_memory_and_the_check_is_at_fault(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a line\n" * 20_000_000)
    (tmp_path / "b.txt").write_text("a\n")
    with pytest.raises(CheckError, match=r"1024 MiB of memory; without the agent's part: it used"):
        evaluate("diff_text_file", tmp_path / "b.txt", tmp_path / "a.txt", {}, (True, False), memory=2**30)


def test_no_secret_is_in_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert "sk-secret" not in str(environment("/tmp")) and "OPENAI_API_KEY" in os.environ


@pytest.mark.parametrize("rules", [{"pattern": "("}, {}, {"pattern": None}])
def test_a_fault_of_the_check_is_said(rules: dict[str, Any]) -> None:
    with pytest.raises(CheckError, match="text_matches"):
        evaluate("text_matches", "x", rules, {}, (True, False))
