"""Machines that already run: each is the real server on a TCP port, with its own X server and session."""

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deskbench.agent.batch import Batch
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.errors import StartError, UsageError
from deskbench.envs.providers.conformance import DesktopContract
from deskbench.envs.providers.doctor import SERVER_PYTHON
from deskbench.envs.providers.payload import payload
from deskbench.envs.providers.remote import Machine, RemoteProvider, machines_of, reach, reset

from ...agent.paper import prepared, write_task
from ...benchmarks.arms import free_port
from .faults import WRITE_HELLO

pytestmark = [pytest.mark.desktop, pytest.mark.slow]
TOKEN = "the-token-of-the-remote-tests"
SPEC = DesktopSpec()


@dataclass
class Host:
    """A remote computer, as far as this machine can act as one: our server, started as in docs/protocol.md."""

    folder: Path
    port: int = field(default_factory=free_port)
    boots: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def boot(self) -> None:
        """Start fresh, with an empty home."""
        self.halt()
        self.boots += 1
        home = self.folder / f"home{self.boots}"
        (home / "run").mkdir(parents=True, mode=0o700)
        elsewhere = ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--proc", "/proc", "--tmpfs", "/tmp",
                     "--bind", str(self.folder), str(self.folder), "--chdir", str(home)]  # fmt: skip
        command = [
            *elsewhere,
            SERVER_PYTHON,
            "-m",
            "deskbench.envs.server",
            "--port",
            str(self.port),
            "--session",
            "1280x800",
        ]
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"),
                       "PYTHONPATH": str(payload())}  # fmt: skip
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"agent_token": "agent", "control_token": TOKEN}).encode() + b"\n")
        self.process.stdin.close()
        assert json.loads(self.process.stdout.readline())["ready"]

    def halt(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            assert self.process.stdout
            self.process.stdout.close()
            self.process = None


@dataclass
class Farm:
    """Two hosts, and the service that resets them."""

    hosts: list[Host]
    console: str
    file: Path


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    folder = tmp_path_factory.mktemp("farm")
    hosts = [Host(folder / str(number)) for number in range(2)]

    class Console(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hosts[int(self.path.removeprefix("/"))].boot()
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    console = ThreadingHTTPServer(("127.0.0.1", 0), Console)
    threading.Thread(target=console.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    address = f"http://127.0.0.1:{console.server_address[1]}"
    lines = [
        f'[[machine]]\nurl = "{h.url}"\ntoken_env = "FARM"\nreset = "{address}/{n}"\n' for n, h in enumerate(hosts)
    ]
    (folder / "farm.toml").write_text("".join(lines))
    yield Farm(hosts, address, folder / "farm.toml")
    console.shutdown()
    console.server_close()
    for host in hosts:
        host.halt()


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM", TOKEN)


@pytest.fixture
def provider(farm: Farm) -> Iterator[RemoteProvider]:
    made = RemoteProvider(str(farm.file))
    yield made
    made.close()


class TestContract(DesktopContract):
    @pytest.fixture
    def make(self, provider: RemoteProvider) -> Callable[[], Desktop]:
        return lambda: provider.start(SPEC)


def test_a_machine_is_fresh_each_time(provider: RemoteProvider, farm: Farm) -> None:
    assert provider.capacity == 2
    before = sum(host.boots for host in farm.hosts)
    for _ in range(3):
        desktop = provider.start(SPEC)
        assert desktop.run("ls ~/mine", shell=True).returncode != 0
        desktop.write_file("~/mine", b"1")
        provider.stop(desktop)
        provider.stop(desktop)
    assert sum(host.boots for host in farm.hosts) == before + 3


def test_a_machine_without_a_reset_is_used_once(farm: Farm, tmp_path: Path) -> None:
    farm.hosts[0].boot()
    file = tmp_path / "one.toml"
    file.write_text(f'[[machine]]\nurl = "{farm.hosts[0].url}"\ntoken_env = "FARM"\n')
    provider = RemoteProvider(str(file))
    provider.stop(provider.start(SPEC))
    with pytest.raises(UsageError, match=r"has been used and has no reset"):
        provider.start(SPEC)
    file.write_text(file.read_text() + 'reset = "none"\n')
    kept = RemoteProvider(str(file))
    for _ in range(2):
        kept.stop(kept.start(SPEC))


def test_a_run_over_two_machines(farm: Farm, tmp_path: Path) -> None:
    """Three episodes, two at a time; a machine that dies in between is back after its reset."""
    for name in ("one", "two", "three"):
        write_task(tmp_path / "suite", name, **WRITE_HELLO)
    farm.hosts[1].halt()
    batch = Batch(prepared(tmp_path / "suite", provider=f"remote:{farm.file}", parallel=4), tmp_path / "run")
    summary = batch.run()
    assert (summary.all.mean, summary.scored) == (1.0, 3)


def test_doctor_looks_at_every_machine(provider: RemoteProvider, farm: Farm) -> None:
    farm.hosts[0].boot()
    farm.hosts[1].halt()
    up, down = provider.doctor()
    assert up.ok and "Linux, 1280x800, reset: http" in up.detail
    assert not down.ok and re.search("Connection (refused|reset)", down.detail)


def test_who_does_not_take_the_token_is_told_apart(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    farm.hosts[0].boot()
    monkeypatch.setenv("FARM", "wrong")
    with pytest.raises(UsageError, match=r"status 401.*token_env"):
        reach(Machine(url=farm.hosts[0].url, token_env="FARM"), 5)
    monkeypatch.delenv("FARM")
    with pytest.raises(UsageError, match="'FARM' is not set"):
        RemoteProvider(str(farm.file))


def test_who_speaks_something_else_is_told_apart(tmp_path: Path) -> None:
    class Foreign(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Foreign) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        with pytest.raises(UsageError, match="neither deskbench's protocol nor OSWorld's"):
            reach(Machine(url=f"http://127.0.0.1:{server.server_address[1]}"), 5)
        server.shutdown()


def test_a_machine_that_is_away_is_not_waited_for_without_end() -> None:
    with pytest.raises(StartError, match=r"did not answer within 0.3 s; last: .*Connection refused"):
        reach(Machine(url=f"http://127.0.0.1:{free_port()}"), 0.3)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("sh -c 'echo snapshot is gone >&2; exit 3'", "ended with status 3: snapshot is gone"),
        ("no-such-program", "no-such-program"),
        ("sh -c 'unclosed", "No closing quotation"),
        ("http://127.0.0.1:9/reset", "Connection refused"),
    ],
)
def test_a_reset_that_fails_says_why(wanted: str, said: str) -> None:
    with pytest.raises(StartError) as caught:
        reset(Machine(url="http://desk5", reset=wanted))
    assert "http://desk5: the reset" in str(caught.value) and said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no [[machine]]"),
        ("machine = 3", "has no [[machine]]"),
        ("[[machines]]", "unknown key 'machines'; did you mean 'machine'?"),
        ("[[machine]]\nurl = 'desk5'", "machine 1: url is 'desk5'"),
        ("[[machine]]\nurl = 'http://a'\nrest = 'x'", "machine 1: rest is 'x': Extra inputs are not permitted"),
        ("[[machine]]\nurl = 'http://a'\n[[machine]]\nurl = 'http://a'", "http://a is listed twice"),
        ("[[machine", "is not TOML"),
    ],
)
def test_a_file_that_is_wrong_is_told_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "farm.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        machines_of(str(file))
    assert str(file) in str(caught.value) and said in str(caught.value)


def test_without_a_machine_it_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="remote:http://HOST:5000"):
        machines_of("")
    with pytest.raises(UsageError, match="cannot read"):
        machines_of(str(tmp_path / "nowhere.toml"))
