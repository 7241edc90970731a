"""Limits the memory and processes of a desktop on this machine, with its own control group.

Processor time is shared, not limited: the programs of one desktop together get no more than those of another that is
also busy. This uses the kernel's control groups, version 1 or 2, as they are mounted (cgroups(7)). An ordinary user, or
a container that mounts them read-only, cannot make groups. There, limits apply to each process (prlimit(1)) and do not
bound the sum.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from deskbench.envs import wait

ROOT = Path("/sys/fs/cgroup")
MEMORY, PIDS = 6 * 2**30, 1024
"""Bytes of memory, including files in the sandbox; processes and threads."""
END_SECONDS = 5.0
_ENTER = 'for g; do shift; [ "$g" = -- ] && break; echo $$ > "$g/cgroup.procs" || exit 125; done; exec "$@"'
"""A shell joins the groups before it becomes the command, so no child of the command can escape them."""


def make(name: str) -> list[Path]:
    """Make groups with this name and the limits; empty if that is impossible.

    Args:
        name: unique on this machine.
    """
    made: list[Path] = []
    name = f"{name}.{os.getpid()}"  # names the owner: see sweep
    try:
        if (ROOT / "cgroup.controllers").exists():
            _make(ROOT / name, {"memory.max": MEMORY, "memory.swap.max": 0, "pids.max": PIDS}, made)
        else:
            limits = {"memory.limit_in_bytes": MEMORY}
            _make(_mine("memory") / name, limits, made)
            _make(_mine("pids") / name, {"pids.max": PIDS}, made)
            with contextlib.suppress(FileNotFoundError):  # processor time is shared, not limited
                _make(_mine("cpu") / name, {}, made)
    except OSError:
        remove(made)
        return []
    return made


def _make(group: Path, limits: dict[str, int], made: list[Path]) -> None:
    group.mkdir()
    made.append(group)
    for name, value in limits.items():
        if (group / name).exists() or name != "memory.swap.max":  # missing if the kernel does not count swap
            (group / name).write_text(str(value))


def _mine(controller: str) -> Path:
    """This process's own group of a version 1 controller: its limits bound the desktop, too."""
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            below = ROOT / controller / path.lstrip("/")
            return below if below.exists() else ROOT / controller  # in a container, the paths may be the host's
    raise FileNotFoundError(controller)


def entering(groups: list[Path], command: list[str]) -> list[str]:
    """A command that runs another in the groups; without groups, under limits for each process."""
    if not groups:
        return ["prlimit", f"--nproc={PIDS}", f"--data={MEMORY}", "--", *command]
    return ["/bin/sh", "-c", _ENTER, "sh", *(str(group) for group in groups), "--", *command]


def remove(groups: list[Path]) -> None:
    """Remove groups whose processes have ended or are about to."""

    def gone() -> bool:
        for group in groups:
            with contextlib.suppress(OSError):
                group.rmdir()
        return not any(group.exists() for group in groups)

    wait.until(gone, timeout=END_SECONDS, max_interval=0.02)


def sweep(prefix: str) -> None:
    """Remove groups with this prefix whose controllers have ended. A live one's group may just be empty still."""
    try:
        places = [ROOT] if (ROOT / "cgroup.controllers").exists() else [_mine(one) for one in ("memory", "pids", "cpu")]
    except OSError:
        return  # there are no groups here
    for place in places:
        for group in place.glob(f"{prefix}*"):
            if not Path("/proc", group.name.rpartition(".")[2]).exists():
                with contextlib.suppress(OSError):
                    group.rmdir()


def why_not() -> str:
    """Why desktops on this machine have no common limit; empty if they have one."""
    groups = make("deskbench-try")
    remove(groups)
    return "" if groups else f"cannot create control groups in {ROOT}: limits apply to each process alone"
