"""The embedded provider: the contract, and the walls of its sandbox."""

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from deskbench.envs import wait
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.errors import EnvError, GuestUnreachable
from deskbench.envs.providers import ids
from deskbench.envs.providers.conformance import DesktopContract
from deskbench.envs.providers.leftovers import PREFIX
from deskbench.envs.providers.local import LOG_KEPT, LOG_LINE, LocalDesktop, LocalProvider
from deskbench.envs.providers.pool import Pool
from deskbench.envs.types import Key
from deskbench.envs.wire import Observe

from ...other_user import OtherUser
from .faults import Faults
from .walls import Walls

pytestmark = pytest.mark.desktop
two_ids = pytest.mark.skipif(ids.why_not() != "", reason="programs share the server's id here")


class TestContract(DesktopContract):
    @pytest.fixture
    def make(self, local_provider: Pool) -> Iterator[Callable[[], Desktop]]:
        made: list[Desktop] = []

        def start() -> Desktop:
            made.append(local_provider.start(DesktopSpec()))
            return made[-1]

        yield start
        for desktop in made:
            local_provider.stop(desktop)


class TestWalls(Walls):
    """All walls, unchanged."""


class TestFaults(Faults):
    def hit_server(self, desktop: Any, number: int) -> None:
        family = psutil.Process(desktop.process.pid).children(recursive=True)
        (server,) = [p for p in family if "--listen" in p.cmdline() and p.name().startswith("python")]
        server.send_signal(number)

    def kill(self, desktop: Any) -> None:
        psutil.Process(desktop.process.pid).children()[0].kill()

    def left(self) -> object:
        folders = [f.parent for f in Path("/tmp").glob(f"{PREFIX}*/owner") if f.read_text() == str(os.getpid())]
        return set(folders), set(psutil.Process().children(recursive=True))


@pytest.fixture
def make(provider: LocalProvider) -> Callable[[], LocalDesktop]:
    return lambda: provider.start(DesktopSpec())


@pytest.fixture
def provider() -> Iterator[LocalProvider]:
    made = LocalProvider()
    yield made
    made.close()


def shell(desktop: Desktop, command: str) -> str:
    return desktop.run(command, shell=True).stdout


def test_of_the_host_only_usr_and_a_few_files_are_there(desktop: Desktop, tmp_path: Path) -> None:
    secret = Path.home() / ".bash_history"
    allowed = "bin dev etc home lib lib32 lib64 libx32 opt proc run sbin tmp usr var"
    assert set(shell(desktop, "ls /").split()) <= set(allowed.split())
    for path in ("/root", "/etc/shadow", "/etc/ssh", "/etc/hostname", str(secret), str(tmp_path), str(Path.home())):
        assert desktop.run(["test", "-e", path]).returncode == 1, path
    assert shell(desktop, "ls /home /run /tmp -A").find("docker") == -1
    assert shell(desktop, "touch /usr/x /etc/x /x 2>&1 | grep -c 'Read-only file system'") == "3\n"
    assert shell(desktop, "cat /etc/passwd | cut -d: -f1") == "root\nuser\n"


def test_the_answers_are_not_in_the_exam_room(desktop: Desktop) -> None:
    assert shell(desktop, "ls /opt/deskbench/deskbench") == "envs\n"
    assert shell(desktop, "grep -rl oracle /opt/deskbench/deskbench | head") == ""


