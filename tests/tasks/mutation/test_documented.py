"""docs/tables/mutation.md lists every operator as the registry does."""

from __future__ import annotations

from pathlib import Path

import pytest

from deskbench.tasks.mutation.operators import Kind, kinds, table

PAGE = Path(__file__).parents[3] / "docs/tables/mutation.md"


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)
def test_its_table_is_in_the_documentation(kind: Kind) -> None:
    """`table` prints the expected text."""
    part = "\n".join([f"## {kind.title}", "", *table(kind.name), ""])
    assert part in PAGE.read_text(encoding="utf-8")
