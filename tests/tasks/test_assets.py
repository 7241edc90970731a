"""Files from the web: downloaded once, completely, verified, mirrored, and never when offline."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deskbench.agent.cli.main import app
from deskbench.envs.errors import SetupError
from deskbench.tasks.assets import HUB, V2_FILES, AssetStore, fetch
from deskbench.tasks.types import Evaluator, Outside, Task

DATA = b"a document" * 1000


class Web(ThreadingHTTPServer):
    """Serves /whole, /short (breaks off), /gone (404), /late (fails twice first), /false (wrong checksum)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        late = self.path == "/late" and self.server.asked.count("/late") < 3
        self.send_response(404 if self.path == "/gone" else 503 if late else 200)
        self.send_header("Content-Length", str(len(DATA)))
        if self.path == "/false":
            self.send_header("X-Linked-Etag", hashlib.sha256(b"other").hexdigest())
        self.end_headers()
        self.wfile.write(DATA[:100] if self.path == "/short" else DATA)

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Web]:
    server = Web()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as server:
        yield server


def test_a_file_is_fetched_once(web: Web, tmp_path: Path) -> None:
    store = AssetStore(tmp_path)
    one, two = store.get(f"{web.address}/whole"), store.get(f"{web.address}/whole")
    assert one == two and one.read_bytes() == DATA and one.name == hashlib.sha256(DATA).hexdigest()
    assert web.asked == ["/whole"]


def test_two_episodes_that_want_it_at_once_fetch_it_once(web: Web, tmp_path: Path) -> None:
    store = AssetStore(tmp_path)
    threads = [threading.Thread(target=store.get, args=(f"{web.address}/whole",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert web.asked == ["/whole"]


@pytest.mark.parametrize(
    ("path", "why"), [("/short", "broke off|IncompleteRead"), ("/false", "checksum"), ("/gone", "404")]
)
def test_what_does_not_come_whole_leaves_nothing(path: str, why: str, web: Web, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=why) as caught:
        AssetStore(tmp_path).get(web.address + path)
    assert caught.value.permanent is (path == "/gone")
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("url", ["http://[::1/x", "htp://example.org/x", "http://", "example.org/x"])
def test_what_is_no_url_is_not_tried_again(url: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot fetch") as caught:
        AssetStore(tmp_path).get(url)
    assert caught.value.permanent


def test_a_server_that_is_down_for_a_moment_is_asked_again(web: Web, tmp_path: Path) -> None:
    assert AssetStore(tmp_path).get(f"{web.address}/late").read_bytes() == DATA


def test_a_file_that_was_changed_on_disk_is_fetched_anew(web: Web, tmp_path: Path) -> None:
    AssetStore(tmp_path / "a").get(f"{web.address}/whole").replace(tmp_path / "moved")
    blob = tmp_path / "b/blobs" / hashlib.sha256(DATA).hexdigest()
    record = next((tmp_path / "a/urls").iterdir())
    blob.parent.mkdir(parents=True)
    (tmp_path / "b/urls").mkdir()
    (tmp_path / "b/urls" / record.name).write_bytes(record.read_bytes())
    blob.write_bytes(DATA + b"!")  # does not match its name
    assert AssetStore(tmp_path / "b").get(f"{web.address}/whole").read_bytes() == DATA
    assert web.asked == ["/whole", "/whole"]


def test_a_mirror_is_a_folder_or_an_address(web: Web, tmp_path: Path) -> None:
    AssetStore(tmp_path / "mirror").get(f"{web.address}/whole")
    offline = AssetStore(tmp_path / "own", mirror=str(tmp_path / "mirror"), offline=True)
    assert offline.has(f"{web.address}/whole") and offline.get(f"{web.address}/whole").read_bytes() == DATA
    with pytest.raises(SetupError, match="deskbench tasks mirror"):
        offline.get(f"{web.address}/late")
    assert AssetStore(tmp_path / "c", mirror=web.address).get(f"{HUB}/whole").read_bytes() == DATA


def test_the_command_fills_a_mirror(web: Web, tmp_path: Path) -> None:
    files = [{"url": f"{web.address}/{name}", "path": f"/home/user/{name}"} for name in ("whole", "gone")]
    evaluator = {
        "func": "compare_text_file",
        "result": {"type": "vm_file", "path": "/home/user/whole", "dest": "a"},
        "expected": {"type": "cloud_file", "path": f"{web.address}/late", "dest": "b"},
    }
    task = {
        "id": "t",
        "instruction": "x",
        "config": [{"type": "download", "parameters": {"files": files}}],
        "evaluator": evaluator,
    }
    (tmp_path / "t.json").write_text(json.dumps(task))
    done = CliRunner().invoke(
        app, ["tasks", "mirror", str(tmp_path / "t.json"), "--out", str(tmp_path / "mirror"), "--json"]
    )
    answer = json.loads(done.stdout)
    assert done.exit_code == 1  # one is missing
    assert answer["files"] == 2 and list(answer["failed"]) == [f"{web.address}/gone"]
    assert AssetStore(tmp_path / "mirror", offline=True).get(f"{web.address}/late").read_bytes() == DATA


def test_files_of_this_machine_are_given_from_beside_the_task_and_from_the_folder_that_the_user_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("suite/mine.txt", "theirs/theirs.txt", "secret.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    task = Task(id="one", suite="suite", instruction="x", path=tmp_path / "suite" / "one.json", evaluator=Evaluator())
    theirs, secret = (tmp_path / "theirs/theirs.txt").as_uri(), (tmp_path / "secret.txt").as_uri()
    out = f"{(tmp_path / 'theirs').as_uri()}/../secret.txt"
    assert fetch((tmp_path / "suite/mine.txt").as_uri(), tmp_path / "cache", task).read_text() == "suite/mine.txt"
    with pytest.raises(Outside):
        fetch(theirs, tmp_path / "cache", task)
    for named in (str(tmp_path / "theirs"), (tmp_path / "theirs").as_uri()):
        monkeypatch.setenv(V2_FILES, named)
        assert fetch(theirs, tmp_path / "cache", task).read_text() == "theirs/theirs.txt"
        for address in (secret, out):
            with pytest.raises(Outside):
                fetch(address, tmp_path / "cache", task)
    allowed = task.model_copy(update={"host_files": True})
    assert fetch(secret, tmp_path / "cache", allowed).read_text() == "secret.txt"


def test_a_file_that_is_not_the_one_with_the_hash_is_refused(web: Web, tmp_path: Path) -> None:
    task = Task(id="one", suite="s", instruction="Do it.", path=tmp_path / "one.json", evaluator=Evaluator())
    url, right = f"{web.address}/whole", hashlib.sha256(DATA).hexdigest()
    assert fetch(url, tmp_path / "assets", task, right.upper()).read_bytes() == DATA
    with pytest.raises(SetupError, match=right) as caught:
        fetch(url, tmp_path / "assets", task, "0" * 64)
    assert caught.value.permanent


def test_the_hash_of_a_file_is_known_once_it_was_fetched(web: Web, tmp_path: Path) -> None:
    store = AssetStore(tmp_path)
    assert store.digest(f"{web.address}/whole") is None
    store.get(f"{web.address}/whole")
    assert store.digest(f"{web.address}/whole") == hashlib.sha256(DATA).hexdigest()
