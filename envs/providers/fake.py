"""A desktop in memory with one text editor, for testing the logic of loops and for trying things without a machine.

It keeps the promises of `Desktop` as far as one program can. Typing writes into the editor, Ctrl-S saves, the
screenshot shows the text, and the accessibility tree names the editor's two widgets. It starts no process and never
waits.
"""

from __future__ import annotations

import io
import itertools
import posixpath
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from PIL import Image, ImageDraw

from deskbench.envs.desktop import Check, CommandResult, Desktop, DesktopSpec, Window
from deskbench.envs.errors import GuestError, GuestUnreachable, NotThere, Unfit
from deskbench.envs.types import (
    Action,
    ActionResult,
    Click,
    CursorPosition,
    Exec,
    Key,
    Observation,
    Screenshot,
    Type,
)
from deskbench.envs.wire import PROTOCOL, SETTLING, Health, Observe

HOME = "/home/user"
SAVE = (20, 20, 80, 30)
"""The "Save" button: left, top, width, height in pixels."""
TEXT = (20, 60, 600, 300)
"""The editor's text box."""
COLUMNS, ROWS = 90, 18
"""How many characters fit in the text box."""
_CP = "https://accessibility.ubuntu.example.org/ns/component"
_ST = "https://accessibility.ubuntu.example.org/ns/state"


