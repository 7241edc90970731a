"""The sandbox of desktops on this machine: bubblewrap's options, and its network.

The sandbox has its own users, processes, network, IPC, host name and files. Of the host, it sees /usr and a few files
of /etc, read-only. It masks the same parts of /proc as containers do.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import select
import signal
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.errors import UsageError
from deskbench.envs.providers.ids import Ids
from deskbench.envs.providers.payload import payload
from deskbench.envs.server import seccomp

ETC = (
    "alternatives", "fonts", "gtk-2.0", "gtk-3.0", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime",
    "mime.types", "xdg", "X11", "ImageMagick-6", "ImageMagick-7", "dconf", "pango", "login.defs",
    "libreoffice", "chromium.d", "gimp", "thunderbird",
)  # fmt: skip
"""Parts of /etc where programs find libraries, fonts, themes and file types. No names, keys or configuration."""
READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")
MASKED = (
    "acpi", "asound", "interrupts", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list",
    "timer_stats",
)  # fmt: skip
"""Parts of /proc that container engines make read-only or cover (the OCI defaults in Docker and Podman)."""
RIGHTS = ("CAP_CHOWN", "CAP_SETUID", "CAP_SETGID", "CAP_KILL")
"""What the server may do to its sandbox's ids: give the user a home, start programs as the user, and end them."""
NETWORK_SECONDS = 10.0
NS_GET_USERNS = 0xB701
"""ioctl_ns(2): the user namespace that owns another namespace."""
TUN = Path("/dev/net/tun")
SLIRP_DNS = "10.0.2.3"
"""Where slirp4netns answers DNS requests (its manual page)."""


def sandbox(
    folder: Path,
    spec: DesktopSpec,
    inside: Sequence[str],
    ids: Ids | None,
    binds: Sequence[str] = (),
) -> list[str]:
    """The command that runs another in a sandbox; start it through `ids.Entry`.

    Args:
        folder: for the desktop's few files on the host.
        spec: its network is used.
        inside: the command to run in the sandbox.
        ids: the ids of its server and programs; None if both run under the user's own.
        binds: more of bubblewrap's options.
    """
    command = ["bwrap", *namespaces(ids), "--hostname", "desktop", "--die-with-parent", "--new-session", "--clearenv"]
    command += ["--ro-bind", "/usr", "/usr", *system_folders(), "--proc", "/proc", *masks(), "--dev", "/dev"]
    command += [*_memory(), *_etc(folder, spec), "--ro-bind", str(payload()), "/opt/deskbench", *binds]
    command += ["--remount-ro", "/", "--chdir", "/"]
    for key, value in _environment().items():
        command += ["--setenv", key, value]
    return [*command, "--", *inside]


@contextlib.contextmanager
def filtered(*, ptrace: bool = False) -> Iterator[tuple[list[str], int]]:
    """Options that restrict the system calls of the whole sandbox, its first process included, and their descriptor.

    The process that gets the options must inherit the descriptor.

    Args:
        ptrace: let programs trace one another.
    """
    descriptor = os.memfd_create("filter")
    try:
        os.write(descriptor, seccomp.program(platform.machine(), ptrace=ptrace))
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield ["--seccomp", str(descriptor)], descriptor
    finally:
        os.close(descriptor)


def namespaces(ids: Ids | None, rights: Sequence[str] = RIGHTS) -> list[str]:
    """Options for the sandbox's own namespaces. If there are two ids, the user namespace already exists."""
    if ids is None:
        return ["--unshare-all", "--uid", "1000", "--gid", "1000"]
    kinds = [f"--unshare-{kind}" for kind in ("ipc", "pid", "net", "uts", "cgroup-try")]
    return [*kinds, "--cap-drop", "ALL", *(part for right in rights for part in ("--cap-add", right))]


def masks() -> list[str]:
    """Options that cover what /proc tells about the machine."""
    options = []
    for path in (Path("/proc", name) for name in READ_ONLY):
        if path.exists():
            options += ["--ro-bind", str(path), str(path)]
    for path in (Path("/proc", name) for name in MASKED):
        if path.is_dir():
            options += ["--tmpfs", str(path), "--remount-ro", str(path)]
        elif path.exists():
            options += ["--ro-bind", "/dev/null", str(path)]
    return options


def _memory() -> list[str]:
    """Empty folders in memory, each with a limit. Together they leave the programs part of the desktop's memory."""
    sizes = {"/dev/shm": (512, "1777"), "/tmp": (1024, "1777"), "/run": (64, "0755"), "/home": (2048, "0755"),
             "/var": (256, "0755")}  # fmt: skip
    options = []
    for path, (megabytes, mode) in sizes.items():
        options += ["--perms", mode, "--size", str(megabytes * 2**20), "--tmpfs", path]
    # Folders that bubblewrap makes on the way to others would be for the sandbox's root only.
    folders = {
        "/etc": "0755",
        "/opt": "0755",
        "/run/user": "0755",
        "/run/user/1000": "0700",
        "/home/user": "0755",
        "/var/tmp": "1777",
        "/tmp/.X11-unix": "1777",
    }
    for path, mode in folders.items():
        options += ["--perms", mode, "--dir", path]
    return options


