"""Text from models, made valid where it enters: JSON and Python can say half of a surrogate pair, and no file holds it.

It enters by what decodes it: an endpoint's document (`models.answers.read_document`), JSON in a reply or in a call's
arguments (`loose.py`), and strings of Python in a reply (`call_text.py`, `source_values.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def valid(value: Any) -> Any:
    """A value in which each half of a pair is U+FFFD; halves that belong together are put together.

    Raises:
        RecursionError: it is nested too deeply.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, Mapping):
        return {valid(name): valid(inner) for name, inner in value.items()}
    return [valid(inner) for inner in value] if isinstance(value, list) else value
