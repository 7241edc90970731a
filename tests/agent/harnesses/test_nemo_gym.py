"""NeMo Gym: its own commands start our agent server, collect episodes of a desktop, and count no failure as a score."""

import base64
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from deskbench.agent.harnesses.nemo_gym import row as a_row
from deskbench.agent.harnesses.nemo_gym import write_project
from deskbench.agent.harnesses.openenv import Server
from deskbench.envs import wait
from deskbench.envs.errors import UsageError

from ..paper import write_suite, write_task
from ..serving import at_work
from .test_openenv import CLICK, DONE, RENAME, started
from .venvs import ROOT, python_alone

NEMO_GYM = "nemo-gym==0.4.0"
PYTHONS = ("3.13", "3.12")
Json = dict[str, Any]


def call(number: int, arguments: str) -> Json:
    return {"type": "function_call", "call_id": f"c{number}", "name": "computer", "arguments": arguments}


def acting(number: int, *actions: Json) -> Json:
    return call(number, json.dumps({"actions": actions}))


def saying(text: str) -> Json:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]}


def tool_call(**arguments: Any) -> str:
    """What a Qwen2.5-VL writes."""
    return f"<tool_call>\n{json.dumps({'name': 'computer_use', 'arguments': arguments})}\n</tool_call>"


SELECT: list[Json] = [CLICK, {"type": "key", "keys": ["ctrl", "a"]}]
POISON = tool_call(action="type", text="poison")
TURNS = {
    "Rename": [[acting(0, *SELECT)], [call(1, "{not JSON")], [acting(2, *RENAME), acting(3, DONE), acting(4)]],
    "Copy": [[saying("I do not want to.")]],
    "Move": [[acting(0, CLICK)]],
    "Write": [
        [saying("Let me think.")],
        [saying(tool_call(action="type", text="hello"))],
        [saying(tool_call(action="key", keys=["ctrl", "s"]))],
        [saying(tool_call(action="terminate", status="success"))],
    ],
    "Take": [[saying(POISON)]],
}
"""What the model answers in a task, turn by turn; the key is the instruction's first word."""


class Model(ThreadingHTTPServer):
    """An endpoint of OpenAI's Responses; as it answers in one task, the desktops are killed."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: dict[str, list[Json]] = {}
        self.desktops: psutil.Process | None = None

    def answer(self, body: Json) -> list[Json]:
        task = body["input"][0]["content"].split()[0]
        self.asked.setdefault(task, []).append(body)
        if task == "Move":
            assert self.desktops is not None
            for process in self.desktops.children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        return TURNS[task][len(self.asked[task]) - 1]


class Answers(BaseHTTPRequestHandler):
    server: Model

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        answer = {
            "id": "r", "created_at": 1.0, "model": "scripted", "object": "response", "output": self.server.answer(body),
            "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
            "usage": {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12, **details},
        }  # fmt: skip
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def model() -> Iterator[Model]:
    with Model() as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield server
        finally:
            server.shutdown()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


@contextmanager
def gym(folder: Path, python: Path, port: int, *configs: Path) -> Iterator[dict[str, str]]:
    """NeMo Gym's servers, started by its own command; what to run its other commands with.

    Each server would get a copy of the environment; here all have the same one.
    """
    for name in ("responses_api_agents/deskbench", "responses_api_models/openai_model"):
        (place := folder / "venvs" / name).mkdir(parents=True)
        (place / ".venv").symlink_to(python.parent.parent)
    settings = {
        "policy_base_url": f"http://127.0.0.1:{port}/v1", "policy_api_key": "none", "policy_model_name": "scripted",
        "head_server": {"host": "127.0.0.1", "port": free_port()},
        "skip_venv_if_present": True, "uv_venv_dir": str(folder / "venvs"),
        "texts": {"responses_api_agents": {"deskbench": {"failure_reward": 0.0}}},
    }  # fmt: skip
    (folder / "env.yaml").write_text(json.dumps(settings))
    scratch = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # the path of a socket is short
    environment = {**os.environ, "RAY_TMPDIR": scratch, "RAY_USAGE_STATS_ENABLED": "0", "WANDB_MODE": "disabled"}
    given = [word for config in (folder / "deskbench.yaml", *configs) for word in ("--config", config)]
    command = [python.parent / "gym", "env", "start", *given, "--model-type", "openai_model"]
    log = folder / "servers.log"
    with log.open("w") as said, subprocess.Popen(
        command, cwd=folder, env=environment, stdout=said, stderr=said, start_new_session=True
    ) as process:  # fmt: skip
        try:
            assert wait.until(lambda: process.poll() is not None or "servers ready!" in log.read_text(), timeout=180)
            assert process.poll() is None, log.read_text()
            yield environment
        finally:
            end(process)
            shutil.rmtree(scratch, ignore_errors=True)


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop it as Ctrl-C does; nothing that it has started stays."""
    below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(30)
    process.kill()
    for one in below:
        with suppress(psutil.NoSuchProcess):
            one.kill()


