"""What Chrome shows, read from its tabs through the debugging port."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from deskbench.envs.errors import CheckError, EnvError, Unfit
from deskbench.tasks.getters.address import active_url
from deskbench.tasks.registry import getter
from deskbench.tasks.web.chrome import shown
from deskbench.tasks.world import World

SEARCH = "https://google.com/search?q=query"
"""OSWorld's fixed search."""


@getter("open_tabs_info", source="page")
def open_tabs_info(world: World) -> list[dict[str, str]]:
    """The title and address of every tab."""
    return list(shown(world.desktop, "tabs"))


@getter("page_info", source="page")
def page_info(world: World, *, url: str) -> dict[str, str]:
    """The title, address and HTML of a page, which the getter opens in a new tab with the browser's cookies."""
    return dict(shown(world.desktop, "page_info", url=url))


@getter("active_tab_info", source="page")
def active_tab_info(world: World, *, goto_prefix: str = "https://") -> dict[str, str] | None:
    """The title, address and HTML of the active tab; opens its address if no tab shows exactly that address."""
    url = active_url(world, goto_prefix)
    return None if url is None else dict(shown(world.desktop, "tab_info", url=url))


@getter("pdf_from_url", source="page")
def pdf_from_url(world: World, *, path: str, dest: str = "page.pdf") -> Path:
    """The PDF that Chrome prints from a page."""
    with world.room() as file:
        shown(world.desktop, "pdf", url=path, into=file)
        return world.keep_together({dest: file.read_bytes()})[0]


@getter("chrome_saved_address", source="page")
def chrome_saved_address(world: World) -> str:
    """The HTML of Chrome's settings page for saved addresses."""
    return str(shown(world.desktop, "page_info", url="chrome://settings/addresses")["content"])


@getter("number_of_search_results", source="page")
def number_of_search_results(world: World) -> int:
    """The number of results of OSWorld's fixed search that have the class OSWorld expects."""
    return int(shown(world.desktop, "count_of", url=SEARCH, selector=".search-result"))


class Info(TypedDict):
    """What to read from a page: a text or an attribute, at once or after a click on each selector but the last."""

    action: NotRequired[Literal["inner_text", "attribute", "click_and_inner_text", "click_and_attribute"]]
    selector: str | list[str]
    attribute: NotRequired[str]


@getter("info_from_website", source="page")
def info_from_website(world: World, *, url: str, infos: list[Info], backups: Any = None) -> Any:
    """The current content of a page, or `backups` if the page cannot be read."""
    try:
        return shown(world.desktop, "infos", url=url, infos=list(infos))
    except (EnvError, CheckError, Unfit) as error:
        if backups is None:
            raise CheckError(f"{url} cannot be read, and the task file has no fallback: {error}") from None
        return backups


Places = dict[str, dict[str, str]]
"""For each class, the positions of elements (from 0, as text) and the keys of their values in the result."""


@getter("active_tab_html_parse", source="page")
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
    """Texts of elements of the active tab, by class, label, XPath or input; empty if no tab has its address.

    The parameters are OSWorld's; `pages._READERS` says what each one reads.
    """
    wanted = {
        name: value for name, value in locals().items() if name not in ("world", "category", "goto_prefix") and value
    }
    url = active_url(world, goto_prefix)
    if url is None:
        return None
    return dict(shown(world.desktop, "elements", url=url, category=category, wanted=wanted))


@getter("gotoRecreationPage_and_get_html_content", source="page")
def goto_recreation_page(
    world: World, *, selector: Literal["class"], class_: str, order: int | str | None = None
) -> dict[str, Any]:
    """What recreation.gov says about the next free days of the campground Diamond; `class` names the element."""
    texts = shown(world.desktop, "next_free_days", class_=class_)
    index = int(order or 0)
    if index >= len(texts):
        raise CheckError(f"recreation.gov no longer has an element number {index} of class {class_}")
    return {"expected": {class_: texts[index]}}
