"""What every desktop promises, as tests that each provider's test class inherits.

    class TestLocal(DesktopContract):
        @pytest.fixture
        def make(self): ...   # returns a function that starts a fresh desktop

A desktop in these tests has the programs of `envs/packages.txt`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from PIL import Image

from deskbench.envs import wait
from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import GuestError, GuestTimeout, Unfit
from deskbench.envs.types import Click, CursorPosition, Key, Move, Type, Wait
from deskbench.envs.wire import Observe


def _red() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(made, "BMP")
    return made.getvalue()


RED = _red()
"""A picture in the one format that every platform shows."""
NOTE = "~/Documents/note.txt"
APPEARS = 20.0
"""Seconds to wait for something to appear, even on an emulated machine."""


@dataclass(frozen=True)
class Platform:
    """What the contract's tests use on a platform.

    Attributes:
        editor, editor_title, editor_name: a program, its title without a file, and a part of that title.
        other, other_name: another program, and a part of its title.
        in_tree: text that the accessibility tree has for the editor.
        terminal: a terminal whose text can be read.
        failing: a shell command that prints `broken on purpose` and fails at once.
        chatty: a shell command that writes out and err to its two outputs and exits with 3.
        literal: a command that prints `$HOME *`.
        endless, left: a shell command that runs forever, and one that prints nothing once all of it is gone.
        processes: a command that lists programs.
        where: a shell command that prints NOTE's full path.
        newline: the line ending of the commands' output.
        note: initial bytes that make the editor keep a file in UTF-8.
        lacking: features that this kind of desktop lacks, each with a part of the reason that `health` gives.
    """

    editor: tuple[str, ...] = ("mousepad",)
    editor_title: str = "Untitled 1 - Mousepad"
    editor_name: str = "mousepad"
    other: tuple[str, ...] = ("galculator",)
    other_name: str = "galc"
    in_tree: str = '<menu name="File"'
    terminal: tuple[str, ...] = ("lxterminal",)
    failing: str = "echo broken on purpose >&2; exit 1"
    chatty: str = "echo out; echo err >&2; exit 3"
    literal: tuple[str, ...] = ("printf", "%s", "$HOME *")
    endless: str = "sleep 4321 & sleep 4321"
    left: str = "pgrep -f 'sleep 432[1]'"
    processes: tuple[str, ...] = ("ps", "-A", "-o", "comm")
    where: str = f"echo {NOTE}"
    newline: str = "\n"
    note: bytes = b""
    lacking: Mapping[str, str] = field(default_factory=dict)


class DesktopContract:
    """Inherit it and add a fixture `make` that starts fresh desktops; set `platform` if they are not Linux."""

    platform: ClassVar[Platform] = Platform()

    @pytest.fixture
    def desktop(self, make: Callable[[], Desktop]) -> Desktop:
        """One fresh desktop."""
        return make()

    def test_health_says_what_works(self, desktop: Desktop) -> None:
        """Every feature that a benchmark needs works here, or health says why not."""
        health = desktop.health()
        assert health.screen[0] > 0 and health.screen[1] > 0
        missing = {name: why for name, why in health.features.items() if why}
        assert missing.keys() == self.platform.lacking.keys()
        assert all(part in missing[name] for name, part in self.platform.lacking.items())

    def test_observation_is_a_picture_of_the_whole_screen(self, desktop: Desktop) -> None:
        """The screenshot's pixels are the coordinates of actions."""
        seen = desktop.observe()
        assert seen.screenshot is not None
        assert seen.screenshot.image.size == (seen.width, seen.height) == desktop.health().screen
        assert seen.settled is True

    def test_an_unchanged_screen_is_the_same_frame(self, desktop: Desktop) -> None:
        """Two observations of a quiet desktop have the same frame."""
        first, second = desktop.observe(), desktop.observe()
        assert first.screenshot is not None and second.screenshot is not None
        assert first.screenshot.sha256 == second.screenshot.sha256

    def test_the_pointer_goes_where_it_is_sent(self, desktop: Desktop) -> None:
        """The pointer is reported where it was moved, and the picture shows it."""
        before = desktop.act([Move(x=40, y=60)])
        after = desktop.act([Move(x=200, y=120), CursorPosition()])
        assert after.cursor == (200, 120)
        assert (after.results[1].ok, after.results[1].output) == (True, "200, 120")
        assert before.screenshot is not None and after.screenshot is not None
        assert before.screenshot.sha256 != after.screenshot.sha256

    def test_an_action_that_cannot_be_done_is_reported_and_stops_the_rest(self, desktop: Desktop) -> None:
        """A point off the screen is the agent's error, not the desktop's."""
        width, height = desktop.health().screen
        seen = desktop.act([Click(x=width, y=height), Move(x=1, y=1)])
        assert [result.ok for result in seen.results] == [False, False]
        assert str(width) in str(seen.results[0].error)

    def test_what_is_typed_arrives_in_the_program(self, desktop: Desktop) -> None:
        """Launch, type, save: the file holds every character of the text."""
        text = "a<b & c>d; `rm` $HOME 'x' \"y\" \\ naïve 漢字 привет 🙂"
        desktop.write_file(NOTE, self.platform.note)
        desktop.open(desktop.run(self.platform.where, shell=True).stdout.strip())
        desktop.act([Type(text)])
        desktop.act([Key(("ctrl", "s"))])
        assert wait.until(lambda: desktop.read_file(NOTE).decode("utf-8-sig").strip() == text, timeout=APPEARS)

    def test_windows_are_listed_activated_and_closed(self, desktop: Desktop) -> None:
        """Set-up can arrange windows, and gets an error if it cannot."""
        here = self.platform
        desktop.launch(here.editor)
        desktop.launch(here.other)
        assert any(here.other_name in w.title for w in desktop.windows())
        desktop.activate_window(here.editor_name)
        assert [w.title for w in desktop.windows() if w.active] == [here.editor_title]
        desktop.close_window(here.other_name)
        assert wait.until(lambda: not any(here.other_name in w.title for w in desktop.windows()), timeout=APPEARS)
        with pytest.raises(GuestError, match="no window"):
            desktop.activate_window("nothing of the kind")

    def test_accessibility_names_what_is_on_the_screen(self, desktop: Desktop) -> None:
        """The tree has the program's menus and where they are on the screen."""
        desktop.launch(self.platform.editor)
        seen = desktop.observe(Observe(accessibility=True))
        assert seen.accessibility is not None and seen.accessibility_complete
        assert self.platform.in_tree in seen.accessibility
        assert "cp:screencoord=" in seen.accessibility

    def test_terminal_text_is_read(self, desktop: Desktop) -> None:
        """The text of the focused terminal comes with the observation."""
        if "terminal" in self.platform.lacking:
            seen = desktop.observe(Observe(screenshot=False, terminal=True))
            assert seen.terminal is None and any("terminal" in problem for problem in seen.problems)
            return
        desktop.launch(self.platform.terminal)
        desktop.act([Type("echo one$((1+1))three\n")])
        assert wait.until(lambda: "one2three" in (self._terminal(desktop) or ""), timeout=APPEARS)

    def _terminal(self, desktop: Desktop) -> str | None:
        return desktop.observe(Observe(screenshot=False, terminal=True)).terminal

    @pytest.mark.parametrize("data", [b"", b"\x00\xff\r\n" * 1000, "ünïcödé".encode()])
    def test_files_come_back_as_they_were_sent(self, desktop: Desktop, data: bytes) -> None:
        """Bytes survive, under a name with spaces and accents, in a folder that did not exist."""
        path = "~/new folder/été 1.bin"
        desktop.write_file(path, data)
        assert desktop.read_file(path) == data

    def test_a_missing_file_is_an_answer(self, desktop: Desktop) -> None:
        """It is not the desktop's fault."""
        with pytest.raises(FileNotFoundError):
            desktop.read_file("~/nothing/here")
        with pytest.raises(FileNotFoundError):
            desktop.list_directory("~/nothing")

    def test_what_is_another_thing_than_asked_for_is_told(self, desktop: Desktop) -> None:
        """A folder instead of a file, a file instead of a folder, and a file that is too large raise Unfit."""
        desktop.write_file("~/kind/file.txt", b"12345")
        for ask in (
            lambda: desktop.read_file("~/kind"),
            lambda: desktop.list_directory("~/kind/file.txt"),
            lambda: desktop.read_file("~/kind/file.txt", max_bytes=4),
        ):
            with pytest.raises(Unfit):
                ask()

    def test_a_folder_is_listed(self, desktop: Desktop) -> None:
        """OSWorld's tree."""
        desktop.write_file("~/tree/a/b.txt", b"b")
        assert desktop.list_directory("~/tree") == {
            "type": "directory",
            "name": "tree",
            "children": [{"type": "directory", "name": "a", "children": [{"type": "file", "name": "b.txt"}]}],
        }

    def test_commands_run_to_their_end(self, desktop: Desktop) -> None:
        """Output, error output and exit status are kept apart."""
        done = desktop.run(self.platform.chatty, shell=True)
        end = self.platform.newline
        assert (done.returncode, done.stdout, done.stderr) == (3, f"out{end}", f"err{end}")
        assert desktop.run(self.platform.literal).stdout == "$HOME *"

    def test_a_command_that_does_not_end_is_ended(self, desktop: Desktop) -> None:
        """Ending a command ends its children, too."""
        with pytest.raises((GuestTimeout, GuestError), match="still running"):
            desktop.run(self.platform.endless, shell=True, timeout=0.5)
        assert desktop.run(self.platform.left, shell=True).stdout == ""

    def test_a_program_that_fails_to_start_says_why(self, desktop: Desktop) -> None:
        """The error has the program's own message."""
        with pytest.raises(GuestError, match="no-such-program"):
            desktop.launch(["no-such-program"])
        with pytest.raises(GuestError, match="broken on purpose"):
            desktop.launch(self.platform.failing, shell=True)

    def test_a_picture_is_put_behind_everything(self, desktop: Desktop) -> None:
        """The wallpaper's file can be read back, wherever the desktop keeps it."""
        desktop.write_file("~/Pictures/red.bmp", RED)
        desktop.set_wallpaper("~/Pictures/red.bmp")
        assert desktop.wallpaper() == RED
        with pytest.raises((GuestError, FileNotFoundError)):
            desktop.set_wallpaper("~/Pictures/none.bmp")

    def test_the_screen_is_filmed(self, desktop: Desktop) -> None:
        """The recording is an MP4."""
        if "recording" in self.platform.lacking:
            with pytest.raises(GuestError, match="record"):
                desktop.start_recording()
            return
        desktop.start_recording()
        desktop.act([Move(x=300, y=300), Wait(0.5)])
        film = desktop.end_recording()
        assert film[4:8] == b"ftyp" and len(film) > 1000

    def test_desktops_are_independent(self, make: Callable[[], Desktop]) -> None:
        """A desktop sees no files, programs or pointer of another."""
        one, two = make(), make()
        one.write_file("~/mine.txt", b"1")
        one.launch(self.platform.other)
        with pytest.raises(FileNotFoundError):
            two.read_file("~/mine.txt")
        assert self.platform.other[0] not in two.run(self.platform.processes).stdout
        one.act([Move(x=11, y=22)])
        assert two.observe().cursor != (11, 22)
