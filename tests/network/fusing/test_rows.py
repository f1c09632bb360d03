"""Which samples of a batch have a modality."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from nnunet_hetero.network.fusing.rows import Rows, rows_by_modality


@pytest.mark.parametrize("numbers", [(), (0,), (3,), (1, 2), (0, 1, 2, 3), (0, 2), (0, 1, 3)])
class TestRows:
    def test_picks_and_tells_them(self, numbers):
        rows, values = Rows.of(numbers), torch.arange(8.0).view(4, 2)
        assert torch.equal(rows.pick(values), values[list(numbers)])
        assert rows.as_tensor("cpu").tolist() == list(numbers)

    def test_consecutive_ones_need_no_index(self, numbers):
        assert isinstance(Rows.of(numbers).index, slice) == (numbers not in [(0, 2), (0, 1, 3)])


def test_of_every_modality():
    """Every pattern of a batch of four, one per modality."""
    patterns = list(product([False, True], repeat=4))
    found = rows_by_modality([list(sample) for sample in zip(*patterns, strict=True)], "cpu")
    for pattern, rows in zip(patterns, found, strict=True):
        assert rows.numbers == tuple(number for number, has in enumerate(pattern) if has)
        assert torch.equal(rows.pick(torch.arange(4)), torch.arange(4)[torch.tensor(pattern)])


def test_one_copy_to_the_device_at_most(monkeypatch):
    """Whatever the number of modalities."""
    copies = []
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, *_, **__: copies.append(tensor) or tensor)
    rows_by_modality([[True, True, False], [True, False, True], [True, True, True]], "cpu")
    assert len(copies) == 1
    rows_by_modality([[True, False], [True, True]], "cpu")
    assert len(copies) == 1, "consecutive samples need none"
