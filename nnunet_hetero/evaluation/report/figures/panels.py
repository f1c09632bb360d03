"""Pictures of one case: segmented from several subsets, completed images, and where the model is unsure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from nnunet_hetero.evaluation.report.figures.common import DARK, bare, colours, show, show_regions, window
from nnunet_hetero.nnunet.regions import Region


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
        regions: Label values by name, see `nnunet_hetero.evaluation.scores.overlap.regions_of`.
        captions: More text by subset, e.g. its Dice.
    """
    position = int((truth > 0).sum(axis=(1, 2)).argmax())
    stack = np.stack([image[position] for image in images.values()])
    part = window(stack)
    slices = {name: image[position][part] for name, image in images.items()}
    rows, columns = len(predictions) + 1, len(images) + 1
    height, width = next(iter(slices.values())).shape
    figure = Figure(figsize=(1.9 * columns, 1.9 * rows * height / width + 0.5), layout="constrained", facecolor="white")
    grid = figure.subplots(rows, columns, squeeze=False)
    bare(grid)
    for row, subset in enumerate(["", *predictions]):
        available = [name for name in images if not subset or name in subset.split("+")]
        for axes, (name, image) in zip(grid[row], slices.items(), strict=False):
            if name in available:
                show(axes, image)
            else:
                axes.set_facecolor("#eceff2")
                axes.set_box_aspect(height / width)
                axes.text(0.5, 0.5, "not given", transform=axes.transAxes, ha="center", va="center", color="#8a949e")
            if row == 0:
                axes.set_title(name, color=DARK)
        labels = (predictions[subset] if subset else truth)[position][part]
        show(grid[row, -1], slices[available[-1]] if available else np.zeros((height, width)))
        show_regions(grid[row, -1], labels, regions)
        title = "truth" if not subset else "\n".join(filter(None, ["prediction", (captions or {}).get(subset)]))
        grid[row, -1].set_title(title, color=DARK, fontsize="medium" if not subset else "small")
        grid[row, 0].set_ylabel(
            subset.replace("+", "+\n") or "the case", color=DARK, rotation=0, ha="right", va="center", labelpad=10
        )
    handles = [Patch(color=colour, label=name) for name, colour in zip(regions, colours(len(regions)), strict=True)]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def completion_panel(rows: Mapping[str, tuple[np.ndarray, np.ndarray]], truth: np.ndarray) -> Figure:
    """Completed images next to the real ones, in the slice with the largest tumour.

    Args:
        rows: By title, e.g. ``T1c from T1+T2+FLAIR``, the real and the completed image, ``(slices, rows, columns)``.
        truth: True label map of the same shape.
    """
    position = int((truth > 0).sum(axis=(1, 2)).argmax())
    part = window(np.stack([real[position] for real, _ in rows.values()]))
    height, width = next(iter(rows.values()))[0][position][part].shape
    figure = Figure(figsize=(6.2, 2.0 * len(rows) * height / width + 0.3), layout="constrained", facecolor="white")
    grid = figure.subplots(len(rows), 3, squeeze=False)
    for axes_row, (title, images) in zip(grid, rows.items(), strict=True):
        real, completed = (image[position][part].astype(float) for image in images)
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
    bare(grid)
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
    part = window(image[position][None])
    height, width = image[position][part].shape
    figure = Figure(figsize=(8.2, 2.0 * len(rows) * height / width + 0.5), layout="constrained", facecolor="white")
    grid = figure.subplots(len(rows), 4, squeeze=False)
    background = image[position][part]
    for axes_row, (subset, (prediction, entropy, information)) in zip(grid, rows.items(), strict=True):
        for axes, labels in zip(axes_row[:2], (truth, prediction), strict=True):
            show(axes, background)
            show_regions(axes, labels[position][part], regions)
        for axes, values in zip(axes_row[2:], (entropy, information), strict=True):
            show(axes, background)
            shown = values[position][part]
            drawn = axes.imshow(np.ma.masked_less(shown, 0.02), cmap="inferno", vmin=0, vmax=np.log(2), alpha=0.85)
        axes_row[0].set_ylabel(subset.replace("+", "+\n"), color=DARK, rotation=0, ha="right", va="center", labelpad=8)
    for axes, title in zip(grid[0], ("truth", "prediction", "entropy", "mutual information"), strict=True):
        axes.set_title(title, color=DARK)
    bare(grid)
    figure.colorbar(drawn, ax=grid[:, 3].tolist(), label="nats", shrink=0.8)
    return figure
