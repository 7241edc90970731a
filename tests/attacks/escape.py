"""Escapes from the desktop: the kernel, devices, other processes, the host's files, sockets and network."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from deskbench.envs.clients.http import Client
from deskbench.envs.desktop import DesktopSpec
from tests.attacks.arenas import Arena
from tests.attacks.base import (
    DESKTOPS,
    DOCKER,
    LINUX,
    QEMU,
    REMOTE,
    ROOT,
    SHARED,
    USER,
    WINE,
    Outcome,
    attack,
    blocked,
    judged,
    not_applicable,
    succeeded,
)

# -- kernel settings --------------------------------------------------------------------------------------------------

SETTINGS: dict[str, tuple[str, Callable[[str], str]]] = {
    "core-pattern": ("/proc/sys/kernel/core_pattern", lambda was: f"{was}.attack"),
    "overcommit": ("/proc/sys/vm/overcommit_ratio", lambda was: str(int(was) + 1)),
    "suid-dumpable": ("/proc/sys/fs/suid_dumpable", lambda was: "1" if was == "0" else "0"),
    "modprobe-path": ("/proc/sys/kernel/modprobe", lambda was: "/usr/sbin/modprobe.attack"),
    "printk": ("/proc/sys/kernel/printk_delay", lambda was: str(int(was) + 1)),
    "nr-open": ("/proc/sys/fs/nr_open", lambda was: str(int(was) - 1024)),
    "uevent-helper": ("/sys/kernel/uevent_helper", lambda was: "/tmp/attack"),
    "pid-max": ("/proc/sys/kernel/pid_max", lambda was: str(int(was) - 1)),
}
"""Settings that affect every process of the machine: their file, and another value that is harmless for a moment."""


def _setting(path: str, other: Callable[[str], str]) -> Callable[[Arena], Outcome]:
    def run(arena: Arena) -> Outcome:
        read = _reader(arena, path)
        before = read()
        if before is None:
            return blocked(f"{path} is not there") if arena.name in (ROOT, USER) else not_applicable(f"no {path} here")
        said = arena.program("files", "write", path, other(before))
        after = read()
        if after == before:
            return blocked(said["said"])
        _restore(arena, path, before)
        return succeeded(f"{path} was {before!r} and is {after!r}")

    return run


def _reader(arena: Arena, path: str) -> Callable[[], str | None]:
    """A function that reads the setting on the controller's machine, or on a machine with its own kernel."""

    def here() -> str | None:
        try:
            return Path(path).read_text().strip()
        except OSError:
            return None

    def there() -> str | None:
        done = arena.desktop.run(["cat", path])
        return done.stdout.strip() if done.returncode == 0 else None

    return there if arena.name == QEMU else here


def _restore(arena: Arena, path: str, value: str) -> None:
    try:
        Path(path).write_text(value)
    except OSError:
        arena.program("files", "write", path, value)  # whoever could change it can change it back


for _name, (_path, _other) in SETTINGS.items():
    attack(_name, "escape", f"write {_path}")(_setting(_path, _other))


def _written(path: str, text: str) -> Callable[[Arena], Outcome]:
    """A write that is accepted at all is a breach; the text itself does nothing."""

    def run(arena: Arena) -> Outcome:
        found = arena.program("files", "write", path, text)
        return judged(found["ok"], found["said"])

    return run


attack("sysrq", "escape", "write /proc/sysrq-trigger (h: print a help)")(_written("/proc/sysrq-trigger", "h"))
attack("binfmt", "escape", "register a binary format for the whole machine")(
    _written("/proc/sys/fs/binfmt_misc/register", ":attack:E::attack::/bin/true:")
)

# -- kernel calls -----------------------------------------------------------------------------------------------------

