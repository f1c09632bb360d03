"""Convert a raw BraTS folder (2018, 2019, 2020 or 2021) to an nnU-Net dataset.

``nnunet_hetero convert brats -i RAW -d 501``, or ``python dataset_conversion/brats.py -i RAW -d 501``. Cases that lack
modalities are taken: an all-zero volume stands for each absent one, which is how all of nnunet_hetero knows it.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

# Absolute, so that the file also runs as a plain script, where it has no parent package.
from nnunet_hetero.dataset_conversion.brats_layout import CHANNELS, find_brats_cases
from nnunet_hetero.dataset_conversion.common import (
    DEFAULT_PROCESSES,
    ConversionSummary,
    convert_cohort,
    describe,
    describe_failures,
    run_alone,
)
from nnunet_hetero.dataset_conversion.dataset import RAW_VARIABLE, DatasetSpec, dataset_folder

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


def convert_brats(
    raw: str | Path,
    dataset_id: int,
    name: str = DEFAULT_NAME,
    labels: bool = False,
    unlabelled_to_test: bool = False,
    processes: int = DEFAULT_PROCESSES,
    progress: bool = True,
) -> ConversionSummary:
    """Convert a raw BraTS folder to ``$nnUNet_raw/DatasetXXX_name``.

    Args:
        raw: Folder of BraTS 2018, 2019, 2020 or 2021, as unpacked.
        dataset_id: nnU-Net's number of the dataset, 1 to 999.
        name: What stands after ``DatasetXXX_``.
        labels: Whether to train on the labels themselves, not on the regions whole tumour, core and enhancing tumour.
        unlabelled_to_test: Whether cases without segmentation go to imagesTs; otherwise they fail.
        processes: Number of cases converted at a time.
        progress: Whether to show a progress bar on stderr.

    Returns:
        What was done; bad cases are listed in its `failures`, and the others are converted nevertheless.

    Raises:
        DataError: If the raw folder holds no case or several releases, or the dataset's folder holds other content.
        SettingsError: If nnUNet_raw is not set, or `dataset_id` or `name` cannot be used.
    """
    folder = dataset_folder(dataset_id, name)
    cohort = find_brats_cases(raw)
    spec = DatasetSpec(
        folder=folder,
        channel_names=tuple(CHANNELS.values()),
        labels=PLAIN_LABELS if labels else REGIONS,
        regions_class_order=None if labels else REGIONS_CLASS_ORDER,
        label_values=LABEL_VALUES,
        label_hint="BraTS 2018 to 2021 has no other labels; later ones have enhancing tumour as 3.",
        description=f"BraTS {cohort.year}, converted from its raw layout",
    )
    return convert_cohort(spec, cohort.cases, processes, unlabelled_to_test, progress)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``nnunet_hetero convert brats``."""
    parser.add_argument("-i", "--input", required=True, metavar="RAW", help="raw BraTS folder, as unpacked")
    parser.add_argument(
        "-d", "--dataset-id", required=True, type=int, metavar="ID", help="nnU-Net dataset ID, 1 to 999"
    )
    parser.add_argument("--name", default=DEFAULT_NAME, help="dataset name after DatasetXXX_ (%(default)s)")
    parser.add_argument(
        "--labels",
        action="store_true",
        help="keep plain labels (necrotic core, edema, enhancing tumor) instead of the three BraTS regions",
    )
    parser.add_argument(
        "--unlabelled-to-imagesTs",
        dest="unlabelled_to_test",
        action="store_true",
        help="put cases without segmentation into imagesTs; otherwise they are reported as errors",
    )
    parser.add_argument(
        "-np", dest="processes", type=int, default=DEFAULT_PROCESSES, metavar="N", help="processes (%(default)s)"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what was found, read no voxels and write nothing")


def run(args: argparse.Namespace) -> int:
    """Do what the parsed options ask for; returns the exit code, 1 when a case could not be converted."""
    if args.dry_run:
        print(find_brats_cases(args.input).describe())
        if os.environ.get(RAW_VARIABLE):
            print(f"Would be written to {dataset_folder(args.dataset_id, args.name)}")
        return 0
    summary = convert_brats(
        args.input, args.dataset_id, args.name, args.labels, args.unlabelled_to_test, args.processes
    )
    print(describe(summary))
    if summary.failures:
        print(f"error: {describe_failures(summary)}", file=sys.stderr)
        return 1
    return 0


def main(argv: list[str] | None = None) -> int:
    """Command line of the BraTS converter alone."""
    return run_alone("brats.py", __doc__.splitlines()[0], add_arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
