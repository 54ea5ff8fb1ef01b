"""The explorer in JupyterLab: find an episode, read it, compare it with another, play it again.

    Explorer(open_catalogue("pocket-seeds"))

Keys while a pane has the focus: left and right for turns (Home and End for the first and last), up
and down for episodes, page up and down for pages of the table.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as w
import pandas as pd
import traitlets

from knapsack_lib.errors import UserError
from knapsack_lib.explorer import pages
from knapsack_lib.explorer.catalogue import Catalogue
from knapsack_lib.explorer.markup import CSS, chip
from knapsack_lib.explorer.session import Session, register_magic, rerun
from knapsack_lib.interpreter.persistence import MODES
from knapsack_lib.profiles import Profile

__all__ = ["Explorer", "Pane"]

PAGE = 15  # rows
ANY = "any"
WELL = "(ended well)"
CHOICES = ("run", "train", "runtime", "difficulty", "finish_reason", "failure")
PLAYABLE = [*(mode for mode in MODES if mode != "ttl:k"), "ttl:1", "ttl:2", "ttl:3"]
BY_HAND = (
    "continue by hand: a cell that begins with %%turn is the next block, or "
    "explorer.session.run(...)"
)


class Pane(anywidget.AnyWidget):
    """HTML made here, shown there; clicks on rows and keys come back as messages."""

    _esm = Path(__file__).with_name("pane.js")
    _css = (
        CSS
        + ".ks-pane{padding:4px 6px;border:1px solid #ddd;overflow:auto}.ks-pane:focus{outline:2px solid #0072b2}"
    )
    html = traitlets.Unicode("").tag(sync=True)
    label = traitlets.Unicode("").tag(sync=True)


class Explorer(w.VBox):
    """`profile` is needed to play episodes again; `session` is the last one that was, to be
    continued by hand."""

    def __init__(self, catalogue: Catalogue, profile: Profile | None = None):
        self.catalogue, self.profile = catalogue, profile
        self.session: Session | None = None
        self.rows, self.page, self.order, self.descending = catalogue.frame, 0, "", False
        self.place, self.turn = -1, 1
        self._read = lru_cache(maxsize=8)(catalogue.read)
        self.table = Pane(label="episodes")
        self.reader = Pane(label="episode", html="<p>click a row to read its episode</p>")
        for pane in (self.table, self.reader):
            pane.on_msg(self._on_message)
        self.count, self.result = w.HTML(), w.HTML()
        paging = w.HBox([_button("◂", self, "PageUp"), _button("▸", self, "PageDown"), self.count])
        parts = [self._filters(), paging, self.table, self._actions(), self.reader, self.result]
        super().__init__(parts)
        register_magic()
        self._refresh()

    # Find -----------------------------------------------------------------------------------------

    def _filters(self) -> w.Widget:
        frame, wide = self.catalogue.frame, w.Layout(width="330px")
        most = int(frame.tokens.max())
        self.choices = {
            name: w.Dropdown(
                options=[ANY, *sorted({value or WELL for value in frame[name]})],
                description=pages.COLUMNS[name][0],
                layout=w.Layout(width="185px"),
            )
            for name in CHOICES
        }
        self.score = w.FloatRangeSlider(
            value=(0, 1), min=0, max=1, step=0.05, description="score", layout=wide
        )
        self.tokens = w.IntRangeSlider(
            value=(0, most), min=0, max=most, description="tokens", layout=wide
        )
        self.phrase = w.Text(
            placeholder="in any message", description="text", continuous_update=False, layout=wide
        )
        boxes = [*self.choices.values(), self.score, self.tokens, self.phrase]
        for box in boxes:
            box.observe(self._refilter, "value")
        return w.HBox(boxes, layout=w.Layout(flex_flow="row wrap"))

    def _refilter(self, change: Any = None) -> None:
        wanted = {
            name: "" if box.value == WELL else box.value
            for name, box in self.choices.items()
            if box.value != ANY
        }
        wanted["tokens"] = self.tokens.value
        if self.score.value != (0, 1):  # an episode without a score stays in until one is asked for
            wanted["score"] = self.score.value
        self.rows = self.catalogue.find(self.phrase.value, self.order, self.descending, **wanted)
        self.page = 0
        self._refresh()

    def _refresh(self) -> None:
        count = len(self.rows)
        self.page = min(max(self.page, 0), max(0, count - 1) // PAGE)
        first, last = self.page * PAGE, min((self.page + 1) * PAGE, count)
        self.table.html = pages.rows_table(
            self.rows.iloc[first:last], self.place, self.order, self.descending
        )
        self.count.value = (
            f"{min(first + 1, count)}–{last} of {count:,} episodes ({len(self.catalogue):,} in all)"
        )

    # Read -----------------------------------------------------------------------------------------

    def _actions(self) -> w.Widget:
        self.other = w.Dropdown(
            options=[("nothing", -1)],
            description="compare with",
            style={"description_width": "95px"},
            layout=w.Layout(width="435px"),
        )
        self.whole = w.ToggleButton(description="all turns", layout=w.Layout(width="100px"))
        self.runtime = w.Dropdown(
            options=PLAYABLE, description="play in", layout=w.Layout(width="190px")
        )
        self.again = w.Button(
            description="re-run to this turn", disabled=True, layout=w.Layout(width="150px")
        )
        self.other.observe(self._show, "value")
        self.whole.observe(self._show, "value")
        self.again.on_click(lambda button: self.rerun())
        parts = [self.other, self.whole, self.runtime, self.again]
        return w.HBox(parts, layout=w.Layout(flex_flow="row wrap"))

    def show(self, place: int, turn: int = 1) -> None:
        """Read this episode."""
        self.place, self.turn = place, turn
        others = self.catalogue.same_task(place)
        kept = self.other.value if self.other.value in others.index else -1
        with self.hold_trait_notifications():
            self.other.options = [
                ("nothing", -1),
                *(
                    (f"{row.train} → {row.runtime}, train seed {row.train_seed}", other)
                    for other, row in others.iterrows()
                ),
            ]
            self.other.value = kept
        self.again.disabled = self.profile is None or self.catalogue.task(place) is None
        self._refresh()
        self._show()

    def _show(self, change: Any = None) -> None:
        if self.place < 0:
            return
        shown = [self._read(place) for place in (self.place, self.other.value) if place >= 0]
        self.turn = min(max(self.turn, 1), max(len(readings) for _, readings in shown))
        cursor = 0 if self.whole.value else self.turn
        self.reader.html = pages.episodes_page(shown, cursor)

    # Keys and clicks ------------------------------------------------------------------------------

    def _on_message(self, pane: Pane, content: Any, buffers: Any) -> None:
        if not isinstance(content, dict):
            return
        place, order, key = (content.get(name) for name in ("place", "order", "key"))
        number = str(place) if isinstance(place, (str, int)) else ""
        if re.fullmatch("[0-9]{1,9}", number) and int(number) in self.catalogue.frame.index:
            self.show(int(number))
        elif isinstance(order, str) and order in self.catalogue.frame:
            self.descending = self.order == order and not self.descending
            self.order = order
            self._refilter()
        elif isinstance(key, str):
            self.press(key)

    def press(self, key: str) -> None:
        """What a key does."""
        turns = {"ArrowLeft": self.turn - 1, "ArrowRight": self.turn + 1, "Home": 1, "End": 10**6}
        if key in turns:
            self.turn = turns[key]
            self._show()
        elif key in ("ArrowUp", "ArrowDown"):
            self._neighbour(1 if key == "ArrowDown" else -1)
        elif key in ("PageUp", "PageDown"):
            self.page += 1 if key == "PageDown" else -1
            self._refresh()

    def _neighbour(self, step: int) -> None:
        places: pd.Index = self.rows.index
        if not len(places):
            return
        # get_indexer gives -1 where none of them is open.
        at = min(max(places.get_indexer([self.place])[0] + step, 0), len(places) - 1)
        self.page = at // PAGE
        self.show(int(places[at]))

    # Do -------------------------------------------------------------------------------------------

    def rerun(self) -> None:
        """Play the open episode's blocks again up to the turn shown, in the chosen runtime;
        `session` stands there."""
        if self.profile is None or self.again.disabled:
            self.result.value = chip("no task to play again", "bad")
            return
        episode, _ = self._read(self.place)
        task, count = self.catalogue.task(self.place), min(self.turn, len(episode.turns))
        try:
            self.session = rerun(
                episode, task, self.profile, runtime=self.runtime.value, turns=count
            )
        except UserError as error:
            self.result.value = chip(error, "bad")
        else:
            self.result.value = f'{self.session._repr_html_()}<p class="ks">{BY_HAND}</p>'


def _button(sign: str, explorer: Explorer, key: str) -> w.Button:
    """Does what a key does."""
    button = w.Button(description=sign, tooltip=key, layout=w.Layout(width="40px"))
    button.on_click(lambda _: explorer.press(key))
    return button
