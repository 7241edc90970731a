"""Getters and set-up steps for Chrome, on Debian's Chromium in a real desktop, with pages served in the desktop."""

import json
from collections.abc import Iterator

import pytest

from deskbench.envs import wait
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.errors import CheckError, SetupError
from deskbench.envs.providers.pool import Pool

from ..stage import Stage

pytestmark = [pytest.mark.desktop, pytest.mark.slow]
SITE = "http://localhost:8000"
PAGE = """<title>Shop</title><h1 class="head">All shoes</h1>
<ul><li class="item">Red <b>new</b></li><li class="item">Blue</li></ul>
<label>Price</label><input id="n" value="12"><a class="more" href="/two.html" title="two">More</a>"""
CHROMIUM = [
    "chromium", "--no-sandbox", "--test-type", "--no-first-run", "--no-default-browser-check", "--disable-gpu",
    "--password-store=basic", "--disable-background-networking", "--force-renderer-accessibility",
    "--remote-debugging-port=1337", f"{SITE}/one.html",
]  # fmt: skip
VISIT = {"url": f"{SITE}/seen.html", "title": "Seen", "visit_time_from_now_in_seconds": 3600}

_EMPTY = {"children": [], "id": "9", "name": "", "type": "folder"}
BOOKMARKS = {
    "roots": {
        "bookmark_bar": {**_EMPTY, "id": "1", "children": [
            {"id": "4", "name": "Shop", "type": "url", "url": f"{SITE}/two.html"}]},
        "other": {**_EMPTY, "id": "2"}, "synced": {**_EMPTY, "id": "3"},
    },
    "version": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def stage(local_provider: Pool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    desktop = local_provider.start(DesktopSpec())
    made = Stage(desktop, tmp_path_factory.mktemp("browser"))
    for name in ("one", "two", "three"):
        desktop.write_file(f"~/site/{name}.html", PAGE.replace("Shop", f"Shop {name}").encode())
    desktop.launch(["python3", "-m", "http.server", "8000", "--directory", "site"])
    made.do("update_browse_history", history=[VISIT])
    desktop.write_file("~/.config/chromium/Default/Bookmarks", json.dumps(BOOKMARKS).encode())
    desktop.launch(CHROMIUM)
    yield made
    local_provider.stop(desktop)


def addresses(stage: Stage) -> list[str]:
    return sorted(tab["url"] for tab in stage.get("open_tabs_info"))


def test_tabs_are_opened_read_and_closed(stage: Stage) -> None:
    stage.do("chrome_open_tabs", urls_to_open=[f"{SITE}/two.html", f"{SITE}/three.html"])
    assert addresses(stage) == [f"{SITE}/three.html", f"{SITE}/two.html"]  # its first tab is closed
    assert {tab["title"] for tab in stage.get("open_tabs_info")} == {"Shop two", "Shop three"}
    stage.do("chrome_close_tabs", urls_to_close=[f"{SITE}/two.html"])
    assert addresses(stage) == [f"{SITE}/three.html"]
    with pytest.raises(SetupError, match="no tab shows"):
        stage.do("chrome_close_tabs", urls_to_close=[f"{SITE}/two.html"])


def test_the_active_tab_is_the_one_of_the_address_bar(stage: Stage) -> None:
    stage.do("chrome_open_tabs", urls_to_open=[f"{SITE}/two.html", f"{SITE}/one.html"])
    assert wait.until(
        lambda: (stage.get("active_tab_info", goto_prefix="http://") or {}).get("title") == "Shop one", timeout=20
    )
    assert stage.get("active_url_from_accessTree", goto_prefix="http://") == f"{SITE}/one.html"
    found = stage.get(
        "active_tab_html_parse", goto_prefix="http://", category="class", class_singleObject={"head": "title"},
        class_multiObject={"item": {"0": "first", "1": "second", "9": "tenth"}},
    )  # fmt: skip
    assert found == {"title": "All shoes", "first": "Red new", "second": "Blue", "tenth": ""}
    by_input = stage.get(
        "active_tab_html_parse", goto_prefix="http://", category="input", inputObject={"//input[@id='n']": "price"}
    )
    assert by_input == {"price": "12"}


def test_a_page_is_read_beside_the_tabs(stage: Stage) -> None:
    before = addresses(stage)
    info = stage.get("page_info", url=f"{SITE}/three.html")
    assert (info["title"], info["url"]) == ("Shop three", f"{SITE}/three.html") and "All shoes" in info["content"]
    infos = [{"selector": ".head"}, {"action": "attribute", "selector": ".more", "attribute": "title"}]
    assert stage.get("info_from_website", url=f"{SITE}/one.html", infos=infos, backups=[]) == ["All shoes", "two"]
    assert stage.get("info_from_website", url="http://localhost:9/", infos=infos, backups=["then"]) == ["then"]
    with pytest.raises(CheckError, match="no fallback"):
        stage.get("info_from_website", url="http://localhost:9/", infos=infos)
    assert stage.get("pdf_from_url", path=f"{SITE}/one.html", dest="page.pdf").read_bytes().startswith(b"%PDF")
    assert addresses(stage) == before


def test_the_profile_says_its_settings(stage: Stage) -> None:
    assert stage.get("default_search_engine") == "Google"
    assert stage.get("enable_do_not_track") == "false"
    assert stage.get("chrome_font_size")["default_font_size"] == 16
    (kept,) = stage.get("bookmarks")["bookmark_bar"]["children"]
    assert (kept["name"], kept["url"]) == ("Shop", f"{SITE}/two.html")


def test_visits_of_before_are_in_the_history(stage: Stage) -> None:
    found = stage.get("history", dest="history.sqlite")
    assert (VISIT["url"], VISIT["title"]) in [tuple(row[:2]) for row in found]
