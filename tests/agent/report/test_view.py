"""`view`: the report over HTTP for one person at one machine; what other origins, names and clients get of it."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser

from deskbench.agent.report.guard import names_us
from deskbench.agent.report.report import payload
from deskbench.agent.report.view import CONNECTIONS, Server
from deskbench.envs import wait

from ..browser import chromium, tab
from ..serving import at_work
from ..staged_runs import episode, run


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[str]:
    """Its address while it serves."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serving(*folders: Path, host: str = "127.0.0.1", seconds: float = 10.0) -> Iterator[str]:
    """The link of a server of these folders while it serves."""
    with at_work(Server(folders, host, request_seconds=seconds)) as server:
        yield server.link.removesuffix("/")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = run(tmp_path / "run-a", planned=2)
    episode(made, "s/pass", 1.0)
    return made


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that no test changes."""
    made = run(tmp_path_factory.mktemp("still") / "run-a", planned=2)
    episode(made, "s/pass", 1.0)
    return made


@pytest.fixture(scope="module")
def served(still: Path) -> Iterator[str]:
    """A server of it."""
    with serving(still) as base:
        yield base


def frame_of(folder: Path, task: str = "s/pass") -> str:
    """The path of the first picture of an episode."""
    (shown,) = payload([folder])["runs"]
    episode = next(e for e in shown["episodes"] if e["task"] == task)
    return f"/api/runs/{shown['id']}/episodes/{episode['id']}/frames/{episode['steps'][0]['frame']}.png"


def rows_of(folder: Path) -> str:
    """The path of a run's list."""
    return f"/api/runs/{payload([folder])['runs'][0]['id']}/episodes"


def test_view_serves_the_page_the_numbers_and_the_pictures(folder: Path) -> None:
    with serving(folder) as base:
        assert "<!doctype html>" in requests.get(base, timeout=10).text
        assert wait.until(lambda: "vlm" in requests.get(f"{base}/api/runs", timeout=10).text, timeout=20)
        assert "s/pass" in requests.get(base + rows_of(folder), timeout=10).text
        frame = requests.get(base + frame_of(folder), timeout=10)
        assert (frame.status_code, frame.headers["Content-Type"], frame.content[:4]) == (200, "image/png", b"\x89PNG")
        episode(folder, "s/late", 1.0)
        assert "s/late" in requests.get(base + rows_of(folder), timeout=10).text
        assert requests.get(base + frame_of(folder, "s/late"), timeout=10).status_code == 200


def ask(base: str, request: bytes) -> bytes:
    """The first line of what comes back for these bytes; nothing where the connection is closed."""
    host, _, port = base.removeprefix("http://").partition(":")
    with closing(socket.create_connection((host, int(port)), 20)) as sock:
        sock.settimeout(20)
        sock.sendall(request)
        try:
            return sock.makefile("rb").readline().strip()
        except ConnectionResetError:
            return b""


def get(base: str, path: bytes, *headers: bytes, host: bytes | None = None, method: bytes = b"GET") -> bytes:
    address = base.removeprefix("http://").encode()
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: " + (host or address), *headers, b"", b""]
    return ask(base, b"\r\n".join(lines))