OWN_KERNEL = {QEMU: "the kernel is the machine's own", REMOTE: "the machine's user may do what any of its users may"}
OWN_BUS = dict.fromkeys(DESKTOPS, "the bus belongs to the agent; deskbench trusts nothing that it says")
KERNEL: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("unshare_user", "unshare-user", "a user namespace by unshare(2)", SHARED),
    ("unshare_others", "unshare-others", "other namespaces by unshare(2)", DESKTOPS),
    ("clone_user", "clone-user", "a user namespace by clone(2) or clone3(2)", SHARED),
    ("setns", "setns", "enter the namespaces of the first process or the server", DESKTOPS),
    ("mount", "mount", "mount something, by the old calls or the new", DESKTOPS),
    ("remount", "remount", "make what is read-only writable", DESKTOPS),
    ("umount", "umount", "take away what covers a file", DESKTOPS),
    ("pivot_root", "pivot-root", "another root by pivot_root(2)", DESKTOPS),
    ("chroot", "chroot", "chroot(2), from which .. leads out", DESKTOPS),
    ("mknod", "mknod", "make a device: a disk, the memory", DESKTOPS),
    ("devices", "devices", "open a device that no program may have (kvm, fuse, disks)", DESKTOPS),
    ("open_by_handle", "open-by-handle", "open a file by its inode, past every mount", DESKTOPS),
    ("vsock", "vsock", "AF_VSOCK to the machine's hypervisor", SHARED),
    ("vsock_x32", "vsock-x32", "the same by the x32 numbering, past a filter", SHARED),
    ("vsock_i386", "vsock-i386", "the same by a 32-bit system call, past a filter", SHARED),
    ("packet", "raw-sockets", "raw sockets: Ethernet, ICMP", DESKTOPS),
    ("families", "socket-families", "sockets of families that are rarely used and often broken", SHARED),
    ("netlink_audit", "netlink-audit", "the kernel's audit by netlink", DESKTOPS),
    ("keyrings", "keyrings", "the kernel's keyrings, which are not namespaced", SHARED),
    ("bpf", "bpf", "load a BPF program, make a map", SHARED),
    ("perf", "perf", "performance counters", SHARED),
    ("userfaultfd", "userfaultfd", "userfaultfd(2)", SHARED),
    ("io_uring", "io-uring", "io_uring: system calls that a filter does not see", SHARED),
    ("kexec", "kexec", "load another kernel", DESKTOPS),
    ("modules", "modules", "load or unload a kernel module", DESKTOPS),
    ("clock", "clock", "set the machine's clock", DESKTOPS),
    ("machine", "machine", "reboot, swap, accounting, I/O ports", DESKTOPS),
    ("kernel_log", "kernel-log", "read the kernel's log", DESKTOPS),
    ("fanotify", "fanotify", "watch a whole file system", DESKTOPS),
    ("capabilities", "capabilities", "hold or raise a capability", DESKTOPS),
    ("become_root", "setuid", "become user 0 by setresuid(2)", DESKTOPS),
    ("setuid_programs", "setuid-programs", "run a setuid program as root", SHARED),
    ("sudo", "sudo", "become root by sudo, su, pkexec and easy passwords", DESKTOPS),
    ("id_maps", "id-maps", "write another map of user ids", DESKTOPS),
    ("oom_below_zero", "oom-score", "escape the OOM killer (oom_score_adj below 0)", DESKTOPS),
    ("tty", "tiocsti", "type into the terminal that the controller was started in", DESKTOPS),
    ("ptrace_server", "ptrace-server", "ptrace the server", DESKTOPS),
    ("ptrace_init", "ptrace-init", "ptrace the sandbox's first process", DESKTOPS),
    ("vm_server", "memory-server", "read the server's memory by process_vm_readv(2)", DESKTOPS),
    ("vm_init", "memory-init", "the same of the first process", DESKTOPS),
    ("getfd_server", "getfd-server", "take a descriptor of the server by pidfd_getfd(2)", DESKTOPS),
    ("getfd_init", "getfd-init", "the same of the first process", DESKTOPS),
    ("proc_server", "proc-server", "read the server's mem, environ, maps, fd in /proc", DESKTOPS),
    ("proc_init", "proc-init", "the same of the first process", DESKTOPS),
    ("limits_server", "limits-server", "take the server's memory, files and turns away", DESKTOPS),
)  # fmt: skip
HALF = {WINE: "the Windows half of the server shares a user with the programs and has no key: they can end it and forge "
              "what commands print; deskbench reads files and folders outside Wine"}  # fmt: skip
ACCEPTED = {"ptrace_server": HALF, "proc_server": HALF, "limits_server": HALF}
DESTRUCTIVE = ("umount", "remount", "limits_server")


