"""What a run records about how its scores came about."""

from pathlib import Path

import pytest

from deskbench.agent.manifest import manifest
from deskbench.agent.statistics.protocol import image_of, observation_of, protocol_of, version_of

from ..paper import prepared, write_suite


@pytest.mark.parametrize(("agent", "seen"), [("oracle", "nothing"), ("tests.agent.paper:Killer", "screenshot")])
def test_the_manifest_says_what_the_agent_sees(tmp_path: Path, agent: str, seen: str) -> None:
    write_suite(tmp_path / "suite", 1)
    found = manifest(prepared(tmp_path / "suite", agent=agent))
    assert observation_of(found) == protocol_of([], found).observation == seen


def test_a_manifest_of_another_version_or_harness_leaves_facts_unknown() -> None:
    odd = {"versions": [], "desktop": "none", "config": {"agent_settings": {"observation": "a11y_tree"}}}
    assert (version_of(odd), image_of(odd), observation_of(odd)) == ("unknown", "", "a11y_tree")
    assert image_of({"desktop": {"disk": "/disks/ubuntu.qcow2", "qemu": "9.0"}}) == "/disks/ubuntu.qcow2"
