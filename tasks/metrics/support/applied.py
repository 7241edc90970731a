"""Applies a metric to what getters read, and says whose fault it is if that fails."""

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
    """`worked_out`, where no file or value of the desktop is at play: whatever fails is a fault of the check.

    Raises:
        CheckError: the metric failed, or a trusted file cannot be read.
    """
    try:
        return worked_out(entry, result, expected, options, trusted, theirs)
    except CheckError:
        raise
    except Exception as error:  # the boundary to the metrics, users' own among them
        raise CheckError(f"metric {entry.name}: {type(error).__name__}: {error}") from error


def worked_out(
    entry: registry.Entry,
    result: Any,
    expected: Any,
    options: Mapping[str, Any],
    trusted: Collection[Path] = (),
    theirs: tuple[bool, bool] = (True, True),
) -> Told:
    """A metric's score, 0 to 1, with its reason; what else it raises is for the caller to judge.

    A file of the desktop that cannot be read is 0. Some of OSWorld's tasks give what the agent made as `expected` and
    the right one as `result`, so that the place does not tell which it is.

    Args:
        entry: the metric.
        result, expected: what getters read.
        options: of the task file.
        trusted: the files that do not come from the desktop.
        theirs: which of the two values come from it. A value of the task's own that does not fit is the check's fault.

    Raises:
        CheckError: a trusted file cannot be read.
        RegistryError: an option is not known.
        ValueError: what the metric gave is no score.
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
    """Every file that a getter's value names."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from files_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from files_in(item)
