"""A vLLM server for the length of a block, and the proof that the adapters it serves are live.

    reference = peft_reference(base, {"reset": folder}, probes)
    with VllmServer(base, {"reset": folder}, evaluation, log_folder, seed=1) as server:
        proof = prove_adapters(server.url, reference, evaluation.serving.agreement)

Nothing heavy is imported before it is used, and the server may run in another environment.
"""

from knapsack_lib.serving.client import BASE
from knapsack_lib.serving.proof import Proof, Reference, peft_reference, prove_adapters
from knapsack_lib.serving.vllm import VllmServer

__all__ = ["BASE", "Proof", "Reference", "VllmServer", "peft_reference", "prove_adapters"]
