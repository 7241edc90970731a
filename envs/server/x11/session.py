"""The session in a desktop: X server, session bus, accessibility, window manager, panel.

Runs inside the sandbox, before the server. `start` puts DISPLAY and the rest into this process's environment, which
everything started later inherits. Parts that do not need each other start at the same time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from deskbench.envs import wait
from deskbench.envs.server import identity

CONFIG = Path(__file__).parent / "config"
IMAGE_HOME = Path("/usr/share/deskbench/home")
"""Files that an image adds to the home folder: settings of its programs."""
FOLDERS = ("Desktop", "Documents", "Downloads", "Pictures", "Music", "Videos")
EPOCH = 1_704_067_200
"""The folders' date, 1 January 2024. File dialogs show it, and a recording must look the same on any day."""
START_SECONDS = 20.0

_processes: list[subprocess.Popen[bytes]] = []


class SessionError(RuntimeError):
    """A part of the session did not start; the message has its last output."""


def start(width: int, height: int) -> None:
    """Start a session of this size in pixels; return when its window manager controls the screen.

    Raises:
        SessionError: names the part that did not start.
    """
    os.environ.update(_environment())
    home = threading.Thread(target=_fill_home)
    home.start()
    bus = _start_bus()
    os.environ["DISPLAY"] = f":{start_x(width, height)}"
    home.join()
    # The bus starts some programs, such as gnome-terminal, with its own environment, which does not have the display
    # yet.
    told = _run("dbus-update-activation-environment", *_environment(), "DISPLAY")
    STYLES[os.environ.get(STYLE, "openbox")](bus)
    # Wait until the panel has its place in the work area; then windows always open in the same places.
    _await_root("_NET_WORKAREA", lambda found: len(found) >= 4 and found[3] < height, "the panel did not start")
    told.wait(START_SECONDS)


def _openbox(bus: subprocess.Popen[bytes]) -> None:
    """Start a window manager and a panel that are up in a third of a second."""
    _run("openbox", "--config-file", str(_openbox_config()))
    _run("xsetroot", "-solid", "#3a6ea5").wait(START_SECONDS)
    _finish_bus(bus)
    # Openbox sets this last. A panel that does not find it waits a second before it looks again.
    _await_root("_NET_NUMBER_OF_DESKTOPS", lambda found: len(found) > 0, "openbox did not take over the screen")
    _run("tint2", "-c", str(CONFIG / "panel.tint2rc"))


def _xfce(bus: subprocess.Popen[bytes]) -> None:
    """Start XFCE as people have it: settings, icons on the desktop, panels."""
    _finish_bus(bus)
    _run("xfsettingsd", "--disable-daemon")
    _run("xfwm4", "--compositor=off")
    _await_root("_NET_SUPPORTING_WM_CHECK", lambda found: len(found) > 0, "xfwm4 did not take over the screen")
    _run("xfdesktop")
    _run("xfce4-panel")


STYLE = "DESKBENCH_SESSION"
"""The environment variable with which an image chooses its session."""
STYLES = {"openbox": _openbox, "xfce": _xfce}
DESKTOPS = {"openbox": "openbox", "xfce": "XFCE"}
"""The desktop's name for programs (XDG_CURRENT_DESKTOP)."""


def _environment() -> dict[str, str]:
    home = str(Path.home())
    return {
        "HOME": home,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "XDG_RUNTIME_DIR": _made(Path(os.environ.get("XDG_RUNTIME_DIR", f"{home}/.run"))),
        "XDG_CURRENT_DESKTOP": DESKTOPS[os.environ.get(STYLE, "openbox")],
        # LibreOffice recognises XFCE by this alone. Otherwise it takes GNOME's icons or, without them, the first it
        # finds.
        "DESKTOP_SESSION": os.environ.get(STYLE, "openbox"),
        "XDG_SESSION_TYPE": "x11",
        "FONTCONFIG_FILE": str(CONFIG / "fonts.conf"),
        "GTK_THEME": "",
        "NO_AT_BRIDGE": "0",
        "GTK_MODULES": "gail:atk-bridge",
        "QT_ACCESSIBILITY": "1",
        "GDK_BACKEND": "x11",
        "XAUTHORITY": "/nonexistent",  # with an empty file, python-xlib complains on stdout
        "TERMINAL": "lxterminal",
        "LIBGL_ALWAYS_SOFTWARE": "1",
        # GTK 4 would draw with OpenGL, which costs seconds of processor time without a GPU. While something moves on
        # the screen, it then has no time for anything else: Nautilus shows "Loading..." for ever.
        "GSK_RENDERER": "cairo",
    }


def _made(path: Path) -> str:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return str(path)


def _fill_home() -> None:
    home = Path.home()
    for name in FOLDERS:
        (home / name).mkdir(exist_ok=True)
        os.utime(home / name, (EPOCH, EPOCH))
    for skeleton in (CONFIG / "home", IMAGE_HOME):
        if skeleton.exists():
            shutil.copytree(skeleton, home, dirs_exist_ok=True)


def _openbox_config() -> Path:
    """Copy the configuration to where `obconf` and similar programs look for it and may change it."""
    mine = Path.home() / ".config/openbox/rc.xml"
    mine.parent.mkdir(parents=True, exist_ok=True)
    text = (CONFIG / "openbox.xml").read_text(encoding="utf-8")
    mine.write_text(text.replace("DESKBENCH_CONFIG", str(CONFIG)), encoding="utf-8")
    return mine


def _popen(command: Sequence[str], *descriptors: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=descriptors, cwd=Path.home(),
        **identity.popen_options(),
    )  # fmt: skip


def _run(*command: str) -> subprocess.Popen[bytes]:
    process = _popen(command)
    _processes.append(process)
    return process


def start_x(width: int, height: int) -> str:
    """Start Xvfb on a free display and return its number."""
    read, write = os.pipe()
    command = [
        "Xvfb", "-displayfd", str(write), "-screen", "0", f"{width}x{height}x24", "-noreset", "-nolisten", "tcp",
        "-dpi", "96", "-ac", "+extension", "DAMAGE",
    ]  # fmt: skip
    process = _popen(command, write)
    _processes.append(process)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        number = pipe.readline().strip().decode()
    if not number:
        raise SessionError(f"Xvfb ended with status {process.wait()} before it had a display")
    return number


def _start_bus() -> subprocess.Popen[bytes]:
    read, write = os.pipe()
    process = _popen(["dbus-daemon", "--session", "--nofork", f"--print-address={write}"], write)
    _processes.append(process)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        address = pipe.readline().strip().decode()
    if not address:
        raise SessionError(f"dbus-daemon ended with status {process.wait()}")
    os.environ["DBUS_SESSION_BUS_ADDRESS"] = address
    return process


def _finish_bus(bus: subprocess.Popen[bytes]) -> None:
    """Start the accessibility bus, which programs look for when they start."""
    if bus.poll() is not None:
        raise SessionError(f"dbus-daemon ended with status {bus.returncode}")
    _run("/usr/libexec/at-spi-bus-launcher", "--launch-immediately", "--a11y=1")


def _await_root(name: str, good: Callable[[Sequence[int]], bool], failure: str) -> None:
    """Wait until a property of the root window has a good value."""
    from Xlib import X, display

    connection = display.Display()
    atom, root = connection.intern_atom(name), connection.screen().root

    def there() -> bool:
        found = root.get_full_property(atom, X.AnyPropertyType)
        return found is not None and good(found.value)

    try:
        if not wait.until(there, timeout=START_SECONDS, max_interval=0.02):
            raise SessionError(failure)
    finally:
        connection.close()
