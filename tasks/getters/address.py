"""The active tab's address, from the address bar in the accessibility tree, and its parts."""

from __future__ import annotations

import itertools
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from deskbench.tasks.getters.session import accessibility_tree
from deskbench.tasks.registry import getter
from deskbench.tasks.scoring.worker import read
from deskbench.tasks.world import World


def active_url(world: World, goto_prefix: str) -> str | None:
    """The address bar's text with the prefix that Chrome hides; None if there is no bar or it is empty."""
    found = read("address", tree=accessibility_tree(world), prefix=goto_prefix)
    return None if found is None else str(found)


@getter("active_url_from_accessTree", source="page")
def active_url_from_access_tree(world: World, *, goto_prefix: str = "https://") -> str | None:
    """The active tab's address from the accessibility tree; a full address in the bar keeps its own prefix."""
    return active_url(world, goto_prefix)


@getter("active_tab_url_parse", source="page")
def active_tab_url_parse(
    world: World,
    *,
    parse_keys: list[str],
    goto_prefix: str = "https://",
    replace: dict[str, str] | None = None,
    split_list: bool = False,
) -> dict[str, Any] | None:
    """The first value of each given query parameter of the address; empty if the parameter is missing.

    `replace` renames parameters; `split_list` splits values at commas.
    """
    url = active_url(world, goto_prefix)
    if url is None:
        return None
    query = parse_qs(urlsplit(url).query)
    names = replace or {}
    found = {names.get(key, key): query.get(key, [""])[0] for key in parse_keys}
    return {key: value.split(",") for key, value in found.items()} if split_list else dict(found)


@getter("url_dashPart", source="page")
def url_dash_part(
    world: World,
    *,
    partIndex: int | str,  # noqa: N803  OSWorld's names
    returnType: Literal["string", "json"],  # noqa: N803
    key: str = "",
    needDeleteId: bool = False,  # noqa: N803
    goto_prefix: str = "https://",
) -> str | dict[str, str] | None:
    """One part of the address between slashes; `needDeleteId` removes its query."""
    url = active_url(world, goto_prefix)
    parts = url.split("/") if url is not None else []
    index = int(partIndex)
    if not -len(parts) <= index < len(parts):
        return None
    part = parts[index].split("?")[0] if needDeleteId else parts[index]
    return part if returnType == "string" else {key: part}


HALF_OFF, LESS_OFF = "50_PERCENT_ off & more", ("30_PERCENT_ off & more", "20_PERCENT_ off & more")
"""Macy's names for its discounts."""


@getter("url_path_parse", "macys_product_url_parse", source="page")
def macys_product_url_parse(
    world: World, *, parse_keys: list[str], goto_prefix: str = "https://"
) -> dict[str, Any] | None:
    """The filters in an address of Macy's shop: `mens_clothing`, `shirts`, `short_sleeve`, and keys from the path."""
    url = active_url(world, goto_prefix)
    if url is None:
        return None
    path = unquote(urlsplit(url).path)
    fields = _fields(path)
    shirts = "shirts" in path or fields.get("Product_department") in ("shirts", "Shirts", "Shirt")
    short = "short-sleeve" in path or fields.get("Sleeve_length") in ("short-sleeve", "Short Sleeve")
    found: dict[str, Any] = {
        "mens_clothing": "mens-clothing" in path or None,
        "shirts": shirts or None,
        "short_sleeve": short or None,
    }
    for key in parse_keys:
        if key == "Price_discount_range":
            found[key] = _discount(fields.get(key))
        elif key == "Men_regular_size_t" or key in fields:
            found[key] = fields.get(key) or None
    return found


def _fields(path: str) -> dict[str, str]:
    """The names and values of two consecutive parts of the path that contain commas."""
    parts = path.strip("/").split("/")
    for names, values in itertools.pairwise(parts):
        if "," in names and "," in values:
            return {k.strip(): v.strip() for k, v in zip(names.split(","), values.split(","), strict=False)}
    return {}


def _discount(value: str | None) -> str:
    chosen = [part.strip() for part in (value or "").split("|")]
    half = HALF_OFF in chosen and not any(less in chosen for less in LESS_OFF)
    return HALF_OFF if half else f"not_{HALF_OFF}"
