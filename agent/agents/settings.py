"""Settings of agents that ask models: convert a run's settings, which are all text, into values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Json, ValidationError, model_validator

from deskbench.agent.models.client import ClientConfig
from deskbench.agent.models.prices import Price
from deskbench.envs.errors import UsageError
from deskbench.envs.foreign import first_fault, read_text


def _none(text: Any) -> Any:
    return None if isinstance(text, str) and text.strip().lower() in ("", "none") else text


def _size(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    found = re.fullmatch(r"([1-9]\d{0,4})[x×]([1-9]\d{0,4})", text.strip())
    if not found:
        raise ValueError("it must be WIDTHxHEIGHT in pixels, for example 1280x720")
    return int(found[1]), int(found[2])


def _file(text: str) -> str:
    try:
        return read_text(Path(text).expanduser())
    except (OSError, RuntimeError) as error:  # RuntimeError: `~name` for an unknown user
        raise ValueError(str(error)) from None


Value = TypeVar("Value")
Optional = Annotated[Value | None, BeforeValidator(_none)]
"""`none` and the empty text mean None."""
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0.001)]
Size = Annotated[tuple[int, int], BeforeValidator(_size)]
"""`1280x720`: width and height in pixels."""
FileText = Annotated[str, BeforeValidator(_file)]
"""The path of a file, replaced by the file's text, which is UTF-8 or has a byte order mark."""


class ClientSettings(BaseModel):
    """A run's settings for `models.client.ClientConfig`; settings that are not given keep that class's defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)

    base_url: str = ""
    model: str = ""
    api_key_env: Optional[str] = None
    temperature: Optional[Amount] = None
    top_p: Optional[Amount] = None
    seed: Optional[Count] = None
    max_tokens: Optional[Annotated[int, Field(ge=1)]] = None
    max_tokens_name: str = ""
    detail: Optional[str] = None
    extra: Json[dict[str, Any]] = {}
    price_input: Amount = 0.0
    price_output: Amount = 0.0
    price_cached: Amount | None = None
    connect_timeout: Seconds = 0.0
    read_timeout: Seconds = 0.0
    total_timeout: Seconds = 0.0
    attempts: Annotated[int, Field(ge=1)] = 1
    first_pause: Amount = 0.0
    longest_pause: Amount = 0.0
    longest_retry_after: Amount = 0.0
    stream: bool = False
    logprobs: Count = 0

    @model_validator(mode="after")
    def _whole_price(self) -> ClientSettings:
        given = self.model_fields_set & _PRICES
        if given and not given >= {"price_input", "price_output"}:
            raise ValueError("set both price_input and price_output (US dollars per million tokens)")
        return self

    def given(self) -> dict[str, Any]:
        """The arguments of a ClientConfig that the run sets; both prices become one `price`."""
        names = (self.model_fields_set & ClientSettings.model_fields.keys()) - _PRICES
        values = {name: getattr(self, name) for name in names}
        if "price_input" in self.model_fields_set:
            values["price"] = Price(self.price_input, self.price_output, self.price_cached)
        return values


_PRICES = {"price_input", "price_output", "price_cached"}
Settings = TypeVar("Settings", bound=ClientSettings)
Model = TypeVar("Model", bound=BaseModel)


def read_settings(who: str, settings: Mapping[str, str], kind: type[Settings]) -> Settings:
    """Read a run's settings, which are all text, as values.

    Raises:
        UsageError: names the setting, its bad value and what would be right, or the nearest known name.
    """
    return read_values(who, settings, kind)


def read_values(who: str, settings: Mapping[str, str], kind: type[Model]) -> Model:
    """The same for settings of any kind."""
    try:
        return kind.model_validate(dict(settings))
    except ValidationError as error:
        raise UsageError(f"{who}: {first_fault(error, kind.model_fields)}") from None


def client_config(who: str, settings: Mapping[str, str]) -> ClientConfig:
    """An endpoint from a run's settings, which must have `base_url` and `model`. Raises as `read_settings` does."""
    return ClientConfig(**read_settings(who, settings, ClientSettings).given())
