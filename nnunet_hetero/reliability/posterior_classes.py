"""Which modality an image looks like to an encoder: a linear discriminant on numbers of the encoder's own posterior.

Each encoder was given the images of every modality. The numbers of each are taken as a Gaussian around its own mean,
with one covariance for all, shrunk towards its diagonal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

SHRINKAGE = 0.3
"""Share of the diagonal in the covariance."""

_Number = Annotated[float, Field(allow_inf_nan=False)]


class Classes(TypedDict):
    """Of one encoder: mean by the image's modality, ``(F,)``, and the inverse of the covariance, ``(F, F)``."""

    means: dict[str, list[_Number]]
    precision: list[list[_Number]]


def fit_classes(posteriors: Sequence[Mapping[str, Sequence[float]]]) -> Classes:
    """The classes of one encoder.

    Args:
        posteriors: For each case, the numbers by the modality of the image that the encoder was given.
    """
    by_image: dict[str, list[Sequence[float]]] = {}
    for case in posteriors:
        for image, numbers in case.items():
            by_image.setdefault(image, []).append(numbers)
    means = {image: np.mean(rows, axis=0) for image, rows in by_image.items()}
    residuals = np.concatenate([np.asarray(rows) - means[image] for image, rows in by_image.items()])
    covariance = residuals.T @ residuals / max(1, len(residuals) - len(means))
    diagonal = np.diag(np.diag(covariance).clip(1e-8))
    precision = np.linalg.inv((1 - SHRINKAGE) * covariance + SHRINKAGE * diagonal)
    return {"means": {image: mean.tolist() for image, mean in means.items()}, "precision": precision.tolist()}


def distances(classes: Classes, numbers: Sequence[float]) -> dict[str, float]:
    """Squared Mahalanobis distance of an image to each modality.

    Args:
        classes: Of the encoder.
        numbers: What the encoder makes of the image, ``(F,)``.
    """
    precision = np.asarray(classes["precision"])
    found = {}
    for image, mean in classes["means"].items():
        offset = np.asarray(numbers) - mean
        found[image] = float(offset @ precision @ offset)
    return found
