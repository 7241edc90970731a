"""Virtual machines: the contract, the walls, the faults, snapshots, and no leftovers."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from deskbench.envs.clients.http import Client, Forward
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.errors import EnvError, GuestError, StartError, UsageError
from deskbench.envs.providers.conformance import DesktopContract
from deskbench.envs.providers.leftovers import PREFIX
from deskbench.envs.providers.pool import Pool
from deskbench.envs.providers.qemu import snapshot as qemu_snapshot
from deskbench.envs.providers.qemu.image import VmImage, build_vm
from deskbench.envs.providers.qemu.machine import Machine
from deskbench.envs.providers.qemu.provider import DiskDesktop, QemuDesktop, QemuProvider, plan_of
from deskbench.envs.providers.qemu.speed import speed
from deskbench.envs.types import Key, Move, Type

from .faults import Faults
from .walls import Walls

pytestmark = [pytest.mark.desktop, pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(900)]
SPEC = DesktopSpec()


@pytest.fixture(scope="session")
def image() -> VmImage:
    """The light image, built if it is not in the user's cache."""
    return build_vm("light", print)


@pytest.fixture
def provider(image: VmImage) -> Iterator[QemuProvider]:
    made = QemuProvider()
    yield made
    made.close()


@pytest.fixture
def make(provider: QemuProvider) -> Callable[[], Any]:
    return lambda: provider.start(SPEC)


def shell(desktop: Desktop, command: str) -> str:
    return desktop.run(command, shell=True).stdout


def as_root(desktop: QemuDesktop, command: str) -> str:
    """The output of a command run by the machine's root, on the second serial line, which only its owner reaches."""
    with socket.socket(socket.AF_UNIX) as console:
        console.connect(str(desktop.machine.folder / "console"))
        console.settimeout(30)
        console.sendall(f"{command}; echo ended-$((6 * 7))\n".encode())
        said = b""
        while b"ended-42" not in said:
            said += console.recv(4096)
    return said.decode("utf-8", "replace")


def folders(controller: int | None = None) -> set[Path]:
    """The folders of a controller's machines."""
    owners = Path("/tmp").glob(f"{PREFIX}vm-*/owner")
    return {path.parent for path in owners if path.read_text() == str(controller or os.getpid())}


class TestContract(DesktopContract):
    """The whole contract, unchanged."""


class TestWalls(Walls):
    bomb_seconds = 120  # without KVM

    def test_what_only_root_may_is_refused(self, make: Callable[[], QemuDesktop]) -> None:
        desktop = make()
        given = "/sys/firmware/qemu_fw_cfg/by_name/opt/deskbench/tokens/raw"
        for path in (given, "/dev/ttyS1", "/dev/vda", "/dev/mem", "/proc/1/environ", "/opt/deskbench/init"):
            tried = desktop.run(f"head -c 1 {path} && echo >> {path}", shell=True)
            assert tried.returncode != 0 and "Permission denied" in tried.stderr, path
        assert desktop.run(["kill", "-9", "1"]).returncode != 0

    def test_the_snapshots_token_is_valid_no_more(self, make: Callable[[], QemuDesktop]) -> None:
        desktop, other = make(), make()
        for saved in qemu_snapshot.FOLDER.glob("*/snapshot.json"):
            known = qemu_snapshot._read(saved.parent)
            assert known is not None
            with pytest.raises(GuestError, match="no valid token"):
                QemuDesktop(desktop.machine, known.tokens).health()
        with pytest.raises(GuestError, match="no valid token"):
            QemuDesktop(desktop.machine, other.tokens).health()
        token = desktop.tokens["agent_token"]
        agent = Client("agent", token=token, role="agent", connect=desktop.machine.connect)
        with pytest.raises(GuestError, match="needs the control token"):
            agent.run("true")

    def test_machines_of_one_snapshot_are_not_the_same(self, make: Callable[[], QemuDesktop]) -> None:
        one, two = make(), make()
        random = ["python3", "-c", "import os; print(os.urandom(16).hex())"]
        assert one.run(random).stdout != two.run(random).stdout
        for desktop in (one, two):
            assert abs(float(shell(desktop, "date +%s.%N")) - time.time()) < 5


