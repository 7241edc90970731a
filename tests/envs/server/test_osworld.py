"""OSWorld's server as its clients see it: every route, its formats, and our improvements."""

from __future__ import annotations

import http.client
import io
import json
import socket
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from PIL import Image

from deskbench.envs import wait
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.providers.local import LocalDesktop
from deskbench.envs.providers.pool import Pool
from deskbench.envs.server.http.limits import MAX_OUTPUT

pytestmark = pytest.mark.desktop

LOOKING = {
    ("GET", "/screenshot"), ("GET", "/accessibility"), ("GET", "/terminal"), ("GET", "/cursor_position"),
    ("GET", "/platform"), ("POST", "/screen_size"),
}  # fmt: skip
CONTROL = {
    ("POST", path)
    for path in (
        "/execute", "/setup/execute", "/execute_with_verification", "/setup/execute_with_verification",
        "/setup/launch", "/window_size", "/desktop_path", "/wallpaper", "/list_directory", "/file", "/setup/upload",
        "/setup/change_wallpaper", "/setup/download_file", "/setup/open_file", "/setup/activate_window",
        "/setup/close_window", "/start_recording", "/end_recording", "/run_python", "/run_bash_script",
    )
}  # fmt: skip
PATIENCE = 20.0


@dataclass
class Answer:
    status: int
    kind: str
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        assert self.kind.startswith("application/json"), (self.kind, self.body)
        return json.loads(self.body)


class Server:
    """The routes of one desktop, used as a foreign client does: plain HTTP requests."""

    def __init__(self, desktop: LocalDesktop) -> None:
        self.desktop = desktop

    def __call__(self, method: str, path: str, token: str = "control_token", **body: Any) -> Answer:
        made = requests.Request(method, f"http://desktop{path}", **body).prepare()
        headers = {**made.headers, "Authorization": f"Bearer {self.desktop.tokens[token]}"}
        connection = http.client.HTTPConnection("desktop", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.desktop.socket)
        try:
            connection.request(method, path, made.body, headers)
            found = connection.getresponse()
            return Answer(found.status, found.headers["Content-Type"], found.read())
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self("GET", path)

    def post(self, route: str, /, **fields: Any) -> Answer:
        return self("POST", route, json=fields)


@pytest.fixture(scope="module")
def server(local_provider: Pool) -> Iterator[Server]:
    desktop = local_provider.start(DesktopSpec())
    assert isinstance(desktop, LocalDesktop)
    yield Server(desktop)
    local_provider.stop(desktop)


# -- who may request what ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), sorted(LOOKING))
def test_the_agents_token_may_look(server: Server, method: str, path: str) -> None:
    assert server(method, path, "agent_token").status == 200


@pytest.mark.parametrize(("method", "path"), sorted(CONTROL))
def test_the_agents_token_may_not_do_the_controllers_work(server: Server, method: str, path: str) -> None:
    """403, not 404: the route exists."""
    assert server(method, path, "agent_token").status == 403


# -- observing --------------------------------------------------------------------------------------------------------


def test_a_screenshot_is_a_png_of_the_whole_screen(server: Server) -> None:
    answer = server.get("/screenshot")
    assert answer.kind == "image/png"
    assert Image.open(io.BytesIO(answer.body)).size == (1280, 800)
    assert server("POST", "/screen_size").json == {"width": 1280, "height": 800}


def test_the_cursors_position_is_a_pair(server: Server) -> None:
    moved = server.post("/execute", command=["python", "-c", "import pyautogui; pyautogui.moveTo(123, 234)"])
    assert moved.json == {"status": "success", "output": "", "error": "", "returncode": 0}
    assert server.get("/cursor_position").json == [123, 234]


def test_the_accessibility_tree_is_xml_in_json(server: Server) -> None:
    assert ET.fromstring(server.get("/accessibility").json["AT"]).tag == "desktop-frame"


