"""How varied the blocks of five real models are: writes results/in-the-wild/variety.csv, which notebook 02 shows beside the
teacher's own.

    python benchmarks/variety.py <folder or archive of MINT-bench outputs>
"""

import sys
from collections import defaultdict

from knapsack_lib.analysis.output import write_csv
from knapsack_lib.audit.formats import read_transcripts
from knapsack_lib.audit.variety import variety_table
from knapsack_lib.files import project_root

MODELS = (
    "gpt-4-0613",
    "gpt-3.5-turbo-0613",
    "Meta-Llama-3-70B-Instruct",
    "CodeLlama-34b-Instruct-hf",
    "CodeActAgent-Mistral-7b-v0.1",
)

found = defaultdict(list)
for transcript in read_transcripts(sys.argv[1], "mint"):
    found[transcript.labels["model"]].append(transcript)
missing = [model for model in MODELS if model not in found]
if missing:
    sys.exit(f"no episodes of {', '.join(missing)}; there are: {', '.join(sorted(found))}")
table = variety_table({model: found[model] for model in MODELS})
place = project_root() / "results" / "in-the-wild" / "variety.csv"
write_csv(
    table,
    place,
    "MINT-bench outputs without feedback, blocks of five models (benchmarks/variety.py)",
)
print(table.to_string(index=False))
