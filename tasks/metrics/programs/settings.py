"""Settings files of VS Code, VLC, GIMP and LibreOffice."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NotRequired
from urllib.parse import urlsplit

from typing_extensions import TypedDict

from deskbench.tasks.metrics.data.text import Expected, text_of
from deskbench.tasks.metrics.support.fidelity import as_upstream
from deskbench.tasks.metrics.support.packages import parse_xml
from deskbench.tasks.registry import closed, metric

_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])')


def json_with_comments(text: str) -> Any:
    """VS Code's JSON, which may have comments and trailing commas; None if it still cannot be parsed."""
    for pattern in (_COMMENT, _TRAILING):
        text = pattern.sub(lambda found: found[1] or "", text)
    try:
        return json.loads(text)
    except ValueError:
        return None


def _plain_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


@closed
class Settings(TypedDict):
    """Keys and values that must exist."""

    expected: dict[str, Any]


@metric("check_json_settings")
def check_json_settings(result: Path, rules: Settings) -> float:
    """1 when VS Code's settings have each key of `expected` with its value."""
    read = _plain_json if as_upstream("json-comments") else json_with_comments
    found = read(text_of(result))
    return float(isinstance(found, Mapping) and all(k in found and found[k] == v for k, v in rules["expected"].items()))


@metric("check_json_keybindings")
def check_json_keybindings(result: Path, rules: Settings) -> float:
    """1 when VS Code's key bindings, a file that begins with a comment, include `expected`."""
    text = text_of(result)
    if as_upstream("json-comments"):
        readings = [_plain_json(text), _plain_json(text.partition("\n")[2])]
    else:
        readings = [json_with_comments(text)]
    found = next((value for value in readings if isinstance(value, list)), [])
    return float(rules["expected"] in found)


@metric("compare_config")
def compare_config(result: Any, rules: Expected, *, containment_ok: bool = True) -> float:
    """1 when a file contains the text `expected`; a JSON object must have each of its keys and values.

    Without `containment_ok` both must be equal, as text or as JSON.
    """
    text, wanted = text_of(result), str(rules["expected"])
    if as_upstream("containment") or (not wanted.strip() and not as_upstream("config-empty")):
        return float(text == wanted)
    read = _plain_json if as_upstream("json-comments") else json_with_comments
    values = read(text), _plain_json(wanted)
    if not containment_ok:
        return float(bool(wanted) and (text == wanted or (None not in values and values[0] == values[1])))
    if None not in values:
        return float(_within(values[1], values[0]))
    return float(bool(wanted) and wanted.strip() in text)


def _within(part: Any, whole: Any) -> bool:
    """Whether one JSON value equals another, or is an object whose keys and values the other contains, at any depth."""
    if not isinstance(part, Mapping):
        return bool(part == whole)
    return isinstance(whole, Mapping) and all(key in whole and _within(one, whole[key]) for key, one in part.items())


def vlc_setting(file: Path, key: str) -> str | None:
    """The last value of a key in `vlcrc`; a commented line holds VLC's default, not a setting.

    VLC does not accept a key with blanks around it either.
    """
    lines = text_of(file).split("\n")
    if as_upstream("vlc-comments"):
        values = [line.split("=")[-1].strip() for line in lines if f"{key}=" in line]
    else:
        pairs = [line.partition("=") for line in lines]
        values = [value.strip() for name, equals, value in pairs if equals and name == key]
    return values[-1] if values else None


def _vlc(file: Path, key: str, default: str, expected: Any) -> float:
    found = vlc_setting(file, key)
    return float((default if found is None else found) == str(expected))


@closed
class RecordPath(TypedDict):
    """A folder."""

    recording_file_path: str


@metric("is_vlc_recordings_folder")
def is_vlc_recordings_folder(result: Path, rules: RecordPath) -> float:
    """1 when VLC saves recordings in the given folder."""
    lines = [line for line in text_of(result).split("\n") if "input-record-path" in line and not line.startswith("#")]
    return float(bool(lines) and lines[0].partition("=")[2].strip() == rules["recording_file_path"])


@closed
class Bgcone(TypedDict):
    """Whether VLC shows its cone when there is no picture."""

    expected_qt_bgcone: int | str


