"""Convert a raw BraTS folder of 2012-2013 or 2015 (MetaImage files of the Virtual Skeleton Database).

``nnunet_hetero convert brats2015 -i RAW -d 502``, or ``python dataset_conversion/brats2015.py -i RAW -d 502``. Cases
are ``HGG/brats_tcia_pat118_0001`` (2015) or ``Image_Data/HG/0001`` (2012-2013) with files such as
``VSD.Brain.XX.O.MR_T1c.35535/VSD.Brain.XX.O.MR_T1c.35535.mha``; the segmentations are ``VSD.Brain_3more.XX.O.OT.*``.
Labels there: Menze et al., IEEE TMI 2015, https://doi.org/10.1109/TMI.2014.2377694.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# Absolute, so that the file also runs as a plain script, where it has no parent package.
from nnunet_hetero.dataset_conversion.brats import PLAIN_LABELS, REGIONS, REGIONS_CLASS_ORDER
from nnunet_hetero.dataset_conversion.brats_layout import BratsCohort, Found
from nnunet_hetero.dataset_conversion.brats_releases import (
    BRATS_2015,
    CHANNELS,
    RELEASES,
    SEGMENTATION,
    SYNTHETIC,
    VSD_FORMATS,
    VSD_IMAGE,
    grade_of,
    vsd_case,
    walk,
)
from nnunet_hetero.dataset_conversion.brats_scan import SIDECARS, require_releases
from nnunet_hetero.dataset_conversion.writing.cases import RawCase
from nnunet_hetero.dataset_conversion.writing.command import (
    add_common_arguments,
    add_labels_argument,
    run_alone,
    run_conversion,
)
from nnunet_hetero.dataset_conversion.writing.dataset import DatasetSpec, LabelScheme

# 1 necrosis and 3 non-enhancing core become one label, as in the later releases; 4 is enhancing tumour.
LABEL_VALUES = {0: 0, 1: 1, 2: 2, 3: 1, 4: 3}
# The synthetic cases distinguish oedema (1) and core (2) only.
SYNTHETIC_VALUES = {0: 0, 1: 1, 2: 2}
SYNTHETIC_LABELS: dict[str, int | list[int]] = {"background": 0, "edema": 1, "tumor_core": 2}
SYNTHETIC_REGIONS: dict[str, int | list[int]] = {"background": 0, "whole_tumor": [1, 2], "tumor_core": 2}

_MODALITIES = {channel.lower(): channel for channel in CHANNELS}
# Brain_3more and the like: a tumour with that many structures more. The synthetic cases have a map of all tissues, too,
# Gray_matter_of_neuraxis_5more, which is none of our business.
_SEGMENTATION = re.compile(r"VSD\.Brain(_\d+more)?\.\w+\.\w+\.OT(\.\d+)?", re.IGNORECASE)
_OTHER_TISSUES = re.compile(r"VSD\.Gray_matter.*", re.IGNORECASE)
VOXELS_OF_MHD = (".raw", ".zraw")
_EXPECTED = (
    "Expected is a raw folder of BraTS 2012-2013 or 2015 with files such as HGG/brats_2013_pat0001_1/"
    "VSD.Brain.XX.O.MR_T1c.54514/VSD.Brain.XX.O.MR_T1c.54514.mha"
)
_HINT = "VSD.Brain.XX.O.MR_T1.*, MR_T1c, MR_T2, MR_Flair or VSD.Brain_3more.XX.O.OT.*, .mha"


def find_brats2015_cases(raw: str | Path) -> BratsCohort:
    """Search a folder and all below it for cases of BraTS 2012-2013 or 2015.

    Raises:
        DataError: If the folder is not there, holds no case, or holds another release or several.
    """
    raw = Path(raw)
    allowed = [release for release in RELEASES if release.converter == "brats2015"]
    (release,) = releases = require_releases(raw, allowed, _EXPECTED)
    found: dict[str, Found] = {}
    patients: dict[str, set[Path]] = {}
    tree = [*walk(raw)]
    for folder, _, files in tree:
        for name in files:
            file = VSD_FORMATS.fullmatch(name)
            # What the folder says counts too: a file may have lost its own name.
            if file is None or not (name.upper().startswith("VSD.") or folder.name.upper().startswith("VSD.")):
                continue
            case = vsd_case(folder / name)
            entry = found.setdefault(case, Found(grade=grade_of(folder)))
            patients.setdefault(case, set()).add(_patient_folder(folder))
            _sort(file["stem"], folder / name, entry)
    cases_of: dict[Path, Found] = {}
    for name, folders in patients.items():
        cases_of.update(dict.fromkeys(folders, found[name]))
    ignored = _add_doubtful(tree, cases_of)
    cases = []
    for name, entry in sorted(found.items()):
        problem = entry.problem(name, _HINT)
        if len(patients[name]) > 1:
            folders = ", ".join(map(str, sorted(patients[name])))
            problem = f"several folders claim to be this case: {folders}. Keep one."
        cases.append(
            RawCase(
                name,
                entry.images(),
                entry.label(),
                problem,
                patient=release.patient(name),
                site=_site(name) if release is BRATS_2015 else None,
                grade=entry.grade,
            )
        )
    return BratsCohort(raw, releases, tuple(cases), tuple(ignored))


def _add_doubtful(tree: Sequence[tuple[Path, list[str], list[str]]], cases: Mapping[Path, Found]) -> list[Path]:
    """Give the cases what else lies in their folders, at any depth; returns the images that lie elsewhere."""
    ignored = []
    for folder, subfolders, files in tree:
        entry = next((cases[place] for place in (folder, *folder.parents) if place in cases), None)
        if entry is not None and _what(folder.name) is not None and not files and not subfolders:
            entry.empty.append(folder)
        for name in files:
            image = VSD_FORMATS.fullmatch(name)
            if "VSD." in (name[:4].upper(), folder.name[:4].upper()) and image:
                continue
            if entry is not None and image:
                entry.unknown.append(folder / name)
            elif entry is not None and not name.lower().endswith((*SIDECARS, *VOXELS_OF_MHD)):
                entry.others.append(folder / name)
            elif image:
                ignored.append(folder / name)
    return ignored


def _patient_folder(folder: Path) -> Path:
    return folder.parent if folder.name.upper().startswith("VSD.") else folder


def _sort(stem: str, path: Path, entry: Found) -> None:
    """Note what a file is, by its name; a folder of another name makes it unusable."""
    what = _what(stem)
    of_folder = _what(path.parent.name)
    if what is None:
        if not _OTHER_TISSUES.fullmatch(stem):
            entry.unknown.append(path)
    elif of_folder is not None and of_folder != what:
        entry.misplaced.append(f"{path} ({what} in the folder of {of_folder})")
    else:
        entry.add(what, path)


def _what(name: str) -> str | None:
    image = VSD_IMAGE.fullmatch(name)
    if image:
        return _MODALITIES[image["what"].lower()]
    return SEGMENTATION if _SEGMENTATION.fullmatch(name) else None


def _site(case: str) -> str | None:
    """2013 (the four institutions of that year) or TCIA, as the case's name says."""
    match = re.search(r"brats_(2013|tcia)_", case, re.IGNORECASE)
    return match[1].upper() if match else None


