"""The blocks of a transcript run again, in a runtime of choice, and held against what is recorded.

    with Pool(LIMITS) as pool:
        found = replayed(transcript, "reset", pool)
        found.why          # None, or Why("name", 2, "block 2 misses rest")

Tools are those of the task's world, where the task is given, and otherwise answer as they did in the
record, in its order. A replay ends at the first block that did something else than is recorded.
"""

from __future__ import annotations

import builtins
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from inspect import Parameter, Signature
from typing import Any, NamedTuple

from knapsack_lib.audit.outcomes import missing_name
from knapsack_lib.audit.transcripts import Step, Transcript
from knapsack_lib.families import Task, ToolError, family_named
from knapsack_lib.interpreter import Interpreter, Observation, Pool, persistence_named
from knapsack_lib.profiles import Limits

__all__ = ["LIMITS", "Replay", "Report", "Why", "as_seen", "replay_report", "replayed", "tools_of"]

# A record does not say under which limits it was made; what a limit refused is in the record itself.
LIMITS = Limits(
    turns=1000,
    tool_calls=1000,
    wall_seconds=20,
    cpu_seconds=10,
    memory_mb=1024,
    output_chars=4_000_000,
)
CUT = re.compile(r"\n\[output cut at (\d+) characters\]\n\Z")
CHANCE = re.compile(r"\b(random|time|datetime|date|secrets|uuid\d?|perf_counter|id|hash|rand\w*)\b")
# Of an observation, what stands around the output: MINT's heads and tails, IPython's mark of a value.
AROUND = re.compile(
    r"^(?:Observation:|\[Executed Successfully with No Output\]|\(no output\)"
    r"|You have \d+ steps? left.*|You should take the last step.*)$|^Out\[\d+\]:[ ]?",
    re.M,
)


class Why(NamedTuple):
    """Why a replay is not the record. `kind`: name, package, tool, call, chance, print, error or
    stopped; `block`: its number, from 1."""

    kind: str
    block: int
    text: str


KINDS = {
    "name": "a name that an earlier block made is missing",
    "package": "a package is not there",
    "tool": "a tool has no recorded answers",
    "call": "it called other tools",
    "chance": "it prints time or chance",
    "print": "it printed something else",
    "error": "it ended otherwise",
    "stopped": "it was stopped by a limit",
}


@dataclass(frozen=True)
class Replay:
    """`seen`: what each block did, up to the one where it left the record."""

    runtime: str
    seen: tuple[Observation, ...]
    why: Why | None = None

    @property
    def missing(self) -> str | None:
        """The name that the block it ended with did not find, and the recorded one did."""
        last = self.seen[-1] if self.why and self.why.kind == "name" else None
        return missing_name(last.error_type, last.error) if last else None


def replayed(
    transcript: Transcript,
    runtime: str,
    pool: Pool,
    task: Task | None = None,
    show: Callable[[int, Interpreter], None] = lambda number, interpreter: None,
) -> Replay:
    """Run every block. `show` is called before each with its number and the interpreter. Raises
    UserError for a runtime that is none."""
    tools, seen = tools_of(transcript, task), list[Observation]()
    seed = transcript.episode.seed % 2**31 if transcript.episode else 1
    with Interpreter(pool, persistence_named(runtime), tools, seed) as interpreter:
        for number, step in enumerate(transcript.steps, start=1):
            show(number, interpreter)
            if step.lost:
                interpreter.lose()
            seen.append(interpreter.run(step.code))
            why = difference(step, seen[-1], number, transcript)
            if why is not None:
                return Replay(runtime, tuple(seen), why)
    return Replay(runtime, tuple(seen))


def as_seen(transcript: Transcript, found: Replay) -> Transcript:
    """The transcript with what a whole replay saw as its record, which knows more than most sources
    say: exact output, the line that failed, tool calls, and what came of a last block."""
    steps = tuple(
        replace(
            step,
            stdout=seen.stdout,
            error_type=seen.error_type,
            error=seen.error,
            line=seen.line,
            stopped=seen.killed_by is not None,
            calls=tuple(asdict(call) for call in seen.tool_calls),
        )
        for step, seen in zip(transcript.steps, found.seen, strict=True)
    )
    return replace(transcript, steps=steps)


def difference(step: Step, seen: Observation, number: int, transcript: Transcript) -> Why | None:
    """What a block did otherwise than is recorded; None where it did the same."""
    name, here = missing_name(seen.error_type, seen.error), f"block {number}"
    if _other_end(step, seen):
        if name in transcript.provided:
            return Why("tool", number, f"{here} calls {name}, whose answers are not recorded")
        if name is not None:
            return Why("name", number, f"{here} misses {name}")
        if seen.error_type == "ModuleNotFoundError":
            return Why("package", number, f"{here}: {seen.error}")
        if seen.killed_by:
            return Why("stopped", number, f"{here} was stopped ({seen.killed_by})")
        ended = f"{seen.error_type or 'no error'}, recorded is {step.error_type or 'none'}"
        return Why("error", number, f"{here} ended with {ended}")
    if step.calls is not None and (call := _other_call(step.calls, seen)):
        return Why("call", number, f"{here} {call}")
    if not _same_print(step, seen.stdout):
        kind = "chance" if CHANCE.search(step.code) else "print"
        return Why(kind, number, f"{here} printed {_short(seen.stdout)}")
    return None


def _is_unrecorded(step: Step) -> bool:
    """Whether nobody knows what came of it, as of a block with which a conversation ends."""
    return step.stdout is None and not step.observation and step.error_type is None


