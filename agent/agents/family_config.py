"""What an agent of a family can be told: its profile, and a run's settings over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from deskbench.agent.agents.profile import GrounderRules, ImagePolicy, Profile, Sampling, load_profile
from deskbench.agent.agents.settings import (
    CLIENT_SETTINGS,
    Reader,
    file_text,
    optional,
    read_settings,
    size_text,
    whole,
)
from deskbench.agent.models.client import ClientConfig
from deskbench.envs.actions import nearest
from deskbench.envs.errors import UsageError

SAFETY = ("acknowledge", "stop")
_GROUNDER = "grounder_"


@dataclass(frozen=True)
class FamilyConfig:
    """A family's agent, ready to be made.

    Attributes:
        profile: with the run's settings put in.
        client: of the endpoint.
        grounder: of the second one, for planners.
        retries: how often a reply that is not an action is shown to the model and asked for again.
        safety: what is done when the endpoint wants a safety check acknowledged before it goes on: `acknowledge` (and
            record it; the desktop is a sandbox) or `stop`.
        prompt: an exact system prompt in place of the profile's.
    """

    profile: Profile
    client: ClientConfig
    grounder: ClientConfig | None = None
    retries: int = 3
    safety: str = "acknowledge"
    prompt: str | None = None

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> FamilyConfig:
        """Read a run's settings: `profile`, and any of `SETTINGS`.

        Raises:
            UsageError: an unknown family or setting, or a bad value; one line.
        """
        given = dict(settings)
        profile = load_profile(given.pop("profile"))
        values = read_settings(profile.name, given, SETTINGS)
        if values.get("safety", "acknowledge") not in SAFETY:
            raise UsageError(f"{profile.name}: safety is {values['safety']!r}{nearest(values['safety'], SAFETY)}")
        grounded = {k.removeprefix(_GROUNDER): values.pop(k) for k in list(values) if k.startswith(_GROUNDER)}
        if grounded and profile.grounder is None:
            raise UsageError(f"{profile.name}: {_GROUNDER}{next(iter(grounded))} is for planners")
        profile = _changed(profile, values)
        own = {name: values.pop(name) for name in ("retries", "safety", "prompt") if name in values}
        client = _client(profile, profile.sampling, profile.image, values)
        client = replace(client, wire=profile.endpoint, headers=profile.headers)
        return cls(profile, client, _grounder(profile.grounder, grounded, client), **own)


def _changed(profile: Profile, values: dict[str, Any]) -> Profile:
    """The profile with the settings that change how it looks and remembers."""
    pictures, size, longest = (values.pop(name, None) for name in ("history", "image_size", "max_side"))
    if pictures is not None:
        profile = profile.model_copy(
            update={"history": profile.history.model_copy(update={"pictures": pictures + 1, "chunk": 1})}
        )
    if size is not None or longest is not None:
        fit = {"fit": "size", "size": size} if size is not None else {"fit": "longest", "longest": longest}
        profile = profile.model_copy(update={"image": profile.image.model_copy(update=fit)})
    return profile


def _client(
    place: Profile | GrounderRules, sampling: Sampling, image: ImagePolicy, values: Mapping[str, Any]
) -> ClientConfig:
    """The endpoint. A maker's key goes to its own address only: who names another one names its key, too."""
    key = place.key if "base_url" not in values else None
    defaults = {
        "base_url": place.base_url,
        "model": place.model,
        "api_key_env": key or None,
        "detail": image.detail,
        **sampling.model_dump(),
    }
    return ClientConfig(**{**defaults, **values})


def _grounder(rules: GrounderRules | None, values: Mapping[str, Any], client: ClientConfig) -> ClientConfig | None:
    """With the client's limits: one step waits no longer for two models than a run says."""
    if rules is None:
        return None
    limits = ("connect_timeout", "read_timeout", "total_timeout", "attempts", "first_pause", "longest_pause",
              "longest_retry_after", "max_bytes")  # fmt: skip
    shared = {name: getattr(client, name) for name in limits}
    return _client(rules, rules.sampling, rules.image, {**shared, **values})


SETTINGS: dict[str, Reader] = {
    **CLIENT_SETTINGS,
    "history": whole(0),
    "image_size": optional(size_text),
    "max_side": optional(whole(1)),
    "retries": whole(0),
    "safety": str.strip,
    "prompt": file_text,
    **{
        f"{_GROUNDER}{name}": CLIENT_SETTINGS[name]
        for name in ("base_url", "model", "api_key_env", "temperature", "max_tokens")
    },
}
"""Every setting and how its text is read; `prompt` is the path of a UTF-8 file."""
