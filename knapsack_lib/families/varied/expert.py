"""The varied teacher: as the scripted expert it acts on a plan and reads only what an agent is shown; as a language model it
seldom writes the same twice, errs, and mends.

A block is a core and what the core needs. The core, its tool calls and its output are the same in both regimes. What it
needs (imports, helpers, and variables written out as literals of what was shown) stands before it: in the reset regime
all of it, in the persistent one only what no earlier block has left. That is the one difference between the regimes:
`VariedExpert.alive` stays empty in one of them.

A family's teacher is a subclass that plans, writes cores, and knows its variables (families/knapsack/varied/).
"""

from __future__ import annotations

import ast
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

from knapsack_lib.errors import UserError, check_choice
from knapsack_lib.families.scripted import CUT, number_in
from knapsack_lib.families.varied.hand import Hand, inside
from knapsack_lib.families.varied.mistakes import KINDS, MENDS, misspelt, unparsed
from knapsack_lib.families.varied.needs import Need, Needs, read_before, replaced
from knapsack_lib.families.varied.records import WAYS, Literal, Records
from knapsack_lib.messages import Message, Reply
from knapsack_lib.profiles import Teacher
from knapsack_lib.syntax.names import BUILTINS, names_of

I = TypeVar("I")  # what a family plans: one of its intents

__all__ = ["Literal", "VariedExpert"]

# Kind -> steps from which on a mistake of it may be made, the first being 1. A name can be forgotten where it is new.
STEPS = {kind: (1, 2, 3, 4) for kind in KINDS} | {"helper": (1,), "data": (1, 1, 3)}


@dataclass
class Trouble:
    """What came of a block that failed: a kind of mends (mistakes.py), and the name that was missing."""

    kind: str
    name: str = ""
    right: str = ""


@dataclass
class _Sent:
    """The last block. `spelt`: what was written -> what was meant. `known`: how much was known before it."""

    block: str = ""
    spelt: dict[str, str] = field(default_factory=dict)
    known: int = 0


