"""RFNet's network: modalities weighed apart for every region, each segmented alone in training."""

from __future__ import annotations

import torch
from helpers.tiny_network import build, masks, random_images

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.network.fusions import Part
from nnunet_hetero.network.published.region_aware import RegionAwareFusion, RegionAwareUNet

ROWS = torch.arange(1)


def network() -> RegionAwareUNet:
    return build(RegionAwareUNet, {}, (8, 8, 8))


def fusion(regions: int = 2) -> RegionAwareFusion:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return RegionAwareFusion(4, 2, 3, HeteroModalConfig(), regions)


def parts(*channels: int) -> list[Part]:
    return [Part(channel, random_images(1, 4, (4, 4, 4), seed=channel), ROWS) for channel in channels]


class TestFusion:
    def test_by_hand_without_what_comes_after(self):
        found = fusion()
        found.after = torch.nn.Identity()
        fused, logits = found.with_map(parts(0, 1), (1, 4, 4, 4, 4), torch.device("cpu"))
        images = torch.cat([part.features for part in parts(0, 1)], dim=1)
        expected = found.all(images)
        for weigh, region in zip(found.weights, logits.sigmoid().split(1, dim=1), strict=True):
            means = (images * region).sum(dim=(2, 3, 4)) / region.sum(dim=(2, 3, 4))
            weighed = images * weigh(means).view(1, 8, 1, 1, 1)
            expected = expected + (weighed[:, :4] + weighed[:, 4:]) * region
        assert torch.allclose(fused, expected, atol=1e-3)

    def test_regions_that_exclude_each_other(self):
        found = fusion()
        overlapping, _ = found.with_map(parts(0, 1), (1, 4, 4, 4, 4), torch.device("cpu"))
        found.overlapping.fill_(False)
        exclusive, _ = found.with_map(parts(0, 1), (1, 4, 4, 4, 4), torch.device("cpu"))
        assert not torch.allclose(overlapping, exclusive)

    def test_the_map_learns_from_its_own_loss_alone(self):
        found = fusion()
        found.with_map(parts(0, 1), (1, 4, 4, 4, 4), torch.device("cpu"))[0].sum().backward()
        assert all(parameter.grad is None for parameter in found.map.parameters())

    def test_without_a_map_the_whole_is_one_region(self):
        fused, logits = fusion(0).with_map(parts(1), (1, 4, 4, 4, 4), torch.device("cpu"))
        assert logits is None and fused.shape == (1, 4, 4, 4, 4)

    def test_without_any_modality_it_is_finite(self):
        assert fusion()([], (1, 4, 4, 4, 4), torch.device("cpu")).isfinite().all()


class TestNetwork:
    def test_a_sample_depends_on_its_own_modalities_only(self):
        found, x, shown = network(), random_images(3), masks((0, 3), (1,), ())
        with torch.no_grad():
            together = found(x, shown)
            for number in range(3):
                alone = found(x[number : number + 1], shown[number : number + 1])
                assert torch.allclose(together[number : number + 1], alone, atol=1e-4)

    def test_in_training(self):
        found, x = network(), random_images()
        there, shown = masks((0, 1, 2, 3), (1, 2)), masks((0,), (1, 2))
        output = found(x, torch.stack([there, shown]))
        assert torch.allclose(output.segmentation, found(x, shown), atol=1e-5)
        # Each that is there is segmented alone, shown or not: one sample has four, the other two.
        assert [len(alone.samples) for alone in output.alone] == [1, 2, 2, 1]
        assert all(alone.segmentation.shape[1:] == (3, 8, 8, 8) for alone in output.alone)
        assert [tuple(logits.shape[1:]) for logits in output.maps] == [(3, 8, 8, 8), (3, 4, 4, 4)]

    def test_whether_regions_overlap_travels_with_the_weights(self):
        first, second = network(), network()
        first.fusions[0].overlapping.fill_(False)
        second.load_state_dict(first.state_dict())
        assert not second.fusions[0].overlapping