class TestFaults(Faults):
    def hit_server(self, desktop: Any, number: int) -> None:
        if number == signal.SIGKILL:
            as_root(desktop, "pkill -KILL -f '^/usr/bin/python3 -s -m deskbench'")
        else:
            assert number in (signal.SIGSTOP, signal.SIGCONT)
            desktop.machine.monitor(("stop" if number == signal.SIGSTOP else "cont", {}))

    def kill(self, desktop: Any) -> None:
        psutil.Process(desktop.machine.process.pid).children()[0].kill()

    def left(self) -> object:
        return folders()


def test_a_network_only_where_it_was_asked_for(provider: QemuProvider) -> None:
    def reach(desktop: Desktop, address: str, port: int) -> int:
        return desktop.run(f"timeout 10 bash -c 'exec 3<>/dev/tcp/{address}/{port}'", shell=True).returncode

    own = outside_address()
    with socket.create_server(("0.0.0.0", 0)) as listener:
        port = listener.getsockname()[1]
        offline, online = provider.start(SPEC), provider.start(DesktopSpec(network="full"))
        assert [reach(offline, address, port) for address in (own, "10.0.2.3")] == [1, 1]
        assert "unreachable" in offline.run(f"exec 3<>/dev/tcp/{own}/{port}", shell=True).stderr
        assert reach(online, own, port) == 0
        for loopback in ("127.0.0.1", "10.0.2.2"):
            assert reach(online, loopback, port) != 0, loopback
        answer = online.run("busybox nslookup deb.debian.org 10.0.2.3 2>&1 | head -n 1", shell=True).stdout
        assert "10.0.2.3" in answer


def test_a_list_of_names_is_reached_through_the_controller(provider: QemuProvider) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        desktop = provider.start(DesktopSpec(network=(f"127.0.0.1:{port}",)))
        threading.Thread(target=_answer_once, args=(listener,), daemon=True).start()
        asking = (
            "import http.client as h; c = h.HTTPConnection('127.0.0.1', 3128, timeout=30); c.request('GET', '{}'); "
        )
        fetch = asking + "a = c.getresponse(); print(a.status, a.read())"
        assert desktop.run(["python3", "-c", fetch.format(f"http://127.0.0.1:{port}/")]).stdout == "200 b'hello'\n"
        refused = desktop.run(["python3", "-c", fetch.format(f"http://127.0.0.1:{port + 1}/")]).stdout
        assert refused.startswith("403")


def outside_address() -> str:
    """An address of this machine other than loopback."""
    for addresses in psutil.net_if_addrs().values():
        for one in addresses:
            if one.family == socket.AF_INET and not one.address.startswith("127."):
                return one.address
    pytest.skip("this machine has no network")


def _answer_once(listener: socket.socket) -> None:
    with listener.accept()[0] as client:
        client.recv(4096)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")


def test_a_start_is_a_restore(provider: QemuProvider) -> None:
    provider.stop(provider.start(SPEC))
    began = time.monotonic()
    desktop = provider.start(SPEC)
    took = time.monotonic() - began
    assert desktop.observe().settled
    assert took < 8  # the mark is 2 s, but this machine may be busy
    assert "Xvfb" in shell(desktop, "ps -A -o comm")


def test_without_tokens_for_foreign_clients(provider: QemuProvider) -> None:
    desktop = provider.start(DesktopSpec(tokens=False))
    assert isinstance(desktop, QemuDesktop)
    assert QemuDesktop(desktop.machine, {}).health().server == "deskbench"


def test_osworlds_routes_are_enough_for_a_machine_from_a_disk(provider: QemuProvider) -> None:
    """OSWorld's disks are not available here; a machine of ours, whose server answers those routes, replaces them."""
    ours = provider.start(DesktopSpec(tokens=False))
    assert isinstance(ours, QemuDesktop)
    desktop = DiskDesktop(ours.machine, {5000: Forward(partial(ours.machine.connect, 5000))})
    desktop.answer_seconds = ours.answer_seconds
    try:
        assert desktop.observe().width == 1280
        assert desktop.act([Move(x=30, y=40)]).cursor == (30, 40)
        assert desktop.run(["echo", "there"]).stdout == "there\n"
    finally:
        desktop.close()


