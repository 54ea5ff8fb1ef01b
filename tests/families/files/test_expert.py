"""The scripted expert: one plan in three styles, from shown information only, with refusals met and slips mended; what it
keeps in memory and what it keeps on disk are two things."""

import json
import re
import statistics

import pytest
from common import one_line

from knapsack_lib.agent import act
from knapsack_lib.errors import UserError
from knapsack_lib.families.files import FAMILY
from knapsack_lib.families.files.expert import CLEAN_FILE, ScriptedExpert
from knapsack_lib.families.files.words import NAMES, SAYINGS
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.profiles import REACT, Cell, PromptOptions, Teacher, load_profile
from knapsack_lib.react import ToolCaller

STYLES = ("persistent", "reset")
ROOMY = {"easy": (8,), "medium": (8, 9), "pocket-easy": (2, 3), "pocket-medium": (3,)}


def teacher(size="pocket-easy", slips=0.0, variants=2):
    return Teacher(
        policy="scripted", slip_share=slips, batch_sizes=ROOMY[size], style_variants=variants
    )


def tasks(count, size="pocket-easy", seed=2):
    return [FAMILY.make_task(size, seed=seed, split="test", index=i) for i in range(count)]


@pytest.fixture(scope="module")
def pools(make_limits):
    paper = make_limits(turns=40, tool_calls=25, output_chars=30_000)
    with Pool(make_limits(turns=28)) as small, Pool(paper) as large:
        yield {size: small if size.startswith("pocket") else large for size in ROOMY}


@pytest.fixture(scope="module")
def play(pools, plain_options):
    """One episode; `runtime` is the style's own, and the expert as it comes, if not named."""

    def one(task, style, *, size="pocket-easy", seed=3, setting=None, runtime=None, **more):
        pool, world = pools[size], FAMILY.world(task)
        expert = FAMILY.expert(style, setting or teacher(size), seed)
        runtime = runtime or style
        caller = ToolCaller(world.tools, pool.limits)
        with (
            Interpreter(pool, persistence_named("reset"), {}, 1)
            if runtime == REACT
            else Interpreter(pool, persistence_named(runtime), world.tools, 1)
        ) as interpreter:
            steps = act(
                task,
                world,
                caller if runtime == REACT else interpreter,
                Cell("files", "teacher", runtime, "easy"),
                pool.limits,
                more.pop("options", plain_options),
                seed,
                **more,
            )
            messages = next(steps)
            try:
                while True:
                    messages = steps.send(expert.reply(messages))
            except StopIteration as end:
                return end.value

    return one


@pytest.fixture(scope="module")
def pairs(play):
    """Both styles' episodes of the same tasks with the same seed."""
    kept = {}

    def both(size, count, slips=0.0, **more):
        key = (size, count, slips, str(more))
        if key not in kept:
            setting = teacher(size, slips)
            kept[key] = [
                tuple(play(t, s, size=size, setting=setting, seed=100 + i, **more) for s in STYLES)
                for i, t in enumerate(tasks(count, size))
            ]
        return kept[key]

    return both


def calls(episode, slips=False):
    return [
        [(c["name"], c["args"], c["result"], c["error"]) for c in t.tool_calls]
        for t in episode.turns
        if slips or not t.slip
    ]


def names_of(episode):
    return [c[0] for turn in calls(episode, slips=True) for c in turn]


def seen(episode):
    return [t.observation for t in episode.turns if not t.slip]


def saying(turn):
    return turn.reply.split("\n", 1)[0]


def goes_by_disk(episode):
    return any(c[0] == "write" and c[1][0] == CLEAN_FILE for t in calls(episode) for c in t)


@pytest.mark.parametrize(
    ("size", "prompt", "count"),
    [
        ("pocket-easy", "brief", 36),
        ("pocket-easy", "full", 10),
        ("pocket-medium", "brief", 8),
        ("easy", "brief", 3),
        ("easy", "full", 1),
        ("medium", "brief", 3),
        ("medium", "full", 1),
    ],
)
def test_both_styles_are_the_same_plan_and_solve_the_task(pairs, size, prompt, count):
    full = PromptOptions(style="full", cue="none", list_bindings=False)
    more = {"options": full} if prompt == "full" else {}
    for persistent, reset in pairs(size, count, 0.3, **more):
        assert calls(persistent) == calls(reset)
        assert seen(persistent) == seen(reset)
        assert persistent.result == reset.result and persistent.result["solved"]
        assert [t.slip for t in persistent.turns] == [t.slip for t in reset.turns]
        assert persistent.finish_reason == reset.finish_reason == "finish"
        assert all(len(t.tool_calls) <= 2 for t in persistent.turns)


def test_the_styles_differ_in_how_state_is_carried(pairs):
    """A reset block restates what it needs as it was printed; a persistent one restates nothing."""
    for persistent, reset in pairs("pocket-easy", 36, 0.3):
        shown = "\n".join(t.observation or "" for t in persistent.turns)
        assert not any(re.search(r"^\w+ = [\[{]['(\[]", t.code, re.M) for t in persistent.turns)
        restated = [
            (name, value)
            for t in reset.turns
            for name, value in re.findall(r"^(\w+) = ([\[{].+)$", t.code, re.M)
            if name not in ("text", "i") and " for " not in value and value != "{}"
        ]
        assert restated and all(f"{name} {value}" in shown for name, value in restated)


