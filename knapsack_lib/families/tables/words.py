"""What tables and columns are called: three kinds of places, each with words of its own.

All words of a theme differ, none is a keyword of SQL, and each can be part of a question as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["THEMES", "Theme"]


@dataclass(frozen=True)
class Theme:
    """`events` are what is counted and summed, `things` what they are about; both are names of tables. `labels` are
    columns of text, `numbers` of integers."""

    events: tuple[str, ...]
    things: tuple[str, ...]
    labels: tuple[str, ...]
    numbers: tuple[str, ...]


THEMES = {
    "shop": Theme(
        tuple("sale orders tickets".split()),
        tuple("item store depot shelf stock room parcels bag batch buyer".split()),
        tuple("town kind color state".split()),
        tuple("cost tax paid price units".split()),
    ),
    "clinic": Theme(
        tuple("visit test exam".split()),
        tuple("ward bed drug room lab team unit doctor guests nurse".split()),
        tuple("town kind shift side".split()),
        tuple("fee days age dose hours".split()),
    ),
    "sensors": Theme(
        tuple("log reading alarm".split()),
        tuple("sensor site rack zone hub gate crew pole room station".split()),
        tuple("kind maker mode state".split()),
        tuple("heat level volts rain speed".split()),
    ),
}
