"""What Chrome keeps in its profile: preferences, bookmarks, history, cookies, extensions, shortcuts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from deskbench.tasks.chrome import browser, context_of, profile_file, profile_folder
from deskbench.tasks.registry import getter
from deskbench.tasks.world import World

MAX_ROWS = 100_000
"""Of a table of the profile that are read."""
SCHEMES = {0: "system", 1: "light", 2: "dark"}
"""Chrome's `browser.theme.color_scheme2` (ThemeService::BrowserColorScheme)."""
FONT_SIZES = {"default_fixed_font_size": 13, "default_font_size": 16, "minimum_font_size": 13}
"""Chrome's own."""


def _json(world: World, name: str) -> dict[str, Any]:
    """A JSON file of the profile; empty where Chrome has written none: all is as it comes."""
    data = profile_file(world.desktop, name)
    try:
        value = json.loads(data) if data is not None else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _preference(world: World, *path: str, name: str = "Default/Preferences", default: Any = None) -> Any:
    value: Any = _json(world, name)
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return default if value is None else value


def _flag(value: object) -> str:
    return "true" if value else "false"


@getter("default_search_engine")
def default_search_engine(world: World) -> Any:
    """The short name of the search engine that the address bar uses."""
    return _preference(world, "default_search_provider_data", "template_url_data", "short_name", default="Google")


@getter("profile_name")
def profile_name(world: World) -> Any:
    """The profile's name; None where Chrome has written none."""
    return _preference(world, "profile", "name")


@getter("chrome_language")
def chrome_language(world: World) -> Any:
    """The language of Chrome's own texts."""
    return _preference(world, "intl", "app_locale", name="Local State", default="en-US")


@getter("chrome_font_size")
def chrome_font_size(world: World) -> Any:
    """The sizes of letters, in pixels."""
    return _preference(world, "webkit", "webprefs", default=FONT_SIZES)


@getter("enabled_experiments")
def enabled_experiments(world: World) -> Any:
    """The experiments (chrome://flags) that are not as they come."""
    return _preference(world, "browser", "enabled_labs_experiments", name="Local State", default=[])


@getter("enable_do_not_track")
def enable_do_not_track(world: World) -> str:
    """Whether pages are asked not to track: "true" or "false"."""
    return _flag(_preference(world, "enable_do_not_track"))


@getter("enable_enhanced_safety_browsing")
def enable_enhanced_safety_browsing(world: World) -> str:
    """Whether the enhanced protection is on: "true" or "false"."""
    return _flag(_preference(world, "safebrowsing", "enhanced"))


@getter("enable_safe_browsing")
def enable_safe_browsing(world: World) -> str:
    """Whether either protection is on: "true" or "false"."""
    found = _preference(world, "safebrowsing", default={})
    return _flag(found.get("enhanced") or found.get("enabled"))


@getter("new_startup_page")
def new_startup_page(world: World) -> str:
    """Whether Chrome starts with a new tab (which is how it comes): "true" or "false"."""
    session = _preference(world, "session")
    return _flag(session is None or session.get("restore_on_startup") == 5)


@getter("data_delete_automacally")
def data_delete_automacally(world: World) -> str:
    """Whether a rule for sites' data has been set: "true" or "false"."""
    return _flag(_preference(world, "profile", "default_content_setting_values") is not None)


@getter("chrome_color_scheme")
def chrome_color_scheme(world: World) -> str:
    """Chrome's mode, by its preferences: system, light or dark."""
    scheme = _preference(world, "browser", "theme", "color_scheme2")
    if scheme is None:
        scheme = _preference(world, "browser", "theme", "color_scheme", default=0)
    return SCHEMES.get(scheme, "system")


