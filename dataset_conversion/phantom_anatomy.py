"""Shapes of the phantom: a brain with cortex and ventricles, and a tumour with oedema, enhancing rim and necrosis.

Shapes are given in mm by distance-like functions, positive inside, that smooth random fields perturb. The fields are
splines over a lattice fixed in mm, so a case has the same anatomy at each matrix size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FIELD_OF_VIEW = 192.0  # mm, edge of the cube that is imaged

TISSUES = ("white_matter", "grey_matter", "csf", "vessel", "oedema", "enhancing", "necrosis")

# mm: left-right, front-back, down-up. An adult brain measures about 135 x 165 x 125 mm.
BRAIN_SEMI_AXES = np.array([67.0, 82.0, 64.0])


@dataclass(frozen=True)
class Anatomy:
    """One patient.

    Args:
        brain: Where the brain is, bool (S, S, S).
        fractions: Volume fraction of each tissue of `TISSUES`, float64 (S, S, S); they add up to 1 in each voxel.
        tissue: Index into `TISSUES` of the tissue that fills most of the voxel, plus 1; 0 outside the brain; uint8.
    """

    brain: np.ndarray
    fractions: dict[str, np.ndarray]
    tissue: np.ndarray


def _spline_matrix(size: int, intervals: int) -> np.ndarray:
    """Values of the uniform cubic B-splines at the voxel centres, (size, intervals + 3)."""
    position = (np.arange(size) + 0.5) / size * intervals
    knot = np.floor(position).astype(int)
    t = position - knot
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6
    matrix = np.zeros((size, intervals + 3))
    for offset in range(4):
        matrix[np.arange(size), knot + offset] = weights[:, offset]
    return matrix


def smooth_noise(rng: np.random.Generator, size: int, scale: float) -> np.ndarray:
    """Draw a smooth random field of mean 0 and standard deviation of about 1.

    Args:
        rng: Source of randomness; what is drawn from it does not depend on `size`.
        size: Matrix size S, voxels.
        scale: Distance between the spline's knots, mm.

    Returns:
        Field over the field of view, float64 (S, S, S).
    """
    intervals = max(1, round(FIELD_OF_VIEW / scale))
    coefficients = rng.standard_normal((intervals + 3,) * 3)
    matrix = _spline_matrix(size, intervals)
    field = np.einsum("ai,bj,ck,ijk->abc", matrix, matrix, matrix, coefficients, optimize=True)
    # A cubic B-spline's squared values integrate to 151/315; the field's variance is that, once per axis.
    return field / (151.0 / 315.0) ** 1.5


def _coordinates(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voxel centres in mm from the middle of the field of view, broadcastable to (S, S, S)."""
    axis = ((np.arange(size) + 0.5) / size - 0.5) * FIELD_OF_VIEW
    return axis[:, None, None], axis[None, :, None], axis[None, None, :]


def _inside(distance: np.ndarray, voxel: float) -> np.ndarray:
    """Part of each voxel that lies inside a surface, given the distance of its centre in mm (positive inside)."""
    return np.clip(0.5 + distance / voxel, 0.0, 1.0)


def _ellipsoid(size: int, centre: np.ndarray, semi_axes: np.ndarray) -> np.ndarray:
    """Distance-like function of an ellipsoid, mm, positive inside."""
    x, y, z = _coordinates(size)
    radius = np.sqrt(
        ((x - centre[0]) / semi_axes[0]) ** 2
        + ((y - centre[1]) / semi_axes[1]) ** 2
        + ((z - centre[2]) / semi_axes[2]) ** 2
    )
    return (1.0 - radius) * float(np.min(semi_axes))


def _cover(fractions: dict[str, np.ndarray], name: str, amount: np.ndarray) -> None:
    """Let `name` take `amount` of each voxel from what was there."""
    for other in fractions:
        fractions[other] = fractions[other] * (1.0 - amount)
    fractions[name] = fractions[name] + amount


