"""Files of prices: the one that comes with the service, and an operator's own."""

import tomllib
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from workbench.adapters import prices
from workbench.domain.usage.model import MAX_TOKENS
from workbench.domain.usage.prices import Price, PricedModel

PACKAGED = "prices.toml"
MAX_FILE_BYTES = 1 << 20
MAX_PRICE_USD = 10**6
MAX_DECIMALS = 12


class PriceEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price as the file has it; numbers are read as they are written, not as floats."""

    since: date = msgspec.field(name="from")
    prompt: Decimal
    completion: Decimal
    cached: Decimal | None = None
    cache_write: Decimal | None = None

    def __post_init__(self) -> None:
        """Refuse what is no price."""
        for name in ("prompt", "completion", "cached", "cache_write"):
            price = getattr(self, name)
            if price is not None and not _is_price(price):
                raise ValueError(
                    f"{name} must be from 0 to {MAX_PRICE_USD}, with at most {MAX_DECIMALS} decimal places"
                )


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model as the file has it."""

    names: list[str]
    prices: list[PriceEntry]
    provider: str | None = None
    display_name: str | None = None
    model_ref: str | None = None
    model_id: str | None = None
    max_output_tokens: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot mean anything."""
        if not all(self.names) or not self.names:
            raise ValueError("names must name the model")
        if len({price.since for price in self.prices}) < len(self.prices):
            raise ValueError(f"{self.names[0]} has two prices from the same day")
        if self.max_output_tokens is not None and not 0 < self.max_output_tokens <= MAX_TOKENS:
            raise ValueError("max_output_tokens must be a number of tokens")


class PriceFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    models: list[ModelEntry]

    def __post_init__(self) -> None:
        """Refuse a name that means two models."""
        names = [name for model in self.models for name in model.names]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]} is named twice")


def packaged_prices() -> list[PricedModel]:
    """The prices that come with the service."""
    return _models((resources.files(prices) / PACKAGED).read_bytes())


def read_prices(path: Path) -> list[PricedModel]:
    """Read an operator's file. Raises ValueError that says what is wrong with it."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"is larger than {MAX_FILE_BYTES} bytes")
    return _models(content)


def _models(content: bytes) -> list[PricedModel]:
    read: Any = tomllib.loads(content.decode(), parse_float=Decimal)
    return [_model(entry) for entry in msgspec.convert(read, PriceFile).models]


def _model(entry: ModelEntry) -> PricedModel:
    fields = {name: getattr(entry, name) for name in entry.__struct_fields__ if name != "prices"}
    return PricedModel(**fields, prices=_prices(entry.prices))


def _prices(entries: Sequence[PriceEntry]) -> list[Price]:
    return [Price(**msgspec.structs.asdict(entry)) for entry in entries]


def _is_price(price: Decimal) -> bool:
    exponent = price.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -MAX_DECIMALS and 0 <= price <= MAX_PRICE_USD
