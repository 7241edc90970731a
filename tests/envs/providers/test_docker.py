"""Containers of a real engine: the contract, the walls, the faults, and no leftovers."""

import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import tarfile
import textwrap
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
import psutil
import pytest
import requests

from deskbench.agent.build import make_provider
from deskbench.envs import wait
from deskbench.envs.clients.http import Forward, unix
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.errors import EnvError, StartError, UsageError
from deskbench.envs.providers.conformance import RED, DesktopContract
from deskbench.envs.providers.docker import image as images
from deskbench.envs.providers.docker.osworld import OsworldContainers
from deskbench.envs.providers.docker.provider import DEFAULT_IMAGE, LABEL, DockerDesktop, DockerProvider
from deskbench.envs.providers.payload import digest
from deskbench.envs.providers.pool import Pool
from deskbench.envs.types import Drag, Key, Move, Type
from deskbench.envs.wire import Observe
from deskbench.tasks.getters.programs import vscode_config
from deskbench.tasks.load import load
from deskbench.tasks.world import World
from tests.differential.case import Files
from tests.osworld.assets import Maker

from ...engine import build, docker_engine, private_engine
from .faults import Faults
from .walls import Walls

pytestmark = [pytest.mark.desktop, pytest.mark.slow, pytest.mark.timeout(900)]
SPEC = DesktopSpec()
PROGRAMS = [
    ("soffice --writer", "libreoffice.libreoffice-writer"),
    ("soffice --calc", "libreoffice.libreoffice-calc"),
    ("soffice --impress", "libreoffice.libreoffice-impress"),
    ("gimp", "gimp.Gimp"),
    ("vlc", "vlc.vlc"),
    ("thunderbird", "Mail.thunderbird"),
    ("google-chrome", "chromium.Chromium"),
    ("nautilus", "org.gnome.Nautilus.org.gnome.Nautilus"),
    ("gnome-terminal", "gnome-terminal-server.Gnome-terminal"),
    ("gedit", "gedit.Gedit"),
]
"""What a task may start, and the class of its window."""


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    with docker_engine(), contextlib.closing(docker.from_env()) as client:
        yield client


@pytest.fixture(scope="module")
def full(engine: docker.DockerClient) -> None:
    build(engine, images.Recipe(programs="full"))


@pytest.fixture
def provider(engine: docker.DockerClient) -> Iterator[DockerProvider]:
    made = DockerProvider()
    yield made
    made.close()


@pytest.fixture
def make(provider: DockerProvider) -> Callable[[], DockerDesktop]:
    return lambda: provider.start(SPEC)


def containers(engine: docker.DockerClient, controller: int | None = None) -> set[str]:
    label = f"{LABEL}={controller or os.getpid()}"
    return {found.id for found in engine.containers.list(all=True, filters={"label": label}) if found.id}


class TestContract(DesktopContract):
    """The light image."""


class TestFullImage(DesktopContract):
    """XFCE, with the programs of OSWorld's tasks."""

    @pytest.fixture
    def provider(self, full: None) -> Iterator[DockerProvider]:
        made = DockerProvider("full")
        yield made
        made.close()

    @pytest.mark.parametrize(("command", "wm_class"), PROGRAMS)
    def test_each_program_comes_up(self, desktop: Desktop, command: str, wm_class: str) -> None:
        desktop.launch(command, shell=True)  # on a busy machine, it comes later, and in parts
        assert wait.until(lambda: wm_class in {window.wm_class for window in desktop.windows()}, timeout=60)
        assert wait.until(lambda: desktop.observe().settled, timeout=60)

    def test_chromium_is_driven_from_here(self, desktop: Desktop) -> None:
        desktop.launch(["google-chrome", "--remote-debugging-port=9222"])
        with requests.Session() as session:
            session.trust_env = False
            pages = session.get(f"http://{desktop.forward(9222)}/json", timeout=10).json()
        assert [page["type"] for page in pages if page["type"] == "page"] == ["page"]

    def test_the_picture_behind_everything(self, desktop: Desktop) -> None:
        desktop.write_file("~/Pictures/red.bmp", RED)
        assert desktop.wallpaper() not in (None, RED)
        desktop.set_wallpaper("~/Pictures/red.bmp")

        def covered() -> bool:  # XFCE fades from one picture to the other
            seen = desktop.observe().screenshot
            return seen is not None and seen.image.getpixel((600, 600)) == (255, 0, 0)

        assert wait.until(covered, timeout=10)

    def test_windows_are_moved_with_super_and_alt_is_the_programs(self, desktop: Desktop) -> None:
        desktop.launch(["gedit"])

        def place() -> tuple[int, int]:
            [found] = [window for window in desktop.windows() if window.wm_class == "gedit.Gedit"]
            return found.x, found.y

        x, y = place()
        path = ((x + 300, y + 400), (x + 360, y + 440))
        desktop.act([Drag(path, modifiers=("alt",))])
        assert place() == (x, y)
        desktop.act([Drag(path, modifiers=("super",))])
        assert wait.until(lambda: place() == (x + 60, y + 40), timeout=10), place()

    def test_the_text_of_gnomes_terminal_is_read(self, desktop: Desktop) -> None:
        desktop.launch(["gnome-terminal"])
        desktop.act([Type("echo six$((3+3))\n")])
        look = Observe(screenshot=False, terminal=True)
        assert wait.until(lambda: "six6" in (desktop.observe(look).terminal or ""), timeout=5)


