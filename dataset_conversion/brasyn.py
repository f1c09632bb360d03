"""Convert a raw BraSyn folder, where each case of BraTS lacks one modality.

``nnunet_hetero convert brasyn -i RAW -d 504``, or ``python dataset_conversion/brasyn.py -i RAW -d 504``. The challenge
takes cases of BraTS 2023 (glioma; since 2025 also metastases and meningioma, in one folder) and leaves out one of
``t1n``, ``t1c``, ``t2w``, ``t2f`` in each case of its validation and test sets; the training cases are complete.
Source: https://github.com/hongweilibran/BraSyn
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

# Absolute, so that the file also runs as a plain script, where it has no parent package.
from nnunet_hetero.dataset_conversion.brats2023 import EXPECTED, preoperative_glioma
from nnunet_hetero.dataset_conversion.brats_layout import BratsCohort, find_brats_cases
from nnunet_hetero.dataset_conversion.brats_releases import CHANNELS, GLIOMA_2023, MENINGIOMA, METASTASES
from nnunet_hetero.dataset_conversion.writing.cases import RawCase
from nnunet_hetero.dataset_conversion.writing.command import (
    add_common_arguments,
    add_labels_argument,
    run_alone,
    run_conversion,
)
from nnunet_hetero.dataset_conversion.writing.dataset import DatasetSpec
from nnunet_hetero.dataset_conversion.writing.unlabelled import TEST_CASES


def find_brasyn_cases(raw: str | Path) -> BratsCohort:
    """Search a folder for cases of BraSyn; those that lack more than one modality have a `RawCase.problem`.

    Raises:
        DataError: As `find_brats_cases`.
    """
    cohort = find_brats_cases(raw, (GLIOMA_2023, METASTASES, MENINGIOMA), EXPECTED, mixture=True)
    return replace(cohort, cases=tuple(map(_check, cohort.cases)))


def _check(case: RawCase) -> RawCase:
    gaps = [name for name, path in zip(CHANNELS, case.images, strict=True) if path is None]
    problem = case.problem
    if problem is None and len(gaps) > 1:
        problem = (
            f"it lacks {', '.join(gaps)}, and BraSyn leaves out one modality a case. Unpack the archive again, or use "
            "'nnunet_hetero convert brats2023', which takes any gaps."
        )
    # The tumour's kind, so that splits can balance it: GLI, MET or MEN.
    return replace(case, problem=problem, grade=case.name.split("-")[1].upper())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``nnunet_hetero convert brasyn``."""
    add_common_arguments(parser, "BraSyn", "raw BraSyn folder, as unpacked", unlabelled=TEST_CASES)
    add_labels_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Do what the parsed options ask for; returns the exit code, 1 when a case could not be converted."""
    cohort = find_brasyn_cases(args.input)
    spec = DatasetSpec(CHANNELS, preoperative_glioma(args.labels), f"BraSyn ({cohort.title})")
    return run_conversion(spec, cohort.cases, args, cohort.ignored)


def main(argv: list[str] | None = None) -> int:
    """Command line of this converter alone."""
    return run_alone("brasyn.py", __doc__.splitlines()[0], add_arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
