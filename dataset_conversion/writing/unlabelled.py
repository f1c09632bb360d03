"""Cases without a segmentation: refused, test cases, or training cases whose label map is nnU-Net's ignore label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nnunet_hetero.cases.raw_dataset import IGNORE

from .cases import RawCase
from .dataset import DatasetSpec, LabelScheme

REFUSED, TEST_CASES, TRAINING_CASES = CHOICES = ("refuse", "test", "train")

REMEDY = (
    "it has no segmentation. Add it; or pass '--unlabelled train' to learn from its images, or '--unlabelled test' to "
    "make it a test case."
)


def ignore_value(scheme: LabelScheme) -> int:
    """nnU-Net's ignore label of a dataset: one more than its highest label.

    Examples:
        >>> ignore_value(LabelScheme({"background": 0, "whole": [1, 2], "core": 2}, {}))
        3
    """
    labels = (value for name, value in scheme.labels.items() if name != IGNORE)
    return 1 + max(max(value) if isinstance(value, list) else value for value in labels)


def with_ignore_label(spec: DatasetSpec, cases: Sequence[RawCase], unlabelled: str) -> DatasetSpec:
    """The dataset with an ignore label, if a training case needs one.

    Args:
        spec: The dataset.
        cases: All of its cases.
        unlabelled: One of `CHOICES`.
    """
    needed = unlabelled == TRAINING_CASES and any(case.label is None and not case.test for case in cases)
    if not needed:
        return spec
    labels = {**spec.scheme.labels, IGNORE: ignore_value(spec.scheme)}
    return replace(spec, scheme=replace(spec.scheme, labels=labels))


def background_outside(label_map: np.ndarray, images: Sequence[np.ndarray], ignore: int) -> np.ndarray:
    """A label map that ignores nothing outside of its images.

    nnU-Net's preprocessing would normalise the images together with the zeros around them, which it does to no other
    case.

    Args:
        label_map: (I, J, K).
        images: Of the case, (I, J, K) each.
        ignore: The ignore label.

    Returns:
        (I, J, K), of the same type; ``label_map`` itself if it ignores nothing.
    """
    ignored = label_map == ignore
    if not ignored.any():
        return label_map
    # Late: converters start without nnU-Net and torch.
    from nnunet_hetero.cases.label_maps.unlabelled import inside

    return np.where(ignored & ~inside(images), 0, label_map).astype(label_map.dtype)
