"""What a notebook shows of a segmentation: its overlay, and a table of colors, names and areas.

Elsewhere, images are shown in the system's viewer.
"""

from __future__ import annotations

import base64
import html
import sys

import cv2
import numpy as np

from easyseg.io.write_image import encode_image
from easyseg.results.outputs.base import Segmented
from easyseg.results.outputs.overlay import draw_overlay

LARGEST_SIDE = 640  # pixels of the overlay, so that notebooks stay small
MOST_ROWS = 12


def to_html(result: Segmented) -> str:
    """An image and a table in one piece of HTML, which needs nothing else; names are escaped."""
    height, width = result.labels.shape
    scale = min(1.0, LARGEST_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    overlay = cv2.resize(draw_overlay(result), size, interpolation=cv2.INTER_AREA)
    data = base64.b64encode(encode_image(overlay, ".jpg")).decode("ascii")
    areas = list(zip(result.class_ids, result.ratios, strict=True))
    rows = "".join(_row(result, class_id, ratio) for class_id, ratio in areas[:MOST_ROWS])
    more = len(areas) - MOST_ROWS
    note = f'<tr><td></td><td colspan="3">and {more} more</td></tr>' if more > 0 else ""
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:1em;align-items:flex-start">'
        f'<img alt="Overlay of {width} x {height} pixels" style="max-width:100%" '
        f'src="data:image/jpeg;base64,{data}">'
        "<table><thead><tr><th></th><th>class</th><th>area</th><th>pixels</th></tr></thead>"
        f"<tbody>{rows}{note}</tbody></table></div>"
    )


def _row(result: Segmented, class_id: int, ratio: float) -> str:
    name = html.escape(result.label_set.name_of(class_id))
    return (
        f"<tr><td>{_swatch(result, class_id)}</td><td>{name}</td><td>{100 * ratio:.1f} %</td>"
        f"<td>{round(ratio * result.labels.size)}</td></tr>"
    )


def _swatch(result: Segmented, class_id: int) -> str:
    if class_id == result.label_set.void:  # which an overlay leaves uncolored
        return ""
    red, green, blue = result.label_set.colors[class_id].tolist()
    style = f"display:inline-block;width:1em;height:1em;background:rgb({red},{green},{blue})"
    return f'<span style="{style}"></span>'


def show_image(image: np.ndarray) -> bool:
    """Shows `(H, W, 3) uint8 RGB` in the notebook, or else in the system's viewer.

    Returns:
        Whether it could be shown.
    """
    from PIL import Image, ImageShow  # noqa: PLC0415

    shown = Image.fromarray(image)
    if not _in_notebook():
        return ImageShow.show(shown)
    from IPython.display import display  # noqa: PLC0415

    display(shown)
    return True


def _in_notebook() -> bool:
    """Whether this is a Jupyter kernel (not a plain IPython prompt)."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")
