"""JSON, YAML and TOML files, and objects and lists from getters. The model is the parsed value."""

from __future__ import annotations

import itertools
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

from deskbench.tasks.mutation.kinds.text import decoded, encoded
from deskbench.tasks.mutation.operators import About, Raw, Unlike, kind, operator

Change = Iterator[tuple[Any, str]]
Path = tuple[str | int, ...]


class Written(str):
    """JSON text to write as it is, for changes that the model does not show."""


def _read_json(raw: Raw) -> Any:
    try:
        return json.loads(decoded(raw))
    except (ValueError, RecursionError) as error:
        raise Unlike(f"not JSON: {error}") from None


def _write_json(model: Any, raw: Raw) -> Raw:
    if isinstance(model, Written):
        return encoded(str(model), raw)
    old = decoded(raw)
    indent = re.search(r"\n([ \t]+)\S", old)
    text = json.dumps(model, indent=indent[1] if indent else None, ensure_ascii=old.isascii())
    return encoded(text + "\n" * old.endswith("\n"), raw)


def _key(model: Any) -> Any:
    return json.loads(model) if isinstance(model, Written) else model


kind("json", "JSON files", read=_read_json, write=_write_json, key=_key)


def _read_yaml(raw: Raw) -> Any:
    import yaml

    try:
        return yaml.safe_load(decoded(raw))
    except (yaml.YAMLError, RecursionError) as error:
        raise Unlike(f"not YAML: {error}") from None


def _write_yaml(model: Any, raw: Raw) -> Raw:
    import yaml

    return encoded(yaml.safe_dump(model, sort_keys=False, allow_unicode=True), raw)


kind("yaml", "YAML files", read=_read_yaml, write=_write_yaml)


def _read_toml(raw: Raw) -> Any:
    try:
        return tomllib.loads(decoded(raw))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Unlike(f"not TOML: {error}") from None


def _write_toml(model: Any, raw: Raw) -> Raw:
    return encoded("".join(_toml_table(model, ())), raw)


def _toml_table(table: dict[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """A table's own keys, then its tables. Values that TOML cannot express (null) are left out."""
    for name, value in table.items():
        if not isinstance(value, dict) and value is not None:
            yield f"{_toml_name(name)} = {_toml_value(value)}\n"
    for name, value in table.items():
        if isinstance(value, dict):
            inner = (*path, _toml_name(name))
            yield f"\n[{'.'.join(inner)}]\n"
            yield from _toml_table(value, inner)


def _toml_name(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def _toml_value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_toml_value(item) for item in value if item is not None)}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_toml_name(k)} = {_toml_value(v)}' for k, v in value.items() if v is not None)} }}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (str, bool, int, float)) else str(value)


kind("toml", "TOML files", read=_read_toml, write=_write_toml)


def _plain(model: Any) -> Any:
    return model


kind("object", "Objects and lists that getters give", read=_plain, write=lambda model, raw: model)


# -- changes to structures: the model is never modified, only copied along the path to the change


