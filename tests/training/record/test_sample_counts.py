"""How often modalities and subsets were there and were drawn."""

from __future__ import annotations

import json
from collections import Counter

import matplotlib.image
import numpy as np
import pytest

from nnunet_hetero.modalities import Modalities, mask_of
from nnunet_hetero.training.record.sample_counts import SampleCounts

MODALITIES = Modalities(("T1", "T1c", "FLAIR"))
CASES = Counter({(0, 1, 2): 3, (0, 2): 2, (1,): 1})
"""Six cases, by what they have."""


def rows(*subsets) -> np.ndarray:
    return np.array([mask_of(subset, 3) for subset in subsets])


@pytest.fixture
def counts() -> SampleCounts:
    counts = SampleCounts(MODALITIES)
    counts.add(rows((0, 1, 2), (0, 1, 2), (0, 2)), rows((0,), (0, 1, 2), (0, 2)))
    counts.add(rows((0, 2), (1,), (0, 1, 2)), rows((0,), (1,), (1, 2)))
    return counts


class TestCounts:
    def test_table(self, counts):
        assert counts.table(CASES) == {
            "cases": 6,
            "samples": 6,
            "modalities": {
                "T1": {"cases": 5, "there": 5, "drawn": 4},
                "T1c": {"cases": 4, "there": 4, "drawn": 3},
                "FLAIR": {"cases": 5, "there": 5, "drawn": 3},
            },
            "subsets": {
                "T1": {"cases": 0, "there": 0, "drawn": 2},
                "T1c": {"cases": 1, "there": 1, "drawn": 1},
                "T1+FLAIR": {"cases": 2, "there": 2, "drawn": 1},
                "T1c+FLAIR": {"cases": 0, "there": 0, "drawn": 1},
                "T1+T1c+FLAIR": {"cases": 3, "there": 3, "drawn": 1},
            },
        }

    def test_log(self, counts):
        modalities, subsets = counts.describe()
        assert "6 samples so far: T1 4/5, T1c 3/4, FLAIR 3/5" in modalities
        assert subsets.startswith("Subsets drawn: T1 2, ") and "T1+T1c+FLAIR 1" in subsets

    def test_continues(self, counts):
        resumed = SampleCounts(MODALITIES)
        resumed.add(rows((1,)), rows((1,)))
        resumed.load_state_dict(counts.state_dict())
        resumed.add(rows((1,)), rows((1,)))
        assert resumed.samples == 7
        assert resumed.table(CASES)["subsets"]["T1c"] == {"cases": 1, "there": 2, "drawn": 2}
        assert counts.samples == 6

    def test_ranks_add_up(self, counts):
        merged = SampleCounts(MODALITIES)
        for _ in range(2):
            merged.merge(counts.state_dict())
        assert merged.of_modalities(merged.drawn) == [8, 6, 6]


class TestFiles:
    def test_written(self, counts, tmp_path):
        counts.write(tmp_path, CASES)
        assert {file.name for file in tmp_path.iterdir()} == {"modalities.json", "modalities.png"}
        assert json.loads((tmp_path / "modalities.json").read_text()) == counts.table(CASES)
        picture = matplotlib.image.imread(tmp_path / "modalities.png")
        # Both bars are there: light grey and blue.
        for colour in ((0xB9, 0xC6, 0xD2), (0x00, 0x72, 0xB2)):
            assert (np.abs(picture[..., :3] * 255 - colour).max(axis=-1) < 2).sum() > 500
