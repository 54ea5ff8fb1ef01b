"""A vLLM server for the length of a block, and the proof that the adapters it serves are live.

    with VllmServer(base, {"reset": folder}, setting, context=4096, rank=64, seed=1, template=file, log=file) as server:
        proof = prove_adapters(server.url, base, {"reset": folder}, probes, setting.agreement)

Nothing heavy is imported before it is used, and the server may run in another environment.
"""

from knapsack_lib.serving.asking import BASE
from knapsack_lib.serving.proof import (
    Proof,
    Reference,
    check_template,
    peft_reference,
    prove_adapters,
)
from knapsack_lib.serving.vllm import VllmServer

__all__ = [
    "BASE",
    "Proof",
    "Reference",
    "VllmServer",
    "check_template",
    "peft_reference",
    "prove_adapters",
]
