"""The virtual machine's image: a disk of Debian packages, a kernel, and the kernel's initramfs.

The disk has only the programs. The server comes with the initramfs, which is made from the sources here each time a
machine starts. So a change of our code needs no new disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from platformdirs import user_cache_path

from deskbench.envs.errors import StartError, UsageError
from deskbench.envs.providers.docker import image as images
from deskbench.envs.providers.payload import library_files, server_files

HOME = user_cache_path("deskbench") / "vm"
"""The folder for images, snapshots and the measured speed of this machine."""
RECIPE = images.DOCKER / "vm"
MODULES = (
    "drivers/virtio/virtio", "drivers/virtio/virtio_ring", "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev", "drivers/virtio/virtio_pci", "drivers/block/virtio_blk",
    "net/core/failover", "drivers/net/net_failover", "drivers/net/virtio_net", "drivers/firmware/qemu_fw_cfg",
)  # fmt: skip
"""Modules of Debian's cloud kernel for disk, network and passing in tokens, and what they need; ext4 is built in."""
FREE = 2048
"""Megabytes of free disk space for the machine's user."""
TOOLS = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "qemu-img": "qemu-utils", "dpkg-deb": "dpkg"}
LOG_LINES = 12


@dataclass(frozen=True)
class VmImage:
    """An image that was built.

    Attributes:
        folder: the folder of its files.
        programs: its list in `docker/`: light or full.
        recipe: a digest of what it was built from.
        digest: SHA-256 of disk and kernel, `sha256:…`.
    """

    folder: Path
    programs: str
    recipe: str
    digest: str

    @property
    def disk(self) -> Path:
        """The base of every machine's disk; never written to."""
        return self.folder / "disk.qcow2"

    @property
    def kernel(self) -> Path:
        """The kernel, a bzImage."""
        return self.folder / "vmlinuz"


def folder_of(programs: str, home: Path = HOME) -> Path:
    """The folder of an image.

    Raises:
        UsageError: there is no such list of programs.
    """
    if programs not in images.PROGRAMS:
        raise UsageError(f"unknown list of programs {programs!r}; known lists: {', '.join(images.PROGRAMS)}")
    return home / "images" / programs


def find_image(programs: str = "light", home: Path = HOME) -> VmImage:
    """An image that was built on this machine, from the user's cache.

    Raises:
        UsageError: it was not built, or was built from other packages; the message gives the fix.
    """
    folder = folder_of(programs, home)
    fix = f"deskbench image build --vm --programs {programs}"
    try:
        known = json.loads((folder / "image.json").read_text(encoding="utf-8"))
        image = VmImage(folder, known["programs"], known["recipe"], known["digest"])
    except (OSError, ValueError, KeyError):
        raise UsageError(f"there is no virtual machine image {programs}: build it with: {fix}") from None
    if image.recipe != recipe_digest(programs):
        raise UsageError(f"the virtual machine image {programs} was built from other packages: rebuild it with: {fix}")
    return image


def packages(programs: str) -> list[str]:
    """The Debian packages of an image."""
    lists = (images.DOCKER / "image.txt", RECIPE / "packages.txt", images.DOCKER / f"{programs}.txt")
    return sorted({*images.desktop_packages(), *(name for path in lists for name in images.listed(path))})