def test_no_terminal_is_null(server: Server) -> None:
    assert server.get("/terminal").json == {"output": None, "status": "success"}


def test_the_platform_is_plain_text(server: Server) -> None:
    assert server.get("/platform").text == "Linux"


# -- commands ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/execute", "/setup/execute"])
def test_execute_gives_output_and_status(server: Server, path: str) -> None:
    """A string is split, except for the shell; a non-zero exit status still gives a 200."""
    assert server.post(path, command="echo 'a  b' c").json["output"] == "a  b c\n"
    assert server.post(path, command="echo $((6*7)) | cat; echo no >&2; exit 3", shell=True).json == {
        "status": "success", "output": "42\n", "error": "no\n", "returncode": 3,
    }  # fmt: skip
    assert server.post(path, command=["ls", "~/Desktop/"]).json["returncode"] == 0


@pytest.mark.parametrize("shell", [False, True])
def test_python_is_there_under_that_name(server: Server, shell: bool) -> None:
    """OSWorld's machines have a `python`; Debian's do not."""
    found = server.post("/execute", command="python -c 'import pyautogui; print(pyautogui.size()[0])'", shell=shell)
    assert found.json["output"] == "1280\n"


@pytest.mark.parametrize(
    ("body", "status"),
    [({"command": ["no-such-program"]}, 500), ({"command": "sleep 60", "timeout": 0.2}, 500), ({"command": []}, 400),
     ({"command": 7}, 400), ({"command": "true", "timeout": "soon"}, 400)],
)  # fmt: skip
def test_what_cannot_be_executed_says_why(server: Server, body: dict[str, Any], status: int) -> None:
    answer = server.post("/execute", **body)
    assert answer.status == status
    assert answer.json["status"] == "error" and "\n" not in answer.json["message"]


def test_a_verified_command_waits_for_its_effect(server: Server) -> None:
    later = {"command": "(sleep 0.3; touch ~/effect) & echo begun", "shell": True, "max_wait_time": 20}
    proof = {"command_success": "test -e ~/effect"}
    found = server.post("/execute_with_verification", **later, verification=proof, check_interval=0.05).json
    assert (found["status"], found["verification"], found["output"]) == ("success", "passed", "begun\n")
    assert found["wait_time"] > 0


def test_a_verified_command_whose_effect_does_not_come_has_failed(server: Server) -> None:
    never = {"command": "true", "verification": {"window_exists": "no such window"}}
    answer = server.post("/setup/execute_with_verification", **never, max_wait_time=0.1, check_interval=0.05)
    assert answer.status == 500
    assert answer.json == {
        "status": "verification_failed", "verification": "failed", "output": "", "error": "", "returncode": "",
        "wait_time": 0.1,
    }  # fmt: skip


def test_python_code_runs(server: Server) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(2)"
    assert server.post("/run_python", code=code).json == {
        "status": "error", "message": "out\nerr\n", "need_more": False, "output": "out\n", "error": "err\n",
        "return_code": 2,
    }  # fmt: skip
    assert server.post("/run_python", code="print('é')").json["status"] == "success"
    nothing = server.post("/run_python")
    assert (nothing.status, nothing.json) == (400, {"status": "error", "message": "Code not supplied!"})


def test_bash_scripts_run(server: Server) -> None:
    """It runs once; both outputs are merged in order; a command's stdin is not the rest of the script."""
    script = "echo one; echo two >&2; cat; echo three; echo . >> ~/runs\nexit 4"
    assert server.post("/run_bash_script", script=script).json == {
        "status": "error", "output": "one\ntwo\nthree\n", "error": "", "returncode": 4,
    }  # fmt: skip
    assert server.desktop.read_file("~/runs") == b".\n"
    assert server.post("/run_bash_script", script="pwd", working_dir="/usr").json["output"] == "/usr\n"
    large = server.post("/run_bash_script", script="# " + "x" * 300_000 + "\necho large").json
    assert large["output"] == "large\n"


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"script": "true", "working_dir": "/nowhere"}, 400), ({"script": "sleep 60", "timeout": 0.2}, 500)],
)
def test_bash_scripts_that_cannot_run_say_why(server: Server, body: dict[str, Any], status: int) -> None:
    answer = server.post("/run_bash_script", **body)
    assert answer.status == status
    assert answer.json["output"]
    assert {**answer.json, "output": ""} == {"status": "error", "output": "", "error": "", "returncode": -1}


