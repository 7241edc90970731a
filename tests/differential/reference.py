"""OSWorld's own metrics, from the release on PyPI, with light stand-ins for libraries that are heavy or AGPL.

PDFium provides MuPDF's text and pictures, as for our metrics: the comparison covers what the metrics do with them.
easyocr, borb and acoustid are empty: no case reads text in pictures, and the other two are imported but never used.
"""

from __future__ import annotations

import importlib
import io
import logging
import os
import subprocess
import sys
import tempfile
import types
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

VERSION = "1.0.2"
READ = ("desktop_env/evaluators/", "desktop_env/controllers/", "desktop_env/actions.py")
FOLDER = user_cache_path("deskbench") / "reference" / f"desktop_env-{VERSION}"


_chosen: Path | None = None


class Raised(Exception):
    """OSWorld's function raised an exception; the message contains it."""


def use(folder: Path) -> None:
    """Use `desktop_env` from this folder instead of the release. Call it before any function."""
    global _chosen  # noqa: PLW0603  (a process knows one package of a name)
    _chosen = folder


def fetch() -> Path:
    """The release's sources, downloaded once and atomically, since several processes may ask at the same time."""
    package = FOLDER / "desktop_env"
    if not package.is_dir():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
            _unpack(Path(scratch))
            try:
                (Path(scratch) / "desktop_env").rename(package)
            except OSError:
                if not package.is_dir():  # otherwise another process was first
                    raise
    return FOLDER


def _unpack(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", str(folder)]
    subprocess.run([*command, f"desktop-env=={VERSION}"], check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder, [name for name in wheel.namelist() if name.startswith(READ)])
    for package in ("desktop_env", "desktop_env/evaluators"):
        (folder / package / "__init__.py").write_text("")


def _module(name: str, **content: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(content)
    return module


@contextmanager
def _instead(*modules: types.ModuleType) -> Iterator[None]:
    """Let these modules be imported in place of packages of their names; other tests need the true ones."""
    before = {module.__name__: sys.modules.get(module.__name__) for module in modules}
    sys.modules.update({module.__name__: module for module in modules})
    try:
        yield
    finally:
        for name, true in before.items():
            sys.modules.pop(name)
            if true is not None:
                sys.modules[name] = true


class _Page:
    def __init__(self, page: Any) -> None:
        self.page = page

    def get_text(self) -> str:
        return str(self.page.get_textpage().get_text_range())

    def get_images(self, full: bool = False) -> list[tuple[Any]]:
        import pypdfium2.raw as raw

        return [(image,) for image in self.page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE])]


class _Document:
    """The part of MuPDF's document class that OSWorld uses, based on PDFium."""

    def __init__(self, path: str) -> None:
        import pypdfium2

        self.document = pypdfium2.PdfDocument(path)
        self.page_count = len(self.document)

    def __iter__(self) -> Iterator[_Page]:
        return (self[index] for index in range(self.page_count))

    def __getitem__(self, index: int) -> _Page:
        return _Page(self.document[index])

    def __enter__(self) -> _Document:
        return self

    def __exit__(self, *error: object) -> None:
        self.document.close()

    @staticmethod
    def extract_image(image: Any) -> dict[str, bytes]:
        buffer = io.BytesIO()
        image.get_bitmap(render=False).to_pil().save(buffer, "PNG")
        return {"image": buffer.getvalue()}


class _Reader:
    """PyPDF2's reader, based on PDFium."""

    def __init__(self, file: Any) -> None:
        import pypdfium2

        self.document = pypdfium2.PdfDocument(file.read())
        self.pages = [types.SimpleNamespace(extract_text=_Page(page).get_text) for page in self.document]


@cache
def _stand_ins() -> tuple[types.ModuleType, ...]:
    return (
        _module("fitz", open=_Document),
        _module("PyPDF2", PdfReader=_Reader),
        _module("borb"),
        _module("borb.pdf", Document=None, PDF=None),
        _module("easyocr"),
        _module("acoustid"),
    )


@cache
def _functions() -> dict[str, Callable[..., Any]]:
    sys.path.insert(0, str(_chosen or fetch()))
    import tldextract

    # The suffix list in the package; the release downloads it.
    offline = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    with redirect_stdout(io.StringIO()), _instead(*_stand_ins()):
        metrics = importlib.import_module("desktop_env.evaluators.metrics")
        sys.modules["desktop_env.evaluators.metrics.utils"].__dict__["tldextract"] = types.SimpleNamespace(
            extract=offline
        )
    return {name: value for name, value in vars(metrics).items() if callable(value)}


def controllers() -> tuple[Any, Any]:
    """OSWorld's clients of its server, PythonController and SetupController.

    Google Drive, the proxies and .env files are empty stubs, because they use no server of a desktop.
    """
    _functions()
    pool = {"get_global_proxy_pool": None, "init_proxy_pool": lambda file: None, "ProxyInfo": None}
    absent = (
        _module("pydrive"),
        _module("pydrive.auth", GoogleAuth=None),
        _module("pydrive.drive", GoogleDrive=None, GoogleDriveFile=None, GoogleDriveFileList=None),
        _module("dotenv", load_dotenv=lambda: None),
        _module("desktop_env.providers"),
        _module("desktop_env.providers.aws"),
        _module("desktop_env.providers.aws.proxy_pool", **pool),
    )
    with _instead(*_stand_ins(), *absent):
        python = importlib.import_module("desktop_env.controllers.python")
        return python.PythonController, importlib.import_module("desktop_env.controllers.setup").SetupController


def has(name: str) -> bool:
    """Whether the release has this metric."""
    return name in _functions()


@contextmanager
def _quiet(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    logging.disable(logging.CRITICAL)
    os.chdir(folder)  # it writes ./temp.pdf
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        os.chdir(before)
        logging.disable(logging.NOTSET)


def score(name: str, arguments: list[Any], options: dict[str, Any], folder: Path) -> float | None:
    """The result of OSWorld's function; None if it returns none.

    Raises:
        Raised: it raised an exception.
    """
    with _quiet(folder), _instead(*_stand_ins()):
        try:
            value = _functions()[name](*map(_plain, arguments), **options)
        except Exception as error:  # noqa: BLE001  (whatever it raises is its answer)
            raise Raised(f"{type(error).__name__}: {error}") from None
    return None if value is None or isinstance(value, tuple) else float(value)


def _plain(value: Any) -> Any:
    """Replace files with their paths, as OSWorld passes them."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
