"""`easyseg mcp`."""

from __future__ import annotations

from pathlib import Path

import click

from easyseg.cli import command
from easyseg.cli.options import A_PATH, ChosenModel, inference_options
from easyseg.serve.mcp import SharedFolders, create_mcp_server, require_mcp


@command()
@click.argument("folders", nargs=-1, required=True, type=A_PATH, metavar="FOLDER...")
@click.option("-o", "--out", type=A_PATH, required=True, help="Folder of results.")
@inference_options
def mcp(folders: tuple[Path, ...], out: Path, model: ChosenModel) -> None:
    """Serve a model to MCP clients over stdin and stdout: assistants, editors.

    Images are read only from below FOLDER...; results go to the folder of --out, where nothing is
    overwritten. Tools: segment_image, describe_areas, cut_out, list_classes.
    """
    require_mcp()
    SharedFolders(folders, out)  # checked before the model is opened
    create_mcp_server(model.open(), folders, out).run()
