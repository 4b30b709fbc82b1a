"""Notebooks: those examples of the gallery that teach step by step, executed, with their outputs.

sphinx-gallery makes the notebooks from the examples; there is no second source.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from sphinx.errors import ExtensionError
from sphinx.util import logging

NOTEBOOKS = {
    "images/one_image": "First steps",
    "training/train_on_a_folder": "Own classes in ten minutes",
    "video/video": "Video",
    "images/background": "Backgrounds",
    "images/areas": "Measuring areas",
    "training/evaluate": "Reading the evaluation report",
    "deploy/export": "Export, and run without TensorFlow",
    "deploy/from_pixellib": "From PixelLib",
    "images/large_image": "Large images in tiles",
}
COLAB = "https://colab.research.google.com/github/{repository}/blob/gh-pages/notebooks/{name}.ipynb"
PAGE = """Notebooks
=========

The examples of the `gallery <../gallery/index.html>`__ that teach step by step, as notebooks with
their outputs. They were executed when this site was built. On Colab, the first cell installs
easyseg.

.. list-table::
   :header-rows: 1
   :widths: 40 30 30

   * - Notebook
     - With outputs
     - Try it

"""
log = logging.getLogger(__name__)


def write_page(app: Any) -> None:
    """The page that lists the notebooks."""
    rows = []
    for example, title in NOTEBOOKS.items():
        name = Path(example).name
        colab = COLAB.format(repository=app.config.notebooks_repository, name=name)
        rows.append(
            f"   * - :doc:`{title} </gallery/{example}>`\n"
            f"     - `{name}.ipynb <../notebooks/{name}.ipynb>`__\n"
            f"     - .. image:: /_static/colab.svg\n          :target: {colab}\n"
            f"          :alt: Open {title} in Colab\n"
        )
    path, text = Path(app.srcdir) / "tutorials/notebooks.rst", PAGE + "".join(rows)
    if not path.is_file() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def execute(source: Path, target: Path) -> None:
    """Runs a notebook in an empty folder and keeps it with its outputs, unless that was done.

    Raises:
        ExtensionError: A cell failed; names the notebook, the cell and the error.
    """
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    if target.is_file() and nbformat.read(target, 4).metadata.get("source_sha256") == digest:
        return
    notebook = nbformat.read(source, 4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}})
        try:
            client.execute()
        except CellExecutionError as error:
            failed = next(
                number
                for number, cell in enumerate(notebook.cells, 1)
                if any(o["output_type"] == "error" for o in cell.get("outputs", []))
            )
            reason = f"{error.ename}: {error.evalue}"
            raise ExtensionError(f"{source.name}, cell {failed}: {reason}\n{error}") from error
    notebook.metadata["source_sha256"] = digest
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)


def execute_all(app: Any, error: Exception | None) -> None:
    """Executes the notebooks into the site, once the gallery has made them."""
    if error or app.builder.format != "html":
        return
    if os.environ.get("EASYSEG_NOTEBOOKS") == "0":
        log.info("skipped: executing the notebooks (EASYSEG_NOTEBOOKS=0)")
        return
    for example in NOTEBOOKS:
        source = Path(app.srcdir) / "gallery" / f"{example}.ipynb"
        log.info("executing %s", source.name)
        execute(source, Path(app.outdir) / "notebooks" / source.name)


def setup(app: Any) -> dict[str, bool]:
    """Writes the page before Sphinx looks for files, executes the notebooks at the end."""
    app.add_config_value("notebooks_repository", "", "env")
    app.connect("builder-inited", write_page, priority=100)
    app.connect("build-finished", execute_all)
    return {"parallel_read_safe": True}
