"""What goes wrong slowly in a long training, measured once per epoch.

Weights of layers without norm may grow, log-variances drift to their clamp, where an expert's precision no longer
follows its image, and activations come near the largest number of float16, where mixed precision skips its steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from dynamic_network_architectures.building_blocks.simple_conv_blocks import ConvDropoutNormReLU
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from nnunet_hetero.network.hetero_network import HeteroNetwork
from nnunet_hetero.network.variational import VariationalNetwork
from nnunet_hetero.training.record.history import History
from nnunet_hetero.training.record.loggers import Terms

LARGEST_ACTIVATION = torch.finfo(torch.float16).max / 8
"""Above it the log warns: an activation three doublings below what float16 can hold."""

LARGEST_CLAMPED_SHARE = 0.1


def watch(
    network: HeteroNetwork, seen: tuple[Tensor, Tensor], terms: Terms | History, epoch: int, tell: Callable[[str], None]
) -> None:
    """Measure at the end of an epoch, log it under ``soundness/`` and tell it, with warnings.

    Args:
        network: What is trained.
        seen: Images and what is available of them, as for `measure_soundness`.
        terms: Of the training, or its history alone.
        epoch: Its number.
        tell: Writes a line of the log.
    """
    found = measure_soundness(network, *seen)
    for name, value in found.items():
        terms.log(f"soundness/{name}", value, epoch)
    tell(", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in found.items()))
    for line in warnings_of(found):
        tell(f"WARNING: {line}")


@torch.no_grad()
def measure_soundness(network: HeteroNetwork, data: Tensor, available: Tensor) -> dict[str, float]:
    """One pass through the network in evaluation mode, which draws no random numbers and trains nothing.

    Args:
        network: In training mode, with its compiled parts if it has any.
        data: Images, ``(B, M, *spatial)``.
        available: ``(B, M)`` bool.

    Returns:
        ``largest_activation`` of all convolutions, ``weights_without_norm`` (their Euclidean norm), and for networks
        with latents ``largest_log_variance``, of |log σ_i²|, and ``clamped_share`` of the elements beyond the clamp.
    """
    clamp = _clamp_of(network)
    bound = math.inf if clamp is None else clamp
    largest, clamped, elements = data.new_zeros(()), data.new_zeros(()), 0
    log_variance = data.new_zeros(())

    def see(module: nn.Module, arguments: Any, output: Tensor) -> None:
        nonlocal largest
        largest = torch.maximum(largest, output.abs().amax().float())

    def see_head(module: nn.Module, arguments: Any, output: Tensor) -> None:
        nonlocal log_variance, clamped, elements
        found = output.chunk(2, dim=1)[1].abs().float()
        log_variance = torch.maximum(log_variance, found.amax())
        clamped, elements = clamped + (found > bound).sum(), elements + found.numel()

    layers = [module for module in network.modules() if isinstance(module, _ConvNd)]
    encoders: Iterable[Any] = network.encoders if clamp is not None else ()
    heads = chain(*(encoder.heads for encoder in encoders))
    hooks = [layer.register_forward_hook(see) for layer in layers]
    hooks += [head.register_forward_hook(see_head) for head in heads]
    try:
        with _as_written(network):
            network(data, available)
    finally:
        for hook in hooks:
            hook.remove()
    found = {"largest_activation": float(largest), "weights_without_norm": float(norm_without_norm(network))}
    if elements:
        found |= {"largest_log_variance": float(log_variance), "clamped_share": float(clamped) / elements}
    return found


def warnings_of(found: dict[str, float]) -> list[str]:
    """What of `measure_soundness` a user should know, with what to do."""
    lines = []
    # Not <=: what is not a number is named too.
    if not found["largest_activation"] <= LARGEST_ACTIVATION:
        lines.append(
            f"The largest activation is {found['largest_activation']:.3g}; float16 ends at 65504, where mixed "
            "precision skips steps. Are the images normalised (scheme noNorm)? Else set a smaller initial_lr or more "
            "weight_decay."
        )
    if found.get("clamped_share", 0.0) > LARGEST_CLAMPED_SHARE:
        lines.append(
            f"{found['clamped_share']:.0%} of the latents' log-variances are beyond their clamp, where they follow no "
            "image. Are the images normalised (scheme noNorm)? Else set a smaller initial_lr."
        )
    return lines


def norm_without_norm(network: nn.Module) -> Tensor:
    """Euclidean norm of the weights that no norm follows, whose size therefore is the size of what they give."""
    normed = set()
    for block in network.modules():
        if isinstance(block, ConvDropoutNormReLU) and hasattr(block, "norm"):
            normed.add(block.conv)
    weights = [module.weight for module in network.modules() if isinstance(module, _ConvNd) and module not in normed]
    return (
        torch.stack([weight.float().square().sum() for weight in weights]).sum().sqrt() if weights else torch.zeros(())
    )


def _clamp_of(network: HeteroNetwork) -> float | None:
    """Clamp of the experts' |log σ_i²|; None for a network without experts."""
    if not isinstance(network, VariationalNetwork):
        return None
    return getattr(network.fusions[0], "max_abs_log_variance", None)


@contextmanager
def _as_written(network: nn.Module) -> Iterator[None]:
    """In evaluation mode, and not compiled: hooks would have all compiled anew."""
    compiled = {module: module._compiled_call_impl for module in network.modules()}
    training = network.training
    try:
        for module in compiled:
            module._compiled_call_impl = None
        network.eval()
        yield
    finally:
        network.train(training)
        for module, call in compiled.items():
            module._compiled_call_impl = call
