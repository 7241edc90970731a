"""NeMo Gym: a project of its own, in which it runs episodes of `deskbench serve openenv` (extra `nemo-gym`).

NeMo Gym starts servers from files in the working folder, each in an environment of its own. So the agent server,
`app.py`, is copied into the project, and reaches the desktops through OpenEnv's routes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from deskbench.agent.harnesses.openenv import Server, action_schema
from deskbench.envs.errors import UsageError
from deskbench.envs.types import ACTION_TYPES

AGENT = "deskbench"
"""The name of the agent server, and of its folder."""
TOOL = "computer"
"""The name of the model's tool."""
SEED = 0
"""The seed of all episodes."""
REQUIREMENT = "nemo-gym>=0.4,<0.8"
"""What the agent server needs; `app.py` checks the same."""
ABOUT = """Use the computer: actions are carried out in order, and then you see the screen. Points are pixels of the \
picture. End with the action `done`, or with `fail` if the task cannot be done."""
CONFIG = """\
# Written by `deskbench serve openenv`; settings of your own belong in env.yaml.
{agent}:
  responses_api_agents:
    {agent}:
      entrypoint: app.py
      model_server:
        type: responses_api_models
        name: policy_model
      openenv_url: {url}
      openenv_token: {token}
      sessions: {sessions}
"""


def write_project(folder: Path, server: Server) -> None:
    """Write what NeMo Gym needs: `deskbench.yaml`, `tasks.jsonl`, and the agent server's folder.

    Args:
        folder: where to; other files in it stay.
        server: the server whose tasks and desktops these are.

    Raises:
        UsageError: the folder cannot be written.
    """
    own = folder / "responses_api_agents" / AGENT
    rows = [json.dumps(row(task, text=server.desktops.grammar), ensure_ascii=False) for task in server.desktops.tasks]
    config = CONFIG.format(
        agent=AGENT,
        url=json.dumps(_reachable(server.address)),
        token=json.dumps(server.token),
        sessions=server.desktops.sessions,
    )
    try:
        own.mkdir(parents=True, exist_ok=True)
        _write(own / "app.py", (resources.files(__name__) / "app.py").read_text(encoding="utf-8"))
        _write(own / "requirements.txt", f"{REQUIREMENT}\n")
        _write(folder / "tasks.jsonl", "".join(f"{line}\n" for line in rows))
        _write(folder / "deskbench.yaml", config)
    except OSError as error:
        raise UsageError(f"cannot write the project for NeMo Gym: {error}") from None


def row(task: Mapping[str, str], *, text: bool) -> dict[str, Any]:
    """A task as a row of NeMo Gym's data.

    Args:
        task: its `id` and `instruction`.
        text: the server reads the model's text, so the model gets no tool.
    """
    asked: dict[str, Any] = {"input": [{"role": "user", "content": task["instruction"]}]}
    if not text:
        asked["tools"] = [tool()]
    return {
        "responses_create_params": asked,
        "verifier_metadata": {"task": task["id"], "seed": SEED},
        "agent_ref": {"type": "responses_api_agents", "name": AGENT},
    }


def tool() -> dict[str, Any]:
    """The model's tool: a list of actions, without `exec`, since `serve openenv` allows no code."""
    one = [action_schema(name, kind) for name, kind in ACTION_TYPES.items() if name != "exec"]
    actions = {"type": "array", "items": {"anyOf": one}}
    parameters = {"type": "object", "properties": {"actions": actions}, "required": ["actions"]}
    return {"type": "function", "name": TOOL, "description": ABOUT, "parameters": parameters, "strict": False}


def _reachable(address: str) -> str:
    """An address to connect to, also for a server that listens on all of this machine's."""
    return address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner may read: one of them has the token."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