# -- files ------------------------------------------------------------------------------------------------------------


def test_files_go_up_and_come_back(server: Server) -> None:
    data = bytes(range(256)) * 1000 + b"\r\n--boundary--\r\n"
    path = "~/New folder/$USER/ünï.bin"
    up = server("POST", "/setup/upload", data={"file_path": path}, files={"file_data": ("x.bin", data)})
    assert (up.status, up.text) == (200, f"File Uploaded: {len(data)} bytes")
    down = server("POST", "/file", data={"file_path": path})
    assert (down.status, down.body) == (200, data)


def test_files_that_are_not_there_are_404(server: Server) -> None:
    assert server("POST", "/file", data={"file_path": "/no/such"}).status == 404
    missing = server("POST", "/file")
    assert (missing.status, missing.json) == (400, {"error": "file_path is required"})
    half = server("POST", "/setup/upload", data={"file_path": "x"}, files={"other": ("x", b"")})
    assert (half.status, half.json) == (400, {"error": "file_path and file_data are required"})


def test_uploads_that_cannot_be_written_say_why(server: Server) -> None:
    up = server("POST", "/setup/upload", data={"file_path": "/usr/mine"}, files={"file_data": ("x", b"1")})
    assert up.status == 500
    assert "Read-only" in up.json["error"]


def test_folders_are_listed_as_trees(server: Server) -> None:
    server.desktop.write_file("~/listed/inner/a.txt", b"")
    home = server.desktop.run("echo ~", shell=True).stdout.strip()
    assert server.post("/list_directory", path=f"{home}/listed").json == {
        "directory_tree": {
            "type": "directory", "name": "listed", "children": [
                {"type": "directory", "name": "inner", "children": [{"type": "file", "name": "a.txt"}]}],
        }
    }  # fmt: skip
    assert "error" in server.post("/list_directory", path="/no/such").json
    assert server("POST", "/desktop_path").json == {"desktop_path": f"{home}/Desktop"}


def test_a_wallpaper_is_set_and_read_back(server: Server) -> None:
    red = io.BytesIO()
    Image.new("RGB", (64, 40), "red").save(red, "PNG")
    server.desktop.write_file("~/red.png", red.getvalue())
    assert server("POST", "/wallpaper").status == 404
    assert server.post("/setup/change_wallpaper", path="~/red.png").text == "Wallpaper changed successfully"
    assert server("POST", "/wallpaper").body == red.getvalue()
    seen = Image.open(io.BytesIO(server.get("/screenshot").body)).convert("RGB")
    assert seen.getpixel((600, 300)) == (255, 0, 0)
    assert server.post("/setup/change_wallpaper", path="~/.bashrc").status in (404, 500)
    assert server.post("/setup/change_wallpaper").status == 400
    assert server.post("/setup/change_wallpaper", path="/no.png").status == 404


def test_the_desktop_downloads_for_itself(server: Server) -> None:
    server.desktop.write_file("~/www/file.bin", b"12345")
    served = server.post("/setup/launch", command="python3 -m http.server 8123 -d www")
    assert served.status == 200
    source = {"url": "http://127.0.0.1:8123/file.bin", "path": "~/got/file.bin"}
    texts: list[str] = []

    def fetched() -> bool:
        texts.append(server.post("/setup/download_file", **source).text)
        return "successfully" in texts[-1]

    assert wait.until(fetched, timeout=PATIENCE), texts
    assert texts[-1] == "File downloaded successfully: 5 bytes"
    assert server.desktop.read_file("~/got/file.bin") == b"12345"
    refused = server.post("/setup/download_file", url="file:///etc/passwd", path="~/x")
    assert refused.status == 500 and refused.text.startswith("Failed to download file:///etc/passwd. No retries left.")
    assert server.post("/setup/download_file", url="http://x").text == "Path or URL not supplied!"


