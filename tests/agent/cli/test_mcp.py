"""`deskbench mcp`: a person's own MCP client plays an episode, by both transports."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from typer.testing import CliRunner

from deskbench.agent.cli.main import app
from deskbench.agent.runs.folder import RunFolder
from deskbench.envs.errors import UsageError
from deskbench.tasks.load import LIBRARY

from ..paper import write_task

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("computer", {"action": "screenshot"}),
    ("computer", {"action": "type", "text": "hello"}),
    ("computer", {"action": "key", "text": "ctrl+s"}),
    ("done", {}),
]
MODULE = ("-m", "deskbench.agent", "mcp")


async def play(client: Client) -> list[str]:
    """Solve the task; returns what each call was told."""
    told = []
    for name, arguments in CALLS:
        found = await client.call_tool(name, arguments)
        told.append(next(part.text for part in found.content if part.type == "text"))
    return told


def scores(folder: Path) -> list[tuple[str, float | None, int]]:
    found = [reader.episode for reader in RunFolder(folder).final()]
    return [(one.ending.value, one.score.value, one.totals.steps) for one in found]


def play_by_http(*options: str) -> tuple[dict[str, Any], list[str]]:
    """Play an episode; returns what `deskbench mcp` offered and what the calls were told."""
    command = [sys.executable, *MODULE, "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        text = ""
        while not text.endswith("}\n") and (line := process.stdout.readline()):
            text += line
        offer = json.loads(text)

        async def talk() -> list[str]:
            async with AsyncExitStack() as stack:
                headers = {"Authorization": f"Bearer {offer['token']}"}
                http = httpx2.AsyncClient(headers=headers, trust_env=False, timeout=60)
                await stack.enter_async_context(http)
                transport = streamable_http_client(f"{offer['url']}/mcp", http_client=http)
                return await play(await stack.enter_async_context(Client(transport)))

        told = asyncio.run(talk())
        assert process.wait(60) == 0
    return offer, told


def test_by_streamable_http(tmp_path: Path) -> None:
    task, out = write_task(tmp_path / "paper", "write"), tmp_path / "run"
    offer, told = play_by_http("--task", str(task), "--provider", "fake", "--out", str(out))
    assert offer["instruction"] == "Write hello and save."
    assert told[0].startswith("Left: 14 steps") and told[-1].startswith("The episode has ended")
    assert scores(out) == [("done", 1.0, 4)]


@pytest.mark.desktop
def test_on_a_real_desktop(tmp_path: Path) -> None:
    given = json.loads((LIBRARY / "basics" / "editor-append-line.json").read_text())
    given["id"] = "append-hello"
    (tmp_path / "append-hello.json").write_text(json.dumps(given).replace("coffee", "hello"))
    _, told = play_by_http("--task", str(tmp_path / "append-hello.json"), "--out", str(tmp_path / "run"))
    assert told[-1].startswith("The episode has ended")
    assert scores(tmp_path / "run")[0][::2] == ("done", 4)


def test_by_standard_input_and_output(tmp_path: Path) -> None:
    task, out = write_task(tmp_path / "paper", "write"), tmp_path / "run"
    server = StdioServerParameters(
        command=sys.executable,
        args=[*MODULE, "--stdio", "--task", str(task), "--provider", "fake", "--out", str(out)],
        env=dict(os.environ),
    )

    async def talk() -> list[str]:
        async with Client(stdio_client(server)) as client:
            return await play(client)

    told = asyncio.run(talk())
    assert told[0].startswith("Left: 14 steps") and told[-1].startswith("The episode has ended")
    assert scores(out) == [("done", 1.0, 4)]


def test_a_client_that_leaves_before_it_calls_is_not_scored(tmp_path: Path) -> None:
    task, out = write_task(tmp_path / "paper", "write"), tmp_path / "run"
    command = [sys.executable, *MODULE, "--stdio", "--task", str(task), "--provider", "fake", "--out", str(out)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert scores(out) == [("agent_crash", None, 0)]
    [reader] = RunFolder(out).final()
    assert reader.episode.error == "AgentCrash: the client has left without a single call"


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    task, out = write_task(tmp_path / "paper", "write"), tmp_path / "run"
    command = [sys.executable, *MODULE, "--task", str(task), "--provider", "fake", "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "task: Write hello and save.\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 1
    assert scores(out) == [("interrupted", None, 0)]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--task", "basics"], "name one, such as basics/"),
        (["--task", "basics/no-such-task"], "no task 'basics/no-such-task'"),
        (["--task", "no-such-file.json"], "no-such-file.json"),
        (["--task", "basics/save-note", "--stdio", "--json"], "leave out --json"),
    ],
)
def test_a_wrong_option_is_one_line(options: list[str], told: str) -> None:
    found = CliRunner().invoke(app, ["mcp", *options])
    assert isinstance(found.exception, UsageError)
    assert told in str(found.exception)
