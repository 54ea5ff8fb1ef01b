"""Prices and estimates of a paid teacher."""

from pathlib import Path

import pytest
import yaml

from knapsack_lib.errors import UserError
from knapsack_lib.policies.prices import estimate, load_prices

PRICES = load_prices(Path(__file__).parents[2] / "params" / "prices" / "gemini.yaml")


def test_an_estimate_names_its_assumptions(setting):
    there = estimate(1000, setting(), PRICES, "stateless")
    assert (
        there.prompt_tokens + there.completion_tokens == 55_516_000
        and there.usd == pytest.approx(62.4555)
    )
    assert "55,516 (reset)" in str(there) and "$50.00" in str(there)
    assert there.requests == 7000 and "25% of them output, 7 turns" in str(there)


def test_a_price_that_is_missing_or_misspelt_is_one_line(tmp_path, setting):
    with pytest.raises(UserError, match=r"'nonesuch' has no price.*gemini-2.5-flash, "):
        estimate(1, setting(model="nonesuch"), PRICES)
    path = tmp_path / "prices.yaml"
    with pytest.raises(UserError, match=r"no price table"):
        load_prices(path)
    good = PRICES.model_dump()
    for bad in (
        "a: [",
        "",
        yaml.safe_dump({**good, "models": {"m": {"input_usd": -1, "output_usd": 1}}}),
    ):
        path.write_text(bad, encoding="utf-8")
        with pytest.raises(UserError, match=r"^prices.yaml") as caught:
            load_prices(path)
        assert "\n" not in str(caught.value)