class VariedExpert(ABC, Generic[I]):
    """Answers one episode in code. Stateful: what it knows comes from the messages it was given. Episodes of one seed have
    the same plan, names and cores in both regimes."""

    tools: ClassVar[Sequence[str]]
    shapes: ClassVar[Mapping[str, str]]  # field of a record -> what its values look like
    vocabulary: ClassVar[Mapping[str, Sequence[str]]]

    def __init__(self, style: str, setting: Teacher, seed: int):
        if setting.varied is None:
            raise UserError("teacher.policy varied needs the section teacher.varied")
        self.persistent = check_choice("style", style, ("persistent", "reset")) == "persistent"
        self.hand = Hand(seed, setting.varied.variety, self.vocabulary)
        self._pen = Hand(seed, setting.varied.variety, {})  # for what differs between the regimes
        self.hand.turn("style")
        self.records: Records = WAYS[self.hand.pick(*WAYS)](tuple(self.shapes))
        self._spaced = self.hand.chance(0.3)
        self.hand.turn("mistakes")
        shares = setting.varied.mistakes
        self._due = {
            kind: self.hand.draw(*STEPS[kind])
            for kind in KINDS
            if self.hand.chance(getattr(shares, kind))
        }
        restarts = self.hand.chance(setting.restarts)
        self._lost_from = self.hand.draw(2, 3, 4) if restarts else None
        self.calls = 0  # tool calls that a block may make
        self.intent: I
        self.step = 0  # of the plan; the mends of a block belong to the step of that block
        self.alive: set[str] = set()  # names that earlier blocks have left
        self.ever: set[str] = set()  # names that were ever defined
        self.helpers: Mapping[str, str] = {}  # functions of this episode: `$word` -> definition
        self._sent = _Sent()
        self._replies = 0
        self.hand.turn("helpers")
        self.prepare()
        self._needs = Needs(self.hand, self.helpers, self.records, self.variables, self._literal)

    # What a family says -----------------------------------------------------------------------------------------------

    @abstractmethod
    def prepare(self) -> None:
        """Draw what is the same in the whole episode: the plan's bents, `self.helpers` (texts with `$word`)."""

    @abstractmethod
    def begin(self, task: str) -> None:
        """Read the task message."""

    @abstractmethod
    def learn(self, text: str) -> None:
        """Read what the last block printed."""

    @property
    @abstractmethod
    def known(self) -> int:
        """How much is known: a number that grows with all that `learn` and `refused` find."""

    @abstractmethod
    def plan(self) -> I:
        """What to do next."""

    @abstractmethod
    def counts(self, intent: I) -> Sequence[str]:
        """Tools that cannot be called once more as if nothing had been, where the same is done again."""

    @abstractmethod
    def exceeds(self, intent: I) -> bool:
        """Whether it is more than a block may do: the mistake "limit"."""

    @abstractmethod
    def write(self, intent: I, mistake: str) -> list[str]:
        """Statements that do it, texts with `$word`; with the mistake "key" or "type" in them, where they read an answer."""

    @property
    @abstractmethod
    def variables(self) -> Sequence[str]:
        """The words of the variables that hold what is known."""

    @abstractmethod
    def data(self, word: str) -> Literal:
        """The value of a variable, from what is known."""

    @abstractmethod
    def say(self, intent: I) -> str:
        """A sentence that goes with it."""

    @abstractmethod
    def refused(self, text: str) -> str:
        """What an uncaught refusal refused, in words ("class E"); "" where there is none. The plan leaves it out from here
        on."""

    # The loop ---------------------------------------------------------------------------------------------------------

    def reply(self, messages: list[Message]) -> Reply:
        """The next turn, from the conversation so far."""
        trouble = None
        if not self.step:
            self.calls = number_in(r"at most (\d+) tool calls", messages[0]["content"])
            self.begin(messages[1]["content"])
        else:
            trouble = self._read(messages[-1]["content"])
        if trouble is None or self.known > self._sent.known:  # else the same block, mended
            self.step += 1
            self.hand.turn(f"plan {self.step}")
            self.intent = self.plan()
        self._replies += 1
        return self._write(trouble)

    def _read(self, text: str) -> Trouble | None:
        if CUT in text:
            raise UserError(
                "the teacher's output was cut, and with it what it has to know; raise limits.output_chars"
            )
        self.learn(text)
        trouble = self._trouble(text)
        left = self._left_by(trouble, text)
        self.ever |= left
        if trouble is not None and trouble.kind == "lost":
            self.alive.clear()  # what this block has set is written out once more, too
        elif self.persistent:
            self.alive |= left
        return trouble

    def _left_by(self, trouble: Trouble | None, text: str) -> set[str]:
        """Names that the last block has defined: all of its own, or those above the line that failed."""
        if trouble is not None and trouble.kind == "unparsed":
            return set()
        ran = ast.parse(self._sent.block).body
        if trouble is not None:
            lines = [
                int(line)
                for line in re.findall(r"\(line (\d+)\)|line (\d+), in <module>", text)
                for line in line
                if line
            ]
            ran = [one for one in ran if lines and (one.end_lineno or 0) < lines[0]]
        return {name for name in names_of(ran).binds if name in self._needs.meanings}

    def _trouble(self, text: str) -> Trouble | None:
        if missing := re.search(r"^NameError: name '(\w+)'", text, re.M):
            name = missing[1]
            if name in self._sent.spelt:
                return Trouble("misspelt", name, self._sent.spelt[name])
            return Trouble("lost" if name in self.ever else "missing", name)
        if re.search(r"^(?:KeyError|TypeError|AttributeError)\b", text, re.M):
            return Trouble("key")
        if re.search(r"^RuntimeError: at most \d+ tool calls", text, re.M):
            return Trouble("limit")
        if re.match(r"(?:No|More than one) python block", text):
            return Trouble("unparsed")
        if refused := self.refused(text):
            return Trouble("refused", refused)
        return None

    # Writing ----------------------------------------------------------------------------------------------------------

    def makes(self, kind: str) -> bool:
        """Whether a mistake of this kind is still to be made in this episode."""
        return kind in self._due

    def due(self, kind: str) -> bool:
        """Whether a mistake is to be made from here on; who makes it calls `made`."""
        return self._due.get(kind, self.step + 1) <= self.step

    def made(self, kind: str) -> None:
        del self._due[kind]

    def _core(self, mistake: str = "") -> str:
        self.hand.turn(f"block {self.step}")
        join = "\n\n" if self._spaced and self.hand.chance(0.4) else "\n"
        return self.hand.named(join.join(self.write(self.intent, mistake)))

    def _write(self, trouble: Trouble | None) -> Reply:
        core, slip, spelt = self._core(), self.exceeds(self.intent), dict[str, str]()
        if trouble is None and not slip and self.due("key"):
            self.hand.turn(f"mistake {self.step}")
            spoilt = self._core(self.hand.draw("key", "type"))
            if spoilt != core:
                core, slip = spoilt, True
                self.made("key")
        needs = self._needs.of(core)
        early = self._early(core, needs)
        dropped = ""
        if not slip:
            core, dropped, spelt = self._spoil(core, needs, early, trouble)
            slip = bool(dropped or spelt)
        before = [need for need in needs if need.name not in self.alive and need.name != dropped]
        lost = not (slip or trouble or self.due("unparsed")) and self._loses(needs, early)
        block = "\n".join([*self._ordered(before), core])
        self.hand.turn(f"words {self.step} {trouble.kind if trouble else 'go on'}")
        saying = self._mend(trouble) if trouble else self.say(self.intent)
        if not (slip or lost or trouble) and self.due("unparsed"):
            self.made("unparsed")
            self._sent = _Sent(block, spelt, self.known)
            return Reply(unparsed(self.hand, saying, block), slip=True)
        self._sent = _Sent(block, spelt, self.known)
        return Reply(f"{saying}\n```python\n{block}\n```", slip=slip or lost, lost=lost)

    def _early(self, core: str, needs: Sequence[Need]) -> Mapping[str, ast.Name]:
        """Names whose absence does no harm, each with the place where it is read first: the block has called no tool by
        then that counts, and has changed nothing."""
        tools = self.counts(self.intent)
        early = read_before(core, {*tools, *map(self.hand.named, self.helpers)})
        kinds = {need.name: need.kind for need in needs}
        harmless = {}
        for name, place in early.items():
            harmless[name] = place
            if kinds.get(name) == "data":  # which may be changed from here on
                break
        before = read_before(core, {*self.tools, *map(self.hand.named, self.helpers)})
        return harmless | before

    def _spoil(
        self, core: str, needs: list[Need], early: Mapping[str, ast.Name], trouble: Trouble | None
    ) -> tuple[str, str, dict[str, str]]:
        """(core, name that is left undefined, wrong spelling -> right one)"""
        self.hand.turn(f"slip {self.step}")
        if trouble is None:
            for kind in ("helper", "data"):
                new = [
                    n
                    for n in needs
                    if n.kind == kind and n.name not in self.ever and n.name in early
                ]
                if self.due(kind) and new:
                    self.made(kind)
                    return core, self.hand.draw(*new).name, {}
        kind = "misspelt" if trouble is None else "half"
        if self.due(kind) and (trouble is None or trouble.kind in ("missing", "misspelt", "key")):
            named = [n.name for n in needs if n.kind != "import" and n.name in early]
            if named:
                right = self.hand.draw(*named)
                wrong = misspelt(self.hand, right)
                if wrong not in self._needs.meanings and wrong not in BUILTINS:
                    self.made(kind)
                    return replaced(core, early[right], wrong), "", {wrong: right}
        return core, "", {}

    def _loses(self, needs: list[Need], early: Mapping[str, ast.Name]) -> bool:
        """Whether the interpreter is lost before this block, which will then fail before it has called a tool."""
        if self._lost_from is None or self.step < self._lost_from or not self.persistent:
            return False
        if not any(need.name in self.alive and need.name in early for need in needs):
            return False
        self._lost_from = None
        return True

    def _mend(self, trouble: Trouble) -> str:
        saying = self.hand.pick(*MENDS[trouble.kind])
        return saying.format(
            name=trouble.name,
            right=trouble.right,
            calls=self.calls,
            fields=", ".join(self.shapes),
        )

    def _literal(self, word: str) -> str:
        self._pen.turn(f"literal {self._replies} {word}")
        value = self.data(word)
        if len(value.parts) > 2 and self._pen.chance(0.35):
            lines = inside([f"{part}," for part in value.parts])
            text = "\n".join([value.opens, *lines, value.closes])
        else:
            text = value.line
        return self.hand.named(text)

    def _ordered(self, needs: list[Need]) -> list[str]:
        """Imports first, as everybody writes them."""
        return [need.text for need in sorted(needs, key=lambda need: need.kind != "import")]