def test_episodes_are_long_enough_for_state_to_matter(pairs):
    turns = [len(persistent.turns) for persistent, _ in pairs("pocket-easy", 36, 0.3)]
    assert statistics.fmean(turns) >= 8 and max(turns) <= 13


def test_too_long_an_answer_is_met_and_recovered_from(pairs):
    met = 0
    for persistent, _ in pairs("pocket-easy", 36, 0.3):
        refused = [k for k, t in enumerate(calls(persistent, True)) if t and t[-1][3]]
        met += bool(refused)
        for k in refused:
            assert calls(persistent, True)[k][-1][3].startswith("RuntimeError: too long")
            asked, then = (calls(persistent, True)[n][-1][1][2] for n in (k, k + 1))
            assert then == asked - 1 and saying(persistent.turns[k + 1]) in SAYINGS["fewer"]
    assert 4 <= met <= 20


# The other runtime --------------------------------------------------------------------------------


def replayed(pools, task, episode, runtime):
    """The blocks of an episode in another runtime: the errors they meet, and the result."""
    world = FAMILY.world(task)
    with Interpreter(
        pools["pocket-easy"], persistence_named(runtime), world.tools, 1
    ) as interpreter:
        return [interpreter.run(t.code).error_type for t in episode.turns], world.result()


@pytest.mark.parametrize("index", range(4))
def test_a_traces_code_needs_its_own_runtime_only_where_the_style_says(pools, pairs, index):
    task = tasks(4)[index]
    persistent, reset = pairs("pocket-easy", 16)[index]
    errors, _ = replayed(pools, task, persistent, "reset")
    assert errors[0] is None and set(errors[1:-1]) == {"NameError"}
    errors, result = replayed(pools, task, reset, "persistent")
    assert not any(errors) and result == reset.result


def test_played_in_the_other_runtime_only_the_persistent_style_fails(play):
    for index, task in enumerate(tasks(3)):
        lost = play(task, "persistent", seed=100 + index, runtime="reset")
        assert sum(t.error_type == "NameError" for t in lost.turns) > 5
        assert play(task, "reset", seed=100 + index, runtime="persistent").result["solved"]


# Disk ---------------------------------------------------------------------------------------------


def test_by_disk_or_by_memory_is_drawn_alike_for_both_styles(pairs):
    by_disk = [goes_by_disk(p) for p, _ in pairs("pocket-easy", 36, 0.3)]
    assert by_disk == [goes_by_disk(r) for _, r in pairs("pocket-easy", 36, 0.3)]
    assert 3 <= sum(by_disk) <= 20


def test_a_plan_by_memory_needs_no_disk_and_one_by_disk_is_told_apart_by_a_reset(pairs):
    """With the disk reset before every turn the first plays the same episode; the second finds its file gone, says so, and
    continues from memory (persistent) or from what was printed (reset)."""
    kept, gone = pairs("pocket-easy", 16), pairs("pocket-easy", 16, disk="reset")
    for before, after in zip(kept, gone, strict=True):
        for one, other in zip(before, after, strict=True):
            assert other.result["solved"]
            if not goes_by_disk(one):
                assert one == other
                continue
            lost = [k for k, t in enumerate(other.turns) if t.error_type == "FileNotFoundError"]
            assert len(lost) == 1 and len(other.turns) == len(one.turns) + 1
            assert saying(other.turns[lost[0] + 1]) in SAYINGS["lost"]
        assert calls(after[0]) == calls(after[1])
        lines = [[re.sub(r" \(line \d\)", "", text or "") for text in seen(e)] for e in after]
        assert lines[0] == lines[1]
    assert 2 <= sum(goes_by_disk(one) for one, _ in kept) <= 10


def test_what_is_read_back_is_not_restated(pairs):
    for persistent, reset in pairs("pocket-easy", 16):
        joins = [
            next(t.code for t in e.turns if saying(t) in SAYINGS["join"])
            for e in (persistent, reset)
        ]
        by_disk = goes_by_disk(persistent)
        assert [CLEAN_FILE in code for code in joins] == [by_disk, by_disk]
        assert bool(re.search(r"^(rows|known) = \{", joins[1], re.M)) != by_disk


# One call a turn ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "count"), [("pocket-easy", 20), ("pocket-medium", 8), ("medium", 4)]
)
def test_one_call_a_turn_solves_the_task_too(play, size, count):
    for index, task in enumerate(tasks(count, size)):
        for prompt in ("brief", "full")[: 1 + (index < 3)]:
            options = PromptOptions(style=prompt, cue="none", list_bindings=False)
            episode = play(task, REACT, size=size, seed=index, options=options)
            assert episode.result["solved"] and episode.finish_reason == "finish"
            assert all(len(t.tool_calls) == 1 for t in episode.turns)
            assert len(episode.turns) <= (16 if size.startswith("pocket") else 25)


