"""The results of OSWorld's main branch for the same inputs, stored because the branch is not on PyPI.

For each metric, `main.json` holds hashes of inputs and their scores. `python -m tests.differential --store-main
CHECKOUT` writes it from a checkout of OSWorld's main branch as of spring 2026.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.differential import reference

if TYPE_CHECKING:
    from tests.differential.case import Case

STORED = Path(__file__).parent / "main.json"
RAISED = "raised"
"""Stored instead of a score if the function raised."""
NONE = "none"
"""Stored if the function returned no score."""
BY_THE_CLOCK = ("compare_time_in_speedtest_results",)
"""Their inputs depend on the time of day; both revisions have the same function."""
Answer = float | str
_UNTOLD = ("docProps/core.xml", "meta.xml", "docProps/app.xml")
"""Members of packages that contain the time of creation."""
_BY_CHANCE = re.compile(
    rb"\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}"  # ids of fields and rules in OOXML
    rb'|config:name="Rsid(Root)?" config:type="int">\d+'  # in OpenDocument
    rb'|(?<=axId val=")\d+|(?<=crossAx val=")\d+'  # in charts
    rb"|/CreationDate\s*\(D:[^)]*\)|/ModDate\s*\(D:[^)]*\)|/ID\s*\[[^]]*\]|/DocChecksum\s*/[0-9A-F]+"  # in PDF
)
"""Values that LibreOffice creates anew each time."""


def stored(case: Case) -> Answer | None:
    """Main's result for a case; None if it is not stored."""
    found: Answer | None = _stored().get(case.metric, {}).get(digest(case))
    return found


def has(metric: str) -> bool:
    """Whether results for the metric are stored."""
    return metric in _stored()


@cache
def _stored() -> dict[str, dict[str, Answer]]:
    found: dict[str, dict[str, Answer]] = json.loads(STORED.read_text(encoding="utf-8"))["answers"]
    return found


def store(checkout: Path, cases: Iterable[tuple[Case, Path]], *, add: bool = False) -> int:
    """Run a checkout's functions on cases, each with a working folder, and store the results; returns their number.

    `add` keeps the results that are already stored, and runs only new cases.
    """
    answers: dict[str, dict[str, Answer]] = defaultdict(dict, _stored() if add else {})
    with tempfile.TemporaryDirectory(prefix="deskbench-main-") as scratch:
        reference.use(_copied(checkout, Path(scratch)))
        for case, folder in cases:
            asked = reference.has(case.metric) and case.metric not in BY_THE_CLOCK
            if asked and (key := digest(case)) not in answers[case.metric]:
                answers[case.metric][key] = _answer(case, folder)
    commit = subprocess.run(
        ["git", "-C", str(checkout), "log", "-1", "--format=%H %cs"], check=False, capture_output=True, text=True
    )
    page = {"source": commit.stdout.strip(), "answers": answers}
    STORED.write_text(json.dumps(page, indent=0, sort_keys=True) + "\n", encoding="utf-8")
    return sum(map(len, answers.values()))


def must_be_known(case: Case) -> bool:
    """Whether the inputs are the same on every machine. Files from programs and libraries depend on their versions."""
    return case.metric not in BY_THE_CLOCK and all(_is_text(file) for file in _files(case.asked))


def _files(value: Any) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _files(item)


def _is_text(file: Path) -> bool:
    try:
        file.is_dir() or file.read_text(encoding="utf-8")
        return True
    except (OSError, UnicodeDecodeError):
        return False


def _copied(checkout: Path, folder: Path) -> Path:
    """A copy of the evaluators only, as a package that imports nothing else."""
    shutil.copytree(checkout / "desktop_env/evaluators", folder / "desktop_env/evaluators")
    for package in ("desktop_env", "desktop_env/evaluators"):
        (folder / package / "__init__.py").write_text("")
    return folder


def _answer(case: Case, folder: Path) -> Answer:
    try:
        score = reference.score(case.metric, copy.deepcopy(list(case.asked)), copy.deepcopy(case.options), folder)
    except reference.Raised:
        return RAISED
    return NONE if score is None else round(score, 9)


def digest(case: Case) -> str:
    """The hash of a case's inputs: the content of files counts, but not their location or time."""
    inputs = [case.asked, case.options]
    return hashlib.sha256(json.dumps(_told(inputs), sort_keys=True).encode()).hexdigest()[:16]


def _told(value: Any) -> Any:
    if isinstance(value, Path):
        beside = sorted(value.parent.glob(f"{value.stem}-*"))  # a workbook's printed sheets
        return [part for file in (value, *beside)
                for part in (file.name, _content(file.read_bytes()) if file.is_file() else "no file")]  # fmt: skip
    if isinstance(value, dict):
        return {str(key): _told(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_told(item) for item in value]
    return repr(value)


def _content(data: bytes) -> str:
    known = hashlib.sha256(data).digest()
    if known not in _CONTENTS:
        hashed = hashlib.sha256()
        for part in _parts(data):
            hashed.update(part)
        _CONTENTS[known] = hashed.hexdigest()
    return _CONTENTS[known]


_CONTENTS: dict[bytes, str] = {}
"""Hashes of contents by the hash of all bytes: cases share files, and files share members."""


def _parts(data: bytes) -> Iterable[bytes]:
    """The contents of a file: for an archive, the name and content of each member, without times."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [part for name in archive.namelist() if name not in _UNTOLD
                    for part in (name.encode(), _content(archive.read(name)).encode())]  # fmt: skip
    except (zipfile.BadZipFile, OSError, ValueError):
        pass
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            return [part for item in archive for part in (item.name.encode(), _member(archive, item))]
    except (tarfile.TarError, OSError, EOFError):
        return [_BY_CHANCE.sub(b"", data)]


def _member(archive: tarfile.TarFile, item: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(item) if item.isfile() else None
    return b"" if file is None else _content(file.read()).encode()
