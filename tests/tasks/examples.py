"""Inputs for the examples of metrics: end states that score 1, and end states that score 0.

Metrics that are missing here use cases of `tests/differential` with the example's rules and options.
"""

import io
import sqlite3
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docx
import openpyxl
from PIL import Image


@dataclass(frozen=True)
class File:
    """A file that is created on demand."""

    content: str | bytes | Callable[[Path], None]
    name: str = "file"

    def made(self, folder: Path) -> Path:
        path = folder / self.name
        if isinstance(self.content, (str, bytes)):
            path.write_bytes(self.content.encode() if isinstance(self.content, str) else self.content)
        else:
            self.content(path)
        return path


@dataclass(frozen=True)
class Both:
    """The values of `result` and `expected`, if the second is not a rule."""

    result: Any
    expected: Any


def made(value: Any, folder: Path) -> Any:
    """A getter's value; a file is created."""
    return value.made(folder) if isinstance(value, File) else value


def archive(**texts: str) -> File:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, text in texts.items():
            file.writestr(f"{name}.txt", text)
    return File(packed.getvalue())


def picture(kind: str, turned: bool = False) -> File:
    image = Image.new("RGB", (4, 2))
    image.putpixel((0, 0), (255, 0, 0))
    packed = io.BytesIO()
    (image.transpose(Image.Transpose.ROTATE_270) if turned else image).save(packed, kind)
    return File(packed.getvalue(), "turned" if turned else "picture")


def document(*paragraphs: str) -> File:
    def write(path: Path) -> None:
        found = docx.Document()
        for text in paragraphs:
            found.add_paragraph(text)
        found.save(path)

    return File(write, "places.docx")


def workbook(*cities: str) -> File:
    def write(path: Path) -> None:
        book = openpyxl.Workbook()
        for row in (("conference", "year", "city"), *(("X", 2024, city) for city in cities)):
            book.active.append(row)
        book.save(path)

    return File(write, "cities.xlsx")


def orders(*paid: int) -> File:
    def write(path: Path) -> None:
        with sqlite3.connect(path) as base:
            base.execute("CREATE TABLE orders (paid)")
            base.executemany("INSERT INTO orders VALUES (?)", [(one,) for one in paid])
        base.close()

    return File(write)


def folder_of(*names: str, **folders: list[str]) -> dict[str, Any]:
    """OSWorld's directory tree."""
    files: list[dict[str, Any]] = [{"type": "file", "name": name} for name in names]
    inner = [{**folder_of(*there), "name": name} for name, there in folders.items()]
    return {"type": "directory", "name": "d", "children": [*files, *inner]}


def mail_filter(action: str) -> File:
    return File(f'version="9"\nname="n"\nenabled="yes"\ntype="17"\naction="{action}"\n'
                'actionValue="ada@example.org"\ncondition="ALL"\n')  # fmt: skip


def bookmarks(*names: str) -> dict[str, Any]:
    folders = [{"type": "folder", "name": name, "children": []} for name in names]
    return {"bookmark_bar": {"type": "folder", "name": "Bookmarks bar", "children": folders}}


def tabs(*urls: str) -> list[dict[str, str]]:
    return [{"title": "t", "url": url} for url in urls]


def playing(state: str) -> File:
    return File(f'<root><state>{state}</state><information><category name="meta"><info name="filename">film.mp4</info>'
                "</category></information></root>")  # fmt: skip


def editor(text: str) -> str:
    return f'<desktop-frame><application name="mousepad"><text name="">{text}</text></application></desktop-frame>'