@metric("check_qt_bgcone")
def check_qt_bgcone(result: Path, rules: Bgcone) -> float:
    """1 when VLC's background cone is on or off as given (default: on)."""
    return _vlc(result, "qt-bgcone", "1", rules["expected_qt_bgcone"])


@closed
class MaxVolume(TypedDict):
    """VLC's maximum volume in percent."""

    expected_qt_max_volume: int | str


@metric("check_qt_max_volume")
def check_qt_max_volume(result: Path, rules: MaxVolume) -> float:
    """1 when VLC's maximum volume is as given (default: 125)."""
    return _vlc(result, "qt-max-volume", "125", rules["expected_qt_max_volume"])


@closed
class MinimalView(TypedDict):
    """Whether VLC hides its menus and frames."""

    expected_qt_minimal_view: int | str


@metric("check_qt_minimal_view")
def check_qt_minimal_view(result: Path, rules: MinimalView) -> float:
    """1 when VLC's minimal view is on or off as given (default: off)."""
    return _vlc(result, "qt-minimal-view", "0", rules["expected_qt_minimal_view"])


@closed
class OneInstance(TypedDict):
    """Whether a file opens in the VLC that is already running."""

    expected_one_instance_when_started_from_file: int | str


@metric("check_one_instance_when_started_from_file")
def check_one_instance_when_started_from_file(result: Path, rules: OneInstance) -> float:
    """1 when VLC's single instance for files is on or off as given (default: on)."""
    wanted = rules["expected_one_instance_when_started_from_file"]
    return _vlc(result, "one-instance-when-started-from-file", "1", wanted)


@closed
class PlayAndExit(TypedDict):
    """Whether VLC exits when playback ends."""

    expected_play_and_exit: int | str


@metric("check_play_and_exit")
def check_play_and_exit(result: Path, rules: PlayAndExit) -> float:
    """1 when VLC's "play and exit" is on or off as given (default: off)."""
    return _vlc(result, "play-and-exit", "0", rules["expected_play_and_exit"])


@closed
class GlobalKey(TypedDict):
    """Whether a global key plays and pauses."""

    expected_global_key_play_pause: int | str


@metric("check_global_key_play_pause")
def check_global_key_play_pause(result: Path, rules: GlobalKey) -> float:
    """1 when VLC has a global key for play and pause, or none, as given."""
    is_set = "1" if vlc_setting(result, "global-key-play-pause") else "0"
    return float(is_set == str(rules["expected_global_key_play_pause"]))


@closed
class SliderColours(TypedDict):
    """The colours of VLC's volume slider: as given, or all dark."""

    type: Literal["match", "blackish"]
    expected_qt_slider_colours: NotRequired[str]


SLIDER_COLOURS = "153;210;153;20;210;20;255;199;15;245;39;29"
"""VLC's default: red, green and blue of four colours."""


@metric("check_qt_slider_colours")
def check_qt_slider_colours(result: Path, rules: SliderColours) -> float:
    """1 when the volume slider has the given colours, or only colours with every component below 100."""
    found = vlc_setting(result, "qt-slider-colours") or SLIDER_COLOURS
    if rules["type"] == "match":
        return float(found == rules["expected_qt_slider_colours"])
    return float(re.fullmatch(r"\d+(;\d+)*", found) is not None and all(int(part) < 100 for part in found.split(";")))


@metric("is_vlc_fullscreen", linear=True)
def is_vlc_fullscreen(result: Mapping[str, int] | None, expected: Mapping[str, int] | None) -> float:
    """1 when the window is as large as the screen; 0 when there is no window."""
    sides = [size and (size.get("width"), size.get("height")) for size in (result, expected)]
    return float(None not in sides and sides[0] == sides[1])


@closed
class Playing(TypedDict):
    """What VLC must play: a file by its name, or an address."""

    type: Literal["file_name", "url"]
    file_name: NotRequired[str]
    url: NotRequired[str]


_FILE_PLACES = [("meta", name) for name in ("filename", "title", "uri", "location", "name")]
_URL_PLACES = [
    *(("meta", name) for name in ("url", "URI", "location", "title", "filename")),
    *(("Stream 0", name) for name in ("Codec", "Type", "Language")),
]
"""Places in VLC's status that name what it plays (category, name), in OSWorld's order."""


