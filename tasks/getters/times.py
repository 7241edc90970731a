"""Rules about future days: `tomorrow`, `next Monday`, `10th next month`."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Literal, NotRequired
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from typing_extensions import TypedDict

from deskbench.envs.errors import CheckError
from deskbench.tasks.guest import ask
from deskbench.tasks.registry import getter
from deskbench.tasks.world import World

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December")  # fmt: skip
_NUMBERS = {"four": 4, "eight": 8}
_FROM, _TO = ("time", "from", "puDay", "puMonth", "puYear"), ("to", "doDay", "doMonth", "doYear")
"""Keys of the expected value that refer to the first day, and those that refer to the second."""


RelativeTimes = dict[Literal["from", "to"], str]
"""A day's name, and the name of a second day that may depend on the first."""


class RelativeRules(TypedDict):
    """A value as for `rule`, with days given by name."""

    relativeTime: RelativeTimes
    expected: dict[str, Any]
    timezone: NotRequired[str]
    expect_in_result: NotRequired[bool]


def day_of(name: str, today: date, first: date | None = None) -> date:
    """The date that a name means.

    Args:
        name: one of OSWorld's names.
        today: the day to count from.
        first: the first day of a pair, to find the second: `next Friday` after `next Monday` is in the same week.

    Raises:
        CheckError: the name is unknown.
    """
    plain = name.removesuffix(" split")
    simple = {"tomorrow": today + timedelta(days=1), "this month": today}
    if plain in simple:
        return simple[plain]
    if found := re.fullmatch(r"(\d+)th next month", plain):
        return _months_on(today, 1).replace(day=int(found[1]))
    if found := re.fullmatch(r"first monday (\w+) months later", plain):
        begin = _months_on(today, _NUMBERS.get(found[1], 0)).replace(day=1)
        return begin + timedelta(days=-begin.weekday() % 7)
    if found := re.fullmatch(r"(this|next|next week) (\w+day)", plain):
        return _weekday(found[1], DAYS.index(found[2]), today, first)
    raise CheckError(f"relativeTime {name!r} is not a known day")


def _weekday(which: str, day: int, today: date, first: date | None) -> date:
    monday = today - timedelta(days=today.weekday())
    if which == "this":
        return monday + timedelta(days=day)
    if first is not None and day >= first.weekday():
        return first + timedelta(days=day - first.weekday())
    if which == "next week" or day == 0:
        return monday + timedelta(days=7 + day)
    return today + timedelta(days=(day - today.weekday() - 1) % 7 + 1)


def _months_on(today: date, months: int) -> date:
    index = today.month - 1 + months
    return date(today.year + index // 12, index % 12 + 1, 1)


def written(pattern: Any, day: date) -> Any:
    """Fill a text, or each text of a list, with the day's parts: {DoW}, {Month}, {DayD} and so on."""
    if isinstance(pattern, list):
        return [written(one, day) for one in pattern]
    if not isinstance(pattern, str):
        return pattern
    month = MONTHS[day.month - 1]
    parts = {
        "DoW": DAYS[day.weekday()][:3], "Month": month[:3], "MonthFull": month, "month": month.lower(),
        "DayD": str(day.day), "Day0D": f"{day.day:02}", "MonthD": str(day.month), "Month0D": f"{day.month:02}",
        "Year": str(day.year),
    }  # fmt: skip
    return re.sub(r"\{(" + "|".join(parts) + r")\}", lambda found: parts[found[1]], pattern)


def absolute(rules: RelativeRules, today: date) -> RelativeRules:
    """A copy of the rules with dates instead of the names of days."""
    named = rules["relativeTime"]
    first = day_of(named["from"], today)
    days = dict.fromkeys(_FROM, first)
    if "to" in named:
        leans = named["from"].startswith("next")
        days |= dict.fromkeys(_TO, day_of(named["to"], today, first if leans else None))
    found = copy.deepcopy(rules)
    expected = found["expected"]
    expected.update({key: written(expected[key], day) for key, day in days.items() if key in expected})
    return found


def _known_days(given: Mapping[str, Any]) -> None:
    """Report unknown names of days and time zones when a task file is loaded."""
    try:
        absolute(given["rules"], date(2024, 1, 1))
        if "timezone" in given["rules"]:
            _zone(given["rules"]["timezone"])
    except CheckError as error:
        raise ValueError(str(error)) from None


@getter("rule_relativeTime", source="task", fits=_known_days)
def rule_relative_time(world: World, *, rules: RelativeRules) -> RelativeRules:
    """A value with dates counted from today, in the rule's time zone or else in the desktop's."""
    return absolute(rules, datetime.now(_zone(timezone_from_config(world, rules=dict(rules)))).date())


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise CheckError(f"unknown time zone {name!r}") from None


@getter("timezone_from_config")
def timezone_from_config(world: World, *, rules: dict[str, Any]) -> str:
    """The time zone that the rule names, or else the desktop's."""
    return str(rules.get("timezone") or timezone_from_ip(world))


@getter("timezone_from_ip")
def timezone_from_ip(world: World) -> str:
    """The desktop's time zone. OSWorld asks a web service for the controller's instead."""
    said = ask(world.desktop, ["/bin/sh", "-c", "cat /etc/timezone || readlink /etc/localtime"]).stdout[:200]
    found = re.search(r"[A-Za-z_]+(/[A-Za-z_+-]+)*\s*$", said.strip().removeprefix("/usr/share/zoneinfo/"))
    try:
        return str(ZoneInfo(found[0].strip() if found else "UTC").key)
    except (ZoneInfoNotFoundError, ValueError):
        return "UTC"


@getter("time_diff_range", source="task")
def time_diff_range(world: World, *, diff_range_in_minutes: str | int) -> str | int:
    """The maximum age of something in minutes, from the task file."""
    return diff_range_in_minutes
