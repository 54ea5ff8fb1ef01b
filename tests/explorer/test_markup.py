"""Texts as HTML: nothing that a model or a tool wrote is markup, nothing of it is dropped unsaid,
code keeps every letter."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knapsack_lib.explorer.markup import CSS, LONGEST, PICTURES, chip, code, page, text
from knapsack_lib.explorer.reading import Mark

CONTROLS = [
    chr(n) for n in range(0x110000) if unicodedata.category(chr(n)) == "Cc" and chr(n) not in "\n\t"
]
# Change the direction of what follows
TURNING = [*"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"]
TEXTS = [
    "",
    "plain",
    "<b>&amp;</b>",
    "a < b > c & d \" e ' f",
    "</pre></style><!-- ]]> -->",
    "tab\tline\n\n end ",
    "größe 日本 🎒",
]
PIECES = [
    "def f",
    "class K:",
    "(",
    ")",
    "'",
    '"',
    '"""',
    "f'",
    "rb'",
    "{",
    "}",
    "{x!r:>3}",
    "#",
    "\\",
    "\n",
    "\r\n",
    "\t",
    "    ",
    " ",
    "0x1f",
    "1.5e",
    "é",
    "日",
    "🎒",
    "<b>",
    "</mark>",
    "&amp;",
    "&#60",
    "<!--",
    "\0",
    "\x1b[31m",
    "import",
    "@",
    "lambda",
    "not in",
    "$",
    "?",
    "\u2028",
    "\u202e",
]
SHOWN = {"text": text, "chip": chip, "code": code}


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
@pytest.mark.parametrize("written", TEXTS)
def test_a_text_is_shown_as_it_was_written_and_none_of_it_is_an_element(parse, show, written):
    found = parse(show(written))
    assert found.text == written and {tag for tag, _ in found.tags} <= {"span"}


@pytest.mark.parametrize("value", [None, 3, 0.5, ["<b>"], {"<": ">"}, ValueError("<i>")])
def test_a_value_that_is_no_text_is_shown_as_its_text(parse, value):
    assert parse(text(value)).text == str(value) and not parse(text(value)).tags


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
@pytest.mark.parametrize("controls", [CONTROLS, TURNING], ids=["controls", "direction"])
def test_control_characters_are_shown_as_pictures(parse, show, controls):
    assert len(controls) in (63, 9)
    raw = [
        f"U+{ord(one):04X}"
        for one in controls
        if one in show(f"a{one}b") or len(parse(show(f"a{one}b")).text) != 3
    ]
    assert raw == []


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
def test_half_a_character_can_be_written_to_a_file(parse, show):
    """JSON may hold one; UTF-8 cannot."""
    shown = show("a\ud800b\udfff = 'c'")
    shown.encode("utf-8")
    assert len(parse(shown).text) == len("a.b. = 'c'")


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
def test_of_a_long_text_the_rest_is_counted(parse, show):
    shown = parse(show("x = 1  # <b>\n" * 40_000)).text
    assert shown.startswith("x = 1  # <b>\n" * 1000) and len(shown) < LONGEST + 100
    assert shown.endswith(f"{13 * 40_000 - LONGEST:,} more characters")
    assert parse(show("x" * LONGEST)).text == "x" * LONGEST


# Code ---------------------------------------------------------------------------------------------

MARKS = st.lists(
    st.builds(
        Mark, st.integers(0, 40), st.integers(0, 45), st.sampled_from(["missing", "restated"])
    ),
    max_size=6,
)


@given(
    st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=30).map("".join)),
    MARKS,
)
@settings(max_examples=400, deadline=None)
def test_code_without_its_tags_is_the_source_and_exactly_the_marked_parts_are_marked(
    parse, source, marks
):
    found = parse(code(source, marks))
    assert found.text == source.translate(PICTURES) and len(found.text) == len(source)
    assert {tag for tag, _ in found.tags} <= {"span", "mark"}
    for place, kind in enumerate(found.marks):
        kinds = {mark.kind for mark in marks if mark.start <= place < mark.end}
        assert kind == ("missing" if "missing" in kinds else "restated" if kinds else "")


def test_python_is_coloured_by_what_it_is():
    shown = code("def f(n):\n    return 'a', 1.5, not n  # why\nimport os\nprint(None)")
    for kind, piece in [
        ("k", "def"),
        ("nf", "f"),
        ("m", "1.5"),
        ("k", "not"),
        ("c", "# why"),
        ("k", "import"),
        ("k", "None"),
    ]:
        assert f'<span class="{kind}">{piece}</span>' in shown, piece
    assert "<span" not in code("xs = ys")


def test_a_mark_across_colours_stays_one_mark_and_says_what_it_is(parse):
    found = parse(code("x = [12, 'é']; y", [Mark(4, 13, "restated"), Mark(15, 16, "missing")]))
    assert [(one["class"], one["title"]) for one in found.all("mark")] == [
        ("restated", "restates what was shown before"),
        ("missing", "no such name at this point"),
    ]


# Pages --------------------------------------------------------------------------------------------


def test_a_page_forbids_scripts_and_fetching_before_anything_else_is_read(parse):
    html = page("</title><script>alert(1)</script>", "<p>body</p>")
    found = parse(html)
    assert html.startswith("<!doctype html>") and found.all("html") == [{"lang": "en"}]
    policy = [
        one["content"]
        for one in found.all("meta")
        if one.get("http-equiv") == "Content-Security-Policy"
    ]
    assert (
        len(policy) == 1
        and "default-src 'none'" in (policy[0] or "")
        and "script-src" not in (policy[0] or "")
    )
    names = [name for name, _ in found.tags]
    assert names == ["html", "head", "meta", "title", "meta", "meta", "style", "body", "p"]
    assert "</title><script>alert(1)</script>" in found.text


def test_the_style_closes_nothing_and_fetches_nothing():
    assert "<" not in CSS and "url(" not in CSS and "@import" not in CSS
    assert all("ks" in rule.partition("{")[0] for rule in CSS.strip().split("}") if "{" in rule)
