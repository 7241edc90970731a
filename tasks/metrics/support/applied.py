"""Applies a metric to the values that getters read, and decides whose fault a failure is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from deskbench.envs.errors import CheckError
from deskbench.tasks import registry
from deskbench.tasks.metrics.support.packages import Unreadable
from deskbench.tasks.metrics.support.told import Told


def apply(
    entry: registry.Entry,
    result: Any,
    expected: Any,
    options: Mapping[str, Any],
    trusted: Collection[Path] = (),
    theirs: tuple[bool, bool] = (True, True),
) -> Told:
    """As `worked_out`, for values and files that are not from the desktop: any failure is the check's fault.

    Raises:
        CheckError: the metric failed, or a trusted file cannot be read.
    """
    try:
        return worked_out(entry, result, expected, options, trusted, theirs)
    except CheckError:
        raise
    except Exception as error:  # the boundary to metrics, including users' own
        raise CheckError(f"metric {entry.name}: {type(error).__name__}: {error}") from error


def worked_out(
    entry: registry.Entry,
    result: Any,
    expected: Any,
    options: Mapping[str, Any],
    trusted: Collection[Path] = (),
    theirs: tuple[bool, bool] = (True, True),
) -> Told:
    """A metric's score, 0 to 1, with its reason; the caller decides about other exceptions.

    An unreadable file from the desktop scores 0. Some of OSWorld's tasks swap `expected` and `result`, so the position
    does not tell which one the agent made.

    Args:
        entry: the metric.
        result, expected: the values that getters read.
        options: the options in the task file.
        trusted: the files that do not come from the desktop.
        theirs: for each of the two values, whether it comes from the desktop. If a value of the task itself does not
            fit, the check is at fault.

    Raises:
        CheckError: a trusted file cannot be read.
        RegistryError: an option is unknown.
        ValueError: the metric's value is not a score.
    """
    arguments = (result, expected)[: len(entry.positional) or 2]
    parameters = registry.check_parameters(entry, options)
    try:
        value = entry.function(*arguments, **parameters)
    except Unreadable as error:
        if error.file in trusted:
            raise CheckError(f"metric {entry.name}: what is expected cannot be read: {error}") from error
        return Told(0.0, str(error))
    except (TypeError, LookupError, AttributeError):
        wrong = registry.misfit(entry, arguments, theirs)
        if not wrong:
            raise
        return Told(0.0, wrong)
    if not 0.0 <= float(value) <= 1.0:
        raise ValueError(f"it returned {value}; it must be 0 to 1")
    return value if isinstance(value, Told) else Told(float(value))


def files_in(value: Any) -> Iterator[Path]:
    """Every file in a getter's value."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from files_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from files_in(item)
