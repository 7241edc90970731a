"""Windows desktops by Wine that break, and what a program in one cannot reach."""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest

from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.errors import EnvError
from deskbench.envs.providers.leftovers import PREFIX
from deskbench.envs.providers.wine import WineProvider

from .faults import Faults, Means

pytestmark = [pytest.mark.desktop, pytest.mark.slow, pytest.mark.timeout(600)]
PYTHON = r"Z:\opt\wine\python\python.exe"
NOTE = r"C:\Reports\note.txt"
WRITE_HELLO: dict[str, Any] = {
    "config": [
        {"type": "write_file", "parameters": {"path": NOTE, "text": ""}},
        {"type": "launch", "parameters": {"command": ["notepad", NOTE]}},
    ],
    "requires": {"os": ["windows"]},
    "evaluator": {
        "func": "text_equals",
        "result": {"type": "vm_file", "path": NOTE, "dest": "note.txt"},
        "expected": {"type": "rule", "rules": {"expected": "hello"}},
    },
    "oracle": [{"type": "type", "text": "hello"}, {"type": "key", "keys": ["ctrl", "s"]}],
}
FILL = "f = open('C:/full', 'wb', 0); [f.write(bytes(1 << 24)) for _ in iter(int, 1)]"
MEANS = Means(
    where=r"echo %USERPROFILE%\Documents\fault.txt",
    fill=f'{PYTHON} -c "{FILL}"',
    empty=r"del C:\full",
    flood=f"{PYTHON} -c \"print('x' * 10 ** 8)\"",
    large=f"{PYTHON} -c \"import os; open(os.path.expanduser('~/large'), 'wb').write(bytes(3000000))\"",
    task=WRITE_HELLO,
)


@pytest.fixture
def provider() -> Iterator[WineProvider]:
    made = WineProvider()
    yield made
    made.close()


@pytest.fixture
def make(provider: WineProvider) -> Callable[[], Desktop]:
    return lambda: provider.start(DesktopSpec())


def words(process: psutil.Process) -> set[str]:
    """The command of a process; nothing if it has just ended."""
    with contextlib.suppress(psutil.NoSuchProcess):  # a zombie, too
        return set(process.cmdline())
    return set()


class TestFaults(Faults):
    means: ClassVar[Means] = MEANS

    def hit_server(self, desktop: Any, number: int) -> None:
        family = psutil.Process(desktop.process.pid).children(recursive=True)
        (server,) = [p for p in family if {"deskbench.envs.server", "--port"} <= words(p)]
        server.send_signal(number)

    def kill(self, desktop: Any) -> None:
        psutil.Process(desktop.process.pid).children()[0].kill()

    def left(self) -> object:
        folders = [f.parent for f in Path("/tmp").glob(f"{PREFIX}*/owner") if f.read_text() == str(os.getpid())]
        return set(folders), set(psutil.Process().children(recursive=True))


def reaches(desktop: Desktop, address: str, port: int) -> bool:
    ask = f"import socket; socket.create_connection(({address!r}, {port}), 3); print('reached')"
    return "reached" in desktop.run([PYTHON, "-c", ask]).stdout


def test_neither_the_host_nor_another_desktop_is_reached(make: Callable[[], Desktop]) -> None:
    one, two = make(), make()
    serve = "import http.server as h; h.HTTPServer(('0.0.0.0', 8123), h.SimpleHTTPRequestHandler).serve_forever()"
    two.launch([PYTHON, "-c", serve])
    assert reaches(two, "127.0.0.1", 8123)
    with socket.create_server(("0.0.0.0", 0)) as listener:
        own = socket.gethostbyname(socket.gethostname())
        for address, port in ((own, listener.getsockname()[1]), ("10.0.2.2", 22), ("127.0.0.1", 8123)):
            assert not reaches(one, address, port), address


def test_control_needs_its_token(make: Callable[[], Desktop]) -> None:
    ask = (
        "import urllib.request as r, urllib.error as e\n"
        "try: print(r.urlopen('http://127.0.0.1:5000/v1/windows', timeout=5).status)\n"
        "except e.HTTPError as error: print(error.code)"
    )
    assert make().run([PYTHON, "-c", ask]).stdout.strip() == "401"


def test_memory_that_is_filled_ends_the_program_and_not_the_desktop(make: Callable[[], Desktop]) -> None:
    desktop = make()
    greedy = "x = []\nwhile True: x.append(bytearray(b'x') * 2**26)"
    desktop.run([PYTHON, "-c", greedy], timeout=120)  # it ends; Wine reports 0 for a program that Linux kills
    assert desktop.observe().screenshot is not None


def test_what_is_shared_of_windows_cannot_be_written(make: Callable[[], Desktop]) -> None:
    """Each desktop has its own drive, but system32 belongs to the template."""
    desktop = make()
    for path in (r"C:\windows\system32\x.dll", r"Z:\opt\wine\python\x.py", r"Z:\opt\deskbench\x.py", r"Z:\usr\x"):
        write = f"open({path!r}, 'w')"
        assert desktop.run([PYTHON, "-c", write]).returncode != 0, path


def test_nobody_answers_in_the_place_of_a_server_that_was_ended(make: Callable[[], Any]) -> None:
    desktop = make()
    desktop.write_file(r"C:\Reports\real.txt", b"real")
    with contextlib.suppress(EnvError):
        desktop.run(["taskkill", "/f", "/im", "python.exe"], timeout=10)
    desktop.process.wait(20)
    for ask in (lambda: desktop.read_file(r"C:\Reports\real.txt"), desktop.observe, desktop.health):
        with pytest.raises(EnvError):
            ask()


def test_what_windows_programs_have_told_is_not_what_files_hold(make: Callable[[], Any]) -> None:
    """Files and folders are read outside Wine."""
    desktop = make()
    desktop.run(["cmd", "/c", r"mkdir C:\Reports & echo one> C:\Reports\One.txt"])
    assert desktop.read_file(r"c:\REPORTS\one.TXT") == b"one\r\n"
    assert [child["name"] for child in desktop.list_directory(r"C:\reports")["children"]] == ["One.txt"]
