"""Forbids system calls that nothing in a desktop needs and that have led out of containers.

The filter applies to a process and everything that it starts, permanently (seccomp(2)). bubblewrap installs it on a
sandbox; elsewhere, the server installs it on itself (`--filter`). It is a fixed table, because the server uses the
standard library only. The numbers are the kernel's (asm/unistd.h of each architecture). The list is what Docker's
default profile forbids without capabilities, plus a few calls that it added later.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
_LD_W, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
"""Instructions of classic BPF (linux/bpf_common.h): load a word, compare it, return."""
_NUMBER, _ARCH, _FIRST, _SECOND = 0, 4, 16, 24
"""Offsets in `struct seccomp_data`: the call's number, the architecture, the low halves of the first two arguments."""
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_X32 = 0x40000000
"""The bit that marks a call of the x32 ABI, which has its own numbers."""
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""Architectures by number (linux/audit.h)."""

FORBIDDEN: dict[str, tuple[int, int]] = {
    # name: its numbers on x86_64 and aarch64; -1 if it does not exist there
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "swapon": (167, 224), "swapoff": (168, 225),
    "unshare": (272, 97), "setns": (308, 268),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "pidfd_getfd": (438, 438), "kcmp": (312, 272), "open_by_handle_at": (304, 265),
    "lookup_dcookie": (212, 18), "quotactl": (179, 60), "quotactl_fd": (443, 443), "acct": (163, 89),
    "reboot": (169, 142), "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266),
    "syslog": (103, 116), "iopl": (172, -1), "ioperm": (173, -1), "uselib": (134, -1), "ustat": (136, -1),
    "sysfs": (139, -1), "sethostname": (170, 161), "setdomainname": (171, 162), "vhangup": (153, 58),
}  # fmt: skip
PTRACE = (101, 117)
ABSENT = {"clone3": (435, 435), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
          "io_uring_register": (427, 427)}  # fmt: skip
"""These fail as on an old kernel, and programs fall back. A filter cannot see the arguments of `clone3`."""
CLONE, SOCKET, IOCTL = (56, 220), (41, 198), (16, 29)
NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET (linux/sched.h)."""
FAMILIES = (0, 1, 2, 10, 16)
"""Address families that sockets may have: unspecified, Unix, IPv4, IPv6, netlink (linux/socket.h)."""
TERMINAL_INPUT = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX (ioctl_tty(2)), which type into somebody else's terminal."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def install() -> None:
    """Install the filter on this thread, before there are others, and on everything that it starts.

    Raises:
        OSError: the kernel refuses, or the architecture is unknown.
    """
    code = program(platform.machine())
    buffer = ctypes.create_string_buffer(code, len(code))
    filled = _Program(len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filled), 0, 0
    ):
        number = ctypes.get_errno()
        raise OSError(number, f"no filter of system calls: {os.strerror(number)}")


def program(machine: str, *, ptrace: bool = False) -> bytes:
    """The filter as the kernel reads it, 8 bytes per instruction.

    Args:
        machine: as `platform.machine` names it.
        ptrace: let programs trace one another, as Wine's server must.

    Raises:
        OSError: the architecture is unknown.
    """
    if machine not in MACHINES:
        raise OSError(errno.ENOSYS, f"no table of system calls for {machine}")
    column = list(MACHINES).index(machine)
    code = [
        *_unless(_ARCH, _JEQ, MACHINES[machine], errno.ENOSYS),
        _instruction(_LD_W, _NUMBER),
        *(_when(_JGE, _X32, errno.ENOSYS) if machine == "x86_64" else ()),
    ]
    denied = [*FORBIDDEN.values(), *(() if ptrace else (PTRACE,))]
    for numbers, error in [*((pair, errno.EPERM) for pair in denied), *((p, errno.ENOSYS) for p in ABSENT.values())]:
        if numbers[column] >= 0:
            code += _when(_JEQ, numbers[column], error)
    code += _for_call(CLONE[column], _FIRST, _when(_JSET, NAMESPACES, errno.EPERM))
    code += _for_call(SOCKET[column], _FIRST, _families())
    code += _for_call(IOCTL[column], _SECOND, [i for k in TERMINAL_INPUT for i in _when(_JEQ, k, errno.EPERM)])
    return b"".join([*code, _instruction(_RET, _ALLOW)])


def _instruction(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("<HBBI", code, yes, no, value)


def _when(compare: int, value: int, error: int) -> list[bytes]:
    """Return an error if the comparison of the loaded word holds."""
    return [_instruction(compare, value, 0, 1), _instruction(_RET, _ERRNO | error)]


def _unless(offset: int, compare: int, value: int, error: int) -> list[bytes]:
    return [_instruction(_LD_W, offset), _instruction(compare, value, 1, 0), _instruction(_RET, _ERRNO | error)]


def _families() -> list[bytes]:
    checks = [_instruction(_JEQ, family, len(FAMILIES) - index, 0) for index, family in enumerate(FAMILIES)]
    return [*checks, _instruction(_RET, _ERRNO | errno.EAFNOSUPPORT)]


def _for_call(number: int, offset: int, body: list[bytes]) -> list[bytes]:
    """Run a check for one call only: load an argument, check it, and load the call's number again."""
    inner = [_instruction(_LD_W, offset), *body, _instruction(_LD_W, _NUMBER)]
    return [_instruction(_JEQ, number, 0, len(inner)), *inner]
