"""Self-distillation: samples without a segmentation are taught what the network sees in all their modalities."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.training.data.unlabelled import LossOfLabelled
from nnunet_hetero.training.optimization.distillation import Lesson, count_samples, first_epoch

EVERYWHERE = torch.ones(1, 1, 6).bool()


def probabilities(regions: bool) -> torch.Tensor:
    """Of one sample, three channels and six voxels."""
    logits = 3 * torch.randn(1, 3, 6, generator=torch.Generator().manual_seed(0))
    return logits.sigmoid() if regions else logits.softmax(1)


def logits_of(taught: torch.Tensor, regions: bool) -> torch.Tensor:
    return (torch.logit(taught) if regions else taught.log()).requires_grad_()


@pytest.mark.parametrize("regions", [True, False])
class TestLesson:
    def test_is_learned_where_it_is_repeated(self, regions):
        taught = probabilities(regions)
        logits = logits_of(taught, regions)
        Lesson([0], taught, EVERYWHERE, regions)(logits).backward()
        assert logits.grad.abs().max() < 1e-6

    def test_leads_there_from_elsewhere(self, regions):
        taught = probabilities(regions)
        lesson, logits = Lesson([0], taught, EVERYWHERE, regions), torch.zeros(1, 3, 6, requires_grad=True)
        optimizer = torch.optim.Adam([logits], 0.1)
        for _ in range(500):
            optimizer.zero_grad()
            lesson(logits).backward()
            optimizer.step()
        assert (logits.sigmoid() if regions else logits.softmax(1)).allclose(taught, atol=0.02)

    def test_counts_where_it_is_to_and_for_its_samples_alone(self, regions):
        where = EVERYWHERE.clone()
        where[..., 3:] = False
        logits = torch.randn(2, 3, 6, requires_grad=True)
        lesson = Lesson([1], probabilities(regions), where, regions)
        found = lesson([logits, logits[..., ::2] * float("nan")])  # the finest of the levels
        found.backward()
        assert not logits.grad[0].any() and logits.grad[1, :, :3].all() and not logits.grad[1, :, 3:].any()
        assert torch.equal(found, lesson(logits))


class Network(nn.Module):
    """Gives certain logits, at two levels, and keeps what it was asked."""

    def __init__(self):
        super().__init__()
        self.asked: list[tuple] = []

    def forward(self, data, present):
        self.asked.append((data, present, self.training, torch.is_grad_enabled()))
        return [torch.full((len(data), 2, 4), 2.0), torch.full((len(data), 2, 2), float("nan"))]


def trainer(epoch: int, has_regions: bool = True, **settings) -> SimpleNamespace:
    return SimpleNamespace(
        unlabelled={"b": {}},
        hetero=HeteroModalConfig(num_epochs=10, **settings),
        current_epoch=epoch,
        unwrapped_network=Network().train(),
        label_manager=SimpleNamespace(has_regions=has_regions, ignore_label=3),
        loss=LossOfLabelled(nn.MSELoss()),
        autocast=nullcontext,
    )


DATA = torch.rand(2, 2, 4)
PRESENT = torch.tensor([[True, True], [True, False]])


class TestBatch:
    def test_the_network_sees_all_that_the_case_has_as_in_prediction(self):
        target = torch.zeros(2, 3, 4)
        target[1, -1, :3] = 1  # ignored
        own = trainer(4, distil_unlabelled_after=0.4)
        count_samples(own, ["a", "b"], DATA, [target, target[..., ::2]], PRESENT)
        ((data, present, was_training, had_gradient),) = own.unwrapped_network.asked
        assert torch.equal(data, DATA[1:]) and present.tolist() == [[True, False]]
        assert not was_training and not had_gradient and own.unwrapped_network.training
        lesson = own.loss.of_others
        assert own.loss.rows == [0] and lesson.rows == [1]
        assert lesson.where.tolist() == [[[True, True, True, False]]]
        assert torch.equal(lesson.probabilities, torch.full((1, 2, 4), 2.0).sigmoid())

    def test_of_labels(self):
        own = trainer(9, has_regions=False, distil_unlabelled_after=0.0)
        count_samples(own, ["b", "b"], DATA, torch.tensor([[[3, 3, 0, 0]], [[3, 0, 3, 0]]]), PRESENT)
        lesson = own.loss.of_others
        assert own.loss.rows == [] and lesson.where[:, 0].tolist() == [
            [True, True, False, False],
            [True, False, True, False],
        ]
        assert torch.equal(lesson.probabilities, torch.full((2, 2, 4), 0.5))

    @pytest.mark.parametrize(
        ("cases", "epoch", "settings"),
        [
            (["a", "a"], 9, {"distil_unlabelled_after": 0.4}),
            (["a", "b"], 3, {"distil_unlabelled_after": 0.4}),
            (["a", "b"], 9, {"distil_unlabelled_after": None}),
            (["a", "b"], 5, {"distil_unlabelled_after": 0.4, "completion_first": 0.6}),
        ],
    )
    def test_without_a_lesson(self, cases, epoch, settings):
        own = trainer(epoch, **settings)
        own.loss.count(None, lambda output: output)  # of the step before
        count_samples(own, cases, DATA, torch.ones(2, 3, 4), PRESENT)
        assert own.loss.of_others is None and own.unwrapped_network.asked == []


def test_the_loss_adds_what_others_are_taught():
    loss, output = LossOfLabelled(nn.MSELoss()), torch.ones(2, 3)
    loss.count([0], lambda output: output.sum())
    assert loss(output, torch.zeros(2, 3)) == 1 + 6
    loss.count([], lambda output: output.sum())
    assert loss(output, torch.zeros(2, 3)) == 6


@pytest.mark.parametrize(("after", "epoch"), [(0.0, 0), (0.4, 16), (None, None)])
def test_first_epoch(after, epoch):
    assert first_epoch(HeteroModalConfig(num_epochs=40, distil_unlabelled_after=after)) == epoch
