"""Files of prices: what comes with the service can be read, and an operator's mistakes are told."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from workbench.adapters.prices.files import MAX_FILE_BYTES, packaged_prices, read_prices
from workbench.domain.usage.prices import PriceTable
from workbench.wiring.setting_names import SettingsError
from workbench.wiring.settings import Settings

GOOD = """
[[models]]
names = ["azure/ours", "ours"]
provider = "azure"
max_output_tokens = 100
prices = [
    { from = 2026-01-01, prompt = 0.1, completion = 3 },
    { from = 2026-06-01, prompt = 0.05, completion = 3, cached = 0.01, cache_write = 0.2 },
]
"""
PRICE = "{ from = 2026-01-01, prompt = 1, completion = 2 }"


def model(name: str = "m", prices: str = PRICE, more: str = "") -> str:
    return f'[[models]]\nnames = ["{name}"]\nprices = [{prices}]\n{more}\n'


def test_the_packaged_prices_are_whole_and_exact() -> None:
    models = packaged_prices()
    table = PriceTable(models)
    mini = table.find("gpt-4o-mini")
    assert mini is not None
    price = mini.price_on(date(2026, 11, 1))
    assert price is not None
    assert (price.prompt, price.completion, price.cached) == (Decimal("0.15"), Decimal("0.60"), Decimal("0.075"))
    for entry in models:
        assert entry.prices, entry.names
        for each in entry.prices:
            assert each.completion >= each.prompt > (each.cached or 0) > 0, entry.names


def test_a_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(GOOD)
    (ours,) = read_prices(path)
    assert (ours.names, ours.provider, ours.max_output_tokens) == (["azure/ours", "ours"], "azure", 100)
    first, second = ours.price_on(date(2026, 5, 31)), ours.price_on(date(2026, 6, 1))
    assert first is not None
    assert second is not None
    assert (first.prompt, second.prompt, second.cached) == (Decimal("0.1"), Decimal("0.05"), Decimal("0.01"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("models = 1", "models"),
        ("[[models", "Expected"),
        (model(prices="{ from = 2026-01-01, prompt = -1, completion = 2 }"), "prompt must be"),
        (model(prices="{ from = 2026-01-01, prompt = inf, completion = 2 }"), "prompt must be"),
        (model(prices="{ from = 2026-01-01, prompt = 1, completion = 0.0000000000001 }"), "completion must be"),
        (model(prices="{ from = 2026-01-01, prompt = 1 }"), "completion"),
        (model(prices='{ from = "soon", prompt = 1, completion = 2 }'), "from"),
        (model(prices=f"{PRICE}, {PRICE}"), "two prices from the same day"),
        (model(more="colour = 1"), "colour"),
        (model(more="max_output_tokens = 0"), "max_output_tokens"),
        (model(name=""), "names"),
        (model() + model(), "m is named twice"),
        ("#" * (MAX_FILE_BYTES + 1), "larger than"),
    ],
)
def test_a_mistake_stops_the_start_with_the_name_of_the_setting(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(content)
    with pytest.raises(SettingsError) as caught:
        Settings.of(data_root=tmp_path, usage={"prices_file": path})
    assert "WORKBENCH__USAGE__PRICES_FILE" in str(caught.value)
    assert words in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        Settings.of(data_root=tmp_path, usage={"prices_file": tmp_path / "none.toml"})
