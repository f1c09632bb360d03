"""A synthetic cohort of brain tumours in the raw BraTS layout, made by MR signal equations; it needs no download.

``nnunet_hetero convert phantom -o DIR`` writes folders ``BraTS20_Phantom_001`` and so on, which
``nnunet_hetero convert brats -i DIR`` reads like the real thing. The same seed gives the same bytes, and a case depends
on the seed and its own number only.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from nnunet_hetero.dataset_conversion.phantom_anatomy import FIELD_OF_VIEW, TISSUES, draw_anatomy
from nnunet_hetero.dataset_conversion.phantom_signal import (
    SEQUENCE_SPREAD,
    SEQUENCES,
    TISSUE_SPREAD,
    acquire,
    vary_sequence,
    vary_tissues,
)
from nnunet_hetero.dataset_conversion.writing.command import run_alone
from nnunet_hetero.dataset_conversion.writing.images import encode_nifti, write_atomically
from nnunet_hetero.errors import DataError
from nnunet_hetero.io.atomic_files import clear_drafts
from nnunet_hetero.io.documents import Document
from nnunet_hetero.nnunet.arguments import number_between, seed, whole_number

MODALITIES = tuple(SEQUENCES)
MINIMAL_SIZE = 16  # below, a voxel is wider than the tumour's rim
DEFAULT_CASES, DEFAULT_SIZE, DEFAULT_SEED = 32, 48, 0
DEFAULT_ABSENT = 0.3  # one modality mostly, three seldom
RECIPE_FILE = "phantom.json"
RECIPE_VERSION = 1  # raise it when the images that a seed gives change

# Raw BraTS labels: 1 necrotic core, 2 oedema, 4 enhancing tumour.
_RAW_LABEL = {"necrosis": 1, "oedema": 2, "enhancing": 4}


def case_name(index: int) -> str:
    """Name of case `index`, counted from 1, in the BraTS 2020 manner."""
    return f"BraTS20_Phantom_{index:03d}"


def make_phantom(
    index: int, size: int = DEFAULT_SIZE, seed: int = DEFAULT_SEED, variation: float = 1.0
) -> dict[str, Any]:
    """Simulate one skull-stripped patient.

    Args:
        index: Number of the case, 1 or more.
        size: Matrix size S, voxels; at least 16. The voxel edge is 192 mm / S.
        seed: Seed of the cohort, 0 or more.
        variation: How much tissues and sequences differ between patients, relative to the default; 0 or more.

    Returns:
        ``t1``, ``t1ce``, ``t2``, ``flair``: int16 (S, S, S), 0 outside the brain and nowhere else.
        ``seg``: raw BraTS labels 0, 1, 2, 4, uint8 (S, S, S). ``tissue``: 0 outside the brain, else 1 + the index into
        ``tissue_names``, uint8 (S, S, S). ``affine``: voxel to RAS mm, (4, 4). ``spacing``: mm, 3 numbers.

    Raises:
        DataError: If `index`, `size`, `seed` or `variation` is out of range.
    """
    _require_range(index, size, seed, variation)
    # One stream for the anatomy and one per image: a change of one sequence leaves everything else as it was.
    streams = [
        np.random.default_rng(child) for child in np.random.SeedSequence((seed, index)).spawn(2 + len(MODALITIES))
    ]
    anatomy = draw_anatomy(streams[0], size)
    tissues = vary_tissues(streams[1], variation * TISSUE_SPREAD)

    spacing = FIELD_OF_VIEW / size
    affine = np.diag([-spacing, -spacing, spacing, 1.0])
    affine[1, 3] = (size - 1) * spacing  # BraTS images are stored left-posterior-superior, with such an origin
    phantom: dict[str, Any] = {"affine": affine, "spacing": (spacing,) * 3, "tissue": anatomy.tissue}
    for rng, (modality, sequence) in zip(streams[2:], SEQUENCES.items(), strict=True):
        image = acquire(rng, anatomy.fractions, tissues, vary_sequence(rng, sequence, variation * SEQUENCE_SPREAD))
        phantom[modality] = np.where(anatomy.brain, np.clip(np.rint(image), 1, 32767), 0).astype(np.int16)
    phantom["seg"] = np.zeros((size,) * 3, dtype=np.uint8)
    for name, label in _RAW_LABEL.items():
        phantom["seg"][anatomy.tissue == TISSUES.index(name) + 1] = label
    phantom["tissue_names"] = TISSUES
    return phantom


def absent_modalities(index: int, seed: int, incomplete: float, probability: float = DEFAULT_ABSENT) -> tuple[str, ...]:
    """Which modalities a case of a cohort with gaps lacks: none; or each with the same probability, some but not all.

    Args:
        index: Number of the case, 1 or more.
        seed: Seed of the cohort.
        incomplete: Share of cases with gaps; they are spread evenly, e.g. every third one for 1/3.
        probability: Of each modality to be absent in a case with gaps, before cases that lack none or all are drawn
            again. With 0.5 all 14 sets are equally likely.

    Raises:
        DataError: If the share is not from 0 to 1, or the probability not between them.
    """
    if not 0 < probability < 1:
        raise DataError(f"The probability of a modality to be absent is {probability}; it must be between 0 and 1.")
    if not 0 <= incomplete <= 1:
        raise DataError(f"The share of incomplete cases is {incomplete}; it must be from 0 to 1.")
    before, now = (int(number * incomplete + 1e-9) for number in (index - 1, index))
    if before == now:
        return ()
    rng = np.random.default_rng(np.random.SeedSequence((seed, index), spawn_key=(2 + len(MODALITIES),)))
    while True:
        absent = rng.random(len(MODALITIES)) < probability
        if absent.any() and not absent.all():
            return tuple(name for name, gone in zip(MODALITIES, absent, strict=True) if gone)


def write_cohort(
    out: str | Path,
    cases: int = DEFAULT_CASES,
    size: int = DEFAULT_SIZE,
    seed: int = DEFAULT_SEED,
    first_index: int = 1,
    progress: bool = True,
    variation: float = 1.0,
    incomplete: float = 0.0,
    absent: float = DEFAULT_ABSENT,
) -> list[str]:
    """Write cases `first_index` to `first_index + cases - 1` as raw BraTS folders.

    Cases that are there already, from the same seed and size, are kept; an interrupted call can thus be repeated, and
    a cohort can grow.

    Args:
        out: Folder to write; made if it is not there.
        cases: Number of cases.
        size: Matrix size, voxels.
        seed: Seed of the cohort.
        first_index: Number of the first case.
        progress: Whether to show a progress bar on stderr.
        variation: How much tissues and sequences differ between patients, relative to the default; 0 or more.
        incomplete: Share of cases that lack modalities, 0 to 1, see `absent_modalities`.
        absent: Probability of each modality to be absent in these cases.

    Returns:
        Names of the cases, in order.

    Raises:
        DataError: If the folder holds anything but a phantom cohort of this seed, size, variation and share, or an
            argument is out of range.
    """
    out = Path(out)
    if cases < 1:
        raise DataError(f"The number of cases is {cases}; it must be at least 1.")
    _require_range(first_index, size, seed, variation)
    recipe = {"generator": "nnunet_hetero phantom", "version": RECIPE_VERSION, "seed": seed, "size": size}
    chosen = {"variation": (variation, 1.0), "incomplete": (incomplete, 0.0), "absent": (absent, DEFAULT_ABSENT)}
    _claim_folder(out, recipe | {name: value for name, (value, default) in chosen.items() if value != default})
    names = [case_name(index) for index in range(first_index, first_index + cases)]
    for index, name in enumerate(tqdm(names, desc="Phantoms", unit="case", disable=not progress), start=first_index):
        gaps = absent_modalities(index, seed, incomplete, absent)
        there = (what for what in (*MODALITIES, "seg") if what not in gaps)
        files = {what: out / name / f"{name}_{what}.nii.gz" for what in there}
        if all(file.is_file() for file in files.values()):
            continue
        phantom = make_phantom(index, size, seed, variation)
        (out / name).mkdir(exist_ok=True)
        for what, file in files.items():
            write_atomically(file, encode_nifti(phantom[what], phantom["affine"]))
    return names


def _require_range(index: int, size: int, seed: int, variation: float) -> None:
    for what, value, least in (
        ("index", index, 1),
        ("size", size, MINIMAL_SIZE),
        ("seed", seed, 0),
        ("variation", variation, 0),
    ):
        if not value >= least:
            raise DataError(f"The phantom's {what} is {value}; it must be at least {least}.")


RECIPE = Document(dict[str, Any], "the recipe of a phantom cohort", "Choose another output folder.")


def _claim_folder(out: Path, recipe: dict[str, Any]) -> None:
    """Make `out` a folder of phantoms of this recipe, or say why it cannot be one."""
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; the phantom cohort needs a folder.")
    recipe_file = out / RECIPE_FILE
    if os.path.lexists(recipe_file):
        found = RECIPE.read(recipe_file)
        if found != recipe:
            raise DataError(
                f"{out} holds a phantom cohort made with {found}, now asked for is {recipe}. "
                "Mixing them would make an inconsistent cohort; choose another output folder or delete this one."
            )
    clear_drafts(out)
    for case in out.glob("BraTS20_Phantom_*"):
        clear_drafts(case)
    foreign = sorted(
        entry.name
        for entry in (out.iterdir() if out.is_dir() else ())
        if entry.name != RECIPE_FILE and not (recipe_file.is_file() and entry.name.startswith("BraTS20_Phantom_"))
    )
    if foreign:
        raise DataError(
            f"{out} already holds other content ({', '.join(foreign[:3])}{', ...' if len(foreign) > 3 else ''}). "
            "Choose an empty or new output folder."
        )
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(recipe_file, (json.dumps(recipe, indent=2) + "\n").encode())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``nnunet_hetero convert phantom``."""
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder to write, in the raw BraTS layout")
    parser.add_argument(
        "--cases", type=whole_number(1), default=DEFAULT_CASES, metavar="N", help="number of cases (%(default)s)"
    )
    parser.add_argument(
        "--size",
        type=whole_number(1),
        default=DEFAULT_SIZE,
        metavar="S",
        help="edge of the image cube in voxels (%(default)s)",
    )
    parser.add_argument("--seed", type=seed, default=DEFAULT_SEED, metavar="K", help="random seed (%(default)s)")
    parser.add_argument(
        "--first-index",
        type=whole_number(),
        default=1,
        metavar="I",
        help="number of the first case (%(default)s); case I is the same whatever the number of cases",
    )
    parser.add_argument(
        "--variation",
        type=number_between(0, from_limit=True),
        default=1.0,
        metavar="X",
        help="how much tissues and sequences differ between patients, relative to the default; 3 is hard (%(default)s)",
    )
    parser.add_argument(
        "--incomplete",
        type=number_between(0, 1, from_limit=True),
        default=0.0,
        metavar="SHARE",
        help="share of cases that lack one or more modalities, 0 to 1 (%(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Write the cohort that the parsed options ask for; returns the exit code."""
    names = write_cohort(
        args.output,
        args.cases,
        args.size,
        args.seed,
        args.first_index,
        variation=args.variation,
        incomplete=args.incomplete,
    )
    print(f"{len(names)} phantoms in {args.output}: {names[0]} to {names[-1]}, {args.size} voxels a side.")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Command line of the phantom alone."""
    return run_alone("phantom.py", __doc__.splitlines()[0], add_arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
