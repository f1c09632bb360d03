"""``nnunet_hetero install-model``."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.options import add_trust_argument
from nnunet_hetero.io.digests import sha256_of
from nnunet_hetero.io.download import Download, is_address
from nnunet_hetero.nnunet.folders import require_variables

HELP = """\
Install a model from a zip file, as 'nnunet_hetero export-model' and nnUNetv2_export_model_to_zip write it, into
nnUNet_results. Before anything is installed all of it is looked at: no path may lead elsewhere, no checkpoint may bring
code along. A download that breaks off goes on with the same command."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "zip", metavar="ZIP", help="The zip file, its https address, or hf://OWNER/NAME@REVISION of Hugging Face."
    )
    parser.add_argument("--sha256", metavar="HEX", help="What the file must have; another file is refused.")
    parser.add_argument("--overwrite", action="store_true", help="Replace a model that is installed already.")
    add_trust_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Install, and say what and where."""
    require_variables("nnUNet_results")
    # Late, so that -h answers at once.
    from nnunetv2.paths import nnUNet_results

    from nnunet_hetero.inference.model.model_archive import install_model

    results = nnUNet_results.require()
    with model_file(args.zip, Path(results), args.sha256) as file:
        for folder in install_model(file, results, overwrite=args.overwrite, trusted=args.trust_checkpoint):
            print(f"installed {folder}")
    return 0


@contextlib.contextmanager
def model_file(source: str, results: Path, sha256: str | None) -> Iterator[Path]:
    """The zip file, downloaded if it has an address; the download is removed once it has been used.

    Raises:
        SettingsError: If it cannot be downloaded, or has another SHA-256.
    """
    if not is_address(source):
        if sha256 is not None and sha256_of(source) != sha256.lower():
            raise SettingsError(f"{source} has the SHA-256 {sha256_of(source)}, expected is {sha256.lower()}.")
        yield Path(source)
        return
    # Named by the address, so that the same command finds what it has already.
    folder = results / f".downloading-{hashlib.sha256(source.encode()).hexdigest()[:12]}"
    yield Download(source, folder, sha256).fetch()
    shutil.rmtree(folder)
