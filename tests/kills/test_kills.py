"""A short run of `python -m tests.kills`, in a process of its own because it forks."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_whatever_is_killed_every_episode_ends_with_exactly_one_result() -> None:
    command = [sys.executable, "-m", "tests.kills", "20", "--seed", "15"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 kills" in done.stdout
