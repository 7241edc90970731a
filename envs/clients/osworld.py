"""A desktop behind OSWorld's own server: `Desktop` for a machine that answers only its HTTP routes.

Such a machine does less than one of ours, and `health` says so. Each group of actions starts an interpreter there, and
the client itself watches the screen settle. The server cannot tell a request that arrives twice from two
requests, so this client never resends one.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from deskbench.envs import wait
from deskbench.envs.clients.http import Client
from deskbench.envs.desktop import CommandResult, Window
from deskbench.envs.errors import EnvError, GuestError, GuestTimeout, NotThere, Unfit
from deskbench.envs.types import Action, Exec, Observation, Screenshot, Wait
from deskbench.envs.wire import (
    PROTOCOL,
    SETTLING,
    Accessible,
    ActionResult,
    Executed,
    Health,
    Observe,
    Shown,
    WireError,
    decode,
    loads,
    parse_policy,
    place,
)

SOURCE = Path(__file__).with_name("osworld_input.py").read_text(encoding="utf-8")
COMMAND_SECONDS = 120.0
"""Seconds after which OSWorld's server ends a command; the default of `OsworldClient.command_seconds`."""
OPEN_SECONDS = 1810.0
"""Seconds that opening a file may take; the default of `OsworldClient.open_seconds`."""
LOOK_SECONDS = 0.25
QUIET_LOOKS = 2
"""How many screenshots after the first must be equal to it and to each other."""
SETTLE_SECONDS = 10.0
WINDOW_SECONDS = 20.0
NOT_DONE = "not carried out: an action before it failed"
ACTIVE = """
from Xlib import X, display
server = display.Display()
found = server.screen().root.get_full_property(server.intern_atom("_NET_ACTIVE_WINDOW"), X.AnyPropertyType)
print(found.value[0] if found else 0)
"""
"""Prints the active window's id, because wmctrl cannot."""
LAUNCH = """
said=$(mktemp)
setsid "$@" > /dev/null 2> "$said" &
sleep 0.3
kill -0 $! 2> /dev/null && exit 0
wait $!
code=$?
tail -n 1 "$said" >&2
exit $code
"""
"""Starts a program and waits a moment: if it fails at once, the launch failed."""
KIND = """
import errno, os, stat, sys
path = os.path.expandvars(os.path.expanduser(sys.argv[1]))
nothing = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL)
kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
try:
    found = os.stat(path)
except OSError as error:
    print("nothing" if error.errno in nothing else "closed", 0)
else:
    kind = kinds.get(stat.S_IFMT(found.st_mode), "device")
    print("closed" if kind == "file" and not os.access(path, os.R_OK) else kind, found.st_size)
"""
"""Prints what kind of thing a path leads to, and its size in bytes. Expands the path as OSWorld's /file does."""
WINDOW = re.compile(r"(0x[0-9a-f]{1,16}) +-?\d{1,9}" + r" +(-?\d{1,9})" * 4 + r" +(\S+) +\S+ ?(.*)")
"""One line of `wmctrl -lGx`: id, desktop, x, y, width, height, class, host, title."""
PLATFORMS = ("Linux", "Windows", "Darwin")
EXIT_TIMEOUT = 124
"""The exit status of timeout(1) after it ended the command."""
T = TypeVar("T")


