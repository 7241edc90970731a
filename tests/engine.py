"""A Docker engine for the tests: the running one, or a private one, with an image of the desktop.

A private engine keeps its images in the user's cache, so that the next run finds them. Parallel workers share it, and
the last one to release its lease stops it.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import docker
import psutil
from platformdirs import user_cache_path

from deskbench.envs import wait
from deskbench.envs.errors import UsageError
from deskbench.envs.providers.docker import image as images
from deskbench.envs.providers.docker.provider import DEFAULT_IMAGE, find_image

FOLDER = user_cache_path("deskbench") / "tests" / "docker"
SOCKET = Path("/tmp/deskbench-tests-docker.sock")
START_SECONDS = 60.0


@contextlib.contextmanager
def docker_engine() -> Iterator[None]:
    """An engine that runs during the block, named by DOCKER_HOST, with an up-to-date light image."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "users").open("a+") as users, _environment():
        fcntl.flock(users, fcntl.LOCK_SH)  # held while the engine is in use; whoever gets it exclusively may stop it
        try:
            with _alone():
                if not _answers():
                    _start()
                with contextlib.closing(docker.from_env(timeout=600)) as client:
                    _built(client, images.Recipe())
            yield
        finally:
            fcntl.flock(users, fcntl.LOCK_UN)
            with _alone(), contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _end(FOLDER)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    before = os.environ.get("DOCKER_HOST")
    if not _answers():
        os.environ["DOCKER_HOST"] = f"unix://{SOCKET}"
    try:
        yield
    finally:
        os.environ.pop("DOCKER_HOST", None)
        if before is not None:
            os.environ["DOCKER_HOST"] = before


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _answers() -> bool:
    try:
        with contextlib.closing(docker.from_env()) as client:
            return bool(client.ping())
    except docker.errors.DockerException:
        return False


def command(root: Path, socket: Path, *more: str, within: Sequence[str] = ()) -> list[str]:
    """The command that starts an engine which shares nothing with others."""
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    return [
        *sudo, *within, shutil.which("dockerd") or "/usr/sbin/dockerd", "--data-root", str(root / "data"),
        "--exec-root", str(root / "exec"), "--pidfile", str(root / "pid"), "--host", f"unix://{socket}",
        "--group", str(os.getgid()), *more,
    ]  # fmt: skip


def _start() -> None:
    (FOLDER / "pid").unlink(missing_ok=True)
    _launch(command(FOLDER, SOCKET), FOLDER)


def _launch(daemon: list[str], root: Path) -> subprocess.Popen[bytes]:
    with (root / "log").open("ab") as log:
        process = subprocess.Popen(
            daemon, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )  # fmt: skip
    wait.until(lambda: process.poll() is not None or _answers(), timeout=START_SECONDS)
    if process.poll() is not None:
        tail = (root / "log").read_text(errors="replace").splitlines()[-10:]
        raise AssertionError("dockerd did not start; it said:\n" + "\n".join(tail))
    return process


@contextlib.contextmanager
def private_engine() -> Iterator[Callable[[], None]]:
    """An engine for one test, named by DOCKER_HOST, with the light image; yields a function that restarts it."""
    root = Path(tempfile.mkdtemp(prefix="dkr-"))  # short, because socket paths in it are long
    with contextlib.closing(docker.from_env(timeout=600)) as shared:
        image = shared.images.get(DEFAULT_IMAGE).save(named=True)
        before = os.environ.get("DOCKER_HOST")
        os.environ["DOCKER_HOST"] = f"unix://{root}/socket"
        running: list[subprocess.Popen[bytes]] = []

        def start() -> None:
            # In its own network namespace: without a bridge, it would remove that of other engines.
            daemon = command(root, root / "socket", "--bridge=none", "--iptables=false", within=("unshare", "--net"))
            running.append(_launch(daemon, root))

        def restart() -> None:
            _end(root)
            running[-1].wait()
            start()

        try:
            start()
            with contextlib.closing(docker.from_env(timeout=600)) as mine:
                for said in mine.api.load_image(image):
                    assert "error" not in said, said
            yield restart
        finally:
            _end(root)
            shutil.rmtree(root)
            os.environ.pop("DOCKER_HOST")
            if before is not None:
                os.environ["DOCKER_HOST"] = before


def build(client: docker.DockerClient, recipe: images.Recipe) -> None:
    """Build another image, once for all workers."""
    with _alone():
        _built(client, recipe)


def _built(client: docker.DockerClient, recipe: images.Recipe) -> None:
    try:
        find_image(client, recipe.tag)
    except UsageError:
        images.build(client, recipe, lambda line: None)


def _end(root: Path) -> None:
    """Stop the engine that the tests started, from whichever worker."""
    try:
        process = psutil.Process(int((root / "pid").read_text()))
    except (OSError, ValueError, psutil.NoSuchProcess):
        return
    family = [process, *process.children(recursive=True)]
    process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=30)
    for one in alive:
        one.kill()
    network = root / "exec" / "netns" / "default"  # the engine leaves its namespace mounted
    if str(network) in Path("/proc/mounts").read_text():
        subprocess.run(["umount", str(network)], check=True)
