"""DeMoSeg's network: every modality makes features of its own and stand-ins for the others, then nnU-Net's network.

Yang et al., "Decoupling Feature Representations of Ego and Other Modalities for Incomplete Multi-modal Brain Tumor
Segmentation", arXiv 2408.08708, 2024. The features of a modality are divided into as many parts as there are
modalities: one for itself ("self"), the others to stand in for others ("mutual"). Of those that a sample lacks, the
part comes from the first modality that it has, in an order that radiologists would choose.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nnunet_hetero.modalities import Subset
from nnunet_hetero.network.early_fusion import EarlyFusionUNet
from nnunet_hetero.network.hetero_network import EncodedModality, Level

LENDERS = {
    "t1": ("t1c", "t2", "flair"),
    "t1c": ("t1", "flair", "t2"),
    "t2": ("flair", "t1", "t1c"),
    "flair": ("t2", "t1c", "t1"),
}
"""Which modality stands in for one that is absent, the best first: of T1 and T1c each for the other, and so on."""

ALIASES = {"t1ce": "t1c", "t1gd": "t1c", "t1w": "t1", "t2w": "t2", "t2f": "flair", "t2flair": "flair"}

REDUCTION = 4
"""Of the layer that gives the channels an order."""


class Decoupled(NamedTuple):
    """What the network makes of a batch in training.

    Attributes:
        segmentation: Logits ``(B, K, *spatial)``, or a list, finest first, with deep supervision.
        stand_in: How far stand-ins are from what they stand in for, see `DecoupledUNet.stand_in_loss`.
    """

    segmentation: Tensor | list[Tensor]
    stand_in: Tensor


def lenders_by_name(names: Sequence[str]) -> list[list[int]]:
    """For every modality the others, in the order in which they stand in for it.

    Args:
        names: Of the modalities. Those of brain tumours have the published order, all else that of the channels.
    """
    known = [ALIASES.get(name.lower().replace("-", "").replace("_", ""), name.lower()) for name in names]
    orders = []
    for number, name in enumerate(known):
        wished = [known.index(other) for other in LENDERS.get(name, ()) if other in known]
        rest = [other for other in range(len(known)) if other != number and other not in wished]
        orders.append([*wished, *rest])
    return orders


class Stem(nn.Module):
    """Features of one modality: a convolution, then channels that guide each other in an order found from their means.

    Args:
        channels: C, of the result.
        plan: nnU-Net's encoder, whose convolutions, norms and nonlinearities are used.
        ascending: Whether the order is from the smallest score up.
    """

    def __init__(self, channels: int, plan: Any, ascending: bool):
        super().__init__()
        self.ascending = ascending
        self.plain = nn.Sequential(*_layers(plan, 1, channels))
        self.attended = nn.Sequential(*_layers(plan, channels, channels))
        self.after = nn.Sequential(plan.norm_op(channels, **plan.norm_op_kwargs), plan.nonlin(**plan.nonlin_kwargs))
        hidden = max(1, channels // REDUCTION)
        self.scores = nn.Sequential(nn.Linear(channels, hidden), nn.LeakyReLU(0.01), nn.Linear(hidden, channels))
        # An order has no gradient, here as in the published code: these weights stay as they were drawn.
        self.scores.requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """From ``(n, 1, *spatial)`` to the features after and before the channels guide each other, ``(n, C, ...)``."""
        plain = self.plain(x)
        found = self.attended(plain)
        means = found.detach().flatten(2).mean(dim=2)
        order = self.scores(means.float()).argsort(dim=1, descending=not self.ascending)
        exchanged = torch.stack([features[places] for features, places in zip(found, order, strict=True)])
        return [self.after(found + exchanged), plain]


def _layers(plan: Any, inputs: int, outputs: int) -> list[nn.Module]:
    kernel = plan.kernel_sizes[0]
    padding = [size // 2 for size in kernel]
    return [
        plan.conv_op(inputs, outputs, kernel, padding=padding, bias=plan.conv_bias),
        plan.norm_op(outputs, **plan.norm_op_kwargs),
        plan.nonlin(**plan.nonlin_kwargs),
    ]


class _InTheStems(nn.Identity):
    """What is left where nnU-Net's network had its first convolutions.

    Args:
        channels: Of all stems together.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> int:
        """Elements of the outputs of the stems' convolutions, two in each."""
        return 2 * self.channels * math.prod(input_size)