def rows(path: Path) -> list[Json]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def pictures(items: list[Json]) -> list[Image.Image]:
    parts = [part for item in items if item.get("role") == "user" for part in item["content"] if isinstance(part, dict)]
    urls = [part["image_url"] for part in parts if part["type"] == "input_image"]
    return [Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,")))) for url in urls]


def collected(python: Path, folder: Path, environment: dict[str, str], data: list[Json]) -> dict[str, Json]:
    """Results by their task, with the failures, from NeMo Gym's own command."""
    out = folder / f"rollouts-{len(list(folder.glob('data-*')))}.jsonl"
    (given := folder / f"data-{out.name}").write_text("".join(f"{json.dumps(row)}\n" for row in data))
    command = [str(python.parent / "gym"), "eval", "run", "--no-serve", "--input", str(given), "--output", str(out)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr + (folder / "servers.log").read_text()
    found, failed = rows(out), rows(out.with_name(f"{out.stem}_failures.jsonl"))
    assert all(row["mask_sample"] for row in failed)
    assert not any(row.get("mask_sample") or "_ng_failure_class" in row for row in found)
    return {row["verifier_metadata"]["task"]: row for row in [*found, *failed]}


@contextmanager
def texts(folder: Path) -> Iterator[Server]:
    """A server that reads a model's text, with desktops in memory that die of "poison"."""
    settings: Any = {"provider": "tests.agent.paper:Mortal", "grammar": "qwen2.5-vl"}
    with at_work(Server(write_suite(folder / "paper", 1), settings)) as server:
        yield server


def agent(path: Path, url: str) -> Path:
    """Another agent server of NeMo Gym's, named as the file, for other desktops."""
    settings = {
        "entrypoint": "app.py", "model_server": {"type": "responses_api_models", "name": "policy_model"},
        "openenv_url": url,
    }  # fmt: skip
    path.write_text(json.dumps({path.stem: {"responses_api_agents": {"deskbench": settings}}}))
    return path


@pytest.mark.desktop
@pytest.mark.slow
@pytest.mark.alone  # it starts a cluster and four servers
@pytest.mark.timeout(1200)  # the first test on a machine installs nemo-gym, which is 1.1 GB
def test_its_own_commands_collect_a_1_a_0_and_failures_that_are_neither(tmp_path: Path) -> None:
    python, folder = python_alone(PYTHONS, NEMO_GYM), tmp_path / "gym"
    with model() as endpoint, started("basics", "--nemo-gym", str(folder)) as (process, _), texts(tmp_path) as other:
        endpoint.desktops = psutil.Process(process.pid)
        tasks = {row["verifier_metadata"]["task"]: row for row in rows(folder / "tasks.jsonl")}
        chosen = [tasks[f"basics/files-{name}"] for name in ("rename", "copy", "move")]
        unknown = {**chosen[0], "verifier_metadata": {"task": "basics/files-renam"}}
        [poison, write] = [a_row(task, text=True) for task in other.desktops.tasks]  # impossible, write-0
        poison["responses_create_params"]["input"][0]["content"] = "Take poison."
        written = [{**row, "agent_ref": {"name": "texts"}} for row in (poison, write)]
        second = agent(folder / "texts.yaml", other.address)
        with gym(folder, python, endpoint.server_port, second) as environment:
            found = collected(python, folder, environment, [*chosen, unknown, *written])
            other.stop()
            away = collected(python, folder, environment, written[1:])
    failures = {task: row["_ng_failure_class"] for task, row in sorted(found.items()) if "_ng_failure_class" in row}
    assert failures == {
        "basics/files-move": "env_error", "basics/files-renam": "data_error", "paper/impossible": "env_error",
    }  # fmt: skip
    assert [found[task]["reward"] for task in failures] == [None, None, 0.0]  # the last with `failure_reward`
    assert found["basics/files-move"]["error"].startswith("the desktop failed")
    assert "basics/files-rename" in found["basics/files-renam"]["error"]  # the nearest one
    assert away["paper/write-0"]["error"].startswith(f"no desktops at {other.address}: ")
    metrics = json.loads((folder / "rollouts-0_aggregate_metrics.json").read_text())
    assert {one["agent_ref"]["name"]: one["key_metrics"]["mean/reward"] for one in metrics} == {
        "deskbench": 0.5, "texts": 1.0,
    }  # fmt: skip
    assert (found["basics/files-copy"]["reward"], found["paper/write-0"]["reward"]) == (0.0, 1.0)
    solved = found["basics/files-rename"]
    assert (solved["reward"], solved["steps"], solved["truncated"]) == (1.0, 4, False)
    assert (solved["episode"]["ending"], solved["episode"]["reason"]) == ("done", "passed")
    assert [check["metric"] for check in solved["episode"]["checks"]] == ["directory_tree", "text_equals"]
    items = solved["response"]["output"]
    assert [one.size for one in pictures(items)] == [(1280, 800)] * 3
    outputs = [item["output"] for item in items if item["type"] == "function_call_output"]
    assert outputs[0] == "Done." and outputs[1].startswith("the arguments are not JSON")
    assert outputs[2:] == ["Done.", "Done.", "The episode is over."]
    assert solved["response"]["usage"]["total_tokens"] == 36
    assert [len(pictures(body["input"])) for body in endpoint.asked["Rename"]] == [1, 2, 3]
    assert [len(pictures(body["input"])) for body in endpoint.asked["Write"]] == [1, 2, 3, 4]


def test_without_nemo_gym_or_with_an_old_one_the_agent_says_so_in_one_line(tmp_path: Path) -> None:
    app = str(ROOT / "agent/harnesses/nemo_gym/app.py")

    def told() -> str:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run([sys.executable, app], env=environment, capture_output=True, text=True, check=False)
        return done.stderr.splitlines()[-1]

    assert told() == "ImportError: nemo-gym is not installed: pip install 'deskbench[nemo-gym]'"
    (folder := tmp_path / "nemo_gym-0.3.0.dist-info").mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: nemo-gym\nVersion: 0.3.0\n")
    wanted = "it must be at least 0.4 and below 0.8: pip install 'deskbench[nemo-gym]'"
    assert told() == f"ImportError: nemo-gym is version 0.3.0; {wanted}"


@pytest.mark.parametrize("grammar", [None, "qwen2.5-vl"])
def test_a_project_has_the_tasks_and_the_way_to_the_server(tmp_path: Path, grammar: str | None) -> None:
    task, folder = write_task(tmp_path / "suite", "write"), tmp_path / "gym"
    (folder / "responses_api_agents").mkdir(parents=True)
    (folder / "env.yaml").write_text("mine")
    with Server(task, {"provider": "fake", "grammar": grammar}, sessions=3) as server:
        for _ in range(2):  # a later server writes it anew
            write_project(folder, server)
        config = (folder / "deskbench.yaml").read_text()
        assert f'openenv_url: "{server.address}"' in config and "sessions: 3" in config
    [task_row] = rows(folder / "tasks.jsonl")
    asked = task_row["responses_create_params"]
    assert asked["input"] == [{"role": "user", "content": "Write hello and save."}]
    assert (
        task_row["verifier_metadata"] == {"task": "suite/write", "seed": 0}
        and task_row["agent_ref"]["name"] == "deskbench"
    )
    assert ("tools" in asked) == (grammar is None)
    if grammar is None:
        kinds = asked["tools"][0]["parameters"]["properties"]["actions"]["items"]["anyOf"]
        names = {one["properties"]["type"]["const"] for one in kinds}
        assert {"click", "type", "key", "done", "fail"} < names and "exec" not in names
    own = folder / "responses_api_agents/deskbench"
    assert (own / "requirements.txt").read_text() == "nemo-gym>=0.4,<0.8\n" and (own / "app.py").is_file()
    assert (folder / "deskbench.yaml").stat().st_mode & 0o077 == 0
    assert (folder / "env.yaml").read_text() == "mine"


def test_a_server_for_all_addresses_is_reached_at_this_machine_s_own_with_its_token(tmp_path: Path) -> None:
    with Server(write_task(tmp_path / "suite", "write"), {"provider": "fake"}, host="0.0.0.0") as server:
        write_project(tmp_path / "gym", server)
        config = (tmp_path / "gym/deskbench.yaml").read_text()
        port = server.address.rpartition(":")[2]
    assert f'openenv_url: "http://127.0.0.1:{port}"' in config and f'openenv_token: "{server.token}"' in config


def test_a_project_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "gym").write_text("a file")
    task, told = write_task(tmp_path / "suite", "write"), "cannot write the project for NeMo Gym: "
    with Server(task, {"provider": "fake"}) as server, pytest.raises(UsageError, match=told):
        write_project(tmp_path / "gym", server)
