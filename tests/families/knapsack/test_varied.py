"""The varied teacher: pairs that differ in nothing but what is carried or restated, mistakes and mends of every kind, lost
runtimes, and blocks as varied as those of language models.

Thousands of its episodes are played by a stand-in that runs blocks in this process; some of them are played again by the
real interpreter, which must agree."""

import ast
import builtins
import contextlib
import io
import keyword
import re
import traceback

import pytest
from common import one_line
from made import tasks

from knapsack_lib.agent import act
from knapsack_lib.audit.formats.episodes import transcript_of
from knapsack_lib.audit.measures import measured
from knapsack_lib.audit.replay import replayed
from knapsack_lib.audit.tally import Tally
from knapsack_lib.audit.variety import variety_of
from knapsack_lib.audit.verdict import verdict_of
from knapsack_lib.errors import UserError
from knapsack_lib.explorer.session import rerun
from knapsack_lib.families import family_named
from knapsack_lib.families.base import ToolError
from knapsack_lib.families.knapsack.varied.words import VOCABULARY
from knapsack_lib.families.knapsack.world import TOOLS
from knapsack_lib.families.varied.hand import VARIETY, Hand
from knapsack_lib.families.varied.mistakes import KINDS
from knapsack_lib.families.varied.needs import IMPORTS
from knapsack_lib.families.varied.records import WAYS
from knapsack_lib.interpreter import Interpreter, Observation, Pool, persistence_named
from knapsack_lib.interpreter.tool_calls import ToolCall
from knapsack_lib.profiles import Cell, Teacher, load_profile
from knapsack_lib.syntax.names import BUILTINS, names_of

FAMILY = family_named("knapsack")
STYLES = ("persistent", "reset")
CALLS = {"pocket-easy": 4, "pocket-medium": 4, "easy": 9}


def teacher(variety="mid", share=0.0, restarts=0.0, **shares):
    mistakes = {kind: share for kind in KINDS} | shares
    return Teacher(
        policy="varied",
        slip_share=0,
        batch_sizes=[2],
        style_variants=1,
        restarts=restarts,
        varied={"variety": variety, "mistakes": mistakes},
    )


class InProcess(contextlib.nullcontext):
    """What the interpreter does, for blocks that can be trusted: seen from the agent, the same."""

    packages = ()

    def __init__(self, keeps, tools, calls):
        super().__init__()
        self._keeps, self._tools, self._most, self._names = keeps, tools, calls, {}

    def lose(self):
        self._names = {}

    def run(self, code):
        made, out, error, line = [], io.StringIO(), None, None
        names = self._names if self._keeps else {}
        names |= {name: self._tool(name, made) for name in self._tools}
        try:
            with contextlib.redirect_stdout(out):
                exec(compile(code, "<turn>", "exec"), names)
        except Exception as raised:  # noqa: BLE001, as the interpreter does
            error = raised
            frames = traceback.extract_tb(raised.__traceback__)
            line = [frame.lineno for frame in frames if frame.filename == "<turn>"]
        self._names = names
        return Observation(
            stdout=out.getvalue(),
            error_type=type(error).__name__ if error else None,
            error=str(error) if error else None,
            line=line[-1] if line else None,
            tool_calls=tuple(made),
        )

    def _tool(self, name, made):
        def call(*args):
            try:
                if len(made) >= self._most:
                    raise ToolError("RuntimeError", f"at most {self._most} tool calls in one turn")
                value = self._tools[name](*args)
            except ToolError as refusal:
                made.append(ToolCall(name, list(args), error=f"{refusal.kind}: {refusal}"))
                raise getattr(builtins, refusal.kind)(str(refusal)) from None
            made.append(ToolCall(name, list(args), result=value))
            return value

        return call


@pytest.fixture(scope="module")
def play(make_limits, plain_options):
    def play(
        style,
        task,
        setting,
        seed,
        size="pocket-easy",
        runtime="",
        pool=None,
        narrow=False,
        full=False,
    ):
        world = FAMILY.world(task)
        limits = make_limits(turns=60, tool_calls=CALLS[size], output_chars=30_000)
        expert = (FAMILY.expert if narrow else FAMILY.varied_expert)(style, setting, seed)
        mode = persistence_named(runtime or style)
        hands = (
            Interpreter(pool, mode, world.tools, 1)
            if pool
            else InProcess(mode.keeps, world.tools, limits.tool_calls)
        )
        with hands as interpreter:
            cell = Cell("knapsack", "teacher", runtime or style, "easy")
            options = plain_options.model_copy(update={"style": "full"} if full else {})
            steps = act(task, world, interpreter or hands, cell, limits, options, seed)
            messages = next(steps)
            try:
                while True:
                    messages = steps.send(expert.reply(messages))
            except StopIteration as end:
                return end.value

    return play


