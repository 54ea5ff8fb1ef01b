"""Tasks, episodes made by hand, and what the steps of a study leave."""

from dataclasses import replace

from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.families import family_named
from knapsack_lib.store import EpisodeStore
from knapsack_lib.study import record_key

TURN = Turn(
    reply="I look.\n```python\nprint(1)\n```",
    reply_ids=[1, 2],
    parse_status="code",
    code="print(1)",
    observation="1",
    stdout="1\n",
    error_type=None,
    error=None,
    killed_by=None,
    state_lost=False,
    bindings=["x"],
    tool_calls=[{"name": "inspect", "args": ["a"], "result": "{}", "error": None}],
    prompt_tokens=10,
    completion_tokens=4,
    slip=False,
)


def tasks(count, size="pocket-easy", *, seed=1, split="test"):
    family = family_named("knapsack")
    return [family.make_task(size, seed=seed, split=split, index=i) for i in range(count)]


def episode(number, **changed):
    usual = Episode(
        episode_id=f"e-{number:03d}",
        task_id=f"e-{number:03d}",
        family="knapsack",
        difficulty="easy",
        train="teacher",
        runtime="reset",
        seed=number,
        opening=[{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
        turns=[TURN, replace(TURN, observation=None, reply_ids=None)],
        finish_reason="finish",
        result={"value": 3, "score": 1 / 3},
    )
    return replace(usual, **changed)


def filled(folder, count, key="k1"):
    with EpisodeStore(folder, key) as store:
        for number in range(count):
            store.write(episode(number), 0.5)


def leave_tasks(run):
    for split, count in run.profile.splits().items():
        run.tasks(split).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (run.tasks(split) / f"{number}.json").write_text("{}", encoding="utf-8")


def leave_store(run, cell):
    with EpisodeStore(run.store(cell), "key") as store:
        store.close_sorted()


def leave_first_stage(run):
    leave_tasks(run)
    for cell in run.profile.experts():
        leave_store(run, cell)


def leave_adapter(run, cell):
    run.adapter(cell).mkdir(parents=True)
    (run.adapter(cell) / "model.safetensors").write_bytes(b"")


def finish(step):
    """What a run of the step leaves, in no time."""
    if step.stage.name == "01_generate":
        leave_first_stage(step.run)
    if step.stage.name in ("02_teacher", "04_cross_eval"):
        leave_store(step.run, step.cell)
    if step.stage.name == "03_finetune" and not step.run.adapter(step.cell).exists():
        leave_adapter(step.run, step.cell)
    step.output.parent.mkdir(parents=True, exist_ok=True)
    step.output.write_text("{}", encoding="utf-8")
    record_key(step.output, step.key)
