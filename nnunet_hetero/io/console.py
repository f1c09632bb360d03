"""What is printed reaches the user whatever his terminal, pipe or log can write, and errors reach him in words."""

from __future__ import annotations

import codecs
import sys
import unicodedata
from types import TracebackType

from nnunet_hetero.errors import HeteroError

HANDLER = "nnunet_hetero"

GO_ON = "The same command does the rest."
GO_ON_WITH_FLAG = "The same command with --continue_prediction does the rest."
BEGIN_ANEW = "The same command begins anew."
"""What a command that was stopped says last."""

_PLAIN = str.maketrans({"–": "-", "—": "-", "−": "-", "…": "...", "×": "x", "·": "*", "†": "+", "●": "x", "○": "o"})
_PLAIN |= str.maketrans({"≥": ">=", "≤": "<=", "±": "+-", "→": "->", "µ": "u", "μ": "mu", "σ": "sigma", "π": "pi"})
_PLAIN |= str.maketrans(dict.fromkeys("„“”«»", '"') | dict.fromkeys("‚‘’", "'") | {"ß": "ss", "æ": "ae", "ø": "o"})


def plain(text: str) -> str:
    """A text in ASCII that still can be read: known signs by others, letters without their accents, else ``?``.

    Examples:
        >>> plain("T1–T2, 3 × 4, Größe")
        'T1-T2, 3 x 4, Grosse'
    """
    decomposed = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    kept = "".join(character for character in decomposed if not unicodedata.combining(character))
    return kept.encode("ascii", "replace").decode("ascii")


def printable(text: str, encoding: str | None) -> str:
    """A text as a file or terminal of an encoding can hold it; what it cannot is made `plain`."""
    try:
        encoding = codecs.lookup(encoding or "ascii").name
    except LookupError:
        encoding = "ascii"
    return text.encode(encoding, HANDLER).decode(encoding)


def make_printable() -> None:
    """Let this process print any text: what its output cannot encode becomes plain, instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not under a notebook or a test
            stream.reconfigure(errors=HANDLER)


def say_errors_in_words() -> None:
    """Let an error that the user can mend end a command of nnU-Net's as it ends ours: ``error:`` and one sentence."""
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _say


def _say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, HeteroError):
        print(f"error: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plain(error.object[error.start : error.end]), error.end


codecs.register_error(HANDLER, _replace)
