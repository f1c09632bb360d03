"""Networks with an encoder per modality, fused at every level for each sample's own subset, and decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from nnunet_hetero.network.fusion import Gaussian
from nnunet_hetero.network.hetero_network import HeteroNetwork
from nnunet_hetero.network.parts import compute_again, level_shapes

Level = Gaussian | Tensor
"""What modalities are fused to at one level: a distribution of the decoder's input, or that input."""


class EncodedModality(NamedTuple):
    """What the encoder of one modality made of those samples of a batch that have it.

    Attributes:
        channel: The modality.
        features: Feature maps of every level, each ``(n, C, *spatial)``, finest first.
        samples: Which samples of the batch the n rows belong to, ``(n,)`` int64.
    """

    channel: int
    features: list[Tensor]
    samples: Tensor


def restricted(encoded: Sequence[EncodedModality], available: Tensor) -> list[EncodedModality]:
    """What of the encoded modalities each sample may use.

    Args:
        encoded: From `EncoderPerModality.encode`.
        available: ``(B, M)`` bool on the host, a subset for each sample.
    """
    parts = []
    for channel, features, samples in encoded:
        rows = available[:, channel][samples.cpu()].nonzero().flatten().to(samples.device)
        if len(rows) == len(samples):
            parts.append(EncodedModality(channel, features, samples))
        elif len(rows):
            parts.append(EncodedModality(channel, [level[rows] for level in features], samples[rows]))
    return parts


class EncoderPerModality(HeteroNetwork):
    """A network in three steps, which prediction also takes one by one, so that subsets of a case share the first.

    `encode` takes each available modality alone, `fuse` makes one set of levels of what was encoded, or of part of it,
    and ``decoder`` the segmentation. A network built on this sets ``encoders``, one module per modality from
    ``(n, 1, *spatial)`` to a list of feature maps, and ``decoder``, whose attribute ``deep_supervision`` nnU-Net
    switches; and it says how to fuse a level, `fuse_level`.

    Args:
        num_modalities: M, the number of input channels.
        channels: C of every fused level, finest first: what `fuse_level` is told.
        strides: Stride of every level.

    Attributes:
        image_decoder: From the latents and what they were fused from, ``(B, M)`` bool, to the images of all modalities,
            ``(B, M, *spatial)``; None if the network completes none.
    """

    def __init__(self, num_modalities: int, channels: Sequence[int], strides: Sequence[Sequence[int]]):
        super().__init__(num_modalities)
        self.channels = list(channels)
        self.strides = strides
        self.image_decoder: nn.Module | None = None

    def encode(self, x: Tensor, available: Tensor) -> list[EncodedModality]:
        """Encode what is available, each modality alone; absent modalities cost nothing.

        Args:
            x: Images, ``(B, M, *spatial)``.
            available: ``(B, M)`` bool.

        Returns:
            One entry for each modality that at least one sample has.
        """
        encoded = []
        # On the host: which encoders run is decided there, and a GPU would be waited for once per modality.
        available = available.cpu()
        for channel, encoder in enumerate(self.encoders):
            samples = available[:, channel].nonzero().flatten().to(x.device)
            if len(samples):
                images = x[:, channel : channel + 1]
                features = encoder(images if len(samples) == len(x) else images[samples])
                encoded.append(EncodedModality(channel, features, samples))
        return encoded

    def fuse(self, encoded: Sequence[EncodedModality], batch_size: int, spatial: Sequence[int]) -> list[Level]:
        """Fuse the modalities at every level, finest first.

        Args:
            encoded: From `encode`, or part of it; may be empty.
            batch_size: B.
            spatial: The images' spatial shape, in voxels.

        Returns:
            For every level what the decoder's input is drawn from, or that input if the network is not `stochastic`.
        """
        shapes = level_shapes(spatial, self.strides)
        levels = [(batch_size, channels, *shape) for channels, shape in zip(self.channels, shapes, strict=True)]
        # What the finest makes is most of it, and worth making twice.
        finest = compute_again(self, self.fuse_level, encoded, 0, levels[0])
        return [finest, *(self.fuse_level(encoded, level, shape) for level, shape in enumerate(levels[1:], start=1))]

    def fuse_level(self, encoded: Sequence[EncodedModality], level: int, shape: Sequence[int]) -> Level:
        """Fuse the modalities at one level.

        Args:
            encoded: As in `fuse`.
            level: Its number, 0 is the finest.
            shape: ``(B, C, *spatial)`` there.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, available: Tensor | None = None) -> Tensor | list[Tensor]:
        """Segment from the available modalities; in training mode from a draw, in evaluation mode from the mean.

        Args:
            x: Preprocessed images, ``(B, M, *spatial)``, absent channels zero.
            available: ``(B, M)`` bool, what each sample is encoded from; None reads it off the zero channels.

        Returns:
            Segmentation logits ``(B, K, *spatial)``, or a list, finest first, with deep supervision.

        Raises:
            SettingsError: If x has another number of channels than the model has modalities.
        """
        return self.decoder(self.latents(*self.fused(x, available)))

    def fused(self, x: Tensor, available: Tensor | None) -> tuple[list[Level], Tensor]:
        """What `fuse` makes of images, and ``(B, M)`` bool, what they were encoded from; arguments as for `forward`."""
        self.require_channels(x)
        available = (self.availability(x) if available is None else available).cpu().bool()
        return self.fuse(self.encode(x, available), len(x), x.shape[2:]), available

    def latents(self, levels: Sequence[Level], available: Tensor) -> list[Tensor]:
        """The decoder's input: a draw from every Gaussian in training mode, its mean in evaluation mode."""
        latents = [self._draw(level) for level in levels]
        if self.touch_absent_encoders and self.training:
            unused = [self.encoders[i] for i in (~available.any(dim=0)).nonzero().flatten().tolist()]
            latents[-1] = latents[-1] + sum(0.0 * p.sum() for encoder in unused for p in encoder.parameters())
        return latents

    def _draw(self, level: Level) -> Tensor:
        if isinstance(level, Tensor):
            return level
        return level.sample() if self.training else level.mean

    def compile_parts(self, **kwargs) -> None:
        """torch.compile every encoder and decoder in place; the fusion stays eager, since its subsets vary."""
        for part in (*self.encoders, self.decoder, self.image_decoder):
            if part is not None:
                part.compile(**kwargs)