OK, FORBIDDEN, NOT_FOUND, WRONG_METHOD = (
    f"HTTP/1.1 {status}".encode() for status in ("200 OK", "403 Forbidden", "404 Not Found", "405 Method Not Allowed")
)
FRAME = b"0" * 64 + b".png"
UNREADABLE = b"HTTP/1.1 400 Bad Request"
PATHS = [
    b"/run.json", b"/api", b"/api/runs/", b"/./api/runs", b"/index.html", b"/app.js", b"/etc/passwd",
    b"/api/runs/..", b"/api/runs/../../run.json", b"/api/runs/RUN/../../run.json", b"/api/runs/%2e%2e/%2e%2e/run.json",
    b"/api/runs/RUN/episodes/..%2f..%2frun.json", b"/api/runs/RUN/episodes/..\\..\\run.json",
    b"/api/runs//etc/passwd", b"/api/runs/%2fetc%2fpasswd", b"/api/runs/RUN/episodes/s/pass/1/frames/" + FRAME,
    b"/api/runs/RUN/episodes/ID/frames/../../../run.json", b"/api/runs/RUN/episodes/ID/frames/%00" + FRAME,
    b"/api/runs/RUN/episodes/ID/frames/..%2fepisode.json", b"/api/runs/RUN/episodes/ID/trees/..%2fepisode.json",
    b"/api/runs/RUN/episodes/ID/trees/..%2f..%2frun.json", b"/api/runs/RUN/episodes/ID/trees/" + b"0" * 64,
    b"/api/runs/RUN/episodes/ID/thumbnails/..%2fepisode.webp", b"/api/runs/RUN/events/x",
    b"/api/runs/0/episodes/ID/frames/" + FRAME, b"/api/runs/RUN/episodes/0/frames/" + FRAME,
    b"/api/runs/RUN/episodes/ID/frames/" + FRAME, b"/api/runs/" + b"9" * 5000, b"/\xff\xfe", b"/api/runs/\xb2",
    b"http://elsewhere.example/", b"/api/runs/ID", b"/api/runs/RUN/episodes/RUN",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_what_is_not_a_page_of_ours_is_not_there(path: bytes, still: Path, served: str) -> None:
    (shown,) = payload([still])["runs"]
    (known,) = shown["episodes"]
    wanted = path.replace(b"ID", known["id"].encode()).replace(b"RUN", shown["id"].encode())
    assert get(served, wanted) in (NOT_FOUND, UNREADABLE)


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_nothing_but_reading_is_done(method: str, still: Path, served: str) -> None:
    before = {path: path.read_bytes() for path in still.rglob("*") if path.is_file()}
    for path in (b"/", b"/api/runs"):
        assert get(served, path, b"Content-Length: 0", method=method.encode()) == WRONG_METHOD
    assert {path: path.read_bytes() for path in still.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("evil.example", FORBIDDEN), ("evil.example:80", FORBIDDEN), ("127.0.0.1.evil.example", FORBIDDEN),
        ("localhost.evil.example", FORBIDDEN), ("evil.example@127.0.0.1", FORBIDDEN), ("10.0.0.1", FORBIDDEN),
        ("0.0.0.0", FORBIDDEN), ("127.0.0.1\r\nHost: evil.example", UNREADABLE), ("[::ffff:10.0.0.1]", FORBIDDEN),
        ("localhost", OK), ("LOCALHOST:1", OK), ("127.0.0.1", OK), ("[::1]:8750", OK), ("127.0.0.1:8750", OK),
    ],
)  # fmt: skip
def test_a_foreign_name_for_loopback_is_refused(host: str, said: bytes, served: str) -> None:
    assert get(served, b"/api/runs", host=host.encode()) == said


def test_no_name_at_all_is_refused(served: str) -> None:
    assert ask(served, b"GET /api/runs HTTP/1.1\r\n\r\n") == UNREADABLE
    assert ask(served, b"GET /api/runs HTTP/1.0\r\n\r\n") == FORBIDDEN


@pytest.mark.parametrize(
    ("host", "ours"),
    [("10.0.0.5:8750", True), (f"{socket.gethostname()}:8750", True), ("localhost:8750", True),
     ("[fe80::1]:8750", True), ("evil.example:8750", False), ("10.0.0.5.evil.example", False), ("", False)],
)  # fmt: skip
def test_where_it_listens_for_others_an_address_or_the_machines_name_will_do(host: str, ours: bool) -> None:
    assert names_us(host, "10.0.0.5") is ours


