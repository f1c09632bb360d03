"""Pictures of an evaluation: the Dice of every subset, and a case segmented from several subsets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from nnunet_hetero.inference.regions import Region

# Okabe and Ito's colours, which colour-blind readers can tell apart; from the outermost region to the innermost.
REGION_COLOURS = ("#56B4E9", "#F0E442", "#D55E00", "#009E73", "#CC79A7", "#0072B2", "#E69F00")
DARK, LIGHT = "#1f2933", "#c3cad2"


def heat_map(summary: Mapping[str, Any]) -> Figure:
    """Dice of every subset and region, with dots for the modalities that each subset has.

    Args:
        summary: From `nnunet_hetero.evaluation.table.summarise`.
    """
    subsets, modalities = summary["subsets"], summary["modalities"]
    columns = [*summary["regions"], "mean"]
    values = np.array(
        [[_percent(value) for value in [*entry["dice"].values(), entry["mean"]]] for entry in subsets], dtype=float
    )
    height = 0.33 * len(subsets) + 1.2
    figure = Figure(figsize=(0.55 * len(modalities) + 1.35 * len(columns) + 0.4, height), layout="constrained")
    dots, heat = figure.subplots(1, 2, sharey=True, width_ratios=[0.45 * len(modalities), 1.35 * len(columns)])
    for row, entry in enumerate(subsets):
        for column, there in enumerate(entry["available"]):
            dots.plot(column, row, "o", markersize=9, color=DARK if there else "none", markeredgecolor=DARK)
    dots.set_xlim(-0.6, len(modalities) - 0.4)
    dots.set_xticks(range(len(modalities)), modalities, rotation=90 if len(modalities) > 6 else 0)
    dots.set_yticks([])
    colours = Normalize(np.nanmin(values) if np.isfinite(values).any() else 0, 100)
    heat.imshow(values, aspect="auto", cmap="YlGnBu", norm=colours)
    for (row, column), value in np.ndenumerate(values):
        text = "–" if np.isnan(value) else f"{value:.1f}"
        # The map is dark at its upper end.
        heat.text(column, row, text, ha="center", va="center", color="white" if colours(value) > 0.6 else DARK)
    heat.set_xticks(range(len(columns)), columns)
    heat.axvline(len(columns) - 1.5, color="white", linewidth=3)
    sizes = [entry["n_modalities"] for entry in subsets]
    for row in np.flatnonzero(np.diff(sizes)):
        heat.axhline(row + 0.5, color="white", linewidth=3)
    for axes in (dots, heat):
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
    figure.supxlabel("Dice in %, mean over cases", fontsize="medium")
    return figure


def _percent(value: float | None) -> float:
    return float("nan") if value is None else 100 * value


def overlay_panel(
    images: Mapping[str, np.ndarray],
    truth: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    regions: Mapping[str, Region],
    captions: Mapping[str, str] | None = None,
) -> Figure:
    """A slice of a case: its images and the truth, then one row per subset with what the model saw and made of it.

    Args:
        images: Image by modality, each ``(slices, rows, columns)``.
        truth: True label map of the same shape; the slice with the largest foreground is shown.
        predictions: Label map by subset, e.g. ``T1+FLAIR``; modalities outside of the subset are greyed out.
        regions: Label values by name, see `nnunet_hetero.evaluation.metrics.regions_of`.
        captions: More text by subset, e.g. its Dice.
    """
    position = int((truth > 0).sum(axis=(1, 2)).argmax())
    stack = np.stack([image[position] for image in images.values()])
    window = _window(stack)
    slices = {name: image[position][window] for name, image in images.items()}
    rows, columns = len(predictions) + 1, len(images) + 1
    height, width = next(iter(slices.values())).shape
    figure = Figure(figsize=(1.9 * columns, 1.9 * rows * height / width + 0.5), layout="constrained", facecolor="white")
    grid = figure.subplots(rows, columns, squeeze=False)
    _bare(grid)
    for row, subset in enumerate(["", *predictions]):
        given = [name for name in images if not subset or name in subset.split("+")]
        for axes, (name, image) in zip(grid[row], slices.items(), strict=False):
            if name in given:
                _show(axes, image)
            else:
                axes.set_facecolor("#eceff2")
                axes.set_box_aspect(height / width)
                axes.text(0.5, 0.5, "not given", transform=axes.transAxes, ha="center", va="center", color="#8a949e")
            if row == 0:
                axes.set_title(name, color=DARK)
        labels = (predictions[subset] if subset else truth)[position][window]
        _show(grid[row, -1], slices[given[-1]] if given else np.zeros((height, width)))
        _show_regions(grid[row, -1], labels, regions)
        title = "truth" if not subset else "\n".join(filter(None, ["prediction", (captions or {}).get(subset)]))
        grid[row, -1].set_title(title, color=DARK, fontsize="medium" if not subset else "small")
        grid[row, 0].set_ylabel(
            subset.replace("+", "+\n") or "the case", color=DARK, rotation=0, ha="right", va="center", labelpad=10
        )
    handles = [Patch(color=colour, label=name) for name, colour in zip(regions, _colours(len(regions)), strict=True)]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def _window(stack: np.ndarray, margin: int = 2) -> tuple[slice, slice]:
    """The part of a slice where any image is not zero, with a margin in voxels."""
    inside = (stack != 0).any(axis=0)
    if not inside.any():
        return slice(None), slice(None)
    limits = [np.flatnonzero(inside.any(axis=axis))[[0, -1]] for axis in (1, 0)]
    return tuple(slice(max(int(first) - margin, 0), int(last) + margin + 1) for first, last in limits)


def _show(axes, image: np.ndarray) -> None:
    # Single bright voxels must not darken the rest.
    inside = image[image != 0]
    limits = np.percentile(inside, [1, 99]) if inside.size else (0, 1)
    axes.imshow(image, cmap="gray", vmin=min(0, limits[0]), vmax=limits[1], interpolation="bilinear")


def _show_regions(axes, labels: np.ndarray, regions: Mapping[str, Region]) -> None:
    """Outline regions, and tint each voxel by the last region that it is in (the innermost of nested regions)."""
    tint = np.zeros((*labels.shape, 4))
    coloured = [
        (np.isin(labels, region), colour)
        for region, colour in zip(regions.values(), _colours(len(regions)), strict=True)
    ]
    for mask, colour in coloured:
        tint[mask] = (*to_rgb(colour), 0.4)
    axes.imshow(tint, interpolation="nearest")
    for mask, colour in coloured:
        if mask.any():
            axes.contour(mask, levels=[0.5], colors=[colour], linewidths=1.2)


def _colours(number: int) -> Sequence[str]:
    return [REGION_COLOURS[index % len(REGION_COLOURS)] for index in range(number)]


def completion_panel(rows: Mapping[str, tuple[np.ndarray, np.ndarray]], truth: np.ndarray) -> Figure:
    """Completed images next to the real ones, in the slice with the largest tumour.

    Args:
        rows: By title, e.g. ``T1c from T1+T2+FLAIR``, the real and the completed image, ``(slices, rows, columns)``.
        truth: True label map of the same shape.
    """
    position = int((truth > 0).sum(axis=(1, 2)).argmax())
    window = _window(np.stack([real[position] for real, _ in rows.values()]))
    height, width = next(iter(rows.values()))[0][position][window].shape
    figure = Figure(figsize=(6.2, 2.0 * len(rows) * height / width + 0.3), layout="constrained", facecolor="white")
    grid = figure.subplots(len(rows), 3, squeeze=False)
    for axes_row, (title, images) in zip(grid, rows.items(), strict=True):
        real, completed = (image[position][window].astype(float) for image in images)
        limits = np.percentile(real[real != 0], [1, 99]) if real.any() else (0, 1)
        scale = {"cmap": "gray", "vmin": min(0, limits[0]), "vmax": limits[1], "interpolation": "bilinear"}
        axes_row[0].imshow(real, **scale)
        axes_row[1].imshow(completed, **scale)
        axes_row[2].imshow(np.abs(real - completed), cmap="magma", vmin=0, vmax=limits[1] / 2)
        axes_row[0].set_ylabel(
            title.replace(" from ", "\nfrom\n"), color=DARK, rotation=0, ha="right", va="center", labelpad=8
        )
    for axes, title in zip(grid[0], ("real", "completed", "difference"), strict=True):
        axes.set_title(title, color=DARK)
    _bare(grid)
    return figure


def uncertainty_panel(
    image: np.ndarray,
    truth: np.ndarray,
    rows: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
    regions: Mapping[str, Region],
) -> Figure:
    """Where the model is unsure: its prediction, the entropy and the mutual information, a row per subset.

    Args:
        image: Background, ``(slices, rows, columns)``.
        truth: True label map of the same shape.
        rows: By subset the predicted label map, the entropy and the mutual information, in nats.
        regions: Label values by name.
    """
    position = int((truth > 0).sum(axis=(1, 2)).argmax())
    window = _window(image[position][None])
    height, width = image[position][window].shape
    figure = Figure(figsize=(8.2, 2.0 * len(rows) * height / width + 0.5), layout="constrained", facecolor="white")
    grid = figure.subplots(len(rows), 4, squeeze=False)
    background = image[position][window]
    for axes_row, (subset, (prediction, entropy, information)) in zip(grid, rows.items(), strict=True):
        for axes, labels in zip(axes_row[:2], (truth, prediction), strict=True):
            _show(axes, background)
            _show_regions(axes, labels[position][window], regions)
        for axes, values in zip(axes_row[2:], (entropy, information), strict=True):
            _show(axes, background)
            shown = values[position][window]
            drawn = axes.imshow(np.ma.masked_less(shown, 0.02), cmap="inferno", vmin=0, vmax=np.log(2), alpha=0.85)
        axes_row[0].set_ylabel(subset.replace("+", "+\n"), color=DARK, rotation=0, ha="right", va="center", labelpad=8)
    for axes, title in zip(grid[0], ("truth", "prediction", "entropy", "mutual information"), strict=True):
        axes.set_title(title, color=DARK)
    _bare(grid)
    figure.colorbar(drawn, ax=grid[:, 3].tolist(), label="nats", shrink=0.8)
    return figure


def _bare(grid: np.ndarray) -> None:
    for axes in grid.flat:
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
