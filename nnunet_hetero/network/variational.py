"""Hetero-modal variational networks: a fused Gaussian at every level, decoded to a segmentation and to images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.network.fusion import Expert, Gaussian, kl_to_standard_normal, product_of_gaussians
from nnunet_hetero.network.parts import compute_again
from nnunet_hetero.network.per_modality import EncodedModality, EncoderPerModality, restricted


class HeteroModalOutput(NamedTuple):
    """What a variational network gives when asked for everything.

    Attributes:
        segmentation: Logits ``(B, K, *spatial)``, or a list of them, finest first, with deep supervision.
        completion: Images of all M modalities, ``(B, M, *spatial)``, in the units of the input; None without an image
            decoder.
        posterior: The fused Gaussian of every level, finest first.
        kl: Its divergence from the prior, see `kl_to_standard_normal`.
    """

    segmentation: Tensor | list[Tensor]
    completion: Tensor | None
    posterior: list[Gaussian]
    kl: Tensor


class VariationalNetwork(EncoderPerModality):
    """Each modality says where the latents of every level are, as a Gaussian; decoders take a draw from their product.

    A network built on this sets, beside what `EncoderPerModality` says, ``image_decoder`` if it has one; each of its
    encoders has ``posterior(level, features)``, the parameters of its `Expert`.

    Args:
        num_modalities: M, the number of input channels.
        latent_channels: Channels of the latent of every level, finest first.
        strides: Stride of every level.
        max_abs_log_variance: Clamp of each modality's |log σ²|.
        kl_average: See `kl_to_standard_normal`.
        completion_gradient: What of the image decoder's gradient the latents get, see `_ScaledGradient`.
    """

    stochastic = True

    def __init__(
        self,
        num_modalities: int,
        latent_channels: Sequence[int],
        strides: Sequence[Sequence[int]],
        max_abs_log_variance: float,
        kl_average: str,
        completion_gradient: float = 1.0,
    ):
        super().__init__(num_modalities, latent_channels, strides)
        self.max_abs_log_variance = max_abs_log_variance
        self.kl_average = kl_average
        self.completion_gradient = completion_gradient

    def fuse_level(self, encoded: Sequence[EncodedModality], level: int, shape: Sequence[int]) -> Gaussian:
        """The product of the modalities' posteriors and the prior; without any modality the prior."""
        experts = [
            Expert(self.encoders[part.channel].posterior(level, part.features[level]), part.samples) for part in encoded
        ]
        return product_of_gaussians(experts, shape, next(self.parameters()).device, self.max_abs_log_variance)

    def complete(self, latents: Sequence[Tensor], available: Tensor, modalities: Sequence[int] | None = None) -> Tensor:
        """Decode images from latents.

        Args:
            latents: z of every level, finest first.
            available: ``(B, M)`` bool, what they were fused from.
            modalities: Which modalities; default all.

        Returns:
            ``(B, len(modalities), *spatial)``, in the units of the preprocessed input.

        Raises:
            SettingsError: If the model was built without an image decoder.
        """
        if self.image_decoder is None:
            raise SettingsError("This model has no image decoders (hetero_modal.image_decoders is false in its plans).")
        images = self.image_decoder(latents, available)
        return images if modalities is None else images[:, list(modalities)]

    def forward(
        self,
        x: Tensor,
        available: Tensor | None = None,
        *,
        full: bool = False,
    ) -> Tensor | list[Tensor] | HeteroModalOutput | list[HeteroModalOutput]:
        """Segment, and on demand complete, from the available modalities.

        In training mode the latents are sampled, in evaluation mode they are the posterior's mean.

        Args:
            x: Preprocessed images, ``(B, M, *spatial)``, absent channels zero.
            available: ``(B, M)`` bool, what each sample is encoded from; None reads it off the zero channels.
                ``(N, B, M)`` fuses and decodes N times what is encoded once.
            full: Whether to return the completed images and the posterior too.

        Returns:
            Segmentation logits ``(B, K, *spatial)`` (a list, finest first, with deep supervision), or a
            `HeteroModalOutput` if ``full``; with N subsets a list of N `HeteroModalOutput`.

        Raises:
            SettingsError: If x has another number of channels than the model has modalities.
        """
        if available is not None and available.ndim == 3:
            return self._decode_several(x, available.cpu().bool())
        posterior, available = self.fused(x, available)
        # Before the decoders: the later it is in the backward pass, the later its gradient takes memory.
        kl = kl_to_standard_normal(posterior, self.kl_average) if full else None
        latents = self.latents(posterior, available)
        segmentation = self.decoder(latents)
        if not full:
            return segmentation
        return HeteroModalOutput(segmentation, self._completion(latents, available), posterior, kl)

    def _completion(self, latents: Sequence[Tensor], available: Tensor) -> Tensor | None:
        if self.image_decoder is None:
            return None
        return self.complete([_ScaledGradient.apply(z, self.completion_gradient) for z in latents], available)

    def _decode_several(self, x: Tensor, subsets: Tensor) -> list[HeteroModalOutput]:
        self.require_channels(x)
        encoded = self.encode(x, subsets.any(dim=0))
        outputs = []
        for available in subsets:
            posterior = self.fuse(restricted(encoded, available), len(x), x.shape[2:])
            kl = kl_to_standard_normal(posterior, self.kl_average)
            latents = self.latents(posterior, subsets.any(dim=0))
            # Only one of the N is kept in memory with all that its decoders make.
            segmentation = compute_again(self, self.decoder, latents)
            completion = compute_again(self, self._completion, latents, available)
            outputs.append(HeteroModalOutput(segmentation, completion, posterior, kl))
        return outputs


class _ScaledGradient(torch.autograd.Function):
    """Identity whose gradient is scaled.

    The weight of the reconstruction, 0.1, says how much it shapes the latents in comparison with the segmentation. The
    image decoder has no other task: scaled down as well, shared by M images, its gradient would be 40 times smaller
    than the segmentation decoder's, and under SGD it would learn so much more slowly, to the same optimum.
    """

    @staticmethod
    def forward(context, x: Tensor, scale: float) -> Tensor:
        context.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * context.scale, None
