"""The scripted expert of tables: one plan in three styles, from shown information only, with real errors and dead ends,
and seeded variety."""

import ast
import contextlib
import json
import re
import statistics
from pathlib import Path

import pytest
from common import one_line

from families.tables.drawn import FAMILY, tasks
from knapsack_lib.errors import UserError
from knapsack_lib.families.tables.calling import CallingExpert
from knapsack_lib.families.tables.expert import NAMES, ScriptedExpert
from knapsack_lib.families.tables.plan import SAYINGS
from knapsack_lib.families.tables.words import THEMES
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.profiles import REACT, PromptOptions, Teacher, load_profile

PROFILE = Path(__file__).parents[3] / "params" / "pocket-tables.yaml"
STYLES = ("persistent", "reset")
BATCHES = {"easy": (3, 4), "medium": (4, 5), "pocket-easy": (1,), "pocket-medium": (1,)}
COUNTS = {"easy": 8, "medium": 4, "pocket-easy": 40, "pocket-medium": 9}


def teacher(size="pocket-easy", slips=0.0, variants=2):
    return Teacher(
        policy="scripted", slip_share=slips, batch_sizes=BATCHES[size], style_variants=variants
    )


PLAIN = {size: teacher(size) for size in BATCHES}
SLIPPING = {size: teacher(size, slips=0.3) for size in BATCHES}


@pytest.fixture(scope="module")
def pools(make_limits):
    large = make_limits(turns=40, tool_calls=25, output_chars=30_000)
    with Pool(make_limits(turns=30)) as small, Pool(large) as roomy:
        yield {size: small if size.startswith("pocket") else roomy for size in BATCHES}


PLAYED = {}  # an episode is the same each time, so it is played once


@pytest.fixture
def pairs(pools, play_script, plain_options):
    """Both styles' episodes of the same tasks with the same seed."""

    def play(size, count, setting, options=plain_options):
        for i, task in enumerate(tasks(count, size, seed=2)):
            key = (size, i, setting.model_dump_json(), options.style)
            if key not in PLAYED:
                PLAYED[key] = tuple(
                    play_script(pools[size], task, s, setting, seed=100 + i, options=options)
                    for s in STYLES
                )
            yield PLAYED[key]

    return play


def calls(episode, slips=False):
    return [
        [(c["name"], c["args"], c["result"], c["error"]) for c in t.tool_calls]
        for t in episode.turns
        if slips or not t.slip
    ]


def seen(episode):
    return [t.observation for t in episode.turns if not t.slip]


def saying(turn):
    return turn.reply.split("\n", 1)[0]


@pytest.mark.parametrize("prompt", ["brief", "full"])
@pytest.mark.parametrize("size", BATCHES)
def test_both_styles_are_the_same_plan(pairs, size, prompt):
    options = PromptOptions(style=prompt, cue="none", list_bindings=False)
    for persistent, reset in pairs(size, COUNTS[size], SLIPPING[size], options):
        assert calls(persistent) == calls(reset)
        assert seen(persistent) == seen(reset)
        assert persistent.result == reset.result
        assert [t.slip for t in persistent.turns] == [t.slip for t in reset.turns]
        assert persistent.finish_reason == reset.finish_reason == "finish"


def test_the_styles_differ_in_how_state_is_carried(pairs):
    """After the first turn each reset block restates what it needs; a persistent one does not."""
    for persistent, reset in pairs("pocket-easy", 10, PLAIN["pocket-easy"]):
        later = list(zip(persistent.turns[1:], reset.turns[1:], strict=True))
        assert all(re.search(r"^\w+ = [\[{(\d'\"]", r.code, re.M) for _, r in later)
        restated = [re.findall(r"^\w+ = [{(\d'\"]", p.code, re.M) for p, _ in later]
        assert not any(restated)
        assert sum(len(r.code) for _, r in later) > 1.5 * sum(len(p.code) for p, _ in later)


