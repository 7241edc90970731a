"""Pages that replace web sites, in a desktop without network: a TLS server and a Chromium that sends it all names."""

import json
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from deskbench.envs.desktop import Desktop

Pages = dict[str, str]
"""HTML, or `-> ADDRESS`, by the beginning of host and path; the first match counts."""
CHROMIUM = [
    "chromium", "--no-sandbox", "--test-type", "--no-first-run", "--no-default-browser-check", "--disable-gpu",
    "--password-store=basic", "--disable-background-networking", "--force-renderer-accessibility",
    "--remote-debugging-port=1337", "--host-resolver-rules=MAP *:443 127.0.0.1:8443", "--ignore-certificate-errors",
    "about:blank",
]  # fmt: skip
SERVER = """
import http.server, json, ssl
PAGES = json.load(open("pages.json"))

class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers["Host"] + self.path
        with open("asked", "a") as file:
            file.write(asked + "\\n")
        body = next((page for start, page in PAGES.items() if asked.startswith(start)), "")
        self.send_response(302 if body.startswith("-> ") else 200)
        if body.startswith("-> "):
            self.send_header("Location", body[3:])
        self.end_headers()
        self.wfile.write(b"" if body.startswith("-> ") else b"<!DOCTYPE html><meta charset=utf-8>" + body.encode())

server = http.server.ThreadingHTTPServer(("127.0.0.1", 8443), Server)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("pair.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@cache
def _certificate() -> bytes:
    with TemporaryDirectory() as name:
        key, certificate = Path(name, "key"), Path(name, "certificate")
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=a.test"]
        subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
        return key.read_bytes() + certificate.read_bytes()


def serve(desktop: Desktop, pages: Pages) -> None:
    """Copy the pages to the desktop and start Chromium."""
    desktop.write_file("~/pair.pem", _certificate())
    desktop.write_file("~/pages.json", json.dumps(pages).encode())
    desktop.write_file("~/server.py", SERVER.encode())
    desktop.launch(["python3", "server.py"])
    desktop.launch(CHROMIUM)


def asked(desktop: Desktop) -> list[str]:
    """Hosts and paths of all requests so far."""
    return desktop.read_file("~/asked").decode().splitlines()
