"""Data in Chrome's profile: preferences, bookmarks, history, cookies, extensions, shortcuts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deskbench.envs.errors import Unfit
from deskbench.tasks.metrics.support.fidelity import as_upstream
from deskbench.tasks.registry import getter
from deskbench.tasks.scoring.worker import read
from deskbench.tasks.web.chrome import profile_file, profile_folder, shown
from deskbench.tasks.web.pages import SCHEMES
from deskbench.tasks.world import World

MAX_EXTENSIONS, MAX_SHORTCUTS = 100, 100
MAX_SHORTCUT = 2**16
"""Maximum size of a shortcut in bytes."""
SETTINGS_LATE, BOOKMARKS_LATE, HISTORY_LATE, COOKIES_LATE = 11.0, 4.0, 12.0, 31.0
"""Seconds after which Chrome has written a change to its profile.

Its sources say 10 for preferences (base/files/important_file_writer.cc), 2.5 for bookmarks
(components/bookmarks/browser/bookmark_storage.cc), 10 for history (components/history/core/browser/history_backend.cc)
and 30 for cookies (net/extras/sqlite/sqlite_persistent_cookie_store.cc). Chromium in the image `full` took 9.7, 2.6,
8.8 and 28.8. When a signal ends the browser, it writes its preferences and loses the rest.
"""
FONT_SIZES = {"default_fixed_font_size": 13, "default_font_size": 16, "minimum_font_size": 13}
"""Chrome's defaults."""


def _preference(world: World, *path: str, name: str = "Default/Preferences", default: Any = None) -> Any:
    """The value at a path of keys in a JSON file of the profile; `default` if there is no value or no JSON."""
    file = _file(world, name)
    [value] = [None] if file is None else read("json_at", file=file, paths=[list(path)])
    return default if value is None else value


def _file(world: World, name: str, dest: str = "") -> Path | None:
    """A file of the profile; None if Chrome has not written it, so its defaults apply."""
    data = profile_file(world.desktop, name)
    return None if data is None else world.keep_together({dest or name: data})[0]


def _flag(value: object) -> str:
    return "true" if value else "false"


@getter("default_search_engine", source="file", late=SETTINGS_LATE)
def default_search_engine(world: World) -> Any:
    """The short name of the search engine that the address bar uses."""
    return _preference(world, "default_search_provider_data", "template_url_data", "short_name", default="Google")


@getter("profile_name", source="file", late=SETTINGS_LATE)
def profile_name(world: World) -> Any:
    """The profile's name; None if Chrome has not written one."""
    return _preference(world, "profile", "name")


@getter("chrome_language", source="file", late=SETTINGS_LATE)
def chrome_language(world: World) -> Any:
    """The language of Chrome's user interface."""
    return _preference(world, "intl", "app_locale", name="Local State", default="en-US")


@getter("chrome_font_size", source="file", late=SETTINGS_LATE)
def chrome_font_size(world: World) -> Any:
    """The font sizes in pixels."""
    return _preference(world, "webkit", "webprefs", default=FONT_SIZES)


@getter("enabled_experiments", source="file", late=SETTINGS_LATE)
def enabled_experiments(world: World) -> Any:
    """The experiments (chrome://flags) that differ from their defaults."""
    return _preference(world, "browser", "enabled_labs_experiments", name="Local State", default=[])


@getter("enable_do_not_track", source="file", late=SETTINGS_LATE)
def enable_do_not_track(world: World) -> str:
    """Whether Chrome sends "Do Not Track": "true" or "false"."""
    return _flag(_preference(world, "enable_do_not_track"))


@getter("enable_enhanced_safety_browsing", source="file", late=SETTINGS_LATE)
def enable_enhanced_safety_browsing(world: World) -> str:
    """Whether Safe Browsing's enhanced protection is on: "true" or "false"."""
    return _flag(_preference(world, "safebrowsing", "enhanced"))


@getter("enable_safe_browsing", source="file", late=SETTINGS_LATE)
def enable_safe_browsing(world: World) -> str:
    """Whether Safe Browsing is on, standard or enhanced: "true" or "false"."""
    found = _preference(world, "safebrowsing")
    return _flag(isinstance(found, dict) and (found.get("enhanced") or found.get("enabled")))


@getter("new_startup_page", source="file", late=SETTINGS_LATE)
def new_startup_page(world: World) -> str:
    """Whether Chrome starts with a new tab (the default): "true" or "false"."""
    session = _preference(world, "session")
    return _flag(session is None or (isinstance(session, dict) and session.get("restore_on_startup") == 5))


@getter("data_delete_automacally", source="file", late=SETTINGS_LATE)
def data_delete_automacally(world: World) -> str:
    """Whether a rule for site data is set: "true" or "false"."""
    return _flag(_preference(world, "profile", "default_content_setting_values") is not None)


