"""Digests that tell one model from another, whatever its files are called."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import torch


def digest_of_weights(folds: Sequence[dict[str, torch.Tensor]]) -> str:
    """Of the weights of one or several folds, as they are loaded; hexadecimal."""
    digest = hashlib.blake2b(digest_size=16)
    for weights in folds:
        for name, tensor in sorted(weights.items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def digest_of_json(content: Any) -> str:
    """Of what a JSON file holds, whatever the order of its keys; hexadecimal."""
    return hashlib.blake2b(json.dumps(content, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()