EDITED = "a.txt - Visual Studio Code"


@pytest.fixture
def code(engine: docker.DockerClient) -> Iterator[Desktop]:
    build(engine, images.Recipe(programs="full", code=True))
    provider = DockerProvider("full-code")
    yield provider.start(SPEC)
    provider.close()


def test_what_stands_in_for_vs_code(code: Desktop) -> None:
    """VS Code's command works, its window has VS Code's title, and its settings are where OSWorld's tasks look."""
    code.write_file("~/project/a.txt", b"one\n")
    code.launch(["code", "/home/user/project"])
    code.launch(["code", "-g", "/home/user/project/a.txt:1"])
    titles = lambda: {window.title for window in code.windows()}  # noqa: E731
    assert wait.until(lambda: EDITED in titles(), timeout=60), (
        titles()
    )  # a window has its name once the editor is loaded
    code.activate_window(EDITED, strict=True)

    def typed() -> bool:  # while it still loads, on a busy machine, it takes no keys
        code.act([Type("zero\n"), Key(("ctrl", "s"))])
        return bool(wait.until(lambda: code.read_file("~/project/a.txt").startswith(b"zero\n"), timeout=15))

    assert wait.until(typed, timeout=120)
    assert set(code.read_file("~/project/a.txt").split()) == {b"zero", b"one"}
    assert code.run(["code", "--list-extensions"]).stdout == ""
    code.write_file("~/.config/Code/User/settings.json", b'{"editor.fontSize": 40}')
    before = code.observe().screenshot
    assert wait.until(lambda: code.observe().screenshot != before, timeout=60)


def test_an_extension_of_vs_code_says_what_is_open(code: Desktop, tmp_path: Path) -> None:
    """As in OSWorld's tasks, a command of an extension, called by name, writes the project's folder."""
    made = Maker(Files(tmp_path)).make("https://a.test/vscodeEvalExtension.zip", "e.zip", [], expected=False)
    code.write_file("~/e.zip", made)
    done = code.run("unzip -q e.zip && code --install-extension vscodeEvalExtension/eval-0.0.1.vsix", shell=True)
    assert done.returncode == 0, done
    assert "deskbench.eval" in code.run(["code", "--list-extensions"]).stdout
    code.write_file("~/project/a.txt", b"one\n")
    code.launch(["code", "/home/user/project"])
    world = World(code, load("basics")[0], tmp_path / "cache", tmp_path / "assets")
    asked = {"vscode_extension_command": "OpenProject", "path": "/home/user/OpenProject.txt", "dest": "o.txt"}
    found = None
    for _ in range(3):  # the extension loads some seconds after the window
        found = vscode_config(world, **asked)
        if found is not None:
            break
    assert found is not None and found.read_text() == "project"


