"""The metadata as a file of its own: in a folder, or in the archive that an exported file is."""

from __future__ import annotations

import zipfile
from pathlib import Path

from easyseg.export.graph import ExportGraph
from easyseg.export.metadata import to_json
from easyseg.weights.exported import METADATA_FILE

DATE = (1980, 1, 1, 0, 0, 0)  # in archives, so that the same network gives the same bytes


def add_metadata(export_graph: ExportGraph, path: Path) -> None:
    """Adds the metadata as a file to a folder, or to the archive that a file is or ends in."""
    if path.is_dir():
        (path / METADATA_FILE).write_text(to_json(export_graph.metadata), "utf-8")
    else:
        append(path, METADATA_FILE, to_json(export_graph.metadata))


def append(path: Path, name: str, text: str) -> None:
    """Adds an entry to an archive; to a file that is none, an archive behind its content."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name, DATE), text)
