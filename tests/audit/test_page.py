"""An audit as a page: it says what was found, marks what shows it, and nothing that a transcript
holds is more than text in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from knapsack_lib.audit.audit import Audit, audit_transcripts
from knapsack_lib.audit.page import audit_page
from knapsack_lib.audit.tally import MEASURES
from knapsack_lib.audit.transcripts import Step, Transcript
from knapsack_lib.audit.verdict import RULES, verdict_of
from tests.audit.programs import episodes

KEEPS = (
    "import math\ndef area(r): return math.pi * r\nr = 3",
    "print(area(r))",
    "print(area(r) + 1)",
)
AGAIN = ("import math\nr = [3, 4]\nprint(r)", "import math\nr = [3, 4]\nprint(r[0])")
EMPTY = {"meta", "br", "rect", "line", "circle"}
FETCHES = {"src", "href", "action", "data", "poster", "srcset", "formaction", "background"}


def transcripts(blocks, n=20, task="easy", **step):
    return [
        Transcript(f"{task}/{number}", tuple(Step(one, **step) for one in blocks), {"task": task})
        for number in range(n)
    ]


def audit_of(*blocks, source="traces.jsonl", n=20) -> Audit:
    return audit_transcripts(source, transcripts(blocks, n))


@pytest.fixture(scope="module")
def keeps():
    return audit_of(*KEEPS, source="keeps.jsonl")


@pytest.fixture(scope="module")
def again():
    return audit_of(*AGAIN, source="again.jsonl", n=40)


class Read(HTMLParser):
    """What a browser would make of it: elements, their text, and whether every one is closed."""

    def __init__(self, page: str):
        super().__init__()
        self.open, self.tags, self.attributes, self.words, self.marked = [], [], [], [], []
        self.rows: list[list[str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "mark":
            self.marked.append([dict(attrs)["class"], ""])
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.words.append(data)
        if {"td", "th"} & {*self.open}:
            self.rows[-1][-1] += data
        if "mark" in self.open:
            self.marked[-1][1] += data

    @property
    def text(self):
        return " ".join("".join(self.words).split())

    def row(self, start):
        return next([" ".join(c.split()) for c in row] for row in self.rows if row[:1] == [start])


def read(*audits) -> Read:
    found = Read(audit_page(audits))
    assert found.open == []
    return found


@pytest.mark.parametrize("blocks", [KEEPS, AGAIN, ("print(1)", "print(2)"), ("x = 1",)])
def test_the_verdict_is_said_in_the_words_of_the_rules(blocks):
    audit = audit_of(*blocks)
    verdict, found = verdict_of(audit.tally), read(audit)
    assert verdict.teaches in found.text[:900]
    assert verdict.because[1:] in found.text and verdict.advice in found.text
    assert all(rule in found.text for rule in RULES.values())


def test_every_measure_stands_with_its_interval_and_its_counts():
    audit = audit_transcripts(
        "all", [Transcript(f"{n}", tuple(map(Step, one))) for n, one in enumerate(episodes(3, 60))]
    )
    found = read(audit)
    for measure in MEASURES.values():
        if measure.part.startswith("relies_"):
            continue
        row = found.row(measure.words)
        sums = audit.tally.sums
        assert row[-1] == f"{sums[measure.part]:,} of {sums[measure.whole]:,}"
    share = audit.tally.share("relies")
    assert found.row(MEASURES["relies"].words)[2] == (
        f"{share.value:.0%} {share.low:.0%} to {share.high:.0%}"
    )


def test_the_parts_of_the_bar_are_all_later_blocks():
    guards = 'if "r" not in globals():\n    r = 3'
    audit = audit_transcripts(
        "s", [*transcripts([*KEEPS, guards, "print(1)"]), *transcripts(AGAIN)]
    )
    page = audit_page([audit])
    bar = re.search(r'<svg[^>]*aria-label="(rely[^"]*)"[^>]*>(.*?)</svg>', page)
    assert bar
    widths = [float(one) for one in re.findall(r'width="([\d.]+)%"', bar.group(2))]
    assert len(widths) == 4 and sum(widths) == pytest.approx(100, abs=0.1)
    assert bar.group(1).count("%") == 4


def test_what_is_relied_on_and_how_far_back_it_was_bound(keeps):
    page = audit_page([keeps])
    assert read(keeps).row("a function")[-1] == "40 of 40"
    assert read(keeps).row("a class")[-1] == "0 of 40"
    assert "1: 50%, 2: 50%, 3: 0%" in page


def test_what_followed_a_missing_name():
    steps = (
        Step("x = [1, 2]"),
        Step("print(y)", error_type="NameError", error="name 'y' is not defined", line=1),
        Step("y = 1\nprint(y)"),
    )
    found = read(audit_transcripts("s", [Transcript(f"{n}", steps) for n in range(3)]))
    assert found.row("only the missing name was bound") == [
        "only the missing name was bound",
        "100%",
        "3",
    ]
    assert ["missing", "y"] in found.marked
    assert "NameError: name 'y' is not defined" in found.text


def test_the_names_that_a_block_relies_on_are_marked_and_no_other():
    found = read(audit_of(KEEPS[0], "print(area(r), nobody, [n for n in range(3)])"))
    legend = 3
    assert found.marked[legend:] == [["relied", "area"], ["relied", "r"]] * 4
    assert "relies on area (function)r (data)" in found.text
    assert "easy/0, step 2" in found.text


def test_marks_stand_at_letters_not_bytes():
    audit = audit_of("größe = 1", 'print("größe 日本 🎒", größe); print(größe)')
    assert read(audit).marked[3:5] == [["relied", "größe"]] * 2


def test_what_is_said_again_is_marked_whole(again):
    marked = {name for kind, name in read(again).marked if kind == "restated"}
    assert {"import math", "r = [3, 4]"} <= marked


def test_a_statement_that_goes_on_beyond_what_is_shown_is_marked_to_there():
    block = "table = [\n" + "    1,\n" * 60 + "]"
    marked = dict(map(reversed, read(audit_of(block, block)).marked))
    assert marked["table = [\n" + "    1,\n" * 39] == "restated"


def test_marks_of_a_block_with_lines_of_ipython_stand_where_they_should():
    audit = audit_of("data = [1, 2]", "%matplotlib inline \ud800\nprint(data)")
    assert ["relied", "data"] in read(audit).marked


EVIL = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>&amp;\x1b[31m\ud800\u202e"


@pytest.fixture
def hostile():
    """Markup and worse in every text that a transcript has."""
    steps = (
        Step(f"x = [1, 2]  # {EVIL.replace(chr(0xD800), '')}"),
        Step(
            f"print(x)\nx = '''{EVIL[:-2]}'''",
            EVIL,
            EVIL,
            "NameError",
            f"name '{EVIL}' is not defined",
        ),
        Step(EVIL, EVIL, EVIL, EVIL, EVIL),
        Step("x = [1, 2]", EVIL, EVIL),
        Step("print(x, z)", "", EVIL, "NameError", "name 'z' is not defined"),
    )
    found = [Transcript(EVIL, steps, {"who": f"{EVIL}{n}"}) for n in range(20)]
    return audit_transcripts(EVIL, found, by="who")


def test_nothing_of_a_transcript_is_markup(hostile):
    page = audit_page([hostile, hostile])
    found = Read(page)
    page.encode()  # no half letters
    assert not {"script", "img", "link", "iframe", "a"} & {*found.tags}
    assert not [name for name, _ in found.attributes if name.startswith("on") or name in FETCHES]
    assert "\x1b" not in page and "\u202e" not in page
    assert "<script>alert(1)</script>" in found.text


def test_the_page_fetches_nothing_and_runs_nothing(keeps):
    page = audit_page([keeps])
    assert "default-src 'none'" in page
    assert not re.search(r"url\((?!#)|@import|https?:", page)


def test_what_is_too_long_is_cut_and_says_so():
    long = 1_000_000
    source, ident, group = (letter * long for letter in "stg")
    steps = (
        Step(f"name = '{'q' * long}'"),
        Step(f"print(name, '{'w' * long}')", observation="o" * long),
        Step("print(name)\n" * 5000),
        Step(f"{'n' * long} = [1]"),
    )
    found = audit_transcripts(source, [Transcript(ident, steps, {"who": group})], by="who")
    page = audit_page([found])
    assert len(page.encode()) < 60_000
    assert f"… {long - 500:,} more characters" in page
    assert re.search(r"… 99\d,\d{3} more characters</span></pre>", page)
    assert "… 59,520 more characters" in page  # 40 of 5,000 lines of 12


def test_a_page_of_the_worst_blocks_is_below_400_kb():
    """Every letter a part of its own, four bytes long where it can be."""
    dense = "; ".join(f"n{n}" for n in range(400))
    first = "\n".join(f"n{n} = {n}" for n in range(400))
    wide = "print(n1, '" + "🎒" * 1500 + "')"
    quotes = "n2+" + "+".join(["''"] * 500)
    error = {"error_type": "NameError", "error": "name 'zz' is not defined"}
    blocks = [*map(Step, (first, dense, wide, quotes, first)), Step(f"{dense}; zz", **error)]
    found = [
        Transcript(
            "🎒" * 300 + str(number),
            tuple(blocks) if number < 8 else (Step("x = 1"), Step("print(x)")),
            {"who": "🎒" * 59 + chr(0x1F300 + number)},
        )
        for number in range(120)
    ]
    audit = audit_transcripts("🎒" * 1000, found, by="who")
    page = audit_page([audit, audit])
    assert len(page.encode()) < 400_000
    assert "more blocks are left out" in page
    assert "20 groups with the smallest shares are left out" in page


def test_groups_stand_in_order_of_their_shares_with_their_verdicts():
    found = [
        *transcripts(AGAIN, 40, "says it again"),
        *transcripts(KEEPS, 20, "keeps it"),
        *transcripts(["print(1)"], 5, "one block"),
        *transcripts([*KEEPS, *AGAIN], 40, "both"),
    ]
    audit = audit_transcripts("s", found, by="task")
    rows = [row for row in read(audit).rows if row[0] in audit.groups]
    assert [row[0] for row in rows] == ["keeps it", "both", "says it again", "one block"]
    for row in rows:
        assert row[3].split(maxsplit=1)[1] == verdict_of(audit.groups[row[0]]).teaches
    assert rows[0][-1] == "40"


def test_two_audits_stand_side_by_side_and_their_difference_in_words(keeps, again):
    found = read(keeps, again)
    one, other = (audit.tally.share("relies") for audit in (keeps, again))
    assert "A: keeps.jsonl" in found.text and "B: again.jsonl" in found.text
    for share in (one, other):
        low, high = (f"{value:.0%}" for value in (share.low, share.high))
        assert f"{share.value:.0%} (95% interval {low} to {high})" in found.text
    assert (
        "100 points fewer. The two intervals do not overlap. A: persistent; B: reset." in found.text
    )
    assert "100 points more" in read(again, keeps).text
    assert "as many. The two intervals overlap. Both: persistent." in read(keeps, keeps).text


def test_both_of_two_audits_are_drawn_on_one_scale(keeps):
    """Equal shares have columns of equal height, and the highest of both fills its picture."""
    thirds = audit_of(*KEEPS, "print(r)")
    page = audit_page([thirds, keeps])
    columns = re.findall(r'<svg class="back".*?</svg>', page)
    heights = [float(re.search(r'height="([\d.]+)"/>', one).group(1)) for one in columns]
    assert heights == [56, 84]


def test_a_source_without_a_later_block_has_its_page_too(keeps):
    alone = audit_of("x = 1")
    assert "too little to say" in read(alone).text
    assert "nothing to compare" in read(keeps, alone).text
    assert "nan" not in audit_page([alone]).lower()


def test_the_same_audit_gives_the_same_page(keeps):
    assert audit_page([keeps]) == audit_page([audit_of(*KEEPS, source="keeps.jsonl")])


@pytest.mark.parametrize("number", [0, 3])
def test_another_number_of_audits_is_refused(keeps, number):
    with pytest.raises(ValueError, match="one audit or two"):
        audit_page([keeps] * number)


def test_every_table_has_a_caption_and_every_picture_a_name_or_is_passed_over(keeps, again):
    page = audit_page([keeps, again])
    assert page.count("<table") == page.count("<caption>")
    for picture in re.findall(r"<svg[^>]*>", page):
        assert "aria-label=" in picture or 'aria-hidden="true"' in picture
