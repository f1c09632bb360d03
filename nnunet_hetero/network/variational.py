"""Hetero-modal variational networks: a fused Gaussian at every level, decoded to a segmentation and to images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.network.fusing.rows import Rows
from nnunet_hetero.network.fusion import Expert, Gaussian, Product, average_of_levels, kl_to_standard_normal
from nnunet_hetero.network.fusions import PRODUCT_OF_GAUSSIANS, GaussianFusion, Part, ProductOfGaussians, fusion_of
from nnunet_hetero.network.hetero_network import EncodedModality, on_host
from nnunet_hetero.network.latent_decoder import LatentDecoder
from nnunet_hetero.network.per_modality import EncoderPerModality, compute_again, restricted


class SegmentedAlone(NamedTuple):
    """Samples, each segmented from one of its modalities alone.

    Attributes:
        samples: Which n of the batch.
        segmentation: Logits ``(n, K, *spatial)`` of every level but the finest and the deepest, finest first; of a
            network of two levels those of the finest.
    """

    samples: Rows
    segmentation: list[Tensor]


class HeteroModalOutput(NamedTuple):
    """What a variational network gives when asked for everything.

    Attributes:
        segmentation: Logits ``(B, K, *spatial)``, or a list of them, finest first, with deep supervision.
        completion: Images of all M modalities, ``(B, M, *spatial)``, in the units of the input; None without an image
            decoder.
        posterior: The fused Gaussian of every level, finest first.
        kl: Its divergence from the prior, see `kl_to_standard_normal`.
        single: What is made of one modality alone; None if that was not asked for.
    """

    segmentation: Tensor | list[Tensor]
    completion: Tensor | None
    posterior: list[Gaussian]
    kl: Tensor
    single: SegmentedAlone | None = None


class Posteriors(list[Tensor]):
    """In the place of a modality's feature maps, what its heads make of them: of every level, as in `Expert`."""


