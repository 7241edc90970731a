"""What a program in a desktop cannot do: tests that each provider inherits, all run as the agent's user."""

import itertools
import socket
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import GuestError, Unfit


def shell(desktop: Desktop, command: str) -> str:
    return desktop.run(command, shell=True).stdout


class Walls:
    """Inherit it with a fixture `make` that starts a desktop with `tokens`."""

    bomb_seconds: ClassVar[int] = 20
    """Seconds that a fork bomb may take to reach its limit."""

    def test_programs_are_an_ordinary_user(self, make: Callable[[], Desktop]) -> None:
        assert shell(make(), "id -u; id -un; echo ~") == "1000\nuser\n/home/user\n"

    def test_the_tokens_cannot_be_read(self, make: Callable[[], Any]) -> None:
        desktop = make()
        for token in desktop.tokens.values():
            assert token not in shell(desktop, "cat /proc/*/cmdline /proc/*/environ 2>/dev/null | tr '\\0' ' '")
            assert (
                shell(desktop, f"timeout 20 grep -rl -e {token[1:]} /run /tmp /home /var /etc /opt 2>/dev/null") == ""
            )
        servers = shell(desktop, "pgrep -f '^/usr/bin/python3 (-s )?-m deskbench'").split()
        assert servers
        for pid, name in itertools.product(servers, ("mem", "environ", "maps", "fd/0", "task/*/mem")):
            tried = desktop.run(f"head -c 1 /proc/{pid}/{name}", shell=True)
            assert tried.returncode != 0 and "Permission denied" in tried.stderr, name

    def test_control_needs_its_token(self, make: Callable[[], Desktop]) -> None:
        """No listener in the desktop answers a control route for a program."""
        desktop = make()
        listening = shell(desktop, "cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == \"0A\" {print $2}'").split()
        for address in listening:
            port = int(address.rpartition(":")[2], 16)
            ask = f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:{port}/v1/run', b'{{}}', 2).status)"
            assert desktop.run(["python3", "-c", ask]).stdout == "", port

    def test_neither_the_controller_nor_the_host_is_reached(self, make: Callable[[], Desktop]) -> None:
        desktop = make()
        with socket.create_server(("0.0.0.0", 0)) as listener:
            port = listener.getsockname()[1]
            own = socket.gethostbyname(socket.gethostname())
            for address in {"127.0.0.1", "10.0.2.2", "172.17.0.1", own}:
                reached = desktop.run(f"timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/{port}'", shell=True)
                assert reached.returncode != 0, address

    def test_another_desktop_is_not_reached(self, make: Callable[[], Desktop]) -> None:
        one, two = make(), make()
        two.run("cd /tmp && (python3 -m http.server 8123 >/dev/null 2>&1 &)", shell=True)
        addresses = shell(two, "hostname -I 2>/dev/null").split()
        for address in ("127.0.0.1", *addresses):
            reached = one.run(f"timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/8123'", shell=True)
            assert reached.returncode != 0, address
        one.write_file("/tmp/mine.txt", b"1")
        assert "mine.txt" not in shell(two, "ls -A /tmp")

    def test_memory_that_is_filled_ends_the_program_and_not_the_desktop(self, make: Callable[[], Desktop]) -> None:
        desktop = make()
        greedy = "x = []\nwhile True: x.append(bytearray(b'x') * 2**26)"
        assert desktop.run(["python3", "-c", greedy], timeout=120).returncode != 0
        assert desktop.observe().screenshot is not None

    def test_a_fork_bomb_ends_at_a_limit(self, make: Callable[[], Desktop]) -> None:
        desktop = make()
        bomb = (
            "import os, time\ntry:\n while True:\n  if os.fork() == 0: time.sleep(300)\nexcept OSError as e: print(e)"
        )
        limit = self.bomb_seconds
        told = desktop.run(f"timeout {limit} python3 -c '{bomb}'", shell=True, timeout=limit + 40)
        assert "Resource temporarily unavailable" in told.stdout
        assert desktop.observe().screenshot is not None
        desktop.run(["pkill", "-f", "os.fork"])
        assert desktop.run(["echo", "alive"]).stdout == "alive\n"

    @pytest.mark.parametrize("path", ["/etc/shadow", "~/../../etc/shadow", "/run/deskbench/../../root"])
    def test_a_file_of_roots_is_not_read(self, make: Callable[[], Desktop], path: str) -> None:
        desktop = make()
        desktop.run(["ln", "-s", path.replace("~", "/home/user"), "/home/user/link"])
        for name in (path, "~/link"):
            with pytest.raises((GuestError, Unfit, FileNotFoundError)):
                desktop.read_file(name)

    @pytest.mark.parametrize("path", ["/etc/cron.d/x", "/opt/deskbench/x.py", "~/../../usr/x", "~/link/x"])
    def test_a_file_is_not_written_where_the_user_may_not(self, make: Callable[[], Desktop], path: str) -> None:
        desktop = make()
        desktop.run(["ln", "-s", "/opt/deskbench", "/home/user/link"])
        with pytest.raises(GuestError):
            desktop.write_file(path, b"x")
