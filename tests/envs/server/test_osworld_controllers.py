"""OSWorld's own clients, from its release on PyPI, use our server through all their calls."""

import io
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from deskbench.envs import wait
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.providers.conformance import RED
from deskbench.envs.providers.local import LocalDesktop
from deskbench.envs.providers.pool import Pool
from tests.differential import reference

pytestmark = [pytest.mark.desktop, pytest.mark.slow, pytest.mark.timeout(300)]
HOME = "/home/user"
CHROMIUM = [
    "chromium", "--no-sandbox", "--test-type", "--no-first-run", "--no-default-browser-check", "--disable-gpu",
    "--password-store=basic", "--disable-background-networking", "--remote-debugging-port=9222",
]  # fmt: skip


class Machine:
    """A desktop, and OSWorld's two clients for it."""

    def __init__(self, desktop: LocalDesktop, folder: Path) -> None:
        python, setup = reference.controllers()
        host, _, port = desktop.expose().partition(":")
        self.desktop: Desktop = desktop
        self.python = python(host, int(port))
        self.python.retry_times, self.python.retry_interval = 1, 0
        chromium = int(desktop.forward(9222).rpartition(":")[2])
        self.set_up = setup(host, int(port), chromium, 8080, str(folder), "password", 1280, 800)
        self.home = desktop.run("echo $HOME", shell=True).stdout.strip()

    def at(self) -> tuple[int, int]:
        return self.desktop.observe().cursor

    def saved(self, name: str) -> bytes:
        self.desktop.act([])
        return self.desktop.read_file(f"{self.home}/{name}")


