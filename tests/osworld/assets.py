"""Generated files that replace the downloads of OSWorld's tasks where those cannot be reached.

They have the right type, can be opened, and all differ in content, so the expected file differs from the given one.
They allow a task to be set up and graded. They do not make it solvable, and lack content of the real file that a check
may look for.
"""

import hashlib
import io
import json
import re
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from deskbench.tasks.assets import urls_of
from deskbench.tasks.types import Task
from tests.differential import documents, sheets, slides
from tests.differential.case import Files
from tests.differential.office import converted
from tests.differential.pictures import as_bytes, photo
from tests.osworld.profile import thunderbird_profile

SHEET = re.compile(r"^[RE]N(.+)$")
"""How a rule of `compare_table` names a sheet of the result or of the expected workbook."""
SHEETS = 8
"""Minimum number of sheets in a workbook; rules also refer to sheets by number."""
MEMBERS = {
    "bubbleSort.zip": ("bubbleSort/bubbleSort.py", "bubbleSort/input.txt"),
    "binder.zip": ("binder/notes.md",),
    "raw_book.zip": ("book/Spectral Graph Theory.pdf", "book/ch1.pdf"),
    "book.zip": ("1.pdf", "2.pdf"),
    "pdf.tar.gz": ("1.pdf", "2.pdf"),
    "2-if-for-array.zip": ("2-if-for-array/read.py",),
    "assign1-data3.zip": ("assign1-data_python3/read.py",),
    "exam.zip": ("exam/ReferenceAnswers.docx", "exam/grades.xlsx"),
    "doc_proc.zip": ("main.py", "1.docx", "2.docx"),
    "calculator.zip": ("calculator/main.py", "calculator/calculator.py"),
    "HW-8-main-20240320T121653Z-001.zip": ("HW-8-main/main.py",),
    "hw_python_oop-master-20240320T121244Z-001.zip": ("hw_python_oop-master/main.py",),
    "doc.tar.gz": ("1.doc", "2.doc"),
    "vscodeEvalExtension.zip": ("vscodeEvalExtension/eval-0.0.1.vsix",),
}
"""Archive members that later steps of a task name; other archives hold one text."""
NO_KIND = (".data", ".file", ".bin", "")
"""Extensions in URLs that say nothing; the name in the desktop decides instead."""
SCRIPT = "#!/bin/sh\nmkdir -p project testDir test_environment\n"
"""Replaces a script that creates a task's folders; later steps of the tasks use these names."""


def generate(tasks: Iterable[Task], root: Path) -> int:
    """Write a file for every URL of the tasks into a folder for `DESKBENCH_MIRROR`; returns their number.

    The folder has the layout of `deskbench.tasks.assets`.
    """
    made = 0
    with tempfile.TemporaryDirectory(prefix="deskbench-assets-") as scratch:
        maker = Maker(Files(Path(scratch)))
        for task in tasks:
            names = _sheet_names(task)
            wanted = set(_expected(task))
            for url in urls_of([task]):
                record = root / "urls" / hashlib.sha256(url.encode()).hexdigest()
                if not record.exists():
                    maker.title = _title(task, _destination(task, url))
                    data = maker.make(url, _destination(task, url), names, expected=url in wanted)
                    _store(root, record, url, data)
                    made += 1
    return made


def _store(root: Path, record: Path, url: str, data: bytes) -> None:
    digest = hashlib.sha256(data).hexdigest()
    for folder in (root / "blobs", record.parent):
        folder.mkdir(parents=True, exist_ok=True)
    (root / "blobs" / digest).write_bytes(data)
    record.write_text(json.dumps({"url": url, "sha256": digest, "size": len(data)}))


def _destination(task: Task, url: str) -> str:
    """The name of a URL's file in the desktop or for a check; some URLs end in `.data` or `.file`."""
    for call in (*task.config, *task.evaluator.postconfig):
        for file in call.parameters.get("files", []) if call.type == "download" else []:
            if file["url"] == url:
                return str(file["path"])
    for check in task.evaluator.checks:
        for got in (check.result, check.expected):
            if got is not None and got.type == "cloud_file" and got.parameters["path"] == url:
                return str(got.parameters.get("dest") or url)
    return url


