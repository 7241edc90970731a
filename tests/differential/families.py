"""Every family of cases by name."""

from collections.abc import Callable, Iterator

from tests.differential import documents, pictures, plain, programs, sheets, slides
from tests.differential.case import Case, Files

FAMILIES: dict[str, Callable[[Files], Iterator[Case]]] = {
    **plain.FAMILIES,
    **programs.FAMILIES,
    **pictures.FAMILIES,
    **documents.FAMILIES,
    **sheets.FAMILIES,
    **slides.FAMILIES,
}
