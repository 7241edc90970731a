"""Real coding agents as agents, with a scripted model: `python -m tests.agent.programs.coding_agents`.

They are not part of the suite, because each is a download of 100 MB or more (`test_coding_agent.py` tries a small one).
Install those to try, in a place of their
own outside `/tmp`, which walls hide, and name it:

    npm install --prefix /opt/agents @anthropic-ai/claude-code @openai/codex opencode-ai
    python -m tests.agent.programs.coding_agents --bin /opt/agents/node_modules/.bin

Each that is found plays one task on the desktop in memory. Exit status 0: all solved it, with four steps and a bill.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from deskbench.agent.batch import Batch
from deskbench.agent.runs.record import EpisodeRecord

from ..paper import prepared, write_task
from .scripted import Endpoint

CLAUDE = (
    "env ANTHROPIC_BASE_URL={endpoint} ANTHROPIC_API_KEY=scripted CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1"
    " {program} -p {{prompt}}"
    " --model claude-sonnet-4-5 --strict-mcp-config --mcp-config {{{config}}} --tools ''"
    " --allowedTools mcp__desktop --output-format json"
)
CODEX = (
    "{program} exec --json --skip-git-repo-check --sandbox read-only -c model_provider=s -c model_providers.s.name=s"
    " -c model_providers.s.base_url={endpoint}/v1 -c model_providers.s.wire_api=responses -c model=gpt-5"
    " -c mcp_servers.desktop.url={{url}} -c mcp_servers.desktop.bearer_token_env_var=DESKBENCH_TOKEN"
    " -c mcp_servers.desktop.default_tools_approval_mode=approve {{prompt}}"
)
OPENCODE = "env OPENCODE_CONFIG_CONTENT='{settings}' {program} run --format json {{prompt}}"
COMMANDS = {
    "claude": ("claude", CLAUDE.replace("{config}", "mcp_config")),
    "claude, stdio": ("claude", CLAUDE.replace("{config}", "mcp_stdio_config")),
    "codex": ("codex", CODEX),
    "opencode": ("opencode", OPENCODE),
}


def opencode_settings(endpoint: str) -> str:
    """opencode's configuration: the scripted endpoint, and the desktop."""
    options = {"baseURL": f"{endpoint}/v1", "apiKey": "x"}
    server = {"type": "remote", "url": "{url}", "oauth": False, "headers": {"Authorization": "Bearer {token}"}}
    provider = {"s": {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {"m": {}}}}
    return json.dumps({"model": "s/m", "provider": provider, "mcp": {"desktop": server}})


def play(program: str, command: str, folder: Path, endpoint: Endpoint) -> EpisodeRecord:
    """One episode with a coding agent."""
    words = command.format(program=program, endpoint=endpoint.url, settings=opencode_settings(endpoint.url))
    run = prepared(write_task(folder / "paper", "write"), agent="program", agent_settings={"command": words})
    Batch(run, folder / "run").run()
    [path] = (folder / "run").rglob("episode.json")
    return EpisodeRecord.model_validate_json(path.read_bytes())


def main() -> int:
    """Try what is installed; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="", help="folder of the programs, before PATH")
    path = os.pathsep.join([parser.parse_args().bin, os.environ["PATH"]])
    solved = []
    for name, (program, command) in COMMANDS.items():
        found = shutil.which(program, path=path)
        if found is None:
            sys.stdout.write(f"{name}: not installed\n")
            continue
        with tempfile.TemporaryDirectory() as folder, contextlib.closing(Endpoint()) as endpoint:
            record = play(found, command, Path(folder), endpoint)
        totals = record.totals
        solved.append((record.score.value, totals.steps) == (1.0, 4) and totals.usage.input_tokens > 0)
        sys.stdout.write(f"{name}: {record.ending}, score {record.score.value}, {totals.steps} steps, {totals.usage}\n")
    return 0 if solved and all(solved) else 1


if __name__ == "__main__":
    sys.exit(main())
