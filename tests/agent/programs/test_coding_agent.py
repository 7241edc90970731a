"""A real coding agent, mini-swe-agent of PyPI, in an environment of its own, with a scripted model.

It has no MCP: it calls the command `act` from its shell. `coding_agents.py` tries programs with MCP, which are
downloads of 100 MB or more.
"""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from .coding_agents import play
from .scripted import Endpoint

VERSION = "2.4.6"
COMMAND = (
    "env OPENAI_API_BASE={endpoint}/v1 OPENAI_API_KEY=scripted MSWEA_CONFIGURED=true MSWEA_COST_TRACKING=ignore_errors"
    " LITELLM_LOCAL_MODEL_COST_MAP=True {program} --yolo --exit-immediately --cost-limit 0 --model openai/scripted"
    " --task {{prompt}}"
)
END = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
COMMANDS = ("act screenshot", "act type hello", "act key ctrl+s", "act done", END)


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, installed in a folder that goes with the tests."""
    folder = tmp_path_factory.mktemp("mini")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--no-compile", "--disable-pip-version-check"]
    subprocess.run([*pip, f"mini-swe-agent=={VERSION}"], check=True)
    return folder / "bin" / "mini"


@pytest.mark.timeout(1500)  # most of it for the installation
def test_a_coding_agent_without_mcp_solves_a_task_from_its_shell(mini: Path, tmp_path: Path) -> None:
    with contextlib.closing(Endpoint([("bash", {"command": command}) for command in COMMANDS])) as endpoint:
        record = play(str(mini), COMMAND, tmp_path, endpoint)
    assert (record.ending, record.score.value, record.totals.steps, record.error) == ("done", 1.0, 4, None)
    assert "You have 15 steps" in str(endpoint.asked[0]["messages"])