def _leaves(model: Any, about: About, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every scalar that matters to the task, with its path."""
    inner: Any = ()
    if isinstance(model, dict):
        inner = model.items()
    elif isinstance(model, list):
        inner = enumerate(model)
    elif at and about.matters(str(next((name for name in reversed(at) if isinstance(name, str)), ""))):
        yield at, model
    for name, value in inner:
        yield from _leaves(value, about, (*at, name))


def _nodes(model: Any, of: type, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every object, or every list, with its path."""
    if isinstance(model, of):
        yield at, model
    if isinstance(model, (dict, list)):
        for name, value in model.items() if isinstance(model, dict) else enumerate(model):
            yield from _nodes(value, of, (*at, name))


def _put(model: Any, at: Path, value: Any) -> Any:
    """A copy with a different value at a path."""
    if not at:
        return value
    name, rest = at[0], at[1:]
    copy = dict(model) if isinstance(model, dict) else list(model)
    copy[name] = _put(model[name], rest, value)  # type: ignore[index]
    return copy


def _told(at: Path) -> str:
    return "".join(f"[{name + 1}]" if isinstance(name, int) else f".{name}" for name in at).lstrip(".") or "the whole"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else text[:37] + "..."


def _others(value: Any) -> Iterator[Any]:
    """Similar values of the same type."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        yield from (value + 1, value - 1)
        if value:
            yield -value
    elif isinstance(value, str):
        number = re.search(r"\d", value)
        if number:
            yield value[: number.start()] + str((int(number[0]) + 1) % 10) + value[number.end() :]
        elif value:
            yield value[:-1]
        yield value + "x" if value else "x"
        if value.swapcase() != value:
            yield value.swapcase()


def _as_other_type(value: Any) -> Iterator[tuple[Any, str]]:
    if isinstance(value, bool):
        yield str(value).lower(), "a text"
    elif isinstance(value, (int, float)):
        yield str(value), "a text"
    elif isinstance(value, str):
        yield [value], "a list"


def change_value(model: Any, about: About) -> Change:
    """A value is different, of the same type: the next number, the sign, true or false, a letter, the case."""
    found = [(at, old, new) for at, old in _leaves(model, about) for new in _others(old)]
    for at, old, new in about.some(found, 12):
        yield _put(model, at, new), f"{_told(at)} is {_short(new)}, not {_short(old)}"


def other_type(model: Any, about: About) -> Change:
    """A value has a different type: a boolean or number as text, a text as a list."""
    found = [(at, new, what) for at, old in _leaves(model, about) for new, what in _as_other_type(old)]
    for at, new, what in about.some(found):
        yield _put(model, at, new), f"{_told(at)} is {_short(new)}, {what}"


def null(model: Any, about: About) -> Change:
    """A value is null."""
    for at, _ in about.some([(at, old) for at, old in _leaves(model, about) if old is not None]):
        yield _put(model, at, None), f"{_told(at)} is null"


def drop_key(model: Any, about: About) -> Change:
    """A key is missing."""
    found = [(at, name) for at, node in _nodes(model, dict) for name in node if about.matters(name)]
    for at, name in about.some(found):
        node = {key: value for key, value in _at(model, at).items() if key != name}
        yield _put(model, at, node), f"{_told((*at, name))} is missing"


def _at(model: Any, at: Path) -> Any:
    for name in at:
        model = model[name]
    return model


def rename_key(model: Any, about: About) -> Change:
    """A key has a different name."""
    found = [(at, name) for at, node in _nodes(model, dict) for name in node if name and about.matters(name)]
    for at, name in about.some(found, 3):
        node = {key + "2" if key == name else key: value for key, value in _at(model, at).items()}
        yield _put(model, at, node), f"{_told((*at, name))} is called {name}2"


def move_value(model: Any, about: About) -> Change:
    """Two texts of one object are swapped."""
    for at, node in about.some(list(_nodes(model, dict)), 3):
        texts = [name for name, value in node.items() if isinstance(value, str) and value and about.matters(name)]
        for one, other in itertools.pairwise(texts):
            if node[one] != node[other]:
                swapped = {**node, one: node[other], other: node[one]}
                yield _put(model, at, swapped), f"{_told((*at, one))} and {_told((*at, other))} are swapped"


def add_key(model: Any, about: About) -> Change:
    """There is an extra key; not in a program's settings, where that means nothing."""
    for at, node in about.some([] if about.settings else list(_nodes(model, dict)), 3):
        yield _put(model, at, {**node, "another": "value"}), f"{_told(at)} has a key 'another' as well"


def drop_item(model: Any, about: About) -> Change:
    """A list item is missing."""
    for at, index, node in about.some(_items(model, about)):
        yield _put(model, at, node[:index] + node[index + 1 :]), f"{_told((*at, index))} is missing"


def repeat_item(model: Any, about: About) -> Change:
    """A list item occurs twice."""
    for at, index, node in about.some(_items(model, about), 3):
        yield _put(model, at, [*node[: index + 1], *node[index:]]), f"{_told((*at, index))} occurs twice"


def swap_items(model: Any, about: About) -> Change:
    """Two consecutive list items are swapped."""
    for at, index, node in about.some([one for one in _items(model, about) if one[1] + 1 < len(one[2])], 3):
        swapped = [*node[:index], node[index + 1], node[index], *node[index + 2 :]]
        yield _put(model, at, swapped), f"{_told((*at, index))} and the next item are swapped"


def _items(model: Any, about: About) -> list[tuple[Path, int, list[Any]]]:
    found = [(at, node) for at, node in _nodes(model, list) if about.matters(*(n for n in at if isinstance(n, str)))]
    return [(at, index, node) for at, node in found for index in range(len(node))]


def empty_whole(model: Any, about: About) -> Change:
    """The whole value is empty."""
    if not about.settings:
        yield type(model)() if isinstance(model, (dict, list)) else None, "nothing is in it"


_ON_STRUCTURES: dict[str, Callable[[Any, About], Change]] = {
    "change-value": change_value, "other-type": other_type, "null": null, "drop-key": drop_key,
    "rename-key": rename_key, "move-value": move_value, "add-key": add_key, "drop-item": drop_item,
    "repeat-item": repeat_item, "swap-items": swap_items, "empty": empty_whole,
}  # fmt: skip
for _kind in ("json", "yaml", "toml", "object"):
    for _name, _change in _ON_STRUCTURES.items():
        if not (_kind == "toml" and _name == "null"):
            operator(f"{_kind}/{_name}", kind=_kind, must="fail")(_change)


def key_order(model: Any, about: About) -> Change:
    """Keys are in reverse order."""
    yield _reversed(model), "the keys of every object are in reverse order"


def _reversed(model: Any) -> Any:
    if isinstance(model, dict):
        return {name: _reversed(model[name]) for name in reversed(model)}
    return [_reversed(item) for item in model] if isinstance(model, list) else model


for _kind in ("json", "yaml"):
    operator(f"{_kind}/key-order", kind=_kind, must="stay")(key_order)


@operator("json/indent", kind="json", must="stay")
def indent(model: Any, about: About) -> Change:
    """The indentation is different, or there is none."""
    yield Written(json.dumps(model, separators=(",", ":"))), "there is no white space"
    yield Written(json.dumps(model, indent=3) + "\n"), "it is indented by three blanks"


@operator("json/escapes", kind="json", must="stay")
def escapes(model: Any, about: About) -> Change:
    """Non-ASCII characters are escaped, or are not."""
    plain, escaped = (json.dumps(model, indent=2, ensure_ascii=flag) for flag in (False, True))
    if plain != escaped:
        yield Written(plain), "no character is escaped"
        yield Written(escaped), "every character outside ASCII is escaped"


@operator("json/float", kind="json", must="stay")
def whole_as_float(model: Any, about: About) -> Change:
    """A whole number is written with .0."""
    numbers = [(at, v) for at, v in _leaves(model, about) if isinstance(v, int) and not isinstance(v, bool)]
    for at, value in about.some([(at, v) for at, v in numbers if abs(v) < 2**53], 2):
        yield _put(model, at, float(value)), f"{_told(at)} is {float(value)}"


@operator("yaml/comment", kind="yaml", must="stay")
def comment(model: Any, about: About) -> Change:
    """The file is read and written again, without its comments."""
    yield model, "it is rewritten"
