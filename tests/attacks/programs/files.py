"""Runs in a desktop as the agent: reads and writes files that are not the agent's.

`files.py write PATH TEXT`, `files.py read MARKER PATH...`, `files.py spill MEGABYTES`, `files.py masked`. Prints a line
of JSON. Standard library only.
"""

import ctypes
import json
import os
import sys
from collections.abc import Callable

TMPFS, RAMFS, PROC, SYSFS, DEVPTS, MQUEUE = 0x01021994, 0x858458F6, 0x9FA0, 0x62656572, 0x1CD1, 0x19800202


def write(path, text):
    """Overwrite a file."""
    try:
        descriptor = os.open(path, os.O_WRONLY)
        os.write(descriptor, text.encode())
        os.close(descriptor)
    except OSError as error:
        return {"ok": False, "said": f"{path}: {error.strerror}"}
    return {"ok": True, "said": f"{path}: {len(text)} bytes were taken"}


def write_new(path):
    """Create a new file."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.unlink(path)
    except OSError as error:
        return {"ok": False, "said": f"{path}: {error.strerror}"}
    return {"ok": True, "said": f"{path} was made"}


def read(marker, *paths):
    """Look for a text that only the host has, at its paths and below the root of every visible process."""
    pids = [name for name in os.listdir("/proc") if name.isdigit()]
    befores = ["", *(f"/proc/{pid}/{name}" for pid in pids for name in ("root", "cwd"))]
    said = set()
    for before in befores:
        for path in paths:
            try:
                with open(before + path, "rb") as file:
                    if marker.encode() in file.read(1 << 20):
                        return {"ok": True, "said": f"read {before + path}"}
            except OSError as error:
                said.add(str(error.strerror))
    return {"ok": False, "said": ", ".join(sorted(said))}


def kind_of(path):
    """The magic number of the file system (statfs(2))."""
    buffer = ctypes.create_string_buffer(256)
    if ctypes.CDLL(None).statfs(path.encode(), buffer) != 0:
        return 0
    return int.from_bytes(buffer.raw[:8], sys.byteorder)


def spill(megabytes):
    """Write wherever possible, except on memory with a limit: anything else is somebody's disk."""
    memory = {TMPFS, RAMFS, PROC, SYSFS, DEVPTS, MQUEUE}
    tried = 0
    for folder, folders, _ in os.walk("/"):
        if folder == "/":
            folders[:] = [name for name in folders if name not in ("proc", "sys")]
        if not os.access(folder, os.W_OK) or kind_of(folder) in memory:
            continue
        tried += 1
        path = f"{folder}/deskbench-attack-spill"
        try:
            with open(path, "wb") as file:
                for _ in range(int(megabytes)):
                    file.write(b"x" * (1 << 20))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            continue
        return {"ok": True, "said": f"{megabytes} MB in {folder}, which is no memory of the desktop's", "path": path}
    return {"ok": False, "said": f"{tried} folders outside of the desktop's memory took nothing"}


MASKED = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/latency_stats", "/proc/kmsg",
          "/proc/timer_stats", "/proc/kpagecount", "/proc/kpageflags", "/sys/firmware/dmi/tables/smbios_entry_point",
          "/sys/kernel/security/lsm", "/sys/kernel/debug/sched/debug", "/sys/kernel/tracing/trace")  # fmt: skip
"""Files that container runtimes mask (the OCI's default list), and other files about the whole kernel."""


def masked():
    """Read the files that container runtimes mask."""
    got = []
    for path in MASKED:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            if os.read(descriptor, 64):
                got.append(path)
            os.close(descriptor)
        except OSError:
            continue
    return {"ok": bool(got), "said": f"read {', '.join(got)}" if got else f"{len(MASKED)} files, nothing in them"}


def cgroups():
    """Leave the control group, or change its limits."""
    names = {"cgroup.procs", "tasks", "memory.max", "memory.limit_in_bytes", "pids.max", "release_agent",
             "notify_on_release", "devices.allow"}  # fmt: skip
    for folder, folders, files in os.walk("/sys/fs/cgroup"):
        for name in names.intersection(files):
            try:
                descriptor = os.open(f"{folder}/{name}", os.O_WRONLY)
            except OSError:
                continue
            os.close(descriptor)
            return {"ok": True, "said": f"{folder}/{name} can be written"}
        del folders[200:]
    return {"ok": False, "said": "no control group can be written from here"}


def main():
    """Run the attack with the given name."""
    todo: dict[str, Callable[..., object]] = {
        "write": write,
        "write_new": write_new,
        "read": read,
        "spill": spill,
        "masked": masked,
        "cgroups": cgroups,
    }
    print(json.dumps(todo[sys.argv[1]](*sys.argv[2:])))


if __name__ == "__main__":
    main()