@getter("chrome_appearance_mode_ui")
def chrome_appearance_mode_ui(world: World) -> str:
    """Chrome's mode, as it is now: system, light or dark. The profile on the disk is some seconds late."""
    from playwright.sync_api import Error

    script = "() => new Promise(done => chrome.settingsPrivate.getPref('browser.theme.color_scheme2', done))"
    with browser(world.desktop) as found:
        page = context_of(found).new_page()
        try:
            page.goto("chrome://settings/appearance")
            return SCHEMES.get(page.evaluate(script).get("value"), "system")
        except (Error, AttributeError):
            return chrome_color_scheme(world)
        finally:
            page.close()


@getter("bookmarks")
def bookmarks(world: World) -> Any:
    """The bookmarks' trees by name (`bookmark_bar`, `other`, `synced`); empty without any."""
    return _preference(world, "roots", name="Default/Bookmarks", default={})


def _extensions(world: World) -> Iterator[dict[str, Any]]:
    for name in ("Default/Preferences", "Default/Secure Preferences"):
        found = _preference(world, "extensions", "settings", name=name, default={})
        yield from (one for one in found.values() if isinstance(one, dict))


@getter("find_unpacked_extension_path")
def find_unpacked_extension_path(world: World) -> list[str]:
    """Where the extensions are; those that a person loaded are where that person has them."""
    return [str(one["path"]) for one in _extensions(world) if "path" in one]


@getter("find_installed_extension_name")
def find_installed_extension_name(world: World) -> list[str]:
    """The extensions' names."""
    manifests = (one.get("manifest") for one in _extensions(world))
    return [str(manifest["name"]) for manifest in manifests if isinstance(manifest, dict) and "name" in manifest]


@getter("extensions_installed_from_shop")
def extensions_installed_from_shop(world: World) -> list[Any]:
    """The manifests of the extensions that Chrome installed itself."""
    folder = f"{profile_folder(world.desktop)}/Default/Extensions"
    try:
        tree = world.desktop.list_directory(folder)
    except FileNotFoundError:
        return []
    found = []
    for extension in _children(tree):
        for version in _children(extension):
            name = f"Default/Extensions/{extension['name']}/{version['name']}/manifest.json"
            found += [manifest] if (manifest := _json(world, name)) else []
    return found


def _children(node: dict[str, Any]) -> list[dict[str, Any]]:
    return list(node.get("children", []))


@getter("history")
def history(world: World, *, dest: str = "History") -> list[list[Any]] | None:
    """Address, title and time of every page of the history; None where there is no history yet."""
    return _rows(world, "Default/History", "SELECT url, title, last_visit_time FROM urls", dest)


@getter("cookie_data")
def cookie_data(world: World, *, dest: str = "Cookies") -> list[list[Any]] | None:
    """Every cookie as Chrome's table has it, the host second; None where there are none yet."""
    found = _rows(world, "Default/Cookies", "SELECT * FROM cookies", dest)
    return _rows(world, "Default/Network/Cookies", "SELECT * FROM cookies", dest) if found is None else found


def _rows(world: World, name: str, query: str, dest: str) -> list[list[Any]] | None:
    data = profile_file(world.desktop, name)
    if data is None:
        return None
    file = world.keep_together({dest: data})[0]
    try:
        # A file of the desktop: nothing is written, and functions in its schema are not trusted.
        connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            rows = connection.execute(query).fetchmany(MAX_ROWS)
        finally:
            connection.close()
    except sqlite3.DatabaseError:
        return None
    return [[value.hex() if isinstance(value, bytes) else value for value in row] for row in rows]


@getter("shortcuts_on_desktop")
def shortcuts_on_desktop(world: World) -> dict[str, str]:
    """The shortcuts that lie on the desktop, by file name, with their content."""
    suffix = {"Windows": ".lnk", "Darwin": ".webloc"}.get(world.desktop.health().platform, ".desktop")
    try:
        tree = world.desktop.list_directory("~/Desktop")
    except FileNotFoundError:
        return {}
    names = [str(node["name"]) for node in _children(tree) if str(node["name"]).endswith(suffix)]
    return {name: world.desktop.read_file(f"~/Desktop/{name}").decode("utf-8", "replace") for name in names}
