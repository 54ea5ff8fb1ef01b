"""How varied the blocks of a source are, and how often they fail and are mended: what tells a script from a language model.

    variety_of(transcripts)                        # Variety(shapes_100=87, compression=0.25, ...)
    variety_table({"persistent": transcripts})     # the same as a row for each source

A block's shape is its syntax tree without names and literals. All samples are drawn from one named seed.
"""

from __future__ import annotations

import ast
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from knapsack_lib.audit.outcomes import missing_name
from knapsack_lib.audit.transcripts import Transcript
from knapsack_lib.seeds import named_seed

__all__ = ["Variety", "compression", "shape_of", "shapes", "variety_of", "variety_table"]

SAMPLES = 20  # over which shapes and compression are averaged


@dataclass(frozen=True)
class Variety:
    """`shapes_100`, `shapes_1000`: different shapes in so many blocks, on average (NaN where there are fewer). `compression`:
    size of 300 blocks, packed by zlib, over their own. `lines`, `turns`: quartiles of lines in a block, of blocks in an
    episode. `failing`: share of blocks that end in an error; `missing`: of those whose error is a missing name.
    `mended`: share of failing blocks, with a block after them, after which one runs."""

    episodes: int
    blocks: int
    shapes_100: float
    shapes_1000: float
    compression: float
    lines: tuple[float, float, float]
    turns: tuple[float, float, float]
    failing: float
    missing: float
    mended: float


def shape_of(code: str) -> str | None:
    """The syntax tree without names, and with every literal, however long, as the same; None for what is no Python."""
    try:
        return ast.dump(_Shape().visit(ast.parse(code)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class _Shape(ast.NodeTransformer):
    NAMES = ("id", "attr", "arg", "name", "asname", "module", "rest", "kind")

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.expr) and _is_literal(node):
            return ast.Constant(0)
        for field in self.NAMES:
            if isinstance(getattr(node, field, None), str):
                setattr(node, field, "_")
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            node.names = ["_"] * len(node.names)
        return super().generic_visit(node)

    visit_Constant = generic_visit


def _is_literal(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return isinstance(getattr(node, "ctx", None), (ast.Load, type(None))) and all(
            map(_is_literal, node.elts)
        )
    if isinstance(node, ast.Dict):
        return all(key is not None and _is_literal(key) for key in node.keys) and all(
            map(_is_literal, node.values)
        )
    return isinstance(node, ast.UnaryOp) and _is_literal(node.operand)


def shapes(blocks: Sequence[str], count: int, seed: int = 0) -> float:
    """Different shapes in `count` blocks, the mean of several samples; NaN where there are fewer blocks."""
    found = [shape for block in blocks if (shape := shape_of(block)) is not None]
    if len(found) < count:
        return float("nan")
    rng = np.random.Generator(np.random.PCG64(named_seed(seed, "shapes", count)))
    drawn = (rng.choice(len(found), count, replace=False) for _ in range(SAMPLES))
    return float(np.mean([len({found[place] for place in places}) for places in drawn]))


def compression(blocks: Sequence[str], count: int = 300, seed: int = 0) -> float:
    """Size of so many blocks, packed by zlib, over their own; the mean of several samples. NaN where there are fewer."""
    if len(blocks) < count:
        return float("nan")
    rng = np.random.Generator(np.random.PCG64(named_seed(seed, "compression", count)))
    ratios = []
    for _ in range(SAMPLES):
        text = "\n".join(
            blocks[place] for place in rng.choice(len(blocks), count, replace=False)
        ).encode()
        ratios.append(len(zlib.compress(text, 9)) / len(text))
    return float(np.mean(ratios))


def variety_of(transcripts: Iterable[Transcript], seed: int = 0) -> Variety:
    """All measures of a source."""
    blocks: list[str] = []
    turns: list[int] = []
    failed = missing = followed = mended = 0
    for transcript in transcripts:
        steps = [step for step in transcript.steps if step.code.strip()]
        turns.append(len(steps))
        blocks += [step.code for step in steps]
        for place, step in enumerate(steps):
            if step.error_type is None:
                continue
            failed += 1
            missing += missing_name(step.error_type, step.error) is not None
            if place + 1 < len(steps):
                followed += 1
                mended += steps[place + 1].error_type is None
    lines = [len(block.strip().splitlines()) for block in blocks]
    return Variety(
        episodes=len(turns),
        blocks=len(blocks),
        shapes_100=shapes(blocks, 100, seed),
        shapes_1000=shapes(blocks, 1000, seed),
        compression=compression(blocks, 300, seed),
        lines=_quartiles(lines),
        turns=_quartiles(turns),
        failing=_share(failed, len(blocks)),
        missing=_share(missing, len(blocks)),
        mended=_share(mended, followed),
    )


def variety_table(sources: Mapping[str, Iterable[Transcript]], seed: int = 0) -> pd.DataFrame:
    """A row for each source, by its name; quartiles as texts."""
    rows = {name: asdict(variety_of(found, seed)) for name, found in sources.items()}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("blocks of").reset_index()
    for column in ("lines", "turns"):
        table[column] = ["/".join(f"{value:g}" for value in values) for values in table[column]]
    return table


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _quartiles(counts: Sequence[int]) -> tuple[float, float, float]:
    low, middle, high = np.percentile(counts, (25, 50, 75)) if counts else (np.nan,) * 3
    return float(low), float(middle), float(high)
