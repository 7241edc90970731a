"""Metrics for a browser's tabs, addresses, bookmarks, cookies, history, extensions and pages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal, NotRequired
from urllib.parse import urlsplit

from typing_extensions import TypedDict

from deskbench.tasks.metrics.data.text import Texts, text_of
from deskbench.tasks.metrics.support.fidelity import as_upstream
from deskbench.tasks.metrics.support.matching import same_url
from deskbench.tasks.metrics.support.packages import needs
from deskbench.tasks.registry import Regex, closed, metric


@closed
class Url(TypedDict):
    """The address of a page."""

    type: Literal["url"]
    url: str


@closed
class Urls(TypedDict):
    """The addresses of all pages."""

    type: Literal["url"]
    urls: list[str]


@closed
class UrlPatterns(TypedDict):
    """Regular expressions that must all match in the address; OSWorld's files have two more keys."""

    expected: list[Regex]
    type: NotRequired[str]
    url: NotRequired[str]


def _url_of(tab: Any) -> str | None:
    url = tab.get("url") if isinstance(tab, Mapping) else tab
    return url if isinstance(url, str) and url else None


@metric("is_expected_active_tab")
def is_expected_active_tab(result: Any, rules: Url) -> float:
    """1 when the active tab shows the page; the comparison ignores `www.` and the public suffix of the address."""
    return float(bool(result) and same_url(rules["url"], _url_of(result)))


@metric("is_expected_active_tab_approximate")
def is_expected_active_tab_approximate(result: Any, rules: Url) -> float:
    """1 when the active tab shows the page, whatever the query of its address."""
    found = _url_of(result)
    return float(found is not None and _no_query(found) == _no_query(rules["url"]))


def _no_query(url: str) -> str:
    return urlsplit(url)._replace(query="").geturl()


@metric("is_expected_url_pattern_match")
def is_expected_url_pattern_match(result: Any, rules: UrlPatterns) -> float:
    """1 when every pattern matches in the address of the active tab."""
    url = _url_of(result)
    return float(url is not None and all(re.search(pattern, url) for pattern in rules["expected"]))


@metric("is_expected_tabs")
def is_expected_tabs(result: Sequence[Mapping[str, str]], rules: Urls) -> float:
    """1 when there are as many tabs as addresses, and each address is open in one."""
    found = [tab.get("url") for tab in result or ()]
    wanted = rules["urls"]
    return float(
        bool(found) and len(found) == len(wanted) and all(any(same_url(url, tab) for tab in found) for url in wanted)
    )


@closed
class Bookmarks(TypedDict):
    """The content of the bookmark bar or of its folder `Liked Authors` (each address, or a list of alternatives)."""

    type: Literal["bookmark_bar_folders_names", "bookmark_bar_websites_urls", "liked_authors_websites_urls"]
    names: NotRequired[list[str]]
    urls: NotRequired[list[str | list[str]]]


@metric("is_expected_bookmarks")
def is_expected_bookmarks(result: Mapping[str, Any], rules: Bookmarks) -> float:
    """1 when the bookmarks have exactly the expected folders, or the expected pages."""
    if not result:
        return 0.0
    bar = _children(result.get("bookmark_bar"))
    folders = {str(item.get("name")): item for item in reversed(bar) if item.get("type") == "folder"}
    if rules["type"] == "bookmark_bar_folders_names":
        return float(set(folders) == set(rules["names"]))
    if rules["type"] == "bookmark_bar_websites_urls":
        return float(_pages(bar) == {str(url) for url in rules["urls"]})
    liked = folders.get("Liked Authors")
    choices = [{url} if isinstance(url, str) else set(url) for url in rules["urls"]]
    return float(liked is not None and _one_of_each(_pages(_children(liked)), choices))


def _children(node: Any) -> list[Mapping[str, Any]]:
    found = node.get("children") if isinstance(node, Mapping) else None
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _pages(children: Sequence[Mapping[str, Any]]) -> set[str]:
    return {str(item.get("url")) for item in children if item.get("type") == "url"}


def _one_of_each(found: set[str], choices: list[set[str]]) -> bool:
    """Whether one address from each list can be picked so that the picked ones are exactly those found."""
    if not choices:
        return not found
    first, rest = choices[0], choices[1:]
    # The folder lists a page only once, even if two lists picked it, so it stays available for the following lists.
    return any(
        _one_of_each(found - {url}, rest) or _one_of_each_with(found, url, rest) for url in first if url in found
    )


def _one_of_each_with(found: set[str], url: str, rest: list[set[str]]) -> bool:
    return any(url in choice for choice in rest) and _one_of_each(found, rest)


@closed
class SearchPattern(TypedDict):
    """The pattern of an address."""

    pattern: Regex


@closed
class SearchQuery(TypedDict):
    """The search query."""

    expect: SearchPattern


@metric("is_expected_search_query")
def is_expected_search_query(result: Any, rules: SearchQuery) -> float:
    """1 when the pattern matches in the address of the active tab."""
    url = _url_of(result)
    return float(url is not None and re.search(rules["expect"]["pattern"], url) is not None)


_RENAMED = {"Zoom for Google Chrome": "Zoom Chrome Extension"}
"""Current names of extensions in Chrome's web store."""


@metric("is_expected_installed_extensions", linear=True)
def is_expected_installed_extensions(result: Sequence[str], rules: Texts) -> float:
    """1 when every extension in `expected` is installed, under any of its names."""
    renamed = {} if as_upstream("extension-names") else _RENAMED
    wanted, found = ({renamed.get(name, name) for name in names} for names in (rules["expected"], result or ()))
    return float(bool(found) and wanted <= found)


