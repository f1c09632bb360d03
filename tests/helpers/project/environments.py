"""Throw-away virtual environments that borrow the libraries of the environment that runs the tests.

Nothing is downloaded: each library is a symbolic link. nnunet_hetero itself is left out, so that tests install it as a
user does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
SOURCES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "nnunet_hetero", "dataset_conversion")


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Args:
        root: Its folder.
    """

    root: Path

    @property
    def bin(self) -> Path:
        """Where its commands are."""
        return self.root / "bin"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.bin / "python"

    @property
    def site_packages(self) -> Path:
        """Its own site-packages."""
        return self.root / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"

    def run(self, *command, **variables: str) -> subprocess.CompletedProcess:
        """Run a command as in a fresh shell in which the environment is activated.

        Args:
            command: Program, found in the environment first, and its arguments.
            variables: Environment variables to set besides; those of nnU-Net start unset.
        """
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("nnUNet_", "PYTHON"))}
        inherited |= {"PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(self.root)}
        program = self.bin / str(command[0])
        command = (program if program.exists() else command[0], *command[1:])
        return subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=self.root,
            env=inherited | variables,
        )

    def must_run(self, *command, **variables: str) -> str:
        """Run a command that must end well and say nothing on stderr.

        Returns:
            What it printed.
        """
        done = self.run(*command, **variables)
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        assert not done.stderr, done.stderr
        return done.stdout

    def add_command(self, name: str, module: str, function: str) -> None:
        """Write a command as an installer does, for a package that is only borrowed."""
        path = self.bin / name
        path.write_text(
            f"#!{self.python}\nimport sys\nfrom {module} import {function}\n"
            f"if __name__ == '__main__':\n    sys.exit({function}())\n"
        )
        path.chmod(0o755)

    def listing(self) -> set[Path]:
        """All that lies in site-packages, compiled files of this environment's packages left out."""
        return {path for path in self.site_packages.rglob("*") if "nnunet_hetero/" not in path.as_posix()}


def make_environment(root: Path, without: tuple[str, ...] = ()) -> Environment:
    """Create an environment that has all libraries of the running one, except nnunet_hetero.

    Args:
        root: Its folder; the links lie beside it.
        without: Other libraries to leave out, by the name of their folder.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root)], check=True)
    # Beside the environment, not in it: no installer may take the libraries for the environment's own.
    borrowed = root.with_name(f"libraries-of-{root.name}")
    borrowed.mkdir()
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(folder).iterdir():
            left_out = any(name in entry.name for name in ("nnunet_hetero", "__pycache__", *without))
            if not left_out and entry.suffix != ".pth":
                (borrowed / entry.name).symlink_to(entry)
    environment = Environment(root)
    (environment.site_packages / "borrowed.pth").write_text(f"{borrowed}\n")
    return environment


def copy_sources(folder: Path) -> Path:
    """Copy what an installation needs, because building writes into the source folder."""
    for name in SOURCES:
        source, target = REPOSITORY / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return folder


def install(environment: Environment, sources: Path, tool: str, editable: bool) -> None:
    """Install a project without its dependencies and without the network.

    Args:
        environment: Where to.
        sources: Its folder, e.g. what `copy_sources` returned.
        tool: ``pip`` or ``uv pip``.
        editable: Whether to install a link to the sources.
    """
    target = (["--editable"] if editable else []) + [str(sources)]
    if tool == "pip":
        command = [sys.executable, "-m", "pip", "--python", str(environment.python), "install", "-q", "--no-index"]
        command += ["--disable-pip-version-check"]
    else:
        command = [_uv(), "pip", "install", "-q", "--offline", "--python", str(environment.python)]
    command += ["--no-deps", "--no-build-isolation", *target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=sources)
    assert done.returncode == 0, done.stdout + done.stderr


def uninstall(environment: Environment, tool: str) -> None:
    """Uninstall nnunet_hetero."""
    if tool == "pip":
        command = [sys.executable, "-m", "pip", "--python", str(environment.python), "uninstall", "-q", "-y"]
    else:
        command = [_uv(), "pip", "uninstall", "-q", "--python", str(environment.python)]
    done = subprocess.run([*command, "nnunet-hetero"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _uv() -> str:
    # The package that the extra 'test' installs, whether or not its folder is on PATH.
    import uv

    return uv.find_uv_bin()
