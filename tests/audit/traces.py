"""Transcripts with an exact record: hand-written blocks, and the scripted expert's episodes."""

from knapsack_lib.agent import act
from knapsack_lib.audit.formats.episodes import transcript_of
from knapsack_lib.audit.transcripts import Step, Transcript
from knapsack_lib.families import family_named
from knapsack_lib.interpreter import Interpreter, persistence_named
from knapsack_lib.profiles import Cell

STYLES = ("persistent", "reset")


def answers(value=None):
    """Tools of a small world: what there is, and one thing looked at."""
    left = ["a", "b", "c"]
    return {"list_items": lambda: list(left), "inspect": lambda name: [name, left.index(name)]}


def recorded(pool, *blocks, runtime="persistent", tools=None, labels=None):
    """What those blocks do in a runtime, as a transcript that says so exactly."""
    tools = answers() if tools is None else tools
    with Interpreter(pool, persistence_named(runtime), tools, 1) as interpreter:
        seen = [interpreter.run(block) for block in blocks]
    steps = tuple(
        Step(
            block,
            f"I go on.\n```python\n{block}\n```\nSo it is.",
            one.stdout or "(no output)",
            one.error_type,
            one.error,
            one.line,
            stdout=one.stdout,
            calls=tuple(vars(call) for call in one.tool_calls),
        )
        for block, one in zip(blocks, seen, strict=True)
    )
    return Transcript("here", steps, labels or {}, frozenset(tools))


def episode(pool, profile, task, style, seed=3, **setting):
    """The scripted expert's episode of a task."""
    family = family_named(task.family)
    world, teacher = family.world(task), profile.teacher.model_copy(update=setting)
    expert = family.expert(style, teacher, seed)
    with Interpreter(pool, persistence_named(style), world.tools, 1) as interpreter:
        cell = Cell(task.family, "teacher", style, "easy")
        steps = act(task, world, interpreter, cell, profile.limits, profile.prompt, seed)
        messages = next(steps)
        try:
            while True:
                messages = steps.send(expert.reply(messages))
        except StopIteration as end:
            return end.value


def pair(pool, profile, task, seed=3, **setting):
    """Both styles of one task, the second the other's answer key: {style: (episode, transcript)}."""
    found = {style: episode(pool, profile, task, style, seed, **setting) for style in STYLES}
    return {style: (one, transcript_of(one, "here")) for style, one in found.items()}