class DecoupledUNet(EarlyFusionUNet):
    """nnU-Net's network, whose first level is a `Stem` per modality.

    Args:
        unet: The plans' network, with a channel per modality.
        num_modalities: M, the number of input channels.
        subset: None; the network is for any subset.

    Attributes:
        lenders: ``(M, M - 1)``, see `lenders_by_name`; the trainer, which knows the names, fills it in.
    """

    lenders: Tensor

    def __init__(self, unet: nn.Module, num_modalities: int, subset: Subset | None = None):
        super().__init__(unet, num_modalities, subset)
        plan = self.unet.encoder
        channels = plan.output_channels[0]
        self.parts = [len(part) for part in torch.arange(channels).tensor_split(num_modalities)]
        replaced = _InTheStems(num_modalities * channels)
        if getattr(plan, "stem", None) is not None:
            plan.stem = replaced
        else:
            plan.stages[0] = replaced
        self.encoders = nn.ModuleList(Stem(channels, plan, ascending=number == 0) for number in range(num_modalities))
        self.register_buffer("lenders", torch.tensor(lenders_by_name([""] * num_modalities), dtype=torch.int64))

    def fuse(self, encoded: Iterable[EncodedModality], batch_size: int, spatial: Sequence[int]) -> list[Level]:
        """One level, ``(B, C, *spatial)``: each modality's part, its own or lent; zeros where a sample has nothing."""
        encoded = list(encoded)
        first = encoded[0].features[0] if encoded else next(self.parameters())
        # The first level's stride is 1 in all plans of nnU-Net.
        result = first.new_zeros((batch_size, sum(self.parts), *spatial))
        by_channel = {part.channel: part for part in encoded}
        bounds = _bounds(self.parts)
        for modality, order in enumerate(self.lenders.tolist()):
            served: set[int] = set()
            for lender in (modality, *order):
                part = by_channel.get(lender)
                places = [] if part is None else [p for p, row in enumerate(part.samples.numbers) if row not in served]
                if part is None or not places:
                    continue
                rows = [part.samples.numbers[place] for place in places]
                result[rows, bounds[modality]] = part.features[0][places, bounds[modality]]
                served.update(rows)
        return [result]

    def forward(self, x: Tensor, available: Tensor | None = None, *, full: bool = False) -> Any:
        """Segment; a `Decoupled` if ``full``."""
        if not full:
            return super().forward(x, available)
        self.require_channels(x)
        available = (self.availability(x) if available is None else available).cpu().bool()
        encoded = self.encode(x, available)
        levels = self.fuse(encoded, len(x), x.shape[2:])
        return Decoupled(self.decode(self.latents(levels, available)), self.stand_in_loss(encoded))

    def stand_in_loss(self, encoded: Sequence[EncodedModality]) -> Tensor:
        """How far each modality's stand-ins are from what they stand in for, where a sample has both.

        KL divergence from the softmax over channels of the modality's own part to that of the stand-in, before the
        channels guide each other; the mean over elements, the sum over pairs of modalities and samples.

        Returns:
            A float32 scalar; 0 if no sample has two modalities.
        """
        bounds = _bounds(self.parts)
        total = next(self.parameters()).new_zeros((), dtype=torch.float32)
        for lender in encoded:
            for owner in encoded:
                common = sorted(set(lender.samples.numbers) & set(owner.samples.numbers))
                if owner.channel == lender.channel or not common:
                    continue
                part = bounds[owner.channel]
                lent = _of_samples(lender, common)[:, part].float().log_softmax(dim=1)
                own = _of_samples(owner, common)[:, part].float().softmax(dim=1)
                total = total + functional.kl_div(lent, own, reduction="none").mean() * len(common)
        return total


def _bounds(sizes: Sequence[int]) -> list[slice]:
    ends = torch.tensor(sizes).cumsum(0).tolist()
    return [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]


def _of_samples(part: EncodedModality, samples: Sequence[int]) -> Tensor:
    places = [part.samples.numbers.index(sample) for sample in samples]
    return part.features[1][places]
