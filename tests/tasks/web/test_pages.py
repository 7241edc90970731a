"""Getters that read web sites by name, and Chrome's own pages: our own server answers for every name."""

from collections.abc import Iterator
from typing import Any

import pytest

from deskbench.envs import wait
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.errors import CheckError
from deskbench.envs.providers.pool import Pool

from .. import websites as web
from ..stage import Stage

pytestmark = [pytest.mark.desktop, pytest.mark.slow]
SHOP = (
    "https://www.macys.com/shop/mens-clothing/shirts/Price_discount_range,Sleeve_length/"
    "50_PERCENT_%20off%20%26%20more,Short%20Sleeve?id=20626&edge=hybrid"
)
CAMP = "<button class=\"next-available\" onclick=\"document.querySelector('.day').textContent = 'Dec 3'\">Next</button>"
PAGES = {
    "google.com/search": '<div class="search-result">a</div><div class="search-result">b</div>',
    "www.recreation.gov/camp": f'<p class="day">Nov 25</p>{CAMP}<p class="day">later</p>',
    "www.recreation.gov/": (
        '<input id="hero-search-input"><button class="nav-search-button" onclick="'
        "document.body.insertAdjacentHTML('beforeend', '<a class=search-result-highlight--success target=_blank "
        "href=/camp>' + document.querySelector('input').value + '</a>')\">Search</button>"
    ),
    "www.macys.com/": "<title>Shirts</title><h1>Shirts</h1>",
    "www.example.org/": "<title>Flights</title>",
}


@pytest.fixture(scope="module")
def stage(local_provider: Pool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    desktop = local_provider.start(DesktopSpec())
    web.serve(desktop, PAGES)
    yield Stage(desktop, tmp_path_factory.mktemp("pages"))
    local_provider.stop(desktop)


def shown(stage: Stage, url: str) -> None:
    """Open one tab with this address."""
    stage.do("chrome_open_tabs", urls_to_open=[url])
    part = url.partition("//")[2].partition("/")[0].removeprefix("www.")
    assert wait.until(lambda: part in (stage.get("active_url_from_accessTree") or ""), timeout=20)


class TestAddresses:
    @pytest.mark.parametrize(
        ("parameters", "value"),
        [
            ({"parse_keys": ["from", "to", "none"]}, {"from": "SEA", "to": "NYC,BOS", "none": ""}),
            ({"parse_keys": ["from"], "replace": {"from": "start"}}, {"start": "SEA"}),
            ({"parse_keys": ["to"], "split_list": True}, {"to": ["NYC", "BOS"]}),
        ],
    )
    def test_parameters(self, stage: Stage, parameters: dict[str, Any], value: Any) -> None:
        if "example.org" not in str(stage.get("active_url_from_accessTree")):
            shown(stage, "https://www.example.org/flights/one-way?from=SEA&to=NYC%2CBOS")
        assert stage.get("active_tab_url_parse", goto_prefix="https://www.", **parameters) == value

    @pytest.mark.parametrize(
        ("parameters", "value"),
        [
            ({"partIndex": -1, "returnType": "string", "needDeleteId": True}, "one-way"),
            ({"partIndex": "-2", "returnType": "json", "key": "page"}, {"page": "flights"}),
            ({"partIndex": 40, "returnType": "string"}, None),
        ],
    )
    def test_parts_between_slashes(self, stage: Stage, parameters: dict[str, Any], value: Any) -> None:
        if "example.org" not in str(stage.get("active_url_from_accessTree")):
            shown(stage, "https://www.example.org/flights/one-way?from=SEA&to=NYC%2CBOS")
        assert stage.get("url_dashPart", **parameters) == value

    @pytest.mark.parametrize("name", ["macys_product_url_parse", "url_path_parse"])
    def test_what_a_shop_filters_by(self, stage: Stage, name: str) -> None:
        if "macys" not in str(stage.get("active_url_from_accessTree")):
            shown(stage, SHOP)
        asked = ["Price_discount_range", "Men_regular_size_t", "Sleeve_length", "Brand"]
        assert stage.get(name, goto_prefix="https://www.", parse_keys=asked) == {
            "mens_clothing": True, "shirts": True, "short_sleeve": True,
            "Price_discount_range": "50_PERCENT_ off & more", "Men_regular_size_t": None,
            "Sleeve_length": "Short Sleeve",
        }  # fmt: skip


class TestSites:
    def test_results_of_a_search(self, stage: Stage) -> None:
        assert stage.get("number_of_search_results") == 2

    def test_the_next_free_days_of_a_campground(self, stage: Stage) -> None:
        asked: dict[str, Any] = {"selector": "class", "class": "day"}
        name = "gotoRecreationPage_and_get_html_content"
        assert stage.get(name, **asked) == {"expected": {"day": "Dec 3"}}
        assert stage.get(name, order="1", **asked) == {"expected": {"day": "later"}}
        with pytest.raises(CheckError, match="no longer has an element number 9"):
            stage.get(name, order=9, **asked)


class TestChromesOwnPages:
    def test_its_mode(self, stage: Stage) -> None:
        assert stage.get("chrome_appearance_mode_ui") == "system"

    def test_addresses(self, stage: Stage) -> None:
        assert "settings" in stage.get("chrome_saved_address")


def test_files_of_a_drive_are_asked_for_by_path_or_query(stage: Stage) -> None:
    with pytest.raises(CheckError, match="2 files are requested, but dest has 1"):
        stage.get("googledrive_file", path_list=[["a"], ["b"]], dest="x")
