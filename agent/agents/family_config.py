"""The configuration of a family's agent: its profile, overridden by a run's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from deskbench.agent.agents.profile import GrounderRules, ImagePolicy, Profile, Sampling, load_profile
from deskbench.agent.agents.settings import (
    Amount,
    ClientSettings,
    Count,
    FileText,
    Optional,
    Size,
    read_settings,
)
from deskbench.agent.models.client import ClientConfig
from deskbench.envs.errors import UsageError

_GROUNDER = "grounder_"


class FamilySettings(ClientSettings):
    """A run's settings for a family; `FamilyConfig` and `profile` explain them. `prompt` is the path of a file."""

    history: Count | None = None
    image_size: Optional[Size] = None
    max_side: Optional[Annotated[int, Field(ge=1)]] = None
    retries: Count = 3
    safety: Literal["acknowledge", "stop"] = "acknowledge"
    prompt: FileText | None = None
    grounder_base_url: str = ""
    grounder_model: str = ""
    grounder_api_key_env: Optional[str] = None
    grounder_temperature: Optional[Amount] = None
    grounder_max_tokens: Optional[Annotated[int, Field(ge=1)]] = None

    def grounder(self) -> dict[str, Any]:
        """The settings of the second endpoint."""
        names = (name for name in self.model_fields_set if name.startswith(_GROUNDER))
        return {name.removeprefix(_GROUNDER): getattr(self, name) for name in sorted(names)}


@dataclass(frozen=True)
class FamilyConfig:
    """A family's agent, ready to be made.

    Attributes:
        profile: the profile, changed by the run's settings.
        client: configuration of the endpoint.
        grounder: configuration of the second endpoint, for planners.
        retries: how often to ask again after a reply that is not an action.
        safety: what to do if the endpoint needs a safety check acknowledged before it continues: `acknowledge` (and
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
        """Read a run's settings: `profile` and any of `FamilySettings`.

        Raises:
            UsageError: a family or setting is unknown, or a value is wrong; the message is one line.
        """
        given = dict(settings)
        profile = load_profile(given.pop("profile"))
        said = read_settings(profile.name, given, FamilySettings)
        grounded = said.grounder()
        if grounded and profile.grounder is None:
            raise UsageError(f"{profile.name}: {_GROUNDER}{next(iter(grounded))} is only for planners")
        profile = _changed(profile, said)
        client = _client(profile, profile.sampling, profile.image, said.given())
        client = replace(client, wire=profile.endpoint, headers=profile.headers)
        grounder = _grounder(profile.grounder, grounded, client)
        return cls(profile, client, grounder, said.retries, said.safety, said.prompt)


def _changed(profile: Profile, said: FamilySettings) -> Profile:
    """The profile, changed by the settings for observation and history."""
    pictures, size, longest = said.history, said.image_size, said.max_side
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
    """The endpoint's configuration. A vendor's key goes only to the vendor's address; another address needs its own."""
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
    """The grounder's configuration, with the client's limits, so that two models take no longer than a run allows."""
    if rules is None:
        return None
    limits = ("connect_timeout", "read_timeout", "total_timeout", "attempts", "first_pause", "longest_pause",
              "longest_retry_after", "max_bytes")  # fmt: skip
    shared = {name: getattr(client, name) for name in limits}
    return _client(rules, rules.sampling, rules.image, {**shared, **values})
