"""The system call filter: real calls from a process that installed it on itself."""

import errno
import json
import platform
import subprocess
import sys
import textwrap

import pytest

from deskbench.envs.server import seccomp

pytestmark = pytest.mark.skipif(platform.machine() not in seccomp.MACHINES, reason="no table for this machine")


def told(body: str) -> dict[str, int]:
    """The output of a filtered process: name to errno, 0 for a successful call."""
    script = textwrap.dedent(
        """
        import ctypes, json, os, platform, socket
        from deskbench.envs.server import seccomp
        libc = ctypes.CDLL(None, use_errno=True)
        column = list(seccomp.MACHINES).index(platform.machine())
        found = {}
        def call(name, number, *arguments):
            ctypes.set_errno(0)
            libc.syscall(number, *arguments)
            found[name] = ctypes.get_errno()
        seccomp.install()
        """
    ) + textwrap.dedent(body)
    done = subprocess.run(
        [sys.executable, "-c", script + "\nprint(json.dumps(found))"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


def test_what_is_forbidden_is_refused() -> None:
    """The kernel itself would answer these arguments differently: no call in the list changes anything here."""
    found = told(
        """
        for name, numbers in {**seccomp.FORBIDDEN, "ptrace": seccomp.PTRACE}.items():
            if numbers[column] >= 0:
                call(name, numbers[column], -1, -1, -1, -1, -1)
        """
    )
    assert len(found) > 40
    assert set(found.values()) == {errno.EPERM}


def test_what_an_old_kernel_does_not_have_is_not_there() -> None:
    found = told("for name, numbers in seccomp.ABSENT.items(): call(name, numbers[column], 0, 0, 0)")
    assert set(found.values()) == {errno.ENOSYS}


def test_no_namespace_comes_of_a_new_process() -> None:
    found = told(
        """
        for bit in (17, *range(25, 31)):
            call(str(bit), seccomp.CLONE[column], 1 << bit | 17, 0, 0, 0, 0)
        """
    )
    assert len(found) == 7 and set(found.values()) == {errno.EPERM}


def test_sockets_are_of_the_families_that_programs_use() -> None:
    found = told(
        """
        for family in range(46):
            for kind in (1, 2, 3):
                try:
                    socket.socket(family, kind).close()
                    found[str(family)] = 0
                    break
                except OSError as error:
                    found.setdefault(str(family), error.errno)
        """
    )
    assert {name for name, number in found.items() if number == 0} <= {"1", "2", "10", "16"}
    assert found["1"] == found["2"] == 0
    assert found["40"] == errno.EAFNOSUPPORT  # the way to the machine's hypervisor


def test_nothing_types_into_a_terminal_of_others() -> None:
    found = told("for number in seccomp.TERMINAL_INPUT: call(str(number), seccomp.IOCTL[column], 0, number, 0)")
    assert set(found.values()) == {errno.EPERM}


def test_programs_run_as_before() -> None:
    found = told(
        """
        import subprocess, threading
        thread = threading.Thread(target=lambda: found.update(thread=0))
        thread.start()
        thread.join()
        found["program"] = subprocess.run(["/bin/sh", "-c", "exit 0"]).returncode
        found["fork"] = os.waitpid(os.fork() or os._exit(0), 0)[1]
        """
    )
    assert found == {"thread": 0, "program": 0, "fork": 0}


def test_programs_of_the_32_bit_machine_have_no_calls_at_all() -> None:
    """They have their own numbers, which are not in the table."""
    code = seccomp.program("x86_64")
    assert code[:8] == (0x20).to_bytes(2, "little") + b"\0\0" + (4).to_bytes(4, "little")  # load the machine first
    assert len(code) // 8 < 4096  # BPF_MAXINSNS


def test_a_machine_without_a_table_is_an_error() -> None:
    with pytest.raises(OSError, match="riscv64"):
        seccomp.program("riscv64")
