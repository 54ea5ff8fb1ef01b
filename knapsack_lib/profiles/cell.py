"""A cell of the study: who plays which tasks in which runtime."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["ARMS", "DIFFICULTIES", "REACT", "RUNTIMES", "SCRIPTED", "TRAININGS", "Cell"]

RUNTIMES = ("persistent", "reset")
REACT = "react"  # one tool call a turn and no interpreter: a training, and a runtime
TRAININGS = ("base", *RUNTIMES)
ARMS = (*RUNTIMES, REACT)  # kinds of traces, and what can be trained on them
DIFFICULTIES = ("easy", "medium")
# Who plays scripted episodes: training traces, and the yardstick on the test tasks
SCRIPTED = ("teacher", "expert")


@dataclass(frozen=True, order=True)
class Cell:
    """`train` names the traces that the model was trained on, or `base`, or who else plays (SCRIPTED). `runtime` is the
    interpreter's persistence mode, or `react`, where there is no interpreter. `train_seed` says which of a training's adapters plays; 0: nothing was trained."""

    family: str
    train: str
    runtime: str
    difficulty: str
    train_seed: int = 0

    @property
    def name(self) -> str:
        """As files are called: persistent-reset-easy, and -train2 for the second adapter."""
        return joined(self.train, self.runtime, self.difficulty, train_seed=self.train_seed)

    @property
    def label(self) -> str:
        """As figures and messages call it."""
        seed = f", training seed {self.train_seed}" if self.train_seed > 1 else ""
        return f"{self.train} \N{RIGHTWARDS ARROW} {self.runtime}, {self.difficulty}{seed}"

    @property
    def path(self) -> str:
        """Where its episodes are, in the folder of a run."""
        if self.train == "teacher":
            return f"teacher/{joined(self.runtime)}"
        return f"expert/{self.difficulty}" if self.train == "expert" else f"cells/{self.name}"

    @property
    def adapter(self) -> str:
        """Where the adapter that plays it is, in the folder of a run. Meaningless for what is not trained."""
        return f"adapters/{joined(self.train, train_seed=self.train_seed)}"

    @property
    def arguments(self) -> dict[str, Any]:
        """The parameters of notebook 04 that play it."""
        seed = {"train_seed": self.train_seed} if self.train_seed > 1 else {}
        return {"train": self.train, "runtime": self.runtime, "difficulty": self.difficulty, **seed}

    @property
    def labels(self) -> dict[str, Any]:
        """Its fields, as columns of a frame."""
        return asdict(self)


def joined(*words: str, train_seed: int = 0) -> str:
    """The name of an output. The first adapter goes without a number."""
    # Ttl:3 -> ttl3: some file systems have no colon in a name
    plain = "-".join(words).replace(":", "")
    return f"{plain}-train{train_seed}" if train_seed > 1 else plain
