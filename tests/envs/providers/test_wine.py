"""Windows by Wine: the contract on the real Windows API, exact input in a Windows program, and its limits."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from deskbench.envs import wait
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.errors import EnvError, GuestUnreachable, UsageError
from deskbench.envs.providers.conformance import DesktopContract, Platform
from deskbench.envs.providers.local import LocalDesktop
from deskbench.envs.providers.wine import WineProvider
from deskbench.envs.types import Click, Drag, Key, KeyDown, Scroll, Type
from deskbench.envs.wire import Observe

pytestmark = [pytest.mark.desktop, pytest.mark.slow, pytest.mark.timeout(600)]
SPEC = DesktopSpec()
PYTHON = r"Z:\opt\wine\python\python.exe"
PROGRAMS = "import pathlib; print([(p / 'cmdline').read_bytes() for p in pathlib.Path('Z:/proc').glob('[0-9]*')])"
LEFT = PROGRAMS.replace("print(", "found = str(") + "; print('left' * ('4' + '321)' in found), end='')"
"""The running programs, as Linux lists them: Wine's own tasklist prints nothing."""
WINDOWS = Platform(
    editor=("notepad",),
    editor_title="Untitled - Notepad",
    editor_name="Notepad",
    other=("winver",),
    other_name="About Wine",
    in_tree='<edit name=""',
    failing="echo broken on purpose 1>&2 & exit 1",
    chatty="echo out& echo err>&2& exit 3",
    literal=("python", "-c", "print('$HOME *', end='')"),
    endless=f'{PYTHON} -c "import time; time.sleep(4321)"',
    left=f'{PYTHON} -c "{LEFT}"',
    processes=("python", "-c", PROGRAMS),
    where=r"echo %USERPROFILE%\Documents\note.txt",
    newline="\r\n",
    note=b"\xef\xbb\xbf",
    lacking={"terminal": "console", "recording": "record the screen", "clipboard": "not read"},
)


@pytest.fixture
def provider() -> Iterator[WineProvider]:
    made = WineProvider()
    yield made
    made.close()


@pytest.fixture
def make(provider: WineProvider) -> Callable[[], LocalDesktop]:
    return lambda: provider.start(SPEC)


class TestContract(DesktopContract):
    platform: ClassVar[Platform] = WINDOWS


def edit(desktop: Desktop) -> str:
    """The text in Notepad, from the tree."""
    tree = desktop.observe(Observe(screenshot=False, accessibility=True)).accessibility or ""
    return tree.partition("<edit name=")[2].partition(" st:")[0].strip("\"'")


def test_it_says_that_it_is_windows(make: Callable[[], Desktop]) -> None:
    desktop = make()
    health = desktop.health()
    assert health.platform == "Windows"
    assert desktop.run("ver", shell=True).stdout.strip().startswith("Microsoft Windows")
    assert desktop.run([PYTHON, "-c", "import sys; print(sys.platform)"]).stdout == "win32\r\n"


def test_keys_chords_and_clicks_edit_a_text(make: Callable[[], Desktop]) -> None:
    desktop = make()
    desktop.launch(["notepad"])
    desktop.act([Type("one two three"), Key(("ctrl", "left")), Key(("shift", "end")), Key(("delete",)), Type("<é漢>")])
    assert edit(desktop) == "one two &lt;é漢&gt;"
    desktop.act([Key(("ctrl", "a")), Key(("ctrl", "c")), Key(("end",)), Key(("ctrl", "v"))])
    assert edit(desktop) == "one two &lt;é漢&gt;" * 2
    desktop.act([Click(x=60, y=52, count=2), Type("X")])  # a double click selects a word
    assert edit(desktop).count("X") == 1


def test_nothing_stays_pressed_after_an_error(make: Callable[[], Desktop]) -> None:
    desktop = make()
    desktop.launch(["notepad"])
    seen = desktop.act([KeyDown("shift"), Drag(path=((5, 5), (5000, 5)))])
    assert [result.ok for result in seen.results] == [True, False] and "off the screen" in str(seen.results[1].error)
    desktop.act([Type("a"), Key(("b",)), Scroll(dx=1, dy=1, x=300, y=300)])
    assert edit(desktop) == "ab"


def test_a_saved_file_is_read(make: Callable[[], Desktop]) -> None:
    desktop = make()
    desktop.launch(["notepad"])
    desktop.act([Type("saved")])
    desktop.act([Key(("ctrl", "s"))])
    desktop.act([Type(r"C:\users\user\Documents\saved.txt"), Key(("enter",))])
    assert wait.until(lambda: desktop.read_file(r"C:\users\user\Documents\saved.txt") == b"saved", timeout=5)
    assert desktop.list_directory("~/Documents")["type"] == "directory"


def test_each_desktop_has_a_registry_of_its_own(make: Callable[[], Desktop]) -> None:
    one, two = make(), make()
    one.run(["reg", "add", r"HKCU\Software\Mine", "/v", "x", "/d", "1", "/f"])
    assert "REG_SZ" in one.run(["reg", "query", r"HKCU\Software\Mine"]).stdout
    assert "REG_SZ" not in two.run(["reg", "query", r"HKCU\Software\Mine"]).stdout


def test_the_host_is_not_there(make: Callable[[], Desktop], tmp_path: Path) -> None:
    desktop = make()
    assert desktop.run(["cmd", "/c", "dir", f"Z:{tmp_path}".replace("/", "\\")]).returncode != 0
    assert desktop.run(["cmd", "/c", "dir", r"Z:\root"]).returncode != 0


def test_a_death_in_the_middle_is_an_error_of_ours(provider: WineProvider) -> None:
    desktop = provider.start(SPEC)
    family = psutil.Process(desktop.process.pid).children(recursive=True)
    (server,) = [p for p in family if "deskbench.envs.server" in p.cmdline() and "--port" in p.cmdline()]
    server.kill()
    with pytest.raises(EnvError):
        desktop.act([Key(("a",))])
    provider.stop(desktop)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    with pytest.raises(GuestUnreachable):
        desktop.observe()


def test_it_has_no_place_outside_the_sandbox(provider: WineProvider) -> None:
    with pytest.raises(UsageError, match="leave out --unisolated"):
        provider.start(DesktopSpec(isolated=False))


def test_doctor(provider: WineProvider) -> None:
    checks = provider.doctor()
    assert [check.name for check in checks] == ["wine", "desktop"]
    assert all(check.ok for check in checks) or "console" in checks[1].detail
