"""An audit as text for a terminal, as JSON, and as a condition for a pipeline.

print("\\n".join(report_lines([found])))
as_json(found)                                  # plain values, in the order of MEASURES
fails(found, "relies.high > 0.05")              # "relies.high is 0.12" or ""
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Sequence
from typing import Any

from knapsack_lib.audit.audit import Audit
from knapsack_lib.audit.tally import MEASURES, Share, Tally
from knapsack_lib.audit.verdict import VERDICTS, verdict_of
from knapsack_lib.errors import UserError, check_choice

__all__ = ["as_json", "fails", "report_lines", "share_text"]

OPERATORS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
CONDITION = re.compile(r"\s*(\w+)(?:\.(low|high))?\s*(>=|<=|==|!=|>|<)\s*([\w.%+ -]+?)\s*")
WIDTH = 62  # of the words in front of the numbers


def share_text(share: Share) -> str:
    """47% [44%, 50%], or none."""
    if not share.episodes:
        return "none"
    return f"{share.value:.0%} [{share.low:.0%}, {share.high:.0%}]"


def report_lines(audits: Sequence[Audit]) -> list[str]:
    """What a reader should know: one audit, or several in columns."""
    lines = []
    for one in audits:
        verdict = verdict_of(one.tally)
        lines += [one.source, f"  teaches   {verdict.teaches}", f"  because   {verdict.because}"]
        lines += [f"  advice    {verdict.advice}", ""]
    sums = [one.tally.sums for one in audits]
    rows = [
        ("episodes", [f"{one.tally.episodes:,}" for one in audits]),
        (
            "blocks; after the first of their episode",
            [f"{s['blocks']:,}; {s['later']:,}" for s in sums],
        ),
    ]
    rows += [
        (measure.words, [share_text(one.tally.share(name)) for one in audits])
        for name, measure in MEASURES.items()
    ]
    rows.append(("what is relied on was bound", [_back(one.tally) for one in audits]))
    rows.append(("after a missing name", [_after(one.tally) for one in audits]))
    columns = [max(len(values[n]) for _, values in rows) for n in range(len(audits))]
    for words, values in rows:
        cells = "  ".join(value.ljust(width) for value, width in zip(values, columns, strict=True))
        lines.append(f"{words:{WIDTH}}{cells}".rstrip())
    for one in audits:
        if one.groups:
            lines += ["", one.source, *_group_lines(one.groups)]
    return lines


def _back(tally: Tally) -> str:
    total = sum(tally.back.values())
    if not total:
        return "none"
    tokens = tally.back_characters / total / 4  # a token of code is about four characters
    return f"one block before in {tally.back[1] / total:.0%}; about {tokens:,.0f} tokens back"


def _after(tally: Tally) -> str:
    return ", ".join(f"{words} {n:,}" for words, n in tally.after_missing.most_common()) or "none"


def _group_lines(groups: dict[str, Tally]) -> list[str]:
    """Most reliant first."""

    def key(name: str) -> tuple[float, str]:
        value = groups[name].share("relies").value
        return (math.inf if math.isnan(value) else -value), name

    wide = max(map(len, groups))
    head = f"{'':{wide}}  {'relies':18}{'restates':18}{'episodes':>9}{'blocks':>9}  teaches"
    rows = [
        f"{name:{wide}}  {share_text(groups[name].share('relies')):18}"
        f"{share_text(groups[name].share('restates')):18}{groups[name].episodes:9,}"
        f"{groups[name].sums['blocks']:9,}  {verdict_of(groups[name]).teaches}"
        for name in sorted(groups, key=key)
    ]
    return [head.rstrip(), *rows]


def as_json(audit: Audit) -> dict[str, Any]:
    """Everything that is counted, as plain values; null where nothing was."""
    return {
        "source": audit.source,
        "unread": audit.unread,
        **_tally_json(audit.tally),
        "groups": {name: _tally_json(audit.groups[name]) for name in sorted(audit.groups)},
        "examples": [
            {
                "kind": one.kind,
                "transcript": one.transcript_id,
                "step": one.use.number,
                "code": one.use.step.code,
                "relies": one.use.relies,
                "restates": [*one.use.again, *one.use.rewritten],
                "missing": one.use.missing,
            }
            for one in audit.examples
        ],
    }


def _tally_json(tally: Tally) -> dict[str, Any]:
    verdict = verdict_of(tally)
    return {
        "teaches": verdict.teaches,
        "because": verdict.because,
        "advice": verdict.advice,
        "episodes": tally.episodes,
        "blocks": tally.sums["blocks"],
        "later_blocks": tally.sums["later"],
        "measures": {name: _share_json(tally.share(name)) for name in MEASURES},
        "after_missing": dict(sorted(tally.after_missing.items())),
    }


def _share_json(share: Share) -> dict[str, Any] | None:
    return {**share._asdict()} if share.episodes else None


def fails(audit: Audit, condition: str) -> str:
    """What makes a condition true, in words; "" where it is not. A condition is a measure, with
    .low or .high for an end of its interval, or `teaches`, an operator, and a value: relies > 0.1,
    relies.high >= 5%, teaches != reset.

    A measure of which nothing was counted fails. Raises UserError for what is no condition.
    """
    match = CONDITION.fullmatch(condition)
    if not match:
        raise UserError(f"{condition!r} is no condition; write for example: relies > 0.1")
    name, end, sign, value = match.groups()
    if name == "teaches":
        found = verdict_of(audit.tally).teaches
        wanted = check_choice("teaches", value, VERDICTS)
        if sign not in ("==", "!="):
            raise UserError(f"{condition!r}: teaches is compared with == or !=")
        return f"teaches is {found}" if OPERATORS[sign](found, wanted) else ""
    share = audit.tally.share(check_choice("measure", name, tuple(MEASURES)))
    number = getattr(share, end or "value")
    try:
        limit = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    except ValueError:
        raise UserError(f"{condition!r}: {value!r} is no number") from None
    if math.isnan(number):
        return f"{name} cannot be judged: there is nothing to count"
    said = f"{name}{'.' + end if end else ''} is {number:.3f}"
    return said if OPERATORS[sign](number, limit) else ""
