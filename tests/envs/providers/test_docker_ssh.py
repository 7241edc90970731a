"""An engine that DOCKER_HOST names by ssh: a real sshd, and the user's ssh with a configuration from the test."""

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from deskbench.envs import wait
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.errors import UsageError
from deskbench.envs.providers.docker.provider import DockerProvider, engine
from deskbench.envs.types import Type

from ...engine import docker_engine

pytestmark = [pytest.mark.desktop, pytest.mark.slow]
SSHD = "/usr/sbin/sshd"


@pytest.fixture(scope="module", autouse=True)
def _engine() -> Iterator[None]:
    with docker_engine():
        yield


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An sshd of this user, with an `ssh` command whose key it accepts; returns the engine's address through it."""
    tmp_path.chmod(0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # root's sshd confines itself there; a service's start would create it
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            SSHD, "-D", "-e", "-f", "/dev/null", "-o", f"Port={port}", "-o", "ListenAddress=127.0.0.1",
            "-o", "PidFile=none", "-o", f"HostKey={tmp_path / 'host'}",
            "-o", f"AuthorizedKeysFile={tmp_path / 'user.pub'}",
            "-o", "StrictModes=no", "-o", "PermitRootLogin=yes", "-o", "UsePAM=no",
        ],
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    options = f"-F /dev/null -i {tmp_path / 'user'} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} {options} "$@"\n')
    (tmp_path / "bin/ssh").chmod(0o755)
    there = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert wait.until(lambda: answers(port), timeout=10)
    yield f"ssh://{getpass.getuser()}@127.0.0.1:{port}{there}"
    server.terminate()
    server.wait()


def answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def test_a_desktop_on_an_engine_elsewhere(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    provider = DockerProvider()
    try:
        desktop = provider.start(DesktopSpec())
        desktop.launch(["mousepad"])
        assert desktop.act([Type("from afar")]).settled
        desktop.write_file("~/large.bin", b"x" * 3_000_000)
        assert desktop.read_file("~/large.bin") == b"x" * 3_000_000
    finally:
        provider.close()


def test_a_connection_that_broke_off_is_made_anew(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    engine().close()
    subprocess.run(["pkill", "-f", f"ssh .*{host.rpartition(':')[2].partition('/')[0]}"], check=True)
    assert wait.until(engine_answers, timeout=10)


def engine_answers() -> bool:
    try:
        return bool(engine().ping())
    except (UsageError, docker.errors.DockerException):
        return False


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("ssh://", "names no machine"),
        ("ssh://nobody@127.0.0.1:9", "Connection refused"),
        ("ssh://no.such.invalid", "resolve|ssh ended"),
    ],
)
def test_one_that_cannot_be_reached_is_said_in_a_line(address: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(UsageError, match=why) as raised:
        DockerProvider()
    assert "\n" not in str(raised.value)