def _title(task: Task, destination: str) -> str:
    """The title that a document needs for a window that a later step of the task names."""
    start, end = f"{PurePosixPath(destination).name} — ", " - VLC media player"
    for call in task.config:
        name = str(call.parameters.get("window_name", "")) if call.type == "activate_window" else ""
        if name.startswith(start):
            return name.removeprefix(start)
        if name.endswith(f"{PurePosixPath(destination).stem}{end}"):
            return name.removesuffix(end)
    return ""


def _expected(task: Task) -> Iterator[str]:
    """URLs of the expected files."""
    for check in task.evaluator.checks:
        if check.expected is not None and check.expected.type == "cloud_file":
            path = check.expected.parameters["path"]
            yield from path if isinstance(path, list) else [path]


def _sheet_names(task: Task) -> list[str]:
    """The sheets that the rules of a task's checks name."""
    found: dict[str, None] = {}
    for check in task.evaluator.checks:
        for text in _strings(check.options):
            if match := SHEET.match(text):
                found[match[1]] = None
    return list(found)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list, tuple)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


class Maker:
    """Generates files by type, in a scratch folder."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._kinds: dict[str, Callable[[int, str], bytes]] = {
            ".docx": self._docx, ".pptx": self._pptx, ".odt": self._odt, ".pdf": self._pdf, ".doc": self._doc,
            ".ppt": self._ppt, ".ods": self._ods, ".xls": self._xls, ".zip": self._zip, ".gz": self._tar,
            ".xz": self._tar, ".epub": self._epub, ".vsix": self._vsix, ".whl": self._epub,
        }  # fmt: skip
        self._sheets: list[str] = []
        self._expected = False
        self.title = ""

    def make(self, url: str, destination: str, sheet_names: list[str], *, expected: bool) -> bytes:
        """The bytes of one file.

        Args:
            url: the URL of the replaced file; the seed for the content.
            destination: the name that the task gives the file.
            sheet_names: sheets that a workbook must have.
            expected: whether this is the expected file; it has a pivot table that the given one lacks.
        """
        self._sheets, self._expected = sheet_names, expected
        name = PurePosixPath(unquote(urlsplit(url).path)).name
        seed = int.from_bytes(hashlib.sha256(url.encode()).digest()[:3])
        kinds = [PurePosixPath(one).suffix.lower() for one in (name, destination)]
        return self._of_kind(kinds[1] if kinds[0] in NO_KIND else kinds[0], seed, name)

    def _of_kind(self, kind: str, seed: int, name: str) -> bytes:
        if kind in (".xlsx", ".xlsm"):
            return self._xlsx(seed, name)
        if kind in self._kinds:
            return self._kinds[kind](seed, name)
        if kind in PICTURES:
            return as_bytes(photo((640, 400), seed), PICTURES[kind])
        if kind in (".mp4", ".mp3", ".wav"):
            return self._sound_or_film(kind, seed)
        return _text(kind, seed, name).encode()

    def _xlsx(self, seed: int, name: str) -> bytes:
        def change(book: Any) -> None:
            book["Sheet1"]["B2"] = seed
            for title in self._sheets:
                if title not in book.sheetnames:
                    book.create_sheet(title)
            while len(book.sheetnames) < SHEETS:
                book.create_sheet(f"Sheet{len(book.sheetnames) + 1}")
            for sheet in book.worksheets[1:]:
                sheet["C9"] = seed
            book["Sheet2"]._charts[0].title = f"Sales {seed}"
            if self._expected:
                sheets.pivot([0, 1])(book)

        return sheets.made(self._files, change).read_bytes()

    def _docx(self, seed: int, name: str) -> bytes:
        def change(document: Any) -> None:
            document.paragraphs[0].runs[0].text = f"Text number {seed}"
            document.tables[0].cell(0, 0).text = str(seed)
            document.add_picture(io.BytesIO(as_bytes(photo((40, 30), seed))))

        return documents.made(self._files, change).read_bytes()

    def _pptx(self, seed: int, name: str) -> bytes:
        def change(deck: Any) -> None:
            first = next(iter(deck.slides)).shapes
            first.add_picture(io.BytesIO(as_bytes(photo((60, 40), seed))), 0, 0)
            for number in range(4):
                slide = deck.slides.add_slide(deck.slide_layouts[1])
                slide.shapes[0].text_frame.text = f"Title {number}, {seed}"
                slide.shapes[1].text_frame.text = f"Text {seed}"

        return slides.made(self._files, change).read_bytes()

    def _converted(self, data: bytes, suffix: str, kind: str) -> bytes:
        return converted(self._files, [self._files.text(f"a{suffix}", data)], kind)[0].read_bytes()

    def _odt(self, seed: int, name: str) -> bytes:
        return self._converted(self._docx(seed, name), ".docx", "odt")

    def _doc(self, seed: int, name: str) -> bytes:
        return self._converted(self._docx(seed, name), ".docx", "doc")

    def _ppt(self, seed: int, name: str) -> bytes:
        return self._converted(self._pptx(seed, name), ".pptx", "ppt")

    def _ods(self, seed: int, name: str) -> bytes:
        return self._converted(self._xlsx(seed, name), ".xlsx", "ods")

    def _xls(self, seed: int, name: str) -> bytes:
        return self._converted(self._xlsx(seed, name), ".xlsx", "xls")

    def _pdf(self, seed: int, name: str) -> bytes:
        return _pdf([f"Page {number} of text number {seed}" for number in (1, 2, 3)], self.title)

    def _sound_or_film(self, kind: str, seed: int) -> bytes:
        path = self._files.new(f"a{kind}")
        picture = ["-f", "lavfi", "-i", f"testsrc=size=320x240:rate=10,hue=h={seed % 360}"] if kind == ".mp4" else []
        sound = ["-f", "lavfi", "-i", f"sine=frequency={200 + seed % 1000}"]
        told = ["-metadata", f"title={self.title}"] if self.title else []
        command = ["ffmpeg", "-v", "error", *picture, *sound, *told, "-t", "20", "-bitexact", str(path)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        return path.read_bytes()

    def _members(self, seed: int, name: str) -> dict[str, bytes]:
        return {
            member: self._of_kind(PurePosixPath(member).suffix, seed + index, member)
            for index, member in enumerate(MEMBERS.get(name, (f"{name.partition('.')[0]}/text.txt",)))
        }

    def _zip(self, seed: int, name: str) -> bytes:
        return _zipped(self._members(seed, name))

    def _tar(self, seed: int, name: str) -> bytes:
        members = thunderbird_profile() if "thunderbird" in name else self._members(seed, name)
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w:xz" if name.endswith(".xz") else "w:gz") as archive:
            for member, content in members.items():
                info = tarfile.TarInfo(member)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return data.getvalue()

    def _epub(self, seed: int, name: str) -> bytes:
        return _zipped({"mimetype": b"application/epub+zip", "text.html": f"<p>{seed}</p>".encode()})

    def _vsix(self, seed: int, name: str) -> bytes:
        """A VS Code extension that writes the open project's folder to ~/OpenProject.txt."""
        publisher, _, title = ("undefined_publisher", "", "test") if "test" in name else ("deskbench", "", "eval")
        package = {
            "name": title, "publisher": publisher, "version": "0.0.1", "engines": {"vscode": "^1.50.0"},
            "main": "./main.js", "activationEvents": ["*"],
            "contributes": {"commands": [{"command": "eval.OpenProject", "title": "OpenProject"}]},
        }  # fmt: skip
        return _zipped({
            "[Content_Types].xml": CONTENT_TYPES.encode(),
            "extension.vsixmanifest": VSIX_MANIFEST.format(name=title, publisher=publisher).encode(),
            "extension/package.json": json.dumps(package).encode(),
            "extension/main.js": MAIN_JS.encode(),
        })  # fmt: skip