def _kernel(name: str) -> Callable[[Arena], Outcome]:
    def run(arena: Arena) -> Outcome:
        found = arena.program("kernel", name)
        return judged(found["ok"], found["said"])

    return run


for _attempt, _id, _title, _columns in KERNEL:
    attack(
        _id, "escape", _title, _columns, fresh=_attempt in DESTRUCTIVE, accepted=ACCEPTED.get(_attempt)
    )(_kernel(_attempt))  # fmt: skip
attack("ptrace-bus", "escape", "ptrace the session's bus", accepted=OWN_BUS)(_kernel("ptrace_bus"))


@attack("masked-files", "escape", "read what describes the whole machine: kcore, keys, timer_list, firmware", SHARED)
def masked(arena: Arena) -> Outcome:
    found = arena.program("files", "masked")
    return judged(found["ok"], found["said"])


@attack("cgroups", "escape", "leave the control group, or write a release_agent")
def cgroups(arena: Arena) -> Outcome:
    found = arena.program("files", "cgroups")
    return judged(found["ok"], found["said"])


# -- the host's files -------------------------------------------------------------------------------------------------


@attack(
    "host-files",
    "escape",
    "read /etc/shadow, files of the checkout, of the home, of /tmp, also by /proc/N/root",
    (ROOT, USER, DOCKER, QEMU, WINE),
)
def host_files(arena: Arena) -> Outcome:
    marker = f"only-the-host-has-{secrets.token_hex(8)}"
    with contextlib.ExitStack() as stack:
        places = [_planted(stack, folder, marker) for folder in _host_folders()]
        found = arena.program("files", "read", marker, *places, "/etc/shadow")
    return judged(found["ok"], f"{found['said']} of {len(places)} places")


def _host_folders() -> list[Path]:
    wanted = (Path(tempfile.gettempdir()), Path.home(), Path(__file__).parent, Path("/var/tmp"), Path("/dev/shm"))
    return [folder for folder in wanted if os.access(folder, os.W_OK)]


def _planted(stack: contextlib.ExitStack, folder: Path, marker: str) -> str:
    file = stack.enter_context(tempfile.NamedTemporaryFile("w", dir=folder, prefix="attacked-"))
    file.write(marker)
    file.flush()
    Path(file.name).chmod(0o644)
    return file.name


@attack("host-shadow", "escape", "read the password file through a link that the controller follows", LINUX)
def shadow(arena: Arena) -> Outcome:
    arena.desktop.run(["ln", "-sf", "/etc/shadow", "/tmp/attack-shadow"])
    from deskbench.envs.errors import DeskbenchError

    try:
        got = arena.desktop.read_file("/tmp/attack-shadow")
    except (DeskbenchError, FileNotFoundError) as error:
        return blocked(error)
    return succeeded(f"{len(got)} bytes")


@attack(
    "host-disk",
    "escape",
    "write more than the desktop's own memory: onto a disk of the host",
    (ROOT, USER, DOCKER, WINE),
)
def host_disk(arena: Arena) -> Outcome:
    found = arena.program("files", "spill", 64)
    if found["ok"]:
        arena.desktop.run(["rm", "-f", found["path"]])
    return judged(found["ok"], found["said"])


@attack(
    "host-writes", "escape", "write into /usr, /etc, /opt: what the next desktop is made of", (ROOT, USER, DOCKER, WINE)
)
def host_writes(arena: Arena) -> Outcome:
    said = []
    for folder in ("/usr/bin", "/usr/lib", "/etc", "/opt/deskbench", "/opt/deskbench/deskbench/envs/server", "/"):
        name = f"{folder}/deskbench-attack-{secrets.token_hex(4)}"
        found = arena.program("files", "write_new", name)
        if found["ok"]:
            return succeeded(found["said"])
        said.append(found["said"].rpartition(": ")[2])
    return blocked(", ".join(dict.fromkeys(said)))


# -- the host's sockets, memory, network ------------------------------------------------------------------------------


