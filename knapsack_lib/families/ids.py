"""Opaque ids: names that say nothing about what they stand for.

`hex` ids are the paper's: item_ and 12 hexadecimal digits. `syllables` are two of fifty syllables,
all of a task's different, which a model trained from scratch can learn to copy (docs/log.md).
"""

from __future__ import annotations

import numpy as np

__all__ = ["SYLLABLES", "draw_ids", "id_names"]

SYLLABLES = tuple(c + v for c in "BDFGKLMNRT" for v in "aeiou")


def draw_ids(rng: np.random.Generator, kind: str, count: int) -> list[int]:
    """The numbers behind `count` different ids, for `id_names`; drawn in one call, since most
    candidates of a task are refused before they need names."""
    if kind == "syllables":
        return rng.permutation(len(SYLLABLES))[: 2 * count].tolist()
    drawn = dict.fromkeys(rng.integers(1 << 48, size=count).tolist())  # a dict keeps their order
    while len(drawn) < count:
        drawn[int(rng.integers(1 << 48))] = None
    return list(drawn)


def id_names(kind: str, drawn: list[int], what: str = "item") -> list[str]:
    """The ids that those numbers stand for; a hex id begins with what it is the id of."""
    if kind == "syllables":
        return [SYLLABLES[a] + SYLLABLES[b] for a, b in zip(drawn[::2], drawn[1::2], strict=True)]
    return [f"{what}_{number:012x}" for number in drawn]
