"""Task families: worlds with hidden facts, reached only through tools. `FAMILIES` maps a family's name to its module."""

from knapsack_lib.families import knapsack
from knapsack_lib.families.base import Task, ToolError, World

FAMILIES = {"knapsack": knapsack}

__all__ = ["FAMILIES", "Task", "ToolError", "World"]
