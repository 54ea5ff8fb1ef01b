"""How varied the teachers' blocks are, beside those of five real models; docs/varied-teacher.md quotes what this prints.

    python benchmarks/variety.py                                          # the teachers: benchmarks/variety.txt
    python benchmarks/variety.py <folder or archive of MINT-bench outputs>  # the models: results/in-the-wild/variety.csv

Notebook 02 shows the same measures of its traces, and that file beside them.
"""

import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import pandas as pd

from knapsack_lib.analysis.output import write_csv
from knapsack_lib.audit.formats import read_transcripts
from knapsack_lib.audit.formats.episodes import transcript_of
from knapsack_lib.audit.variety import variety_table
from knapsack_lib.families import family_named
from knapsack_lib.families.varied.hand import VARIETY
from knapsack_lib.files import project_root, write_whole
from knapsack_lib.policies.scripted import ScriptedPolicy
from knapsack_lib.profiles import RUNTIMES, Cell, load_profile
from knapsack_lib.rollouts import Rollouts
from knapsack_lib.store import read_episodes

TASKS = 250
MODELS = (
    "gpt-4-0613",
    "gpt-3.5-turbo-0613",
    "Meta-Llama-3-70B-Instruct",
    "CodeLlama-34b-Instruct-hf",
    "CodeActAgent-Mistral-7b-v0.1",
)


def played(name, style, variety=""):
    """The teacher of a profile on tasks of `pocket-easy`, and its episodes' mean score and share of finished ones."""
    profile, family = load_profile(name), family_named("knapsack")
    teacher = profile.teacher
    if variety:
        varied = teacher.varied.model_copy(update={"variety": variety})
        teacher = teacher.model_copy(update={"varied": varied})
    tasks = [family.make_task("pocket-easy", seed=3, split="x", index=i) for i in range(TASKS)]
    policy = ScriptedPolicy("knapsack", style, teacher, varied=bool(variety))
    with tempfile.TemporaryDirectory() as folder:
        cell, store = Cell("knapsack", "teacher", style, "easy"), Path(folder) / "store"
        Rollouts(policy, cell, profile, seed=3, shard=50).run(tasks, store, "key")
        return list(read_episodes(store, ""))


def teachers():
    sources = {f"scripted, {style}": played("pocket", style) for style in RUNTIMES}
    for variety in VARIETY:
        for style in RUNTIMES:
            sources[f"varied {variety}, {style}"] = played("varied", style, variety)
    table = variety_table({name: map(transcript_of, found) for name, found in sources.items()})
    means = pd.DataFrame(
        {
            "score": [sum(e.result["score"] for e in found) / TASKS for found in sources.values()],
            "finished": [
                sum(e.finish_reason == "finish" for e in found) / TASKS
                for found in sources.values()
            ],
        }
    )
    text = f"{TASKS} tasks of pocket-easy, shares of mistakes as in params/varied.yaml\n"
    text += table.join(means).round(3).to_string(index=False) + "\n"
    write_whole(Path(__file__).with_suffix(".txt"), text)
    print(text, end="")


def models(source):
    found = defaultdict(list)
    for transcript in read_transcripts(source, "mint"):
        found[transcript.labels["model"]].append(transcript)
    missing = [model for model in MODELS if model not in found]
    if missing:
        sys.exit(f"no episodes of {', '.join(missing)}; there are: {', '.join(sorted(found))}")
    table = variety_table({model: found[model] for model in MODELS})
    place = project_root() / "results" / "in-the-wild" / "variety.csv"
    made = "MINT-bench outputs without feedback, blocks of five models (benchmarks/variety.py)"
    write_csv(table, place, made)
    print(table.to_string(index=False))


if __name__ == "__main__":
    models(sys.argv[1]) if len(sys.argv) > 1 else teachers()