def test_a_snapshot_that_does_not_load_is_made_again(image: VmImage, provider: QemuProvider) -> None:
    provider.stop(provider.start(SPEC))
    plan = plan_of(image, SPEC, speed(image))
    saved = qemu_snapshot.snapshot(image, plan, settle=_never)
    (saved.folder / "state").write_bytes(b"not a state")
    with pytest.raises(StartError, match=r"(?s)cannot load its snapshot.*QEMU ended with status 1.*migration stream"):
        qemu_snapshot.restore(saved, plan)
    desktop = provider.start(SPEC)
    assert desktop.observe().screenshot is not None
    assert qemu_snapshot.snapshot(image, plan, settle=_never).tokens != saved.tokens


def _never(machine: Machine, tokens: dict[str, str]) -> None:
    raise AssertionError("the snapshot is there already")


def test_a_boot_that_fails_shows_the_console_and_the_screen(provider: QemuProvider) -> None:
    before = folders()
    with pytest.raises(StartError, match=r"(?s)did not start: .*SessionError: Xvfb ended") as caught:
        provider.start(DesktopSpec(width=0))
    assert "the server ended with status 1" in str(caught.value)
    assert folders() == before


def test_a_machine_that_hangs_leaves_its_picture(provider: QemuProvider) -> None:
    desktop = provider.start(SPEC)
    assert isinstance(desktop, QemuDesktop)
    said = str(desktop.machine.fault("nothing was heard"))
    picture = Path(said.rpartition("(its screen: ")[2].rstrip(")"))
    assert picture.read_bytes().startswith(b"\x89PNG")
    picture.unlink()


def test_resets_leave_nothing_behind(provider: QemuProvider) -> None:
    def memory() -> int:
        return int(psutil.Process().memory_info().rss)

    pool = Pool(provider)
    names = set()
    for _ in range(2):
        pool.stop(pool.start(SPEC))
    files, before = psutil.Process().num_fds(), memory()
    for _ in range(5):
        desktop = pool.start(SPEC)
        names.add(desktop.name)
        desktop.observe()
        pool.stop(desktop)
    assert len(names) == 5
    assert psutil.Process().num_fds() <= files + 8
    assert memory() - before < 32 * 2**20
    pool.close()
    assert folders() == set()
    assert [p for p in psutil.Process().children(recursive=True) if "qemu" in p.name()] == []


def test_nothing_is_left_when_the_controller_is_killed(image: VmImage) -> None:
    script = textwrap.dedent(
        """
        import threading
        from deskbench.envs.desktop import DesktopSpec
        from deskbench.envs.providers.qemu.provider import QemuProvider
        desktop = QemuProvider().start(DesktopSpec(network="full"))
        print(desktop.machine.folder, flush=True)
        threading.Event().wait()
        """
    )
    controller = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert controller.stdout
    folder = Path(controller.stdout.readline().strip())
    family = psutil.Process(controller.pid).children(recursive=True)
    assert {"qemu-system-x86_64", "slirp4netns"} <= {process.name() for process in family}
    controller.send_signal(signal.SIGKILL)
    controller.wait()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []
    QemuProvider().close()  # the next provider cleans up the disk after a killed one
    assert not folder.exists()


def test_a_stopped_desktop_is_gone(provider: QemuProvider) -> None:
    desktop = provider.start(SPEC)
    provider.stop(desktop)
    provider.stop(desktop)
    with pytest.raises(EnvError, match=desktop.name):
        desktop.act([Key(("a",))])


def test_what_was_done_on_one_machine_is_not_on_the_next(provider: QemuProvider) -> None:
    first = provider.start(SPEC)
    first.write_file("~/kept.txt", b"1")
    shell(first, "sync")
    first.launch(["mousepad"])
    first.act([Type("hello")])
    provider.stop(first)
    second = provider.start(SPEC)
    with pytest.raises(FileNotFoundError):
        second.read_file("~/kept.txt")
    assert [window for window in second.windows() if "ousepad" in window.title] == []


def test_doctor(provider: QemuProvider) -> None:
    checks = {check.name: check for check in provider.doctor()}
    assert list(checks) == ["qemu", "disk space", "memory", "image", "kvm", "speed", "desktop"]
    assert all(check.ok for check in checks.values()), checks
    assert provider.describe()["digest"].startswith("sha256:")


def test_a_machine_always_has_a_sandbox(provider: QemuProvider) -> None:
    with pytest.raises(UsageError, match="leave out --unisolated"):
        provider.start(DesktopSpec(isolated=False))
