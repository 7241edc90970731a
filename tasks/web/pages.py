"""Reads and controls the desktop's Chrome, through its debugging port and playwright.

These are readers (`readers`). They run in a separate process, because the agent may have put anything on that port, and
a page may contain text of any length. Addresses are HOST:PORT on this machine. A reader returns None if nothing
answers, else a list with one value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from deskbench.envs import wait
from deskbench.envs.errors import CheckError, Unfit
from deskbench.tasks.metrics.support.matching import same_url

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

PAGE_MS = 60_000.0
QUIET_MS = 10_000.0
ELEMENT_MS = 10_000.0
CONNECT_MS = 10_000.0
SCHEMES = {0: "system", 1: "light", 2: "dark"}
"""Chrome's `browser.theme.color_scheme2` (ThemeService::BrowserColorScheme)."""
_ITS_OWN = ("ERR_PROXY", "ERR_TUNNEL", "ERR_NO_SUPPORTED_PROXIES", "ERR_SOCKS", "ERR_BLOCKED", "ERR_CERT",
            "ERR_INVALID_URL", "ERR_ABORTED")  # fmt: skip
"""First words of Chrome's errors for pages that it cannot open because of its settings, not the network."""


@contextmanager
def browser(addresses: Sequence[str], seconds: float) -> Iterator[Browser | None]:
    """The Chrome that answers at one of some addresses, open during the block; None if none answers in time."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise CheckError(f"{error.name} is not installed: pip install 'deskbench[evaluators]'") from None
    with sync_playwright() as playwright:
        found = wait.until(lambda: _connected(playwright, addresses), timeout=seconds, interval=0.5, max_interval=2.0)
        try:
            yield found
        finally:
            if found is not None:
                found.close()  # ends only the connection: we did not start this browser


def _connected(playwright: Any, addresses: Sequence[str]) -> Any:
    from playwright.sync_api import Error

    for address in addresses:
        try:
            return playwright.chromium.connect_over_cdp(f"http://{address}", timeout=CONNECT_MS)
        except Error:
            continue
    return None


def context_of(found: Browser) -> BrowserContext:
    """The browser context that a person sees, with its cookies."""
    return found.contexts[0] if found.contexts else found.new_context()


def pages_of(found: Browser) -> list[Page]:
    """Every open tab, except the page that Chrome preloads for the next tab, which is in no window."""
    return [page for context in found.contexts for page in context.pages if not page.is_closed() and _in_window(page)]


def _in_window(page: Page) -> bool:
    from playwright.sync_api import Error

    try:
        session = page.context.new_cdp_session(page)
        session.send("Browser.getWindowForTarget")
        session.detach()
    except Error:
        return False
    return True


def settle(page: Page, milliseconds: float = QUIET_MS) -> bool:
    """Wait until a page has loaded and its network is quiet; returns False on timeout."""
    from playwright.sync_api import Error

    try:
        page.wait_for_load_state("networkidle", timeout=milliseconds)
    except Error:
        return False
    return True


@contextmanager
def opened(found: Browser, url: str) -> Iterator[Page]:
    """A page in a new tab, loaded as far as possible.

    Raises:
        CheckError: the network does not deliver it.
        Unfit: Chrome does not open it.
    """
    from playwright.sync_api import Error, TimeoutError

    page = context_of(found).new_page()
    try:
        try:
            page.goto(url, timeout=PAGE_MS)
        except TimeoutError:
            pass  # some pages never finish loading; use what has arrived
        except Error as error:
            line = error.message.splitlines()[0]
            own = url.startswith("chrome:") or any(reason in line for reason in _ITS_OWN)
            raise (Unfit if own else CheckError)(f"{url} cannot be opened: {line}") from None
        settle(page)
        yield page
    finally:
        page.close()


def same_page(one: str, other: str) -> bool:
    """Whether two addresses are equal, ignoring percent-encoding and a final slash."""
    return unquote(one).rstrip("/") == unquote(other).rstrip("/")


def tab_at(found: Browser, url: str) -> Page | None:
    """The open tab that shows an address, or None."""
    return next((page for page in pages_of(found) if same_page(page.url, url)), None)


def _info(page: Page) -> dict[str, str]:
    return {"title": page.title(), "url": page.url, "content": page.content()}


# -- reading ----------------------------------------------------------------------------------------------------------


def tabs(found: Browser) -> list[dict[str, str]]:
    """Title and address of every tab."""
    return [{"title": page.title(), "url": page.url} for page in pages_of(found) if settle(page) or True]


def page_info(found: Browser, url: str) -> dict[str, str]:
    """Title, address and HTML of a page, opened in a new tab."""
    with opened(found, url) as page:
        return _info(page)


def tab_info(found: Browser, url: str) -> dict[str, str]:
    """Title, address and HTML of the tab at an address; opens a new tab if no tab shows exactly that address."""
    tab = tab_at(found, url)
    if tab is None:
        return page_info(found, url)
    settle(tab)
    return _info(tab)


def pdf(found: Browser, url: str, into: Path) -> None:
    """Print a page to a PDF file."""
    with opened(found, url) as page:
        into.write_bytes(page.pdf())


def count_of(found: Browser, url: str, selector: str) -> int:
    """The number of elements on a page that a selector finds."""
    with opened(found, url) as page:
        return len(page.query_selector_all(selector))


def infos(found: Browser, url: str, infos: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """Read several things from a page in order (`getters.browser.Info`)."""
    with opened(found, url) as page:
        return [_read_info(page, url, info) for info in infos]


def _read_info(page: Page, url: str, info: Mapping[str, Any]) -> str | None:
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


def mode(found: Browser) -> str | None:
    """Chrome's current colour mode in its settings: system, light or dark; None if unknown."""
    from playwright.sync_api import Error

    script = "() => new Promise(done => chrome.settingsPrivate.getPref('browser.theme.color_scheme2', done))"
    page = context_of(found).new_page()
    try:
        page.goto("chrome://settings/appearance")
        return SCHEMES.get(page.evaluate(script).get("value"), "system")
    except (Error, AttributeError, TypeError):
        return None
    finally:
        page.close()


