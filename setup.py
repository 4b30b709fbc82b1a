"""Packages `pretrained/` (data at the top of the repository) as `easyseg.pretrained`."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["easyseg", "easyseg.*"]), "easyseg.pretrained"],
    package_dir={"easyseg.pretrained": "pretrained"},
    package_data={
        "easyseg": ["py.typed", "*.pyi"],
        "easyseg.pretrained": ["*.json", "labels/*.json", "*/*.json", "*/*.h5", "*/*.md"],
    },
)
