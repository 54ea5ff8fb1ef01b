"""Muon for matrices and AdamW for the rest, as one optimiser that any training loop can drive."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["Joint", "muon_with_adamw"]


class Joint(torch.optim.Optimizer):
    """Several optimisers over disjoint weights as one."""

    def __init__(self, parts: list[torch.optim.Optimizer]):
        self.parts = parts
        groups = [group for part in parts for group in part.param_groups]
        super().__init__([weight for group in groups for weight in group["params"]], {})
        self.param_groups = groups  # shared with the parts: one schedule moves them all

    def step(self, closure: Any = None) -> Any:
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for part, saved in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(saved)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def muon_with_adamw(
    model: torch.nn.Module, muon_learning_rate: float, learning_rate: float, weight_decay: float
) -> Joint:
    """Muon (with weight decay) for the matrices inside the blocks, AdamW (without) for embeddings
    and norms."""
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            (matrices if weight.ndim == 2 and "embed" not in name else others).append(weight)
    return Joint(
        [
            torch.optim.Muon(
                matrices, lr=muon_learning_rate, weight_decay=weight_decay, adjust_lr_fn="original"
            ),
            torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
        ]
    )