@getter("chrome_color_scheme", source="file", late=SETTINGS_LATE)
def chrome_color_scheme(world: World) -> str:
    """Chrome's colour mode in its preferences file: system, light or dark."""
    if as_upstream("system-theme") and _preference(world, "extensions", "theme", "system_theme") in (0, "0"):
        return "light"
    scheme = _preference(world, "browser", "theme", "color_scheme2")
    if scheme is None:
        scheme = _preference(world, "browser", "theme", "color_scheme", default=0)
    return SCHEMES.get(scheme, "system") if isinstance(scheme, int) else "system"


@getter("chrome_appearance_mode_ui", source="page")
def chrome_appearance_mode_ui(world: World) -> str:
    """Chrome's current colour mode: system, light or dark. The profile on the disk lags by some seconds."""
    return shown(world.desktop, "mode") or chrome_color_scheme(world)


@getter("bookmarks", source="file", late=BOOKMARKS_LATE)
def bookmarks(world: World) -> Any:
    """The bookmark trees by name (`bookmark_bar`, `other`, `synced`); empty if there are no bookmarks."""
    return _preference(world, "roots", name="Default/Bookmarks", default={})


def _extensions(world: World, *path: str) -> list[str]:
    """The string that each extension has at a path of keys."""
    files = [_file(world, name) for name in ("Default/Preferences", "Default/Secure Preferences")]
    return [text for file in files if file is not None for text in read("extensions", file=file, path=list(path))]


@getter("find_unpacked_extension_path", source="file", late=SETTINGS_LATE)
def find_unpacked_extension_path(world: World) -> list[str]:
    """The extensions' folders; an unpacked extension stays in the folder that it was loaded from."""
    return _extensions(world, "path")


@getter("find_installed_extension_name", source="file", late=SETTINGS_LATE)
def find_installed_extension_name(world: World) -> list[str]:
    """The extensions' names."""
    return _extensions(world, "manifest", "name")


@getter("extensions_installed_from_shop", source="file", late=SETTINGS_LATE)
def extensions_installed_from_shop(world: World) -> list[Any]:
    """The manifests of the extensions that Chrome installed itself."""
    folder = f"{profile_folder(world.desktop)}/Default/Extensions"
    try:
        tree = world.desktop.list_directory(folder)
    except FileNotFoundError:
        return []
    names = [f"Default/Extensions/{extension['name']}/{version['name']}/manifest.json"
             for extension in _children(tree) for version in _children(extension)]  # fmt: skip
    if len(names) > MAX_EXTENSIONS:
        raise Unfit(f"the profile has more than {MAX_EXTENSIONS} extensions")
    return [manifest for name in names if (manifest := _preference(world, name=name))]


def _children(node: dict[str, Any]) -> list[dict[str, Any]]:
    return list(node.get("children", []))


@getter("history", source="file", late=HISTORY_LATE)
def history(world: World, *, dest: str = "History") -> list[list[Any]] | None:
    """The address, title and time of every page in the history; None if there is no history yet."""
    return _rows(world, "Default/History", "urls", dest, "url", "title", "last_visit_time")


@getter("cookie_data", source="file", late=COOKIES_LATE)
def cookie_data(world: World, *, dest: str = "Cookies") -> list[list[Any]] | None:
    """The rows of Chrome's table of cookies, the host in the second column; None if there is no table yet."""
    found = _rows(world, "Default/Cookies", "cookies", dest)
    return _rows(world, "Default/Network/Cookies", "cookies", dest) if found is None else found


def _rows(world: World, name: str, table: str, dest: str, *columns: str) -> list[list[Any]] | None:
    file = _file(world, name, dest)
    rows = None if file is None else read("table", file=file, name=table, columns=list(columns))
    return None if rows is None else list(rows)


@getter("shortcuts_on_desktop", source="file")
def shortcuts_on_desktop(world: World) -> dict[str, str]:
    """The shortcuts on the desktop: their content by file name."""
    suffix = {"Windows": ".lnk", "Darwin": ".webloc"}.get(world.desktop.health().platform, ".desktop")
    try:
        tree = world.desktop.list_directory("~/Desktop")
    except FileNotFoundError:
        return {}
    names = [str(node["name"]) for node in _children(tree) if str(node["name"]).endswith(suffix)]
    if len(names) > MAX_SHORTCUTS:
        raise Unfit(f"the desktop has more than {MAX_SHORTCUTS} shortcuts")
    found = {name: world.read(f"~/Desktop/{name}", max_bytes=MAX_SHORTCUT) for name in names}
    return {name: data.decode("utf-8", "replace") for name, data in found.items() if data is not None}
