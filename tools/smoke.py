"""The main job in small, in whatever environment runs this: doctor, phantoms, two training steps, a prediction.

Usage: python tools/smoke.py [FOLDER]. Needs nothing but the installed package; takes a minute or two on a CPU.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

MODEL = ("-c", "3d_fullres", "-f", "0", "-p", "nnUNetPlansSmoke", "-device", "cpu")
SETTINGS = {"num_epochs": 1, "num_iterations_per_epoch": 2, "num_val_iterations_per_epoch": 1}


def run(*command: str) -> None:
    """Run a command of this environment; its failure is ours."""
    suffix = ".exe" if os.name == "nt" else ""
    program = Path(sysconfig.get_path("scripts"), command[0] + suffix)
    print("$", *command, flush=True)
    subprocess.run([str(program), *command[1:]], check=True)


def main() -> None:
    """Run the chain in a folder, which is removed at the end unless the user named it."""
    if len(sys.argv) > 1:
        chain(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        chain(Path(folder))


def chain(folder: Path) -> None:
    """Phantoms, plans, training, prediction without T1c.

    Raises:
        SystemExit: If the segmentation is not there at the end.
    """
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        os.environ[name] = str(folder / name)
    os.environ |= {"nnUNet_def_n_proc": "1", "nnUNet_n_proc_DA": "1", "OMP_NUM_THREADS": "1"}
    run("nnunet_hetero", "--version")
    run("nnunet_hetero", "doctor")
    run("nnunet_hetero", "convert", "phantom", "-o", str(folder / "cohort"), "--cases", "5", "--size", "24")
    run("nnunet_hetero", "convert", "brats", "-i", str(folder / "cohort"), "-d", "501", "-np", "1")
    run("nnUNetv2_plan_and_preprocess", "-d", "501", "-c", "3d_fullres", "-npfp", "1", "-np", "1")
    write_plans(folder)
    run("nnunet_hetero", "train", "501", "3d_fullres", "0", "-p", "nnUNetPlansSmoke", "-device", "cpu")
    images = next((folder / "nnUNet_raw").glob("Dataset501_*")) / "imagesTr"
    one = sorted(images.glob("*_0000.nii.gz"))[0].name.removesuffix("_0000.nii.gz")
    given = folder / "in"
    given.mkdir()
    for channel in (0, 2, 3):
        name = f"{one}_{channel:04d}.nii.gz"
        (given / name).write_bytes((images / name).read_bytes())
    flags = ("-d", "501", *MODEL, "--disable_tta", "--num_samples", "1", "--save_completed", "-npp", "1", "-nps", "1")
    run("nnunet_hetero", "predict", "-i", str(given), "-o", str(folder / "out"), *flags)
    if not (folder / "out" / f"{one}.nii.gz").is_file():
        raise SystemExit("No segmentation was written.")
    print(f"smoke run passed on Python {sys.version.split()[0]}")


def write_plans(folder: Path) -> None:
    """Plans so narrow and short that a CPU trains them in seconds."""
    from nnunet_hetero.demo.plans import write_derived_plans

    planned = next((folder / "nnUNet_preprocessed").glob("Dataset501_*"))
    write_derived_plans(planned, "nnUNetPlansSmoke", "3d_fullres", SETTINGS, features=(4, 8), batch=2)


if __name__ == "__main__":
    main()