class OsworldClient(Client):
    """The `Desktop` protocol over OSWorld's routes.

    Args:
        name: for logs and errors.
        base_url: the server's URL.
        ports: addresses of the machine's other ports, as HOST:PORT; default: the same host and port number.
    """

    def __init__(self, name: str, base_url: str, ports: dict[int, str] | None = None) -> None:
        super().__init__(name, base_url)
        self.command_seconds, self.open_seconds = COMMAND_SECONDS, OPEN_SECONDS
        self._url = base_url
        self._ports = dict(ports or {})
        self._platform: str | None = None

    def health(self) -> Health:
        """What works on this desktop, found by trying it."""
        shot = self._screenshot()
        features = {"screenshot": "", "input": "", "settle": "", "exec": "", "recording": "", "clipboard": ""}
        for feature, probe in (("accessibility", self._tree), ("terminal", self._terminal)):
            try:
                probe()
                features[feature] = ""
            except GuestError as error:
                features[feature] = str(error)
        if self.platform == "Windows":
            features["recording"] = "OSWorld's server records X displays only"
        return Health("osworld", PROTOCOL, self.platform, shot.size, features)

    @property
    def platform(self) -> str:
        """Linux, Windows or Darwin."""
        if self._platform is None:
            said = self._send("GET", "/platform", timeout=self.answer_seconds)[:100].decode("utf-8", "replace").strip()
            if said not in PLATFORMS:
                raise GuestError(f"{self.name}: the platform is {said!r}; it must be one of {', '.join(PLATFORMS)}")
            self._platform = said
        return self._platform

    # -- looking and acting ---------------------------------------------------------------------------------------

    def act(self, actions: Sequence[Action], observe: Observe | None = None) -> Observation:
        """Carry the actions out in one interpreter, then observe."""
        began = time.monotonic()
        results = self._perform(actions)
        acted = time.monotonic()
        return self._look(observe or Observe(), began, (acted - began) * 1e3, results)

    def observe(self, observe: Observe | None = None) -> Observation:
        """Look without acting."""
        return self._look(observe or Observe(), time.monotonic(), 0.0, ())

    def _perform(self, actions: Sequence[Action]) -> tuple[ActionResult, ...]:
        results: list[ActionResult] = []
        plain: list[Action] = []
        for action in [*actions, None]:
            if action is not None and not isinstance(action, Exec):
                plain.append(action)
                continue
            if plain:
                results += self._run_actions(plain)
                plain = []
            if isinstance(action, Exec):
                done = all(result.ok for result in results)
                results.append(self._exec(action) if done else ActionResult(False, NOT_DONE))
        return tuple(results)

    def _run_actions(self, actions: Sequence[Action]) -> list[ActionResult]:
        waits = sum(action.seconds or 1.0 for action in actions if isinstance(action, Wait))
        sent = json.dumps([action.to_json() for action in actions])
        done = self._execute([self._python(), "-c", SOURCE, sent], shell=False, timeout=self.command_seconds + waits)
        said = done.stdout.strip().splitlines()[-1:] or [""]
        try:
            told = loads(said[0].encode("utf-8", "replace"))
            if not isinstance(told, list) or len(told) != len(actions):
                raise WireError("the number of results differs from the number of actions")
            return [decode(ActionResult, one, "results") for one in told]
        except WireError:
            why = (done.stderr or done.stdout).strip().splitlines()[-1:] or done.returncode
            raise GuestError(f"{self.name}: the actions were not carried out: {str(why)[:500]}") from None

    def _exec(self, action: Exec) -> ActionResult:
        program = [self._python(), "-c"] if action.lang == "python" else ["bash", "-c"]
        done = self._execute([*program, action.source], shell=False, timeout=self.command_seconds)
        text = done.stdout + done.stderr
        return ActionResult(True, None, text if done.returncode == 0 else f"{text}\n[exit status {done.returncode}]")

    def _python(self) -> str:
        return "python" if self.platform == "Windows" else "python3"

    def _look(self, asked: Observe, began: float, act_ms: float, results: tuple[ActionResult, ...]) -> Observation:
        policy, seconds = parse_policy(asked.policy)
        now = time.monotonic()
        if policy == "none":
            return Observation(None, 0, 0, act_ms=act_ms, roundtrip_ms=(now - began) * 1e3, results=results)
        wait.sleep(seconds)
        settled, shot = self._settled(asked.max_settle or SETTLE_SECONDS) if policy in SETTLING else (None, None)
        settle_ms = (time.monotonic() - now) * 1e3
        shot = shot or self._screenshot()
        problems: list[str] = []
        tree = self._try(self._tree, problems) if asked.accessibility else None
        terminal = self._try(self._terminal, problems) if asked.terminal else None
        width, height = shot.size
        return Observation(
            screenshot=shot if asked.screenshot else None,
            width=width,
            height=height,
            cursor=self._cursor(),
            accessibility=tree,
            terminal=terminal,
            settled=settled,
            settle_ms=settle_ms,
            act_ms=act_ms,
            roundtrip_ms=(time.monotonic() - began) * 1e3,
            results=results,
            problems=tuple(problems),
            settled_by="quiet" if settled else None,
        )

    def _settled(self, maximum: float) -> tuple[bool, Screenshot]:
        """Take screenshots until three in a row are equal; returns whether that happened, and the last screenshot."""
        shot = self._screenshot()
        looks = deque([_pixels(shot)], maxlen=QUIET_LOOKS + 1)

        def quiet() -> bool:
            nonlocal shot
            shot = self._screenshot()
            looks.append(_pixels(shot))
            return len(looks) > QUIET_LOOKS and len(set(looks)) == 1

        settled = wait.until(quiet, timeout=maximum, interval=LOOK_SECONDS, max_interval=LOOK_SECONDS)
        return bool(settled), shot

    def _screenshot(self) -> Screenshot:
        shot = Screenshot.of(self._send("GET", "/screenshot", timeout=self.answer_seconds))
        try:
            shot.image.load()  # decode it now: only this shows that the desktop has come up
        except GuestError as error:
            raise GuestError(f"{self.name}: /screenshot: {error}") from None
        return shot

    def _cursor(self) -> tuple[int, int]:
        body = self._send("GET", "/cursor_position", timeout=self.answer_seconds)
        try:
            return place(loads(body))
        except WireError as error:
            raise GuestError(f"{self.name}: /cursor_position: {error}") from None

    def _tree(self) -> str:
        body = self._send("GET", "/accessibility", timeout=self.answer_seconds)
        found: Accessible = self._answer(Accessible, "/accessibility", body, closed=False)
        return found.AT

    def _terminal(self) -> str | None:
        body = self._send("GET", "/terminal", timeout=self.answer_seconds)
        found: Shown = self._answer(Shown, "/terminal", body, closed=False)
        return found.output

    def _try(self, ask: Callable[[], T], problems: list[str]) -> T | None:
        try:
            return ask()
        except EnvError as error:
            problems.append(str(error))
            return None

    # -- set-up and grading ---------------------------------------------------------------------------------------

    def run(
        self, command: str | Sequence[str], *, shell: bool = False, timeout: float = 120.0, cwd: str | None = None
    ) -> CommandResult:
        """Run a command to its end; on Linux, timeout(1) also ends it inside the machine."""
        if self.platform == "Windows":
            return self._execute(command if isinstance(command, str) else list(command), shell=shell, timeout=timeout)
        inner = ["bash", "-c", _text(command)] if shell else _parts(command)
        there = ["env", "-C", cwd] if cwd else []
        limited = [*there, "timeout", "-k", "1", f"{timeout}", *inner]
        done = self._execute(limited, shell=False, timeout=timeout)
        if done.returncode == EXIT_TIMEOUT:
            raise GuestTimeout(f"{self.name}: {_text(command)[:80]!r} was still running after {timeout:g} s")
        return done

    def _execute(self, command: str | list[str], *, shell: bool, timeout: float) -> CommandResult:
        body = {"command": command, "shell": shell}
        said = self._send("POST", "/execute", timeout=timeout + self.answer_seconds, json=body)
        found: Executed = self._answer(Executed, "/execute", said, closed=False)
        return CommandResult(found.returncode, found.output, found.error)

    def launch(self, command: str | Sequence[str], *, shell: bool = False) -> None:
        """Start a program and return when the screen is quiet; OSWorld's server does not report its window."""
        if self.platform == "Windows":
            body = {"command": command if isinstance(command, str) else list(command), "shell": shell}
            self._send("POST", "/setup/launch", timeout=2 * self.answer_seconds, json=body)
        else:
            program = ["bash", "-c", _text(command)] if shell else _parts(command)
            done = self._execute(["bash", "-c", LAUNCH, "launch", *program], shell=False, timeout=self.command_seconds)
            if done.returncode != 0:
                why = done.stderr.strip() or f"status {done.returncode}"
                raise GuestError(f"{self.name}: {_text(command)[:80]!r} did not start: {why[:500]}")
        self._settled(WINDOW_SECONDS)

    def open(self, path: str) -> None:
        """Open a file; OSWorld's server answers when a window's title has its name."""
        self._send("POST", "/setup/open_file", timeout=self.open_seconds, json={"path": path})
        self._settled(WINDOW_SECONDS)

    def read_file(self, path: str, *, max_bytes: int = 256 * 2**20) -> bytes:
        """A file's bytes. Asks first what is there, because OSWorld's server would open a pipe and wait forever."""
        kind, size = self._kind(path)
        if kind != "file":
            raise _other(path, kind)
        if size > max_bytes:
            raise Unfit(f"{path} has {size} bytes; at most {max_bytes} are read")
        return super().read_file(path, max_bytes=max_bytes)

    def list_directory(self, path: str) -> dict[str, object]:
        """OSWorld's directory tree. Expands `~` first, because the server does not."""
        where = path
        if path.startswith("~") and self.platform != "Windows":
            where = self.run(f"echo {path}", shell=True).stdout.rstrip("\n")
        try:
            return super().list_directory(where)
        except GuestError as error:
            if error.status != 400:
                raise
            raise _other(path, self._kind(where)[0]) from None

    def _kind(self, path: str) -> tuple[str, int]:
        """What a path in the machine leads to, following links, and its size in bytes.

        The kind is file, folder, pipe, socket or device; `nothing` if the path leads nowhere; `closed` if it may not be
        read.

        Raises:
            GuestError: the machine's Python does not say.
        """
        done = self._execute([self._python(), "-I", "-c", KIND, path], shell=False, timeout=self.command_seconds)
        said = re.fullmatch(r"(file|folder|pipe|socket|device|nothing|closed) (\d{1,20})", done.stdout.strip())
        if said is None:
            why = (done.stderr or done.stdout).strip().splitlines()[-1:] or done.returncode
            raise GuestError(f"{self.name}: cannot find out what {path} is: {str(why)[:500]}")
        return said[1], int(said[2])

    def windows(self) -> list[Window]:
        """The top-level windows, from wmctrl."""
        done = self.run(["wmctrl", "-lGx"])
        if done.returncode != 0:
            raise GuestError(f"{self.name}: cannot list the windows: {done.stderr.strip()[:500]}")
        active = self.run([self._python(), "-c", ACTIVE]).stdout.strip() or "0"
        if not re.fullmatch(r"\d{1,20}", active):
            raise GuestError(f"{self.name}: the active window is {active[:100]!r}")
        return _windows(done.stdout, int(active))

    def activate_window(self, name: str, *, strict: bool = False, by_class: bool = False) -> None:
        """Raise and focus a window. Checks first that it exists, because the server's answer does not say."""
        self._manage("activate", name, strict, by_class)

    def close_window(self, name: str, *, strict: bool = False, by_class: bool = False) -> None:
        """Ask a window to close."""
        self._manage("close", name, strict, by_class)

    def _manage(self, what: str, name: str, strict: bool, by_class: bool) -> None:
        if self.platform == "Linux" and not any(_named(window, name, strict, by_class) for window in self.windows()):
            raise NotThere(f"{self.name}: no window {name!r}")
        body = {"window_name": name, "strict": strict, "by_class": by_class}
        self._send("POST", f"/setup/{what}_window", timeout=self.answer_seconds, json=body)

    def forward(self, port: int) -> str:
        """The address of a port of the machine, which the controller reaches directly."""
        return self._ports.get(port, f"{urlsplit(self._url).hostname}:{port}")


