"""Coded concepts of what a model segments, as DICOM wants them beside a segment's name.

Codes of SNOMED CT (SCT) and the NCI Thesaurus (NCIt), as DICOM PS3.16 lists them. What has no code there gets a private
one of the scheme `SCHEME`, which is the label's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SCHEME = "99NNUNET_HETERO"
"""Private coding scheme; by the standard such a name begins with 99."""

Concept = tuple[str, str, str]
"""Code, scheme and meaning."""

ABNORMAL: Concept = ("49755003", "SCT", "Morphologically Abnormal Structure")
TISSUE: Concept = ("85756007", "SCT", "Tissue")

_CODES: dict[Concept, tuple[str, ...]] = {
    ("108369006", "SCT", "Neoplasm"): ("whole tumor", "tumor", "wt", "neoplasm", "glioma", "gtv"),
    ("C113842", "NCIt", "Enhancing Lesion"): ("enhancing tumor", "enhancing", "et", "enhancing core", "enhancement"),
    ("C81175", "NCIt", "Non-Enhancing Lesion"): ("non enhancing tumor", "nonenhancing tumor", "net", "non enhancing"),
    ("6574001", "SCT", "Necrosis"): ("necrotic core", "necrosis", "ncr", "necrotic tumor core", "necrotic"),
    ("79654002", "SCT", "Edema"): ("edema", "ed", "peritumoral edema", "peritumoral edematous tissue"),
    ("52988006", "SCT", "Lesion"): ("lesion", "lesions", "ms lesion", "white matter lesion"),
    ("50960005", "SCT", "Hemorrhage"): ("hemorrhage", "bleeding"),
}
_BY_NAME: dict[str, Concept] = {}
for _concept, _names in _CODES.items():
    _BY_NAME |= dict.fromkeys(_names, _concept)


@dataclass(frozen=True)
class Coded:
    """What a segment is.

    Args:
        category: Its property category.
        kind: Its property type.
    """

    category: Concept
    kind: Concept

    @property
    def is_private(self) -> bool:
        """Whether no public code is known for it."""
        return self.kind[1] == SCHEME


def coded(name: str) -> Coded:
    """The codes of a label or region, by its name in ``dataset.json``.

    Examples:
        >>> coded("enhancing_tumour").kind, coded("tumor_core").kind
        (('C113842', 'NCIt', 'Enhancing Lesion'), ('tumor_core', '99NNUNET_HETERO', 'tumor_core'))
    """
    plain = " ".join(re.findall(r"[a-z0-9]+", name.lower().replace("oedema", "edema")))
    plain = plain.replace("tumour", "tumor").replace("haemorrhage", "hemorrhage").replace("label ", "")
    kind = _BY_NAME.get(plain)
    return Coded(ABNORMAL, kind) if kind else Coded(TISSUE, (name, SCHEME, name[:64]))
