"""What Chrome shows, read from its tabs by the debugging port."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NotRequired

from typing_extensions import TypedDict

from deskbench.envs.errors import CheckError, EnvError
from deskbench.tasks.chrome import QUIET_MS, browser, opened, pages_of, settle, tab_at
from deskbench.tasks.getters.address import active_url
from deskbench.tasks.registry import getter
from deskbench.tasks.world import World

if TYPE_CHECKING:
    from playwright.sync_api import Page

ELEMENT_MS = 10_000.0


def _info(page: Page) -> dict[str, str]:
    return {"title": page.title(), "url": page.url, "content": page.content()}


@getter("open_tabs_info")
def open_tabs_info(world: World) -> list[dict[str, str]]:
    """Title and address of every tab."""
    with browser(world.desktop) as found:
        return [{"title": page.title(), "url": page.url} for page in pages_of(found) if settle(page) or True]


@getter("page_info")
def page_info(world: World, *, url: str) -> dict[str, str]:
    """Title, address and HTML of a page that is opened beside the others, with their cookies."""
    with browser(world.desktop) as found, opened(found, url) as page:
        return _info(page)


@getter("active_tab_info")
def active_tab_info(world: World, *, goto_prefix: str = "https://") -> dict[str, str] | None:
    """Title, address and HTML of the active tab; of a page at its address where no tab shows just that."""
    url = active_url(world, goto_prefix)
    if url is None:
        return None
    with browser(world.desktop) as found:
        tab = tab_at(found, url)
        if tab is not None:
            settle(tab)
            return _info(tab)
        with opened(found, url) as page:
            return _info(page)


@getter("pdf_from_url")
def pdf_from_url(world: World, *, path: str, dest: str = "page.pdf") -> Path:
    """A page as Chrome prints it."""
    with browser(world.desktop) as found, opened(found, path) as page:
        return world.keep_together({dest: page.pdf()})[0]


@getter("chrome_saved_address")
def chrome_saved_address(world: World) -> str:
    """The HTML of the page where Chrome keeps addresses."""
    with browser(world.desktop) as found, opened(found, "chrome://settings/addresses") as page:
        return page.content()


@getter("number_of_search_results")
def number_of_search_results(world: World) -> int:
    """How many results a fixed search has that are marked as OSWorld expects them."""
    with browser(world.desktop) as found, opened(found, "https://google.com/search?q=query") as page:
        return len(page.query_selector_all(".search-result"))


class Info(TypedDict):
    """What is read of a page: a text or an attribute, at once or after clicks on all selectors but the last."""

    action: NotRequired[Literal["inner_text", "attribute", "click_and_inner_text", "click_and_attribute"]]
    selector: str | list[str]
    attribute: NotRequired[str]


@getter("info_from_website")
def info_from_website(world: World, *, url: str, infos: list[Info], backups: Any = None) -> Any:
    """What a page says now, or `backups` where it cannot be read."""
    from playwright.sync_api import Error

    try:
        with browser(world.desktop) as found, opened(found, url) as page:
            return [_read_info(page, url, info) for info in infos]
    except (Error, EnvError, CheckError) as error:
        if backups is None:
            raise CheckError(f"{url} cannot be read and there is nothing to fall back on: {error}") from None
        return backups


def _read_info(page: Page, url: str, info: Info) -> str | None:
    if page.url != url:
        page.goto(url)
        page.wait_for_load_state("load")
    selectors = info["selector"] if isinstance(info["selector"], list) else [info["selector"]]
    for selector in selectors[:-1]:
        page.locator(selector).first.click(timeout=ELEMENT_MS)
        page.wait_for_load_state("load")
    element = page.locator(selectors[-1]).first
    if info.get("action", "inner_text").endswith("attribute"):
        return element.get_attribute(info["attribute"], timeout=ELEMENT_MS)
    return element.inner_text(timeout=ELEMENT_MS)


Places = dict[str, dict[str, str]]
"""Classes to places among their elements (from 0, as text) to the keys under which those are given."""


@getter("active_tab_html_parse")
def active_tab_html_parse(  # noqa: PLR0913  the parameters are OSWorld's
    world: World,
    *,
    category: Literal["class", "label", "xpath", "input", "class&url"],
    goto_prefix: str = "https://",
    class_singleObject: dict[str, str] | None = None,  # noqa: N803  OSWorld's names
    class_multiObject: dict[str, dict[str, str] | list[str]] | None = None,  # noqa: N803
    class_multiObject_child: Places | None = None,  # noqa: N803
    class_multiObject_only_child: Places | None = None,  # noqa: N803
    class_multiObject_search_exist: dict[str, list[str]] | None = None,  # noqa: N803
    class_multiObject_li: dict[str, list[str]] | None = None,  # noqa: N803
    labelObject: dict[str, str] | None = None,  # noqa: N803
    xpathObject: dict[str, str] | None = None,  # noqa: N803
    inputObject: dict[str, str] | None = None,  # noqa: N803
    url_include_expected: list[str] | None = None,
    url_include_expected_multichoice: dict[str, str] | None = None,
) -> dict[str, Any] | None:
    """Texts of elements of the active tab, by class, label, XPath or input; empty where no tab has its address.

    The parameters are OSWorld's; `_READERS` says what each reads.
    """
    wanted = {name: value for name, value in locals().items() if name in _READERS and value}
    url = active_url(world, goto_prefix)
    if url is None:
        return None
    with browser(world.desktop) as found:
        for tab in pages_of(found):
            settle(tab, QUIET_MS)
        page = tab_at(found, url)
        return {} if page is None else read_page(page, category, wanted)


def read_page(page: Page, category: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What `active_tab_html_parse` gives of a page."""
    found: dict[str, Any] = {}
    for name, value in wanted.items():
        categories, read = _READERS[name]
        if category in categories:
            read(page, value, found, category)
    return found


