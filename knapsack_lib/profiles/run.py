"""The places of one run. No other module spells a path under runs/."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from knapsack_lib.files import project_root
from knapsack_lib.profiles.cell import Cell
from knapsack_lib.seeds import named_seed

if TYPE_CHECKING:
    from knapsack_lib.profiles.profile import Profile

__all__ = ["Run"]


@dataclass(frozen=True)
class Run:
    """A profile under one root seed. Whoever writes into a folder makes it."""

    profile: Profile
    seed: int

    @property
    def is_default_seed(self) -> bool:
        return self.seed == self.profile.seed

    @property
    def root(self) -> Path:
        name = self.profile.name
        return (
            project_root() / "runs" / (name if self.is_default_seed else f"{name}-seed{self.seed}")
        )

    @property
    def published_root(self) -> Path:
        """Where figures/, paper/ and results/ go: the repository for the published profile and seed."""
        return project_root() if self.profile.published and self.is_default_seed else self.root

    @property
    def base_output(self) -> Path:
        """Where notebook 00 writes the pocket base: into the package for the published profile."""
        shipped = Path(__file__).parents[1] / "assets" / self.profile.training.base
        return shipped if self.profile.published else self.root / self.profile.training.base

    @property
    def marked_base(self) -> Path:
        """The base with the chat marks that it lacked: the same for every seed."""
        return project_root() / "runs" / self.profile.name / "base"

    def tasks(self, split: str) -> Path:
        return self.root / "tasks" / split

    def store(self, cell: Cell) -> Path:
        """Where a cell's episodes are."""
        return self.root / cell.path

    def adapter(self, cell: Cell) -> Path:
        """The adapter that plays a cell."""
        return self.root / cell.adapter

    def training_seed(self, what: str, train_seed: int) -> int:
        """The seed of a draw of one adapter's training: the same in both arms."""
        named = self.profile.training.seeds
        if named:
            own = named[train_seed - 1]
            return own if what == "fine-tune" else named_seed(own, what)
        return named_seed(self.seed, what, *([train_seed] if train_seed > 1 else []))
