"""Tasks of navigation: walk from a start to a goal through a directed graph of which only the neighbours of the node one is
at can be seen.

    task = make_task(SIZES["easy"], index=0, seed=7, split="train")

A path of one node a layer leads from start to goal. Extra nodes are hung on it one by one: each is entered from a node that
is there already and left towards one that is there already, so that from every node the goal can be reached, and many a
node leads only back. No edge spans more than one layer. `easy`, `medium` and `hard` have the horizons of the study's
authors; at `pocket-easy` and `pocket-medium` a 0.6 M-parameter model can act.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from knapsack_lib.errors import UserError
from knapsack_lib.families.base import Task
from knapsack_lib.families.ids import SYLLABLES, draw_ids, id_names
from knapsack_lib.families.navigation.world import TOOLS
from knapsack_lib.seeds import named_seed

__all__ = ["SIZES", "Size", "fewest_steps", "make_task"]

# So that a task is drawn within a second
HIGHEST = {"horizon": 500, "extra_nodes": 500}


@dataclass(frozen=True)
class Size:
    """Ranges of one difficulty; both ends of a pair are included. Raises UserError where no graph can
    exist."""

    name: str
    horizon: tuple[int, int]  # layers between start and goal: the fewest steps
    extra_nodes: tuple[int, int]  # beside the path
    extra_edge_factor: float  # edges drawn at the end, for each node
    max_steps_multiplier: float  # steps that may be taken / the fewest
    second_edge: float = 0.35  # chance that an extra node is left by two edges
    # "hex": node_ + 12 hex digits; "syllables": two of fifty syllables
    ids: str = "hex"
    redraws: int = 200

    def __post_init__(self) -> None:
        def fail(what: str) -> None:
            raise UserError(f"size {self.name!r}: {what}")

        for name, lowest in (("horizon", 1), ("extra_nodes", 0)):
            low, high = getattr(self, name)
            if not lowest <= low <= high <= HIGHEST[name]:
                fail(
                    f"{name} = [{low}, {high}] is no range; give {lowest} <= low <= high <= {HIGHEST[name]}"
                )
        if not 0 <= self.extra_edge_factor <= 10:  # nor is NaN
            fail(f"extra_edge_factor = {self.extra_edge_factor}; give 0 to 10")
        if not 1 <= self.max_steps_multiplier <= 1000:
            fail(f"max_steps_multiplier = {self.max_steps_multiplier}; give 1 to 1000")
        if not 0 <= self.second_edge <= 1:
            fail(f"second_edge = {self.second_edge}; give 0 to 1")
        if self.ids not in ("hex", "syllables"):
            fail(f"ids = {self.ids!r}; choose hex or syllables")
        most = self.horizon[1] + 1 + self.extra_nodes[1]
        if self.ids == "syllables" and most > len(SYLLABLES) // 2:
            fail(f"{most} nodes need more than {len(SYLLABLES)} distinct syllables; use ids: hex")


SIZES = {
    size.name: size
    for size in (
        Size("easy", (5, 10), (3, 6), 0.3, 4),
        Size("medium", (15, 25), (8, 13), 0.3, 4),
        Size("hard", (30, 50), (15, 25), 0.3, 4),
        Size("pocket-easy", (4, 6), (2, 2), 0.3, 3, ids="syllables"),
        Size("pocket-medium", (7, 7), (2, 3), 0.3, 3, ids="syllables"),
    )
}


def fewest_steps(neighbours: list[list[int]], start: int, goal: int) -> int | None:
    """The length of a shortest walk by breadth-first search (Moore 1959); None where there is none."""
    steps, queue = {start: 0}, [start]
    for node in queue:
        for other in neighbours[node]:
            if other not in steps:
                steps[other] = steps[node] + 1
                queue.append(other)
    return steps.get(goal)


def _draw(size: Size, rng: np.random.Generator) -> tuple[list[int], list[list[int]]] | None:
    """The layer of each node and the neighbours of each, or None where there are too few pairs of nodes for the extra
    edges. Node 0 is the start, node `horizon` the goal."""

    def one_of(nodes: list[int]) -> int:
        return nodes[int(rng.integers(len(nodes)))]

    horizon = int(rng.integers(size.horizon[0], size.horizon[1] + 1))
    extra = int(rng.integers(size.extra_nodes[0], size.extra_nodes[1] + 1))
    layers = list(range(horizon + 1))
    edges = [(node, node + 1) for node in range(horizon)]
    for node in range(horizon + 1, horizon + 1 + extra):
        layer = int(rng.integers(horizon))
        near = [other for other in range(node) if abs(layers[other] - layer) <= 1]
        layers.append(layer)
        edges.append((one_of([other for other in near if other != horizon]), node))
        left = one_of(near)
        edges.append((node, left))
        others = [other for other in near if other != left]
        if others and rng.random() < size.second_edge:
            edges.append((node, one_of(others)))
    drawn = set(edges)
    free = [
        (node, other)
        for node in range(len(layers))
        for other in range(len(layers))
        if abs(layers[node] - layers[other]) <= 1
        and node not in (other, horizon)
        and (node, other) not in drawn
    ]
    wanted = round(size.extra_edge_factor * len(layers))
    if wanted > len(free):
        return None
    edges += [free[int(place)] for place in rng.permutation(len(free))[:wanted]]
    neighbours: list[list[int]] = [[] for _ in layers]
    for place in rng.permutation(len(edges)):
        node, other = edges[int(place)]
        neighbours[node].append(other)
    return layers, neighbours


def make_task(size: Size, *, seed: int, split: str, index: int) -> Task:
    """The task of one (seed, size, split, index): the same bytes in every process.

    Raises UserError when `size.redraws` graphs in a row have no room for their extra edges.
    """
    task_seed = named_seed(seed, "task", "navigation", size.name, split, index)
    rng = np.random.Generator(np.random.PCG64(task_seed))
    for _ in range(size.redraws):
        drawn = _draw(size, rng)
        if drawn is not None:
            break
    else:
        raise UserError(
            f"size {size.name!r}: {size.redraws} draws in a row had no room for their extra edges; "
            "lower extra_edge_factor"
        )
    layers, neighbours = drawn
    goal = max(layers)
    ids = id_names(size.ids, draw_ids(rng, size.ids, len(layers)), "node")
    fewest = fewest_steps(neighbours, 0, goal)
    assert fewest is not None  # the path is there
    return Task(
        task_id=f"navigation-{split}-{index:05d}",
        family="navigation",
        seed=task_seed,
        difficulty={
            "extra_edge_factor": size.extra_edge_factor,
            "extra_nodes": len(layers) - goal - 1,
            "horizon": goal,
            "max_steps_multiplier": size.max_steps_multiplier,
        },
        tools=list(TOOLS),
        public={
            "start": ids[0],
            "goal": ids[goal],
            "max_steps": round(size.max_steps_multiplier * fewest),
        },
        private={
            "adjacency": {
                ids[node]: [ids[other] for other in others]
                for node, others in enumerate(neighbours)
            },
            "layers": dict(zip(ids, layers, strict=True)),
            "path": ids[: goal + 1],
        },
        reference={"optimal_steps": fewest},
        nl=f"A walk through {len(layers)} nodes in {goal + 1} layers.",
        run_name=f"{size.name}-{split}",
    )
