"""Whether ``nnunet_hetero intake`` tells another patient's image from one of the same patient, on one grid.

    python benchmarks/same_head.py --data BRATS
    python benchmarks/same_head.py --data BRATS --thick 5

BRATS holds cases in the raw layout (``*/CASE/CASE_t1.nii.gz``), all on one grid and brought to one atlas, so that
brains of two patients lie much like each other. Each modality of a case is compared with each other one, and with those
of ``--others`` other patients in their places; with ``--thick`` these are in slices as thick as that. Printed is how
well the edges agree (`nnunet_hetero.intake.registration.edges`), and how many are told as doubtful.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_hetero.cases.geometry import Geometry
from nnunet_hetero.intake.images.grids import grid_of, resampled_image
from nnunet_hetero.intake.registration.edges import Edges, edges_in_common
from nnunet_hetero.intake.registration.plausible import another_head

MODALITIES = ("t1", "t1ce", "t2", "flair")
STRIDE = 7
"""From one patient to the next other one."""


def in_slices(image: sitk.Image, thick: float) -> sitk.Image:
    """The image as thick slices show it, on its own grid."""
    grid = grid_of(image)
    shape = (*grid.shape[:2], int(grid.shape[2] * grid.spacing[2] / thick))
    slices = Geometry(shape, np.array([*grid.spacing[:2], thick]), grid.direction, grid.origin)
    unmoved = sitk.Euler3DTransform()
    return resampled_image(resampled_image(image, slices, unmoved), grid, unmoved)


def edges_of(folder: Path, thick: float | None) -> dict[str, tuple[Edges | None, Edges | None]]:
    """Modality → edges of the image as it is, and as it is compared."""
    found = {}
    for name in MODALITIES:
        image = sitk.ReadImage(str(folder / f"{folder.name}_{name}.nii.gz"))
        own = Edges.of(image)
        found[name] = (own, own if thick is None else Edges.of(in_slices(image, thick)))
    return found


def main() -> int:
    """Compare, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="Cases in the raw BraTS layout.")
    parser.add_argument("--cases", type=int, default=30, help="How many of them. Default: %(default)s")
    parser.add_argument("--others", type=int, default=2, help="Other patients for each. Default: %(default)s")
    parser.add_argument("--thick", type=float, help="mm of the slices of what is compared.")
    args = parser.parse_args()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    folders = sorted(file.parent for file in args.data.rglob("*_flair.nii.gz"))[: args.cases]
    cases = [edges_of(folder, args.thick) for folder in folders]
    found: dict[str, list[float | None]] = {"of the same patient": [], "of another patient": []}
    for place, own in enumerate(cases):
        others = [cases[(place + 1 + STRIDE * number) % len(cases)] for number in range(args.others)]
        for one, other in itertools.permutations(MODALITIES, 2):
            found["of the same patient"].append(edges_in_common(own[one][0], own[other][1]))
            found["of another patient"] += [edges_in_common(own[one][0], its[other][1]) for its in others]
    print("| image | pairs | smallest | 1 % | median | 99 % | largest | told |\n|---|---|---|---|---|---|---|---|")
    for kind, values in found.items():
        numbers = np.quantile([value for value in values if value is not None], (0, 0.01, 0.5, 0.99, 1))
        told = sum(bool(another_head(value)) for value in values)
        print(f"| {kind} | {len(values)} | {' | '.join(f'{number:.2f}' for number in numbers)} | {told} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