def test_a_file_handed_in_a_turn_later_needs_the_disk(play):
    task = tasks(1)[0]
    episode = play(task, REACT, disk="reset")
    assert episode.finish_reason == "finish" and episode.result["submissions"] == 0
    assert "FileNotFoundError" in names_and_errors(episode)["submit"]


def names_and_errors(episode):
    return {c[0]: c[3] for turn in calls(episode) for c in turn}


# Slips --------------------------------------------------------------------------------------------


def test_every_slip_is_mended_and_costs_no_score(pairs):
    for slipped, clean in zip(pairs("pocket-easy", 8, 1.0), pairs("pocket-easy", 16), strict=False):
        for episode, without in zip(slipped, clean, strict=True):
            slips = [k for k, t in enumerate(episode.turns) if t.slip]
            assert slips == [k for k, t in enumerate(episode.turns) if t.error_type]
            assert len(slips) == 1 and episode.turns[slips[0]].error_type == "NameError"
            assert saying(episode.turns[slips[0] + 1]) in SAYINGS["mend"]
            assert len(episode.turns) == len(without.turns) + 1
            assert (episode.finish_reason, episode.result) == ("finish", without.result)


def test_slips_come_in_the_share_that_was_asked_for():
    def slips(share, seed):
        return ScriptedExpert("reset", teacher(slips=share), seed)._slip is not None

    assert sum(slips(0.25, s) for s in range(2000)) == pytest.approx(500, abs=70)
    assert not any(slips(0.0, s) for s in range(200)) and all(slips(1.0, s) for s in range(200))


# Only what is shown -------------------------------------------------------------------------------


@pytest.mark.parametrize("style", [*STYLES, REACT])
def test_the_expert_reads_nothing_but_the_conversation(play, style):
    """Given the recorded messages alone it says the same again."""
    for number, task in enumerate(tasks(4)):
        setting = teacher(slips=0.5)
        messages = play(task, style, setting=setting, seed=number).messages()
        expert = FAMILY.expert(style, setting, number)
        for place, message in enumerate(messages):
            if message["role"] == "assistant":
                assert expert.reply(messages[:place]).text == message["content"]


# Variety ------------------------------------------------------------------------------------------


def test_variety_is_seeded_and_shared_by_the_pair(pairs):
    played = pairs("pocket-easy", 36, 0.3)
    words = set()
    for persistent, reset in played:
        assert [saying(t) for t in persistent.turns] == [saying(t) for t in reset.turns]
        found = [
            [n["files"] for n in NAMES if f"{n['files']} = json" in e.turns[0].code]
            for e in (persistent, reset)
        ]
        assert found[0] == found[1] and len(found[0]) == 1
        words.add(found[0][0])
    assert words == {names["files"] for names in NAMES}
    assert {saying(p.turns[0]) for p, _ in played} == set(SAYINGS["setup"])
    steps = {c[1][2] for p, _ in played for c in calls(p, True)[1] if c[0] == "read"}
    assert steps == {2, 3}
    assert NAMES[0].keys() == NAMES[1].keys()
    assert not {*NAMES[0].values()} & {*NAMES[1].values(), *FAMILY.tools}
    assert not {*NAMES[1].values()} & {*FAMILY.tools}


def test_the_same_seed_plays_the_same_episode_and_another_seed_another(play):
    task = tasks(1)[0]
    lines = [play(task, "reset", seed=s).to_line() for s in (5, 5, 6, 7, 8)]
    assert lines[0] == lines[1] and len(set(lines)) >= 3


def test_one_vocabulary_can_be_asked_for():
    assert {
        ScriptedExpert("reset", teacher(variants=1), seed).vocabulary["rows"] for seed in range(40)
    } == {NAMES[0]["rows"]}


# Settings -----------------------------------------------------------------------------------------


def test_its_own_profile_has_room_for_every_style(play):
    profile = load_profile("pocket-files")
    assert profile.family == "files" and profile.difficulties["easy"] == "pocket-easy"
    assert profile.limits.turns >= 2.2 * 12
    for style in (*STYLES, REACT):
        episode = play(tasks(1)[0], style, setting=profile.teacher)
        assert episode.result["solved"] and len(episode.turns) < profile.limits.turns / 2


def test_a_turn_of_one_call_is_too_little(make_limits, play_script):
    with Pool(make_limits(tool_calls=1)) as pool, pytest.raises(UserError) as caught:
        play_script(pool, tasks(1)[0], "reset", teacher())
    assert "raise limits.tool_calls to 2" in one_line(caught)


def test_an_observation_that_is_cut_is_one_line_with_the_fix(make_limits, play_script):
    with (
        Pool(make_limits(output_chars=300, turns=40)) as pool,
        pytest.raises(UserError) as caught,
    ):
        play_script(pool, tasks(1, "medium")[0], "persistent", teacher("medium"))
    assert "raise limits.output_chars" in one_line(caught)


def test_a_prompt_that_says_something_else_is_not_guessed_at():
    expert = ScriptedExpert("reset", teacher(), 1)
    with pytest.raises(ValueError, match="cannot read this prompt"):
        expert.reply([{"content": "at most 4 tool calls"}, {"content": json.dumps({})}])
