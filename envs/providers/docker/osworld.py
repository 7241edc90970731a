"""OSWorld's own image: its Ubuntu or Windows machine, run by QEMU in a container, as its docker provider does.

Container options, ports and readiness follow that provider (desktop_env/providers/docker in xlang-ai/OSWorld). One
thing differs: the ports are free ones of the machine, and only on loopback if the engine is on this machine.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from platformdirs import user_cache_path

from deskbench.envs import wait
from deskbench.envs.clients.osworld import OsworldClient
from deskbench.envs.desktop import Check, Desktop, DesktopSpec
from deskbench.envs.errors import EnvError, StartError, UsageError
from deskbench.envs.providers.docker.provider import LOG_LINES, DockerProvider, engine, engine_errors, label

if TYPE_CHECKING:
    import docker

IMAGE = "happysixd/osworld-docker"
DISK = user_cache_path("deskbench") / "osworld" / "Ubuntu.qcow2"
SERVER, CHROMIUM, SCREEN, VLC = 5000, 9222, 8006, 8080
SECONDS, SECONDS_WITHOUT_KVM = 300.0, 1800.0
"""Seconds that the machine may take to answer: OSWorld's own limit, and six times that without KVM."""


class OsworldDesktop(OsworldClient):
    """A machine in a container."""

    def __init__(self, container: str, ports: dict[int, str]) -> None:
        super().__init__(f"osworld-{container[:12]}", f"http://{ports[SERVER]}", ports)
        self.container = container
        self.address, self.screen_address = f"http://{ports[SERVER]}", f"http://{ports[SCREEN]}"


class OsworldContainers:
    """Starts OSWorld's machines.

    Args:
        disk: the machine's qcow2 file, on the engine's machine; "" for DISK.
        image: the container's image.

    Raises:
        UsageError: no engine answers, or the image or the disk is missing; the message gives the fix.
    """

    name = "docker"
    capacity: int | None = None
    platform: str | None = None

    def __init__(self, disk: str = "", image: str = IMAGE) -> None:
        self._disk = Path(disk) if disk else DISK
        if not self._disk.is_file():
            raise UsageError(
                f"{self._disk} does not exist: unpack Ubuntu.qcow2.zip of "
                "huggingface.co/datasets/xlangai/ubuntu_osworld there, or name another disk: --image osworld:PATH"
            )
        self._engine = engine()
        self._image_name = image
        self._image = _image(self._engine, image)
        self._kvm = Path("/dev/kvm").exists()
        self._running: dict[str, OsworldDesktop] = {}
        self._lock = threading.Lock()

    def describe(self) -> dict[str, str]:
        """The image and the disk."""
        return {"image": self._image_name, "digest": self._image, "disk": str(self._disk)}

    def start(self, spec: DesktopSpec) -> OsworldDesktop:
        """Boot a fresh machine. It ignores the spec's size and network and uses its own.

        Raises:
            StartError: it did not start; the message gives the last state seen.
        """
        try:
            with engine_errors():
                container = self._create()
        except OSError as error:
            raise StartError(f"could not create a container: {error}") from None
        try:
            ports = self._ports(container)
            if SERVER not in ports:
                raise StartError(f"the container ended at once\n{self._log(container)}")
            desktop = OsworldDesktop(container, ports)
            self._await(desktop)
        except BaseException:
            self._remove(container)
            raise
        with self._lock:
            self._running[desktop.name] = desktop
        return desktop

    def _create(self) -> str:
        ports = {f"{port}/tcp": (self._bind_address(), 0) for port in (SERVER, CHROMIUM, SCREEN, VLC)}
        size = {"DISK_SIZE": "32G", "RAM_SIZE": "4G", "CPU_CORES": "4"}
        container = self._engine.containers.run(
            self._image, detach=True, cap_add=["NET_ADMIN"], ports=ports, labels=label(),
            devices=["/dev/kvm"] if self._kvm else [], environment=size if self._kvm else {**size, "KVM": "N"},
            volumes={str(self._disk.resolve()): {"bind": "/System.qcow2", "mode": "ro"}},
        )  # fmt: skip
        return str(container.id)

    def _host(self) -> str:
        return urlsplit(self._engine.api.base_url).hostname or "127.0.0.1"

    def _is_here(self) -> bool:
        return "unix" in self._engine.api.base_url or self._host() in ("127.0.0.1", "localhost", "localunixsocket")

    def _bind_address(self) -> str:
        return "127.0.0.1" if self._is_here() else "0.0.0.0"

    def _ports(self, container: str) -> dict[int, str]:
        host = "127.0.0.1" if self._is_here() else self._host()
        found = self._engine.containers.get(container).ports
        return {int(name.split("/")[0]): f"{host}:{bound[0]['HostPort']}" for name, bound in found.items() if bound}

    def _await(self, desktop: OsworldDesktop) -> None:
        def ended(_: EnvError) -> bool:
            return self._engine.containers.get(desktop.container).status in ("exited", "dead")

        seconds = SECONDS if self._kvm else SECONDS_WITHOUT_KVM
        try:
            wait.retry(desktop.health, EnvError, timeout=seconds, interval=0.2, max_interval=2.0, final=ended)
        except EnvError as error:
            said = f"{desktop.name} did not answer within {seconds:g} s; last: {error}"
            raise StartError(f"{said}\n{self._log(desktop.container)}") from None

    def _log(self, container: str) -> str:
        return self._engine.containers.get(container).logs(tail=LOG_LINES).decode("utf-8", "replace")

    def stop(self, desktop: Desktop) -> None:
        """Remove the container and with it all changes to the machine."""
        assert isinstance(desktop, OsworldDesktop)
        with self._lock:
            self._running.pop(desktop.name, None)
        desktop.close()
        self._remove(desktop.container)

    def _remove(self, container: str) -> None:
        with contextlib.suppress(OSError), engine_errors():
            self._engine.api.remove_container(container, force=True, v=True)

    def close(self) -> None:
        """Remove every container that this provider started."""
        for desktop in list(self._running.values()):
            self.stop(desktop)
        self._engine.close()

    def doctor(self) -> list[Check]:
        """What this machine has. No machine is started, because that takes minutes."""
        detail = "/dev/kvm exists" if self._kvm else "no /dev/kvm: a boot takes ten minutes"
        kvm = Check("kvm", self._kvm, detail, weight="note")
        return [
            Check("engine", True, f"Docker {self._engine.version()['Version']} at {self._engine.api.base_url}"),
            Check("image", True, f"{self._image_name} {self._image[:19]}"),
            Check("disk", True, str(self._disk)),
            kvm,
        ]


def _image(engine: docker.DockerClient, name: str) -> str:
    import docker

    try:
        return str(engine.images.get(name).id)
    except docker.errors.ImageNotFound:
        pass
    try:
        return str(engine.images.pull(name, tag="latest").id)
    except docker.errors.APIError as error:
        raise UsageError(f"the image {name} is missing and cannot be pulled: {error.explanation or error}") from None


def make(argument: str = "") -> DockerProvider | OsworldContainers:
    """The docker provider for an argument: `osworld`, `osworld:DISK`, or one of our images."""
    name, _, disk = argument.partition(":")
    return OsworldContainers(disk) if name == "osworld" else DockerProvider(argument)
