"""MR signal equations, tissue parameters and image degradations of the phantom."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .phantom_anatomy import TISSUES, smooth_noise


@dataclass(frozen=True)
class TissueProperties:
    """What an MR sequence sees of a tissue.

    Args:
        density: Proton density relative to CSF.
        t1: Longitudinal relaxation time without contrast agent, in ms.
        t2: Transverse relaxation time, in ms.
        gadolinium: Concentration of contrast agent after injection, in mmol/l.
    """

    density: float
    t1: float
    t2: float
    gadolinium: float = 0.0


# Healthy tissue at 3 T: T1 and T2 of grey and white matter from Wansapura et al., J Magn Reson Imaging 9:531 (1999);
# T1 of CSF from Lin et al., J Magn Reson Imaging 14:414 (2001). T2 of CSF is set below its true value of about 2 s,
# because CSF that moves loses signal. Pathology has T1 and T2 prolonged with its water content (reviewed by Bottomley
# et al., Med Phys 14:1, 1987); the values are round numbers chosen for that order, not measurements: oedema about twice
# white matter, necrosis as fluid with protein. The enhancing rim lies close to oedema in everything but its contrast
# agent, which is what makes T1c the one image that shows it well.
PROPERTIES: dict[str, TissueProperties] = {
    "white_matter": TissueProperties(0.70, 832.0, 79.6),
    "grey_matter": TissueProperties(0.81, 1331.0, 110.0, 0.02),
    "csf": TissueProperties(1.00, 4163.0, 900.0),
    "vessel": TissueProperties(0.82, 1550.0, 120.0, 0.45),
    "oedema": TissueProperties(0.86, 1700.0, 200.0),
    "enhancing": TissueProperties(0.84, 1600.0, 160.0, 0.32),
    "necrosis": TissueProperties(0.93, 2700.0, 320.0, 0.01),
}

# How much patients and scans differ: standard deviation of the logarithm of a tissue's properties, of a scan's timing.
TISSUE_SPREAD, SEQUENCE_SPREAD = 0.04, 0.05

# Relaxivity of gadolinium chelates in plasma at 3 T, l/(mmol s): about 4, Rohrer et al., Invest Radiol 40:715 (2005).
RELAXIVITY = 4.0


@dataclass(frozen=True)
class Sequence:
    """Timing of a spin echo, with an inversion pulse when ``ti`` is given; all times in ms."""

    tr: float
    te: float
    ti: float | None = None
    contrast_agent: bool = False
    noise: float = 0.0  # standard deviation of each channel's noise, in units of the signal of pure water


SEQUENCES: dict[str, Sequence] = {
    "t1": Sequence(tr=600.0, te=10.0, noise=0.010),
    "t1ce": Sequence(tr=600.0, te=10.0, contrast_agent=True, noise=0.010),
    "t2": Sequence(tr=4500.0, te=100.0, noise=0.013),
    "flair": Sequence(tr=9000.0, te=120.0, ti=2500.0, noise=0.008),
}


def spin_echo(density: float, t1: float, t2: float, tr: float, te: float) -> float:
    """Signal of a spin echo, PD · (1 − exp(−TR/T1)) · exp(−TE/T2); times in ms."""
    return float(density * (1.0 - np.exp(-tr / t1)) * np.exp(-te / t2))


def inversion_recovery(density: float, t1: float, t2: float, tr: float, te: float, ti: float) -> float:
    """Magnitude after an inversion, PD · |1 − 2 exp(−TI/T1) + exp(−TR/T1)| · exp(−TE/T2); times in ms."""
    return float(density * abs(1.0 - 2.0 * np.exp(-ti / t1) + np.exp(-tr / t1)) * np.exp(-te / t2))


def tissue_signal(tissue: TissueProperties, sequence: Sequence) -> float:
    """Signal of a pure tissue; contrast agent shortens T1 by 1/T1' = 1/T1 + r1 · [Gd]."""
    t1 = tissue.t1
    if sequence.contrast_agent:
        t1 = 1.0 / (1.0 / t1 + RELAXIVITY * 1e-3 * tissue.gadolinium)  # 1e-3: relaxivity is per s, times are in ms
    if sequence.ti is None:
        return spin_echo(tissue.density, t1, tissue.t2, sequence.tr, sequence.te)
    return inversion_recovery(tissue.density, t1, tissue.t2, sequence.tr, sequence.te, sequence.ti)


def vary_tissues(rng: np.random.Generator, spread: float = TISSUE_SPREAD) -> dict[str, TissueProperties]:
    """Draw this patient's tissues: each property times exp(N(0, spread)), contrast agent with five times the spread."""
    varied = {}
    for name in TISSUES:
        density, t1, t2, gadolinium = np.exp(rng.normal(0.0, spread, 4) * (0.5, 1.0, 1.0, 5.0))
        tissue = PROPERTIES[name]
        varied[name] = TissueProperties(
            tissue.density * density, tissue.t1 * t1, tissue.t2 * t2, tissue.gadolinium * gadolinium
        )
    return varied


def vary_sequence(rng: np.random.Generator, sequence: Sequence, spread: float = SEQUENCE_SPREAD) -> Sequence:
    """Draw this scan's timing: TR and TE times exp(N(0, spread)); TI stays, since it is chosen to null CSF."""
    tr, te = np.exp(rng.normal(0.0, spread, 2))
    return replace(sequence, tr=sequence.tr * tr, te=sequence.te * te)


def acquire(
    rng: np.random.Generator, fractions: dict[str, np.ndarray], tissues: dict[str, TissueProperties], sequence: Sequence
) -> np.ndarray:
    """Simulate one magnitude image, before it is masked to the brain.

    Signals of the tissues are mixed by their volume fractions, then come texture, a slowly varying multiplicative
    bias field, Rician noise (the magnitude of a complex signal with Gaussian noise in both parts) and the scanner's
    arbitrary gain.

    Args:
        rng: Source of randomness of this image.
        fractions: Volume fraction of each tissue, (S, S, S), adding up to 1 inside the brain.
        tissues: This patient's tissue properties.
        sequence: Timing and noise level.

    Returns:
        Intensities in arbitrary units, float64 (S, S, S).
    """
    signal = sum(fraction * tissue_signal(tissues[name], sequence) for name, fraction in fractions.items())
    size = signal.shape[0]
    pathology = fractions["oedema"] + fractions["enhancing"] + fractions["necrosis"]
    signal = signal * (1.0 + (0.02 + 0.03 * pathology) * smooth_noise(rng, size, scale=14.0))
    signal = signal * np.exp(0.07 * smooth_noise(rng, size, scale=100.0))
    level = sequence.noise * rng.uniform(0.8, 1.2)
    real = signal + rng.normal(0.0, level, signal.shape)
    imaginary = rng.normal(0.0, level, signal.shape)
    return np.hypot(real, imaginary) * rng.uniform(1500.0, 3000.0)