def _parts(command: str | Sequence[str]) -> list[str]:
    return shlex.split(command) if isinstance(command, str) else list(command)


def _text(command: str | Sequence[str]) -> str:
    return command if isinstance(command, str) else " ".join(command)


def _windows(listing: str, active: int) -> list[Window]:
    """Parse the output of `wmctrl -lGx`. Skips lines that do not match: a title may continue over several lines."""
    found = [said for line in listing.splitlines() if (said := WINDOW.fullmatch(line))]
    return [
        Window(number, title, wm_class, int(x), int(y), int(width), int(height), int(number, 16) == active)
        for number, x, y, width, height, wm_class, title in (said.groups() for said in found)
    ]


def _other(path: str, kind: str) -> Exception:
    """The error for a path of this kind where a file or folder was requested."""
    if kind == "nothing":
        return FileNotFoundError(path)
    return Unfit(f"{path} cannot be read" if kind == "closed" else f"{path} is a {kind}")


def _pixels(shot: Screenshot) -> bytes:
    """A digest that is equal for screenshots that look the same; keeping the pictures would take much memory."""
    return hashlib.sha256(shot.image.tobytes()).digest()


def _named(window: Window, name: str, strict: bool, by_class: bool) -> bool:
    whole = window.wm_class if by_class else window.title
    return whole == name if strict else name.lower() in whole.lower()