@pytest.fixture(scope="module")
def pairs(play):
    def pairs(count, setting, size="pocket-easy", first=0):
        for number, task in enumerate(tasks(first + count, size, seed=5)[first:], start=first):
            yield tuple(play(style, task, setting, 900 + number, size) for style in STYLES)

    return pairs


def shown(episode):
    """Tool calls, output and errors of every turn but those in which the runtime was lost."""
    return [
        (turn.parse_status, turn.tool_calls, turn.stdout, turn.error_type, turn.error)
        for turn in episode.turns
        if not turn.state_lost
    ]


def statements(turn):
    return [ast.unparse(one) for one in ast.parse(turn.code).body]


def differ_in_state_alone(carried, restated, bound):
    """What the persistent block says, the reset one says in the same order; what it says beside that binds names that
    earlier persistent blocks have bound (`bound`), and is an import, a definition or a literal."""
    wanted = statements(carried)
    rest = statements(restated)
    for one in wanted:
        while rest and rest[0] != one:
            yield rest.pop(0)
        assert rest, f"{one!r} is missing in the reset block"
        rest.pop(0)
    assert not rest


# Pairs --------------------------------------------------------------------------------------------


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(8))
def test_pairs_differ_in_what_is_carried_or_restated_alone(pairs, part):
    """2,000 pairs in all, of every variety, with mistakes of every kind."""
    variety, size = (*VARIETY, "mid")[part % 4], ("pocket-easy", "easy")[part // 4]
    blocks = more = 0
    for persistent, reset in pairs(250, teacher(variety, share=0.1), size, first=250 * part):
        assert shown(persistent) == shown(reset)
        assert persistent.finish_reason == reset.finish_reason == "finish"
        assert persistent.result == reset.result
        bound = set()
        for carried, restated in zip(persistent.turns, reset.turns, strict=True):
            assert carried.reply.split("\n")[0] == restated.reply.split("\n")[0]
            if carried.code is None:
                continue
            blocks += 1
            for beside in differ_in_state_alone(carried, restated, bound):
                more += 1
                (one,) = ast.parse(beside).body
                names = set(names_of([one]).binds)
                assert names <= bound, (beside, bound)
                if isinstance(one, ast.Assign) and not isinstance(one.value, ast.Lambda):
                    calls = [c.func.id for c in ast.walk(one.value) if isinstance(c, ast.Call)]
                    assert not set(calls) & set(TOOLS), beside
                else:
                    assert isinstance(
                        one, (ast.Assign, ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
                    )
            bound |= set(names_of(ast.parse(carried.code)).binds)
    assert blocks > 1500 and more > blocks


def test_the_stand_in_runs_blocks_as_the_interpreter_does(play, make_limits):
    setting = teacher("high", share=0.3, restarts=0.5)
    with Pool(make_limits(turns=60, output_chars=30_000)) as pool:
        for number, task in enumerate(tasks(25, "pocket-easy", seed=5)):
            for style in STYLES:
                mine = play(style, task, setting, 900 + number)
                real = play(style, task, setting, 900 + number, pool=pool)
                assert shown(mine) == shown(real) and mine.result == real.result
                assert [turn.reply for turn in mine.turns] == [turn.reply for turn in real.turns]


def test_it_reads_tracebacks_as_it_reads_one_line(play, make_limits):
    """The full prompt shows an error as Python prints it."""
    setting = teacher("mid", share=0.4, restarts=0.5)
    with Pool(make_limits(turns=60, output_chars=30_000)) as pool:
        for number, task in enumerate(tasks(12, "pocket-easy", seed=5)):
            for style in STYLES:
                brief = play(style, task, setting, 900 + number)
                full = play(style, task, setting, 900 + number, pool=pool, full=True)
                assert [turn.reply for turn in full.turns] == [turn.reply for turn in brief.turns]


def test_the_same_seed_gives_the_same_episode_and_another_another(play):
    (task,) = tasks(1, "pocket-easy", seed=5)
    first, again, other = (play("reset", task, teacher(share=0.2), seed) for seed in (1, 1, 2))
    assert first.to_line() == again.to_line() != other.to_line()


# Mistakes -----------------------------------------------------------------------------------------

RAISED = {
    "helper": {"NameError"},
    "data": {"NameError"},
    "misspelt": {"NameError"},
    "key": {"KeyError", "TypeError"},
    "unparsed": set(),
    "refused": {"PermissionError"},
    "limit": {"RuntimeError"},
}


@pytest.mark.parametrize("kind", RAISED)
@pytest.mark.parametrize("style", STYLES)
def test_every_kind_of_mistake_is_made_shown_and_mended(play, kind, style):
    made = 0
    for number, task in enumerate(tasks(60, "pocket-easy", seed=5)):
        episode = play(style, task, teacher(**{kind: 1.0}), 900 + number)
        raised = {turn.error_type for turn in episode.turns} - {None}
        assert raised <= RAISED[kind], raised
        wrong = [turn for turn in episode.turns if turn.error_type or turn.parse_status != "code"]
        assert kind == "refused" or len(wrong) <= 1
        made += bool(wrong)
        assert episode.finish_reason == "finish"
        for turn in wrong:
            after = episode.turns[episode.turns.index(turn) + 1]
            assert kind == "refused" or (after.parse_status == "code" and after.error_type is None)
            assert turn.slip or kind == "refused"
    # Not every episode has a place for every kind
    assert made >= {"limit": 25, "refused": 30, "data": 30}.get(kind, 45), made


def test_a_half_right_mend_comes_before_the_right_one(play):
    twice = 0
    for number, task in enumerate(tasks(60, "pocket-easy", seed=5)):
        episode = play("persistent", task, teacher(data=1.0, half=1.0), 900 + number)
        errors = [turn.error_type for turn in episode.turns]
        for first, second, third in zip(errors, errors[1:], errors[2:], strict=False):
            if first == second == "NameError":
                twice += 1
                assert third is None
        assert episode.finish_reason == "finish"
    assert twice >= 25


def test_a_mend_says_what_the_observation_says(play):
    said = 0
    for number, task in enumerate(tasks(40, "pocket-easy", seed=5)):
        episode = play("persistent", task, teacher(misspelt=1.0), 900 + number)
        for turn, after in zip(episode.turns, episode.turns[1:], strict=False):
            if missing := re.search(r"NameError: name '(\w+)'", turn.observation or ""):
                said += missing[1] in after.reply.split("\n")[0]
                assert not re.search(rf"\b{missing[1]}\b", after.code)
    assert said >= 15


def test_mistakes_come_as_often_as_the_profile_says(play):
    errors = {share: 0 for share in (0.0, 0.5, 1.0)}
    for share in errors:
        for number, task in enumerate(tasks(60, "pocket-easy", seed=5)):
            episode = play("reset", task, teacher(key=share), 900 + number)
            errors[share] += any(turn.error_type for turn in episode.turns)
    assert errors[0.0] == 0 and 20 <= errors[0.5] <= 40 and errors[1.0] >= 50


# Lost runtimes ------------------------------------------------------------------------------------


def test_a_lost_runtime_is_restated_and_the_style_goes_on(play):
    lost = 0
    for number, task in enumerate(tasks(80, "pocket-easy", seed=5)):
        whole = play("persistent", task, teacher(), 900 + number)
        episode = play("persistent", task, teacher(restarts=1.0), 900 + number)
        reset = play("reset", task, teacher(restarts=1.0), 900 + number)
        gone = [place for place, turn in enumerate(episode.turns) if turn.state_lost]
        assert not any(turn.state_lost for turn in reset.turns) and len(gone) <= 1
        assert shown(episode) == shown(whole) and episode.result == whole.result
        for place in gone:
            lost += 1
            failing, mend = episode.turns[place], episode.turns[place + 1]
            assert failing.error_type == "NameError" and failing.slip
            assert {call["name"] for call in failing.tool_calls} <= {"inspect"}
            assert mend.error_type is None and not mend.slip
            missing = re.search(r"name '(\w+)'", failing.error)[1]
            assert missing in names_of(ast.parse(mend.code)).binds
            # What it would have said without the loss, and before it all that this needs
            assert statements(whole.turns[place])[-1] == statements(mend)[-1]
            assert len(statements(mend)) > len(statements(whole.turns[place]))
    assert lost >= 60


def test_an_episode_with_a_lost_runtime_is_replayed_as_it_was(play, make_limits):
    """By the audit, and by the explorer block by block."""
    profile = load_profile("pocket")
    with Pool(make_limits(turns=60, output_chars=30_000)) as pool:
        for number, task in enumerate(tasks(8, "pocket-easy", seed=5)):
            episode = play("persistent", task, teacher(restarts=1.0), 900 + number, pool=pool)
            found = replayed(transcript_of(episode), "persistent", pool, task)
            assert found.why is None, found.why
            with rerun(episode, task, profile) as session:
                for turn, again in zip(episode.turns[:-1], session.turns, strict=False):
                    assert again.observation == turn.observation


def test_in_the_other_runtime_it_goes_on_and_pays(play):
    """The persistent style without its state: every turn fails once, and is mended."""
    scores, missing, tokens = [], 0, []
    for number, task in enumerate(tasks(30, "pocket-easy", seed=5)):
        own = play("persistent", task, teacher(), 900 + number)
        away = play("persistent", task, teacher(), 900 + number, runtime="reset")
        scores.append(away.result["score"] / max(own.result["score"], 1e-9))
        missing += any(turn.error_type == "NameError" for turn in away.turns)
        tokens.append(sum(map(len, (t.reply for t in away.turns))))
        assert away.finish_reason == "finish"
    assert sum(scores) / len(scores) > 0.95 and missing >= 28


# Variety and quality ------------------------------------------------------------------------------


@pytest.mark.parametrize("variety", VARIETY)
def test_it_is_as_varied_as_a_language_model_and_as_good_as_the_script(play, variety):
    scripted = load_profile("pocket").teacher
    found = {style: [] for style in STYLES}
    narrow = []
    for number, task in enumerate(tasks(150, "pocket-easy", seed=5)):
        narrow.append(play("reset", task, scripted, 900 + number, narrow=True).result["score"])
        for style in STYLES:
            found[style].append(play(style, task, teacher(variety, share=0.05), 900 + number))
    for style, episodes in found.items():
        told = variety_of(transcript_of(episode, "") for episode in episodes)
        assert told.shapes_100 >= 60 and told.compression >= 0.18, told
        score = sum(episode.result["score"] for episode in episodes)
        assert score >= 0.97 * sum(narrow)
        tally = Tally()
        for episode in episodes:
            tally.add(measured(transcript_of(episode, "")))
        assert verdict_of(tally).teaches == style


def test_the_narrow_script_is_not_varied(play):
    episodes = [
        play("persistent", task, load_profile("pocket").teacher, 900 + number, narrow=True)
        for number, task in enumerate(tasks(60, "pocket-easy", seed=5))
    ]
    told = variety_of(transcript_of(episode, "") for episode in episodes)
    assert told.shapes_100 < 15 and told.compression < 0.1


# What it is made of -------------------------------------------------------------------------------


def test_no_name_stands_for_anything_else():
    taken = {*BUILTINS, *keyword.kwlist, *TOOLS, *IMPORTS, "math", "re"}
    for seed in range(300):
        hand = Hand(seed, "high", VOCABULARY)
        names = [hand[word] for word in VOCABULARY]
        assert len(set(names)) == len(names)
        assert all(name.isidentifier() and name not in taken for name in names), names


@pytest.mark.parametrize("way", WAYS)
def test_records_are_kept_read_and_written_out_alike(way):
    """What `keep` adds, `get`, `row` and `in` find again, as in the literal."""
    fields = ("class", "value", "weight")
    records, hand = WAYS[way](fields), Hand(1, "low", VOCABULARY)
    known = {
        "KuTo": dict(zip(fields, ("A", 5, 2), strict=True)),
        "BaRi": dict(zip(fields, ("C", 9, 4), strict=True)),
    }

    def filled(text):
        names = {}
        header = "from collections import namedtuple\nfrom dataclasses import dataclass"
        exec(hand.named("\n".join([header, *records.definitions.values(), text])), names)
        return names

    def told(names):
        row = records.row()
        values = ", ".join([row.id, *row.fields.values()])
        rows = eval(hand.named(f"[({values}) for {row.target} in {row.source}]"), names)
        again = [
            (id, *(eval(hand.named(records.get(repr(id), f)), names) for f in fields))
            for id in known
        ]
        assert rows == again
        assert eval(hand.named(f"'KuTo' in {records.ids} and 'none' not in {records.ids}"), names)
        return rows

    def literal(these):
        lines = [f"${word} = {records.literal(these, word).line}" for word in records.words]
        return "\n".join(lines)

    kept = [
        line
        for id, one in known.items()
        for line in records.keep(repr(id), {field: repr(one[field]) for field in fields})
    ]
    assert told(filled("\n".join([literal({}), *kept]))) == told(filled(literal(known)))


def test_other_families_and_react_are_refused_in_one_line():
    with pytest.raises(UserError, match="navigation has no varied teacher") as caught:
        family_named("navigation").varied_expert("reset", teacher(), 1)
    one_line(caught)
    with pytest.raises(UserError, match="react") as caught:
        FAMILY.varied_expert("react", teacher(), 1)
    one_line(caught)
