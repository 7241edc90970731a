"""A machine with OSWorld's routes only: our server behind a proxy that blocks all other requests."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deskbench.envs import wait
from deskbench.envs.clients.http import Client
from deskbench.envs.clients.osworld import OsworldClient
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.errors import GuestTimeout
from deskbench.envs.providers.conformance import DesktopContract
from deskbench.envs.providers.local import LocalDesktop
from deskbench.envs.providers.pool import Pool
from deskbench.envs.providers.remote import RemoteProvider
from deskbench.envs.types import Action, Click, Exec, Key, Move, Scroll, Type
from deskbench.envs.wire import Observe

pytestmark = [pytest.mark.desktop, pytest.mark.slow]
ROUTES = {
    "/execute", "/execute_with_verification", "/setup/execute", "/setup/launch", "/screenshot", "/terminal",
    "/accessibility", "/screen_size", "/window_size", "/desktop_path", "/wallpaper", "/list_directory", "/file",
    "/setup/upload", "/platform", "/cursor_position", "/setup/change_wallpaper", "/setup/download_file",
    "/setup/open_file", "/setup/activate_window", "/setup/close_window", "/start_recording", "/end_recording",
    "/run_python", "/run_bash_script",
}  # fmt: skip


class Door:
    """Forwards OSWorld's requests to a desktop, without asking for a token."""

    def __init__(self, desktop: LocalDesktop) -> None:
        there = Client("behind", token=desktop.tokens["control_token"], connect=desktop._connect)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path not in ROUTES:
                    self.send_error(404)
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                kind = {"Content-Type": self.headers["Content-Type"]} if self.headers["Content-Type"] else {}
                status, said = there._exchange(self.command, self.path, 2**30, {"data": body, "headers": kind})
                self.send_response(status)
                self.send_header("Content-Length", str(len(said or b"")))
                self.end_headers()
                self.wfile.write(said or b"")

            do_POST = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def make(local_provider: Pool) -> Iterator[Callable[[], Desktop]]:
    doors: list[Door] = []
    desktops: list[Desktop] = []

    def start() -> Desktop:
        desktop = local_provider.start(DesktopSpec())
        assert isinstance(desktop, LocalDesktop)
        desktops.append(desktop)
        doors.append(Door(desktop))
        return OsworldClient("osworld", doors[-1].url)

    yield start
    for door in doors:
        door.close()
    for desktop in desktops:
        local_provider.stop(desktop)


class TestContract(DesktopContract):
    """The whole contract: our client adds what OSWorld's server cannot do."""


def test_a_remote_machine_of_osworlds_is_recognised(make: Callable[[], Desktop]) -> None:
    desktop = make()
    assert isinstance(desktop, OsworldClient)
    provider = RemoteProvider(desktop._url)
    (check,) = provider.doctor()
    assert check.ok and "Linux by osworld's routes, 1280x800" in check.detail
    found = provider.start(DesktopSpec())
    assert isinstance(found, OsworldClient)
    assert found.health().server == "osworld"
    assert found.forward(9222) == "127.0.0.1:9222"
    provider.close()


def test_every_kind_of_input_arrives(make: Callable[[], Desktop]) -> None:
    desktop = make()
    desktop.launch(["xterm", "-e", "sh", "-c", "stty raw -echo; cat > ~/typed"])
    typed = "a<b>&c|'\"\\ é漢🙂"
    results = desktop.act([Type(typed), Key(("ctrl", "x")), Click(x=900, y=700, modifiers=("shift",))]).results
    assert [result.ok for result in results] == [True] * 3
    assert wait.until(lambda: desktop.read_file("~/typed").endswith(b"\x18"), timeout=5)
    assert desktop.read_file("~/typed").decode() == typed + "\x18"
    assert desktop.act([Move(x=7, y=9), Scroll(dx=0, dy=-2)]).cursor == (7, 9)


def test_code_runs_between_actions(make: Callable[[], Desktop]) -> None:
    seen = make().act([Move(x=5, y=6), Exec(lang="python", source="print(6 * 7)"), Move(x=7, y=8)])
    assert [(r.ok, r.error, r.output) for r in seen.results] == [
        (True, None, None),
        (True, None, "42\n"),
        (True, None, None),
    ]
    assert seen.cursor == (7, 8)


def test_an_action_that_fails_stops_the_rest_and_code_too(make: Callable[[], Desktop]) -> None:
    actions: list[Action] = [Click(x=5000, y=1), Move(x=1, y=1), Exec(lang="python", source="print(1)")]
    seen = make().act(actions, Observe(policy="immediate"))
    assert seen.settled is None
    assert [result.ok for result in seen.results] == [False, False, False]
    assert "5000, 1 is off the screen" in str(seen.results[0].error)


def test_a_command_that_does_not_end_is_ended_there(make: Callable[[], Desktop]) -> None:
    desktop = make()
    with pytest.raises(GuestTimeout, match="still running"):
        desktop.run(["sleep", "4322"], timeout=0.5)
    assert desktop.run("pgrep -f 'sleep 432[2]'", shell=True).stdout == ""
