"""Secrets are nowhere: a run with an endpoint that echoes its key in every form, looked through while it goes on."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deskbench.agent.agents.vlm import VlmAgent
from deskbench.agent.base import Goal
from deskbench.agent.models.client import ClientConfig, ModelClient, Spending
from deskbench.agent.models.messages import Message
from deskbench.agent.user import user_of
from deskbench.envs import wait
from deskbench.envs.errors import AgentError, ModelFatal, UsageError

from ..echoes import forms
from .cli.test_cli import environment
from .models.endpoint import Endpoint, Say, endpoint, error, reply
from .models.speaking import WIRES, events, failed, said, streamed
from .paper import task, write_suite, write_task
from .test_local import NOTE, alive
from .test_user import PLAYED, config

KEY = 'sk-"quoted\'\\key"-01/23+45&é='.replace("é", "e")
"""With what JSON, URLs, HTML and shells write in ways of their own."""
NAME = "A_NAME_THAT_SAYS_NOTHING"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(NAME, KEY)
    return NAME


def echoes() -> list[str]:
    """The forms that are worth looking for: long enough not to be in a file by chance."""
    return [form for form in dict.fromkeys(forms(KEY)) if len(form) >= 12]


def leaks(data: bytes) -> list[str]:
    return [form for form in echoes() if form.encode() in data]


def search(folder: Path) -> list[tuple[Path, list[str]]]:
    found = [(path, leaks(path.read_bytes())) for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [(path, forms) for path, forms in found if forms]


def scripts() -> Iterator[Say]:
    """Replies, calls, errors and headers with the key in them."""
    for form in echoes():
        yield reply(f"The key is {form}\n```python\npyautogui.write({form!r})\n```")
        yield reply(json.dumps({"key": form}) + f"\n```python\npyautogui.press({form!r})\n```")
        yield Say(f"oops {form}", 500, {"X-Key": form.encode("ascii", "ignore").decode().replace("\n", " ")})
    yield error(500, f"Incorrect API key provided: {KEY}")
    call = {"name": KEY, "arguments": json.dumps({"text": KEY})}
    yield reply("WAIT", reasoning_content=KEY, tool_calls=[{"id": KEY, "type": "function", "function": call}])
    yield Say(f"<html>{KEY}</html>", 502)
    yield error(400, f"bad {KEY} " * 20)


def run(*words: object, folder: Path, **more: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "deskbench.agent", *map(str, words)]
    return subprocess.run(
        command, cwd=folder, env={**environment(), **more}, capture_output=True, timeout=280, check=False
    )


def vlm(server: Endpoint, key: str) -> list[object]:
    return ["--agent", "vlm", "--base-url", server.url, "--model", "m", "--api-key-env", key,
            "--set", "first_pause=0.001", "--set", "longest_pause=0.01", "--set", "attempts=2"]  # fmt: skip


@pytest.mark.slow
def test_a_key_that_is_echoed_in_every_form_is_in_no_file_and_in_nothing_that_is_printed(
    key: str, tmp_path: Path
) -> None:
    suite = write_suite(tmp_path / "suite", count=2)
    script = list(scripts())
    with endpoint(reply("models"), *script) as server:
        ran = run("run", suite, *vlm(server, key), "--provider", "fake", "--out", "run", "--json",
                  "--max-steps", len(script), "--set", "retries=3", folder=tmp_path)  # fmt: skip
        assert len(server.asked) > len(script) / 2
    assert json.loads(ran.stdout)["folder"] == "run"
    assert leaks(ran.stdout) == leaks(ran.stderr) == []
    assert search(tmp_path) == []
    text = "".join(path.read_text() for path in (tmp_path / "run").rglob("steps.jsonl"))
    assert text.count("[secret]") > len(echoes())
    for words in (["report", "run"], ["export", "run", "--out", "results"], ["rescore", "run", "--json"]):
        again = run(*words, folder=tmp_path)
        assert leaks(again.stdout + again.stderr) == []
    assert search(tmp_path) == []


@pytest.mark.parametrize("debug", [[], ["--debug"]])
@pytest.mark.parametrize("status", [401, 403])
def test_what_an_authentication_error_says_is_not_shown(
    status: int, debug: list[str], key: str, tmp_path: Path
) -> None:
    suite = write_suite(tmp_path / "suite", count=1)
    odd = KEY.swapcase()[::-1]  # a form that nobody knows
    with endpoint(reply("models"), error(status, f"Incorrect key: {odd}")) as server:
        ran = run(
            "run", suite, *vlm(server, key), "--provider", "fake", "--out", "run", "--json", *debug, folder=tmp_path
        )
    assert ran.returncode == 1
    assert f"HTTP {status}" in ran.stderr.decode()
    for data in (
        ran.stdout,
        ran.stderr,
        *(path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()),
    ):
        assert odd[:8].encode() not in data and b"Incorrect key" not in data


@pytest.mark.parametrize("wire", WIRES)
def test_on_every_wire_the_key_is_in_no_reply_no_call_and_no_error(key: str, wire: str) -> None:
    call = {"name": "computer", "arguments": {"action": "type", "text": KEY, KEY: [KEY]}}
    answers = [said(wire, f"it is {KEY}"), said(wire, "x", calls=[call]), said(wire, f"no {KEY}", "refused"),
               failed(wire, 400, f"bad {KEY}"), failed(wire, 401, KEY[::-1]), failed(wire, 500, json.dumps(KEY)),
               streamed(events(wire, f"the key is {KEY} ."))]  # fmt: skip
    for answer in answers:
        with endpoint(answer) as server:
            client = ModelClient(ClientConfig(server.url, "m", api_key_env=key, wire=wire, attempts=1))
            spending = Spending()
            try:
                got = repr(client.complete([Message.of("user", f"say {KEY}")], spending))
            except AgentError as error:
                got = str(error)
            client.close()
        everything = (got + repr(spending)).encode()
        assert leaks(everything) == [] and KEY[::-1].encode() not in everything
        assert repr(KEY)[1:-1].encode() not in everything


def test_a_key_whose_halves_come_in_two_events_of_a_stream_is_cut_out(key: str) -> None:
    with endpoint(streamed(events("chat", KEY))) as server:
        client = ModelClient(ClientConfig(server.url, "m", api_key_env=key))
        assert client.complete([Message.of("user", "x")], Spending()).text == "[secret]"
        client.close()


def test_what_an_agent_is_told_to_type_has_no_key_in_it(key: str) -> None:
    from .agents.screens import observation

    settings = {"model": "m", "api_key_env": key}
    with endpoint(reply(f"```python\npyautogui.write({KEY!r})\n```")) as server:
        agent = VlmAgent.from_settings({**settings, "base_url": server.url})
        agent.start(Goal("Write.", 1280, 800))
        decision = agent.act(observation())
        agent.close()
    assert [action.to_json().get("text") for action in decision.actions] == ["[secret]"]


def test_the_key_of_the_model_that_plays_the_user_is_in_no_answer(key: str, tmp_path: Path) -> None:
    with endpoint(reply(f"Blue, and {json.dumps(KEY)}"), error(401, KEY)) as server:
        ask = user_of(task(tmp_path, user=PLAYED), config(server.url, user_api_key_env=key))
        assert ask("Which?") == 'Blue, and "[secret]"'
        with pytest.raises(ModelFatal) as caught:
            ask("Which?")
    assert leaks(str(caught.value).encode()) == []


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "X-Gateway-Token", "Cookie"])
def test_a_header_that_carries_a_key_is_the_users_error(name: str) -> None:
    with pytest.raises(UsageError, match="api_key_env") as caught:
        ClientConfig("http://127.0.0.1:9/v1", "m", headers={name: "sk-0123456789"})
    assert "sk-0123456789" not in str(caught.value)


def test_a_password_in_a_url_is_in_no_error_and_no_record(tmp_path: Path) -> None:
    bad = "http://me:hunter2hunter2@127.0.0.1:9/file.bin"
    files = [{"url": bad, "path": "/home/user/file.bin"}]
    write_task(tmp_path / "suite", "fetches", config=[{"type": "download", "parameters": {"files": files}}])
    more = {
        "https_proxy": "http://me:pr0xyPassw0rd@127.0.0.1:9",
        "DESKBENCH_MIRROR": "",
        "HOME": str(tmp_path / "home"),
    }
    ran = run(
        "run", "suite", "--agent", "null", "--provider", "fake", "--retries", 0, "--out", "run", folder=tmp_path, **more
    )
    text = b"".join([ran.stdout, ran.stderr, *(p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file())])
    assert b"127.0.0.1:9/file.bin" in text
    records = [json.loads(path.read_text()) for path in (tmp_path / "run").rglob("episode.json")]
    assert records and "127.0.0.1:9" in records[0]["error"]
    for said_ in (records[0]["error"], records[0]["score"]["reason"], ran.stderr.decode(), ran.stdout.decode()):
        assert "hunter2" not in said_
    assert b"pr0xyPassw0rd" not in text


def seen_by_others(process: psutil.Process) -> dict[str, bytes]:
    """The command lines and environments of what a run has started."""
    found = {}
    for child in process.children(recursive=True):
        for name in ("cmdline", "environ"):
            try:
                found[f"{child.name()} {child.pid} {name}"] = Path(f"/proc/{child.pid}/{name}").read_bytes()
            except (OSError, psutil.Error):
                continue  # it has just ended
    return found


@pytest.mark.desktop
@pytest.mark.slow
def test_no_process_of_a_run_has_the_key_in_its_command_line_or_environment(key: str, tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "note", **NOTE)
    command = [sys.executable, "-m", "deskbench.agent", "run", "suite", "--provider", "local", "--out", "run"]
    with endpoint(reply("models"), Say(fault="hang")) as server:
        words = [str(word) for word in (*command, *vlm(server, key), "--set", "read_timeout=200")]
        process = subprocess.Popen(
            words, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            assert wait.until(lambda: server.asked, timeout=120)
            seen = seen_by_others(psutil.Process(process.pid))
            names = {name.split()[0] for name in seen}
            assert {"bwrap", "Xvfb", "mousepad"} <= names
            assert {name: leaks(data) for name, data in seen.items() if leaks(data)} == {}
            assert leaks(b"\0".join(p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if p.exists())) == []
            children = psutil.Process(process.pid).children(recursive=True)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
    assert wait.until(lambda: not any(alive(child) for child in children), timeout=30)
    assert leaks(out) == leaks(err) == []
    assert search(tmp_path) == []
