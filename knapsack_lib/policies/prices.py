"""What a paid teacher costs: the price table in params/prices/, an estimate before the first
request, and what was used in the end.

prices = load_prices()                          # params/prices/gemini.yaml
print(estimate(1000, setting, prices, "reset"))
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from knapsack_lib.errors import UserError, check_choice, first_problem
from knapsack_lib.files import project_root
from knapsack_lib.profiles import REACT, Gemini
from knapsack_lib.profiles.settings import Strict

__all__ = ["Estimate", "Price", "Prices", "Usage", "estimate", "load_prices"]

# Tokens per episode, prompt and completion summed over its turns, as the paper reports them of its
# teacher's traces.
PAPER = {"persistent": 18_337, "reset": 55_516}
# The paper does not say how these split. Our scripted expert writes 10% of its tokens (persistent)
# and 17% (reset) in 6.7 turns; a model that thinks writes more, and output is what costs, hence the
# larger share.
OUTPUT_SHARE = 0.25
TURNS = 7


class Price(Strict):
    """USD per million tokens of one model. Thinking counts as output."""

    input_usd: float = Field(ge=0)
    output_usd: float = Field(ge=0)

    def usd(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What one reply costs, in USD, without any discount for cached input."""
        return (prompt_tokens * self.input_usd + completion_tokens * self.output_usd) / 1e6


class Prices(Strict):
    """Prices by the model's name, as they stood on the day `checked` at `source`."""

    checked: datetime.date
    source: str
    models: dict[str, Price] = Field(min_length=1)

    def of(self, model: str) -> Price:
        """Raises UserError for a model without a price: a budget cannot be kept for it."""
        if model not in self.models:
            known = ", ".join(sorted(self.models))
            raise UserError(
                f"model {model!r} has no price in params/prices/; add it, or choose one of: {known}"
            )
        return self.models[model]


def load_prices(path: Path | None = None) -> Prices:
    """Read a price table, params/prices/gemini.yaml by default. Raises UserError when it is missing
    or not valid."""
    path = path or project_root() / "params" / "prices" / "gemini.yaml"
    try:
        return Prices.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError(
            f"there is no price table {path.parent.name}/{path.name}; without it no budget is kept"
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise UserError(
            f"{path.name}: {first_problem(error)}; fix that line and run again"
        ) from None


@dataclass(frozen=True)
class Estimate:
    """What a run may cost, before the first request. Tokens and USD of all tasks; `source` says what
    the estimate rests on."""

    model: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    usd: float
    budget_usd: float
    source: str

    def __str__(self) -> str:
        return (
            f"{self.model}: about {self.requests:,} requests, {self.prompt_tokens:,} tokens in and "
            f"{self.completion_tokens:,} out, ${self.usd:.2f} of this regime's budget of ${self.budget_usd:.2f} ({self.source})"
        )


@dataclass(frozen=True)
class Usage:
    """Requests of one policy object: `paid` were answered, `failed` were not, for whatever reason,
    and `from_store` needed no request. `unanswered` ended in a time-out, a broken connection or half
    a reply: Google may have charged for them, which nothing here can know. `broken` (of the failed)
    were answered, and charged for, with something that no model wrote. `blocked` replies, paid for
    or from the store, were the model's, and kept back by a filter: turns without a text.

    `spent_usd` counts all answers of the folder, of earlier runs too, as the budget does.
    """

    requests: int = 0
    paid: int = 0
    from_store: int = 0
    failed: int = 0
    unanswered: int = 0
    broken: int = 0
    blocked: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    spent_usd: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.requests:,} requests, {self.paid:,} paid replies ({self.prompt_tokens:,} tokens in, "
            f"{self.completion_tokens:,} out), {self.from_store:,} replies from the store, {self.unanswered:,} requests "
            f"without an answer, {self.broken:,} broken answers asked for again, {self.blocked:,} blocked replies, "
            f"${self.spent_usd:.4f} spent in all"
        )


def estimate(
    tasks_count: int, setting: Gemini, prices: Prices, runtime: str = "persistent"
) -> Estimate:
    """Requests, tokens and USD of `tasks_count` episodes as long as the paper's (of ReAct it tells none: as long as
    reset ones). Raises UserError for an unknown runtime or model."""
    runtime = "reset" if runtime == REACT else check_choice("runtime", runtime, tuple(PAPER))
    total = tasks_count * PAPER[runtime]
    completion = round(total * OUTPUT_SHARE)
    return Estimate(
        setting.model,
        tasks_count * TURNS,
        total - completion,
        completion,
        prices.of(setting.model).usd(total - completion, completion),
        setting.budget_usd,
        f"assumed: the paper's {PAPER[runtime]:,} ({runtime}) tokens an episode, "
        f"{OUTPUT_SHARE:.0%} of them output, {TURNS} turns",
    )
