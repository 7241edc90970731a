"""Make text from models valid where it enters: JSON and Python can express lone surrogates, but files cannot hold them.

Text enters through the code that decodes it: an endpoint's document (`models.answers.read_document`), JSON in a reply
or in a call's arguments (`loose.py`), and Python strings in a reply (`call_text.py`, `source_values.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def valid(value: Any) -> Any:
    """A value with U+FFFD in place of each lone surrogate; surrogates that form a pair are joined.

    Raises:
        RecursionError: the value is nested too deeply.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, Mapping):
        return {valid(name): valid(inner) for name, inner in value.items()}
    return [valid(inner) for inner in value] if isinstance(value, list) else value
