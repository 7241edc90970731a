"""A comparison as plain JSON for the application of `report` and `view`, with its sentences but without any path."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from deskbench.agent.compare.drawing import reach
from deskbench.agent.compare.runs import Comparison, Flip, Played, Side, Versus
from deskbench.agent.compare.words import difference, ends, group_rows, p_value, protocols, told, unpaired, verdict
from deskbench.agent.runs.names import run_name
from deskbench.envs.redact import KNOWN

LONGEST = 400
"""Characters of a reason; the episode's page has all of it."""

Json = dict[str, Any]


def document(found: Comparison) -> Json:
    """The content of the page that shows a comparison."""
    made: Json = KNOWN.value(
        {
            "runs": [_run(side) for side in found.runs],
            "protocols": list(protocols(found)),
            "against": [_versus(versus) for versus in found.against],
            "notes": [*found.notes, *(unpaired(versus) for versus in found.against if versus.unpaired)],
        }
    )
    return made


def _run(side: Side) -> Json:
    return {"letter": side.letter, "id": run_name(Path(side.folder)), "agent": side.agent, "name": side.name}


def _versus(versus: Versus) -> Json:
    return {
        "first": versus.first,
        "second": versus.second,
        "conflicts": [str(conflict) for conflict in versus.conflicts],
        "verdict": verdict(versus),
        "all": {**_drawn(versus), "difference": difference(versus.all), "ends": ends(versus.all),
                "p": p_value(versus.all)},
        "lines": list(told(versus))[1:],
        "reach": reach([group.difference for group in versus.groups]),
        "groups": [
            {"cells": row, "mean": group.difference.difference, "low": group.difference.low,
             "high": group.difference.high}
            for group, row in zip(versus.groups, group_rows(versus), strict=True)
        ],
        "efforts": [dataclasses.asdict(effort) for effort in versus.efforts if effort.pairs],
        "flips": [_flip(flip) for flip in versus.flips],
    }  # fmt: skip


def _drawn(versus: Versus) -> Json:
    found = versus.all
    return {"mean": found.difference, "low": found.low, "high": found.high, "reach": reach([found])}


def _flip(flip: Flip) -> Json:
    return {"task": flip.task, "pairs": [[repeat, _played(one), _played(two)] for repeat, one, two in flip.pairs]}


def _played(played: Played) -> Json:
    return {
        "score": played.score, "ending": played.ending, "reason": played.reason[:LONGEST], "steps": played.steps,
        "address": played.address,
    }  # fmt: skip