class FakeDesktop:
    """One editor in memory.

    Attributes:
        files: path to bytes.
        text: the editor's text.
        path: the file that the editor has open.
        done: every action that was carried out, in order.
    """

    def __init__(self, name: str, spec: DesktopSpec) -> None:
        self.name = name
        self.spec = spec
        self.files: dict[str, bytes] = {}
        self.text = ""
        self.path = f"{HOME}/document.txt"
        self.done: list[Action] = []
        self.picture: str | None = None
        self.running = True
        self.cursor = (spec.width // 2, spec.height // 2)

    def health(self) -> Health:
        """Everything works except recording, the terminal and running code."""
        self._live()
        features = dict.fromkeys(("screenshot", "input", "settle", "accessibility"), "")
        features |= dict.fromkeys(("recording", "terminal", "exec"), "a desktop in memory does not have this")
        return Health("deskbench", PROTOCOL, "Linux", (self.spec.width, self.spec.height), features)

    def act(self, actions: Sequence[Action], observe: Observe | None = None) -> Observation:
        """Carry the actions out; stop after the first failure."""
        self._live()
        results: list[ActionResult] = []
        for action in actions:
            if results and not results[-1].ok:
                results.append(ActionResult(False, "not carried out: an action before it failed"))
                continue
            error = self._problem(action)
            results.append(ActionResult(error is None, error, None if error else self._perform(action)))
        return self._look(observe or Observe(), tuple(results))

    def observe(self, observe: Observe | None = None) -> Observation:
        """Look without acting."""
        self._live()
        return self._look(observe or Observe(), ())

    def _problem(self, action: Action) -> str | None:
        if isinstance(action, Exec):
            return "a desktop in memory runs no code"
        for x, y in action.points:
            if not (0 <= x < self.spec.width and 0 <= y < self.spec.height):
                return f"({x}, {y}) is off the screen, which is {self.spec.width}x{self.spec.height}"
        return None

    def _perform(self, action: Action) -> str | None:
        self.done.append(action)
        for point in action.points:
            self.cursor = point
        if isinstance(action, Type):
            self.text += action.text
        elif isinstance(action, Key):
            self._key(action.keys)
        elif isinstance(action, Click) and _inside(self.cursor, SAVE):
            self._save()
        elif isinstance(action, CursorPosition):
            return f"{self.cursor[0]}, {self.cursor[1]}"
        return None

    def _key(self, keys: tuple[str, ...]) -> None:
        if keys in (("ctrl", "s"), ("ctrlleft", "s")):
            self._save()
        elif keys == ("backspace",):
            self.text = self.text[:-1]
        elif keys == ("enter",):
            self.text += "\n"

    def _save(self) -> None:
        self.files[self.path] = self.text.encode()

    def _look(self, observe: Observe, results: tuple[ActionResult, ...]) -> Observation:
        return Observation(
            screenshot=Screenshot.of(self._picture()) if observe.screenshot else None,
            width=self.spec.width,
            height=self.spec.height,
            cursor=self.cursor,
            accessibility=self._tree() if observe.accessibility else None,
            settled=True if observe.policy in SETTLING else None,
            settled_by="quiet" if observe.policy in SETTLING else None,
            results=results,
            problems=("terminal: a desktop in memory has none",) if observe.terminal else (),
        )

    def _picture(self) -> bytes:
        image = Image.new("RGB", (self.spec.width, self.spec.height), "#3a6ea5")
        draw = ImageDraw.Draw(image)
        shown = "\n".join(line[-COLUMNS:] for line in self.text.split("\n")[-ROWS:])  # what scrolled out is not drawn
        for (x, y, width, height), text in ((SAVE, "Save"), (TEXT, shown)):
            draw.rectangle((x, y, x + width - 1, y + height - 1), fill="white", outline="black")
            draw.multiline_text((x + 6, y + 6), text.encode("ascii", "backslashreplace").decode(), fill="black")
        x, y = self.cursor
        draw.polygon(((x, y), (x, y + 12), (x + 8, y + 8)), fill="black", outline="white")
        buffer = io.BytesIO()
        image.save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()

    def _tree(self) -> str:
        def node(tag: str, name: str, box: tuple[int, int, int, int], text: str = "", inner: str = "") -> str:
            x, y, width, height = box
            return (
                f'<{tag} name={quoteattr(name)} st:enabled="true" st:showing="true"'
                f' cp:screencoord="({x}, {y})" cp:size="({width}, {height})">'
                f"{escape(text)}{inner}</{tag}>"
            )

        inner = node("push-button", "Save", SAVE) + node("text", "Document", TEXT, self.text)
        frame = node("frame", f"{self.path} - Editor", (0, 0, self.spec.width, self.spec.height), inner=inner)
        spaces = f'xmlns:cp="{_CP}" xmlns:st="{_ST}"'
        return f'<desktop-frame {spaces}><application name="editor">{frame}</application></desktop-frame>'

    def run(
        self, command: str | Sequence[str], *, shell: bool = False, timeout: float = 120.0, cwd: str | None = None
    ) -> CommandResult:
        """Run `true`, `false`, `echo WORDS` or `cat PATH`; any other command is not found."""
        self._live()
        words = command.split() if isinstance(command, str) else list(command)
        name, rest = (words[0], words[1:]) if words else ("true", [])
        if name == "echo":
            return CommandResult(0, " ".join(rest) + "\n", "")
        if name == "cat" and rest and _expand(rest[0]) in self.files:
            return CommandResult(0, self.files[_expand(rest[0])].decode("utf-8", "replace"), "")
        if name in ("true", "false", "cat"):
            return CommandResult(int(name != "true"), "", "")
        return CommandResult(127, "", f"{name}: command not found")

    def launch(self, command: str | Sequence[str], *, shell: bool = False) -> None:
        """`editor PATH` opens a file in the editor."""
        words = command.split() if isinstance(command, str) else list(command)
        if not words or words[0] != "editor":
            raise GuestError(f"{self.name}: cannot start {command!r}: a desktop in memory has only an editor", 400)
        self.open(words[1] if len(words) > 1 else self.path)

    def open(self, path: str) -> None:
        """Open a file in the editor."""
        self._live()
        self.path = _expand(path)
        self.text = self.files.get(self.path, b"").decode("utf-8", "replace")

    def read_file(self, path: str, *, max_bytes: int = 256 * 2**20) -> bytes:
        """A file's bytes."""
        self._live()
        where = _expand(path)
        if where not in self.files:
            if any(name.startswith(f"{where}/") for name in self.files):
                raise Unfit(f"{path} is a folder")
            raise FileNotFoundError(path)
        data = self.files[where]
        if len(data) > max_bytes:
            raise Unfit(f"{path} has more than {max_bytes} bytes")
        return data

    def write_file(self, path: str, data: bytes) -> None:
        """Write a file."""
        self._live()
        self.files[_expand(path)] = data

    def list_directory(self, path: str) -> dict[str, object]:
        """The files of one folder, as a tree of depth one."""
        folder = _expand(path).rstrip("/")
        if folder in self.files:
            raise Unfit(f"{path} is a file")
        names = sorted(posixpath.basename(name) for name in self.files if posixpath.dirname(name) == folder)
        if not names and folder != HOME:
            raise FileNotFoundError(path)
        children = [{"type": "file", "name": name} for name in names]
        return {"type": "directory", "name": posixpath.basename(folder), "children": children}

    def windows(self) -> list[Window]:
        """The editor's window."""
        self._live()
        title = f"{self.path} - Editor"
        return [Window("0x1", title, "editor.Editor", 0, 0, self.spec.width, self.spec.height, active=True)]

    def activate_window(self, name: str, *, strict: bool = False, by_class: bool = False) -> None:
        """Check the name; the editor is always in front."""
        if not self._is_editor(name, strict, by_class):
            raise NotThere(f"{self.name}: no window {name!r}")

    def close_window(self, name: str, *, strict: bool = False, by_class: bool = False) -> None:
        """Close the open file; the editor stays."""
        self.activate_window(name, strict=strict, by_class=by_class)
        self.open(f"{HOME}/document.txt")

    def _is_editor(self, name: str, strict: bool, by_class: bool) -> bool:
        window = self.windows()[0]
        whole = window.wm_class if by_class else window.title
        return name == whole if strict else name.lower() in whole.lower()

    def forward(self, port: int) -> str:
        """Always fail: no port leads anywhere."""
        raise GuestError(f"{self.name} has no port {port}")

    def wallpaper(self) -> bytes | None:
        """The wallpaper's file. It is not drawn."""
        return None if self.picture is None else self.read_file(self.picture)

    def set_wallpaper(self, path: str) -> None:
        """Remember the path of an existing file."""
        self.read_file(path)
        self.picture = path

    def start_recording(self) -> None:
        """Always fail: there is nothing to record."""
        raise GuestError(f"{self.name}: a desktop in memory cannot be recorded")

    def end_recording(self) -> bytes:
        """Always fail: there is nothing to record."""
        raise GuestError(f"{self.name}: a desktop in memory cannot be recorded")

    def _live(self) -> None:
        if not self.running:
            raise GuestUnreachable(f"{self.name} has been stopped")


class FakeProvider:
    """Makes desktops in memory."""

    name = "fake"
    capacity: int | None = None
    platform: str | None = "Linux"

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.running: dict[str, FakeDesktop] = {}

    def describe(self) -> dict[str, str]:
        """Nothing: there is no image."""
        return {}

    def start(self, spec: DesktopSpec) -> Desktop:
        """Start a fresh desktop."""
        desktop = FakeDesktop(f"fake-{next(self._numbers)}", spec)
        self.running[desktop.name] = desktop
        return desktop

    def stop(self, desktop: Desktop) -> None:
        """End a desktop."""
        found = self.running.pop(desktop.name, None)
        if found is not None:
            found.running = False

    def close(self) -> None:
        """End all desktops."""
        for desktop in list(self.running.values()):
            self.stop(desktop)

    def doctor(self) -> list[Check]:
        """One check, which always passes: nothing is needed."""
        return [Check("fake", True, "desktops in memory need nothing")]


def _expand(path: str) -> str:
    if path == "~" or path.startswith("~/"):
        path = HOME + path[1:]
    return posixpath.normpath(posixpath.join(HOME, path.replace("$HOME", HOME)))


def _inside(point: tuple[int, int], box: tuple[int, int, int, int]) -> bool:
    x, y, width, height = box
    return x <= point[0] < x + width and y <= point[1] < y + height
