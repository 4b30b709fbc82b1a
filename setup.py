"""Packages `pretrained/` (data at the top of the repository) as `easyseg.pretrained`."""

from pathlib import Path

from setuptools import find_packages, setup

DATA = ["*.json", "*.h5", "*.md", "*.onnx"]
folders = sorted(
    path.name
    for path in (Path(__file__).parent / "pretrained").iterdir()
    if path.is_dir() and path.name != "__pycache__"
)
pretrained = ["easyseg.pretrained", *(f"easyseg.pretrained.{name}" for name in folders)]

setup(
    packages=[*find_packages(include=["easyseg", "easyseg.*"]), *pretrained],
    package_dir={"easyseg.pretrained": "pretrained"},
    package_data={
        "easyseg": ["py.typed", "*.pyi", "serve/page/*", "export/page/*"],
        **dict.fromkeys(pretrained, DATA),
    },
)
