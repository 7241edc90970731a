"""HTML pages: templates that are filled in once, with a policy that runs only our own code and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

_PLACEHOLDER = re.compile(r"\{\{([A-Z]+)\}\}")


def fill(template: str, parts: Mapping[str, str]) -> str:
    """Fill in each `{{NAME}}` of a template; placeholders inside the inserted text stay as they are.

    Raises:
        KeyError: the template has a placeholder without a value.
    """
    pieces = _PLACEHOLDER.split(template)
    return "".join(parts[piece] if index % 2 else piece for index, piece in enumerate(pieces))


def script_json(value: object) -> str:
    """JSON that cannot end the script element that holds it, and that a browser can always read."""
    return page_json(value).replace("<", "\\u003c")


def page_json(value: object) -> str:
    """JSON in ASCII; numbers that JSON does not have become null."""
    try:
        return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


MODULES = ("dom", "source", "parts", "list", "screen", "film", "episode", "run", "desktops", "compare", "main")
"""The modules of the application, each after those that it uses: a page has them as one script, without a build."""
_IMPORT = re.compile(r'^import (\{.*?\}) from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:const|function) (\w+))", re.MULTILINE)


def application(data: object, images: object, *, live: bool = False, beside: bool = False) -> str:
    """The application's page.

    Args:
        data: the content; with None the page asks its server.
        images: data URLs by the frames' names.
        live: whether the page may ask its server.
        beside: whether the page may show pictures from a folder beside its file.
    """
    style, code = _file("app.css"), script()
    parts = {
        "POLICY": policy(style, code, live=live, beside=beside),
        "STYLE": style,
        "CODE": code,
        "DATA": script_json(data),
        "IMAGES": script_json(images),
    }
    return fill(_file("index.html"), parts)


def script() -> str:
    """The modules as one script: each is a function that returns what it exports."""
    return '"use strict";\n' + "".join(_as_function(name, _file(f"{name}.js")) for name in MODULES)


def _as_function(name: str, source: str) -> str:
    exported = ", ".join(_EXPORT.findall(source))
    body = _EXPORT.sub("", _IMPORT.sub(r"const \1 = module_\2;", source))
    return f"const module_{name} = (() => {{\n{body}return {{{exported}}};\n}})();\n"


def policy(style: str, code: str, *, live: bool, beside: bool = False) -> str:
    """A content security policy (CSP level 3) that allows pictures, and this style and script by their hashes."""
    sources = {
        "default-src": "'none'",
        "style-src": _hash(style),
        "script-src": _hash(code),
        "img-src": "data: 'self'" if live else "data: file:" if beside else "data:",
        "media-src": "'self'" if live else "file:" if beside else "'none'",
        "connect-src": "'self'" if live else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {source}" for name, source in sources.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _file(name: str) -> str:
    return files("deskbench.agent.report").joinpath("app", name).read_text(encoding="utf-8")
