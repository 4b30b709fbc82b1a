"""Packages `pretrained/` (data at the top of the repository) as `easyseg.pretrained`."""

from pathlib import Path

from setuptools import find_packages, setup

DATA = ["*.json", "*.h5", "*.md", "*.onnx"]
folders = sorted(
    path.name
    for path in (Path(__file__).parent / "pretrained").iterdir()
    if path.is_dir() and path.name != "__pycache__"
)
pages = ["easyseg.export.page", "easyseg.serve.page"]  # folders without code, as `pretrained`
pretrained = ["easyseg.pretrained", *(f"easyseg.pretrained.{name}" for name in folders)]

setup(
    packages=[*find_packages(include=["easyseg", "easyseg.*"]), *pages, *pretrained],
    package_dir={"easyseg.pretrained": "pretrained"},
    package_data={
        "easyseg": ["py.typed", "*.pyi"],
        **{page: ["*"] for page in pages},
        **dict.fromkeys(pretrained, DATA),
    },
)
