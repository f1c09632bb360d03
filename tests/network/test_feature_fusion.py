"""U-HeMIS: nnU-Net's encoders and decoder, moments between them."""

from __future__ import annotations

from helpers.tiny_network import build, masks, random_images, tiny_network

from nnunet_hetero.network.feature_fusion import UHeMIS


class TestUHeMIS:
    def test_same_encoders_and_decoder_as_ours(self):
        """But for norms at the finest level; where our decoder takes a latent it takes two moments of features."""
        theirs, ours = build(UHeMIS, {}, (8, 8, 8)), tiny_network(finest_norm=True)
        takes_latents = ("stages.0.convs.0.conv", "stages.1.convs.0.conv", "transpconvs.0")

        def shapes(network) -> dict:
            others = ("heads", "image_decoder", *(f"decoder.{name}" for name in takes_latents))
            return {
                name: p.shape for name, p in network.named_parameters() if not any(other in name for other in others)
            }

        assert shapes(theirs) == shapes(ours)
        for network, channels in ((theirs, (16, 8, 16)), (ours, (4, 4, 8))):
            decoder = network.decoder
            assert [stage.convs[0].input_channels for stage in decoder.stages] == [8 + channels[1], 8 + channels[0]]
            assert decoder.transpconvs[0].in_channels == channels[2]

    def test_the_second_half_of_the_skips_is_zero_for_one_modality(self):
        network, x = build(UHeMIS, {}, (8, 8, 8)), random_images()
        for subset in ((2,), (0, 3)):
            levels = network.fuse(network.encode(x, masks(subset, subset)), 2, x.shape[2:])
            assert all(level[:, level.shape[1] // 2 :].any() == (len(subset) > 1) for level in levels)
