"""Our client with a server that answers exactly as OSWorld's does, and with one that answers wrongly."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Response, jsonify, request

from deskbench.envs import wait
from deskbench.envs.clients.osworld import OsworldClient
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.errors import EnvError, GuestError, GuestTimeout, GuestUnreachable, Unfit, UsageError
from deskbench.envs.providers.remote import Machine, RemoteProvider, reach
from deskbench.envs.types import Click, Type
from deskbench.envs.wire import Observe

from .osworld_fake import TREE, OsworldMachine, png

FLASK_ERROR = (
    "<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>\n<h1>Internal Server Error</h1>"
)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[OsworldMachine]:
    (tmp_path / "home").mkdir()
    made = OsworldMachine(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def client(machine: OsworldMachine) -> Iterator[OsworldClient]:
    made = OsworldClient("machine", machine.url)
    made.answer_seconds = 5.0
    yield made
    made.close()


def test_every_call_is_understood(machine: OsworldMachine, client: OsworldClient) -> None:
    health = client.health()
    assert (health.platform, health.screen) == ("Linux", (640, 400)) and not health.features["accessibility"]
    seen = client.act([Click(x=5, y=6), Type("x")], Observe(accessibility=True, terminal=True))
    assert seen.screenshot is not None and seen.screenshot.png == png()
    assert (seen.cursor, seen.accessibility, seen.terminal, seen.settled) == ((3, 4), TREE, None, True)
    assert '"click"' in machine.acted[0] and '"type"' in machine.acted[0]
    done = client.run("echo out; echo err >&2; exit 3", shell=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    client.write_file("~/a/b.txt", b"\x00data")
    assert client.read_file("~/a/b.txt") == b"\x00data"
    assert client.list_directory(str(machine.home / "a"))["children"] == [{"type": "file", "name": "b.txt"}]
    assert client.wallpaper() is None
    client.set_wallpaper("~/a/b.txt")
    assert client.wallpaper() == b"\x00data"
    client.open("~/a/b.txt")
    client.start_recording()
    assert b"ftyp" in client.end_recording()


def test_what_is_missing_is_missing(client: OsworldClient) -> None:
    with pytest.raises(FileNotFoundError):
        client.read_file("~/none.txt")
    with pytest.raises(FileNotFoundError):
        client.list_directory("/no/such/folder")
    with pytest.raises(GuestError, match="File not found"):
        client.set_wallpaper("~/none.png")
    with pytest.raises(GuestError, match="No recording in progress"):
        client.end_recording()
    client.start_recording()
    with pytest.raises(GuestError, match="already in progress"):
        client.start_recording()
    with pytest.raises(GuestError, match="did not start"):
        client.launch(["no-such-program"])


def test_what_is_no_file_is_an_answer(machine: OsworldMachine, client: OsworldClient) -> None:
    """Its server answers 500 for a folder, and never answers for a pipe."""
    (machine.home / "folder").mkdir()
    os.mkfifo(machine.home / "pipe")
    (machine.home / "zero").symlink_to("/dev/zero")
    (machine.home / "large").write_bytes(b"12345")
    (machine.home / "nowhere").symlink_to(machine.home / "none")
    for name, said in (("folder", "is a folder"), ("pipe", "is a pipe"), ("zero", "is a device"), ("large", "5 bytes")):
        with pytest.raises(Unfit, match=said):
            client.read_file(f"~/{name}", max_bytes=4)
    for name in ("nowhere", "large/inside", "x" * 300):
        with pytest.raises(FileNotFoundError):
            client.read_file(f"~/{name}")
    assert client.read_file("~/large", max_bytes=5) == b"12345"
    for name, said in (("large", "is a file"), ("pipe", "is a pipe"), ("zero", "is a device")):
        with pytest.raises(Unfit, match=said):
            client.list_directory(str(machine.home / name))
    (machine.home / "loop").symlink_to("loop")
    with pytest.raises(Unfit, match="cannot be read"):
        client.read_file("~/loop")


def test_a_title_of_several_lines_is_no_window_more(machine: OsworldMachine, client: OsworldClient) -> None:
    listed = "0x01c00003  0 5 6 640 400 xterm.XTerm  host a title\nthat goes on\n0x2 -1 -5 0 1 1 N/A  N/A \n"
    machine.wrong["/execute"] = lambda: jsonify({"output": listed, "error": "", "returncode": 0})
    with pytest.raises(GuestError, match="active window"):
        client.windows()
    machine.wrong["/execute"] = lambda: jsonify(
        {
            "output": "29360131\n" if "_NET_ACTIVE" in request.get_data(as_text=True) else listed,
            "error": "",
            "returncode": 0,
        }
    )
    one, two = client.windows()
    assert (one.title, one.active, one.x, one.height, one.wm_class) == ("a title", True, 5, 400, "xterm.XTerm")
    assert (two.title, two.active, two.x) == ("", False, -5)


def slow() -> str:
    wait.sleep(2.0)
    return "late"


WRONG: list[tuple[str, Callable[[], Any], Callable[[OsworldClient], Any], type[EnvError], str]] = [
    ("/screenshot", lambda: (FLASK_ERROR, 500), lambda c: c.observe(), GuestError, "/screenshot.*500"),
    ("/screenshot", lambda: Response(b"\x89PNG\r\n\x1a\ncut", mimetype="image/png"), lambda c: c.observe(), GuestError, "not a picture"),
    ("/screenshot", lambda: "", lambda c: c.observe(), GuestError, "not a picture"),
    ("/platform", lambda: "OS/2", lambda c: c.platform, GuestError, "must be one of Linux, Windows, Darwin"),
    ("/cursor_position", lambda: jsonify([1, None]), lambda c: c.observe(), GuestError, "the cursor is"),
    ("/cursor_position", lambda: jsonify([1, 10**30]), lambda c: c.observe(), GuestError, "a number of 31 digits"),
    ("/platform", slow, lambda c: c.platform, GuestTimeout, "did not answer within 1 s"),
    ("/execute", lambda: (jsonify({"status": "error", "message": "No such file: 'x'"}), 500), lambda c: c.run(["x"]), GuestError, "No such file"),
    ("/execute", lambda: "<html>", lambda c: c.run(["true"]), GuestError, "not JSON"),
    ("/execute", lambda: jsonify([1]), lambda c: c.run(["true"]), GuestError, "not a JSON object"),
    ("/execute", lambda: jsonify({"status": "success", "output": "Traceback", "error": "no display", "returncode": 1}),
     lambda c: c.act([Type("x")]), GuestError, "were not carried out.*no display"),
    ("/file", lambda: (jsonify({"error": "Failed to serve file: disk"}), 500), lambda c: c.read_file("/etc/passwd"), GuestError, "Failed to serve"),
    ("/setup/upload", lambda: (jsonify({"error": "Failed to upload file: full"}), 500), lambda c: c.write_file("~/x", b""), GuestError, "full"),
    ("/wallpaper", lambda: ("unsupported OS", 400), lambda c: c.wallpaper(), GuestError, "unsupported OS"),
    ("/end_recording", lambda: (FLASK_ERROR, 500), lambda c: c.end_recording(), GuestError, "/end_recording.*500"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "answer", "call", "kind", "said"), WRONG, ids=[f"{n}-{w[0]}" for n, w in enumerate(WRONG)]
)
def test_a_wrong_answer_is_the_machines_fault_in_one_line(
    path: str, answer: Callable[[], Any], call: Callable[[OsworldClient], Any], kind: type[EnvError], said: str,
    machine: OsworldMachine, client: OsworldClient,
) -> None:  # fmt: skip
    machine.wrong[path] = answer
    client.answer_seconds = 1.0
    with pytest.raises(kind, match=said) as raised:
        call(client)
    assert "\n" not in str(raised.value) and "<" not in str(raised.value)


def test_what_a_machine_cannot_do_is_found_by_asking(machine: OsworldMachine, client: OsworldClient) -> None:
    machine.wrong["/accessibility"] = lambda: ("Currently not implemented for platform Linux.", 500)
    machine.wrong["/terminal"] = lambda: ("not implemented", 500)
    features = client.health().features
    assert "not implemented" in features["accessibility"] and "not implemented" in features["terminal"]
    seen = client.observe(Observe(accessibility=True))
    assert seen.accessibility is None and "not implemented" in seen.problems[0]


def test_a_machine_that_goes_away_is_unreachable(machine: OsworldMachine, client: OsworldClient) -> None:
    client.observe()
    machine.close()
    with pytest.raises(GuestUnreachable):
        client.observe()
    machine.__post_init__()  # for the fixture, which closes it


def test_the_provider_knows_the_dialect_by_itself(machine: OsworldMachine) -> None:
    provider = RemoteProvider(machine.url)
    desktop = provider.start(DesktopSpec(width=640, height=400))
    assert isinstance(desktop, OsworldClient) and desktop.observe().width == 640
    provider.stop(desktop)
    provider.close()


def test_who_was_asked_for_a_proof_is_not_driven_without(
    machine: OsworldMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a program that answers like OSWorld's server could pass for ours."""
    monkeypatch.setenv("ITS_TOKEN", "of-a-server-of-ours")
    with pytest.raises(UsageError, match=r"status 404.*OSWorld's server has none"):
        reach(Machine(url=machine.url, token_env="ITS_TOKEN"), 5)
    assert isinstance(reach(Machine(url=machine.url), 5)[0], OsworldClient)


def test_osworlds_five_part_address(machine: OsworldMachine) -> None:
    host, _, port = machine.url.removeprefix("http://").partition(":")
    provider = RemoteProvider(f"{host}:{port}:19222:18006:18080")
    desktop = provider.start(DesktopSpec(width=640, height=400))
    assert [desktop.forward(inner) for inner in (9222, 8006, 8080, 5000)] == [
        f"{host}:19222", f"{host}:18006", f"{host}:18080", f"{host}:5000",
    ]  # fmt: skip
    provider.stop(desktop)
    provider.close()
