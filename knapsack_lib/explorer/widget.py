"""The explorer in JupyterLab: find an episode, read it, set another beside it, play it again.

    Explorer(open_catalogue("pocket-seeds"))

Keys while a pane has the focus: left and right for turns (Home and End for the first and last), up
and down for episodes, page up and down for pages of the table.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as w
import pandas as pd
import traitlets

from knapsack_lib.episodes import Episode
from knapsack_lib.errors import UserError
from knapsack_lib.explorer import pages, plots
from knapsack_lib.explorer.catalogue import Catalogue
from knapsack_lib.explorer.markup import CSS, chip, text
from knapsack_lib.explorer.reading import Reading, read
from knapsack_lib.explorer.session import Session, register_magic, rerun
from knapsack_lib.interpreter.persistence import MODES
from knapsack_lib.profiles import Profile

__all__ = ["Explorer", "Pane"]

PAGE = 15
ANY = "any"
CHOICES = {
    "run": "run",
    "train": "trained on",
    "runtime": "acts in",
    "difficulty": "tasks",
    "finish_reason": "ended by",
    "failure": "failure",
}
WELL = "(ended well)"
PLAYABLE = [*(mode for mode in MODES if mode != "ttl:k"), "ttl:1", "ttl:2", "ttl:3"]


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
    """`study` is needed to play episodes again. `session` is the last one that was, to go on by
    hand."""

    def __init__(self, catalogue: Catalogue, study: Profile | None = None):
        self.catalogue, self.study = catalogue, study
        self.session: Session | None = None
        self.rows, self.page, self.order, self.descending = catalogue.frame, 0, "", False
        self.place, self.turn = -1, 1
        self._open: dict[int, tuple[Episode, list[Reading]]] = {}
        self.table = Pane(label="episodes")
        self.reader = Pane(
            label="episode", html="<p class=soft>click a row to read its episode</p>"
        )
        for pane in (self.table, self.reader):
            pane.on_msg(self._told)
        super().__init__(
            [self._filters(), self._pages(), self.table, self._actions(), self.reader, self.result]
        )
        register_magic()
        self._refresh()

    # Find -----------------------------------------------------------------------------------------

    def _filters(self) -> w.Widget:
        frame, small = self.catalogue.frame, w.Layout(width="185px")
        self.choices = {
            name: w.Dropdown(
                options=_options(frame[name]), value=ANY, description=label, layout=small
            )
            for name, label in CHOICES.items()
        }
        wide = w.Layout(width="330px")
        self.score = w.FloatRangeSlider(
            value=(0, 1), min=0, max=1, step=0.05, description="score", layout=wide
        )
        most = int(frame.tokens.max())
        self.tokens = w.IntRangeSlider(
            value=(0, most), min=0, max=most, description="tokens", layout=wide
        )
        self.words = w.Text(
            placeholder="text in any message",
            description="says",
            continuous_update=False,
            layout=wide,
        )
        for widget in (*self.choices.values(), self.score, self.tokens, self.words):
            widget.observe(self._refilter, "value")
        flow = w.Layout(flex_flow="row wrap")
        return w.VBox(
            [
                w.HBox(list(self.choices.values()), layout=flow),
                w.HBox([self.score, self.tokens, self.words], layout=flow),
            ]
        )

    def _pages(self) -> w.Widget:
        self.count, narrow = w.HTML(), w.Layout(width="40px")
        back, on = (
            w.Button(description=sign, tooltip=tip, layout=narrow)
            for sign, tip in (("◂", "page before"), ("▸", "next page"))
        )
        back.on_click(lambda button: self.press("PageUp"))
        on.on_click(lambda button: self.press("PageDown"))
        return w.HBox([back, on, self.count])

    def _refilter(self, change: Any = None) -> None:
        wanted = {
            name: "" if box.value == WELL else box.value
            for name, box in self.choices.items()
            if box.value != ANY
        }
        ranges = {"tokens": self.tokens.value}
        if self.score.value != (0, 1):  # an episode without a score stays in until one is asked for
            ranges["score"] = self.score.value
        self.rows = self.catalogue.find(
            self.words.value, self.order, self.descending, **wanted, **ranges
        )
        self.page = 0
        self._refresh()

    def _refresh(self) -> None:
        pages_ = max(1, -(-len(self.rows) // PAGE))
        self.page = min(max(self.page, 0), pages_ - 1)
        shown = self.rows.iloc[self.page * PAGE : (self.page + 1) * PAGE]
        self.table.html = pages.rows_table(shown, [self.place], self.order, self.descending)
        first = self.page * PAGE + 1 if len(self.rows) else 0
        last = min(first + PAGE - 1, len(self.rows))
        self.count.value = (
            f"{first}–{last} of {len(self.rows):,} episodes ({len(self.catalogue):,} in all)"
        )

    # Read -----------------------------------------------------------------------------------------

    def _actions(self) -> w.Widget:
        self.beside = w.Dropdown(
            options=[("nothing", -1)], description="beside it", layout=w.Layout(width="420px")
        )
        self.whole = w.ToggleButton(
            value=False, description="all turns", layout=w.Layout(width="100px")
        )
        self.mode = w.Dropdown(options=PLAYABLE, description="mode", layout=w.Layout(width="190px"))
        self.again = w.Button(
            description="re-run to this turn", disabled=True, layout=w.Layout(width="150px")
        )
        self.result = w.HTML()
        self.beside.observe(lambda change: self._show(), "value")
        self.whole.observe(lambda change: self._show(), "value")
        self.again.on_click(lambda button: self.rerun())
        return w.HBox(
            [self.beside, self.whole, self.mode, self.again], layout=w.Layout(flex_flow="row wrap")
        )

    def show(self, place: int, turn: int = 1) -> None:
        """Read this episode."""
        self.place, self.turn = place, turn
        with self.hold_trait_notifications():
            others = self.catalogue.same_task(place)
            names = [
                (f"{r.train} → {r.runtime}, seed {r.train_seed}", i) for i, r in others.iterrows()
            ]
            kept = self.beside.value if any(i == self.beside.value for _, i in names) else -1
            self.beside.options = [("nothing", -1), *names]
            self.beside.value = kept
        self.again.disabled = self.study is None or self.catalogue.task(place) is None
        self._refresh()
        self._show()

    def _episode(self, place: int) -> tuple[Episode, list[Reading]]:
        if place not in self._open:
            episode = self.catalogue.open(place)
            self._open = {
                **dict(list(self._open.items())[-7:]),
                place: (episode, read(episode, self.catalogue.task(place))),
            }
        return self._open[place]

    def _show(self) -> None:
        if self.place < 0:
            return
        pair = [self._episode(self.place)]
        if self.beside.value >= 0:
            pair.append(self._episode(self.beside.value))
        self.turn = min(max(self.turn, 1), max(len(readings) for _, readings in pair))
        if len(pair) == 2:
            self.reader.html = pages.comparison(pair, 0 if self.whole.value else self.turn)
        elif self.whole.value:
            self.reader.html = pages.episode_page(*pair[0])
        else:
            self.reader.html = self._one_turn(*pair[0])

    def _one_turn(self, episode: Episode, readings: list[Reading]) -> str:
        if not readings:
            return pages.heading(episode) + pages.opening(episode)
        strip = "".join(
            chip(
                r.number,
                ("bad " if r.trouble else "") + ("changed" if r.number == self.turn else ""),
            )
            for r in readings
        )
        plot = plots.svg({pages.cell_of(episode): readings}, self.turn)
        return (
            pages.heading(episode)
            + pages.opening(episode)
            + plot
            + f"<div>{strip}</div>"
            + pages.turn(readings[self.turn - 1])
        )

    # Keys and clicks ------------------------------------------------------------------------------

    def _told(self, pane: Pane, content: Any, buffers: Any) -> None:
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
        places = self.rows.index
        if not len(places):
            return
        at = (
            int(pd.Index(places).get_loc(self.place))
            if self.place in places
            else -1
            if step > 0
            else 0
        )
        at = min(max(at + step, 0), len(places) - 1)
        self.page = at // PAGE
        self.show(int(places[at]))

    # Do -------------------------------------------------------------------------------------------

    def rerun(self) -> None:
        """Play the open episode's blocks again up to the turn shown, in the chosen mode; `session`
        stands there."""
        task = self.catalogue.task(self.place) if self.place >= 0 else None
        if task is None or self.study is None:
            self.result.value = chip("no task to play again", "bad")
            return
        episode, _ = self._episode(self.place)
        if self.session is not None:
            self.session.close()
        try:
            count = min(self.turn, len(episode.turns))
            self.session = rerun(episode, task, self.study, mode=self.mode.value, turns=count)
        except UserError as error:
            self.result.value = chip(error, "bad")
            return
        told = "go on by hand: a cell that begins with %%turn is the next block, or explorer.session.run(...)"
        self.result.value = self.session._repr_html_() + f'<p class="ks soft">{text(told)}</p>'


def _options(column: pd.Series) -> list[str]:
    values = sorted(column.unique())
    return [ANY, *(WELL if value == "" else str(value) for value in values)]
