"""Persistence: whatever an agent leaves in its desktop is gone in the next episode."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from platformdirs import user_cache_path

from deskbench.envs import wait
from deskbench.envs.clients.http import Client
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.errors import EnvError
from deskbench.envs.providers.payload import payload
from tests.attacks.arenas import Arena
from tests.attacks.base import DOCKER, LINUX, QEMU, ROOT, USER, WINE, Outcome, attack, blocked, judged
from tests.tasks.stage import Stage

SPEC = DesktopSpec()
INSIDE = (ROOT, USER, DOCKER, QEMU, WINE)
PLACES = 12
"""Minimum number of places where something can be left; with fewer, the attack did not happen."""
GONE_SECONDS = 10.0


def _mark() -> str:
    return f"attack-{secrets.token_hex(6)}"


def _left(arena: Arena, mark: str, desktop: Client) -> int:
    found = arena.program("persistence", "leave", mark, on=desktop)
    assert len(found["places"]) >= PLACES, found
    return len(found["places"])


def _looked(arena: Arena, mark: str, count: int, desktop: Client) -> Outcome:
    found = arena.program("persistence", "look", mark, on=desktop)
    return judged(found["ok"], f"left in {count} places; {found['said']}")


@contextlib.contextmanager
def _next(arena: Arena) -> Iterator[Client]:
    desktop = arena.start()
    try:
        yield desktop
    finally:
        arena.stop(desktop)


@attack("stay-there", "persistence", "what is left is there while the desktop lives, or nothing would be proven", LINUX)
def there(arena: Arena) -> Outcome:
    mark = _mark()
    with _next(arena) as first:
        count = _left(arena, mark, first)
        found = arena.program("persistence", "look", mark, on=first)
        assert len(found["said"].split(",")) >= PLACES, found
    return blocked(f"left in {count} places, of which a look finds {len(found['said'].split(','))}")


@attack("stay-new", "persistence", "files, settings, services, programs, X, clipboard, IPC: in the next desktop")
def stay_new(arena: Arena) -> Outcome:
    mark = _mark()
    with _next(arena) as first:
        count = _left(arena, mark, first)
    with _next(arena) as second:
        return _looked(arena, mark, count, second)


@attack(
    "stay-pool", "persistence", "the same, in one that was warm in the pool all the while, and the one after", INSIDE
)
def stay_pool(arena: Arena) -> Outcome:
    mark, pool = _mark(), arena.pool()
    first = pool.start(SPEC)  # the next one is started ahead
    assert isinstance(first, Client)
    try:
        pool.ready(SPEC)
        count = _left(arena, mark, first)
        for _ in range(2):
            pool.stop(first)
            first = pool.start(SPEC)
            assert isinstance(first, Client)
            outcome = _looked(arena, mark, count, first)
            if outcome.verdict != "blocked":
                break
    finally:
        pool.close()
    return outcome


@attack("stay-broken", "persistence", "the same, by an episode that ends its own session", LINUX)
def stay_broken(arena: Arena) -> Outcome:
    mark = _mark()
    with _next(arena) as first:
        first.answer_seconds = 10.0 * arena.slow
        with contextlib.suppress(EnvError, AssertionError):
            arena.program("persistence", "end", mark, on=first)
    with _next(arena) as second:
        return _looked(arena, mark, PLACES, second)


@attack("stay-asset", "persistence", "spoil a task's file, which the controller keeps for the next", LINUX)
def stay_asset(arena: Arena) -> Outcome:
    with tempfile.TemporaryDirectory() as scratch:
        folder, mark = Path(scratch), _mark()
        source = folder / "given.txt"
        source.write_text("as the task gives it")
        path = "/tmp/given.txt"

        def given(desktop: Client) -> bytes:
            Stage(desktop, folder).do("download", files=[{"url": source.as_uri(), "path": path}])
            return desktop.read_file(path)

        with _next(arena) as first:
            assert given(first) == source.read_bytes()
            first.run(
                ["/bin/sh", "-c", f"echo {mark} >> {path}; ln -f {path} /tmp/again; ln -sf /etc/passwd {path}.part"]
            )
            assert mark.encode() in first.read_file(path)
            again = given(first)
        with _next(arena) as second:
            then = given(second)
    return judged(mark.encode() in again + then, f"given again: {again.decode()!r}, to the next: {then.decode()!r}")


@attack("stay-payload", "persistence", "change what the server of the next desktop is made of", INSIDE)
def stay_payload(arena: Arena) -> Outcome:
    before = _digest(payload())
    found = arena.program("persistence", "payload", _mark())
    changed = _digest(payload()) != before
    return judged(changed or found["ok"], f"the copy here {'changed' if changed else 'is as it was'}; {found['said']}")


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            digest.update(f"{path}\0{path.stat().st_mode}\0".encode() + path.read_bytes())
    return digest.hexdigest()


@attack("stay-here", "persistence", "continue after the desktop's end: programs, files, memory, control groups of the host",
        (ROOT, USER, DOCKER, WINE))  # fmt: skip
def stay_here(arena: Arena) -> Outcome:
    mark = _mark()
    with _next(arena) as first:
        count = _left(arena, mark, first)
        groups: list[Path] = getattr(first, "groups", [])
        folder: Path | None = getattr(first, "folder", None)
        alive = _programs(mark)
    looks: dict[str, Callable[[], object]] = {
        "a program": lambda: _programs(mark),
        "a folder": lambda: folder is not None and folder.exists(),
        "a control group": lambda: [group for group in groups if group.exists()],
        "memory": (Path("/dev/shm") / mark).exists,
    }
    wait.until(lambda: not any(look() for look in looks.values()), timeout=GONE_SECONDS, interval=0.1)
    found = [what for what, look in looks.items() if look()]
    return judged(bool(found), f"{alive} programs while it lived, {count} places; afterwards {found or 'nothing'}")


def _programs(mark: str) -> int:
    """The number of programs on this machine with the mark in their command line."""
    count = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            count += process.pid != os.getpid() and any(mark in word for word in process.cmdline())
    return count


@attack(
    "stay-image", "persistence", "write into the image or the snapshot that the next desktop is made of", (DOCKER, QEMU)
)
def stay_image(arena: Arena) -> Outcome:
    mark = _mark()
    before = arena.provider.describe()
    kept = _image_files()
    with _next(arena) as first:
        count = _left(arena, mark, first)
        first.run(["/bin/sh", "-c", "sync; /usr/bin/find / -xdev -writable -type d 2>/dev/null | head -200 | "
                   f"while read d; do echo {mark} > $d/attack 2>/dev/null; done; sync"], timeout=100)  # fmt: skip
    after, still = arena.provider.describe(), _image_files()
    changed = [name for name in kept if still.get(name) != kept[name]]
    with _next(arena) as second:
        outcome = _looked(arena, mark, count, second)
    return judged(
        outcome.verdict != "blocked" or before != after or bool(changed), f"{changed or len(kept)}; {outcome.evidence}"
    )


def _image_files() -> dict[str, tuple[int, int]]:
    """QEMU's images and snapshots, with size and time of the last write."""
    files = [path for path in (user_cache_path("deskbench") / "vm").rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}
