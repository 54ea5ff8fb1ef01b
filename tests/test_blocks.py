"""Which part of a reply is run."""

import random
import re
from pathlib import Path

import pytest

from knapsack_lib.blocks import find_blocks, the_block, thoughts
from knapsack_lib.files import project_root
from tests.replies import REPLIES


@pytest.mark.parametrize("written", REPLIES, ids=lambda w: f"{w.by}: {w.reply[:30]!r}")
def test_a_reply_as_models_write_it_is_read_as_meant(written):
    status, block = the_block(written.reply)
    assert (status, None if block is None else block.code) == (written.status, written.code)


def test_the_corpus_is_of_many_kinds():
    assert len({w.reply for w in REPLIES}) == len(REPLIES) >= 60
    assert {w.by for w in REPLIES} == {"gemini", "qwen", "qwen thinking", "llama", "gpt", "small"}
    assert {w.status for w in REPLIES} == {"code", "no_code", "several_blocks"}


def test_places_of_a_block_are_places_in_the_whole_reply():
    for written in REPLIES:
        for block in find_blocks(written.reply):
            cut = written.reply[block.start : block.end]
            assert cut.lstrip(" >*1.").startswith(("```", "~~~"))
            first, *rest = cut.splitlines()
            assert block.tag in first.lower()
            assert all(line.strip() in cut for line in block.code.splitlines())
            assert block.start >= thoughts(written.reply)


def test_python_blocks_before_untagged_ones_and_never_another_language():
    tags = {"python": "p", "": "u", "bash": "b"}
    chance = random.Random(5)
    for _ in range(300):
        kinds = [chance.choice(list(tags)) for _ in range(chance.randrange(5))]
        reply = "\n".join(f"```{kind}\n{tags[kind]}\n```" for kind in kinds)
        status, block = the_block(reply)
        counted = kinds.count("python") or kinds.count("")
        assert status == {0: "no_code", 1: "code"}.get(counted, "several_blocks")
        assert block is None or block.code == ("p" if "python" in kinds else "u")


@pytest.mark.parametrize(
    "reply",
    [
        "`" * 100_000,
        "```\n" * 20_000,
        "> " * 50_000 + "```python\nx",
        "<think>" * 30_000,
        "</think>\n" * 20_000,
        "<think></think>" * 20_000,
        "- " * 50_000 + "\n```python\nx",
        "- a\n " * 10_000,
        "\n" * 200_000,
        "\x00\ud800\u2028" * 10_000 + "\n```python\nx\n```",
    ],
    ids=lambda reply: repr(reply[:8]),
)
@pytest.mark.timeout(60)
def test_no_reply_hangs_the_reader_or_breaks_it(reply):
    assert the_block(reply)[0] in ("code", "no_code", "several_blocks")


def shown_cases():
    """(reply, what is run or None) of the table in the docs."""
    text = (project_root() / "docs" / "replies.md").read_text(encoding="utf-8")
    code = "`{5} (.*?) `{5}"
    for reply, run in re.findall(rf"^\| [^|]+ \| {code} \| (.*) \|$", text, re.M):
        found = re.fullmatch(code, run)
        yield reply.replace("⏎", "\n"), found and found.group(1).replace("⏎", "\n")


def test_the_table_of_cases_in_the_docs_is_what_happens():
    cases = list(shown_cases())
    assert len(cases) > 12
    for reply, run in cases:
        _, block = the_block(reply)
        assert (block and block.code) == run, reply


def test_one_rule_and_no_second_reader():
    """Whoever looks for fences elsewhere would have a rule of its own."""
    library = project_root() / "knapsack_lib"
    others = {
        path.relative_to(library).as_posix()
        for path in Path(library).rglob("*.py")
        if re.search(r"re\.\w+\(.*`{3}", path.read_text(encoding="utf-8"))
    }
    assert others <= {"blocks.py"}
