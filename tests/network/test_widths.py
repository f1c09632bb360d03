"""The rule from which all widths follow."""

from __future__ import annotations

import pytest

from nnunet_hetero.network.widths import scaled_widths

NNUNET = [32, 64, 128, 256, 320, 320]


class TestScaledWidths:
    @pytest.mark.parametrize(
        ("features", "fraction", "expected"),
        [
            (NNUNET, 1.0, NNUNET),
            (NNUNET, 0.5, [16, 32, 64, 128, 160, 160]),
            (NNUNET, 0.25, [8, 16, 32, 64, 80, 80]),
            (NNUNET, 0.125, [4, 8, 16, 32, 40, 40]),
            (NNUNET, 0.01, [4, 4, 4, 4, 4, 4]),
            ([24, 30, 36], 0.3, [8, 8, 12]),
            ([1], 0.5, [4]),
            ([8], 2.0, [16]),
        ],
    )
    def test_table(self, features, fraction, expected):
        assert scaled_widths(features, fraction) == expected

    @pytest.mark.parametrize("fraction", [0.05, 0.2, 1 / 3, 0.7, 1.5])
    def test_multiples_of_four_within_two_of_the_share(self, fraction):
        features = range(20, 330, 7)
        for width, planned in zip(scaled_widths(features, fraction), features, strict=True):
            assert width % 4 == 0
            assert abs(width - planned * fraction) <= 2 or (width == 4 and planned * fraction < 4)