SHOP = "https://example.org/shop"
CITIES = """Paris Rome Oslo Lima Cairo Tokyo Seoul Delhi Perth Quito Accra Milan Turin Porto Leeds Basel Ghent Izmir
Osaka Kyoto""".split()
SMALL, SCREEN = {"width": 800, "height": 600}, {"width": 1280, "height": 800}
INPUTS: dict[str, tuple[Any, Any]] = {
    "archive_contains": (archive(todo="buy milk\n", empty=""), archive(todo="buy milk\n")),
    "check_accessibility_tree": (editor("hello"), editor("hallo")),
    "check_config_status": (File('(theme "Light")\n'), File('(theme "Dark")\n')),
    "check_csv": (File("name,city\nAda,London\n"), File("name,city\nAda,London\nBob,Paris\n")),
    "check_direct_json_object": ({"q": "chairs"}, {"q": "tables"}),
    "check_file_exists": (folder_of("report.txt"), folder_of("draft.txt")),
    "check_gnome_favorite_apps": ("['thunderbird.desktop', 'firefox.desktop']\n", "['firefox.desktop']\n"),
    "check_history_deleted": ([["https://example.com/", "t", 1]], [["https://example.org/", "t", 1]]),
    "check_image_file_size": (File(b"x" * 99), File(b"x" * 100)),
    "check_include_exclude": ("report.txt\n", "draft.txt\nreport.txt\n"),
    "check_json": (File('{"editor": {"size": 12}}'), File('{"editor": {"size": 11}}')),
    "check_line_number": (File("12:00:00\n13:00:00\n"), File("12:00:00\n")),
    "check_list": (File("Ada\nMia\n"), File("Ada\nBob\n")),
    "check_moved_jpgs": (folder_of("dog.jpg", "cat.jpg"), folder_of("dog.jpg")),
    "check_thunderbird_filter": (mail_filter("Forward"), mail_filter("Delete")),
    "check_thunderbird_prefs": (File('user_pref("mail.identity.id1.fullName", "Ada");\n'), File("")),
    "compare_answer": ("42", "43"),
    "compare_config": (File('{"tabs": 4, "x": 1}'), File('{"tabs": 2}')),
    "compare_conference_city_in_order": (workbook(*CITIES, "NYC"), workbook(*reversed(CITIES), "NYC")),
    "compare_terminal_and_txt": (Both(File("a\nb\n"), "a\nb\n"), Both(File("a\n"), "a\nb\n")),
    "directory_tree": (folder_of("report.txt", old=["draft.txt"]), folder_of("report.txt")),
    "exact_match": ("2024\n", "2023\n"),
    "file_contains": (File("Ping 1\nDownload 2\n"), File("nothing\n")),
    "fuzzy_match": ("New York", "xyz"),
    "fuzzy_place_math": (document("北京市海淀区中关村大街27号", "上海市黄浦区南京东路100号"), document("x")),
    "image_format": (picture("JPEG"), picture("PNG")),
    "images_equal": (Both(picture("PNG", turned=True), picture("PNG")), Both(picture("PNG"), picture("PNG"))),
    "ini_value": (File("[view]\nhidden=true\n"), File("[view]\nhidden=false\n")),
    "is_added_to_steam_cart": ({"content": "<p>A Game</p>"}, {"content": "<p></p>"}),
    "is_cookie_deleted": ([[1, ".elsewhere.net"]], [[1, ".example.org"]]),
    "is_expected_active_tab": (SHOP, "https://example.org/cart"),
    "is_expected_active_tab_approximate": (f"{SHOP}?page=2", "https://example.org/cart"),
    "is_expected_bookmarks": (bookmarks("Favourites"), bookmarks("Others")),
    "is_expected_installed_extensions": (["Dark Mode"], []),
    "is_expected_search_query": ({"url": "https://example.org/search?q=chairs"}, {"url": "https://example.org/"}),
    "is_expected_tabs": (tabs("https://example.com/", "https://example.org/"), tabs("https://example.org/")),
    "is_expected_url_pattern_match": (f"{SHOP}/chairs?size=large", f"{SHOP}/chairs"),
    "is_extension_installed": ("a.b\nms-python.python\n", "a.b\n"),
    "is_in_list": (["/home/user/extension"], ["/home/user/other"]),
    "is_in_vm_clickboard": (Both({"expected": "hello"}, "hello\n"), Both({"expected": "hello"}, "")),
    "is_shortcut_on_desktop": ({"shop.desktop": "[Desktop Entry]\nName=Shop\n"}, {}),
    "is_vlc_fullscreen": (Both(SCREEN, SCREEN), Both(SCREEN, SMALL)),
    "is_vlc_playing": (playing("playing"), playing("stopped")),
    "is_vlc_recordings_folder": (File("input-record-path=/home/user/Desktop\n"), File("input-record-path=/tmp\n")),
    "json_equals": (File('{"seats": 2, "name": "Ada"}'), File('{"name": "Ada"}')),
    "json_value": (File('{"items": [{"name": "chair"}]}'), File('{"items": []}')),
    "literal_match": ("Blue", "red"),
    "match_in_list": ("Bing", "Google"),
    "number_equals": ("1,234.5", "1234"),
    "run_sqlite3": (orders(1, 1, 0), orders(1, 0)),
    "text_equals": (File("Hello\n"), File("hallo\n")),
    "text_matches": ("2024-01-31\n", "31.1.2024\n"),
}  # fmt: skip
