"""The containers page matches the image that is built now."""

from pathlib import Path

import pytest

from deskbench.envs.providers.docker import image as images
from tests.osworld.programs import PROGRAMS, differences, upstream

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_has_the_versions_of_the_lock_file() -> None:
    lock = images.lock_file("full").read_text(encoding="utf-8")
    assert "\n".join(differences(lock)) in (DOCS / "containers.md").read_text(encoding="utf-8")


def test_every_program_of_the_list_is_in_it() -> None:
    listed = set(images.listed(images.DOCKER / "full.txt"))
    assert {one.package for one in PROGRAMS} <= listed


@pytest.mark.parametrize(
    ("version", "own"),
    [("1:2.10.34-1+deb12u10", "2.10.34"), ("4.18.2-1", "4.18.2"), ("4:7.4.7-1+deb12u14", "7.4.7")],
)
def test_a_debian_version_has_the_programs_in_it(version: str, own: str) -> None:
    assert upstream(version) == own
