"""Layers that compute the same another way, where torch's own is slow: most on a CPU, norms on every device."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.instancenorm import _InstanceNorm


class PointwiseConv2d(nn.Conv2d):
    """A convolution with a kernel of one voxel, on a CPU as a matrix product: up to three times faster."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _as_product(super()._conv_forward, input, weight, bias)


class PointwiseConv3d(nn.Conv3d):
    """See `PointwiseConv2d`."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _as_product(super()._conv_forward, input, weight, bias)


def on_cpu(x: Tensor) -> bool:
    """Whether the ways that are faster on a CPU are to be gone."""
    return x.device.type == "cpu"


def _as_product(
    convolve: Callable[[Tensor, Tensor, Tensor | None], Tensor], x: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    if not on_cpu(x):
        return convolve(x, weight, bias)
    constant = weight.new_zeros(1) if bias is None else bias
    weight = weight.flatten(1).expand(len(x), -1, -1)
    return torch.baddbmm(constant[None, :, None], weight, x.flatten(2)).unflatten(2, x.shape[2:])


class TiledConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution whose stride is its kernel, on a CPU as a matrix product.

    Each voxel becomes a tile of its own; at the finest level of a decoder that is up to four times faster.
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """From ``(n, C, H, W)`` to tiles side by side, ``(n, C', H * kernel, W * kernel)``."""
        return _tiles(self, input) if on_cpu(input) else super().forward(input, output_size)


class TiledConvTranspose3d(nn.ConvTranspose3d):
    """See `TiledConvTranspose2d`."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """From ``(n, C, D, H, W)`` to tiles side by side."""
        return _tiles(self, input) if on_cpu(input) else super().forward(input, output_size)


def _tiles(layer: _ConvTransposeNd, x: Tensor) -> Tensor:
    kernel, spatial = layer.kernel_size, x.shape[2:]
    weight = layer.weight.flatten(1).t().expand(len(x), -1, -1)
    bias = layer.weight.new_zeros(layer.out_channels) if layer.bias is None else layer.bias
    bias = bias.repeat_interleave(math.prod(kernel))
    tiles = torch.baddbmm(bias[None, :, None], weight, x.flatten(2))
    tiles = tiles.view(len(x), layer.out_channels, *kernel, *spatial)
    axes = len(spatial)
    interleaved = chain.from_iterable((2 + axes + axis, 2 + axis) for axis in range(axes))
    size = [voxels * edge for voxels, edge in zip(spatial, kernel, strict=True)]
    return tiles.permute(0, 1, *interleaved).reshape(len(x), layer.out_channels, *size)


class RowwiseNorm2d(nn.InstanceNorm2d):
    """An instance norm, on a CPU as a group norm of a group per channel: with its activation up to 2.5 times faster.

    torch's instance norm returns a view, and an activation in place of a view copies all of it several times in the
    backward pass. What is returned here is no view, on any device.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``(n, C, H, W)``."""
        return _by_rows(self, input) if on_cpu(input) else _no_view(super().forward(input))


class RowwiseNorm3d(nn.InstanceNorm3d):
    """See `RowwiseNorm2d`."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``(n, C, D, H, W)``."""
        return _by_rows(self, input) if on_cpu(input) else _no_view(super().forward(input))


def _by_rows(norm: _InstanceNorm, x: Tensor) -> Tensor:
    return nn.functional.group_norm(x, norm.num_features, norm.weight, norm.bias, norm.eps)


def _no_view(normalised: Tensor) -> Tensor:
    """The same memory; what it was a view of, a norm's output, nobody has."""
    return torch.ops.aten._unsafe_view(normalised, normalised.shape)


POINTWISE: dict[type[nn.Module], Callable[..., _ConvNd]] = {nn.Conv2d: PointwiseConv2d, nn.Conv3d: PointwiseConv3d}
TILED: dict[type[nn.Module], Callable[..., _ConvTransposeNd]] = {
    nn.ConvTranspose2d: TiledConvTranspose2d,
    nn.ConvTranspose3d: TiledConvTranspose3d,
}
ROWWISE: dict[type[nn.Module], Callable[..., _InstanceNorm]] = {
    nn.InstanceNorm2d: RowwiseNorm2d,
    nn.InstanceNorm3d: RowwiseNorm3d,
}


def quickened(network: nn.Module) -> nn.Module:
    """Put other layers in the place of instance norms, of convolutions with kernels of one voxel, and of transposed
    convolutions whose tiles do not overlap.

    They have the parameters of those that they replace, under the same names.

    Args:
        network: Changed in place, unless it is such a layer itself.

    Returns:
        The network.
    """
    replacements: dict[nn.Module, nn.Module] = {}
    for module in network.modules():
        quick = _quick(module)
        if quick is not None:
            replacements[module] = quick
    for parent in list(network.modules()):
        # nnU-Net's blocks have a layer under several names.
        for name, child in list(parent._modules.items()):
            if child in replacements:
                setattr(parent, name, replacements[child])
    return replacements.get(network, network)


def _quick(module: nn.Module) -> nn.Module | None:
    """The faster layer for a layer, None if there is none."""
    # On the device "meta" nothing is drawn for weights that are thrown away.
    if isinstance(module, _ConvNd) and type(module) in POINTWISE and {*module.kernel_size, *module.stride} == {1}:
        convolution = POINTWISE[type(module)](
            module.in_channels, module.out_channels, 1, bias=module.bias is not None, device="meta"
        )
        return _with_parameters_of(module, convolution)
    if isinstance(module, _ConvTransposeNd) and type(module) in TILED and _makes_tiles(module):
        transposed = TILED[type(module)](
            module.in_channels,
            module.out_channels,
            module.kernel_size,
            module.stride,
            bias=module.bias is not None,
            device="meta",
        )
        return _with_parameters_of(module, transposed)
    if isinstance(module, _InstanceNorm) and type(module) in ROWWISE and not module.track_running_stats:
        norm = ROWWISE[type(module)](module.num_features, module.eps, affine=module.affine, device="meta")
        return _with_parameters_of(module, norm)
    return None


def _makes_tiles(layer: _ConvTransposeNd) -> bool:
    beside = {*layer.padding, *layer.output_padding}
    return layer.kernel_size == layer.stride and beside == {0} and {*layer.dilation, layer.groups} == {1}


def _with_parameters_of(module: nn.Module, quick: nn.Module) -> nn.Module:
    for name, parameter in module.named_parameters(recurse=False):
        setattr(quick, name, parameter)
    return quick.train(module.training)


def never_small_and_alone(part: nn.Module, one_by_one: bool = False) -> None:
    """Let convolutions of a single sample compute two.

    On a CPU torch runs the small 3D convolutions of a single sample by a path three times slower than for two.

    Args:
        part: Of a network. Whoever calls it drops what there is too much of.
        one_by_one: Each convolution drops that itself.
    """
    for module in part.modules():
        if isinstance(module, tuple(POINTWISE)):
            module.register_forward_pre_hook(_doubled)
            if one_by_one:
                module.register_forward_hook(_first_of_doubled)


def _doubled(convolution: _ConvNd, inputs: tuple[Tensor]) -> tuple[Tensor] | None:
    """What is small is in torch's ``use_mkldnn`` (aten/src/ATen/native/Convolution.cpp)."""
    (x,) = inputs
    small = convolution.in_channels > 1 and len(x) == 1 and x.shape[:4].numel() <= 20480
    return (x.expand(2, *x.shape[1:]),) if small and on_cpu(x) else None


def _first_of_doubled(convolution: _ConvNd, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    (x,) = inputs
    return output[:1] if len(x) == 2 and x.stride(0) == 0 else output
