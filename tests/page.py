"""Writes a command's tables into a page of the docs, between two marks."""

from pathlib import Path


def put(page: Path, table: str, begin: str, end: str) -> None:
    """Put the table between the marks of a page; the rest stays."""
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    page.write_text(f"{before}{begin}\n\n{table}\n{end}{after}", encoding="utf-8")
