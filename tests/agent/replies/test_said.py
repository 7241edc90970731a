"""Replies as models really write them, and the actions that each must become on a screen of 1920x1080 pixels.

`golden/said.json` has one case a line: the profile that reads it, and `kind`, the part of the wire's body that the
reply is. `pyautogui.position()` and drags start at the pointer, which is at (7, 11).
"""

import json
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.agents.profile import load_profile
from deskbench.agent.models.wires.registry import WIRES
from deskbench.agent.prompting.pictures import scale_for
from deskbench.agent.replies.grammars import read_reply
from deskbench.agent.replies.spaces import Space

from .lowered import same
from .test_families import BODIES

CASES = json.loads((Path(__file__).parent / "golden" / "said.json").read_text(encoding="utf-8"))
SCREEN = (1920, 1080)


def actions_of(family: str, kind: str, reply: Any) -> list[dict[str, Any]]:
    """The actions of a reply, through the wire and the grammar of a family's profile."""
    profile = load_profile(family)
    answer = WIRES[profile.endpoint].read(BODIES[kind](reply))
    image = scale_for(profile.image, SCREEN).image
    space = Space(profile.space.kind, SCREEN, image, profile.space.grid)
    read = read_reply(answer.text, answer.calls, profile.reply.grammar, space, pointer=(7, 11))
    return [action.to_json() for action in read.actions]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_replies_become_what_their_models_mean(case: dict[str, Any]) -> None:
    got = actions_of(case["profile"], case["kind"], case["reply"])
    assert same(got, case["actions"]), got
