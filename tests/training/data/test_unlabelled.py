"""Cases without a segmentation: found, arranged, sampled as often as asked for, no part of the segmentation loss."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from nnunet_hetero.errors import DataError
from nnunet_hetero.training.data.unlabelled import (
    LossOfLabelled,
    arrange_unlabelled,
    find_unlabelled,
    labelled_rows,
    with_share,
)

IGNORE = 3
LABELS = SimpleNamespace(has_ignore_label=True, all_labels=[0, 1, 2], ignore_label=IGNORE)
ANNOTATED = (-1, 0, 1, 2)


class Cases:
    """In the place of nnU-Net's dataset: a label map for each case, and locations as its preprocessing writes them."""

    def __init__(self, **maps: np.ndarray):
        self.maps = maps
        self.identifiers = list(maps)

    def load_case(self, case: str) -> tuple:
        values = self.maps[case][None]
        locations = {label: np.argwhere(values == label) for label in (1, 2)}
        locations[ANNOTATED] = np.argwhere(np.isin(values, ANNOTATED))
        return np.where(values == -1, 0.0, self.around(values)), values, None, {"class_locations": locations}

    def around(self, values: np.ndarray) -> np.ndarray:
        """Images as preprocessing leaves them: noise."""
        return np.random.default_rng(0).normal(size=values.shape)


def label_map(*values: int) -> np.ndarray:
    """The outside of the images in the first plane, then the values, then the ignore label."""
    found = np.full((4, 4, 4), IGNORE, np.int8)
    found[0] = -1
    found[1].flat[: len(values)] = values
    return found


def trainer(fold=0) -> SimpleNamespace:
    log: list[str] = []
    return SimpleNamespace(fold=fold, log=log, print_to_log_file=log.append)


class TestFind:
    def test_patches_are_taken_inside_of_the_images(self):
        found = find_unlabelled(Cases(a=label_map(1), b=label_map(), c=label_map(0)), LABELS, True)
        assert list(found) == ["b"]  # c is a case of background alone
        places = found["b"][ANNOTATED]
        assert len(places) == 48 and set(places[:, 1]) == {1, 2, 3} and not places[:, 0].any()
        assert found["b"][1] == [] and found["b"][2] == []

    def test_without_an_ignore_label_nothing_is_read(self):
        labels = SimpleNamespace(has_ignore_label=False)
        assert find_unlabelled(SimpleNamespace(identifiers=["a"]), labels, True) == {}


class Framed(Cases):
    """Cases whose images were normalised together with the zeros around them."""

    def around(self, values):
        found = np.full(values.shape, -0.8)
        found[:, 1:3, 1:3, 1:3] = super().around(values)[:, 1:3, 1:3, 1:3]
        return found


class TestOutside:
    everywhere = np.full((4, 4, 4), IGNORE, np.int8)

    def test_is_refused_where_it_was_taken_for_a_part_of_the_images(self):
        with pytest.raises(DataError, match=r"1 case\(s\) have the ignore label outside.*'b'.*must be 0 there"):
            find_unlabelled(Framed(a=label_map(1), b=self.everywhere), LABELS, True)

    def test_of_a_case_that_is_segmented_in_part_too(self):
        partly = self.everywhere.copy()
        partly[1, 1] = 1
        with pytest.raises(DataError, match="'b'"):
            find_unlabelled(Framed(b=partly), LABELS, True)

    def test_nothing_is_wrong_without_an_outside(self):
        assert list(find_unlabelled(Cases(b=self.everywhere), LABELS, True)) == ["b"]

    def test_nor_where_all_of_every_image_counts(self):
        assert list(find_unlabelled(Framed(b=self.everywhere), LABELS, False)) == ["b"]


