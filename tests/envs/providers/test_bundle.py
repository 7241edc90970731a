"""The folder that turns a machine into a desktop: its contents, and that it works on Wine's Windows."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deskbench.envs import wait
from deskbench.envs.clients.http import Client
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.errors import EnvError, GuestError, UsageError
from deskbench.envs.providers import bundle
from deskbench.envs.providers.wine import WineProvider
from deskbench.envs.types import Type


def test_a_bundle_for_macos_has_the_server_its_installer_and_tokens(tmp_path: Path) -> None:
    tokens = bundle.make("macos", tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"README.md", "install.sh", "deskbench", "tokens.json"}
    assert json.loads((tmp_path / "out/tokens.json").read_text()) == tokens
    assert (tmp_path / "out/tokens.json").stat().st_mode & 0o077 == 0
    assert (tmp_path / "out/deskbench/envs/server/__main__.py").exists()
    assert not (tmp_path / "out/deskbench/tasks").exists()  # the answers stay here
    with pytest.raises(UsageError, match="already exists"):
        bundle.make("macos", tmp_path / "out")


@pytest.mark.parametrize("name", ["install.ps1", "install.bat"])
def test_windows_scripts_are_read_alike_in_every_code_page(name: str) -> None:
    data = (bundle.INSTALLERS / "windows" / name).read_bytes()
    assert data.isascii()
    assert (b"\r\n" in data) == name.endswith(".bat")


def test_the_powershell_script_closes_what_it_opens() -> None:
    """Without PowerShell, only this much can be checked."""
    text = (bundle.INSTALLERS / "windows/install.ps1").read_text()
    code = re.sub(r'"(?:`.|[^"`])*"', '""', re.sub(r"(?m)(?<!\S)#.*$", "", text))
    for one, other in ("()", "{}", "[]"):
        assert code.count(one) == code.count(other)


@pytest.fixture
def windows() -> Iterator[Desktop]:
    provider = WineProvider()
    yield provider.start(DesktopSpec())
    provider.close()


@pytest.mark.desktop
@pytest.mark.slow
def test_a_bundle_serves_a_windows_desktop(windows: Desktop, tmp_path: Path) -> None:
    """As the installer leaves it: no console, the tokens in a file, a port."""
    tokens = bundle.make("windows", tmp_path / "out")
    windows.write_file(r"C:\OEM.zip", zipped(tmp_path / "out"))
    unpack = r"import zipfile; zipfile.ZipFile('C:\\OEM.zip').extractall('C:\\OEM')"
    assert windows.run(["python", "-c", unpack]).returncode == 0
    python, arguments = r"C:\OEM\python\pythonw.exe", ["--port", "6000", "--tokens", r"C:\OEM\tokens.json"]
    windows.run(["cmd", "/c", "start", "/b", python, "-m", "deskbench.envs.server", *arguments])
    url = f"http://{windows.forward(6000)}"
    inside = Client("bundle", url, token=tokens["control_token"])
    assert wait.until(lambda: answers(inside), timeout=30)
    assert inside.health().platform == "Windows"
    inside.launch(["notepad"])
    assert inside.act([Type("hello")]).settled
    with pytest.raises(EnvError, match="token"):
        Client("stranger", url).health()
    inside.close()


def zipped(folder: Path) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder))
    return made.getvalue()


def answers(client: Client) -> bool:
    try:
        client.health()
    except (EnvError, GuestError):
        return False
    return True
