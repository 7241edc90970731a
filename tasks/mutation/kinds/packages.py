"""What Office files have in common: ZIP archives of XML parts, changed in place so that everything else stays the same.

The model is a `Parts`. Operators make copies of it with one changed part.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lxml import etree

from deskbench.tasks.metrics.support.packages import BROKEN, MAX_MEMBER, Unreadable, parse_xml
from deskbench.tasks.mutation.operators import About, Change, Raw, Unlike, operator

if TYPE_CHECKING:
    from lxml.etree import _Element

FEW = 3
"""How many copies an operator on a package makes; each is compressed and parsed again."""
MOST_UNPACKED = 64 * 2**20
"""The most bytes of all parts together."""
_WHEN = (1980, 1, 1, 0, 0, 0)
"""The oldest time in ZIP, so that the same parts give the same bytes."""
CORE = "docProps/core.xml"


@dataclass(frozen=True)
class Parts:
    """The members of an archive by name, and whether they are compressed."""

    members: dict[str, bytes]
    packed: bool = True

    def xml(self, name: str) -> _Element:
        """A part's root element, a new copy each time."""
        try:
            return parse_xml(self.members[name])
        except (KeyError, Unreadable) as error:
            raise Unlike(f"{name}: {error}") from None

    def having(self, name: str, root: _Element | bytes) -> Parts:
        """A copy with one part replaced."""
        data = root if isinstance(root, bytes) else etree.tostring(root, encoding="utf-8", xml_declaration=True,
                                                                   standalone=True)  # fmt: skip
        return replace(self, members={**self.members, name: data})

    def named(self, start: str, end: str = ".xml") -> list[str]:
        """Parts whose names have this beginning and end, ordered by their numbers."""
        found = [name for name in self.members if name.startswith(start) and name.endswith(end) and "_rels" not in name]
        return sorted(found, key=lambda name: (len(name), name))


def read_parts(raw: Raw, needed: str) -> Parts:
    """The parts of an archive, which must have a part with this name.

    Raises:
        Unlike: it is not such an archive, or it is too large.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            infos = archive.infolist()
            if sum(info.file_size for info in infos) > min(MOST_UNPACKED, MAX_MEMBER):
                raise Unlike("its parts are too large")
            members = {info.filename: archive.read(info) for info in infos}
    except BROKEN as error:
        raise Unlike(f"not an archive: {error}") from None
    if needed not in members:
        raise Unlike(f"it has no part {needed}")
    return Parts(members)


def write_parts(model: Parts, raw: Raw) -> bytes:
    """An archive of the parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if model.packed else zipfile.ZIP_STORED) as archive:
        for name, data in model.members.items():
            archive.writestr(zipfile.ZipInfo(name, _WHEN), data, archive.compression, 1 if model.packed else None)
    return out.getvalue()


def canonical(parts: Parts, left_out: Callable[[str], bool]) -> dict[str, object]:
    """The parts as canonical XML, or by size and last bytes, except those that no reader uses."""
    return {name: _canonical(name, data) for name, data in sorted(parts.members.items()) if not left_out(name)}


def _canonical(name: str, data: bytes) -> object:
    if not name.endswith((".xml", ".rels")):
        return {"bytes": len(data), "end": data[-64:].hex()}
    try:
        text = etree.tostring(parse_xml(data), method="c14n").decode("utf-8", "replace")
    except Unreadable:
        return data.decode("utf-8", "replace")
    return text.replace("><", ">\n<").splitlines()


def unused(name: str) -> bool:
    """Whether a part describes a document's history and not its content."""
    return name.startswith("docProps/") or name == "xl/calcChain.xml"


def of_texts(root: _Element, tag: str) -> list[int]:
    """The positions of elements with this name whose text has letters or digits."""
    found = enumerate(root.iter(tag))
    return [place for place, element in found if any(sign.isalnum() for sign in element.text or "")]


def at(root: _Element, tag: str, place: int) -> _Element:
    """The element with this name at a position, counted as in `of_texts`."""
    return next(element for number, element in enumerate(root.iter(tag)) if number == place)


def other_text(text: str) -> Iterator[tuple[str, str]]:
    """Similar texts, with what changed: a digit, a letter, the case, a word more or less."""
    digit = next((n for n, sign in enumerate(text) if sign.isdigit()), None)
    if digit is not None:
        yield (
            text[:digit] + str((int(text[digit]) + 1) % 10 if text[digit].isascii() else 1) + text[digit + 1 :],
            "digit",
        )
    if text.swapcase() != text:
        yield text.swapcase(), "case"
    words = text.split(" ")
    if len(words) > 1:
        yield " ".join(words[:-1]), "word"
    yield text + "x", "letter"


def everywhere(name: str, *, kind: str) -> Callable[[Change], Change]:
    """Register an operator that must keep the score on a kind of package."""
    return operator(f"{kind}/{name}", kind=kind, must="stay")


def stored(parts: Parts, about: About) -> Iterator[tuple[Parts, str]]:
    """The archive is not compressed."""
    yield replace(parts, packed=False), "its parts are not compressed"


def properties(parts: Parts, about: About) -> Iterator[tuple[Parts, str]]:
    """A different person saved the file at a different time."""
    if CORE in parts.members:
        root = parts.xml(CORE)
        for element in root.iter(etree.Element):
            if str(element.tag).endswith("lastModifiedBy"):
                element.text = "Somebody Else"
            elif str(element.tag).endswith("}modified"):
                element.text = "2031-05-04T03:02:01Z"
        yield parts.having(CORE, root), "another person has saved it, in the year 2031"


for _kind in ("xlsx", "docx", "pptx"):
    everywhere("stored", kind=_kind)(stored)
    everywhere("properties", kind=_kind)(properties)
