"""An MCP server: programs that speak the Model Context Protocol segment images with a model.

Images are read below the given folders alone, and results go into one folder, where none is
overwritten. There are no URLs.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from easyseg.api import SemanticSegmentation
from easyseg.errors import EasysegError, ImageNotFoundError, InputError, show_path
from easyseg.io.find_images import require_writable
from easyseg.results.outputs import OUTPUTS
from easyseg.results.segmentation import Segmentation

LONGEST_NAME = 500  # characters of a name that messages repeat


class SharedFolders:
    """What a client may read and write.

    Args:
        folders: Images are read below these alone.
        out: Folder of results.

    Raises:
        InputError: One of `folders` is no folder.
        OutputError: `out` cannot be written.
    """

    def __init__(self, folders: Sequence[Path], out: Path) -> None:
        for folder in folders:
            if not folder.is_dir():
                raise InputError(f"Expected folders of images, got {folder}. Give folders.")
        require_writable(out)
        self._folders, self._out = [folder.resolve() for folder in folders], out.resolve()

    def image(self, name: str) -> Path:
        """The path of an image; a relative one is looked for in each of the folders.

        Raises:
            ImageNotFoundError: It lies elsewhere, also by a link, or is not there.
        """
        for folder in self._folders:
            with contextlib.suppress(
                OSError, ValueError, RuntimeError
            ):  # also of links in a circle
                path = (folder / name).resolve(strict=True)
                if any(path.is_relative_to(root) for root in self._folders) and path.is_file():
                    return path
        raise ImageNotFoundError(
            f"Cannot read {show_path(name[:LONGEST_NAME])}: no such image in the shared folders "
            f"{', '.join(map(str, self._folders))}. Give a path below these."
        )

    def result(self, image: Path, kind: str) -> Path:
        """A name for a result that no file has."""
        extension = next(iter(OUTPUTS[kind].suffixes), ".png")
        ends = (f"_{number}" if number > 1 else "" for number in itertools.count(1))
        paths = (self._out / f"{image.stem}.{kind}{end}{extension}" for end in ends)
        return next(path for path in paths if not os.path.lexists(path))


def require_mcp() -> None:
    """Raises InputError if the package mcp is not installed, or an older one."""
    try:
        import mcp.server.mcpserver  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        raise InputError(
            "the MCP server needs mcp 2, which is not installed: pip install 'easyseg[mcp]'"
        ) from error


def create_mcp_server(seg: SemanticSegmentation, folders: Sequence[Path], out: Path) -> Any:
    """An `mcp.server.mcpserver.MCPServer` with four tools: its `run()` serves stdin and stdout.

    Args:
        seg: The model.
        folders: Images are read below these alone.
        out: Folder of results.

    Raises:
        InputError: The package mcp is not installed, or one of `folders` is no folder.
        OutputError: `out` cannot be written.
    """
    require_mcp()
    from mcp.server.mcpserver import MCPServer  # noqa: PLC0415
    from mcp.server.mcpserver.exceptions import ToolError  # noqa: PLC0415

    shared, one_at_a_time = SharedFolders(folders, out), threading.Lock()
    server = MCPServer(
        "easyseg",
        instructions=f"Semantic segmentation of images below {', '.join(map(str, folders))} into "
        f"the {len(seg.label_set)} classes of {seg.label_set.name}; results go to {out}.",
        log_level="WARNING",
    )

    @contextlib.contextmanager
    def told() -> Iterator[None]:
        """Errors of easyseg are for the client's eyes; the SDK withholds others."""
        try:
            with one_at_a_time:
                yield
        except EasysegError as error:
            raise ToolError(str(error)) from error
        except OSError as error:
            raise ToolError(f"Cannot use {error.filename}: {error.strerror}.") from error

    def write(image: str, kind: str, classes: list[str] | None) -> dict[str, Any]:
        with told():
            path = shared.image(image)
            target = shared.result(path, kind)
            result = seg.segment_image(path, target, kind=kind, classes=classes)
            return {"result": str(target), **_areas(result)}

    @server.tool()
    def segment_image(
        image: str, kind: str = "overlay", classes: list[str] | None = None
    ) -> dict[str, Any]:
        """Segments an image and writes the result as a file.

        `kind` is overlay, color, contour, side_by_side, confidence, mask, cutout, polygons, coco,
        labelme, label_studio, cvat, geojson or npz; `classes` are the only ones to keep. Gives the
        path of the result, and the areas of the classes as fractions of the image.
        """
        return write(image, kind, classes)

    @server.tool()
    def describe_areas(image: str, classes: list[str] | None = None) -> dict[str, Any]:
        """What is in an image: each class with its fraction of the image and its pixels.

        `classes` are the only ones to report; nothing is written.
        """
        with told():
            return _areas(seg.segment_image(shared.image(image), classes=classes))

    @server.tool()
    def cut_out(image: str, keep: list[str] | None = None) -> dict[str, Any]:
        """Makes the background of an image transparent and writes a PNG.

        `keep` are the classes to keep; all but the background by default. Gives the path.
        """
        return write(image, "cutout", keep)

    @server.tool()
    def list_classes() -> dict[str, Any]:
        """The classes that the model knows."""
        return {"label_set": seg.label_set.name, "classes": list(seg.label_set.names)}

    return server


def _areas(result: Segmentation) -> dict[str, Any]:
    height, width = result.labels.shape
    areas = zip(result.class_names, result.ratios, strict=True)
    pixels = result.labels.size
    return {
        "width": width,
        "height": height,
        "areas": [
            {"name": name, "ratio": round(ratio, 6), "pixels": round(ratio * pixels)}
            for name, ratio in areas
        ],
    }
