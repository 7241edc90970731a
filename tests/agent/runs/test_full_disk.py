"""A disk that is full at any point of a run: it ends with one error, and resumed it loses and repeats nothing."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from deskbench.agent.batch import Batch
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.ledger import Ledger

from ..paper import prepared, write_suite

FILLED = """
import resource, sys
from pathlib import Path
from deskbench.agent.batch import Batch
from deskbench.agent.runs.folder import RunFolder
from deskbench.envs.errors import StorageError
from tests.agent.paper import prepared
suite, run, most = sys.argv[1:]
ready = prepared(Path(suite), repeats=4)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(most), int(most)))
try:
    Batch(ready, Path(run)).run(resume=RunFolder(Path(run)).exists)
except StorageError as error:
    print(error)
"""


@pytest.mark.parametrize("most", [600, 30_000, 85_000, 110_000])
def test_a_run_goes_on_where_the_disk_was_full(tmp_path: Path, most: int) -> None:
    """A limit on the size of files stands for the disk: the kernel refuses in the same places."""
    suite, folder = write_suite(tmp_path / "suite"), tmp_path / "run"
    command = [sys.executable, "-c", FILLED, str(suite), str(folder), str(most)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith("cannot write") and "--resume" in said
    summary = Batch(prepared(suite, repeats=4), folder).run(resume=RunFolder(folder).exists)
    assert (summary.scored, summary.all.mean) == (16, 1.0)
    scored = Counter(
        (record.task, record.repeat) for record in RunFolder(folder).records() if record.score.value is not None
    )
    ledger = Ledger(RunFolder(folder).ledger)
    counted = Counter(
        (one.task, one.repeat) for one in ledger.attempts() if one.state == "finished" and one.score is not None
    )
    ledger.close()
    assert set(scored.values()) == set(counted.values()) == {1} and scored.keys() == counted.keys()
