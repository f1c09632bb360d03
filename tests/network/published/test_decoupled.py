"""DeMoSeg's network: own parts and lent parts, in the published order; stand-ins close to what they stand in for."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_network import build, masks, random_images

from nnunet_hetero.network.fusing.rows import Rows
from nnunet_hetero.network.hetero_network import EncodedModality
from nnunet_hetero.network.published.decoupled import DecoupledUNet, lenders_by_name

BRATS = ("T1", "T1c", "T2", "FLAIR")


def network(**configuration) -> DecoupledUNet:
    found = build(DecoupledUNet, configuration, (8, 8, 8))
    found.lenders.copy_(torch.tensor(lenders_by_name(BRATS)))
    return found


class TestLenders:
    def test_of_brain_tumours(self):
        assert lenders_by_name(BRATS) == [[1, 2, 3], [0, 3, 2], [3, 0, 1], [2, 1, 0]]

    def test_by_other_names_and_in_another_order(self):
        assert lenders_by_name(("t2f", "T1ce", "t1w")) == [[1, 2], [2, 0], [1, 0]]

    def test_of_anything_else_in_the_order_of_the_channels(self):
        assert lenders_by_name(("CT", "PET", "T1")) == [[1, 2], [0, 2], [0, 1]]


class TestFusion:
    def test_own_parts_and_lent_ones(self):
        found, x = network(), random_images(2)
        shown = masks((0, 3), (1,))
        encoded = found.encode(x, shown)
        (level,) = found.fuse(encoded, 2, x.shape[2:])
        features = {part.channel: part.features[0] for part in encoded}
        # 8 features, two for each modality. T1 stands in for T1c, FLAIR for T2.
        first = [features[0][0, :2], features[0][0, 2:4], features[3][0, 4:6], features[3][0, 6:]]
        assert torch.equal(level[0], torch.cat(first))
        assert torch.equal(level[1], features[1][0])  # T1c alone stands in for all

    def test_nothing_to_see_is_zeros(self):
        found = network()
        (level,) = found.fuse([], 2, (8, 8, 8))
        assert level.shape == (2, 8, 8, 8, 8) and not level.any()

    def test_a_width_that_the_modalities_do_not_divide(self):
        found = build(DecoupledUNet, {"features": (8, 8, 16)}, (8, 8, 8), modalities=3)
        assert found.parts == [3, 3, 2]
        assert found(random_images(modalities=3)).shape == (2, 3, 8, 8, 8)

    @pytest.mark.parametrize("residual", [False, True])
    def test_a_sample_depends_on_its_own_modalities_only(self, residual):
        found, x, shown = network(residual=residual), random_images(3), masks((0, 3), (1,), (0, 1, 2, 3))
        with torch.no_grad():
            together = found(x, shown)
            for number in range(3):
                alone = found(x[number : number + 1], shown[number : number + 1])
                assert torch.allclose(together[number : number + 1], alone, atol=1e-5)


class TestStandIns:
    def encoded(self, channel: int, plain: torch.Tensor) -> EncodedModality:
        return EncodedModality(channel, [plain, plain], Rows.of(list(range(len(plain)))))

    def test_by_hand(self):
        found = network()
        first, second = random_images(2, 8, (2, 2, 2), seed=1), random_images(1, 8, (2, 2, 2), seed=2)
        expected = 0
        for lender, owner, part in ((first, second, slice(2, 4)), (second, first, slice(0, 2))):
            own = owner[:1, part].softmax(1)
            expected = expected + (own * (own.log() - lender[:1, part].log_softmax(1))).mean()
        loss = found.stand_in_loss([self.encoded(0, first), self.encoded(1, second)])
        assert loss.item() == pytest.approx(float(expected), rel=1e-5)

    def test_one_modality_has_nobody_to_stand_in_for(self):
        assert network().stand_in_loss([self.encoded(0, random_images(2, 8, (2, 2, 2)))]) == 0

    def test_beside_the_segmentation_in_training(self):
        found, x, shown = network(), random_images(), masks((0, 3), (1,))
        output = found(x, shown, full=True)
        assert torch.equal(output.segmentation, found(x, shown)) and output.stand_in > 0


def test_feature_maps_of_the_stems_are_counted():
    found = network()
    stems = 4 * 2 * 8 * 8**3  # modalities, convolutions, features, voxels
    others = found.unet.encoder.stages[1:]
    assert found.unet.encoder.stages[0].compute_conv_feature_map_size((8, 8, 8)) == stems
    assert found.compute_conv_feature_map_size((8, 8, 8)) > stems and len(others) == 2
