"""Getters on a real desktop: programs' files, the session, documents, future days."""

import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from pptx import Presentation
from pptx.util import Inches

from deskbench.envs import wait
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.errors import CheckError, SetupError
from deskbench.envs.providers.conformance import RED
from deskbench.envs.providers.pool import Pool
from deskbench.tasks.getters.times import absolute, day_of, written
from deskbench.tasks.guest import ask, clean
from deskbench.tasks.metrics.support.differences import Revision
from deskbench.tasks.metrics.support.fidelity import osworld_strict

from ..stage import Stage

pytestmark = pytest.mark.desktop
PROFILE = "~/.config/chromium"
PREFERENCES, LOCAL = "Default/Preferences", "Local State"


@pytest.fixture(scope="module")
def stage(local_provider: Pool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    desktop = local_provider.start(DesktopSpec())
    yield Stage(desktop, tmp_path_factory.mktemp("getters"))
    local_provider.stop(desktop)


MANIFEST = {"name": "Shop", "version": "1"}
KEPT: list[tuple[str, str, Any, Any]] = [
    ("profile_name", PREFERENCES, {"profile": {"name": "Thomas"}}, "Thomas"),
    ("profile_name", PREFERENCES, {}, None),
    ("chrome_language", LOCAL, {"intl": {"app_locale": "fr"}}, "fr"),
    ("chrome_language", LOCAL, {}, "en-US"),
    ("enabled_experiments", LOCAL, {"browser": {"enabled_labs_experiments": ["a@1"]}}, ["a@1"]),
    ("enabled_experiments", LOCAL, {}, []),
    ("default_search_engine", PREFERENCES,
     {"default_search_provider_data": {"template_url_data": {"short_name": "Bing"}}}, "Bing"),
    ("chrome_font_size", PREFERENCES, {"webkit": {"webprefs": {"default_font_size": 20}}}, {"default_font_size": 20}),
    ("enable_do_not_track", PREFERENCES, {"enable_do_not_track": True}, "true"),
    ("enable_enhanced_safety_browsing", PREFERENCES, {"safebrowsing": {"enhanced": True}}, "true"),
    ("enable_enhanced_safety_browsing", PREFERENCES, {"safebrowsing": {"enabled": True}}, "false"),
    ("enable_safe_browsing", PREFERENCES, {"safebrowsing": {"enabled": True}}, "true"),
    ("enable_safe_browsing", PREFERENCES, {"safebrowsing": {"enabled": False}}, "false"),
    ("enable_safe_browsing", PREFERENCES, {}, "false"),
    ("new_startup_page", PREFERENCES, {}, "true"),
    ("new_startup_page", PREFERENCES, {"session": {"restore_on_startup": 5}}, "true"),
    ("new_startup_page", PREFERENCES, {"session": {"restore_on_startup": 4}}, "false"),
    ("data_delete_automacally", PREFERENCES, {"profile": {"default_content_setting_values": {"cookies": 4}}}, "true"),
    ("data_delete_automacally", PREFERENCES, {}, "false"),
    ("chrome_color_scheme", PREFERENCES, {"browser": {"theme": {"color_scheme2": 2}}}, "dark"),
    ("chrome_color_scheme", PREFERENCES, {"browser": {"theme": {"color_scheme": 1}}}, "light"),
    ("chrome_color_scheme", PREFERENCES, {}, "system"),
    ("bookmarks", "Default/Bookmarks", {"roots": {"bookmark_bar": {}}}, {"bookmark_bar": {}}),
    ("bookmarks", "Default/Bookmarks", ["not an object"], {}),
    ("find_unpacked_extension_path", PREFERENCES, {"extensions": {"settings": {"x": {"path": "/home/user/ext"}}}},
     ["/home/user/ext"]),
    ("find_installed_extension_name", "Default/Secure Preferences",
     {"extensions": {"settings": {"x": {"manifest": MANIFEST}}}}, ["Shop"]),
    ("extensions_installed_from_shop", "Default/Extensions/abc/1.0/manifest.json", MANIFEST, [MANIFEST]),
]  # fmt: skip


class TestProfile:
    @pytest.fixture(autouse=True)
    def profile(self, stage: Stage) -> Iterator[None]:
        stage.desktop.write_file(f"{PROFILE}/{LOCAL}", b"{}")
        yield
        stage.desktop.run(f"rm -rf {PROFILE}", shell=True)

    @pytest.mark.parametrize(("name", "file", "content", "value"), KEPT)
    def test_what_the_profile_says(self, stage: Stage, name: str, file: str, content: Any, value: Any) -> None:
        stage.desktop.write_file(f"{PROFILE}/{file}", json.dumps(content).encode())
        assert stage.get(name) == value

    def test_the_theme_of_the_system_is_light_to_osworlds_main_branch(self, stage: Stage) -> None:
        content = {"browser": {"theme": {"color_scheme2": 2}}, "extensions": {"theme": {"system_theme": 0}}}
        stage.desktop.write_file(f"{PROFILE}/{PREFERENCES}", json.dumps(content).encode())
        modes: list[tuple[Revision | None, str]] = [(None, "dark"), ("1.0.2", "dark"), ("main", "light")]
        for revision, mode in modes:
            with osworld_strict(revision):
                assert stage.get("chrome_color_scheme") == mode

    def test_a_profile_that_is_no_json_is_as_it_comes(self, stage: Stage) -> None:
        stage.desktop.write_file(f"{PROFILE}/{PREFERENCES}", b"{half of")
        assert stage.get("new_startup_page") == "true" and stage.get("profile_name") is None

    def test_without_extensions_there_are_none(self, stage: Stage) -> None:
        assert stage.get("extensions_installed_from_shop") == []

    @pytest.mark.parametrize("where", ["Default/Cookies", "Default/Network/Cookies"])
    def test_cookies(self, stage: Stage, tmp_path: Path, where: str) -> None:
        assert stage.get("cookie_data") is None
        with sqlite3.connect(tmp_path / "c") as connection:
            connection.execute("CREATE TABLE cookies (creation_utc, host_key, value BLOB)")
            connection.execute("INSERT INTO cookies VALUES (1, '.amazon.com', ?)", (b"\x01",))
        stage.desktop.write_file(f"{PROFILE}/{where}", (tmp_path / "c").read_bytes())
        assert stage.get("cookie_data", dest="Cookies") == [[1, ".amazon.com", "01"]]
        stage.desktop.write_file(f"{PROFILE}/{where}", b"no database")
        assert stage.get("cookie_data") is None


class TestSession:
    def test_what_a_command_says_on_stderr(self, stage: Stage) -> None:
        assert stage.get("vm_command_error", command="echo no >&2; echo yes", shell=True) == "no\n"
        assert stage.get("vm_command_line", command="echo no >&2; echo yes", shell=True) == "yes\n"

    def test_commands_of_ours_find_no_program_of_the_agents(self, stage: Stage) -> None:
        command = "mkdir -p ~/bin; printf '#!/bin/sh\\necho forged' > ~/bin/uname; chmod +x ~/bin/uname"
        stage.desktop.run(command, shell=True)
        forged = ["env", "PATH=/home/user/bin:/usr/bin:/bin", "LD_PRELOAD=/home/user/x.so", "sh", "-c"]
        assert "forged" in stage.desktop.run([*forged, "uname"]).stdout
        said = stage.desktop.run([*forged, 'exec "$@"', "sh", *clean(["sh", "-c", "uname; echo [$LD_PRELOAD]"])]).stdout
        assert said == "Linux\n[]\n"
        assert ask(stage.desktop, ["uname"]).stdout == "Linux\n"

    def test_output_that_a_step_kept(self, stage: Stage) -> None:
        stage.do("execute", command="echo kept; echo wrong >&2", shell=True, stdout="a/out", stderr="err")
        assert stage.get("cache_file", path="a/out").read_text() == "kept\n"
        assert stage.get("cache_file", path="err").read_text() == "wrong\n"
        assert stage.get("cache_file", path="other") is None

    def test_vs_codes_command_goes_to_its_window(self, stage: Stage) -> None:
        for title, file in (("a - Visual Studio Code", "code.txt"), ("Other", "other.txt")):
            command = f"sh -c 'head -n 1 > ~/{file}; exec sleep 100'"
            stage.desktop.launch(["lxterminal", "--no-remote", f"--title={title}", "-e", command])
        stage.get("vscode_config", vscode_extension_command="OpenProject", path="~/no-such-file")
        assert wait.until(lambda: "OpenProject" in stage.desktop.run("cat ~/code.txt", shell=True).stdout, timeout=20)
        assert stage.desktop.run("cat ~/other.txt", shell=True).stdout == ""
        for title in ("Visual Studio Code", "Other"):
            stage.desktop.close_window(title)

    def test_windows_and_terminals(self, stage: Stage) -> None:
        assert stage.get("vm_window_size", app_class_name="lxterminal") is None
        stage.desktop.launch(["lxterminal", "--title=Shell", "-e", "sh -c 'echo printed; exec sleep 100'"])
        assert "Shell" in stage.get("vm_window_titles")
        assert stage.get("vm_window_size", app_class_name="Lxterminal")["width"] > 100
        assert wait.until(lambda: "printed" in (stage.get("vm_terminal_output") or ""), timeout=10)
        stage.desktop.close_window("Shell")

    def test_the_background(self, stage: Stage) -> None:
        stage.desktop.write_file("~/red.bmp", RED)
        stage.do("change_wallpaper", path="~/red.bmp")
        assert stage.get("vm_wallpaper", dest="w.bmp").read_bytes() == RED
        with pytest.raises(SetupError):
            stage.do("change_wallpaper", path="~/nowhere.bmp")

    def test_a_step_is_verified_or_raises(self, stage: Stage) -> None:
        stage.do(
            "execute_with_verification", command="(sleep 0.3; touch ~/there) &", shell=True,
            verification={"command_success": "test -e ~/there"}, max_wait_time=10, check_interval=0.1,
        )  # fmt: skip
        with pytest.raises(SetupError, match=r"did not come true within 0\.2 s"):
            stage.do(
                "execute_with_verification", command=["true"], verification={"window_exists": "no such window"},
                max_wait_time=0.2, check_interval=0.1,
            )  # fmt: skip

    def test_shortcuts(self, stage: Stage) -> None:
        stage.desktop.write_file("~/Desktop/shop.desktop", b"[Desktop Entry]\nName=Shop\n")
        stage.desktop.write_file("~/Desktop/other.txt", b"")
        assert stage.get("shortcuts_on_desktop") == {"shop.desktop": "[Desktop Entry]\nName=Shop\n"}

    def test_time_zones(self, stage: Stage) -> None:
        assert stage.get("timezone_from_config", rules={"timezone": "Asia/Tokyo"}) == "Asia/Tokyo"
        here = stage.get("timezone_from_ip")
        assert here and stage.get("timezone_from_config", rules={}) == here
        assert stage.get("time_diff_range", diff_range_in_minutes="30") == "30"


class TestPrograms:
    def test_settings_that_programs_wrote(self, stage: Stage) -> None:
        assert stage.get("vlc_config") is None
        stage.desktop.write_file("~/.config/vlc/vlcrc", b"fullscreen=1\n")
        assert stage.get("vlc_config", dest="vlcrc").read_text() == "fullscreen=1\n"
        assert stage.get("gimp_config_file", file_name="gimprc") is None
        stage.desktop.write_file("~/.config/GIMP/3.0/gimprc", b"(theme Dark)\n")
        assert stage.get("gimp_config_file", file_name="gimprc", dest="g").read_text() == "(theme Dark)\n"
        stage.desktop.write_file("~/.config/GIMP/2.10/gimprc", b"(theme Gray)\n")
        assert stage.get("gimp_config_file", file_name="gimprc", dest="g").read_text() == "(theme Gray)\n"

    def test_what_vlc_plays_is_asked_of_its_own_interface(self, stage: Stage) -> None:
        assert stage.get("vlc_playing_info") is None
        server = (
            "import http.server\n"
            "class S(http.server.BaseHTTPRequestHandler):\n"
            "    def do_GET(self):\n"
            "        asked = self.headers.get('Authorization'), self.path\n"
            "        good = asked == ('Basic OnBhc3N3b3Jk', '/requests/status.xml')\n"
            "        self.send_response(200 if good else 401); self.end_headers(); self.wfile.write(b'<root/>')\n"
            "http.server.HTTPServer(('127.0.0.1', 8080), S).serve_forever()\n"
        )
        stage.desktop.write_file("~/vlc.py", server.encode())
        stage.desktop.launch(["python3", "vlc.py"])
        assert wait.until(lambda: stage.get("vlc_playing_info") is not None, timeout=10)
        assert stage.get("vlc_playing_info", dest="s.xml").read_bytes() == b"<root/>"

    def test_the_program_of_most_films(self, stage: Stage) -> None:
        lines = "".join(f"video/{kind}=vlc.desktop\n" for kind in ("mp4", "webm", "quicktime", "x-avi"))
        stage.desktop.write_file(
            "~/.config/mimeapps.list", f"[Default Applications]\n{lines}video/ogg=totem.desktop\n".encode()
        )
        stage.desktop.write_file(
            "~/.local/share/applications/vlc.desktop", b"[Desktop Entry]\nType=Application\nName=V\nExec=true\n"
        )
        stage.desktop.write_file(
            "~/.local/share/applications/totem.desktop", b"[Desktop Entry]\nType=Application\nName=T\nExec=true\n"
        )
        assert stage.get("default_video_player") == "vlc.desktop\n"


def deck(folder: Path) -> bytes:
    """A presentation with one slide that has a background picture and a sound."""
    made = Presentation()
    slide = made.slides.add_slide(made.slide_layouts[6])
    (folder / "red.png").write_bytes(_png())
    _, relation = slide.part.get_or_add_image_part(str(folder / "red.png"))
    background = slide.background.fill
    background.solid()
    blip = (
        f'<a:blipFill xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
        f'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
        f'<a:blip r:embed="{relation}"/><a:stretch><a:fillRect/></a:stretch></a:blipFill>'
    )
    from lxml import etree

    properties = slide._element.cSld.bg.bgPr
    properties.replace(properties[0], etree.fromstring(blip))
    slide.shapes.add_movie(str(_wav(folder)), 0, 0, Inches(1), Inches(1), mime_type="audio/wav")
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def _png() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (8, 8), (255, 0, 0)).save(out, "PNG")
    return out.getvalue()