ESCAPED = str.maketrans({character: f"\\{character}" for character in "()\\"})
"""Escapes for texts in a PDF."""
PICTURES = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".gif": "GIF", ".webp": "WEBP", ".bmp": "BMP",
    ".xcf": "PNG",  # GIMP goes by a file's content, not its name
}  # fmt: skip
CONTENT_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="json" ContentType="application/json"/><Default Extension="js" ContentType="text/javascript"/>'
    '<Default Extension="vsixmanifest" ContentType="text/xml"/></Types>'
)
VSIX_MANIFEST = (
    '<?xml version="1.0"?><PackageManifest Version="2.0.0" '
    'xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011"><Metadata>'
    '<Identity Language="en-US" Id="{name}" Version="0.0.1" Publisher="{publisher}"/>'
    "<DisplayName>{name}</DisplayName><Description>{name}</Description></Metadata>"
    '<Installation><InstallationTarget Id="Microsoft.VisualStudio.Code"/></Installation><Dependencies/>'
    '<Assets><Asset Type="Microsoft.VisualStudio.Code.Manifest" Path="extension/package.json" Addressable="true"/>'
    "</Assets></PackageManifest>"
)
MAIN_JS = """const vscode = require("vscode"), fs = require("fs"), path = require("path"), os = require("os");
exports.activate = (context) => context.subscriptions.push(vscode.commands.registerCommand("eval.OpenProject", () => {
  const folders = vscode.workspace.workspaceFolders || [];
  const name = folders.length ? path.basename(folders[0].uri.fsPath) : "";
  fs.writeFileSync(path.join(os.homedir(), "OpenProject.txt"), name);
}));
"""