def _etc(folder: Path, spec: DesktopSpec) -> list[str]:
    files = {
        "passwd": "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000:User:/home/user:/bin/bash\n",
        "group": "root:x:0:\nuser:x:1000:\n",
        "hosts": "127.0.0.1 localhost desktop\n",
        "resolv.conf": f"nameserver {SLIRP_DNS}\n" if spec.network == "full" else "",
    }
    options = []
    java = sorted(path.name for path in Path("/etc").glob("java-*-openjdk"))  # without it, Java does not start
    for name in (*ETC, *java, *(("ssl", "ca-certificates") if spec.network == "full" else ())):
        options += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for name, text in files.items():
        (folder / name).write_text(text)
        options += ["--ro-bind", str(folder / name), f"/etc/{name}"]
    return options


def system_folders() -> list[str]:
    """Options for the system folders next to /usr, for a sandbox that has /usr."""
    options = []
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            options += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            options += ["--ro-bind", str(path), str(path)]
    return options


def _environment() -> Mapping[str, str]:
    return {
        "HOME": "/home/user", "USER": "user", "LOGNAME": "user", "SHELL": "/bin/bash",
        "PATH": "/usr/bin:/bin:/usr/games", "PYTHONPATH": "/opt/deskbench", "XDG_RUNTIME_DIR": "/run/user/1000",
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip


def kill_sandbox(process: subprocess.Popen[bytes]) -> None:
    """Kill a sandbox from the inside out: bubblewrap then ends by itself and leaves no zombie to the host's init."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children():
            child.kill()
    try:
        process.wait(2.0)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def join_network(read: int, write: int, folder: Path, ids: Ids | None = None) -> subprocess.Popen[bytes]:
    """Give the sandbox its own network, from which it can reach neither the host's loopback nor its sockets.

    slirp4netns handles its packets, under the id of the sandbox's server and in its own sandbox.

    Args:
        read, write: ends of the pipe that bubblewrap's `--info-fd` writes to.
        folder: for what it needs on the host.
        ids: the sandbox's ids.

    Raises:
        UsageError: slirp4netns refuses; the message has its output.
    """
    os.close(write)
    with os.fdopen(read) as pipe:
        pid = str(json.load(pipe)["child-pid"])
    network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    owner = fcntl.ioctl(network, NS_GET_USERNS)  # may differ from the one that the programs are in
    ready, tell = os.pipe()
    command = [
        *_as_server(ids, folder), "slirp4netns", "--configure", "--disable-host-loopback", "--enable-seccomp",
        f"--ready-fd={tell}", "--exit-fd=0", f"--userns-path=/proc/self/fd/{owner}", "--netns-type=path",
        f"/proc/self/fd/{network}", "tap0",
    ]  # fmt: skip
    process = subprocess.Popen(  # it ends when its standard input does: when this process ends
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
        pass_fds=(owner, tell, network),
    )  # fmt: skip
    for descriptor in (network, owner, tell):
        os.close(descriptor)
    with os.fdopen(ready) as pipe:
        if select.select([pipe], [], [], NETWORK_SECONDS)[0] and pipe.read(1):
            return process
    process.kill()
    said = process.communicate()[1].decode("utf-8", "replace").strip().replace("\n", "; ")
    raise UsageError(f"cannot make a desktop with network: slirp4netns: {said} (/dev/net/tun must be writable)")


def _as_server(ids: Ids | None, folder: Path) -> list[str]:
    """A command prefix that runs slirp4netns under the id of the sandbox's server, if root starts it."""
    if ids is None or os.geteuid() != 0:
        return []
    taking = ["setpriv", f"--reuid={ids.server}", f"--regid={ids.server}", "--clear-groups", "--no-new-privs", "--"]
    if TUN.stat().st_mode & 0o006 == 0o006:
        return taking
    # Most systems let everybody open the device. If only root may, slirp4netns gets its own node in its place.
    own = folder / "tun"
    os.mknod(own, stat.S_IFCHR | 0o600, TUN.stat().st_rdev)
    os.chown(own, ids.server, ids.server)
    script = f'mount --bind "$1" {TUN}; shift; exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "--", "/bin/sh", "-c", script, "sh", str(own), *taking]


def end_network(process: subprocess.Popen[bytes]) -> None:
    """End the process that `join_network` started."""
    process.kill()
    process.wait()
    if process.stdin:
        process.stdin.close()