@closed
class Domains(TypedDict):
    """Domains of cookies."""

    type: Literal["domains"]
    domains: list[str]


@metric("is_cookie_deleted")
def is_cookie_deleted(result: Sequence[Sequence[Any]], rules: Domains) -> float:
    """1 when no cookie (a row of Chrome's table, the host in the second column) belongs to one of the domains."""
    hosts = [str(cookie[1]) for cookie in result if len(cookie) > 1]
    return float(not any(same_url(domain, host) for domain in rules["domains"] for host in hosts))


@closed
class Keywords(TypedDict):
    """Words in addresses."""

    type: Literal["keywords"]
    keywords: list[str]


@metric("check_history_deleted", linear=True)
def check_history_deleted(result: Sequence[Sequence[Any]], rules: Keywords) -> float:
    """1 when no address in the history contains one of the words."""
    return float(not any(word in str(row[0]) for word in rules["keywords"] for row in result if row))


@closed
class Shortcut(TypedDict):
    """A line of a `.desktop` file."""

    type: Literal["name", "exec"]
    name: NotRequired[str]
    exec: NotRequired[str]


@metric("is_shortcut_on_desktop", linear=True)
def is_shortcut_on_desktop(result: Mapping[str, str], rules: Shortcut) -> float:
    """1 when a shortcut on the desktop has the name, a shorter or a longer one, or starts the command.

    Names are compared by whole words, ignoring case; a command may have more arguments.
    """
    key = "Name" if rules["type"] == "name" else "Exec"
    wanted = rules["name"] if rules["type"] == "name" else rules["exec"]
    return float(any(_is_shortcut(content, key, wanted) for content in result.values()))


def _is_shortcut(content: str, key: str, wanted: str) -> bool:
    if as_upstream("shortcut-line") or (as_upstream("shortcut-part") and f"{key}={wanted}\n" in content):
        return f"{key}={wanted}\n" in content
    lines = (line.partition("=") for line in content.split("\n"))
    values = [value for name, equals, value in lines if equals and name == key]
    if as_upstream("shortcut-part"):
        folded = [(v.lower(), wanted.lower()) if key == "Name" else (v, wanted) for v in values]
        return any(one in other or other in one for one, other in folded)
    if key == "Exec":
        return any(_words(wanted) in _words(value) for value in values)
    return any(_shares_words(value.lower(), wanted.lower()) for value in values)


def _words(text: str) -> str:
    """A text's words with blanks around each, to search for whole words."""
    return f" {' '.join(text.split())} "


def _shares_words(one: str, other: str) -> bool:
    """Whether one text contains all words of the other; false if either is empty."""
    return bool(one.strip() and other.strip()) and (_words(one) in _words(other) or _words(other) in _words(one))


@closed
class Names(TypedDict):
    """Names, in order."""

    type: Literal["names"]
    names: list[str]


@metric("check_enabled_experiments", linear=True)
def check_enabled_experiments(result: Sequence[str], rules: Names) -> float:
    """1 when exactly the expected experiments of Chrome are on, in this order."""
    return float([name.split("@")[0] for name in result] == rules["names"])


@closed
class FontSize(TypedDict):
    """A size, or a range that excludes its ends."""

    type: Literal["value", "range"]
    value: NotRequired[float]
    min: NotRequired[float]
    max: NotRequired[float]


@metric("check_font_size", linear=True)
def check_font_size(result: Mapping[str, Any], rules: FontSize) -> float:
    """1 when Chrome's default font size is the given size, or within the given range."""
    size = result.get("default_font_size")
    if not isinstance(size, (int, float)):
        return 0.0
    return float(size == rules["value"] if rules["type"] == "value" else rules["min"] < size < rules["max"])


@closed
class Items(TypedDict):
    """Items that a page must show."""

    items: list[str]


@metric("is_added_to_steam_cart", linear=True)
def is_added_to_steam_cart(result: Mapping[str, str], rules: Items) -> float:
    """1 when the page shows every item."""
    return float(all(item in result.get("content", "") for item in rules["items"]))


@metric("compare_htmls")
def compare_htmls(result: Path, expected: Path, *, ignore_sdnum: bool = False) -> float:
    """1 when two pages have the same elements in the same order, with their texts and attributes.

    `ignore_sdnum` ignores the attribute that LibreOffice writes for a number's format.
    """
    pairs = zip if as_upstream("html-length") else zip_longest
    return float(all(_same_node(a, b, ignore_sdnum) for a, b in pairs(_nodes(result), _nodes(expected))))


def _nodes(file: Path) -> list[Any]:
    try:
        from bs4 import BeautifulSoup
    except ImportError as error:
        raise needs("evaluators", error) from None
    return list(BeautifulSoup(text_of(file), "lxml").descendants)


def _same_node(one: Any, other: Any, ignore_sdnum: bool) -> bool:
    if getattr(one, "name", None) is None or getattr(other, "name", None) is None:
        return bool(one == other)
    ignored = {"sdnum"} if ignore_sdnum else set()
    attributes = [{k: v for k, v in node.attrs.items() if k not in ignored} for node in (one, other)]
    return bool(one.name == other.name and one.text.strip() == other.text.strip() and attributes[0] == attributes[1])


@closed
class Background(TypedDict):
    """The file of a background image."""

    value: str


@metric("check_html_background_image")
def check_html_background_image(result: Path, rules: Background) -> float:
    """1 when a style of the page has the given background image."""
    try:
        from bs4 import BeautifulSoup
    except ImportError as error:
        raise needs("evaluators", error) from None
    wanted = f"background-image: url('{rules['value']}')"
    return float(any(wanted in style.text for style in BeautifulSoup(text_of(result), "html.parser").find_all("style")))
