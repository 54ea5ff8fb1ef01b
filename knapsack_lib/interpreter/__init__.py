"""A dual-mode Python interpreter for model-written code: a child process runs the code, the host keeps the world."""

from knapsack_lib.interpreter.host import Interpreter, Observation, Pool, ToolCall
from knapsack_lib.interpreter.persistence import MODES, Persistence, persistence_named

__all__ = ["MODES", "Interpreter", "Observation", "Persistence", "Pool", "ToolCall", "persistence_named"]