@metric("is_vlc_playing")
def is_vlc_playing(result: Path, rules: Playing) -> float:
    """1 when VLC plays the given file or address, according to the status of its HTTP interface."""
    root = parse_xml(result.read_bytes(), result)
    if root.findtext("state") != "playing":
        return 0.0
    by_name = rules["type"] == "file_name"
    found = _first_info(root, _FILE_PLACES if by_name else _URL_PLACES)
    if not found:
        return 0.0
    return float(found.endswith(rules["file_name"]) if by_name else _is_address(found, rules["url"]))


def _first_info(root: Any, places: list[tuple[str, str]]) -> str | None:
    texts = (root.findtext(f'information/category[@name="{c}"]/info[@name="{n}"]') for c, n in places)
    return next((text for text in texts if text), None)


def _is_address(found: str, url: str) -> bool:
    """Whether VLC shows this address: in full, as the file's name, or as the address that it was redirected to."""
    wanted = urlsplit(url)
    shown = urlsplit(found)
    sent_on = "://" in found and shown.netloc == wanted.netloc and wanted.path in shown.path
    return url in found or found == Path(wanted.path).name or sent_on


@closed
class GimpSetting(TypedDict("_Typo", {"type:": NotRequired[str]})):  # a key in OSWorld's files
    """A key of `gimprc` or `sessionrc`, or a key and a nested key, and the last word of the line."""

    key: str | list[str]
    value: str
    type: NotRequired[str]


@metric("check_config_status")
def check_config_status(result: Path, rules: GimpSetting) -> float:
    """1 when some line of GIMP's configuration has the key and the value."""
    key = [rules["key"]] if isinstance(rules["key"], str) else list(rules["key"])
    for line in text_of(result).split("\n"):
        words = line.strip().lstrip("(").rstrip(")\n").split()
        if words and not line.startswith("#") and words[: len(key)] == key and words[-1] == rules["value"]:
            return 1.0
    return 0.0


OOR = "{http://openoffice.org/2001/registry}"
"""Namespace of LibreOffice's `registrymodifications.xcu`."""


def office_values(file: Path, path: str, prop: str, *, ending: bool = False) -> list[str]:
    """The values of a LibreOffice setting, in file order; with `ending`, `path` is only the end of its path."""
    root = parse_xml(file.read_bytes(), file)
    items = (item for item in root.iter("item") if _named(item.get(f"{OOR}path") or "", path, ending))
    props = (p for item in items for p in item.iter("prop") if p.get(f"{OOR}name") == prop)
    return [value.text or "" for p in props for value in p.iter("value")]


def _named(found: str, path: str, ending: bool) -> bool:
    return found.endswith(path) if ending else found == path


@closed
class FontName(TypedDict):
    """A font by its name."""

    font_name: str


@metric("find_default_font")
def find_default_font(result: Path, rules: FontName) -> float:
    """1 when Writer's default font is the given one."""
    found = office_values(result, "/org.openoffice.Office.Writer/DefaultFont", "Standard")
    return float(bool(found) and found[-1] == rules["font_name"])


@metric("check_presenter_console_disable")
def check_presenter_console_disable(result: Path) -> float:
    """1 when Impress's presenter console is off."""
    found = office_values(result, "/org.openoffice.Office.Impress/Misc/Start", "EnablePresenterScreen")
    return float(bool(found) and found[0].lower() == "false")


@closed
class Minutes(TypedDict):
    """A time in minutes."""

    minutes: int


@metric("check_auto_saving_time")
def check_auto_saving_time(result: Path, rules: Minutes) -> float:
    """1 when LibreOffice saves automatically at the given interval in minutes."""
    found = office_values(result, "/org.openoffice.Office.Common/Save/Document", "AutoSaveTimeIntervall")
    return float(bool(found) and found[-1].strip() == str(rules["minutes"]))


@closed
class Locales(TypedDict):
    """Patterns of locales (`en-*`)."""

    locale_set: list[str]


@metric("check_libre_locale")
def check_libre_locale(result: Path, rules: Locales) -> float:
    """1 when LibreOffice's locale matches one of the patterns."""
    found = office_values(result, "L10N", "ooSetupSystemLocale", ending=True) or office_values(
        result, "L10N", "ooLocale", ending=True
    )
    return float(bool(found) and any(fnmatch.fnmatchcase(found[0], pattern) for pattern in rules["locale_set"]))