def test_environment_and_processes_of_the_host_are_not_there(
    provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-very-secret")
    desktop = provider.start(DesktopSpec())
    assert "very-secret" not in shell(desktop, "cat /proc/*/environ | tr '\\0' '\\n'")
    assert str(os.getpid()) not in shell(desktop, "ps -A -o pid,args").split()
    assert shell(desktop, "id -u") == "1000\n"


def test_there_is_no_network(desktop: Desktop) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        reached = desktop.run(f"exec 3<>/dev/tcp/127.0.0.1/{port}", shell=True)
    assert reached.returncode != 0
    assert shell(desktop, "tail -n +2 /proc/net/route") == ""


def test_a_network_that_was_asked_for_does_not_reach_the_hosts_loopback(provider: LocalProvider) -> None:
    desktop = provider.start(DesktopSpec(network="full"))
    assert wait.until(lambda: "tap0" in shell(desktop, "cat /proc/net/route"), timeout=10)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        for address in ("127.0.0.1", "10.0.2.2"):
            reached = desktop.run(f"timeout 5 bash -c 'exec 3<>/dev/tcp/{address}/{port}'", shell=True)
            assert reached.returncode != 0, address


def test_a_program_cannot_read_the_tokens(provider: LocalProvider) -> None:
    desktop = provider.start(DesktopSpec())
    for token in desktop.tokens.values():
        assert token not in shell(desktop, "cat /proc/*/cmdline /proc/*/environ | tr '\\0' ' '")
        found = desktop.run(f"grep -l {token[:8]} /proc/[0-9]*/mem /proc/[0-9]*/maps 2>&1", shell=True)
        assert "/mem\n" not in found.stdout


def test_the_way_in_is_nowhere_in_the_desktop(provider: LocalProvider) -> None:
    """It is a socket that the server inherits: no path leads to it, and nobody can replace it."""
    desktop = provider.start(DesktopSpec())
    sockets = shell(desktop, "cat /proc/net/unix")
    assert "deskbench" not in sockets.replace("deskbench-", "")
    assert shell(desktop, f"ls -d {desktop.folder} /run/deskbench 2>/dev/null") == ""


@two_ids
def test_the_server_and_its_programs_have_ids_that_own_nothing_here(provider: LocalProvider) -> None:
    desktop = provider.start(DesktopSpec())
    family = psutil.Process(desktop.process.pid).children(recursive=True)
    (server,) = [p for p in family if "--listen" in p.cmdline() and p.name().startswith("python")]
    others = {p.uids().real for p in family if p.name() in ("Xvfb", "openbox", "tint2")}
    assert len(others) == 1 and others != {server.uids().real}
    for uid in {*others, server.uids().real} - {os.geteuid()}:
        with pytest.raises(KeyError):
            pwd.getpwuid(uid)
    assert 0 not in {*others, server.uids().real}


@two_ids
def test_a_program_ends_neither_the_server_nor_the_way_in(provider: LocalProvider) -> None:
    desktop = provider.start(DesktopSpec())
    servers = shell(desktop, "pgrep -f 'deskbench[.]envs[.]server'").split()
    for number in ("KILL", "STOP", "SEGV"):
        tried = desktop.run(["kill", f"-{number}", *servers])
        assert tried.returncode == 1 and "Operation not permitted" in tried.stderr
    assert desktop.run(["echo", "there"]).stdout == "there\n"


def test_the_kernels_settings_are_read_only(provider: LocalProvider) -> None:
    desktop = provider.start(DesktopSpec())
    for name in ("kernel/core_pattern", "vm/overcommit_memory", "fs/suid_dumpable", "kernel/hostname"):
        before = Path("/proc/sys", name).read_text()
        tried = desktop.run(f"cat /proc/sys/{name} > /tmp/it && cat /tmp/it > /proc/sys/{name}", shell=True)
        assert tried.returncode != 0, name
        assert Path("/proc/sys", name).read_text() == before


def test_a_module_in_the_home_folder_is_not_the_servers(provider: LocalProvider) -> None:
    """The server imports some modules on first use; it does not search the folder that it was started in."""
    desktop = provider.start(DesktopSpec())
    trap = "open('/tmp/sprung', 'w').close()"
    desktop.run(
        f"site=$(python3 -m site --user-site); mkdir -p $site; for name in urllib mss jeepney email usercustomize; do "
        f'mkdir -p ~/$name; echo "{trap}" | tee ~/$name/__init__.py $site/$name.py > /tmp/$name.py; done',
        shell=True,
    )
    with contextlib.suppress(EnvError):
        desktop.write_file("~/there.txt", b"1")  # parsing a multipart body imports more
    desktop.observe(Observe(accessibility=True))
    desktop.start_recording()
    desktop.end_recording()
    assert desktop.run(["test", "-e", "/tmp/sprung"]).returncode == 1


def test_what_programs_say_without_an_end_of_line_is_cut(provider: LocalProvider) -> None:
    """Programs of the panel inherit the server's stderr, which the controller reads."""
    desktop = provider.start(DesktopSpec())
    desktop.run("timeout 2 head -c 50000000 /dev/zero > /proc/$(pgrep -x openbox)/fd/2", shell=True)
    assert desktop.run(["echo", "there"]).stdout == "there\n"
    assert sum(map(len, desktop.log)) <= LOG_KEPT * LOG_LINE


def test_nothing_is_left_when_it_stops(provider: LocalProvider) -> None:
    desktop = provider.start(DesktopSpec())
    family = [psutil.Process(desktop.process.pid), *psutil.Process(desktop.process.pid).children(recursive=True)]
    assert len(family) > 5
    provider.stop(desktop)
    provider.stop(desktop)  # does not complain about a dead desktop
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []
    assert not desktop.folder.exists()
    with pytest.raises(GuestUnreachable):
        desktop.observe()


def test_nothing_is_left_when_the_controller_is_killed(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys, threading
        from deskbench.envs.desktop import DesktopSpec
        from deskbench.envs.providers.local import LocalProvider
        from deskbench.envs.providers.pool import Pool
        pool = Pool(LocalProvider())
        desktop = pool.start(DesktopSpec(network="full"))
        print(desktop.process.pid, desktop.folder, flush=True)
        threading.Event().wait()
        """
    )
    controller = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert controller.stdout
    pid, folder = controller.stdout.readline().split()
    family = psutil.Process(controller.pid).children(recursive=True)
    assert int(pid) in [p.pid for p in family]
    controller.send_signal(signal.SIGKILL)
    controller.wait()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []
    LocalProvider().close()  # the next provider cleans up the disk after a killed one
    assert not Path(folder).exists()


def test_a_death_in_the_middle_is_an_error_of_ours(provider: LocalProvider) -> None:
    desktop = provider.start(DesktopSpec())
    psutil.Process(desktop.process.pid).children()[0].kill()
    with pytest.raises(EnvError):
        desktop.act([Key(("a",))])


def test_a_warm_desktop_that_died_is_not_handed_over() -> None:
    pool = Pool(LocalProvider())
    try:
        first = pool.start(DesktopSpec())
        warm = pool._warm[DesktopSpec()][0].result()
        assert isinstance(warm, LocalDesktop)
        psutil.Process(warm.process.pid).children()[0].kill()
        warm.process.wait()
        second = pool.start(DesktopSpec())
        assert second.name not in (first.name, warm.name)
        assert second.observe().screenshot is not None
    finally:
        pool.close()


def test_resets_leave_nothing_behind(provider: LocalProvider) -> None:
    def open_files() -> int:
        return psutil.Process().num_fds()

    others = set(psutil.Process().children(recursive=True))  # the fixtures' own desktops
    pool = Pool(provider)
    names = set()
    desktop = pool.start(DesktopSpec())
    pool.stop(desktop)
    before = open_files()
    for _ in range(8):
        desktop = pool.start(DesktopSpec())
        names.add(desktop.name)
        desktop.observe()
        pool.stop(desktop)
    assert len(names) == 8
    assert open_files() <= before + 6
    pool.close()
    assert set(psutil.Process().children(recursive=True)) <= others
    mine = [f for f in Path("/tmp").glob(f"{PREFIX}*/owner") if f.read_text() == str(os.getpid())]
    assert len(mine) <= 2  # those of the fixtures' own provider


def test_a_desktop_without_a_sandbox(provider: LocalProvider) -> None:
    desktop = provider.start(DesktopSpec(isolated=False))
    assert desktop.observe().screenshot is not None
    assert shell(desktop, "echo ~").startswith(str(desktop.folder))
    family = psutil.Process(desktop.process.pid).children(recursive=True)
    provider.stop(desktop)
    _, alive = psutil.wait_procs(family, timeout=5)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []


def test_a_machine_that_makes_no_namespaces_says_so(tmp_path: Path) -> None:
    """Every time, whether the sandbox ends before or after it gets the tokens."""
    script = textwrap.dedent(
        """
        from deskbench.envs.desktop import DesktopSpec
        from deskbench.envs.errors import UsageError
        from deskbench.envs.providers.local import LocalProvider
        for _ in range(5):
            try:
                LocalProvider().start(DesktopSpec())
            except UsageError as error:
                print(error)
        """
    )
    walled = ["bwrap", "--dev-bind", "/", "/", "--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000"]
    done = subprocess.run([*walled, sys.executable, "-c", script], capture_output=True, text=True, check=False)
    said = done.stdout.splitlines()
    assert len(said) == 5, done.stderr
    assert all("does not let bubblewrap create namespaces" in line and "--unisolated" in line for line in said)


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root starting it as somebody else")
@pytest.mark.parametrize("lent", [True, False], ids=["with ids of its own", "without"])
def test_an_ordinary_user_can_start_one(lent: bool, other_user: OtherUser) -> None:
    script = """
        from deskbench.envs.desktop import DesktopSpec
        from deskbench.envs.providers.local import LocalProvider
        provider = LocalProvider()
        desktop = provider.start(DesktopSpec())
        print(desktop.observe().width)
        print(desktop.run("echo $(cat /proc/self/uid_map)", shell=True).stdout, end="")
        provider.close()
    """
    done = other_user.python(script, lent=lent)
    assert done.returncode == 0, done.stderr
    width, maps = done.stdout.splitlines()
    assert width == "1280"
    assert (len(maps.split()) == 6) is lent
