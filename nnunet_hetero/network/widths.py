"""Widths of encoders, latents and decoders, all derived from the plan's ``features_per_stage`` by one rule.

A part's width at a level is the plan's features times the part's fraction, rounded to a multiple of 4 and at least 4
(narrower layers cost as much time as four channels do). The segmentation decoder keeps the plan's own width.
"""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_hetero.config import PLAN, HeteroModalConfig

AUTO, DEFAULT, NARROW, WIDE, PAPER = "auto", "default", "narrow", "wide", "paper"

WIDTHS: dict[str, dict[str, float | str]] = {
    DEFAULT: {},
    NARROW: {
        "encoder_width": 0.25,
        "finest_width": 0.5,
        "latent_width": 0.25,
        "image_decoder_width": 0.25,
        "finest_image_width": 0.5,
    },
    WIDE: {"encoder_width": 1.0, "finest_convolutions": PLAN, "latent_width": 1.0, "image_decoder_width": 1.0},
    # 8 features in the first level of an encoder, 4 in latents and decoders, where nnU-Net has 32.
    PAPER: {
        "encoder_width": 2.0,
        "finest_width": 2.0,
        "finest_convolutions": PLAN,
        "latent_width": 1.0,
        "image_decoder_width": 1.0,
    },
}
"""Settings of each capacity; the default's are those of `HeteroModalConfig`."""

PAPER_FEATURES = 1 / 8
"""The paper's segmentation decoder, 4 features in the first level, in relation to nnU-Net's 32."""

CAPACITIES = (AUTO, *WIDTHS)


def encoder_widths(features_per_stage: Sequence[int], config: HeteroModalConfig) -> list[int]:
    """Width of a modality's encoder at every level, finest first: ``finest_width`` there, ``encoder_width`` below.

    Args:
        features_per_stage: The plan's features, finest level first.
        config: The settings.
    """
    finest, *_ = scaled_widths(features_per_stage, config.finest_width)
    return [finest, *scaled_widths(features_per_stage, config.encoder_width)[1:]]


def image_decoder_widths(features_per_stage: Sequence[int], config: HeteroModalConfig) -> list[int]:
    """Width of the image decoder at every level, finest first; as `encoder_widths`."""
    finest, *_ = scaled_widths(features_per_stage, config.finest_image_width)
    return [finest, *scaled_widths(features_per_stage, config.image_decoder_width)[1:]]


def scaled_widths(features_per_stage: Sequence[int], fraction: float) -> list[int]:
    """Width of a part at every level.

    Args:
        features_per_stage: The plan's features, finest level first.
        fraction: The part's share of them, above 0.

    Returns:
        Multiples of 4, finest level first.

    Example:
        >>> scaled_widths([32, 64, 320], 0.25)
        [8, 16, 80]
    """
    return [max(4, 4 * round(features * fraction / 4)) for features in features_per_stage]