@pytest.fixture(scope="module")
def machine(local_provider: Pool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    desktop = local_provider.start(DesktopSpec(tokens=False))
    assert isinstance(desktop, LocalDesktop)
    yield Machine(desktop, tmp_path_factory.mktemp("cache"))
    local_provider.stop(desktop)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A file server on the controller."""
    (tmp_path / "file.txt").write_text("downloaded")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_is_seen(machine: Machine) -> None:
    shown = Image.open(io.BytesIO(machine.python.get_screenshot()))
    assert shown.size == (1280, 800)
    assert machine.python.get_vm_screen_size() == {"width": 1280, "height": 800}
    assert machine.python.get_vm_platform().strip() == "Linux"
    machine.set_up._launch_setup(["lxterminal"])
    machine.desktop.observe()
    assert "<desktop-frame" in machine.python.get_accessibility_tree()
    machine.python.execute_action({"action_type": "TYPING", "parameters": {"text": "echo four$((2+2))\n"}})
    assert wait.until(lambda: "four4" in (machine.python.get_terminal_output() or ""), timeout=10)
    assert machine.python.get_vm_window_size("lxterminal")["width"] > 100
    machine.set_up._close_window_setup("lxterminal", by_class=True)
    assert machine.python.get_vm_window_size("no such program") is None


def test_files_and_folders(machine: Machine, tmp_path: Path, site: str) -> None:
    (tmp_path / "local.txt").write_text("from here")
    machine.set_up._upload_file_setup([{"local_path": str(tmp_path / "local.txt"), "path": f"{machine.home}/up.txt"}])
    machine.set_up._download_setup([{"url": f"{site}/file.txt", "path": f"{machine.home}/down.txt"}])
    assert machine.python.get_file(f"{machine.home}/up.txt") == b"from here"
    assert machine.python.get_file(f"{machine.home}/down.txt") == b"downloaded"
    assert machine.python.get_file(f"{machine.home}/no such file") is None
    tree = machine.python.get_vm_directory_tree(machine.home)
    assert {"up.txt", "down.txt", "Desktop"} <= {child["name"] for child in tree["children"]}
    assert machine.python.get_vm_desktop_path() == f"{machine.home}/Desktop"


def test_the_wallpaper(machine: Machine) -> None:
    machine.desktop.write_file("~/red.bmp", RED)
    machine.set_up._change_wallpaper_setup(f"{machine.home}/red.bmp")
    assert machine.python.get_vm_wallpaper() == RED


def test_code(machine: Machine) -> None:
    said = machine.python.run_python_script("print(6 * 7)")
    assert said["status"] == "success" and said["output"] == "42\n"
    assert (
        machine.python.run_python_script("raise SystemExit(3)")["return_code"] == 3
    )  # the only route that spells it this way
    done = machine.python.run_bash_script("pwd; echo more >&2; exit 4", working_dir="/usr")
    assert (done["returncode"], done["output"].splitlines()[0]) == (4, "/usr")
    late = machine.python.run_bash_script("sleep 60", timeout=1)
    assert late["status"] == "error" and late["returncode"] != 0
    machine.set_up._execute_setup(["touch", f"{machine.home}/touched"])
    machine.set_up._command_setup("echo {SCREEN_WIDTH_HALF} > ~/half", shell=True)
    machine.set_up._execute_with_verification_setup(
        "sleep 0.3; touch ~/verified", {"command_success": "test -e ~/verified"}, 5, 0.1, shell=True
    )
    assert machine.python.get_file(f"{machine.home}/touched") == b""
    assert machine.python.get_file(f"{machine.home}/half") == b"640\n"
    assert machine.python.get_file(f"{machine.home}/verified") == b""


def test_films(machine: Machine, tmp_path: Path) -> None:
    machine.python.start_recording()
    machine.desktop.observe()
    machine.python.end_recording(str(tmp_path / "film.mp4"))
    assert b"ftyp" in (tmp_path / "film.mp4").read_bytes()[:16]


POINTER: list[tuple[dict[str, Any], tuple[int, int]]] = [
    ({"action_type": "MOVE_TO", "parameters": {"x": 200, "y": 300}}, (200, 300)),
    ({"action_type": "CLICK", "parameters": {"x": 640, "y": 420}}, (640, 420)),
    ({"action_type": "CLICK", "parameters": {"button": "left", "x": 600, "y": 400, "num_clicks": 2}}, (600, 400)),
    ({"action_type": "CLICK", "parameters": {}}, (600, 400)),
    ({"action_type": "DOUBLE_CLICK", "parameters": {"x": 500, "y": 410}}, (500, 410)),
    ({"action_type": "RIGHT_CLICK", "parameters": {"x": 510, "y": 410}}, (510, 410)),
    ({"action_type": "PRESS", "parameters": {"key": "esc"}}, (510, 410)),
    ({"action_type": "DRAG_TO", "parameters": {"x": 400, "y": 500}}, (400, 500)),
    ({"action_type": "MOUSE_DOWN", "parameters": {"button": "left"}}, (400, 500)),
    ({"action_type": "MOUSE_UP", "parameters": {"button": "left"}}, (400, 500)),
    ({"action_type": "SCROLL", "parameters": {"dx": 0, "dy": -2}}, (400, 500)),
    ({"action_type": "WAIT"}, (400, 500)),
]


def test_actions_of_the_pointer(machine: Machine) -> None:
    machine.set_up._launch_setup("mousepad")
    machine.set_up._activate_window_setup("Mousepad")
    for action, where in POINTER:
        machine.python.execute_action(action)
        assert machine.at() == where, action
    machine.set_up._close_window_setup("Mousepad")


def test_actions_of_the_keyboard(machine: Machine) -> None:
    """pyautogui itself types, as instructed; OSWorld knows of its bug with `<`."""
    machine.desktop.write_file("~/typed.txt", b"")
    machine.set_up._open_setup(f"{machine.home}/typed.txt")
    machine.desktop.observe()  # OSWorld's client sleeps for a minute after set-up
    for action in (
        {"action_type": "TYPING", "parameters": {"text": "it's (a) \\ b"}},
        {"action_type": "PRESS", "parameters": {"key": "enter"}},
        {"action_type": "KEY_DOWN", "parameters": {"key": "shift"}},
        {"action_type": "PRESS", "parameters": {"key": "a"}},
        {"action_type": "KEY_UP", "parameters": {"key": "shift"}},
        {"action_type": "TYPING", "parameters": {"text": "b"}},
        {"action_type": "HOTKEY", "parameters": {"keys": ["ctrl", "s"]}},
    ):
        machine.python.execute_action(action)
    wait.until(lambda: machine.saved("typed.txt") == b"it's (a) \\ b\nAb", timeout=10)
    assert machine.saved("typed.txt") == b"it's (a) \\ b\nAb"


def test_a_whole_set_up_with_tabs_of_chrome(machine: Machine, site: str) -> None:
    folder, inside = f"{machine.home}/site", "http://localhost:8000"
    config = [
        {"type": "execute", "parameters": {"command": ["mkdir", "-p", folder]}},
        {"type": "download", "parameters": {"files": [{"url": f"{site}/file.txt", "path": f"{folder}/a.txt"}]}},
        {"type": "launch", "parameters": {"command": ["python3", "-m", "http.server", "8000", "--directory", folder]}},
        {"type": "launch", "parameters": {"command": CHROMIUM}},
        {"type": "chrome_open_tabs", "parameters": {"urls_to_open": [f"{inside}/a.txt", f"{inside}/"]}},
        {"type": "chrome_close_tabs", "parameters": {"urls_to_close": [f"{inside}/"]}},
        {"type": "sleep", "parameters": {"seconds": 0}},
    ]  # fmt: skip
    machine.set_up.use_proxy = False
    assert machine.set_up.setup(config) is True
    titles = [window.title for window in machine.desktop.windows()]
    assert any("8000/a.txt" in title for title in titles), titles
