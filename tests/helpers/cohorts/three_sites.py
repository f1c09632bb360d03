"""A BraTS cohort of three sites, and what converts it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nnunet_hetero.dataset_conversion import brats
from nnunet_hetero.dataset_conversion.writing.dataset import DatasetSpec, LabelScheme

SITES = ("HGG/Brats18_CBICA_AQN_1", "HGG/Brats18_TCIA01_131_1", "LGG/Brats18_TCIA10_628_1", "LGG/Brats18_2013_0_1")
SPEC = DatasetSpec(("T1", "T2"), LabelScheme({"background": 0, "tumor": 1}, {0: 0, 1: 1, 2: 1, 4: 1}), "test data")


def convert(raw: Path, *arguments: str) -> int:
    """The exit code of ``nnunet_hetero convert brats``, to dataset 501."""
    return brats.main(["-i", str(raw), "-d", "501", "-np", "1", *arguments])


def write_three_sites(raw: Path, write_case: Callable[..., Path]) -> Path:
    """Four cases of three sites, the third without T1c, the last without T1c and without segmentation.

    Args:
        raw: A folder to make.
        write_case: The fixture.

    Returns:
        The folder.
    """
    for index, folder in enumerate(SITES, start=1):
        write_case(raw / folder, index, without=("", "", "t1ce", "t1ce,seg")[index - 1].split(","))
    return raw
