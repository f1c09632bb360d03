"""Convert a raw BraTS folder of 2023 or 2024: glioma, meningioma, metastases, pediatric, Sub-Saharan Africa.

``nnunet_hetero convert brats2023 -i RAW -d 503``, or ``python dataset_conversion/brats2023.py -i RAW -d 503``. Cases
are ``BraTS-GLI-00000-000/BraTS-GLI-00000-000-{t1n,t1c,t2w,t2f,seg}.nii.gz``; the challenges differ in their labels.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from itertools import chain
from pathlib import Path

# Absolute, so that the file also runs as a plain script, where it has no parent package.
from nnunet_hetero.dataset_conversion.brats import REGIONS, REGIONS_CLASS_ORDER
from nnunet_hetero.dataset_conversion.brats_layout import BratsCohort, find_brats_cases
from nnunet_hetero.dataset_conversion.brats_releases import (
    AFRICA,
    CHANNELS,
    GLIOMA_2023,
    GLIOMA_2024,
    MENINGIOMA,
    METASTASES,
    PEDIATRIC,
    Release,
)
from nnunet_hetero.dataset_conversion.writing.command import (
    add_common_arguments,
    add_labels_argument,
    run_alone,
    run_conversion,
)
from nnunet_hetero.dataset_conversion.writing.dataset import DatasetSpec, LabelScheme
from nnunet_hetero.errors import DataError, SettingsError

EXPECTED = (
    "Expected is a raw BraTS folder of 2023 or 2024 with files such as "
    "BraTS-GLI-00000-000/BraTS-GLI-00000-000-t1n.nii.gz"
)


def _scheme(names: str, labels: bool, hint: str) -> LabelScheme:
    """Labels 1, 2, 3: core that does not enhance, what surrounds it, enhancing tumour; regions as BraTS scores them."""
    plain: dict[str, int | list[int]] = {"background": 0}
    plain.update((name, value) for value, name in enumerate(names.split(), start=1))
    values = {value: value for value in range(4)}
    return LabelScheme(plain, values, None, hint) if labels else LabelScheme(REGIONS, values, REGIONS_CLASS_ORDER, hint)


def preoperative_glioma(labels: bool) -> LabelScheme:
    """Glioma of 2023, also of Sub-Saharan Africa: 1 necrotic core, 2 oedema, 3 enhancing tumour."""
    hint = "Glioma of 2023 has no other labels; 4 is the resection cavity of 2024, or enhancing tumour up to 2021."
    return _scheme("necrotic_core edema enhancing_tumor", labels, hint)


def lesion(labels: bool) -> LabelScheme:
    """Meningioma and metastases: 1 non-enhancing core, 2 surrounding FLAIR hyperintensity, 3 enhancing tumour."""
    names = "non_enhancing_tumor_core surrounding_flair_hyperintensity enhancing_tumor"
    return _scheme(names, labels, "Meningioma and metastases of 2023 have no other labels.")


def treated_glioma(labels: bool) -> LabelScheme:
    """Glioma of 2024, after treatment: as `lesion`, and 4 the resection cavity, which is no part of the tumour."""
    values = {value: value for value in range(5)}
    if labels:
        return LabelScheme({**lesion(labels=True).labels, "resection_cavity": 4}, values)
    return LabelScheme({**REGIONS, "resection_cavity": 4}, values, (*REGIONS_CLASS_ORDER, 4))


def pediatric_2023(labels: bool) -> LabelScheme:
    """Pediatric of 2023: 1 all that does not enhance, 2 oedema, 3 enhancing tumour."""
    hint = "4 is oedema of 2024 and later: choose --challenge ped-2024."
    return _scheme("non_enhancing_component edema enhancing_tumor", labels, hint)


def pediatric_2024(labels: bool) -> LabelScheme:
    """Pediatric since 2024: 1 enhancing tumour, 2 non-enhancing tumour, 3 cystic component, 4 oedema."""
    values = {value: value for value in range(5)}
    if labels:
        plain = {"enhancing_tumor": 1, "non_enhancing_tumor": 2, "cystic_component": 3, "edema": 4}
        return LabelScheme({"background": 0, **plain}, values)
    regions: dict[str, int | list[int]] = {
        "background": 0,
        "whole_tumor": [1, 2, 3, 4],
        "tumor_core": [1, 2, 3],
        "cystic_component": 3,
        "enhancing_tumor": 1,
    }
    # What is whole tumour and no core is oedema (4); what is core, neither cystic nor enhancing, is the rest of it (2).
    return LabelScheme(regions, values, (4, 2, 3, 1))


# --challenge → what its case names are, what it is called, its labels.
CHALLENGES = {
    "gli-2023": (GLIOMA_2023, "BraTS 2023 glioma", preoperative_glioma),
    "gli-2024": (GLIOMA_2024, "BraTS 2024 post-treatment glioma", treated_glioma),
    "men": (MENINGIOMA, "BraTS meningioma", lesion),
    "met": (METASTASES, "BraTS metastases", lesion),
    "ped-2023": (PEDIATRIC, "BraTS 2023 pediatric", pediatric_2023),
    "ped-2024": (PEDIATRIC, "BraTS 2024 pediatric", pediatric_2024),
    "ssa": (AFRICA, "BraTS Sub-Saharan Africa", preoperative_glioma),
}
# What the folders of the pediatric releases are called; the cases of both years have the same names.
_PEDIATRIC_FOLDERS = {
    "ped-2023": re.compile(r"BraTS-?2023", re.I),
    "ped-2024": re.compile(r"PEDs?-?2024|PEDs-v1", re.I),
}


def find_brats2023_cases(raw: str | Path) -> BratsCohort:
    """Search a folder for cases of BraTS 2023 or 2024; raises as `find_brats_cases`."""
    return find_brats_cases(raw, _releases(), EXPECTED)


def _releases() -> list[Release]:
    return list(dict.fromkeys(release for release, _, _ in CHALLENGES.values()))


def choose_challenge(cohort: BratsCohort, asked: str | None) -> str:
    """Find out which challenge a cohort is of, by what the user says or else by the names.

    Raises:
        DataError: If the names do not tell.
        SettingsError: If what the user says contradicts the names of the cases.
    """
    (release,) = cohort.releases
    fitting = [name for name, (its_release, _, _) in CHALLENGES.items() if its_release is release]
    if asked is not None:
        if asked not in fitting:
            raise SettingsError(
                f"--challenge {asked}: the cases in {cohort.raw} are named as those of {release.title} "
                f"({cohort.cases[0].name}), which is {' or '.join(fitting)}."
            )
        return asked
    if len(fitting) > 1:
        sources = chain.from_iterable(case.sources for case in cohort.cases)
        folders = [os.path.realpath(cohort.raw), *map(str, sources)]
        fitting = [name for name in fitting if any(map(_PEDIATRIC_FOLDERS[name].search, folders))]
    if len(fitting) != 1:
        raise DataError(
            f"{cohort.raw} holds {release.title}, but the names do not tell the year, and the years have other labels: "
            "in 2023 3 is enhancing tumour, since 2024 1 is. Say which: --challenge ped-2023 or ped-2024"
        )
    return fitting[0]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``nnunet_hetero convert brats2023``."""
    add_common_arguments(parser, "BraTS2023", "raw BraTS folder of 2023 or 2024, as unpacked")
    add_labels_argument(parser)
    parser.add_argument("--challenge", choices=CHALLENGES, help="which labels the cases have (by their names)")


def run(args: argparse.Namespace) -> int:
    """Do what the parsed options ask for; returns the exit code, 1 when a case could not be converted."""
    cohort = find_brats2023_cases(args.input)
    challenge = choose_challenge(cohort, args.challenge)
    _, title, scheme = CHALLENGES[challenge]
    print(f"Challenge: {challenge} ({'as asked for' if args.challenge else 'by the names; --challenge overrides it'})")
    return run_conversion(DatasetSpec(CHANNELS, scheme(args.labels), title), cohort.cases, args, cohort.ignored)


def main(argv: list[str] | None = None) -> int:
    """Command line of this converter alone."""
    return run_alone("brats2023.py", __doc__.splitlines()[0], add_arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
