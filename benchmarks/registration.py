"""How well ``nnunet_hetero intake`` registers: images of real cases, moved by known rigid transforms.

    python benchmarks/registration.py --data BRATS --trials 60
    python benchmarks/registration.py --data BRATS --trials 60 --thick 5
    python benchmarks/registration.py --data BRATS --trials 10 --thick 5 --made

BRATS holds cases in the raw layout (``*/CASE/CASE_t1.nii.gz``), whose modalities lie on one grid. In each trial one
modality of a case is taken for the reference, and another one is moved: by up to 15 mm in any direction and up to 10
degrees about any axis, both uniform, onto a grid of its own; with ``--thick`` into slices as thick as that. The error
is the mean distance of the eight corners of the brain's box from where they belong, by two measures:

* ``error_mm``: where the data set has them. That takes its own registration of the two images for exact.
* ``recovered_mm``: where registration puts the same image, in the same slices, unmoved. That takes nothing for exact,
  and shows how well the motion is found; an error that moved and unmoved images share is not in it.

Where the error is beyond the bar, or a registration is told as doubtful, two numbers for the two images as the data set
has them stand beside it: how far registration moves them (``unmoved_mm``), and how far apart a fit to the inside of the
brain is from one with its outline (``unmoved_inside_mm``). Images that were cut by one mask have one outline, whatever
lies inside; so where this is large, they are not registered well in the data set itself. A registration that intake
would refuse counts as refused, one that it would tell of in ``intake.csv`` as doubtful.

With ``--made`` the reference is always the T2, and what is moved a FLAIR made of it: the same image with its liquor
dark. They fit each other exactly, so the error is that of the registration alone; but they also share their noise.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_hetero.intake.images.grids import grid_of, resampled_map
from nnunet_hetero.intake.registration.plausible import doubtful, implausible
from nnunet_hetero.intake.registration.register import register
from nnunet_hetero.intake.registration.rigid import box_corners, distance, identity

MODALITIES = ("t1", "t1ce", "t2", "flair")
MADE = "made"
LIQUOR = 88
"""Percentile of a T2's brain from which on it counts as liquor."""

MOST_SHIFT, MOST_DEGREES = 15.0, 10.0
OFFSET = np.array([0.3, -0.4, 0.2])
"""Of the moved image's grid, in voxels, so that it is no copy."""

COLUMNS = (
    *("case", "reference", "moved", "before_mm", "error_mm", "recovered_mm", "disagreement_mm", "inside_mm", "refused"),
    *("doubtful", "unmoved_mm", "unmoved_inside_mm", "seconds"),
)


def random_motion(image: sitk.Image, rng: np.random.Generator) -> sitk.Euler3DTransform:
    """About the middle of what is not zero: any axis, any direction, uniform up to the limits."""
    axis, direction = rng.normal(size=(2, 3))
    turn = sitk.VersorTransform((axis / np.linalg.norm(axis)).tolist(), float(np.radians(rng.uniform(0, MOST_DEGREES))))
    motion = identity(box_corners(image).mean(axis=0))
    motion.SetMatrix(turn.GetMatrix())
    motion.SetTranslation((direction / np.linalg.norm(direction) * rng.uniform(0, MOST_SHIFT)).tolist())
    return motion


def moved(image: sitk.Image, motion: sitk.Transform, thick: float | None) -> sitk.Image:
    """The image as taken after the motion, on a grid of its own; the profile of a thick slice is a Gaussian."""
    grid = grid_of(image)
    spacing, shape = grid.spacing.copy(), list(grid.shape)
    if thick is not None:
        shape[2] = int(shape[2] * spacing[2] / thick)
        spacing[2] = thick
    origin = grid.origin + grid.direction @ (OFFSET * grid.spacing)
    if thick is not None:
        image = sitk.RecursiveGaussian(image, sigma=thick / 2.355, direction=2)
    return resampled_map(image, type(grid)(tuple(shape), spacing, grid.direction, origin), motion)


@lru_cache(maxsize=8)
def read(file: Path) -> sitk.Image:
    """An image, or the one that was read before."""
    return sitk.ReadImage(str(file), sitk.sitkFloat32)


def pair(folder: Path, names: tuple[str, str]) -> list[sitk.Image]:
    """Two images of a case."""
    return [made_flair(folder) if name == MADE else read(folder / f"{folder.name}_{name}.nii.gz") for name in names]


@lru_cache(maxsize=4)
def made_flair(folder: Path) -> sitk.Image:
    """The T2 of a case with its liquor dark: the brighter, the darker; it has the T2's outline."""
    image = read(folder / f"{folder.name}_t2.nii.gz")
    values = sitk.GetArrayFromImage(image)
    limit = np.percentile(values[values > 0], LIQUOR)
    dark = 0.3 * np.maximum(2 * limit - values, 0) + 0.01 * values
    result = sitk.GetImageFromArray(np.where(values > limit, dark, values).astype(np.float32))
    result.CopyInformation(image)
    return result