def _zipped(members: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return data.getvalue()


def _pdf(pages: list[str], title: str) -> bytes:
    """A PDF with a title, and a line of plain text on each page."""
    first = 4
    kids = " ".join(f"{first + 2 * index} 0 R" for index in range(len(pages)))
    bodies = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} /MediaBox [0 0 595 842] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for index, text in enumerate(pages):
        drawn = f"BT /F1 18 Tf 72 760 Td ({text}) Tj ET"
        font = "/Resources << /Font << /F1 3 0 R >> >>"
        bodies.append(f"<< /Type /Page /Parent 2 0 R {font} /Contents {first + 2 * index + 1} 0 R >>")
        bodies.append(f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream")
    bodies.append(f"<< /Title ({title.translate(ESCAPED)}) >>")
    written, places = "%PDF-1.4\n", []
    for number, body in enumerate(bodies, 1):
        places.append(len(written))
        written += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    ends = f"<< /Size {len(bodies) + 1} /Root 1 0 R /Info {len(bodies)} 0 R >>"
    trailer = f"trailer\n{ends}\nstartxref\n{len(written)}\n%%EOF\n"
    return f"{written}xref\n0 {len(bodies) + 1}\n0000000000 65535 f \n{table}{trailer}".encode("latin-1")


def _text(kind: str, seed: int, name: str) -> str:
    if kind == ".csv":
        return f"Name,Amount\nAnn,{seed}\nBen,7\n"
    if kind in (".json", ".code-workspace"):
        return json.dumps({"folders": []} if kind == ".code-workspace" else {"number": seed})
    if kind == ".sh":
        return SCRIPT
    if kind == ".py" and name == "test.py":  # a test suite that judges: an agent that did nothing must not pass it
        return "def test():\n    return False\n"
    if kind == ".py":
        return f"def main():\n    return True\n\n\nprint({seed})\n"
    if kind == ".html":
        return f"<!DOCTYPE html><title>{name}</title><p>Text number {seed}</p>\n"
    if kind == ".srt":
        return f"1\n00:00:01,000 --> 00:00:04,000\nLine {seed}\n"
    if kind == ".bib":
        return f"@article{{key{seed}, title={{Title {seed}}}, author={{A. Author}}, year={{2020}}}}\n"
    if kind == ".eml":
        return f"From: a@example.org\nTo: b@example.org\nSubject: Mail {seed}\nContent-Type: text/plain\n\nText.\n"
    return f"Text number {seed}\nof two lines\n"