def make_spec(cohort: BratsCohort, labels: bool) -> DatasetSpec:
    """The dataset that a cohort makes.

    Args:
        cohort: What was found.
        labels: Whether to keep plain labels instead of regions.
    """
    if SYNTHETIC in cohort.releases:
        scheme = LabelScheme(
            SYNTHETIC_LABELS if labels else SYNTHETIC_REGIONS,
            SYNTHETIC_VALUES,
            None if labels else (1, 2),
            "Synthetic cases have oedema (1) and core (2) only.",
        )
    else:
        scheme = LabelScheme(
            PLAIN_LABELS if labels else REGIONS,
            LABEL_VALUES,
            None if labels else REGIONS_CLASS_ORDER,
            "They are 1 necrosis, 2 oedema, 3 non-enhancing and 4 enhancing core.",
        )
    return DatasetSpec(CHANNELS, scheme, cohort.title)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``nnunet_hetero convert brats2015``."""
    add_common_arguments(parser, "BraTS2015", "raw folder of BraTS 2012-2013 or 2015, as unpacked")
    add_labels_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Do what the parsed options ask for; returns the exit code, 1 when a case could not be converted."""
    cohort = find_brats2015_cases(args.input)
    return run_conversion(make_spec(cohort, args.labels), cohort.cases, args, cohort.ignored)


def main(argv: list[str] | None = None) -> int:
    """Command line of this converter alone."""
    return run_alone("brats2015.py", __doc__.splitlines()[0], add_arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