class TestWalls(Walls):
    def test_the_socket_of_the_server_is_out_of_reach(self, make: Callable[[], Desktop]) -> None:
        desktop = make()
        connect = "import socket; socket.socket(socket.AF_UNIX).connect('/run/deskbench/socket')"
        assert "Permission denied" in desktop.run(["python3", "-c", connect]).stderr
        assert desktop.run(["kill", "-9", "1", "7"]).returncode != 0

    def test_the_root_file_system_is_read_only(self, make: Callable[[], Desktop]) -> None:
        desktop = make()
        done = desktop.run("touch /usr/x /etc/x /opt/deskbench/x /var/lib/x 2>&1 | grep -c 'Read-only'", shell=True)
        assert done.stdout == "4\n"

    def test_no_program_gets_more_rights(self, make: Callable[[], Desktop]) -> None:
        status = make().run(["grep", "-E", "^(Cap(Eff|Prm|Bnd|Amb)|NoNewPrivs|Seccomp):", "/proc/self/status"]).stdout
        told = dict(line.split(":\t") for line in status.splitlines())
        assert (told["CapEff"], told["CapPrm"], told["NoNewPrivs"], told["Seccomp"]) == ("0" * 16, "0" * 16, "1", "2")


class TestFaults(Faults):
    @pytest.fixture(autouse=True)
    def _engine(self, engine: docker.DockerClient) -> None:
        self.engine = engine

    def hit_server(self, desktop: Any, number: int) -> None:
        name = signal.Signals(number).name.removeprefix("SIG")
        done = self.engine.containers.get(desktop.container).exec_run(
            ["pkill", f"-{name}", "-f", "^/usr/bin/python3 -s -m deskbench"], user="root"
        )
        assert done.exit_code == 0, done.output

    def kill(self, desktop: Any) -> None:
        self.engine.api.kill(desktop.container)

    def left(self) -> object:
        return containers(self.engine)


def test_the_image_is_named_by_its_digest(provider: DockerProvider, engine: docker.DockerClient) -> None:
    made_of = provider.describe()
    assert made_of["image"] == "deskbench/desktop:light"
    assert made_of["digest"] == engine.images.get("deskbench/desktop:light").id


def test_what_cannot_start_says_why(engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"no image nobody/has:this.*deskbench image build"):
        DockerProvider("nobody/has:this")
    with pytest.raises(UsageError, match=r"built from another version of deskbench"):
        DockerProvider(images.MADE_BASE if engine.images.list(images.MADE_BASE) else images.BASE)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    with pytest.raises(UsageError, match=r"no Docker engine answers .*DOCKER_HOST"):
        DockerProvider()


def test_a_desktop_that_does_not_come_up_says_what_was_last_seen(
    provider: DockerProvider, engine: docker.DockerClient
) -> None:
    before = containers(engine)
    with pytest.raises(StartError, match=r"did not start: SessionError: Xvfb ended"):
        provider.start(DesktopSpec(width=0))
    assert containers(engine) == before


def test_a_network_only_where_it_was_asked_for(provider: DockerProvider, engine: docker.DockerClient) -> None:
    listener = socket.create_server(("0.0.0.0", 0))
    port = listener.getsockname()[1]
    (config,) = engine.networks.get("bridge").attrs["IPAM"]["Config"]
    gateway = str(next(ip_network(config["Subnet"]).hosts()))  # the engine's own end by default
    reach = f"timeout 5 bash -c 'exec 3<>/dev/tcp/{{}}/{port}'"
    with listener:
        offline, online = provider.start(SPEC), provider.start(DesktopSpec(network="full"))
        assert offline.run("tail -n +2 /proc/net/route; ls /sys/class/net", shell=True).stdout.split() == ["lo"]
        assert offline.run(reach.format(gateway), shell=True).returncode != 0
        assert online.run(reach.format(gateway), shell=True).returncode == 0
        assert online.run(reach.format("127.0.0.1"), shell=True).returncode != 0