class Listener:
    """Records who connects."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.heard: list[bytes] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            client.settimeout(2.0)
            with client, contextlib.suppress(OSError):
                self.heard.append(client.recv(4096))


@contextlib.contextmanager
def listening(sock: socket.socket) -> Iterator[Listener]:
    """Listen on a bound socket during the block."""
    with sock:
        sock.listen()
        yield Listener(sock)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def host_port() -> Iterator[tuple[int, Listener]]:
    """A port on all addresses of this machine."""
    sock = socket.socket()
    sock.bind(("0.0.0.0", 0))
    with listening(sock) as listener:
        yield sock.getsockname()[1], listener


def addresses() -> list[str]:
    """Addresses by which this machine may be reachable."""
    own = {"127.0.0.1", "10.0.2.2", "10.0.2.3", "172.17.0.1", "169.254.169.254", "::ffff:127.0.0.1", "localhost"}
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("192.0.2.1", 9))  # sends nothing, but shows the source address of packets
        own.add(sock.getsockname()[0])
    return sorted(own)


INSIDE = (ROOT, USER, DOCKER, QEMU, WINE)
"""Desktops without network by default."""


@attack("host-network", "escape", "reach the host: its loopback, its addresses, the cloud's metadata", INSIDE)
def host_network(arena: Arena) -> Outcome:
    with host_port() as (port, listener):
        found = arena.program("network", "tcp", port, *addresses())
        return judged(bool(listener.heard), f"{len(listener.heard)} connections came; {found['said']}")


OWN_CARD = {QEMU: "the network card belongs to QEMU and leads only to the server's port (restrict=on)"}


@attack("interfaces", "escape", "interfaces of the host in a desktop without a network", INSIDE, accepted=OWN_CARD)
def interfaces(arena: Arena) -> Outcome:
    found = arena.program("network", "names")
    return judged(found["ok"], found["said"])


@attack("full-network", "escape", "reach the host's loopback from a desktop that has the network", (ROOT, USER, DOCKER))
def full_network(arena: Arena) -> Outcome:
    loopback = socket.socket()
    loopback.bind(("127.0.0.1", 0))
    with listening(loopback) as listener, arena.fresh(DesktopSpec(network="full")):
        found = arena.program("network", "tcp", loopback.getsockname()[1], *addresses())
        return judged(bool(listener.heard), f"{len(listener.heard)} connections came; {found['said']}")


@attack("proxy", "escape", "reach the host through the proxy of a desktop with a list of names", (ROOT, USER, DOCKER))
def proxy(arena: Arena) -> Outcome:
    ways = ("127.0.0.1", "localhost", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1",
            "example.org@127.0.0.1", "example.org.127.0.0.1.nip.io")  # fmt: skip
    with host_port() as (port, listener), arena.fresh(DesktopSpec(network=("example.org",))):
        found = arena.program("network", "proxy", port, *ways)
        return judged(bool(listener.heard), f"{len(listener.heard)} connections came; {found['said']}")


@attack("abstract-sockets", "escape", "connect to a Unix socket of the host that has no file", INSIDE)
def abstract(arena: Arena) -> Outcome:
    name = f"deskbench-attack-{secrets.token_hex(4)}"
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(f"\0{name}")
    with listening(sock) as listener:
        found = arena.program("network", "abstract", name)
        return judged(bool(listener.heard), found["said"])


@attack("host-ipc", "escape", "the host's shared memory, System V's and POSIX's", INSIDE)
def host_ipc(arena: Arena) -> Outcome:
    libc = ctypes.CDLL(None, use_errno=True)
    key = 0x0A77AC4 + os.getpid()
    number = libc.shmget(key, 4096, 0o1666)
    assert number >= 0, os.strerror(ctypes.get_errno())
    with tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="attacked-") as file:
        try:
            found = arena.program("network", "shared", key, Path(file.name).name)
        finally:
            libc.shmctl(number, 0, None)
    return judged(found["ok"], found["said"])


@attack("other-desktop", "escape", "reach the desktop of another episode: files, processes, network", INSIDE)
def other_desktop(arena: Arena) -> Outcome:
    mark = f"attack-{secrets.token_hex(6)}"
    with _another(arena) as other:
        arena.program("persistence", "leave", mark, on=other)
        found = arena.program("persistence", "look", mark)
    return judged(found["ok"], found["said"])


@contextlib.contextmanager
def _another(arena: Arena) -> Iterator[Client]:
    mine = arena.desktop
    other = arena.start()
    try:
        assert other is not mine
        yield other
    finally:
        arena.stop(other)
