"""Suites: several studies that are run one beside the other and told of together.

    suite = load_suite("families")      # None where params/families.yaml is the profile of one study
    for run in suite.runs(): ...

A suite is a file of params/ that names profiles, each a whole study with a run of its own.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError, field_validator

from knapsack_lib.errors import UserError, first_problem
from knapsack_lib.files import project_root
from knapsack_lib.profiles.profile import load_profile, read_settings
from knapsack_lib.profiles.run import Run
from knapsack_lib.profiles.settings import Strict

__all__ = ["Suite", "load_suite"]


class Suite(Strict):
    """Studies under one name. They are told apart by the names of their profiles."""

    name: str = Field(description="that of its file: outputs go to runs/<name>")
    about: str = Field(description="one line for people")
    studies: tuple[str, ...] = Field(min_length=1, description="names of profiles, in order")
    published: bool = Field(
        default=False, description="true: figures/, paper/ and results/ of the repository hold it"
    )

    @field_validator("studies")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"names {twice} twice")
        return names

    def runs(self, seed: int | None = None) -> list[Run]:
        """The run of every study under one root seed (each profile's own by default). Raises UserError as load_profile
        does, and for a study that is a suite itself."""
        return [load_profile(name).run(seed) for name in self.studies]

    def root(self, seed: int | None = None) -> Path:
        """Where figures/, paper/ and results/ go."""
        if self.published and seed is None:
            return project_root()
        return project_root() / "runs" / (self.name if seed is None else f"{self.name}-seed{seed}")


def load_suite(name: str) -> Suite | None:
    """Read params/<name>.yaml (or a path that ends in .yaml); None where it is a profile. Raises UserError with one line
    for a missing file, an unknown key or a bad value."""
    path, data = read_settings(name)
    if not isinstance(data, dict) or "studies" not in data:
        return None
    try:
        return Suite.model_validate({**data, "name": path.stem})
    except ValidationError as error:
        raise UserError(
            f"{path.name}: {first_problem(error)}; correct that line and run again"
        ) from None