def test_resets_leave_nothing_behind(provider: DockerProvider, engine: docker.DockerClient) -> None:
    def inventory() -> tuple[int, ...]:
        return (
            len(containers(engine)),
            len(engine.networks.list()),
            len(engine.volumes.list()),
            len(engine.images.list()),
        )

    pool = Pool(provider)
    names = set()
    pool.stop(pool.start(SPEC))
    before, files = inventory()[1:], psutil.Process().num_fds()
    for _ in range(6):
        desktop = pool.start(SPEC)
        names.add(desktop.name)
        desktop.observe()
        pool.stop(desktop)
    assert len(names) == 6
    assert psutil.Process().num_fds() <= files + 8
    pool.close()
    assert wait.until(lambda: containers(engine) == set(), timeout=10)
    assert inventory()[1:] == before


def test_nothing_is_left_when_the_controller_is_killed(engine: docker.DockerClient) -> None:
    script = textwrap.dedent(
        """
        import threading
        from deskbench.envs.desktop import DesktopSpec
        from deskbench.envs.providers.docker.provider import DockerProvider
        desktop = DockerProvider().start(DesktopSpec())
        print(desktop.container, flush=True)
        threading.Event().wait()
        """
    )
    controller = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=os.environ)
    assert controller.stdout
    container = controller.stdout.readline().strip()
    assert container in containers(engine, controller.pid)
    controller.kill()
    controller.wait()
    assert wait.until(lambda: container not in containers(engine, controller.pid), timeout=60)


