"""The study as it is set: profiles, the cells they ask for, and where a run keeps them."""

from knapsack_lib.profiles.cell import (
    ARMS,
    DIFFICULTIES,
    REACT,
    RUNTIMES,
    SCRIPTED,
    TRAININGS,
    Cell,
)
from knapsack_lib.profiles.profile import COMMITTED, Profile, load_profile
from knapsack_lib.profiles.run import Run
from knapsack_lib.profiles.settings import (
    Analysis,
    Base,
    Evaluation,
    Gates,
    Gemini,
    InterpreterSettings,
    Limits,
    Mistakes,
    PromptOptions,
    Serving,
    TaskCounts,
    Teacher,
    Training,
    Varied,
)
from knapsack_lib.profiles.suite import Suite, load_suite

__all__ = [
    "ARMS",
    "COMMITTED",
    "DIFFICULTIES",
    "REACT",
    "RUNTIMES",
    "SCRIPTED",
    "TRAININGS",
    "Analysis",
    "Base",
    "Cell",
    "Evaluation",
    "Gates",
    "Gemini",
    "InterpreterSettings",
    "Limits",
    "Mistakes",
    "Profile",
    "PromptOptions",
    "Run",
    "Serving",
    "Suite",
    "TaskCounts",
    "Teacher",
    "Training",
    "Varied",
    "load_profile",
    "load_suite",
]