def _draw_brain(
    rng: np.random.Generator, size: int, semi_axes: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Healthy brain: depth below its surface in mm, volume fractions, and the part that ventricles and veins fill."""
    voxel = FIELD_OF_VIEW / size
    x, _, z = _coordinates(size)
    depth = _ellipsoid(size, np.zeros(3), semi_axes) + 3.0 * smooth_noise(rng, size, scale=45.0)
    depth = np.minimum(depth, z + 0.78 * semi_axes[2] + 2.0 * smooth_noise(rng, size, scale=60.0))  # flat base

    fractions = {name: np.zeros((size,) * 3) for name in TISSUES}
    fractions["white_matter"] += 1.0

    # Zero levels of a random field are folded sheets: they make the sulci, and the cortex follows both their sides.
    folds = [np.abs(smooth_noise(rng, size, scale=24.0)) for _ in range(2)]
    fold = np.minimum(*folds) * 14.0  # about the distance from the nearest sheet, mm
    fissure = np.where(z > -10.0, np.abs(x), 100.0)
    sheet = np.minimum(np.where(depth < 17.0, fold, 100.0), np.where(depth < 30.0, fissure, 100.0))
    _cover(fractions, "grey_matter", _inside(np.maximum(4.5 - depth, 5.0 - sheet), voxel))
    _cover(fractions, "csf", _inside(np.maximum(1.5 - depth, 1.3 - sheet), voxel))

    deep_fluid = np.zeros((size,) * 3)
    for side in (-1.0, 1.0):
        nuclei = _ellipsoid(size, np.array([side * 19.0, 2.0, -2.0]), np.array([9.0, 19.0, 11.0]))
        _cover(fractions, "grey_matter", _inside(nuclei + 1.5 * smooth_noise(rng, size, scale=25.0), voxel))
        ventricle_axes = np.array([7.0, 30.0, 9.0]) * np.exp(rng.normal(0.0, 0.15))
        ventricle = _ellipsoid(size, np.array([side * 9.0, 4.0, 10.0]), ventricle_axes)
        ventricle = _inside(ventricle + 1.5 * smooth_noise(rng, size, scale=25.0), voxel)
        _cover(fractions, "csf", ventricle)
        deep_fluid = np.maximum(deep_fluid, ventricle)
        plexus = _ellipsoid(size, np.array([side * 10.0, 16.0, 8.0]), np.array([2.5, 7.0, 2.5]))
        _cover(fractions, "vessel", _inside(plexus, voxel))
    sinus = np.minimum(3.0 - np.hypot(x, depth - 4.0), z)  # the superior sagittal sinus runs along the top midline
    _cover(fractions, "vessel", _inside(sinus, voxel))
    return depth, fractions, np.maximum(deep_fluid, fractions["vessel"])


def _draw_tumour(
    rng: np.random.Generator,
    semi_axes: np.ndarray,
    depth: np.ndarray,
    fractions: dict[str, np.ndarray],
    deep_fluid: np.ndarray,
) -> None:
    """Add a tumour to the volume fractions: a core with a rim, and oedema that favours white matter.

    Oedema spares ventricles and veins. Sulci disappear in it, since swelling presses them shut.
    """
    size = depth.shape[0]
    voxel = FIELD_OF_VIEW / size
    core_radius = rng.uniform(16.0, 23.0)
    whole_radius = core_radius + rng.uniform(9.0, 15.0)
    rim = rng.uniform(5.5, 7.5)
    direction = rng.standard_normal(3)
    direction /= np.linalg.norm(direction)
    direction[2] = abs(direction[2])  # supratentorial, as in the cohorts that this imitates
    # Far enough from the middle to keep a ventricle, deep enough for the core to lie inside the brain.
    centre = direction * semi_axes * rng.uniform(0.35, 1.0 - (core_radius + 4.0) / float(np.min(semi_axes)))
    shift = rng.standard_normal(3)
    shift *= 0.4 * (whole_radius - core_radius) / np.linalg.norm(shift)

    core_shape = 1.0 + rng.uniform(-0.15, 0.15, 3)
    core = _ellipsoid(size, centre, core_radius * core_shape) + 2.2 * smooth_noise(rng, size, scale=24.0)
    spread = 3.0 * (fractions["white_matter"] - fractions["grey_matter"])
    whole = _ellipsoid(size, centre + shift, whole_radius * (1.0 + rng.uniform(-0.12, 0.12, 3)))
    whole = np.maximum(whole + spread + 3.0 * smooth_noise(rng, size, scale=28.0), core + 2.0)
    necrosis = core - np.maximum(rim + 1.2 * smooth_noise(rng, size, scale=20.0), 4.5)
    necrosis = np.minimum(necrosis, depth - 6.0)  # the rim closes at the brain's surface, too

    _cover(fractions, "oedema", _inside(whole, voxel) * (1.0 - deep_fluid))
    _cover(fractions, "enhancing", _inside(core, voxel))
    _cover(fractions, "necrosis", _inside(necrosis, voxel))


def draw_anatomy(rng: np.random.Generator, size: int) -> Anatomy:
    """Draw one patient with one tumour.

    Args:
        rng: Source of randomness of this patient.
        size: Matrix size S, voxels; the voxel edge is `FIELD_OF_VIEW` / S mm.

    Returns:
        The patient's tissues.
    """
    semi_axes = BRAIN_SEMI_AXES * np.exp(rng.normal(0.0, 0.03, 3))
    depth, fractions, deep_fluid = _draw_brain(rng, size, semi_axes)
    _draw_tumour(rng, semi_axes, depth, fractions, deep_fluid)
    brain = depth > 0.0
    stacked = np.stack([fractions[name] for name in TISSUES])
    tissue = np.where(brain, np.argmax(stacked, axis=0) + 1, 0).astype(np.uint8)
    return Anatomy(brain, fractions, tissue)
