"""Desktops on this machine are attacked from inside; the command says what held."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COLUMN = "local (root)" if os.geteuid() == 0 else "local (user)"
LEAST = 60


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.attacks", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.desktop
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_attack_breaks_a_promise() -> None:
    done = command("--provider", COLUMN, "--json")
    assert done.returncode == 0, done.stderr
    verdicts = [verdict for verdict, _ in json.loads(done.stdout)[COLUMN].values()]
    assert verdicts.count("blocked") >= LEAST


@pytest.mark.desktop
def test_the_walls_are_what_holds() -> None:
    """The same attack, by a user of this machine outside a desktop, succeeds: it would be seen."""
    script = (
        "from tests.attacks.base import ATTACKS, attempt\n"
        "from tests.attacks import escape\n"
        "class Here:\n"
        "    name = 'local (root)'\n"
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