class TestArrange:
    def test_a_trainer_that_learns_from_them(self):
        training = Cases(a=label_map(1), b=label_map())
        found = arrange_unlabelled(
            told := trainer(), LABELS, training, Cases(c=label_map(2)), within_images=True, learns=True
        )
        assert list(found) == ["b"] and training.identifiers == ["a", "b"]
        assert told.log == ["1 of 2 training cases have no segmentation."]

    def test_any_other_leaves_them_out(self):
        training = Cases(a=label_map(1), b=label_map())
        assert not arrange_unlabelled(told := trainer(), LABELS, training, Cases(), within_images=True, learns=False)
        assert training.identifiers == ["a"] and "left out" in told.log[0]

    def test_a_validation_case_is_refused(self):
        with pytest.raises(DataError, match=r"1 validation case\(s\) have no segmentation \('b'\).*splits"):
            arrange_unlabelled(
                trainer(), LABELS, Cases(a=label_map(1)), Cases(b=label_map()), within_images=True, learns=True
            )

    def test_fold_all_validates_on_the_others(self):
        training, validation = Cases(a=label_map(1), b=label_map()), Cases(a=label_map(1), b=label_map())
        assert list(
            arrange_unlabelled(trainer("all"), LABELS, training, validation, within_images=True, learns=True)
        ) == ["b"]
        assert training.identifiers == ["a", "b"] and validation.identifiers == ["a"]

    def test_without_any_segmentation(self):
        with pytest.raises(DataError, match="no training case has a segmentation"):
            arrange_unlabelled(trainer(), LABELS, Cases(a=label_map()), Cases(), within_images=True, learns=True)


class TestShare:
    def test_others_keep_their_proportions(self):
        found = with_share(["a", "b", "c", "d"], {"c", "d"}, [0.1, 0.3, 0.3, 0.3], 0.2)
        assert found == pytest.approx([0.2, 0.6, 0.1, 0.1])

    def test_nothing_asked_for_or_nobody_there(self):
        assert with_share(["a", "b"], {"b"}, None, None) is None
        assert with_share(["a", "b"], {}, [0.4, 0.6], 0.5) == [0.4, 0.6]

    def test_rows_of_a_batch(self):
        assert labelled_rows(["a", "b", "a"], {"b": {}}) == [0, 2]
        assert labelled_rows(["a", "b"], {}) is None


class TestLoss:
    loss = nn.MSELoss()

    def outputs(self) -> torch.Tensor:
        return torch.arange(6.0).view(3, 2).requires_grad_()

    def test_of_some_samples_is_the_loss_of_a_batch_of_them(self):
        wrapped, output = LossOfLabelled(self.loss), self.outputs()
        wrapped.count([0, 2])
        found = wrapped(output, torch.zeros(3, 2))
        assert found == self.loss(output[[0, 2]], torch.zeros(2, 2))
        found.backward()
        assert not output.grad[1].any() and output.grad[2].all()

    @pytest.mark.parametrize("levels", [1, 2])
    def test_of_none_is_zero_with_a_gradient_for_all(self, levels):
        wrapped, outputs = LossOfLabelled(self.loss), [self.outputs() for _ in range(levels)]
        wrapped.count([])
        found = wrapped(outputs if levels > 1 else outputs[0], None)
        assert found == 0
        found.backward()
        assert all(output.grad is not None and not output.grad.any() for output in outputs)

    def test_of_none_is_zero_in_half_precision_too(self):
        wrapped = LossOfLabelled(self.loss)
        wrapped.count([])
        output = torch.full((4, 1000), 100.0, dtype=torch.float16, requires_grad=True)
        found = wrapped(output, None)
        assert found == 0 and found.dtype == torch.float32
        found.backward()
        assert not output.grad.any()

    def test_of_levels(self):
        class OfLevels(nn.Module):
            def forward(self, outputs, targets):
                return sum(map(TestLoss.loss, outputs, targets))

        two = OfLevels()
        wrapped, output = LossOfLabelled(two), self.outputs()
        wrapped.count([1])
        found = wrapped([output, 2 * output], [torch.zeros(3, 2)] * 2)
        assert found == two([output[1:2], 2 * output[1:2]], [torch.zeros(1, 2)] * 2)

    @pytest.mark.parametrize("rows", [None, [0, 1, 2]])
    def test_of_all(self, rows):
        wrapped, output = LossOfLabelled(self.loss), self.outputs()
        wrapped.count(rows)
        assert wrapped(output, torch.zeros(3, 2)) == self.loss(output, torch.zeros(3, 2))