class VariationalNetwork(EncoderPerModality):
    """Each modality says where the latents of every level are, as a Gaussian; decoders take a draw from their product.

    A network built on this sets, beside what `EncoderPerModality` says, ``image_decoder`` if it has one; each of its
    encoders has ``heads``, one per level, which make the parameters of its `Expert` of its features, and
    ``posterior(level, features)``, which applies one.

    Args:
        num_modalities: M, the number of input channels.
        latent_channels: Channels of the latent of every level, finest first.
        strides: Stride of every level.
        config: The settings, of which ``fusion`` and ``kl_average`` count here, and what the fusion takes.
        completion_gradient: What of the image decoder's gradient the latents get, see `_Fork`.
    """

    stochastic = True

    def __init__(
        self,
        num_modalities: int,
        latent_channels: Sequence[int],
        strides: Sequence[Sequence[int]],
        config: HeteroModalConfig,
        completion_gradient: float = 1.0,
    ):
        super().__init__(num_modalities, latent_channels, strides)
        self.kl_average = config.kl_average
        self.completion_gradient = completion_gradient
        kind: type[Any] = GaussianFusion
        fusion = fusion_of(config.fusion, kind, PRODUCT_OF_GAUSSIANS, type(self).__name__)
        self.fusions = nn.ModuleList(
            fusion(channels, num_modalities, len(strides[0]), config) for channels in latent_channels
        )

    def fuse(self, encoded: Iterable[EncodedModality], batch_size: int, spatial: Sequence[int]) -> list[Gaussian]:
        """See `HeteroNetwork`; into the product of Gaussians each modality is multiplied as it comes."""
        if not self._are_products(self.fusions):
            return cast(list[Gaussian], super().fuse(encoded, batch_size, spatial))
        return [product.posterior() for product in self._products(encoded, 0, self.fused_shapes(batch_size, spatial))]

    @staticmethod
    def _are_products(fusions: Iterable[nn.Module]) -> bool:
        return all(type(fusion) is ProductOfGaussians for fusion in fusions)

    def _products(
        self, encoded: Iterable[EncodedModality], finest: int, shapes: Sequence[Sequence[int]]
    ) -> list[Product]:
        """The products of the levels from one on, of these shapes."""
        weight = next(self.parameters())
        dtype = torch.promote_types(weight.dtype, torch.float32)
        fusions: Iterable[Any] = self.fusions[finest:]
        products = [fusion.begin(shape, weight.device, dtype) for fusion, shape in zip(fusions, shapes, strict=True)]
        for channel, features, samples in encoded:
            encoder: Any = self.encoders[channel]
            levels = zip(products, features[finest:], encoder.heads[finest:], strict=True)
            for product, level, head in levels:
                if isinstance(features, Posteriors):
                    product.multiply(Expert(level, samples))
                else:
                    product.multiply_head(samples, level, head)
        return products

    def ready_to_fuse(self, encoded: Iterable[EncodedModality]) -> list[EncodedModality]:
        """See `HeteroNetwork`; the heads are applied."""
        return [part._replace(features=self._posteriors(part)) for part in encoded]

    def _posteriors(self, part: EncodedModality) -> Posteriors:
        encoder: Any = self.encoders[part.channel]
        return Posteriors(encoder.posterior(level, features) for level, features in enumerate(part.features))

    def fuse_level(self, encoded: Sequence[EncodedModality], level: int, shape: Sequence[int]) -> Gaussian:
        """What the fusion makes of the modalities' posteriors; ours: their product with the prior."""
        parts = []
        for channel, features, samples in encoded:
            encoder: Any = self.encoders[channel]
            found = features[level]
            posterior = found if isinstance(features, Posteriors) else encoder.posterior(level, found)
            parts.append(Part(channel, posterior, samples.as_tensor(posterior.device)))
        return self.fusions[level](parts, shape, next(self.parameters()).device)

    def forward(
        self,
        x: Tensor,
        available: Tensor | None = None,
        *,
        full: bool = False,
        single: Tensor | None = None,
    ) -> Tensor | list[Tensor] | HeteroModalOutput | list[HeteroModalOutput]:
        """Segment, and on demand complete, from the available modalities.

        In training mode the latents are sampled, in evaluation mode they are the posterior's mean.

        Args:
            x: Preprocessed images, ``(B, M, *spatial)``, absent channels zero.
            available: ``(B, M)`` bool, what each sample is encoded from; None reads it off the zero channels.
                ``(N, B, M)`` fuses and decodes N times what is encoded once.
            full: Whether to return the completed images and the posterior too.
            single: ``(B, M)`` bool, one of the available modalities of some samples. They are then segmented from that
                one alone as well, from what is encoded once, in ``full`` output.

        Returns:
            Segmentation logits ``(B, K, *spatial)`` (a list, finest first, with deep supervision), or a
            `HeteroModalOutput` if ``full``; with N subsets a list of N `HeteroModalOutput`.

        Raises:
            SettingsError: If x has another number of channels than the model has modalities.
        """
        if available is not None and available.ndim == 3:
            return self._decode_several(x, on_host(available))
        if not full:
            return super().forward(x, available)
        available = self.usable(x, available)
        encoded: Iterable[EncodedModality] = self.encode_each(x, available)
        alone: list[EncodedModality] = []
        if single is not None:
            single = on_host(single)
            encoded = self._keeping(encoded, alone, single)
        output = self._decode(*self.fuse_and_draw(encoded, len(x), x.shape[2:], available), available)
        if single is None:
            return output
        return output._replace(single=self._segment_alone(alone, single, x))

    def _decode(
        self, posterior: list[Gaussian], latents: list[Tensor], kl: Tensor, available: Tensor
    ) -> HeteroModalOutput:
        """By both decoders; the latents are let go afterwards."""
        latents, for_images = self._forked(latents)
        return HeteroModalOutput(self.decoder(latents), self._completion(for_images, available), posterior, kl)

    @property
    def _finest_of_alone(self) -> int:
        """The finest level of all is most of the work, and the deepest has no output."""
        return min(1, len(self.fusions) - 2)

    def _keeping(
        self, encoded: Iterable[EncodedModality], kept: list[EncodedModality], single: Tensor
    ) -> Iterator[EncodedModality]:
        """The same one by one; what is segmented from it alone is kept.

        If all were encoded before any is fused, the backward pass would hold the gradients of all of them at once.
        """
        for part in encoded:
            kept += restricted([part], single, self._finest_of_alone)
            yield part

    def _segment_alone(self, encoded: Sequence[EncodedModality], single: Tensor, x: Tensor) -> SegmentedAlone | None:
        samples = Rows.of([number for number, row in enumerate(single.tolist()) if any(row)], x.device)
        if not samples.numbers:
            return None
        finest = self._finest_of_alone
        shapes = self.fused_shapes(len(samples), x.shape[2:])[finest:]
        alone = [part._replace(samples=part.samples.among(samples, x.device)) for part in encoded]
        if self.training and self._are_products(self.fusions):
            latents = [level.drawn().latent for level in self._products(alone, finest, shapes)]
        else:
            levels = enumerate(shapes, start=finest)
            latents = [self._draw(self.fuse_level(alone, level, shape)) for level, shape in levels]
        return SegmentedAlone(samples, cast(LatentDecoder, self.decoder).coarse(latents))

    def fuse_and_draw(
        self, encoded: Iterable[EncodedModality], batch_size: int, spatial: Sequence[int], available: Tensor
    ) -> tuple[list[Gaussian], list[Tensor], Tensor]:
        """What is fused, the decoder's input, see `latents`, and the posterior's divergence from the prior.

        Args:
            encoded: See `fuse`.
            batch_size: B.
            spatial: The images' spatial shape, in voxels.
            available: ``(B, M)`` bool, what was encoded.
        """
        if not self.training:
            posterior = self.fuse(encoded, batch_size, spatial)
            return posterior, self.latents(posterior, available), kl_to_standard_normal(posterior, self.kl_average)
        undrawn: Sequence[Product | Gaussian]
        if self._are_products(self.fusions):
            undrawn = self._products(encoded, 0, self.fused_shapes(batch_size, spatial))
        else:
            undrawn = self.fuse(encoded, batch_size, spatial)
        levels = [level.drawn() for level in undrawn]
        posterior = [level.posterior for level in levels]
        kl = average_of_levels([level.divergence for level in levels], posterior, self.kl_average)
        return posterior, self.touching_absent_encoders([level.latent for level in levels], available), kl

    def _completion(self, latents: Sequence[Tensor], available: Tensor) -> Tensor | None:
        if self.image_decoder is None:
            return None
        return self.complete(latents, available)

    def _forked(self, latents: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """The latents for the segmentation, and for the images, see `_Fork`."""
        if self.image_decoder is None:
            return latents, latents
        pairs = [_Fork.apply(z, self.completion_gradient) for z in latents]
        return [first for first, _ in pairs], [second for _, second in pairs]

    def _decode_several(self, x: Tensor, subsets: Tensor) -> list[HeteroModalOutput]:
        self.require_channels(x)
        encoded = self.encode(x, subsets.any(dim=0))
        outputs = []
        for available in subsets:
            parts = restricted(encoded, available)
            posterior, latents, kl = self.fuse_and_draw(parts, len(x), x.shape[2:], subsets.any(dim=0))
            latents, for_images = self._forked(latents)
            # Only one of the N is kept in memory with all that its decoders make.
            segmentation = compute_again(self, self.decoder, latents)
            completion = compute_again(self, self._completion, for_images, available)
            outputs.append(HeteroModalOutput(segmentation, completion, posterior, kl))
        return outputs


class _Fork(torch.autograd.Function):
    """The same twice, for the segmentation and for the images; the gradient that comes from the images is scaled.

    The weight of the reconstruction, 0.1, says how much it shapes the latents in comparison with the segmentation. The
    image decoder has no other task: scaled down as well, shared by M images, its gradient would be 40 times smaller
    than the segmentation decoder's, and under SGD it would learn so much more slowly, to the same optimum.
    """

    @staticmethod
    def forward(context: Any, x: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        context.scale = scale
        context.set_materialize_grads(False)
        return x.view_as(x), x.view_as(x)

    @staticmethod
    def backward(context: Any, of_segmentation: Tensor | None, of_images: Tensor | None) -> tuple[Tensor | None, None]:
        if of_images is None:
            return of_segmentation, None
        if of_segmentation is None:
            return of_images * context.scale, None
        return torch.add(of_segmentation, of_images, alpha=context.scale), None