def _other_end(step: Step, seen: Observation) -> bool:
    if _is_unrecorded(step):
        return seen.error_type == "ModuleNotFoundError" or seen.killed_by is not None
    if step.stopped or seen.killed_by:
        return step.stopped != bool(seen.killed_by)
    return _other_type(step, seen) or bool(step.error and _other_error(step, seen))


def _other_type(step: Step, seen: Observation) -> bool:
    """The interpreter calls an exception that a package made itself by its builtin base."""
    own = step.stdout is None and step.error_type and not hasattr(builtins, step.error_type)
    return seen.error_type not in (step.error_type, "Exception" if own else step.error_type)


def _other_error(step: Step, seen: Observation) -> bool:
    """Of a message that a reader took from a text only the name that is missing counts: its words are
    those of another Python."""
    if step.stdout is None:
        return missing_name(seen.error_type, seen.error) != missing_name("NameError", step.error)
    return seen.error != step.error


def _other_call(calls: Sequence[Mapping[str, Any]], seen: Observation) -> str:
    for number, call in enumerate(seen.tool_calls):
        if number >= len(calls):
            return f"called {call.name} once more"
        if any(calls[number][key] != getattr(call, key) for key in ("name", "args", "error")):
            return f"called {call.name}({', '.join(map(repr, call.args))[:80]})"
        if calls[number]["result"] != call.result:
            return f"had another answer of {call.name}"
    missed = calls[len(seen.tool_calls) :]
    return f"did not call {missed[0]['name']}" if missed else ""


def _same_print(step: Step, stdout: str) -> bool:
    if _is_unrecorded(step):
        return True
    if step.stdout is not None:
        cut = CUT.search(step.stdout)
        if cut and len(stdout) > int(cut[1]):
            return stdout[: int(cut[1])] == step.stdout[: cut.start()]
        return stdout == step.stdout
    printed = "".join(stdout.split())
    shown = "".join(AROUND.sub("", step.observation).split())
    return printed == shown if step.error_type is None else shown.startswith(printed)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line[:60] + ("..." if len(line) > 60 else "")) if line else "nothing"


# Tools --------------------------------------------------------------------------------------------


def tools_of(transcript: Transcript, task: Task | None = None) -> Mapping[str, Callable[..., Any]]:
    """Those of a fresh world, or answers from the record; none where it has no call."""
    if task is not None:
        return family_named(task.family).world(task).tools
    if not any(step.calls for step in transcript.steps):
        return {}
    calls = [call for step in transcript.steps for call in step.calls or ()]
    record = _Record(calls)
    names = {call["name"] for call in calls} | transcript.provided
    return {name: _Recorded(name, record) for name in sorted(names)}


class _Record:
    def __init__(self, calls: Sequence[Mapping[str, Any]]):
        self.left = list(reversed(calls))


@dataclass
class _Recorded:
    """A tool that gives the next recorded answer, or raises what is recorded."""

    name: str
    record: _Record

    @property
    def __signature__(self) -> Signature:
        """The host counts arguments. What it refused then is in the record as well."""
        following = self.record.left[-1] if self.record.left else {"args": []}
        count = len(following["args"])
        return Signature([Parameter(f"a{n}", Parameter.POSITIONAL_ONLY) for n in range(count)])

    def __call__(self, *args: Any) -> Any:
        following = self.record.left.pop() if self.record.left else None
        if following is None or (following["name"], following["args"]) != (self.name, list(args)):
            raise ToolError("RuntimeError", "this call is not in the record")
        if following["error"] is not None:
            kind, _, message = following["error"].partition(": ")
            raise ToolError(kind, message)
        return following["result"]


# Many ---------------------------------------------------------------------------------------------


@dataclass
class Report:
    """Of one runtime. `reasons`: kind of Why -> episodes; `examples`: the first of each kind, as
    (episode, text)."""

    runtime: str
    episodes: int = 0
    replayable: int = 0
    blocks: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, transcript: Transcript, found: Replay) -> None:
        self.episodes += 1
        self.blocks += len(found.seen)
        if found.why is None:
            self.replayable += 1
        else:
            self.reasons[found.why.kind] += 1
            example = (transcript.transcript_id, found.why.text)
            self.examples.setdefault(found.why.kind, example)

    def lines(self) -> list[str]:
        """For a reader: how many, then each reason with its first example."""
        head = f"{self.runtime}: {self.replayable:,} of {self.episodes:,} episodes run again as recorded"
        return [head] + [
            f"  {count:,} x {KINDS[kind]} (first: {': '.join(self.examples[kind])})"
            for kind, count in self.reasons.most_common()
        ]


def replay_report(
    transcripts: Iterable[Transcript],
    runtimes: Sequence[str] = ("persistent", "reset"),
    packages: Sequence[str] = (),
    show: Callable[[int], None] = lambda done: None,
) -> list[Report]:
    """Every transcript that has a block, once in each runtime; one is in memory at a time. `packages`
    are those that blocks may import."""
    reports = [Report(runtime) for runtime in runtimes]
    with Pool(LIMITS, after_kill="lose", packages=tuple(packages)) as pool:
        for number, transcript in enumerate(transcripts, start=1):
            for report in reports if transcript.steps else ():
                found = replayed(transcript, report.runtime, pool)
                report.add(transcript, found)
                if found.why is None:
                    transcript = as_seen(transcript, found)
            show(number)
    return reports
