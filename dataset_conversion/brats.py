"""Convert a raw BraTS folder (2018, 2019, 2020 or 2021) to an nnU-Net dataset.

``nnunet_hetero convert brats -i RAW -d 501``, or ``python dataset_conversion/brats.py -i RAW -d 501``. Cases that lack
modalities are taken: an all-zero volume stands for each absent one, which is how all of nnunet_hetero knows it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# Absolute, so that the file also runs as a plain script, where it has no parent package.
from nnunet_hetero.dataset_conversion.brats_layout import BratsCohort, find_brats_cases
from nnunet_hetero.dataset_conversion.brats_releases import CHANNELS, RELEASES
from nnunet_hetero.dataset_conversion.writing.command import (
    add_common_arguments,
    add_labels_argument,
    run_alone,
    run_conversion,
)
from nnunet_hetero.dataset_conversion.writing.common import DEFAULT_PROCESSES, convert_cohort
from nnunet_hetero.dataset_conversion.writing.dataset import DatasetSpec, LabelScheme, dataset_folder
from nnunet_hetero.dataset_conversion.writing.summary import ConversionSummary
from nnunet_hetero.dataset_conversion.writing.unlabelled import REFUSED

# nnU-Net needs consecutive labels: enhancing tumour moves from 4 to 3, the others stay.
LABEL_VALUES = {0: 0, 1: 1, 2: 2, 4: 3}
PLAIN_LABELS: dict[str, int | list[int]] = {"background": 0, "necrotic_core": 1, "edema": 2, "enhancing_tumor": 3}
# The regions that BraTS scores.
REGIONS: dict[str, int | list[int]] = {
    "background": 0,
    "whole_tumor": [1, 2, 3],
    "tumor_core": [1, 3],
    "enhancing_tumor": 3,
}
# nnU-Net writes the regions one over the other with these labels: what is whole tumour and nothing else is oedema (2),
# what is core and not enhancing is necrotic core (1).
REGIONS_CLASS_ORDER = (2, 1, 3)
DEFAULT_NAME = "BraTS"
_EXPECTED = (
    "Expected is a raw BraTS folder of 2018 to 2021 with files such as HGG/Brats18_CBICA_AQN_1/"
    "Brats18_CBICA_AQN_1_t1ce.nii.gz, BraTS20_Training_001/BraTS20_Training_001_flair.nii or "
    "BraTS2021_00000/BraTS2021_00000_seg.nii.gz"
)


def find_brats2018_cases(raw: str | Path) -> BratsCohort:
    """Search a folder for cases of BraTS 2018 to 2021; raises as `find_brats_cases`."""
    return find_brats_cases(raw, [release for release in RELEASES if release.converter == "brats"], _EXPECTED)


def convert_brats(
    raw: str | Path,
    dataset_id: int,
    name: str = DEFAULT_NAME,
    labels: bool = False,
    unlabelled: str = REFUSED,
    processes: int = DEFAULT_PROCESSES,
    progress: bool = True,
) -> ConversionSummary:
    """Convert a raw BraTS folder to ``$nnUNet_raw/DatasetNNN_name``.

    Args:
        raw: Folder of BraTS 2018, 2019, 2020 or 2021, as unpacked.
        dataset_id: nnU-Net's number of the dataset, 1 to 999.
        name: What stands after ``DatasetNNN_``.
        labels: Whether to train on the labels themselves, not on the regions whole tumour, core and enhancing tumour.
        unlabelled: What becomes of cases without segmentation: ``refuse``, they fail; ``test``, they go to imagesTs;
            ``train``, they are training cases with nnU-Net's ignore label everywhere.
        processes: Number of cases converted at a time.
        progress: Whether to show a progress bar on stderr.

    Returns:
        What was done; bad cases are listed in its `failures`, and the others are converted nevertheless.

    Raises:
        DataError: If the raw folder holds no case or several releases, or the dataset's folder holds other content.
        SettingsError: If nnUNet_raw is not set, or `dataset_id` or `name` cannot be used.
    """
    cohort = find_brats2018_cases(raw)
    folder, spec = dataset_folder(dataset_id, name), _spec(cohort, labels)
    return convert_cohort(folder, spec, cohort.cases, processes, unlabelled, progress)


def _spec(cohort: BratsCohort, labels: bool) -> DatasetSpec:
    scheme = LabelScheme(
        labels=PLAIN_LABELS if labels else REGIONS,
        values=LABEL_VALUES,
        regions_class_order=None if labels else REGIONS_CLASS_ORDER,
        hint="BraTS 2018 to 2021 has no other labels; later ones have enhancing tumour as 3.",
    )
    return DatasetSpec(CHANNELS, scheme, cohort.title)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``nnunet_hetero convert brats``."""
    add_common_arguments(parser, DEFAULT_NAME, "raw BraTS folder, as unpacked")
    add_labels_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Do what the parsed options ask for; returns the exit code, 1 when a case could not be converted."""
    cohort = find_brats2018_cases(args.input)
    return run_conversion(_spec(cohort, args.labels), cohort.cases, args, cohort.ignored)


def main(argv: list[str] | None = None) -> int:
    """Command line of the BraTS converter alone."""
    return run_alone("brats.py", __doc__.splitlines()[0], add_arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
