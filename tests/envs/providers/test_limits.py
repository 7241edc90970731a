"""Control groups of desktops: created, left alone by other controllers, removed when their controller is gone."""

import subprocess
import sys
from pathlib import Path

import pytest

from deskbench.envs.providers import limits


@pytest.fixture
def groups() -> list[Path]:
    made = limits.make("deskbench-sweep-test")
    if not made:
        pytest.skip(limits.why_not())
    return made


def test_a_live_controllers_empty_group_stays(groups: list[Path]) -> None:
    limits.sweep("deskbench-sweep-test")
    assert all(group.exists() for group in groups)
    limits.remove(groups)
    assert not any(group.exists() for group in groups)


def test_a_dead_controllers_group_goes(groups: list[Path]) -> None:
    limits.remove(groups)
    code = "from deskbench.envs.providers import limits; print(*limits.make('deskbench-sweep-test'), sep='\\n')"
    left = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert left and all(Path(group).exists() for group in left)
    limits.sweep("deskbench-sweep-test")
    assert not any(Path(group).exists() for group in left)
