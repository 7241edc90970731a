"""How a run's scores came about, from its manifest and records: scores compare only if this is the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deskbench.agent.runs.record import IMPORTED, EpisodeRecord

UNKNOWN = "unknown"
MIXED = "mixed"
NOTHING = "nothing"
"""What a scripted agent sees: it does the same whatever is on the screen."""
OWN = "deskbench"
"""The harness of an episode whose checks are our own."""


@dataclass(frozen=True)
class Protocol:
    """What a score depends on apart from the agent; `mixed (...)` where episodes differ, `unknown` if not recorded.

    Attributes:
        steps, seconds: limits of an episode; `unknown` if another harness does not record them.
        observation: what the agent sees: screenshot, a11y_tree, screenshot_a11y_tree, som, or nothing.
        policy: when it looks: settled, quiet, immediate or fixed:SECONDS.
        screen: its size in pixels.
        version: of deskbench, with the git revision.
        provider: its name.
        image: image or disk with its digest; empty if the provider has none.
        harness: `deskbench`, `osworld-strict` and the revision whose mistakes its checks repeat, or `imported`.
    """

    steps: str
    seconds: str
    observation: str
    policy: str
    screen: str
    version: str
    provider: str
    image: str
    harness: str


def protocol_of(episodes: Sequence[EpisodeRecord], manifest: Mapping[str, Any] | None = None) -> Protocol:
    """The protocol of a run's episodes; what only the manifest tells is unknown without it."""
    known = manifest or {}
    return Protocol(
        steps=_limit(e.max_steps for e in episodes),
        seconds=_limit(e.max_seconds for e in episodes),
        observation=observation_of(known),
        policy=_one(e.policy for e in episodes),
        screen=_one(f"{e.width}x{e.height}" for e in episodes),
        version=version_of(known),
        provider=_one(e.provider for e in episodes),
        image=image_of(known),
        harness=_one(harness_of(e) for e in episodes),
    )


def harness_of(episode: EpisodeRecord) -> str:
    """Whose loop and checks gave the score."""
    if episode.provider == IMPORTED:
        return "imported"
    return f"osworld-strict {episode.osworld_strict}" if episode.osworld_strict else OWN


def observation_of(manifest: Mapping[str, Any]) -> str:
    """What the agent sees: as recorded, or else its setting."""
    recorded = manifest.get("observation")
    settings = _object(_object(manifest.get("config")).get("agent_settings"))
    return str(recorded or settings.get("observation") or UNKNOWN)


def version_of(manifest: Mapping[str, Any]) -> str:
    """The version and git revision of deskbench, such as `0.1.0 (1a2b3c4)`."""
    versions = _object(manifest.get("versions"))
    git = versions.get("git")
    return str(versions.get("deskbench", UNKNOWN)) + (f" ({git})" if git and git != UNKNOWN else "")


def image_of(manifest: Mapping[str, Any]) -> str:
    """The image or disk of the desktops with its digest; empty if they are made of this machine's programs."""
    desktop = _object(manifest.get("desktop"))
    return " ".join(str(desktop[name]) for name in ("image", "disk", "machines", "digest") if desktop.get(name))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _one(values: Iterable[str]) -> str:
    found = sorted(set(values))
    return found[0] if len(found) == 1 else f"{MIXED} ({', '.join(found[:3])})" if found else UNKNOWN


def _limit(values: Iterable[float | None]) -> str:
    found = set(values)
    if len(found) > 1:
        numbers = [value for value in found if value is not None]
        return f"{MIXED} ({min(numbers):g} to {UNKNOWN if None in found else f'{max(numbers):g}'})"
    only = next(iter(found), None)
    return UNKNOWN if only is None else f"{only:g}"
