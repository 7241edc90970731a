"""Attacks desktops on this machine from inside; the command reports what held."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deskbench.envs import wait
from deskbench.envs.providers.local import LocalProvider
from tests.attacks.arenas import Arena
from tests.attacks.base import KINDS, Attack, Outcome, Verdict, attempt, succeeded
from tests.attacks.exhaustion import Seen

ROOT = Path(__file__).parents[2]
COLUMN = "local (root)" if os.geteuid() == 0 else "local (user)"
LEAST = 60
QUICK = [word for kind in KINDS if kind not in ("exhaustion", "pages") for word in ("--kind", kind)]
"""Pages have browser tests of their own."""


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.attacks", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.desktop
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_attack_breaks_a_promise() -> None:
    done = command("--provider", COLUMN, "--json", *QUICK)
    assert done.returncode == 0, done.stderr
    verdicts = [verdict for verdict, _ in json.loads(done.stdout)[COLUMN].values()]
    assert verdicts.count("blocked") >= LEAST


@pytest.mark.desktop
@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(1200)
def test_nothing_that_a_desktop_uses_up_is_missed_elsewhere() -> None:
    done = command("--provider", COLUMN, "--json", "--kind", "exhaustion")
    assert done.returncode == 0, done.stderr
    verdicts = [verdict for verdict, _ in json.loads(done.stdout)[COLUMN].values()]
    assert verdicts.count("blocked") >= 12


@pytest.mark.parametrize(
    ("quiet", "control", "during", "after", "slow"),
    [(5, 8, 40, 6, True), (5, 8, 20, 6, False), (5, 30, 60, 6, False), (5, 8, 40, 30, False), (5, 6, 24, 8, True)],
)
def test_slower_is_more_than_twice_of_before_of_an_honest_load_and_of_after(
    quiet: float, control: float, during: float, after: float, slow: bool
) -> None:
    assert Seen("", quiet, control, during, after).slow is slow


def test_an_attack_that_never_ends_is_an_error() -> None:
    def hang(arena: Arena) -> Outcome:
        wait.sleep(60)
        return succeeded("woke up")

    hanging = Attack("hangs", "limits", "hangs", hang, seconds=0.2)
    began = time.monotonic()
    outcome = attempt(hanging, Arena(COLUMN, LocalProvider))
    assert outcome.verdict is Verdict.ERROR and "did not end" in outcome.evidence
    assert time.monotonic() - began < 50


@pytest.mark.desktop
def test_the_walls_are_what_holds() -> None:
    """The same attack succeeds for a user of this machine outside a desktop, so a success would be noticed."""
    script = (
        "from tests.attacks.base import ATTACKS, attempt\n"
        "from tests.attacks import escape\n"
        "class Here:\n"
        "    name, slow = 'local (root)', 1.0\n"
        "    def program(self, name, *words, **more):\n"
        "        import json, subprocess, sys\n"
        "        from tests.attacks.arenas import PROGRAMS\n"
        "        done = subprocess.run([sys.executable, str(PROGRAMS / f'{name}.py'), *map(str, words)],\n"
        "                              capture_output=True, text=True)\n"
        "        return json.loads(done.stdout.splitlines()[-1])\n"
        "print(*(attempt(ATTACKS[one], Here()).verdict for one in ('socket-families', 'keyrings', 'unshare-user')))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "open" in done.stdout.split(), done.stdout + done.stderr