@cache
def unmoved(folder: Path, names: tuple[str, str]) -> tuple[float, float]:
    """How far registration moves two images that lie on one grid already, and `Registration.inside` of it; mm."""
    reference, image = pair(folder, names)
    found = register(reference, image)
    return distance(found.transform, identity(np.zeros(3)), box_corners(reference)), found.inside


@cache
def own_place(folder: Path, names: tuple[str, str], thick: float | None) -> sitk.Transform:
    """Where registration puts an image that was not moved, in the slices and on the grid of the moved one."""
    reference, image = pair(folder, names)
    return register(reference, moved(image, identity(np.zeros(3)), thick)).transform


def trial(folder: Path, names: tuple[str, str], rng: np.random.Generator, thick: float | None, bar: float) -> dict:
    """One registration."""
    reference, image = pair(folder, names)
    motion = random_motion(image, rng)
    after = moved(image, motion, thick)
    corners = box_corners(reference)
    start = time.process_time()
    found = register(reference, after)
    seconds = time.process_time() - start
    there = motion.GetInverse()
    error = distance(found.transform, there, corners)
    expected = sitk.CompositeTransform([there, own_place(folder, names, thick)])  # the last one comes first
    doubts = bool(doubtful(found))
    beside = unmoved(folder, names) if error > bar or doubts else (None, None)
    return {
        "case": folder.name,
        "reference": names[0],
        "moved": names[1],
        "before_mm": distance(identity(np.zeros(3)), motion, corners),
        "error_mm": error,
        "recovered_mm": distance(found.transform, expected, corners),
        "disagreement_mm": found.disagreement,
        "inside_mm": found.inside,
        "refused": implausible(found) is not None,
        "doubtful": doubts,
        "unmoved_mm": beside[0],
        "unmoved_inside_mm": beside[1],
        "seconds": seconds,
    }


def summary(rows: list[dict], bar: float) -> str:
    """The table as one line of markdown."""
    errors, recovered, seconds = (
        np.array([row[name] for row in rows]) for name in ("error_mm", "recovered_mm", "seconds")
    )
    refused, doubts = (np.array([row[name] for row in rows]) for name in ("refused", "doubtful"))
    apart = np.array([(row["unmoved_inside_mm"] or 0) > bar for row in rows])
    beyond = errors > bar
    told = {
        "beyond, told": beyond & doubts & ~refused,
        "beyond, not told": beyond & ~doubts & ~refused,
        "within, told": ~beyond & doubts & ~refused,
    }
    counts = " | ".join(f"{chosen.sum()} ({(chosen & apart).sum()})" for chosen in told.values())
    return (
        f"| {len(rows)} | {np.mean([row['before_mm'] for row in rows]):.1f} | {errors.mean():.2f} | "
        f"{np.percentile(errors, 95):.2f} | {errors.max():.2f} | {(~beyond & ~refused).mean():.0%} | "
        f"{recovered.mean():.2f} | {recovered.max():.2f} | {((recovered <= bar) & ~refused).mean():.0%} | "
        f"{refused.sum()} | {counts} | {seconds.mean():.1f} | {seconds.max():.1f} |"
    )


HEADER = (
    "| trials | before, mm | error, mm | 95 % | largest | within the bar | recovered, mm | largest | within the bar | "
    "refused | beyond, told as doubtful | beyond, not told | within, told as doubtful | s of one core | largest |\n|"
    + "---|"
    * 15
)


def main() -> int:
    """Run the trials and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="Folder of cases in the raw BraTS layout.")
    parser.add_argument("--trials", type=int, default=60, help="Default: %(default)s")
    parser.add_argument("--thick", type=float, metavar="MM", help="Slices of the moved image; default: as they are.")
    parser.add_argument("--made", action="store_true", help="Move a FLAIR that was made of the reference.")
    parser.add_argument("--bar", type=float, metavar="MM", help="Error that is allowed. Default: 1.0; 1.5 with --thick")
    parser.add_argument("--seed", type=int, default=0, help="Default: %(default)s")
    parser.add_argument("--csv", type=Path, help="Write a row for each trial.")
    args = parser.parse_args()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    bar = args.bar or (1.5 if args.thick else 1.0)
    folders = sorted(file.parent for file in args.data.rglob("*_t1.nii.gz"))
    if not folders:
        print(f"{args.data} holds no case in the raw BraTS layout.", file=sys.stderr)
        return 1
    rng = np.random.default_rng(args.seed)
    rows: list[dict] = []
    for number in range(args.trials):
        names = ("t2", MADE) if args.made else tuple(rng.choice(MODALITIES, 2, replace=False).tolist())
        rows.append(trial(folders[number % len(folders)], names, rng, args.thick, bar))
        shown = ", ".join(
            f"{key} {value:.2f}" if isinstance(value, float) else f"{value}" for key, value in rows[-1].items()
        )
        print(f"[{number + 1}/{args.trials}] {shown}", flush=True)
    if args.csv:
        with open(args.csv, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    print(f"\n{HEADER}\n{summary(rows, bar)}\n\nBar: {bar:g} mm. Errors are means over the brain's corners.")
    print("In brackets: those whose two images lie that far apart inside in the data set itself, beside their outline.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
