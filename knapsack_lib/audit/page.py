"""One or two audits as one page that stands alone: the verdict, what it rests on, the blocks that
show it, and how all of it was counted.

    Path("audit.html").write_text(audit_page([found]), encoding="utf-8")
    audit_page([training_set, deployment_logs])      # side by side, on the same scales
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from knapsack_lib.audit.audit import Audit
from knapsack_lib.audit.blocks_shown import AFTER, LEGEND, blocks_shown, short
from knapsack_lib.audit.drawing import (
    PATTERN,
    SHAPES,
    STYLE,
    axis,
    bar,
    between,
    columns,
    dot,
    gauge,
    percent,
    swatch,
)
from knapsack_lib.audit.measures import KINDS
from knapsack_lib.audit.tally import MEASURES, Share, Tally
from knapsack_lib.audit.verdict import RULES, Verdict, verdict_of
from knapsack_lib.explorer.markup import chip, page, text

__all__ = ["audit_page"]

NAME, LABEL = 200, 60  # letters of a source's name and of a group's that are shown
MOST_GROUPS = 100
FAR = 10  # the tally counts all that is further back as this far

PARTS = {
    "relies": "rely on earlier state",
    "restates": "make again what was there, and rely on nothing",
    "guards": "only ask whether a name is there",
    "alone": "stand alone",
}
LEDE = (
    "A block <em>relies</em> on state when it reads a name that only an earlier block bound; it "
    "<em>restates</em> when it makes again what was there already. The first needs a runtime that keeps "
    "its variables between blocks, the second does not."
)
COUNTED = (
    "Nothing was run and no model was asked. Each block's syntax is walked as Python would run it, and "
    "the names that it needs from before are compared with those that earlier blocks of its episode "
    "bound. A block that failed has bound what stands before the failing line (only its imports, where "
    "that line is not known); one that was stopped has bound nothing. Blocks that are no Python, also "
    "without IPython's own lines, are counted apart.",
    "Blocks of an episode belong together: each interval is a 95% interval for a ratio of sums over "
    "episodes, which are taken as independent of one another. Where the same task was done many times "
    "the true uncertainty is larger. Counts without an interval are counts, no estimates.",
    "“Said again in the same words” counts characters of statements that were there already, word for "
    "word, as a share of all that was written.",
)
UNSEEN = (
    "State that is not a name of the module: files, a changed working directory, a database.",
    "Names that are reached through exec, eval, globals()[…] or getattr, and what a star import brings; "
    "after one, no name counts as unknown.",
    "Tools of the runtime that the format does not name: they count as names that nobody bound.",
    "Whether an object that is made again is equal to the one before, where its statement differs.",
    "In which runtime the blocks were in fact recorded, and how well an agent that learns from them "
    "does.",
)
COUNT = '<th scope="col" class="n count">{}</th>'
Part = Callable[[Audit], str]


def audit_page(audits: Sequence[Audit]) -> str:
    """HTML without script that fetches nothing, for one audit or two side by side. What is long is
    cut and says so. Raises ValueError for another number of audits."""
    if not 1 <= len(audits) <= 2:
        raise ValueError(f"a page shows one audit or two, not {len(audits)}")
    nearest = max((max(_back(one.tally)) for one in audits), default=0.0)
    parts: list[tuple[str, str, Part]] = [
        ("What later blocks do", "", _later),
        ("What is relied on", "", _relied),
        ("How far back", "", partial(_far, top=nearest)),
        ("After a missing name", "", _missing),
        ("Every measure", "", _measures),
    ]
    if any(one.groups for one in audits):
        parts.append(("Group by group", "", _groups))
    parts.append(("Blocks that show it", LEGEND, partial(blocks_shown, of=len(audits))))
    two = len(audits) == 2
    body = f"<h1>What do these traces teach?</h1><p>{LEDE}</p>"
    body += "" if two else f'<p class="id"><b>{short(audits[0].source, NAME)}</b></p>'
    body += _both(audits, _head)
    body += _difference(*audits) if two else ""
    for title, lede, part in parts:
        body += f"<section><h2>{title}</h2>{lede}{_both(audits, part)}</section>"
    body = f'{PATTERN}<main class="{"two" if two else "one"}">{body}{_footnotes()}</main>'
    return page(f"Audit of {' and '.join(one.source[:LABEL] for one in audits)}", body, STYLE)


def _both(audits: Sequence[Audit], part: Part) -> str:
    """The part of one audit, or both next to each other."""
    if len(audits) == 1:
        return part(audits[0])
    cells = "".join(
        f'<div><h3 class="whose">{letter}: {short(one.source, LABEL)}</h3>{part(one)}</div>'
        for letter, one in zip("AB", audits, strict=True)
    )
    return f'<div class="pair">{cells}</div>'


def _teaches(verdict: Verdict) -> str:
    plain = verdict.teaches in ("persistent", "reset")
    return f"{SHAPES[verdict.teaches]} {'teaches ' if plain else ''}{verdict.teaches}"


def _head(audit: Audit) -> str:
    verdict, sums = verdict_of(audit.tally), audit.tally.sums
    counted = (
        f"{audit.tally.episodes:,} episodes, {sums['blocks']:,} blocks, {sums['later']:,} of them after "
        "an episode's first"
    )
    because = verdict.because[:1].upper() + verdict.because[1:]
    return (
        f'<p class="soft">{counted}</p>'
        f'<section class="says {verdict.teaches}"><p class="word">{_teaches(verdict)}</p>'
        f"<p>{text(because)}.</p>{gauge(audit.tally.share('choice'))}"
        f'<p class="advice">{text(verdict.advice)}</p></section>'
    )


def _difference(first: Audit, second: Audit) -> str:
    """Both shares in words. Two sources may share tasks or episodes, so nothing is tested."""
    one, other = (audit.tally.share("relies") for audit in (first, second))
    if not (one.episodes and other.episodes):
        return "<p>One of the two has no later block, so there is nothing to compare.</p>"
    said = [f"{percent(share.value)} (95% interval {between(share)})" for share in (one, other)]
    points = round(100 * abs(one.value - other.value))
    way = (
        "as many"
        if not points
        else f"{points} points {'fewer' if other.value < one.value else 'more'}"
    )
    apart = one.low > other.high or other.low > one.high
    verdicts = [verdict_of(audit.tally).teaches for audit in (first, second)]
    same = (
        f"Both: {verdicts[0]}."
        if verdicts[0] == verdicts[1]
        else f"A: {verdicts[0]}; B: {verdicts[1]}."
    )
    return (
        f'<section class="says"><p class="advice">Of the later blocks of A {said[0]} rely on earlier state, '
        f"of those of B {said[1]}: {way}. The two intervals {'do not overlap' if apart else 'overlap'}. {same}</p>"
        '<p class="soft">No test is made: whether the two share tasks, or episodes, cannot be told from the '
        "blocks.</p></section>"
    )


def _later(audit: Audit) -> str:
    tally, whole = audit.tally, audit.tally.sums["later"]
    if not whole:
        return "<p>No episode has a second block.</p>"
    counts = {kind: tally.sums[kind] for kind in ("relies", "restates", "alone")}
    counts["guards"] = whole - sum(counts.values())
    shown = [(kind, words, counts[kind] / whole) for kind, words in PARTS.items() if counts[kind]]
    rows = "".join(
        f'<tr><th scope="row">{swatch(kind)}{words}</th><td class="n">{percent(share)}</td>'
        f'<td class="n soft">{"" if kind == "guards" else between(tally.share(kind))}</td>'
        f'<td class="n soft count">{counts[kind]:,} blocks</td></tr>'
        for kind, words, share in shown
    )
    return (
        f"{bar(shown)}<table><caption>Of {whole:,} blocks after the first</caption>{rows}</table>"
    )


def _shares(caption: str, tally: Tally, rows: Sequence[tuple[str, str]]) -> str:
    """A dot with its interval for each (measure, words)."""
    lines = []
    for name, words in rows:
        share, measure = tally.share(name), MEASURES[name]
        kind = {"relies": "persistent", "restates": "reset"}.get(name.partition("_")[0], "ring")
        lines.append(
            f'<tr><th scope="row">{words}</th><td class="track">{dot(share, kind)}</td>{_numbers(share)}'
            f'<td class="n soft count">{tally.sums[measure.part]:,} of {tally.sums[measure.whole]:,}</td></tr>'
        )
    return _table(caption, lines, COUNT.format("count"))


def _numbers(share: Share) -> str:
    return f'<td class="n">{percent(share.value)} <span class="soft between">{between(share)}</span></td>'


def _table(caption: str, lines: Sequence[str], heads: str) -> str:
    return (
        f'<table class="shares"><caption>{caption}</caption><thead><tr><td></td><th scope="col" class="track">{axis()}</th>'
        f'<th scope="col" class="n">share <span class="between">interval</span></th>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
    )


def _relied(audit: Audit) -> str:
    words = {"import": "an import", "function": "a function", "class": "a class", "data": "data"}
    rows = [(f"relies_{kind}", words[kind]) for kind in KINDS]
    return _shares("Later blocks that rely on … (one may rely on several)", audit.tally, rows)


def _back(tally: Tally) -> list[float]:
    whole = sum(tally.back.values())
    return [tally.back[number] / whole if whole else 0.0 for number in range(1, FAR + 1)]


def _far(audit: Audit, top: float) -> str:
    tally, whole = audit.tally, sum(audit.tally.back.values())
    if not whole:
        return "<p>No block relies on earlier state.</p>"
    names = [*map(str, range(1, FAR)), f"{FAR}+"]
    said = "Blocks between a block and the newest of what it relies on"
    drawn = columns(list(zip(names, _back(tally), strict=True)), top, said)
    mean = tally.back_characters / whole
    return (
        f'{drawn}<p class="soft">How many blocks ago the newest of what a block relies on was bound: shares of '
        f"{whole:,} relying blocks. On average {mean:,.0f} characters of replies lie between.</p>"
    )


def _missing(audit: Audit) -> str:
    found = audit.tally.after_missing
    whole = sum(found.values())
    if not whole:
        return "<p>No block met a missing name.</p>"
    rows = "".join(
        f'<tr><th scope="row">{words}</th><td class="n">{percent(found[kind] / whole)}</td>'
        f'<td class="n soft">{found[kind]:,}</td></tr>'
        for kind, words in AFTER.items()
    )
    return f"<table><caption>What followed {whole:,} missing names</caption>{rows}</table>"


def _measures(audit: Audit) -> str:
    rows = [(name, one.words) for name, one in MEASURES.items() if not name.startswith("relies_")]
    return _shares("Shares with 95% intervals over episodes", audit.tally, rows)


def _groups(audit: Audit) -> str:
    def place(item: tuple[str, Tally]) -> tuple[float, str]:
        value = item[1].share("relies").value
        return (math.inf if math.isnan(value) else -value), item[0]

    if not audit.groups:
        return "<p>Not grouped.</p>"
    lines = []
    for name, tally in sorted(audit.groups.items(), key=place)[:MOST_GROUPS]:
        share, verdict = tally.share("relies"), verdict_of(tally).teaches
        lines.append(
            f'<tr><th scope="row">{short(name, LABEL)}</th><td class="track">{dot(share, "persistent")}</td>'
            f'{_numbers(share)}<td>{chip(f"{SHAPES[verdict]} {verdict}")}</td><td class="n soft count">{tally.sums["later"]:,}</td></tr>'
        )
    beyond = len(audit.groups) - len(lines)
    rest = f" The {beyond:,} groups with the smallest shares are left out." if beyond else ""
    caption = f"Later blocks that rely on earlier state, most first.{rest}"
    table = _table(caption, lines, '<th scope="col">verdict</th>' + COUNT.format("later blocks"))
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Group by group">{table}</div>'
    )


def _footnotes() -> str:
    rules = "".join(
        f"<li><b>{SHAPES[name]} {name}</b>: {rule}</li>" for name, rule in RULES.items()
    )
    counted = "".join(f"<p>{one}</p>" for one in COUNTED)
    unseen = "".join(f"<li>{text(one)}</li>" for one in UNSEEN)
    return (
        "<footer><h2>How it was counted</h2>"
        f"{counted}<h3>The verdict</h3><p>Of the blocks that rely or restate, the share that rely, and its "
        f"interval; the first of these that fits:</p><ul>{rules}</ul><h3>What this cannot see</h3><ul>{unseen}</ul></footer>"
    )