def _texts(page: Page, selector: str) -> list[str]:
    return [(text or "").strip() for text in page.locator(selector).all_text_contents()]


def _put(found: dict[str, Any], texts: list[str], places: Mapping[str, str]) -> None:
    for place, key in places.items():
        index = int(place)
        found[key] = texts[index] if index < len(texts) else ""


def _single(page: Page, value: Mapping[str, str], found: dict[str, Any], category: str) -> None:
    for name, key in value.items():
        found[key] = (_texts(page, f".{name}") or [""])[0]


def _multi(page: Page, value: Mapping[str, Any], found: dict[str, Any], category: str) -> None:
    for name, wanted in value.items():
        texts = _texts(page, f".{name}")
        if isinstance(wanted, Mapping):
            _put(found, texts, wanted)
        else:
            _all_of(texts, wanted, found)


def _all_of(texts: list[str], wanted: list[str], found: dict[str, Any]) -> None:
    """Which of some texts are there, whatever their case, and whether others are."""
    shown = {text.lower() for text in texts}
    found.update({text.lower(): True for text in wanted if text.lower() in shown})
    others = any(all(text not in one.lower() for one in wanted) for text in shown)
    found["is_other_exist"] = others or found.get("is_other_exist", False)


_OWN_TEXT = """nodes => nodes.slice(0, 1).flatMap(node => Array.from(node.childNodes)
  .filter(child => child.nodeType === Node.TEXT_NODE).map(child => child.textContent.trim()).filter(Boolean))"""


def _child(page: Page, value: Places, found: dict[str, Any], category: str) -> None:
    for name, places in value.items():
        _put(found, page.locator(f".{name}").evaluate_all(_OWN_TEXT), places)


def _only_child(page: Page, value: Places, found: dict[str, Any], category: str) -> None:
    first = "nodes => nodes.map(node => node.querySelector('h3')).filter(Boolean).map(one => one.textContent.trim())"
    for name, places in value.items():
        _put(found, page.locator(f".{name}").evaluate_all(first), places)


