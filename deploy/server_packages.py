"""Prints what a server without TensorFlow needs, one requirement a line.

These are the packages of docker/Dockerfile.runtime and of the extra `easyseg[serve]`.
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def server_packages() -> list[str]:
    """The requirements."""
    dockerfile = (ROOT / "docker/Dockerfile.runtime").read_text("utf-8")
    runtime = re.search(r'^ARG PACKAGES="(.+)"$', dockerfile, re.MULTILINE)[1].split()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return [*runtime, *project["optional-dependencies"]["serve"]]


if __name__ == "__main__":
    print("\n".join(server_packages()))
