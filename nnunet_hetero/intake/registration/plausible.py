"""Whether a registration is to be believed: stated limits, what to do beyond them, and what is doubtful."""

from __future__ import annotations

from nnunet_hetero.intake.registration.register import Registration

MOST_DEGREES = 45.0
MOST_SHIFT = 150.0
"""mm. Files whose headers have lost the origin are off by half a head; nothing of one patient is off by more."""

LEAST_OVERLAP = 0.5
"""Share of the smaller one's tissue; a slab lies wholly inside of a head."""

LEAST_INFORMATION = 0.1
"""Nats. Images of one head share 0.5 and more."""

MOST_DISAGREEMENT = 1.5
"""mm between two fits from other starts. Images that belong together have 0.1 to 0.6, those of two heads 0.5 to 18."""

DOUBTFUL_DISAGREEMENT = 1.0
"""mm between those two fits from which on a registration that is believed is to be looked at."""

DOUBTFUL_INSIDE = 1.4
"""The same for a fit to the inside of the head alone: its outline and its inside say different things. It scatters by
0.1 mm with the voxels that are compared."""

LEAST_EDGES = 1.4
"""Of `edges_in_common`: images of one head have more, those of two about 1."""

LEAST_GAIN = 0.02
"""Share of the mutual information that registration must add to be better than the headers: less is rounding."""

IN_PLACE = 2.0
"""mm that a registration without a gain may move the tissue's middle, and degrees that it may turn it, for the headers
to be right."""

REMEDY = (
    "If it is an image of another patient or of another part of the body, leave its modality empty in series.csv and "
    "give the table back with --series; if its header is right, use --no-registration."
)


def gains(registration: Registration) -> bool:
    """Whether the registration is better than the headers by more than `LEAST_GAIN`."""
    return registration.after > (1 + LEAST_GAIN) * max(registration.before, 0.0)


def confirms_headers(registration: Registration) -> bool:
    """Whether it found the images where the headers place them."""
    return registration.shift <= IN_PLACE and registration.degrees <= IN_PLACE


def implausible(registration: Registration) -> str | None:
    """Why a registration is not to be believed, in words; None if it is."""
    if registration.overlap < LEAST_OVERLAP:
        return f"only {registration.overlap:.0%} of the smaller image's tissue overlaps (at least {LEAST_OVERLAP:.0%})"
    if registration.after < LEAST_INFORMATION:
        return (
            f"their mutual information is {registration.after:.3f} nats (images of one head have at least "
            f"{LEAST_INFORMATION:g})"
        )
    if registration.disagreement > MOST_DISAGREEMENT:
        return (
            f"two fits from other starts place it {registration.disagreement:.1f} mm apart (up to "
            f"{MOST_DISAGREEMENT:g} mm count as one)"
        )
    if registration.degrees > MOST_DEGREES or registration.shift > MOST_SHIFT:
        return (
            f"it would be turned by {registration.degrees:.0f} degrees and shifted by {registration.shift:.0f} mm (up "
            f"to {MOST_DEGREES:g} degrees and {MOST_SHIFT:g} mm are believed)"
        )
    if not gains(registration) and not confirms_headers(registration):
        return (
            f"it would be turned by {registration.degrees:.1f} degrees and shifted by {registration.shift:.1f} mm, "
            f"without fitting better than before (mutual information {registration.before:.3f} and "
            f"{registration.after:.3f} nats)"
        )
    return None


def hardly_overlaps(share: float) -> str:
    """What speaks against an image that was left where its header places it, in words; empty if nothing does.

    Args:
        share: Of the smaller image's tissue that lies on tissue of the other one.
    """
    if share >= LEAST_OVERLAP:
        return ""
    return (
        f"only {share:.0%} of the smaller image's tissue overlaps where the headers place both (usual is at least "
        f"{LEAST_OVERLAP:.0%}): does it show the same part of the body?"
    )


def another_head(edges: float | None) -> str:
    """What speaks against an image showing the reference's head, in words; empty if nothing does.

    Args:
        edges: From `edges_in_common`; None if there is too little to say.
    """
    if edges is None or edges >= LEAST_EDGES:
        return ""
    return (
        f"inside of the head its edges agree with those of the reference {max(edges, 0.0):.2f} times as well as 8 mm "
        f"beside (usual is at least {LEAST_EDGES:g}): is it of the same patient, and of the same part of the body?"
    )


def doubtful(registration: Registration) -> str:
    """What speaks against a registration that is believed all the same, in words; empty if nothing does."""
    if registration.disagreement > DOUBTFUL_DISAGREEMENT:
        return (
            f"two fits from other starts place it {registration.disagreement:.1f} mm apart (usual is less than "
            f"{DOUBTFUL_DISAGREEMENT:g} mm)"
        )
    if registration.inside > DOUBTFUL_INSIDE:
        return (
            f"by the inside of the head alone it would lie {registration.inside:.1f} mm from where the outline puts it "
            f"(usual is less than {DOUBTFUL_INSIDE:g} mm)"
        )
    return ""
