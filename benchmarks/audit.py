"""How far the audit can be trusted, how fast it is, and how much room it takes.

    python benchmarks/audit.py [--episodes 600] [--blocks 200000] [--source data/outputs]

Trust: generated blocks of every kind (tests/audit/programs.py), each run in this process with the
names that earlier blocks left and with none. A block that runs with them counts; the truth is the name
that is missing without them. beniget and marimo are asked too, where they are installed (they are no
dependencies). Speed and room: made-up episodes, as many as were asked for, and a source of one's own.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from knapsack_lib.audit.audit import audit, audit_transcripts
from knapsack_lib.audit.transcripts import Step, Transcript
from knapsack_lib.syntax.names import BUILTINS, names_of
from tests.audit.programs import episodes

Reader = Callable[[str], set[str]]


class Case(NamedTuple):
    code: str
    before: set[str]
    missed: str  # "" where nothing is


def run(code: str, names: dict[str, object]) -> tuple[str, str]:
    """(error type, missing name) of a block."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(code, "<block>", "exec"), names)  # our own generator wrote it
    except NameError as error:
        return type(error).__name__, error.name or ""
    except Exception as error:  # noqa: BLE001
        return type(error).__name__, ""
    return "", ""


def cases(n: int) -> Iterator[Case]:
    for blocks in episodes(seed=1, n=n):
        kept: dict[str, object] = {"__name__": "__main__"}
        for number, code in enumerate(blocks):
            before = set(kept) - {"__builtins__", "__name__"}
            _, missed = run(code, {"__name__": "__main__"})
            error, _ = run(code, kept)
            if number and error not in ("NameError", "UnboundLocalError", "RecursionError"):
                yield Case(code, before, missed if missed in before else "")


def readers() -> dict[str, Reader]:
    def needs(code: str) -> set[str]:
        return set(names_of(ast.parse(code)).needs)

    def needs_or_perhaps(code: str) -> set[str]:
        names = names_of(ast.parse(code))
        return {*names.needs, *names.perhaps}

    found: dict[str, Reader] = {
        "needs": needs,
        "needs or perhaps": needs_or_perhaps,
    }
    with contextlib.suppress(ImportError):
        import beniget
        import gast

        def chains(code: str) -> set[str]:
            unbound: set[str] = set()

            class Chains(beniget.DefUseChains):
                def unbound_identifier(self, name: str, node: object) -> None:
                    unbound.add(name)

            Chains().visit(gast.parse(code))
            return unbound - BUILTINS

        found["beniget"] = chains
    with contextlib.suppress(ImportError):
        from marimo._ast.visitor import ScopedVisitor

        def refs(code: str) -> set[str]:
            visitor = ScopedVisitor("", ignore_local=False)
            visitor.visit(ast.parse(code))
            return set(visitor.refs) - BUILTINS

        found["marimo"] = refs
    return found


def trust(n: int) -> None:
    known = list(cases(n))
    print(
        f"trust: {len(known):,} blocks, of which {sum(bool(c.missed) for c in known):,} miss a name"
    )
    print(f"  {'reader':18}{'recall':>8}{'precision':>11}{'ms a block':>12}{'breaks':>8}")
    for name, reader in readers().items():
        right = wrong = lost = broken = 0
        began = time.process_time()
        for case in known:
            try:
                expected = reader(case.code) & case.before
            except Exception:  # noqa: BLE001 - another library's
                expected, broken = set(), broken + 1
            if case.missed:
                right += case.missed in expected
                lost += case.missed not in expected
            else:
                wrong += bool(expected)
        each = 1e3 * (time.process_time() - began) / len(known)
        recall, precision = right / (right + lost), right / max(1, right + wrong)
        print(f"  {name:18}{recall:8.3f}{precision:11.3f}{each:12.2f}{broken:8}")


def made_up(blocks: int) -> Iterator[Transcript]:
    """Some episodes again and again, each time in other words, so that no block is known already."""
    known, done, turn = list(episodes(seed=2, n=200)), 0, 0
    while done < blocks:
        turn += 1
        for number, episode in enumerate(known):
            done += len(episode)
            steps = tuple(Step(f"# {turn}\n{code}") for code in episode)
            yield Transcript(f"{turn}/{number}", steps)


def room() -> float:
    """MiB that this process has taken at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def speed(blocks: int, source: str) -> None:
    print("speed and room, one core")
    for count in (blocks // 10, blocks):
        began = time.process_time()
        found = audit_transcripts("made up", made_up(count))
        rate = found.tally.sums["blocks"] / (time.process_time() - began) * 60
        print(
            f"  made up, {found.tally.sums['blocks']:9,} blocks: {rate:9,.0f} a minute, {room():5.0f} MiB"
        )
    if source:
        began = time.process_time()
        found = audit([source])
        rate = found.tally.sums["blocks"] / (time.process_time() - began) * 60
        print(
            f"  {Path(source).name}, {found.tally.sums['blocks']:9,} blocks, with reading:"
            f" {rate:9,.0f} a minute, {room():5.0f} MiB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--episodes", type=int, default=600)
    parser.add_argument("--blocks", type=int, default=200_000)
    parser.add_argument("--source", default="")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    trust(given.episodes)
    speed(given.blocks, given.source)


if __name__ == "__main__":
    main()
