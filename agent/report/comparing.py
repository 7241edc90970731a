"""Comparisons for the pages: each is computed once, and again only after one of its runs has changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from deskbench.agent.compare.document import document
from deskbench.agent.compare.runs import MOST_RUNS, compare_runs
from deskbench.agent.report.catalog import HEAD_SHARE, MOST_RESAMPLED, ShownRun
from deskbench.agent.report.reading import Json
from deskbench.agent.statistics.intervals import RESAMPLES
from deskbench.envs.errors import UsageError
from deskbench.envs.redact import KNOWN

FEW_RESAMPLES = 999
"""Resamples where a run has more episodes than `MOST_RESAMPLED`."""
MOST_KEPT = 8
"""Comparisons that are kept."""


class Comparisons:
    """Makes comparisons, one at a time, and keeps the last ones; safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, ...], tuple[str, float, Json]] = {}
        self._lock = threading.Lock()

    def of(self, runs: Sequence[ShownRun]) -> Json:
        """The comparison of each later run with the first.

        While a run goes on, the numbers may be behind: they are computed at most `HEAD_SHARE` of the time.
        """
        names = tuple(run.id for run in runs)
        with self._lock:
            stamp = " ".join(run.stamp() for run in runs)
            kept = self._kept.pop(names, None)
            if kept is None or (kept[0] != stamp and time.monotonic() > kept[1]):
                begun = time.monotonic()
                found = compared(runs)
                kept = stamp, time.monotonic() + HEAD_SHARE * (time.monotonic() - begun), found
            self._kept[names] = kept
            if len(self._kept) > MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
            return kept[2]


def compared(runs: Sequence[ShownRun]) -> Json:
    """What a page shows of a comparison; `broken` says why there is none.

    Runs whose scores are not comparable are compared all the same, with a warning.
    """
    try:
        largest = max((_planned(run) for run in runs[:MOST_RUNS]), default=0)
        resamples = RESAMPLES if largest <= MOST_RESAMPLED else FEW_RESAMPLES
        return document(compare_runs([run.folder.path for run in runs], anyway=True, resamples=resamples))
    except UsageError as error:
        return {"broken": KNOWN.told(str(error))}


def _planned(run: ShownRun) -> int:
    planned = run.folder.manifest().get("planned")
    return planned if isinstance(planned, int) else 0