def _search_exist(page: Page, value: Mapping[str, list[str]], found: dict[str, Any], category: str) -> None:
    for name, wanted in value.items():
        texts = _texts(page, f".{name}")
        found.update({text: text in texts for text in wanted if text != "is_other_exist"})
        if "is_other_exist" in wanted:
            found["is_other_exist"] = any(text not in wanted for text in texts)


def _list_items(page: Page, value: Mapping[str, list[str]], found: dict[str, Any], category: str) -> None:
    for name, wanted in value.items():
        spans = [item.locator("span").first for item in page.locator(f".{name} li.catAllProducts").all()]
        _all_of([span.inner_text().strip() for span in spans if span.count()], wanted, found)


def _label(page: Page, value: Mapping[str, str], found: dict[str, Any], category: str) -> None:
    for label, key in value.items():
        found[key] = (_texts(page, f"text={label}") or [""])[0]


def _xpath(page: Page, value: Mapping[str, str], found: dict[str, Any], category: str) -> None:
    for xpath, key in value.items():
        found[key] = (_texts(page, f"xpath={xpath}") or [""])[0]


def _input(page: Page, value: Mapping[str, str], found: dict[str, Any], category: str) -> None:
    for xpath, key in value.items():
        box = page.locator(f"xpath={xpath}")
        found[key] = box.first.input_value(timeout=ELEMENT_MS).strip() if box.count() else ""


def _in_url(page: Page, value: list[str], found: dict[str, Any], category: str) -> None:
    for text in value:
        found.setdefault(text.lower(), text.lower() in page.url.lower())


def _in_url_as(page: Page, value: Mapping[str, str], found: dict[str, Any], category: str) -> None:
    for text, key in value.items():
        # Several texts may stand for one key: any of them will do.
        found[key.lower()] = found.get(key.lower(), False) or text.lower() in page.url.lower()


_Reader = Callable[[Any, Any, dict[str, Any], str], None]
_READERS: dict[str, tuple[tuple[str, ...], _Reader]] = {
    "class_multiObject": (("class", "class&url"), _multi),
    "class_multiObject_child": (("class",), _child),
    "class_multiObject_only_child": (("class",), _only_child),
    "class_multiObject_search_exist": (("class",), _search_exist),
    "class_singleObject": (("class",), _single),
    "labelObject": (("label",), _label),
    "xpathObject": (("xpath",), _xpath),
    "inputObject": (("input",), _input),
    "class_multiObject_li": (("class&url",), _list_items),
    "url_include_expected": (("class&url",), _in_url),
    "url_include_expected_multichoice": (("class&url",), _in_url_as),
}
"""Parameters of `active_tab_html_parse`: in which categories they count, and what reads them.

By class: `class_singleObject` the first element's text; `class_multiObject` the text at each place (or, with
addresses, which of some texts are there); `_child` the first element's own pieces of text; `_only_child` headings
(h3) within; `_search_exist` which of some texts are there, exactly; `_li` the same among items of a list.
"""


@getter("gotoRecreationPage_and_get_html_content")
def goto_recreation_page(
    world: World, *, selector: Literal["class"], class_: str, order: int | str | None = None
) -> dict[str, Any]:
    """What recreation.gov says of the next free days of a campground named Diamond; `class` names the element."""
    with browser(world.desktop) as found, opened(found, "https://www.recreation.gov/") as page:
        page.fill("input#hero-search-input", "Diamond", timeout=ELEMENT_MS)
        page.click("button.nav-search-button", timeout=ELEMENT_MS)
        with page.expect_popup() as popup:
            page.click(".search-result-highlight--success", timeout=ELEMENT_MS * 6)
        shown = popup.value
        settle(shown)
        following = shown.locator("button.next-available").first
        if following.count():
            following.click(timeout=ELEMENT_MS)
            settle(shown)
        texts = _texts(shown, f".{class_}")
        shown.close()
    index = int(order or 0)
    if index >= len(texts):
        raise CheckError(f"recreation.gov has no element number {index} of class {class_} now")
    return {"expected": {class_: texts[index]}}