def recipe_digest(programs: str) -> str:
    """SHA-256 over what a disk is built from, except package versions, which Debian decides."""
    parts = [*packages(programs), *MODULES, str(FREE)]
    settings = [file for name in ("home", "settings") for file in (images.DOCKER / name).rglob("*") if file.is_file()]
    for file in sorted([*settings, *(RECIPE / f"{name}.sh" for name in ("kernel", "tree", "disk"))]):
        parts.append(hashlib.sha256(file.read_bytes()).hexdigest())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def build_vm(programs: str, say: Callable[[str], None]) -> VmImage:
    """Build an image, unless it exists already; takes a minute or two. A second caller waits.

    Args:
        programs: light or full.
        say: called with each step.

    Raises:
        UsageError: there is no such list, or a tool is missing; the message gives the fix.
        StartError: the build failed; the message has its last lines.
    """
    folder = folder_of(programs)
    needed = TOOLS if os.geteuid() == 0 else {**TOOLS, "newuidmap": "uidmap"}
    missing = {package for tool, package in needed.items() if shutil.which(tool, path=_path()) is None}
    if missing:
        raise UsageError(f"building a virtual machine image needs: apt-get install {' '.join(sorted(missing))}")
    with locked(f"image-{programs}"):
        with contextlib.suppress(UsageError):
            return find_image(programs)
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{programs}-"))
        try:
            _build(programs, made, say)
            recipe = recipe_digest(programs)
            digest = f"sha256:{_digest_of(made / 'disk.qcow2', made / 'vmlinuz')}"
            image = VmImage(folder, programs, recipe, digest)
            known = {name: value for name, value in asdict(image).items() if name != "folder"}
            (made / "image.json").write_text(json.dumps(known), encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            made.rename(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return image


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _build(programs: str, into: Path, say: Callable[[str], None]) -> None:
    """Pipe the file tree from mmdebstrap, as an archive, into the script that makes the disk."""
    wanted = packages(programs)
    say(f"installing {len(wanted)} packages with their dependencies, and making a disk image")
    # An ordinary user passes for root, using the user's subordinate ids (subuid(5)).
    rootly = [] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--map-auto", "--"]
    environment = {**os.environ, "PATH": _path()}
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        made = subprocess.Popen(
            _mmdebstrap(wanted), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment
        )
        try:
            done = subprocess.run(
                [*rootly, "sh", str(RECIPE / "disk.sh"), str(into), str(FREE), *MODULES],
                stdin=made.stdout, stdout=log, stderr=log, env=environment, check=False,
            )  # fmt: skip
        finally:
            assert made.stdout
            made.stdout.close()
            ended = made.wait()
        if ended or done.returncode:
            log.seek(0)
            tail = "\n".join(log.read().splitlines()[-LOG_LINES:])
            raise StartError(f"could not build the virtual machine image:\n{tail}")


def _mmdebstrap(wanted: list[str]) -> list[str]:
    """The mmdebstrap command. Passes scripts as text, because their files may be readable only by their owner."""
    inside = shlex.quote((RECIPE / "tree.sh").read_text(encoding="utf-8"))
    hooks = [
        'mkdir -p "$1/usr/share/deskbench"',
        *(f"copy-in {shlex.quote(str(images.DOCKER / name))} /usr/share/deskbench" for name in ("home", "settings")),
        f'chroot "$1" sh -c {inside}',
        (RECIPE / "kernel.sh").read_text(encoding="utf-8"),
    ]
    options = ["path-exclude=/usr/share/doc/*", "path-exclude=/usr/share/man/*", "force-unsafe-io"]
    return [
        "mmdebstrap", "--variant=minbase", *(f"--dpkgopt={option}" for option in options),
        f"--include={','.join(wanted)}", *(f"--customize-hook={hook}" for hook in hooks), images.SUITE, "-",
    ]  # fmt: skip


def _digest_of(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            while part := opened.read(1 << 22):
                digest.update(part)
    return digest.hexdigest()


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the machine-wide lock with this name."""
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# -- the kernel's initramfs ---------------------------------------------------------------------------------------


def first_files(image: VmImage) -> bytes:
    """The initramfs that the kernel unpacks and starts (a cpio archive): modules, the current server, start scripts."""
    parts: dict[str, tuple[int, bytes]] = {
        "init": (0o755, (RECIPE / "start.sh").read_bytes()),
        "bin/busybox": (0o755, (image.folder / "busybox").read_bytes()),
        "deskbench/init": (0o755, (RECIPE / "init.sh").read_bytes()),
    }
    modules = {module.stem: module.read_bytes() for module in sorted((image.folder / "modules").iterdir())}
    for number, name in enumerate(load_order(modules), 10):
        parts[f"modules/{number}-{name}.ko"] = (0o644, modules[name])
    for name, data in (*library_files("deskbench"), *server_files("deskbench/deskbench/envs")):
        parts[name] = (0o644, data)
    return _cpio(parts)


def load_order(modules: Mapping[str, bytes]) -> list[str]:
    """Kernel modules by name, each after those that it needs (which modinfo(8) shows as `depends`)."""
    ordered: list[str] = []

    def add(name: str) -> None:
        if name in modules and name not in ordered:
            _, _, rest = modules[name].partition(b"\0depends=")
            for needed in rest.partition(b"\0")[0].decode().split(","):
                add(needed.replace("-", "_"))
            ordered.append(name)

    for name in modules:
        add(name)
    return ordered


def _cpio(parts: dict[str, tuple[int, bytes]]) -> bytes:
    """An archive in the "newc" format (the kernel's initramfs-buffer-format.rst), with the folders that it needs."""
    folders = {"dev", "proc", "sys", "root"}
    for name in parts:
        folders |= {str(parent) for parent in Path(name).parents} - {"."}
    made = [_entry(name, 0o040755, b"") for name in sorted(folders)]
    made.append(_entry("dev/console", 0o020600, b"", (5, 1)))  # for what the first program prints before /dev exists
    made += [_entry(name, 0o100000 | mode, data) for name, (mode, data) in sorted(parts.items())]
    return b"".join([*made, _entry("TRAILER!!!", 0, b"")])


def _entry(name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> bytes:
    encoded = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)
