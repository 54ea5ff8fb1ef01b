"""Pages of episodes, pairs and folders: whatever an episode holds is shown as text, and links
lead to pages."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from knapsack_lib.explorer import glance, pages
from knapsack_lib.explorer.catalogue import open_catalogue
from knapsack_lib.explorer.reading import read
from knapsack_lib.explorer.session import Played

POISONS = {
    "script": "<script>alert(1)</script>",
    "attribute": "\"><img src=x onerror=alert(1)>' onmouseover='alert(1)",
    "closing": "</pre></style></details></svg></title><iframe srcdoc='<script>alert(1)</script>'><base href=//x>",
    "ansi": "\x1b[31mred\x1b]8;;http://x\x07link\x9b0m",
    "nul": "a\0b\x08\x7f",
    "direction": "\u202etxt.exe\u2066 \u200f",
    "halves": "\ud83d|\udc00",
    "address": "javascript:alert(1)",
    "braces": "{{7*7}} ${7*7} {0} {value} %s",
    "long": "<b>&amp;" * 64_000,
}
PLAIN = "words"
ACTIVE = {"script", "img", "iframe", "object", "embed", "form", "input", "link", "base"}


@pytest.fixture
def rendered(tmp_path: Path, holding, store):
    """Everything that is made of an episode that holds one text everywhere: {what: HTML}."""

    def make(text: str) -> dict[str, str]:
        one = holding(text)
        folder = store(tmp_path / f"held{len(list(tmp_path.iterdir()))}", [one])
        catalogue = open_catalogue(folder)
        readings = read(one)
        written = pages.write_pages(catalogue, [0], folder / "pages")
        return {
            "index": written.read_text(encoding="utf-8"),
            "page": (folder / "pages" / "episode-000000.html").read_text(encoding="utf-8"),
            "rows": pages.rows_table(catalogue.frame, [0], "tokens", True),
            "pair": pages.episodes_page([(one, readings), (one, readings)]),
            "view": pages.view(catalogue, 0).data,
            "turn": pages.episodes_page([(one, readings)], 2),
            "glance": glance(folder).data,
            "played": Played(1, text, text, "another")._repr_html_(),
        }

    return make


@pytest.mark.parametrize("poison", POISONS)
def test_nothing_that_an_episode_holds_becomes_markup(rendered, parse, poison: str):
    """The same elements with the same attributes as of an episode of plain words, but for the
    <span> and <mark> of code."""
    held, plain = rendered(POISONS[poison]), rendered(PLAIN)
    for what, html in held.items():
        found, usual = (
            [
                (tag, sorted(attributes))
                for tag, attributes in parse(one).tags
                if tag not in ("span", "mark")
            ]
            for one in (html, plain[what])
        )
        assert found == usual and not ACTIVE & {tag for tag, _ in found}, what
        assert not any(
            name.startswith("on") or name in ("src", "style")
            for _, names in found
            for name in names
        ), what
        assert {one["href"] for one in parse(html).all("a")} <= {
            "index.html",
            "episode-000000.html",
        }, what
        for one in [*parse(html).all("span"), *parse(html).all("mark")]:
            assert set(one) <= {"class", "title"} and "alert" not in str(one), what
        assert [
            one
            for one in html
            if (ord(one) < 32 and one not in "\n\t") or one in "\x7f\x9b\u202e\u2066"
        ] == [], what
        html.encode("utf-8")
        assert len(html) < 2_500_000, what


@pytest.mark.parametrize("poison", ["script", "attribute", "closing", "address", "braces"])
def test_what_an_episode_holds_is_there_to_be_read(rendered, parse, poison: str):
    text = POISONS[poison]
    for what, html in rendered(text).items():
        assert parse(html).text.count(text) >= (
            12 if what in ("page", "pair", "view", "glance") else 1
        ), what


def test_a_long_episode_says_how_much_of_each_text_is_left_out(rendered, parse):
    found = parse(rendered(POISONS["long"])["page"]).text
    assert found.count(f"{len(POISONS['long']) - 20_000:,} more characters") >= 12


SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9">{}</svg>'


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        '<rect onclick="alert(1)"/>',
        '<rect ONCLICK="alert(1)"/>',
        '<rect style="fill:red"/>',
        '<rect fill="url(//x)"/>',
        r'<rect fill="u\72l(//x)"/>',
        '<a xmlns:x="http://www.w3.org/1999/xlink" x:href="javascript:alert(1)"/>',
        "<foreignObject/>",
        '<p xmlns="http://www.w3.org/1999/xhtml"/>',
        "<b>",
    ],
)
def test_a_picture_of_more_than_shapes_and_text_is_not_shown(parse, episode, turn, inside):
    """Whatever a family draws, and of whatever texts."""
    (reading,) = read(episode(turn()))
    found = parse(pages.turn(replace(reading, picture=SVG.format(inside))))
    assert {tag for tag, _ in found.tags} <= {"h2", "div", "pre", "span"}
    assert "the picture" in found.text and all(set(one) <= {"class"} for _, one in found.tags)


def test_what_a_picture_hides_from_its_reader_is_text_to_the_browser_too(parse, episode, turn):
    (reading,) = read(episode(turn()))
    title = "<title><![CDATA[ > <img src=x onerror=alert(1)>]]><!-- > <img> --></title>"
    found = parse(pages.turn(replace(reading, picture=SVG.format(f'<rect x="1"/>{title}'))))
    assert [tag for tag, _ in found.tags][-3:] == ["svg", "rect", "title"]
    assert "> <img src=x onerror=alert(1)>" in found.text


# Episodes -----------------------------------------------------------------------------------------


def test_a_turn_shows_its_words_its_block_what_came_back_and_what_it_did(
    parse, episode, turn, call
):
    item = call("inspect", "bafe", result='{"value":9,"weight":4}')
    first = turn(
        "seen = inspect('bafe')",
        "nothing",
        item,
        bindings=["seen"],
        reply="Look.\n```python\nseen = 1\n```\nSo.",
    )
    second = turn(
        "print(gone)",
        "NameError: gone (line 1)",
        error_type="NameError",
        state_lost=True,
        killed_by="time",
    )
    third = turn(None, None, reply="I stop here.")
    shown = [parse(pages.turn(one)).text for one in read(episode(first, second, third))]
    for words in (
        "Look.",
        "So.",
        "seen = inspect('bafe')",
        "nothing",
        "inspect('bafe')",
        '{"value":9,"weight":4}',
        "bindings: seen",
        "value taken 0 · weight used 0 · capacity left 20 · inspected 1",
        "10 + 5 tokens, 15 so far",
    ):
        assert words in shown[0], words
    assert "missing" in shown[1] and "all state was lost" in shown[1] and "30 so far" in shown[1]
    assert (
        "I stop here." in shown[2]
        and "not run: no_code" in shown[2]
        and "bindings: none" in shown[2]
    )


@pytest.mark.parametrize(
    "result",
    [{}, {"score": None}, {"score": math.nan}, {"score": 0.0}, {"score": 0.75, "value": 30}],
)
def test_a_heading_says_the_score_if_there_is_one_and_how_it_ended(parse, episode, result):
    shown = parse(pages.heading(episode(result=result, finish_reason="infrastructure"))).text
    score = result.get("score")
    assert (
        "ended by infrastructure" in shown
        and (f"score {score:.3f}" if score in (0, 0.75) else "no score") in shown
    )


def test_two_episodes_stand_turn_by_turn_and_the_shorter_one_has_ended(parse, episode, turn):
    short, long = (
        episode(turn("a = 1")),
        episode(*[turn(f"b = {n}") for n in range(3)], cell=("reset", "reset", 1)),
    )
    pair = [(one, read(one)) for one in (short, long)]
    whole, third, beyond = (parse(pages.episodes_page(pair, cursor)).text for cursor in (0, 3, 9))
    assert whole.count("this episode has ended") == 2 and third.count("this episode has ended") == 1
    assert "b = 2" in third and "b = 1" not in third and beyond.count("this episode has ended") == 2
    assert "base → persistent" in third and "reset → reset" in third and "(A)" not in whole
    nothing = pages.episodes_page([(episode(), []), (short, pair[0][1])])
    assert parse(nothing).text.count("this episode has ended") == 1


def test_two_episodes_of_one_cell_have_a_letter_each(parse, episode, turn):
    one, other = episode(turn(), turn()), episode(turn(), task="knapsack-easy-00001")
    html = pages.episodes_page([(one, read(one)), (other, read(other))])
    assert (
        "■ base → persistent (A)" in html
        and "■ base → persistent (B)" in html
        and html.count("<polyline") == 6
    )


# Folders ------------------------------------------------------------------------------------------


def test_every_link_of_written_pages_leads_to_a_page_and_the_same_call_gives_the_same_bytes(
    parse, committed, tmp_path
):
    places = list(committed.frame.index[::300])
    first, again = (
        pages.write_pages(committed, places, tmp_path / name) for name in ("one", "two")
    )
    files = {file.name: file.read_bytes() for file in first.parent.iterdir()}
    assert files == {file.name: file.read_bytes() for file in again.parent.iterdir()}
    assert len(files) == len(places) + 1
    linked = set()
    for data in files.values():
        found = parse(data.decode())
        linked |= {one["href"] for one in found.all("a")}
        assert [
            one for one in found.all("meta") if one.get("http-equiv") == "Content-Security-Policy"
        ]
        assert not {"script", "link", "img", "iframe"} & {name for name, _ in found.tags}
    assert linked == set(files)


def written(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "knapsack_lib.cli", "pages", "--profile", "smoke", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(pages.__file__).parents[2])}
    return subprocess.run(command, capture_output=True, encoding="utf-8", env=environment)


def test_the_command_writes_a_page_per_episode(project: Path):
    source = "runs/smoke/cells/base-persistent-easy-train0"
    done = written("--source", source, "--out", "kept", "--every", "1")
    assert (done.returncode, done.stdout) == (0, "wrote kept/index.html: 3 of 3 episodes\n"), (
        done.stderr
    )
    assert sorted(file.name for file in (project / "kept").iterdir()) == [
        "episode-000000.html",
        "episode-000001.html",
        "episode-000002.html",
        "index.html",
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--every", "0"], "Error: Invalid value for '--every': 0 is not in the range x>=1."),
        (["--source", "gone"], "error: no episodes in gone"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_and_writes_nothing(
    project: Path, arguments, expected
):
    done = written(*arguments)
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith(expected)
    assert done.stdout == "" and not (project / "runs" / "smoke" / "pages").exists()


def test_a_glance_folds_open_as_many_episodes_as_asked_spread_over_the_index(parse, nine):
    found = parse(glance("smoke", count=3).data)
    assert len(found.all("tr")) >= 4 and [
        one["data-place"] for one in found.all("tr") if "data-place" in one
    ] == [
        "0",
        "3",
        "6",
    ]
    assert found.text.count("knapsack-easy-00000") == 3 * 3


def test_a_last_turn_that_failed_says_by_what(parse, episode, turn):
    last = turn("print(1 / 0)", None, error_type="ZeroDivisionError", error="division by zero")
    shown = parse(
        pages.episodes_page([(one := episode(last, finish_reason="max_turns"), read(one))])
    ).text
    assert "ZeroDivisionError" in shown and "division by zero" in shown
