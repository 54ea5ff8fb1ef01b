"""Navigation's tasks as its tests play them, and what is compared of an episode."""

from pathlib import Path

from knapsack_lib.agent import act
from knapsack_lib.families import family_named
from knapsack_lib.profiles import REACT, Cell, Teacher, load_profile
from knapsack_lib.react import ToolCaller

STYLES = ("persistent", "reset")
FAMILY = family_named("navigation")
PROFILE = load_profile(str(Path(__file__).parents[3] / "params" / "pocket-navigation.yaml"))
# Walks to a new node a turn
BATCHES = {"easy": (2, 3), "medium": (4, 5), "pocket-easy": (1,), "pocket-medium": (1, 2)}


def tasks(count, size="pocket-easy", *, seed=2):
    return [FAMILY.make_task(size, seed=seed, split="test", index=i) for i in range(count)]


def teacher(size="pocket-easy", slips=0.0, variants=2):
    return Teacher(
        policy="scripted", slip_share=slips, batch_sizes=BATCHES[size], style_variants=variants
    )


def play_calls(task, limits, options, setting, seed):
    """An episode of one tool call a turn."""
    world, expert = FAMILY.world(task), FAMILY.expert(REACT, setting, seed)
    cell = Cell("navigation", "teacher", REACT, "easy")
    steps = act(task, world, ToolCaller(world.tools, limits), cell, limits, options, seed)
    messages = next(steps)
    try:
        while True:
            messages = steps.send(expert.reply(messages))
    except StopIteration as end:
        return end.value


def calls(episode):
    return [
        [(c["name"], c["args"], c["result"], c["error"]) for c in t.tool_calls]
        for t in episode.turns
        if not t.slip
    ]


def seen(episode):
    return [t.observation for t in episode.turns if not t.slip]


def saying(turn):
    return turn.reply.split("\n", 1)[0]
