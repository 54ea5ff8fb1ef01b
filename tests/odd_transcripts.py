"""Transcripts in which something else stands where something is expected: no reader falls over one,
and a step that it gives is a step."""

import copy
import json
import random

from knapsack_lib.audit.formats import Problems, read_transcripts
from knapsack_lib.errors import UserError

GONE = object()
ODD = (None, 7, 0.5, True, "x", "", [], {}, [7], [None], {"x": 7}, [[]], GONE)
TRIED = 400  # of each whole value


def check_odd_values(tmp_path, format, whole):
    """`whole`: a value that the reader of the format takes."""
    draw = random.Random(f"odd values of {format}")
    every = [(place, odd) for place in _places(whole) for odd in ODD]
    lines = [whole] + [_with(whole, *one) for one in draw.sample(every, min(len(every), TRIED))]
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    problems = Problems()
    found = list(read_transcripts(path, format, problems))
    assert len(found) + problems.count >= len(lines)
    for transcript in found:
        assert all(isinstance(one, str) for pair in transcript.labels.items() for one in pair)
        for step in transcript.steps:
            _check(step)
    for line in lines[::20]:
        path.write_text(json.dumps(line), encoding="utf-8")
        try:
            list(read_transcripts(path))  # nor does one that is only asked whether it is its own
        except UserError as error:
            assert "\n" not in str(error)


def _places(value, here=()):
    if here:
        yield here
    listed = value if isinstance(value, list) else ()
    for key, one in value.items() if isinstance(value, dict) else enumerate(listed):
        yield from _places(one, (*here, key))


def _with(value, place, odd):
    value = inner = copy.deepcopy(value)
    for key in place[:-1]:
        inner = inner[key]
    if odd is GONE:
        del inner[place[-1]]
    else:
        inner[place[-1]] = odd
    return value


def _check(step):
    texts = (step.code, step.reply, step.observation)
    assert all(isinstance(one, str) for one in texts) and step.code.strip()
    assert all(isinstance(one, (str, type(None))) for one in (step.error_type, step.error))
    assert step.line is None or type(step.line) is int
    assert isinstance(step.stopped, bool)
