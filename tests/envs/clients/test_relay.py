"""What a desktop can reach through its controller: listed names, and ports that the controller requests."""

import http.server
import socket
import threading
from collections.abc import Iterator
from functools import partial

import pytest
import requests

from deskbench.envs import wait
from deskbench.envs.clients.relay import Relay, parse
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.errors import UsageError
from deskbench.envs.providers.local import LocalProvider


class Site(http.server.BaseHTTPRequestHandler):
    """A web site that returns the request it got."""

    def do_GET(self) -> None:
        body = f"{self.path} {self.headers.get('Connection')} {self.headers.get('Proxy-Connection')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module")
def desktop(site: int) -> Iterator[Desktop]:
    """A desktop that may reach the site by its address, and example.org."""
    provider = LocalProvider()
    yield provider.start(DesktopSpec(network=(f"127.0.0.1:{site}", "*.example.org", "localhost")))
    provider.close()


def curl(desktop: Desktop, *arguments: str) -> str:
    return desktop.run(["curl", "-s", "-m", "20", "--noproxy", "", *arguments]).stdout


@pytest.mark.parametrize(
    ("entry", "host", "port", "admitted"),
    [
        ("example.org", "example.org", 443, True),
        ("example.org", "example.org", 80, True),
        ("example.org", "example.org", 22, False),
        ("example.org", "www.example.org", 443, False),
        ("example.org", "example.org.evil.net", 443, False),
        ("*.example.org", "www.example.org", 443, True),
        ("*.example.org", "example.org", 443, True),
        ("*.example.org", "badexample.org", 443, False),
        ("Example.ORG:8080", "example.org", 8080, True),
        ("example.org:8080", "example.org", 80, False),
        ("[::1]:90", "::1", 90, True),
    ],
)
def test_an_entry_admits_what_it_says(entry: str, host: str, port: int, admitted: bool) -> None:
    (read,) = parse([entry])
    assert read.admits(host, port) is admitted


@pytest.mark.parametrize(
    "entry", ["", "*", "*.*.org", "http://example.org", "example.org/path", "a:b", "u@example.org"]
)
def test_what_is_no_entry_is_refused(entry: str) -> None:
    with pytest.raises(UsageError, match=r"write example\.org"):
        parse([entry])


class Desk:
    """The desktop's end of a relay: opened connections, and what a program would send through them."""

    def __init__(self) -> None:
        self.ends: list[socket.socket] = []

    def open(self) -> socket.socket:
        near, far = socket.socketpair()
        self.ends.append(far)
        return near

    def has_more_than(self, count: int) -> bool:
        return len(self.ends) > count


def test_programs_have_only_so_many_connections_at_a_time() -> None:
    desk = Desk()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        relay = Relay([f"127.0.0.1:{port}"], desk.open, most=6)
        assert len(desk.ends) == 4
        for number in range(6):
            assert wait.until(partial(desk.has_more_than, number), timeout=10)
            desk.ends[number].sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
            assert desk.ends[number].recv(100).startswith(b"HTTP/1.1 200")
        assert len(desk.ends) == 6
        desk.ends[0].close()
        listener.accept()[0].close()
        assert wait.until(lambda: len(desk.ends) == 7, timeout=10)
        relay.close()


def test_a_name_that_no_resolver_takes_is_refused() -> None:
    desk = Desk()
    relay = Relay(["*.example.org"], desk.open)
    desk.ends[0].sendall(b"CONNECT " + b"a" * 70 + b"..example.org:443 HTTP/1.1\r\n\r\n")
    assert desk.ends[0].recv(100).startswith(b"HTTP/1.1 502")
    relay.close()


@pytest.mark.desktop
class TestDesktop:
    def test_what_is_on_the_list_is_reached(self, desktop: Desktop, site: int) -> None:
        for number in range(12):  # more than may wait in the pool
            assert curl(desktop, f"http://127.0.0.1:{site}/page?{number}") == f"/page?{number} close None"

    def test_bodies_arrive_as_they_are(self, desktop: Desktop, site: int) -> None:
        body = "a\r\nProxy-Thing: kept\r\n\r\nb"
        assert curl(desktop, "--data-binary", body, f"http://127.0.0.1:{site}/") == body

    def test_a_tunnel_is_made_for_encrypted_sites(self, desktop: Desktop, site: int) -> None:
        assert curl(desktop, "--proxytunnel", f"http://127.0.0.1:{site}/in") == "/in None None"

    def test_what_is_not_on_the_list_is_refused(self, desktop: Desktop, site: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            for url in (
                f"http://127.0.0.1:{port}/",
                "http://example.com/",
                "http://127.0.0.2/",
                "http://example.org:22/",
            ):
                assert curl(desktop, "-o", "/dev/null", "-w", "%{http_code}", url) == "403", url

    def test_a_name_that_leads_home_is_refused(self, desktop: Desktop, site: int) -> None:
        assert curl(desktop, "-o", "/dev/null", "-w", "%{http_code}", "http://localhost/") == "403"

    def test_there_is_no_other_way_out(self, desktop: Desktop, site: int) -> None:
        direct = desktop.run(["curl", "-s", "-m", "5", "--noproxy", "*", f"http://127.0.0.1:{site}/"])
        assert direct.returncode != 0

    def test_nonsense_is_refused(self, desktop: Desktop) -> None:
        said = desktop.run(
            "exec 3<>/dev/tcp/127.0.0.1/3128; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; head -1 <&3", shell=True
        )
        assert said.stdout.strip() == "HTTP/1.1 400 Not a request to a proxy"

    def test_a_port_of_the_desktop_is_reached(self, desktop: Desktop) -> None:
        desktop.write_file("~/site/hello.txt", b"x" * 300_000)
        desktop.run("cd ~/site && (python3 -m http.server 8765 >/dev/null 2>&1 &) ; for i in $(seq 50); do "
                    "curl -s --noproxy '*' 127.0.0.1:8765 >/dev/null && break; done", shell=True)  # fmt: skip
        address = desktop.forward(8765)
        assert address == desktop.forward(8765)
        with requests.Session() as session:
            session.trust_env = False
            assert [len(session.get(f"http://{address}/hello.txt", timeout=10).content) for _ in range(3)] == [
                300_000
            ] * 3

    def test_a_port_that_nothing_listens_at_is_closed(self, desktop: Desktop) -> None:
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://{desktop.forward(4321)}/", timeout=10)