def next_free_days(found: Browser, class_: str) -> list[str]:
    """The texts of a class of elements on recreation.gov, for the next free days of a campground named Diamond."""
    with opened(found, "https://www.recreation.gov/") as page:
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
    return texts


# -- elements of the active tab ----------------------------------------------------------------------------------------

Places = Mapping[str, Mapping[str, str]]
"""For each class, the positions of elements (from 0, as text) and the keys of their values in the result."""
Category = Literal["class", "label", "xpath", "input", "class&url"]


def elements(found: Browser, url: str, category: Category, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Texts of elements in the tab at an address (`_READERS`); empty if no tab shows it."""
    for tab in pages_of(found):
        settle(tab)
    page = tab_at(found, url)
    texts: dict[str, Any] = {}
    for name, value in wanted.items() if page is not None else ():
        categories, reader = _READERS[name]
        if category in categories:
            reader(page, value, texts)
    return texts


def _texts(page: Page, selector: str) -> list[str]:
    return [(text or "").strip() for text in page.locator(selector).all_text_contents()]


def _put(found: dict[str, Any], texts: list[str], places: Mapping[str, str]) -> None:
    for place, key in places.items():
        index = int(place)
        found[key] = texts[index] if index < len(texts) else ""


def _single(page: Page, value: Mapping[str, str], found: dict[str, Any]) -> None:
    for name, key in value.items():
        found[key] = (_texts(page, f".{name}") or [""])[0]


def _multi(page: Page, value: Mapping[str, Any], found: dict[str, Any]) -> None:
    for name, wanted in value.items():
        texts = _texts(page, f".{name}")
        if isinstance(wanted, Mapping):
            _put(found, texts, wanted)
        else:
            _all_of(texts, wanted, found)


def _all_of(texts: list[str], wanted: list[str], found: dict[str, Any]) -> None:
    """Which of some texts occur, ignoring case, and whether there are others."""
    shown = {text.lower() for text in texts}
    found.update({text.lower(): True for text in wanted if text.lower() in shown})
    others = any(all(text not in one.lower() for one in wanted) for text in shown)
    found["is_other_exist"] = others or found.get("is_other_exist", False)


_OWN_TEXT = """nodes => nodes.slice(0, 1).flatMap(node => Array.from(node.childNodes)
  .filter(child => child.nodeType === Node.TEXT_NODE).map(child => child.textContent.trim()).filter(Boolean))"""


def _child(page: Page, value: Places, found: dict[str, Any]) -> None:
    for name, places in value.items():
        _put(found, page.locator(f".{name}").evaluate_all(_OWN_TEXT), places)


def _only_child(page: Page, value: Places, found: dict[str, Any]) -> None:
    first = "nodes => nodes.map(node => node.querySelector('h3')).filter(Boolean).map(one => one.textContent.trim())"
    for name, places in value.items():
        _put(found, page.locator(f".{name}").evaluate_all(first), places)


def _search_exist(page: Page, value: Mapping[str, list[str]], found: dict[str, Any]) -> None:
    for name, wanted in value.items():
        texts = _texts(page, f".{name}")
        found.update({text: text in texts for text in wanted if text != "is_other_exist"})
        if "is_other_exist" in wanted:
            found["is_other_exist"] = any(text not in wanted for text in texts)


def _list_items(page: Page, value: Mapping[str, list[str]], found: dict[str, Any]) -> None:
    for name, wanted in value.items():
        spans = [item.locator("span").first for item in page.locator(f".{name} li.catAllProducts").all()]
        _all_of([span.inner_text().strip() for span in spans if span.count()], wanted, found)


def _label(page: Page, value: Mapping[str, str], found: dict[str, Any]) -> None:
    for label, key in value.items():
        found[key] = (_texts(page, f"text={label}") or [""])[0]


def _xpath(page: Page, value: Mapping[str, str], found: dict[str, Any]) -> None:
    for xpath, key in value.items():
        found[key] = (_texts(page, f"xpath={xpath}") or [""])[0]


def _input(page: Page, value: Mapping[str, str], found: dict[str, Any]) -> None:
    for xpath, key in value.items():
        box = page.locator(f"xpath={xpath}")
        found[key] = box.first.input_value(timeout=ELEMENT_MS).strip() if box.count() else ""


def _in_url(page: Page, value: list[str], found: dict[str, Any]) -> None:
    for text in value:
        found.setdefault(text.lower(), text.lower() in page.url.lower())


def _in_url_as(page: Page, value: Mapping[str, str], found: dict[str, Any]) -> None:
    for text, key in value.items():
        # several texts may share a key: any of them is enough
        found[key.lower()] = found.get(key.lower(), False) or text.lower() in page.url.lower()


_Reader = Callable[[Any, Any, dict[str, Any]], None]
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
"""Parameters of `active_tab_html_parse`: the categories in which they count, and their readers.

By class: `class_singleObject` reads the first element's text. `class_multiObject` reads the text at each position (or,
with addresses, which of some texts occur). `_child` reads the first element's own pieces of text, `_only_child` the
headings (h3) inside. `_search_exist` tells which of some texts occur, exactly, and `_li` does the same for list items.
"""


# -- set-up -----------------------------------------------------------------------------------------------------------


def open_tabs(found: Browser, urls: Sequence[str]) -> None:
    """Open a tab for each address, and close the tabs that were open."""
    first = pages_of(found)
    for url in urls:
        _open(context_of(found).new_page(), url)
    for page in first if urls else []:
        page.close()


def _open(page: Any, url: str) -> None:
    """Open an address. A slow page may continue to load; a page that Chrome cannot open is an error."""
    from playwright.sync_api import Error, TimeoutError

    try:
        page.goto(url, timeout=PAGE_MS)
    except TimeoutError:
        if page.url in ("", "about:blank"):
            raise CheckError(f"{url} did not begin to load within {PAGE_MS / 1000:g} s") from None
    except Error as error:
        raise CheckError(f"Chrome cannot open {url}: {error.message.splitlines()[0]}") from None


def close_tabs(found: Browser, urls: Sequence[str]) -> None:
    """Close every tab that shows one of some addresses.

    Raises:
        Unfit: no tab shows one of them.
    """
    for url in urls:
        shown = [page for page in pages_of(found) if same_url(page.url, url)]
        if not shown:
            open_now = ", ".join(page.url for page in pages_of(found))
            raise Unfit(f"no tab shows {url}; open tabs: {open_now or 'none'}")
        for page in shown:
            page.close()


def login(found: Browser, email: str, password: str) -> None:
    """Log in to Google Drive."""
    page = context_of(found).new_page()
    _open(page, "https://drive.google.com/drive/my-drive")
    for kind, value, button in (
        ("email", email, "#identifierNext button"),
        ("password", password, "#passwordNext button"),
    ):
        page.fill(f'input[type="{kind}"]', value, timeout=15_000)
        page.click(button)
    page.wait_for_url("**/drive.google.com/**", timeout=30_000)


def _reader(work: Callable[..., Any]) -> Callable[..., list[Any] | None]:
    def reader(addresses: Sequence[str], within: float, **arguments: Any) -> list[Any] | None:
        with browser(addresses, within) as found:
            return None if found is None else [work(found, **arguments)]

    return reader


READERS: dict[str, Callable[..., Any]] = {
    f"chrome.{work.__name__}": _reader(work)
    for work in (tabs, page_info, tab_info, pdf, count_of, infos, mode, next_free_days, elements, open_tabs,
                 close_tabs, login)
}  # fmt: skip
"""All readers by name."""
