"""All processes of a training have the same versions, plans and arguments, or none of them begins."""

from __future__ import annotations

import platform
import socket
import time
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

import torch

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.digests import sha256_of
from nnunet_hetero.nnunet.ranks import Ranks
from nnunet_hetero.version import __version__

TRIES, PAUSE = 60, 1.0
"""How often nodes are asked for the same files, and the seconds in between; NFS remembers names for a minute."""


def facts(files: Iterable[Path], arguments: Sequence[str]) -> dict[str, str]:
    """What must be the same everywhere, by name.

    Args:
        files: Those that a training is made from; one that is not there counts, too.
        arguments: Of the command.
    """
    versions = {
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "nnunetv2": metadata.version("nnunetv2"),
        "nnunet_hetero": __version__,
    }
    return {**versions, "the arguments": " ".join(arguments), **_hashes(files)}


def require_agreement(ranks: Ranks, found: dict[str, str]) -> None:
    """Compare what `facts` gave on all ranks; every rank must call it.

    Raises:
        SettingsError: On every rank, if one of them has something else than the first.
    """
    everywhere = ranks.gather([(socket.gethostname(), found)])
    first_host, expected = everywhere[0]
    for number, (host, there) in enumerate(everywhere):
        for name in expected.keys() | there.keys():
            if expected.get(name) != there.get(name):
                raise SettingsError(
                    f"The processes of this training differ in {name}: {there.get(name)} on rank {number} ({host}), "
                    f"{expected.get(name)} on rank 0 ({first_host}). All nodes need the same installation, files and "
                    "command."
                )


def require_same_files(ranks: Ranks, files: Sequence[Path]) -> None:
    """Wait until all ranks see the same content of files; another node may see for a while what was there before.

    Args:
        ranks: Every one must call it.
        files: Those that a training goes on from; one that is not there counts, too.

    Raises:
        SettingsError: On every rank, if they do not in time.
    """
    for _ in range(TRIES):
        everywhere = ranks.gather([_hashes(files)])
        if all(found == everywhere[0] for found in everywhere):
            return
        time.sleep(PAUSE)
    require_agreement(ranks, _hashes(files))


def _hashes(files: Iterable[Path]) -> dict[str, str]:
    return {f"SHA-256 of {file.name}": _hash(file) for file in files}


def _hash(file: Path) -> str:
    return sha256_of(file)[:16] if file.is_file() else "no such file"
