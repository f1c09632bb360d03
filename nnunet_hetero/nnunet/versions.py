"""Which versions of nnU-Net and of its companions we work with. The package's own metadata is the only list."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement

from nnunet_hetero.errors import SettingsError

DISTRIBUTION = "nnunet-hetero"


def requirements() -> list[Requirement]:
    """What our distribution requires, without its extras.

    Raises:
        SettingsError: If the package runs from a folder without being installed.
    """
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        raise SettingsError(
            "nnunet_hetero is imported but not installed. Install it: pip install . (in its repository)."
        ) from None
    parsed = [Requirement(line) for line in lines]
    return [
        requirement for requirement in parsed if not requirement.marker or requirement.marker.evaluate({"extra": ""})
    ]


def problem_with(requirement: Requirement) -> str | None:
    """What is wrong with the installed version of a requirement; None if it fits."""
    try:
        installed = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is not installed, {requirement} is needed"
    if not requirement.specifier.contains(installed, prereleases=True):
        return f"{requirement.name} is {installed}, {requirement} is needed"
    return None


def require_supported_nnunet() -> None:
    """Refuse an nnU-Net whose insides we do not know.

    Raises:
        SettingsError: If nnU-Net's version is outside of the range that we were made for.
    """
    for requirement in requirements():
        problem = problem_with(requirement) if requirement.name == "nnunetv2" else None
        if problem:
            raise SettingsError(f'{problem}. Mend it: pip install "{requirement}"')
