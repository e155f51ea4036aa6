"""Which price held when, and which model a name means."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction

import msgspec


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a model costs from a day on, in USD for a million tokens; what is not said costs as much as the prompt."""

    since: date
    prompt: Decimal
    completion: Decimal
    cached: Decimal | None = None
    cache_write: Decimal | None = None

    def micros(self, prompt: int, completion: int, cached: int, cache_write: int) -> Fraction:
        """The exact cost in micro-USD. `prompt` counts tokens of either cache, too."""
        plain = max(prompt - cached - cache_write, 0)
        parts = (
            (plain, self.prompt),
            (cached, self.prompt if self.cached is None else self.cached),
            (cache_write, self.prompt if self.cache_write is None else self.cache_write),
            (completion, self.completion),
        )
        return sum((count * Fraction(price) for count, price in parts), Fraction(0))


class PricedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model under the names that it is reported by, and its prices."""

    names: Sequence[str]
    prices: Sequence[Price] = ()
    provider: str | None = None
    display_name: str | None = None
    model_ref: str | None = None
    model_id: str | None = None
    max_output_tokens: int | None = None

    def price_on(self, day: date) -> Price | None:
        """The price that held on the day; None before the first."""
        held = [price for price in self.prices if price.since <= day]
        return max(held, key=lambda price: price.since, default=None)


class PriceTable:
    """Models by name. A name is looked for as it is, then by what stands behind its last slash.

    Providers strip prefixes: `azure/gpt-4o` is reported as `gpt-4o`. Where an end could mean two models, it means none:
    no cost is better than a wrong one.
    """

    def __init__(self, packaged: Iterable[PricedModel], own: Iterable[PricedModel] = ()) -> None:
        """`own` models win over packaged ones of the same name."""
        theirs, ours = _by_name(packaged), _by_name(own)
        self._named = {**theirs, **ours}
        self._ends = {**_by_end(theirs), **_by_end(ours)}

    def find(self, name: str) -> PricedModel | None:
        """The model that the name means."""
        return self._named.get(name) or self._ends.get(_end(name))


def _by_name(models: Iterable[PricedModel]) -> dict[str, PricedModel]:
    return {name: model for model in models for name in model.names}


def _by_end(named: Mapping[str, PricedModel]) -> dict[str, PricedModel | None]:
    found: dict[str, PricedModel | None] = {}
    for name, model in named.items():
        end = _end(name)
        found[end] = model if found.get(end, model) is model else None
    return found


def _end(name: str) -> str:
    return name.rpartition("/")[2]
