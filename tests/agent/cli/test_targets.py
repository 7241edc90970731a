"""`deskbench tasks targets`: what an oracle can name, as a table, as JSON and as a picture."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from deskbench.envs import wait
from deskbench.tasks.load import LIBRARY

pytestmark = pytest.mark.desktop
TASK = str(LIBRARY / "basics/files-rename.json")


def targets(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("deskbench")), "tasks", "targets", *words], cwd=folder,
        env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_names_and_boxes_are_printed_and_drawn(tmp_path: Path) -> None:
    done = targets("--task", TASK, "--json", "--picture", "marks", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = {(one["role"], one["name"] or one["text"]): one for one in json.loads(done.stdout)}
    assert found["menu", "File"]["unique"] and found["menu", "File"]["window"] == "Documents"
    draft = found["icon", "draft.txt"]
    x, y, width, height = draft["box"]
    assert not draft["unique"] and width > 0
    with Image.open(tmp_path / "marks") as picture:
        assert picture.size == (1280, 800)
        assert picture.convert("RGB").getpixel((x + width - 1, y + height // 2)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--task", "basics"], "name one of them"),
        (["--task", "no-such.json"], "no-such.json"),
        (["--task", TASK, "--provider", "nobody"], "unknown provider"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(words: list[str], said: str, tmp_path: Path) -> None:
    done = targets(*words, folder=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder for temporary ones that a desktop in its sandbox can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("picture", ["missing/marks.png", "."])
def test_a_picture_that_cannot_be_written_is_refused_before_a_desktop_starts(picture: str, tmp_path: Path) -> None:
    done = targets("--task", TASK, "--picture", picture, "--provider", "nothing-that-starts", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: --picture {picture}: name a file in a folder that exists\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_leaves_no_folder(number: signal.Signals, scratch: Path) -> None:
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("deskbench")), "tasks", "targets", "--task", TASK], cwd=scratch,
        env={**os.environ, "TMPDIR": str(scratch)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert wait.until(lambda: [*scratch.glob("deskbench-start-*")] or process.poll() is not None, timeout=60)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert not [*scratch.iterdir()]
