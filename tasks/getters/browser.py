"""What Chrome shows, read from its tabs by the debugging port."""

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
"""OSWorld's own fixed search."""


@getter("open_tabs_info", source="page")
def open_tabs_info(world: World) -> list[dict[str, str]]:
    """Title and address of every tab."""
    return list(shown(world.desktop, "tabs"))


@getter("page_info", source="page")
def page_info(world: World, *, url: str) -> dict[str, str]:
    """Title, address and HTML of a page that is opened beside the others, with their cookies."""
    return dict(shown(world.desktop, "page_info", url=url))


@getter("active_tab_info", source="page")
def active_tab_info(world: World, *, goto_prefix: str = "https://") -> dict[str, str] | None:
    """Title, address and HTML of the active tab; of a page at its address where no tab shows just that."""
    url = active_url(world, goto_prefix)
    return None if url is None else dict(shown(world.desktop, "tab_info", url=url))


@getter("pdf_from_url", source="page")
def pdf_from_url(world: World, *, path: str, dest: str = "page.pdf") -> Path:
    """A page as Chrome prints it."""
    with world.room() as file:
        shown(world.desktop, "pdf", url=path, into=file)
        return world.keep_together({dest: file.read_bytes()})[0]


@getter("chrome_saved_address", source="page")
def chrome_saved_address(world: World) -> str:
    """The HTML of the page where Chrome keeps addresses."""
    return str(shown(world.desktop, "page_info", url="chrome://settings/addresses")["content"])


@getter("number_of_search_results", source="page")
def number_of_search_results(world: World) -> int:
    """How many results a fixed search has that are marked as OSWorld expects them."""
    return int(shown(world.desktop, "count_of", url=SEARCH, selector=".search-result"))


class Info(TypedDict):
    """What is read of a page: a text or an attribute, at once or after clicks on all selectors but the last."""

    action: NotRequired[Literal["inner_text", "attribute", "click_and_inner_text", "click_and_attribute"]]
    selector: str | list[str]
    attribute: NotRequired[str]


@getter("info_from_website", source="page")
def info_from_website(world: World, *, url: str, infos: list[Info], backups: Any = None) -> Any:
    """What a page says now, or `backups` where it cannot be read."""
    try:
        return shown(world.desktop, "infos", url=url, infos=list(infos))
    except (EnvError, CheckError, Unfit) as error:
        if backups is None:
            raise CheckError(f"{url} cannot be read, and the task file has no fallback: {error}") from None
        return backups


Places = dict[str, dict[str, str]]
"""Classes to places among their elements (from 0, as text) to the keys under which those are given."""


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
    """Texts of elements of the active tab, by class, label, XPath or input; empty where no tab has its address.

    The parameters are OSWorld's; `pages._READERS` says what each reads.
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
    """What recreation.gov says of the next free days of a campground named Diamond; `class` names the element."""
    texts = shown(world.desktop, "next_free_days", class_=class_)
    index = int(order or 0)
    if index >= len(texts):
        raise CheckError(f"recreation.gov no longer has an element number {index} of class {class_}")
    return {"expected": {class_: texts[index]}}
