"""A family in one file: find a hidden number by asking whether it is higher or lower.

CONTRIBUTING.md describes how a family is added; a test puts this file into a project's families/ and
runs a study with it.
"""

import re
from dataclasses import dataclass

import numpy as np

from knapsack_lib.families.base import Family, Metric, Task, ToolError
from knapsack_lib.messages import Reply
from knapsack_lib.seeds import named_seed

HALVE = """\
for _ in range({calls}):
    if answer == 'right': break
    middle = (low + high) // 2
    answer = guess(middle)
    low = middle if answer == 'right' else middle + 1 if answer == 'higher' else low
    high = middle if answer == 'right' else middle - 1 if answer == 'lower' else high
print('between', low, high, answer)"""


@dataclass(frozen=True)
class Size:
    highest: int
    guesses: int


class World:
    def __init__(self, task):
        self.public, self.hidden = task.public, task.private["number"]
        self.asked, self.done = [], False
        self.tools = {"guess": self.guess, "finish": self.finish}

    def facts(self):
        return dict(self.public)

    def guess(self, number):
        highest = self.public["highest"]
        if type(number) is not int or not 1 <= number <= highest:
            raise ToolError("ValueError", f"give a whole number from 1 to {highest}")
        if len(self.asked) >= self.public["guesses"]:
            raise ToolError("RuntimeError", "no guesses are left")
        self.asked.append(number)
        if number == self.hidden:
            return "right"
        return "higher" if number < self.hidden else "lower"

    def finish(self):
        self.done = True

    def result(self):
        nearest = min((abs(number - self.hidden) for number in self.asked), default=None)
        score = 0.0 if nearest is None else 1 - nearest / self.public["highest"]
        return {"score": score, "solved": nearest == 0, "guesses": len(self.asked)}


class Expert:
    """Halves the range that is left. `persistent` keeps it in variables, `reset` writes it again."""

    def __init__(self, style):
        self.style = style

    def reply(self, messages):
        calls = re.search(r"at most (\d+) tool calls", messages[0]["content"])[1]
        highest = re.search(r"from 1 to (\d+)", messages[1]["content"])[1]
        found = re.findall(r"between (\d+) (\d+) (\w+)", messages[-1]["content"])
        low, high, answer = found[-1] if found else (1, highest, "")
        known = f"low, high, answer = {low}, {high}, {answer!r}\n"
        if answer == "right":
            return Reply("That is it.\n```python\nfinish()\n```")
        restated = known if self.style == "reset" or not found else ""
        return Reply(f"I halve the range.\n```python\n{restated}{HALVE.format(calls=calls)}\n```")


class Toy(Family):
    name = "toy"
    tools = ("guess", "finish")
    sizes = {"short": Size(60, 8), "long": Size(900, 12)}
    tools_text = dict.fromkeys(("brief", "full"), "guess(number), finish()")
    task_text = dict.fromkeys(
        ("brief", "full"), "Find the number from 1 to {highest}. You have {guesses} guesses."
    )
    metrics = {"guesses": Metric("guesses", lambda result: result["guesses"], "int64")}

    def make_task(self, size, *, seed, split, index):
        size = self.size(size) if isinstance(size, str) else size
        drawn = named_seed(seed, self.name, size.highest, split, index)
        number = int(np.random.default_rng(drawn).integers(1, size.highest + 1))
        return Task(
            task_id=f"{self.name}-{split}-{index:05d}",
            family=self.name,
            seed=drawn,
            difficulty={"needed": size.highest.bit_length(), **vars(size)},
            tools=list(self.tools),
            public=dict(vars(size)),
            private={"number": number},
            reference={"number": number},
            nl=f"A hidden number up to {size.highest}.",
            run_name=f"{self.name}-{split}",
        )

    def world(self, task):
        return World(task)

    def expert(self, style, setting, seed):
        return Expert(style)

    def attempted(self, result):
        return result["guesses"] > 0

    def progress(self, turns, result, task):
        asked = np.cumsum([sum(call["name"] == "guess" for call in calls) for calls in turns])
        return [{"guesses": float(count)} for count in asked]

    def picture(self, turns, task):
        told = [call for calls in turns for call in calls if not call["error"]]
        asked = [call["args"][0] for call in told if call["name"] == "guess"]
        width = 400 / (task.public["highest"] if task else max(asked, default=1))
        dots = "".join(f'<circle cx="{number * width:.1f}" cy="10" r="4"/>' for number in asked)
        return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 20">{dots}</svg>'


FAMILY = Toy()
