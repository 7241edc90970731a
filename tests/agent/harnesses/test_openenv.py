"""OpenEnv: its client plays an episode on our server, its validator passes, and no session leaves a desktop behind."""

import base64
import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import deskbench
from deskbench.agent.harnesses.openenv import MOST_BYTES, NAME, Server
from deskbench.envs import wait

from ..paper import write_suite, write_task
from ..serving import at_work
from .venvs import python_with

OPENENV = "openenv==0.10.0"
HERE = Path(__file__).parent
CLICK = {"type": "click", "x": 640, "y": 400}
RENAME: list[dict[str, Any]] = [
    {"type": "key", "keys": ["f2"]}, {"type": "key", "keys": ["ctrl", "a"]}, {"type": "type", "text": "final.txt"},
    {"type": "key", "keys": ["enter"]},
]  # fmt: skip
WRITE = [{"type": "type", "text": "hello"}, {"type": "key", "keys": ["ctrl", "s"]}]
DONE = {"type": "done"}
STEP_OF_A_MINUTE = json.dumps({"type": "step", "data": {"type": "wait", "seconds": 60}})


# The framework itself.


def ran(*words: object) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def started(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and the address that it prints."""
    command = [sys.executable, "-m", "deskbench.agent", "serve", "openenv", *words, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process, process.stdout.readline().removeprefix("address: ").strip()
        finally:
            process.send_signal(signal.SIGTERM)


@pytest.mark.desktop
@pytest.mark.slow
@pytest.mark.timeout(900)  # the first test on a machine installs openenv
def test_its_client_solves_a_task_and_its_validator_passes() -> None:
    python = python_with(OPENENV)
    with started("basics") as (_, address):
        report = json.loads(ran(python.parent / "openenv", "validate", "--url", address, "--json", "--timeout", 60))
        assert report["passed"] and report["summary"]["failed_criteria"] == []
        assert (report["standard_profile"], report["mode"]) == ("openenv-http/1.x", "simulation")
        begin = {"task": "basics/files-rename", "seed": 3, "episode_id": "mine"}
        steps = [{"actions": [CLICK, {"type": "key", "keys": ["ctrl", "a"]}]}, {"actions": RENAME}, DONE]
        told = json.loads(ran(python, HERE / "openenv_episodes.py", address, json.dumps(begin), json.dumps(steps)))
        first, *_, last = told["results"]
        assert first["observation"]["instruction"].startswith("Rename the file draft.txt")
        picture = Image.open(io.BytesIO(base64.b64decode(first["observation"]["screenshot"])))
        assert [*picture.size] == first["observation"]["size"] == [1280, 800]
        assert [one["reward"] for one in told["results"]] == [None, 0.0, 0.0, 1.0]
        assert [one["done"] for one in told["results"]] == [False, False, False, True]
        assert (last["metadata"]["reason"], last["metadata"]["ending"]) == ("passed", "done")
        assert [check["metric"] for check in last["metadata"]["checks"]] == ["directory_tree", "text_equals"]
        assert told["state"] == {**begin, "step_count": 3, "done": True}


@pytest.mark.desktop
def test_steps_that_run_are_broken_off_when_their_client_hangs_up_and_by_ctrl_c() -> None:
    with started("basics/files-rename") as (process, address):
        with session(address) as client:
            said(client, "reset")
            client.send(STEP_OF_A_MINUTE)
            assert wait.until(lambda: full(address), timeout=60)
            client.socket.close()  # no closing handshake
        assert wait.until(lambda: not full(address), timeout=40)
        with session(address) as client:
            said(client, "reset")
            client.send(STEP_OF_A_MINUTE)
            desktops = psutil.Process(process.pid).children(recursive=True)
            assert desktops
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=40)
    assert (process.returncode, told) == (0, "1 task, 1 session at once\n")
    assert wait.until(lambda: not any(one.is_running() for one in desktops), timeout=20)


# Its routes and messages, with desktops in memory.


@contextmanager
def serving(task: Path, *, provider: str = "fake", record: Path | None = None, **more: Any) -> Iterator[Server]:
    with at_work(Server(task, {"provider": provider, "record": record, "max_steps": 9}, **more)) as server:
        yield server


@pytest.fixture
def task(tmp_path: Path) -> Path:
    return write_task(tmp_path / "suite", "write")


@contextmanager
def session(address: str, **headers: str) -> Iterator[ClientConnection]:
    url = address.replace("http", "ws") + "/ws"
    with connect(url, proxy=None, additional_headers=headers, max_size=None, open_timeout=60) as client:
        yield client


def heard(client: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(client.recv(60))
    return found


def said(client: ClientConnection, kind: str, **data: Any) -> dict[str, Any]:
    with suppress(ConnectionClosed):  # a session that was refused has its reason to read
        client.send(json.dumps({"type": kind} | ({"data": data} if kind != "state" else {})))
    return heard(client)


def fault(answer: dict[str, Any]) -> tuple[str, str]:
    assert answer["type"] == "error", answer
    return answer["data"]["code"], answer["data"]["message"]


def full(address: str) -> bool:
    with session(address) as client:
        found = said(client, "state")["type"] == "error"
        with pytest.raises(ConnectionClosed):  # once the session has ended
            client.send('{"type": "close"}')
            client.recv(60)
        return bool(found)


def asked(address: str, path: str, value: Any = None, **headers: str) -> requests.Response:
    made = requests.Session()
    made.trust_env = False
    data = value if isinstance(value, bytes) else json.dumps(value)
    return made.request("GET" if value is None else "POST", address + path, data=data, headers=headers, timeout=60)


def test_a_session_plays_episodes_one_after_another(task: Path) -> None:
    with serving(task) as server, session(server.address) as client:
        assert said(client, "state")["data"]["episode_id"] is None
        episodes: list[tuple[float, list[dict[str, Any]]]] = [
            (1.0, [{"actions": WRITE}, {**DONE, "metadata": {}}]),
            (0.0, [DONE]),
        ]
        for reward, steps in episodes:
            begun = said(client, "reset", seed=5)
            assert (begun["type"], begun["data"]["reward"], begun["data"]["done"]) == ("observation", None, False)
            answers = [said(client, "step", **step)["data"] for step in steps]
            assert (answers[-1]["reward"], answers[-1]["done"]) == (reward, True)
            assert said(client, "state")["data"]["step_count"] == len(steps)
        client.send('{"type": "close"}')
        with pytest.raises(ConnectionClosed):
            client.recv(60)


def test_the_limit_of_steps_truncates_an_episode(task: Path) -> None:
    with serving(task) as server, session(server.address) as client:
        said(client, "reset")
        last = [said(client, "step", actions=WRITE)["data"] for _ in range(9)][-1]
        assert (last["done"], last["metadata"]["truncated"], last["metadata"]["ending"]) == (True, True, "step_limit")


def test_a_desktop_that_fails_has_no_reward(task: Path) -> None:
    with serving(task, provider="tests.agent.paper:Mortal") as server, session(server.address) as client:
        said(client, "reset")
        last = said(client, "step", type="type", text="poison")["data"]
        assert (last["reward"], last["done"], last["metadata"]["masked"]) == (None, True, True)
        assert last["metadata"]["error"] == "the desktop failed: mortal has been stopped"
        assert said(client, "reset")["data"]["metadata"]["masked"] is False


def test_a_wrong_message_is_an_error_and_the_episode_goes_on(task: Path) -> None:
    with serving(task) as server, session(server.address) as client:
        assert fault(said(client, "step", **DONE)) == (
            "VALIDATION_ERROR",
            "there is no episode yet: call reset() first",
        )
        said(client, "reset", task="suite/write")
        wrong: list[tuple[tuple[str, dict[str, Any]], str, str]] = [
            (("reset", {"task": "wrte"}), "VALIDATION_ERROR", "no task 'wrte'; known: suite/write"),
            (("reset", {"sed": 1}), "VALIDATION_ERROR", "reset: "),
            (("reset", {"index": 7}), "VALIDATION_ERROR", "index is 7; it must be a whole number from 0 to 0"),
            (("reset", {"split": "train"}), "VALIDATION_ERROR", "reset: split is 'train'; the only one is 'test'"),
            (("step", {"type": "clik"}), "VALIDATION_ERROR", "unknown action type 'clik'; did you mean 'click'?"),
            (("step", {"type": "move", "x": 9999, "y": 0}), "VALIDATION_ERROR", "actions[0]: move: (9999, 0) is off"),
            (("step", {"text": "click"}), "VALIDATION_ERROR", "step: this server reads no model's text; start it with"),
            (("step", {"action": DONE}), "VALIDATION_ERROR", 'step: send {"type": …} for an action'),
            (("jump", {}), "UNKNOWN_TYPE", "unknown message type 'jump'"),
        ]  # fmt: skip
        for (kind, data), code, text in wrong:
            found = fault(said(client, kind, **data))
            assert found[0] == code and found[1].startswith(text), found
        for raw, code in (("{", "INVALID_JSON"), ("[]", "VALIDATION_ERROR"), ('{"data": 1}', "VALIDATION_ERROR")):
            client.send(raw)
            assert fault(heard(client))[0] == code
        assert said(client, "step", actions=WRITE)["data"]["observation"]["step"] == 1
        assert said(client, "step", **DONE)["data"]["reward"] == 1.0


def test_the_text_of_a_model_that_is_no_action_is_a_step_with_a_problem(task: Path) -> None:
    with (
        at_work(Server(task, {"provider": "fake", "grammar": "qwen2.5-vl"})) as server,
        session(server.address) as client,
    ):
        said(client, "reset")
        shown = said(client, "step", text="I do not know.")["data"]["observation"]
    assert shown["step"] == 1 and shown["problem"]


def test_one_session_too_many_is_refused_until_another_hangs_up(task: Path, tmp_path: Path) -> None:
    with serving(task, record=tmp_path / "run") as server:
        with session(server.address) as first:
            said(first, "reset", seed=1)
            with session(server.address) as second:
                assert fault(heard(second)) == (
                    "CAPACITY_REACHED",
                    "all sessions (1) are taken: close one, or start the server with a higher -n",
                )
            first.socket.close()  # no closing handshake

        def begins() -> bool:
            with session(server.address) as third:
                return bool(said(third, "reset", seed=1)["type"] == "observation")

        assert wait.until(begins, timeout=60)
    with deskbench.Env(task, provider="fake", record=tmp_path / "run", max_steps=9, name="openenv") as env:
        assert {(one.ending, one.score.value) for one in env.recorded()} == {("interrupted", None)}


def test_an_idle_session_ends(task: Path) -> None:
    with serving(task, idle_seconds=1.0) as server:
        with session(server.address) as client:
            assert fault(heard(client)) == ("SESSION_ERROR", "the session was idle for 1 s")
            with pytest.raises(ConnectionClosed):
                client.recv(60)
        assert asked(server.address, "/reset", {}).status_code == 200
        assert wait.until(lambda: asked(server.address, "/step", {"action": []}).status_code == 422, timeout=10)

        def ended() -> bool:
            with session(server.address) as client:
                return fault(heard(client))[0] == "SESSION_ERROR"

        assert wait.until(ended, timeout=60)


def test_plain_http_has_one_session_which_ends_with_its_episode(task: Path) -> None:
    with serving(task) as server:
        first = asked(server.address, "/step", {"action": DONE})
        assert (first.status_code, first.json()) == (422, {"detail": "there is no episode: POST /reset first"})
        assert asked(server.address, "/reset", {"sed": 1}).status_code == 422
        assert asked(server.address, "/reset", {"seed": 1, "episode_id": "e"}).json()["reward"] is None
        with session(server.address) as client:
            assert fault(heard(client))[0] == "CAPACITY_REACHED"
        assert asked(server.address, "/step", {"action": {"type": "clik"}}).status_code == 422
        assert asked(server.address, "/step", {"action": {"actions": WRITE}, "timeout_s": 5}).json()["reward"] == 0.0
        assert asked(server.address, "/step", {"action": DONE}).json()["reward"] == 1.0
        assert asked(server.address, "/state").json() == {
            "episode_id": "e", "step_count": 2, "task": "suite/write", "seed": 1, "done": True,
        }  # fmt: skip
        with session(server.address) as client:
            assert said(client, "reset")["type"] == "observation"
            assert asked(server.address, "/reset", {}).status_code == 503


def test_requests_that_cannot_be_read(task: Path) -> None:
    with serving(task) as server:
        for data, status in ((b"{", 400), (b"[]", 400), (b"[" * 100_000, 400), (b" " * (MOST_BYTES + 1), 413)):
            assert asked(server.address, "/reset", data).status_code == status
        assert asked(server.address, "/reset").status_code == 405
        assert asked(server.address, "/nothing").status_code == 404


@pytest.mark.parametrize(
    ("sent", "code", "number"),
    [
        (b"{", -32700, None),
        (b"[]", -32600, None),
        (b"{}", -32600, None),
        (b'{"jsonrpc": "2.0", "id": "a", "method": "tools/list"}', -32601, "a"),
    ],
)
def test_mcp_answers_errors_of_json_rpc(task: Path, sent: bytes, code: int, number: str | None) -> None:
    with serving(task) as server:
        answer = asked(server.address, "/mcp", sent)
    told = answer.json()
    assert (answer.status_code, told["jsonrpc"], told["error"]["code"], told["id"]) == (200, "2.0", code, number)


def test_it_lists_its_tasks(tmp_path: Path) -> None:
    with serving(write_suite(tmp_path / "suite", 2)) as server:
        assert asked(server.address, "/list_environments").json() == [NAME]
        assert asked(server.address, f"/{NAME}/splits").json() == [{"name": "test", "type": "test"}]
        every = asked(server.address, f"/{NAME}/tasks", {"split": "test"}).json()["tasks"]
        assert [one["id"] for one in every] == ["suite/impossible", "suite/write-0", "suite/write-1"]
        assert asked(server.address, f"/{NAME}/num_tasks", {"split": "test"}).json() == {"num_tasks": 3}
        assert asked(server.address, f"/{NAME}/task", {"split": "test", "index": 1}).json() == {"task": every[1]}
        part = {"split": "test", "start": 1}
        assert asked(server.address, f"/{NAME}/task_range", part).json() == {"tasks": every[1:]}
        assert asked(server.address, f"/{NAME}/task", {"split": "test", "index": 3}).status_code == 422
        assert asked(server.address, f"/{NAME}/tasks", {"split": "train"}).status_code == 422
        with session(server.address) as client:
            assert said(client, "reset", split="test", index=2)["data"]["metadata"]["task"] == "suite/write-1"


# Who may come.


def test_no_page_of_a_browser_may_come(task: Path) -> None:
    with serving(task) as server:
        for wrong in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
            assert asked(server.address, "/health", None, **wrong).status_code == 403
        with pytest.raises(InvalidStatus, match="403"), session(server.address, Origin="http://evil.example"):
            pass


def test_another_address_needs_a_token(task: Path) -> None:
    with serving(task, host="0.0.0.0") as server:
        address = server.address.replace("0.0.0.0", "127.0.0.1")
        right = {"Authorization": f"Bearer {server.token}"}
        for headers, status in (({}, 401), ({"Authorization": "Bearer x"}, 401), (right, 200)):
            assert asked(address, "/health", None, **headers).status_code == status
        with pytest.raises(InvalidStatus, match="401"), session(address):
            pass
        with session(address, **right) as client:
            assert said(client, "reset")["type"] == "observation"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["basics", "--grammar", "nothing"], "nothing"),
        (["nowhere"], "nowhere"),
        (["basics", "--port", "1", "--host", "192.0.2.1"], "cannot listen on 192.0.2.1:1"),
    ],
)
def test_wrong_use_is_one_line(words: list[str], told: str) -> None:
    command = [sys.executable, "-m", "deskbench.agent", "serve", "openenv", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and told in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "websockets"])
def test_a_missing_package_is_one_line_that_names_the_extra(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['deskbench', 'serve', 'openenv']"
    done = subprocess.run([sys.executable, "-c", f"{code}; from deskbench.agent.cli.main import main; main()"],
                          capture_output=True, text=True, check=False, timeout=60)  # fmt: skip
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert "`serve openenv` needs the extra `openenv` (" in done.stderr
    assert done.stderr.endswith("pip install 'deskbench[openenv]'\n")
