"""A Python interpreter for model-written code: confined child processes run the code, the host
keeps the world."""

from knapsack_lib.interpreter.host import Interpreter, Observation
from knapsack_lib.interpreter.persistence import MODES, Persistence, persistence_named
from knapsack_lib.interpreter.pool import Pool
from knapsack_lib.interpreter.tool_calls import ToolCall

__all__ = [
    "MODES",
    "Interpreter",
    "Observation",
    "Persistence",
    "Pool",
    "ToolCall",
    "persistence_named",
]