# -- windows ----------------------------------------------------------------------------------------------------------


def test_windows_are_opened_activated_measured_and_closed(server: Server) -> None:
    server.desktop.write_file("~/letter.txt", b"Dear")
    opened = server.post("/setup/open_file", path="~/letter.txt")
    assert opened.text == "File opened and window activated successfully"
    assert server.post("/setup/launch", command=["galculator"]).text == "galculator launched successfully"
    assert wait.until(lambda: "galculator" in titles(server), timeout=PATIENCE)
    active = server.post("/setup/activate_window", window_name="LETTER")
    assert (active.status, active.text) == (200, "Window activated successfully")
    assert [window.title for window in server.desktop.windows() if window.active] == ["~/letter.txt - Mousepad"]
    size = server("POST", "/window_size", data={"app_class_name": "Mousepad"}).json
    [window] = [window for window in server.desktop.windows() if "letter" in window.title]
    assert size == {"width": window.width, "height": window.height}
    closed = server.post("/setup/close_window", window_name="galculator", strict=True, by_class=False)
    assert closed.text == "Window closed successfully."
    assert wait.until(lambda: "galculator" not in titles(server), timeout=PATIENCE)


def titles(server: Server) -> list[str]:
    return [window.title for window in server.desktop.windows()]


def test_what_is_not_there_is_said_so(server: Server) -> None:
    assert server.post("/setup/activate_window").text == "window_name required"
    assert server.post("/setup/close_window", window_name="no such").status == 404
    assert server.post("/setup/open_file", path="/no/file.txt").text == "Application/file not found: /no/file.txt"
    assert server.post("/setup/open_file").text == "Path not supplied!"
    assert server("POST", "/window_size").json == {"error": "app_class_name is required"}
    failed = server.post("/setup/launch", command="no-such-program")
    assert (failed.status, failed.json["status"]) == (500, "error")


def test_a_huge_clipboard_is_cut(server: Server) -> None:
    fill = "head -c 200000000 /dev/zero | tr '\\0' a | xclip -selection clipboard"
    assert server.post("/execute", command=fill, shell=True).json["returncode"] == 0
    answer = server.post("/execute", command=["xclip", "-o", "-selection", "clipboard"]).json
    assert set(answer["output"]) == {"a"} and len(answer["output"]) == MAX_OUTPUT
    server.post("/execute", command=["pkill", "xclip"])


# -- recording --------------------------------------------------------------------------------------------------------


def test_a_recording_begins_once_and_ends_once(server: Server) -> None:
    none = server("POST", "/end_recording")
    assert (none.status, none.json["message"]) == (400, "No recording in progress to stop.")
    begun = server("POST", "/start_recording")
    assert begun.json == {"status": "success", "message": "Started recording successfully."}
    twice = server("POST", "/start_recording")
    assert (twice.status, twice.json["message"]) == (400, "Recording is already in progress.")
    film = server("POST", "/end_recording")
    assert (film.status, film.kind) == (200, "video/mp4")
    assert film.body[4:8] == b"ftyp"
    assert server("POST", "/end_recording").status == 400


def test_rubbish_gets_an_answer(server: Server) -> None:
    """Never a hang-up, always one line of JSON."""
    for _, path in sorted(CONTROL - {("POST", "/start_recording")}):
        answer = server("POST", path, data=b"\xff{not json")
        assert answer.status in (200, 400, 404, 500), path
        assert answer.status == 200 or "Traceback" not in answer.text