@pytest.mark.parametrize("style", STYLES)
def test_a_traces_code_needs_its_own_runtime_only_where_the_style_says(pools, play_script, style):
    """The persistent style misses its names in a reset interpreter; the reset style does as well anywhere."""
    for task in tasks(4, seed=2):
        home = play_script(pools["pocket-easy"], task, style, teacher())
        other = "reset" if style == "persistent" else "persistent"
        world = FAMILY.world(task)
        with Interpreter(
            pools["pocket-easy"], persistence_named(other), world.tools, 1
        ) as interpreter:
            errors = [interpreter.run(turn.code).error_type for turn in home.turns]
        if style == "reset":
            assert errors == [None] * len(errors) and world.result() == home.result
        else:
            assert errors[0] is None and set(errors[1:]) == {"NameError"}


def test_episodes_are_long_enough_for_state_to_matter_and_not_too_long(pairs):
    profile = load_profile(str(PROFILE))
    assert profile.teacher.batch_sizes == BATCHES["pocket-easy"]
    played = pairs("pocket-easy", 40, SLIPPING["pocket-easy"])
    turns = [len(persistent.turns) for persistent, _ in played]
    assert statistics.fmean(turns) >= 7 and min(turns) >= 6 and max(turns) <= 11


@pytest.mark.parametrize("size", BATCHES)
def test_every_question_is_answered_right_within_the_rules(pairs, size):
    for episode, _ in pairs(size, COUNTS[size], SLIPPING[size]):
        assert episode.result["solved"]
        assert episode.result["queries"] <= episode.result["query_budget"]
        allowed = 4 if size.startswith("pocket") else 25
        assert all(len(t.tool_calls) <= allowed for t in episode.turns)


def test_real_errors_and_dead_ends_are_met_and_recovered_from(pairs):
    """A query that names a column of another table fails; a table whose column of that name holds other texts is a
    dead end."""
    errors = ends = 0
    for episode, _ in pairs("pocket-easy", 40, SLIPPING["pocket-easy"]):
        turns = [turn for turn in episode.turns if not turn.slip]
        for turn, after in zip(turns, turns[1:], strict=False):
            for call in turn.tool_calls:
                if call["error"]:
                    assert re.fullmatch(r"ValueError: no such column: \w+", call["error"])
                    assert "no such column" in turn.observation and turn.error_type is None
                    after_it = SAYINGS["no such"] + SAYINGS["plan"] + SAYINGS["mend"]
                    assert saying(after) in after_it
                    errors += 1
            asked = [
                c for c in turn.tool_calls if c["name"] == "query" and "distinct" in c["args"][0]
            ]
            ends += len(asked) - 1 if len(asked) > 1 else 0
    assert errors >= 5 and ends >= 5


# Slips --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ["pocket-easy", "easy"])
def test_every_slip_is_fixed_and_costs_no_score(pairs, size):
    count = 12 if size == "pocket-easy" else 4
    slipping = pairs(size, count, teacher(size, slips=1.0))
    for (persistent, reset), (clean, _) in zip(
        slipping, pairs(size, count, PLAIN[size]), strict=True
    ):
        for episode in (persistent, reset):
            slips = [k for k, t in enumerate(episode.turns) if t.slip]
            errors = [k for k, t in enumerate(episode.turns) if t.error_type]
            assert slips == errors and len(slips) == 1
            assert episode.turns[slips[0]].error_type == "NameError"
            assert all(call["name"] == "schema" for call in episode.turns[slips[0]].tool_calls)
            assert saying(episode.turns[slips[0] + 1]) in SAYINGS["mend"]
            assert len(episode.turns) == len(clean.turns) + 1
            assert (episode.finish_reason, episode.result) == ("finish", clean.result)


def test_slips_come_in_the_share_that_was_asked_for():
    def slips(share, seed):
        return ScriptedExpert("reset", teacher(slips=share), seed)._slip is not None

    assert sum(slips(0.25, s) for s in range(2000)) == pytest.approx(500, abs=70)
    assert not any(slips(0.0, s) for s in range(200)) and all(slips(1.0, s) for s in range(200))


