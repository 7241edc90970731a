"""Matching: OSWorld's methods for cells, preferences and JSON; similarity of texts; addresses of pages.

The methods have the names that OSWorld's task files use.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, NotRequired
from urllib.parse import urlsplit

from pydantic import AfterValidator, ValidationInfo
from typing_extensions import TypedDict

from deskbench.tasks.metrics.support.packages import needs
from deskbench.tasks.registry import closed, compiles

_ORDERS = {"eq": operator.eq, "ne": operator.ne, "le": operator.le, "lt": operator.lt, "ge": operator.ge,
           "gt": operator.gt}  # fmt: skip
_METHOD = re.compile(
    r"eq|ne|le|lt|ge|gt|re(\.[A-Z]+)*|approx:[\d.eE+-]+|spreadsheet_range|range\.[te][te]|str_list_eq|str_set_eq"
)


def _known_method(name: str) -> str:
    if not _METHOD.fullmatch(name):
        raise ValueError("is not a method; use eq ne lt le gt ge re[.FLAG] approx:T range.XY spreadsheet_range "
                         "str_list_eq str_set_eq")  # fmt: skip
    return name


def _usable(ref: Any, info: ValidationInfo) -> Any:
    """Reject a broken regular expression, which would never match."""
    if str((info.data or {}).get("method", "")).startswith("re"):
        if not isinstance(ref, str):
            raise ValueError("method re needs a regular expression")
        compiles(ref)
    return ref


@closed
class Match(TypedDict):
    """How a value is matched, and against what."""

    method: Annotated[str, AfterValidator(_known_method)]
    ref: Annotated[Any, AfterValidator(_usable)]


class KeyMatch(Match):
    """A value inside a structure, by its path of keys."""

    key: NotRequired[list[str | int]]


def matches(value: Any, rule: Mapping[str, Any]) -> bool:
    """Whether a value meets a rule; false for a value of the wrong type."""
    try:
        return _matches(value, str(rule["method"]), rule["ref"])
    except (TypeError, ValueError, AttributeError):
        return False


def _matches(value: Any, method: str, ref: Any) -> bool:
    if method in _ORDERS:
        return bool(_ORDERS[method](value, ref))
    if method.startswith("re"):
        flags = re.RegexFlag(0)
        for name in method.split(".")[1:]:
            flags |= re.RegexFlag[name]
        return re.search(ref, value, flags) is not None
    if method.startswith("approx"):
        return abs(float(value) - float(ref)) <= float(method.partition(":")[2])
    if method.startswith("range."):
        return bool(_ORDERS["l" + method[6]](ref[0], value) and _ORDERS["l" + method[7]](value, ref[1]))
    if method == "spreadsheet_range":
        return _covers(value, ref[0]) and _covers(ref[1], value)
    items = value.strip("\"'").split(",")
    return bool(items == list(ref) if method == "str_list_eq" else set(items) == set(ref))


def _covers(outer: Any, inner: Any) -> bool:
    """Whether every cell range of `inner` lies in one of `outer`."""
    from openpyxl.worksheet.cell_range import MultiCellRange

    return all(part in MultiCellRange(outer) for part in MultiCellRange(inner))


def has_record(wanted: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether a record has every wanted field with its value."""
    return all(key in record and record[key] == value for key, value in wanted.items())


def likeness(one: str, other: str) -> float:
    """The similarity of two texts, 0 to 1: twice their longest common subsequence over the sum of their lengths."""
    try:
        from rapidfuzz import fuzz
    except ImportError as error:
        raise needs("evaluators", error) from None
    return float(fuzz.ratio(one, other)) / 100.0


@cache
def _suffixes() -> Any:
    try:
        import tldextract
    except ImportError as error:
        raise needs("evaluators", error) from None
    # The list of public suffixes in the package; a check must not look it up on the network.
    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


def plain_url(url: str) -> tuple[str, ...]:
    """An address for comparison: no `www.`, no public suffix (airbnb.com is airbnb.com.sg), no lone final slash."""
    with_scheme = url if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url) else f"http://{url}"
    parts = urlsplit(with_scheme)
    host = _suffixes()(parts.netloc.lower())
    subdomain = "" if host.subdomain == "www" else host.subdomain
    name = f"{subdomain}.{host.domain}" if subdomain else host.domain
    return (parts.scheme.lower(), name, "" if parts.path == "/" else parts.path, parts.query, parts.fragment)


def same_url(one: str | None, other: str | None) -> bool:
    """Whether two addresses mean the same page to OSWorld."""
    if one is None or other is None:
        return one == other
    return plain_url(one) == plain_url(other)