@pytest.mark.parametrize(
    ("headers", "path", "said"),
    [
        (["Origin: http://evil.example"], "/api/runs", FORBIDDEN),
        (["Origin: null"], "/", FORBIDDEN),
        (["Origin: http://127.0.0.1:9"], "/api/runs", FORBIDDEN),
        (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"], "FRAME", FORBIDDEN),
        (["Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"], "/api/runs", FORBIDDEN),
        (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"], "/", FORBIDDEN),
        (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"], "FRAME", FORBIDDEN),
        (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"], "/", OK),
        (["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"], "/api/runs", OK),
        (["Sec-Fetch-Site: none"], "/", OK),
    ],
)
def test_other_sites_may_link_to_the_page_and_no_more(
    headers: list[str], path: str, said: bytes, still: Path, served: str
) -> None:
    wanted = frame_of(still) if path == "FRAME" else path
    assert get(served, wanted.encode(), *(header.encode() for header in headers)) == said


@pytest.mark.parametrize("path", ["/", "/api/runs", "FRAME", "/nowhere"])
def test_every_answer_says_how_it_may_be_used(path: str, still: Path, served: str) -> None:
    answer = requests.get(served + (frame_of(still) if path == "FRAME" else path), timeout=10)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    kept = "private, max-age=31536000, immutable" if path == "FRAME" else "no-store"
    assert answer.headers["Cache-Control"] == kept
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Server" not in answer.headers


@pytest.mark.parametrize(
    "request_",
    [b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\0\0", b"GET / / / HTTP/1.1\r\n\r\n",
     b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 500 + b"\r\n", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n"],
)  # fmt: skip
def test_what_is_no_request_is_not_answered_with_anything(request_: bytes, served: str) -> None:
    said = ask(served, request_ + b"\n")
    assert b"200" not in said and b"500" not in said
    assert requests.get(served, timeout=10).status_code == 200


def hostile_frames(folder: Path, outside: Path) -> Iterator[tuple[str, Any]]:
    place = next((folder / "episodes").glob("s/pass/1/frames"))
    real = next(place.iterdir()).read_bytes()
    outside.mkdir()
    (outside / "secret.png").write_bytes(real)

    def sparse(path: Path) -> None:
        path.write_bytes(real)
        os.truncate(path, 2**40)

    yield "HTML", lambda path: path.write_bytes(b"<script>alert(1)</script>")
    yield "a link out", lambda path: path.symlink_to(outside / "secret.png")
    yield "a device", lambda path: path.symlink_to("/dev/zero")
    yield "a pipe", os.mkfifo
    yield "a folder", Path.mkdir
    yield "sparse", sparse


def test_pictures_alone_are_served_and_none_from_outside(folder: Path, tmp_path: Path) -> None:
    known = frame_of(folder).rpartition("/")[0]
    place = folder / "episodes/s/pass/1/frames"
    with serving(folder) as base:
        for index, (kind, make) in enumerate(hostile_frames(folder, tmp_path / "outside")):
            name = f"{index:064x}"
            make(place / f"{name}.png")
            assert get(base, f"{known}/{name}.png".encode()) == NOT_FOUND, kind
        assert get(base, frame_of(folder).encode()) == OK


def test_a_folder_of_frames_that_leads_out_is_not_followed(folder: Path, tmp_path: Path) -> None:
    path = frame_of(folder)
    place = folder / "episodes/s/pass/1/frames"
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    with serving(folder) as base:
        assert get(base, path.encode()) == NOT_FOUND


def test_slow_connections_end_and_do_not_keep_others_waiting(folder: Path) -> None:
    with serving(folder, seconds=1.0) as base:
        port = int(base.rpartition(":")[2])
        slow = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(CONNECTIONS // 2)]
        for sock in slow:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.")
        assert requests.get(base, timeout=20).status_code == 200
        for sock in slow:
            sock.settimeout(30)
            assert sock.recv(1000) == b""
            sock.close()


def test_too_many_connections_are_closed_and_the_next_are_served(folder: Path) -> None:
    with serving(folder, seconds=3.0) as base:
        port = int(base.rpartition(":")[2])
        idle = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(3 * CONNECTIONS)]
        for sock in idle:
            sock.settimeout(30)
            assert sock.recv(1) == b""
            sock.close()
        assert requests.get(base, timeout=20).status_code == 200


# A page of another origin, in a real browser

ATTACK = """<!doctype html><title>attack</title><body><script>
const base = "BASE", out = {};
const load = (name, node) => new Promise(done => {
  node.onload = () => { out[name] = "loaded"; done(); };
  node.onerror = () => { out[name] = "refused"; done(); };
  document.body.append(node);
});
const make = (tag, more) => Object.assign(document.createElement(tag), more);
const reads = (name, options) => fetch(base + "/api/runs", options).then(r => r.text()).then(
  t => { out[name] = "read " + t.length; }, () => { out[name] = "refused"; });
(async () => {
  await reads("fetch", {});
  await reads("fetch with credentials", {credentials: "include"});
  await reads("post", {method: "POST", body: "x"});
  await reads("fetch without cors", {mode: "no-cors"});
  await load("picture", make("img", {src: base + "FRAME"}));
  await load("script", make("script", {src: base + "/api/runs"}));
  await load("style", make("link", {rel: "stylesheet", href: base + "/api/runs"}));
  const frame = make("iframe", {src: base + "/", name: "inside"});
  await load("frame", frame);
  out.inside = frame.contentWindow.length + " frames";
  const form = make("form", {action: base + "/api/runs", method: "post", target: "inside"});
  document.body.append(form); form.submit();
  await new Promise(done => { frame.onload = done; });
  const opened = window.open(base + "/");
  out.opened = opened ? "opened" : "blocked";
  await new Promise(done => setTimeout(done, 1000));
  try { out.reading = opened.document.title; } catch (error) { out.reading = error.name; }
  window.out = out;
})();
</script>"""


class Elsewhere(BaseHTTPRequestHandler):
    """Another origin on this machine."""

    page = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@contextmanager
def elsewhere(page: str) -> Iterator[str]:
    handler = type("Page", (Elsewhere,), {"page": page.encode()})
    with running(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as base:
        yield base


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium("--host-resolver-rules=MAP evil.test 127.0.0.1", "--disable-popup-blocking") as made:
        yield made


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "evil.test"])
def test_a_page_of_another_origin_gets_nothing(name: str, folder: Path, browser: Browser) -> None:
    with serving(folder) as base:
        page = ATTACK.replace("BASE", base).replace("FRAME", frame_of(folder))
        with elsewhere(page) as other, tab(browser, "about:blank") as seen:
            answers: list[tuple[str, int]] = []
            seen.page.on("response", lambda a: answers.append((a.url.removeprefix(base), a.status)))
            ended: set[str] = set()  # a browser that keeps an answer from a page may tell of a failure only
            seen.page.on("requestfinished", lambda request: ended.add(request.url.removeprefix(base)))
            seen.page.on("requestfailed", lambda request: ended.add(request.url.removeprefix(base)))
            seen.page.goto(other.replace("127.0.0.1", name))
            seen.wait("window.out !== undefined")
            out = seen.run("window.out")
            # the end of a request may be told of a moment after what it led to
            assert wait.until(lambda: seen.run("1") and {"/", "/api/runs"} <= ended, timeout=20)
            for other_page in seen.page.context.pages[1:]:
                other_page.close()
    refused = ("fetch", "fetch with credentials", "post", "picture", "script", "style")
    assert {key: out[key] for key in refused} == dict.fromkeys(refused, "refused")
    assert out["fetch without cors"] in ("refused", "read 0")
    assert out["inside"] == "0 frames"
    assert out["reading"] == "SecurityError" or out["reading"] is None
    ours = [(url, status) for url, status in answers if not url.startswith("http")]
    assert {status for _, status in ours} <= {403, 405}


def test_a_name_that_is_bound_to_our_address_gets_nothing(folder: Path, browser: Browser) -> None:
    with serving(folder) as base, tab(browser, "about:blank") as seen:
        for path in ("/", "/api/runs", frame_of(folder)):
            answer = seen.page.goto(base.replace("127.0.0.1", "evil.test") + path)
            assert answer is not None and (answer.status, answer.text()) == (403, "403 Forbidden\n")


def test_our_own_page_gets_everything(folder: Path, browser: Browser) -> None:
    for name in ("127.0.0.1", "localhost"):
        with serving(folder) as base, tab(browser, base.replace("127.0.0.1", name)) as seen:
            seen.page.click("a.row")
            seen.wait("document.querySelector('.screen img')?.naturalWidth === 640")
            assert seen.errors == []
            assert json.loads(seen.run("fetch('/api/runs').then(answer => answer.text())"))["runs"]


def test_a_change_is_told_while_a_page_listens(folder: Path) -> None:
    with serving(folder) as base:
        address = base + rows_of(folder).removesuffix("episodes") + "events"
        with requests.get(address, stream=True, timeout=20) as stream:
            lines = (line for line in stream.iter_lines() if line)
            first = next(lines)
            episode(folder, "s/late", 1.0)
            assert first.startswith(b"data: ") and next(lines) != first
        answer = requests.get(f"{base}{rows_of(folder)}?since={first[6:].decode()}", timeout=10).json()
        assert [row["task"] for row in answer["rows"]] == ["s/late"] and not answer["whole"]


def test_others_need_the_token_where_it_listens_for_them(folder: Path) -> None:
    with serving(folder, host="0.0.0.0") as link:
        base, _, token = link.partition("/?token=")
        base = base.replace("0.0.0.0", "127.0.0.1")
        assert len(token) >= 32
        for wrong in ("", "?token=", f"?token={token[:-1]}", "?token=\xb2"):
            assert requests.get(f"{base}/{wrong}", timeout=10).status_code == 401
        assert requests.get(f"{base}/api/runs?token={token}", timeout=10).status_code == 401
        with requests.Session() as session:
            assert session.get(f"{base}/?token={token}", timeout=10).url == f"{base}/"
            assert session.get(f"{base}/api/runs", timeout=10).json()["runs"]
