"""How prediction takes a network apart, so that several subsets of one case share their encoders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from nnunet_hetero.network.fusion import Gaussian
from nnunet_hetero.network.hetero_network import EncodedModality, HeteroNetwork, Level


def encode_for_all(network: HeteroNetwork, x: Tensor, available: Tensor) -> list[EncodedModality]:
    """Everything that does not depend on the subset.

    Args:
        network: In evaluation mode.
        x: ``(B, M, *spatial)``.
        available: What any of the subsets needs, ``(M,)`` bool.
    """
    return network.ready_to_fuse(network.encode(x, available.expand(len(x), -1)))


def fuse_subset(
    network: HeteroNetwork, encoded: Sequence[EncodedModality], subset: Tensor, x: Tensor
) -> Sequence[Level]:
    """What is decoded, from the modalities of a subset.

    Args:
        network: In evaluation mode.
        encoded: From `encode_for_all`.
        subset: ``(M,)`` bool, the same for all samples.
        x: The images, for their shape.
    """
    parts = [part for part in encoded if subset[part.channel]]
    return network.fuse(parts, len(x), x.shape[2:])


def fused_for_each(network: HeteroNetwork, x: Tensor, subsets: Sequence[Tensor]) -> Iterator[Sequence[Level]]:
    """What is decoded from each of some subsets in turn; every modality is encoded once.

    With one subset, a modality's features are let go as soon as they are fused.

    Args:
        network: In evaluation mode.
        x: ``(B, M, *spatial)``.
        subsets: ``(M,)`` bool each, the same for all samples.
    """
    if len(subsets) == 1:
        yield network.fuse(network.encode_each(x, subsets[0].expand(len(x), -1)), len(x), x.shape[2:])
        return
    encoded = encode_for_all(network, x, torch.stack(list(subsets)).any(dim=0))
    for subset in subsets:
        yield fuse_subset(network, encoded, subset, x)


def latents(levels: Sequence[Level], row: int, generator: torch.Generator | None) -> list[Tensor]:
    """z of every level for one sample of a batch, ``(1, C, *spatial)``; without a generator the posterior's mean."""
    result = []
    for level in levels:
        if isinstance(level, Tensor):
            result.append(level[row : row + 1])
        else:
            one = Gaussian(level.mean[row : row + 1], level.log_variance[row : row + 1])
            result.append(one.point() if generator is None else one.sample(generator))
    return result