def test_an_engine_that_is_reached_over_a_network(engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch) -> None:
    there = Forward(unix(urlsplit(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")).path))
    monkeypatch.setenv("DOCKER_HOST", f"tcp://{there.address}")
    provider = DockerProvider()
    try:
        desktop = provider.start(SPEC)
        assert desktop.act([Move(x=3, y=4)]).cursor == (3, 4)
        desktop.write_file("~/large", b"x" * 5_000_000)
        assert len(desktop.read_file("~/large")) == 5_000_000
    finally:
        provider.close()
        there.close()
    assert containers(engine) == set()


def test_an_engine_that_is_restarted(engine: docker.DockerClient) -> None:
    with private_engine() as restart, contextlib.closing(docker.from_env()) as mine:
        provider = DockerProvider()
        desktop = provider.start(SPEC)
        restart()
        with pytest.raises(EnvError, match=desktop.name):
            desktop.observe()
        again = provider.start(SPEC)
        assert again.observe().screenshot is not None
        provider.stop(desktop)
        provider.close()
        assert wait.until(lambda: containers(mine) == set(), timeout=15)


def test_a_removed_container_is_an_error_of_ours(provider: DockerProvider) -> None:
    desktop = provider.start(SPEC)
    provider._engine.api.remove_container(desktop.container, force=True)
    with pytest.raises(EnvError, match=r"Docker engine|docker-"):
        desktop.observe()
    provider.stop(desktop)
    provider.stop(desktop)


def test_doctor(provider: DockerProvider) -> None:
    checks = provider.doctor()
    assert [check.name for check in checks] == ["engine", "image", "desktop"]
    assert all(check.ok for check in checks)


def test_a_broken_build_says_what_broke(engine: docker.DockerClient) -> None:
    with pytest.raises(UsageError, match="unknown list of programs 'medium'"):
        images.build(engine, images.Recipe(programs="medium"), print)
    with pytest.raises(UsageError, match="no/such:base cannot be pulled"):
        images.build(engine, images.Recipe(base="no/such:base"), print)


def test_the_image_says_which_packages_it_has(engine: docker.DockerClient) -> None:
    packages = images.installed(engine, "deskbench/desktop:light")
    names = [line.split()[0] for line in packages.splitlines()]
    assert {"xvfb", "openbox", "mousepad", "socat"} <= set(names)
    assert all(len(line.split()) == 3 and len(line.split()[2]) == 64 for line in packages.splitlines())


def test_the_list_of_an_images_programs_is_as_the_image(engine: docker.DockerClient) -> None:
    kept = images.programs_file("light").read_text(encoding="utf-8")
    assert images.programs(engine, "deskbench/desktop:light") == kept
    assert {"mousepad", "libreoffice", "google-chrome", "code"} <= images.known_programs()
    assert "blender" not in images.known_programs()


def test_a_context_is_the_same_bytes_each_time() -> None:
    assert images.context(images.Recipe()) == images.context(images.Recipe())


def test_an_image_is_out_of_date_when_its_settings_programs_or_server_have_changed(
    engine: docker.DockerClient,
) -> None:
    labels = engine.images.get(DEFAULT_IMAGE).labels
    assert not images.outdated(labels)
    assert images.outdated({}) and images.outdated({**labels, images.PROGRAMS_LABEL: "full"})
    files = images.sources("light")
    for name in ("settings/apply.sh", "home/.config/mimeapps.list", "light.txt", "desktop.txt", "server/wire.py"):
        changed = digest({**files, name: files[name] + b"\n"})
        assert images.outdated({**labels, images.SOURCES_LABEL: changed}), name
    with tarfile.open(fileobj=io.BytesIO(images.context(images.Recipe()))) as archive:
        assert set(archive.getnames()) >= files.keys()


def test_the_command_that_builds_an_image_is_the_one_for_its_name() -> None:
    commands = [images.building(f"{images.REPOSITORY}:{name}") for name in images.NAMES]
    assert [command.removeprefix("deskbench image build") for command in commands] == [
        "", " --code", " --programs full", " --programs full --code",
    ]  # fmt: skip
    assert images.building("somebody/else:1") == "deskbench image build"


class TestOsworldsImage:
    """Its options and readiness, with an image that answers like its machine; the real one is not available here."""

    @pytest.fixture
    def machines(self, engine: docker.DockerClient, tmp_path: Path) -> Iterator[OsworldContainers]:
        disk = tmp_path / "Ubuntu.qcow2"
        disk.write_bytes(b"QFI\xfb")
        made = OsworldContainers(str(disk), "deskbench/desktop:light")
        yield made
        made.close()

    def test_it_is_started_as_osworld_starts_it(self, machines: OsworldContainers, engine: docker.DockerClient) -> None:
        desktop = machines.start(SPEC)
        told = engine.api.inspect_container(desktop.container)
        assert told["HostConfig"]["CapAdd"] == ["NET_ADMIN"]
        assert {"DISK_SIZE=32G", "RAM_SIZE=4G", "CPU_CORES=4"} <= set(told["Config"]["Env"])
        assert ("KVM=N" in told["Config"]["Env"]) is not Path("/dev/kvm").exists()
        (mount,) = told["Mounts"]
        assert (mount["Destination"], mount["RW"]) == ("/System.qcow2", False)
        bound = {name: ports[0]["HostIp"] for name, ports in told["NetworkSettings"]["Ports"].items() if ports}
        assert bound == dict.fromkeys(("5000/tcp", "8006/tcp", "8080/tcp", "9222/tcp"), "127.0.0.1")

    def test_it_is_used_by_its_own_routes(self, machines: OsworldContainers, engine: docker.DockerClient) -> None:
        desktop = machines.start(SPEC)
        assert desktop.health().server == "osworld"
        assert desktop.act([Move(x=30, y=40)]).cursor == (30, 40)
        assert desktop.forward(9222).startswith("127.0.0.1:") and desktop.forward(9222) != "127.0.0.1:9222"
        machines.stop(desktop)
        assert containers(engine) == set()

    def test_a_machine_that_ends_says_what_it_said(self, engine: docker.DockerClient, tmp_path: Path) -> None:
        (tmp_path / "disk").write_bytes(b"x")
        recipe = f"FROM {DEFAULT_IMAGE}\nENTRYPOINT []\nCMD echo no bootable disk >&2; exit 1\n"
        image, _ = engine.images.build(fileobj=io.BytesIO(recipe.encode()), rm=True, labels={"deskbench": "test"})
        try:
            with pytest.raises(StartError, match=r"(?s)(did not answer|ended at once).*no bootable disk"):
                OsworldContainers(str(tmp_path / "disk"), str(image.id)).start(SPEC)
            assert containers(engine) == set()
        finally:
            engine.images.remove(str(image.id), force=True)

    def test_what_is_missing_is_named(self, engine: docker.DockerClient, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"Ubuntu.qcow2.zip .*--image osworld:PATH"):
            make_provider(f"docker:osworld:{tmp_path}/none.qcow2")
        (tmp_path / "disk").write_bytes(b"x")
        with pytest.raises(UsageError, match=r"no/such is missing and cannot be pulled"):
            OsworldContainers(str(tmp_path / "disk"), "no/such")