# One call a turn ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", BATCHES)
def test_the_plan_in_single_calls_asks_what_the_plan_in_code_asks(pools, play_script, size):
    for number, task in enumerate(tasks(COUNTS[size] // 3, size, seed=2)):
        code, single = (
            play_script(pools[size], task, style, teacher(size), seed=number)
            for style in ("reset", REACT)
        )
        assert all(len(turn.tool_calls) == 1 for turn in single.turns)
        asked = [
            sorted((c["name"], *map(str, c["args"])) for turn in e.turns for c in turn.tool_calls)
            for e in (code, single)
        ]
        assert asked[0] == asked[1]
        assert single.result == code.result and single.finish_reason == "finish"


def test_the_limit_of_turns_leaves_room_for_every_style(pools, play_script):
    profile = load_profile(str(PROFILE))
    turns = [
        len(play_script(pools["pocket-easy"], task, REACT, profile.teacher, seed=i).turns)
        for i, task in enumerate(tasks(40, seed=2))
    ]
    assert max(turns) * 2.5 <= profile.limits.turns and min(turns) >= 7


@pytest.mark.parametrize("prompt", ["brief", "full"])
def test_the_full_prompt_is_understood_in_single_calls_too(pools, play_script, prompt):
    options = PromptOptions(style=prompt, cue="none", list_bindings=False)
    for task in tasks(5, "easy", seed=5):
        assert play_script(pools["easy"], task, REACT, teacher(), options=options).result["solved"]


# Only what is shown -------------------------------------------------------------------------------


@pytest.mark.parametrize("style", [*STYLES, REACT])
@pytest.mark.parametrize("size", ["pocket-easy", "easy"])
def test_the_expert_reads_nothing_but_the_conversation(pools, play_script, size, style):
    """Given the recorded messages alone, it says the same again."""
    for number, task in enumerate(tasks(4, size, seed=2)):
        setting = teacher(size, slips=0.5)
        episode = play_script(pools[size], task, style, setting, seed=number)
        messages, expert = episode.messages(), FAMILY.expert(style, setting, number)
        for place, message in enumerate(messages):
            if message["role"] == "assistant":
                assert expert.reply(messages[:place]).text == message["content"]


class Watched:
    """A world of which only the agent's side may be touched."""

    def __init__(self, world):
        object.__setattr__(self, "_inner", world)

    def __getattr__(self, name):
        if name not in ("tools", "facts", "done", "result"):
            raise AssertionError(f"{name} of the world was read")
        return getattr(object.__getattribute__(self, "_inner"), name)


@pytest.mark.parametrize("style", ["reset", REACT])
def test_an_episode_touches_only_the_agents_side_of_the_world(pools, play_script, style):
    task = tasks(1, seed=2)[0]
    plain = play_script(pools["pocket-easy"], task, style, teacher())
    assert play_script(pools["pocket-easy"], task, style, teacher(), world=Watched) == plain


def test_a_reset_block_restates_only_what_was_printed_or_asked(pairs):
    """Each literal stands in an earlier observation or in the first block, which has it from the question."""
    for _, reset in pairs("pocket-easy", 10, PLAIN["pocket-easy"]):
        shown = reset.turns[0].code
        for before, turn in zip(reset.turns, reset.turns[1:], strict=False):
            shown += f"\n{before.observation}"
            for value in re.findall(r"^\w+ = (.+)$", turn.code, re.M):
                with contextlib.suppress(ValueError):  # what is worked out
                    assert ast.literal_eval(value) is not None and value in shown


# Variety ------------------------------------------------------------------------------------------


def test_variety_is_seeded_and_shared_by_the_pair(pairs):
    played = list(pairs("pocket-easy", 40, SLIPPING["pocket-easy"]))
    firsts, names, guesses, ends = set(), set(), set(), set()
    for persistent, reset in played:
        assert [saying(t) for t in persistent.turns] == [saying(t) for t in reset.turns]
        used = [
            [n["rest"] for n in NAMES if re.search(rf"\b{n['rest']}\b", e.turns[0].code)]
            for e in (persistent, reset)
        ]
        assert used[0] == used[1] and len(used[0]) == 1
        firsts.add(saying(persistent.turns[0]))
        names.add(used[0][0])
        guesses.add("try:" in reset.turns[1].code)
        ends.add(bool(re.search(r"\[-\w+:\]", persistent.turns[0].code)))
    assert firsts == set(SAYINGS["setup"]) and len(names) == 2
    assert guesses == ends == {True, False}


def test_the_same_seed_plays_the_same_episode_and_another_seed_another(pools, play_script):
    task = tasks(1, seed=2)[0]
    lines = [
        play_script(pools["pocket-easy"], task, "reset", teacher(), seed=s).to_line()
        for s in (5, 5, 6, 7, 8)
    ]
    assert lines[0] == lines[1] and len(set(lines)) >= 3


def test_both_vocabularies_have_the_same_words_and_no_name_of_a_table_or_column():
    first, second = NAMES
    assert set(first) == set(second)
    words = {w for t in THEMES.values() for w in (*t.events, *t.things, *t.labels, *t.numbers)}
    assert not words & {*first.values(), *second.values()}
    for names in NAMES:
        assert len(set(names.values())) == len(names) and not set(names.values()) & set(
            FAMILY.tools
        )


def test_every_question_of_both_sizes_can_be_read():
    for size in ("pocket-easy", "medium"):
        for task in tasks(60, size):
            CallingExpert(teacher(), 1).begin(f"{task.public['question']} 6 queries.")
    with pytest.raises(ValueError, match="no question that it knows"):
        CallingExpert(teacher(), 1).begin("Fill the knapsack. 6 queries.")


# Settings -----------------------------------------------------------------------------------------


def test_the_profile_can_be_played_at_its_first_stages(play_script):
    profile = load_profile(str(PROFILE))
    assert profile.family == "tables" and profile.name == "pocket-tables"
    size = profile.difficulties["easy"]
    with Pool(profile.limits) as pool:
        for split in ("train", "validation"):
            task = FAMILY.make_task(size, seed=profile.seed, split=split, index=0)
            for style in (*STYLES, REACT):
                episode = play_script(pool, task, style, profile.teacher, options=profile.prompt)
                assert episode.result["solved"] and json.loads(episode.to_line())


@pytest.mark.parametrize("characters", [100, 300])
def test_an_observation_that_is_cut_is_one_line_with_the_fix(make_limits, play_script, characters):
    task = tasks(1, "medium", seed=2)[0]
    with (
        Pool(make_limits(output_chars=characters, turns=40, tool_calls=25)) as pool,
        pytest.raises(UserError) as caught,
    ):
        play_script(pool, task, "persistent", teacher())
    assert "raise limits.output_chars" in one_line(caught)


def test_too_few_tool_calls_are_one_line_with_the_fix(make_limits, play_script):
    found = []
    with Pool(make_limits(tool_calls=2)) as pool:
        for task in tasks(8, "medium", seed=2):
            try:
                play_script(pool, task, "persistent", teacher())
            except UserError as error:
                found.append(str(error))
    assert set(found) == {
        "the expert asks several tables for a column in one turn; raise limits.tool_calls"
    }
    with Pool(make_limits(tool_calls=1)) as pool, pytest.raises(UserError) as caught:
        play_script(pool, tasks(1)[0], "reset", teacher())
    assert "raise limits.tool_calls to 2" in one_line(caught)


@pytest.mark.parametrize("style", ["stateful", "", "base"])
def test_an_unknown_style_lists_the_styles(style):
    with pytest.raises(UserError, match="persistent, reset"):
        FAMILY.expert(style, teacher(), 1)