def _wav(folder: Path) -> Path:
    import wave

    with wave.open(str(folder / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\1" * 800)
    return folder / "a.wav"


def relinked(data: bytes, old: str, new: str) -> bytes:
    """The same package with a changed text in the first slide's relations."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "ppt/slides/_rels/slide1.xml.rels":
                assert old.encode() in content, content
                content = content.replace(old.encode(), new.encode())
            target.writestr(name, content)
    return out.getvalue()


class TestDocuments:
    def test_the_picture_behind_a_slide(self, stage: Stage, tmp_path: Path) -> None:
        stage.desktop.write_file("~/deck.pptx", deck(tmp_path))
        found = stage.get(
            "background_image_in_slide", ppt_file_path="/home/user/deck.pptx", slide_index=0, dest="b.png"
        )
        assert found.read_bytes() == _png()
        assert stage.get("background_image_in_slide", ppt_file_path="/home/user/deck.pptx", slide_index=3) is None
        assert stage.get("background_image_in_slide", ppt_file_path="/home/user/no.pptx", slide_index=0) is None
        stage.desktop.write_file("~/deck.pptx", b"no presentation")
        assert stage.get("background_image_in_slide", ppt_file_path="/home/user/deck.pptx", slide_index=0) is None

    def test_a_sound_that_the_slide_names_in_the_desktop(self, stage: Stage, tmp_path: Path) -> None:
        data = deck(tmp_path)
        kinds = relinked(data, "relationships/video", "relationships/audio")
        with zipfile.ZipFile(io.BytesIO(kinds)) as archive:
            relations = archive.read("ppt/slides/_rels/slide1.xml.rels").decode()
        target = relations.partition('relationships/audio"')[2].partition('Target="')[2].partition('"')[0]
        stage.desktop.write_file("~/deck.pptx", kinds)
        found = stage.get("audio_in_slide", ppt_file_path="/home/user/deck.pptx", slide_index=0, dest="a.wav")
        assert found.read_bytes() == (tmp_path / "a.wav").read_bytes()
        outside = relinked(
            kinds, f'Target="{target}"', 'Target="file:///home/user/my%20song.wav" TargetMode="External"'
        )
        stage.desktop.write_file("~/deck.pptx", outside)
        assert stage.get("audio_in_slide", ppt_file_path="/home/user/deck.pptx", slide_index=0) is None
        stage.desktop.write_file("~/my song.wav", b"sound")
        found = stage.get("audio_in_slide", ppt_file_path="/home/user/deck.pptx", slide_index=0, dest="a.wav")
        assert found.read_bytes() == b"sound"

    def test_the_last_row_of_a_workbook(self, stage: Stage, tmp_path: Path) -> None:
        book = openpyxl.Workbook()
        for row in (["a", "b"], [1, "x"], [2, "y"]):
            book.active.append(row)
        book.save(tmp_path / "a.xlsx")
        stage.desktop.write_file("~/a.xlsx", (tmp_path / "a.xlsx").read_bytes())
        asked = {"file_type": "xlsx", "file_content": "last_row"}
        assert stage.get("content_from_vm_file", path="/home/user/a.xlsx", **asked) == ["2", "y"]
        assert stage.get("content_from_vm_file", path="/home/user/none.xlsx", **asked) is None
        stage.desktop.write_file("~/a.xlsx", b"no workbook")
        assert stage.get("content_from_vm_file", path="/home/user/a.xlsx", **asked) is None

    def test_cities_stand_beside_the_task(self, stage: Stage) -> None:
        (stage.folder / "cities.csv").write_text("a,b,c\n1,2,Rome\n3,4,Oslo\n")
        assert stage.get("conference_city_in_order", csv_path="cities.csv") == ["Rome", "Oslo"]
        with pytest.raises(CheckError, match="no such file next to the task"):
            stage.get("conference_city_in_order", csv_path="none.csv")


WEDNESDAY = date(2026, 11, 25)


class TestDays:
    @pytest.mark.parametrize(
        ("name", "day"),
        [
            ("tomorrow", date(2026, 11, 26)), ("this month", WEDNESDAY), ("10th next month", date(2026, 12, 10)),
            ("5th next month split", date(2026, 12, 5)), ("this Saturday", date(2026, 11, 28)),
            ("next Monday", date(2026, 11, 30)), ("next Friday", date(2026, 11, 27)),
            ("next week Friday", date(2026, 12, 4)), ("first monday four months later", date(2027, 3, 1)),
            ("first monday eight months later", date(2027, 7, 5)),
        ],
    )  # fmt: skip
    def test_days_by_name(self, name: str, day: date) -> None:
        assert day_of(name, WEDNESDAY) == day

    def test_a_second_day_leans_on_the_first(self) -> None:
        assert day_of("next Friday", WEDNESDAY, date(2026, 11, 30)) == date(2026, 12, 4)

    def test_a_day_that_is_not_known(self) -> None:
        with pytest.raises(CheckError, match="someday"):
            day_of("someday", WEDNESDAY)

    def test_parts_of_a_day_are_written_in(self) -> None:
        assert written("{DoW}, {Month} {DayD}, {Year}", WEDNESDAY) == "Wed, Nov 25, 2026"
        assert written(["{MonthFull}/{Day0D}", 3], date(2026, 3, 4)) == ["March/04", 3]

    def test_rules_get_their_days(self, stage: Stage) -> None:
        rules: Any = {
            "relativeTime": {"from": "next Monday", "to": "next Friday"},
            "expected": {"from": "{Year}-{Month0D}-{Day0D}", "to": "{DayD} {Month}", "other": "{DayD}"},
        }
        found = absolute(rules, WEDNESDAY)["expected"]
        assert found == {"from": "2026-11-30", "to": "4 Dec", "other": "{DayD}"}
        now = stage.get("rule_relativeTime", rules={**rules, "timezone": "UTC"})["expected"]["from"]
        assert date.fromisoformat(now).weekday() == 0
        with pytest.raises(CheckError, match="Mars/Base"):
            stage.get("rule_relativeTime", rules={**rules, "timezone": "Mars/Base"})
