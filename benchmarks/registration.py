"""How well ``nnunet_hetero intake`` registers: images of real cases, moved by known rigid transforms.

    python benchmarks/registration.py --data BRATS --trials 60
    python benchmarks/registration.py --data BRATS --trials 60 --thick 5

BRATS holds cases in the raw layout (``*/CASE/CASE_t1.nii.gz``), whose modalities lie on one grid. In each trial one
modality of a case is taken for the reference, and another one is moved: by up to 15 mm in any direction and up to 10
degrees about any axis, both uniform, onto a grid of its own; with ``--thick`` into slices as thick as that. The error
is the mean distance of the eight corners of the brain's box from where they belong. Where it is beyond the bar, two
numbers for the same images unmoved stand beside it: how far registration moves them, so far the data set's own
registration and this one are apart; and how far apart the brain's outline and its inside are by themselves. A
registration that intake would refuse counts as refused, one that it would tell of in ``intake.csv`` as doubtful.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from functools import lru_cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_hetero.intake.images.grids import grid_of, resampled_map
from nnunet_hetero.intake.registration.plausible import doubtful, implausible
from nnunet_hetero.intake.registration.register import register
from nnunet_hetero.intake.registration.rigid import box_corners, distance, identity

MODALITIES = ("t1", "t1ce", "t2", "flair")
MOST_SHIFT, MOST_DEGREES = 15.0, 10.0
OFFSET = np.array([0.3, -0.4, 0.2])
"""Of the moved image's grid, in voxels, so that it is no copy."""

COLUMNS = (
    *("case", "reference", "moved", "before_mm", "error_mm", "disagreement_mm", "inside_mm", "refused", "doubtful"),
    *("unmoved_mm", "unmoved_inside_mm", "seconds"),
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
    return [read(folder / f"{folder.name}_{name}.nii.gz") for name in names]


@lru_cache
def unmoved(folder: Path, names: tuple[str, str]) -> tuple[float, float]:
    """How far registration moves two images that lie on one grid already, and `Registration.inside` of it; mm."""
    reference, image = pair(folder, names)
    found = register(reference, image)
    return distance(found.transform, identity(np.zeros(3)), box_corners(reference)), found.inside


def trial(folder: Path, names: tuple[str, str], rng: np.random.Generator, thick: float | None, bar: float) -> dict:
    """One registration."""
    reference, image = pair(folder, names)
    motion = random_motion(image, rng)
    after = moved(image, motion, thick)
    corners = box_corners(reference)
    start = time.process_time()
    found = register(reference, after)
    seconds = time.process_time() - start
    error = distance(found.transform, motion.GetInverse(), corners)
    beside = unmoved(folder, names) if error > bar else (None, None)
    return {
        "case": folder.name,
        "reference": names[0],
        "moved": names[1],
        "before_mm": distance(identity(np.zeros(3)), motion, corners),
        "error_mm": error,
        "disagreement_mm": found.disagreement,
        "inside_mm": found.inside,
        "refused": implausible(found) is not None,
        "doubtful": bool(doubtful(found)),
        "unmoved_mm": beside[0],
        "unmoved_inside_mm": beside[1],
        "seconds": seconds,
    }


def summary(rows: list[dict], bar: float) -> str:
    """The table as one line of markdown."""
    errors, seconds = (np.array([row[name] for row in rows]) for name in ("error_mm", "seconds"))
    refused, doubts = (np.array([row[name] for row in rows]) for name in ("refused", "doubtful"))
    beyond = errors > bar
    return (
        f"| {len(rows)} | {np.mean([row['before_mm'] for row in rows]):.1f} | {errors.mean():.2f} | "
        f"{np.percentile(errors, 95):.2f} | {errors.max():.2f} | {(~beyond & ~refused).mean():.0%} | {refused.sum()} | "
        f"{(beyond & doubts & ~refused).sum()} | {(beyond & ~doubts & ~refused).sum()} | "
        f"{(~beyond & doubts & ~refused).sum()} | {seconds.mean():.1f} | {seconds.max():.1f} |"
    )


HEADER = (
    "| trials | before, mm | error, mm | 95 % | largest | within the bar | refused | beyond, told as doubtful | "
    "beyond, not told | within, told as doubtful | s of one core | largest |\n|" + "---|" * 12
)


def main() -> int:
    """Run the trials and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="Folder of cases in the raw BraTS layout.")
    parser.add_argument("--trials", type=int, default=60, help="Default: %(default)s")
    parser.add_argument("--thick", type=float, metavar="MM", help="Slices of the moved image; default: as they are.")
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
        names = tuple(rng.choice(MODALITIES, 2, replace=False).tolist())
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
    return 0


if __name__ == "__main__":
    sys.exit(main())
