"""What an agent of a family can be told: its profile, and a run's settings over it."""

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
    """What a run can say beyond its endpoint; `FamilyConfig` and `profile` explain it. `prompt` is a file's path."""

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
        """What is said of the second endpoint."""
        names = (name for name in self.model_fields_set if name.startswith(_GROUNDER))
        return {name.removeprefix(_GROUNDER): getattr(self, name) for name in sorted(names)}


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
        """Read a run's settings: `profile`, and any of `FamilySettings`.

        Raises:
            UsageError: an unknown family or setting, or a bad value; one line.
        """
        given = dict(settings)
        profile = load_profile(given.pop("profile"))
        said = read_settings(profile.name, given, FamilySettings)
        grounded = said.grounder()
        if grounded and profile.grounder is None:
            raise UsageError(f"{profile.name}: {_GROUNDER}{next(iter(grounded))} is for planners")
        profile = _changed(profile, said)
        client = _client(profile, profile.sampling, profile.image, said.given())
        client = replace(client, wire=profile.endpoint, headers=profile.headers)
        grounder = _grounder(profile.grounder, grounded, client)
        return cls(profile, client, grounder, said.retries, said.safety, said.prompt)


def _changed(profile: Profile, said: FamilySettings) -> Profile:
    """The profile with the settings that change how it looks and remembers."""
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
