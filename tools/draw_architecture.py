"""Draws the diagrams of docs/architecture.md as SVG: python tools/draw_architecture.py.

The order of the packages is read from tests/architecture/test_imports.py, which tests it, and what
each package is from the first line of its `__init__.py`, so that the diagram follows the code.
"""

from __future__ import annotations

import ast
import textwrap
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs/images"
WIDTH, ROW, GAP, MARGIN = 960, 62, 14, 20
FILL, EDGE, INK, SOFT = "#e8f0fa", "#1f5fa8", "#14324f", "#5b6b7b"
NOT_PACKAGES = ("__main__", "__init__", "_keras")

FLOW = (  # (module, what leaves it)
    ("io/read_image", "(H, W, 3) uint8 RGB, upright"),
    ("inference/preprocess", "letterboxed to input_size"),
    ("inference/predictor", "batches, tiles, scales"),
    ("inference/runtimes", "logits (h, w, classes)"),
    ("results/logit_grid", "upsample, then argmax"),
    ("results/segmentation", "labels (H, W)"),
    ("results/outputs", "overlay, mask, polygons, …"),
    ("io/write_image", "a file, whole or not at all"),
)


def layers() -> list[list[str]]:
    """The packages of each layer, the entry points first."""
    tree = ast.parse((ROOT / "tests/architecture/test_imports.py").read_text("utf-8"))
    order = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ORDER"
    )
    rows = [
        [package for package in row.split(", ") if package not in NOT_PACKAGES]
        for row in order.split(" > ")
    ]
    return [[package for package in row if path_of(package).exists()] for row in rows]


def path_of(package: str) -> Path:
    """The file whose docstring says what the package is."""
    folder = ROOT / "easyseg" / package
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


def purpose(package: str) -> str:
    """The first sentence of the package's docstring."""
    text = ast.get_docstring(ast.parse(path_of(package).read_text("utf-8"))) or ""
    return text.split("\n\n")[0].split("\n")[0].rstrip(".").replace("`", "")


def box(x: float, y: float, width: float, height: float, title: str, text: str) -> str:
    """A box with a title and up to two lines of text."""
    lines = textwrap.wrap(text, max(12, int(width / 7.2)))[:2]
    center = f"{x + width / 2:.0f}"
    spans = "".join(
        f'<text x="{center}" y="{y + 40 + 15 * i:.0f}" class="soft">{escape(line)}</text>'
        for i, line in enumerate(lines)
    )
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="6"/>'
        f'<text x="{center}" y="{y + 22:.0f}" class="name">{escape(title)}</text>{spans}'
    )


def page(height: float, title: str, content: str) -> str:
    """The SVG file."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>\n"
        f"svg {{ background: #fff; font-family: system-ui, sans-serif; text-anchor: middle; }}\n"
        f"rect {{ fill: {FILL}; stroke: {EDGE}; }}\n"
        f".name {{ font-size: 15px; font-weight: 600; fill: {INK}; }}\n"
        f".soft {{ font-size: 12px; fill: {SOFT}; }}\n"
        f"path {{ stroke: {EDGE}; stroke-width: 1.5; fill: none; marker-end: url(#tip); }}\n"
        "</style>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><polygon points="0,0 8,4 0,8" fill="{EDGE}"/></marker>'
        f"</defs>\n{content}\n</svg>\n"
    )


def draw_packages() -> str:
    """One row of boxes for each layer; imports go down."""
    parts, y = [], MARGIN
    rows = [row for row in layers() if row]
    for i, row in enumerate(rows):
        width = (WIDTH - 2 * MARGIN - GAP * (len(row) - 1)) / len(row)
        for j, package in enumerate(row):
            name = package if path_of(package).parent.name != "easyseg" else f"{package}.py"
            parts.append(box(MARGIN + j * (width + GAP), y, width, ROW, name, purpose(package)))
        if i + 1 < len(rows):
            parts.append(f'<path d="M {WIDTH / 2} {y + ROW + 1} v {GAP + 6}"/>')
        y += ROW + GAP + 8
    return page(
        y - GAP + MARGIN,
        "The packages of easyseg; each imports only from those below",
        "\n".join(parts),
    )


def draw_flow() -> str:
    """How an image flows, four steps in a row."""
    columns, parts = 4, []
    width = (WIDTH - 2 * MARGIN - 3 * 2 * GAP) / columns
    for i, (module, text) in enumerate(FLOW):
        down, across = divmod(i, columns)
        x, y = MARGIN + across * (width + 2 * GAP), MARGIN + down * (ROW + 3 * GAP)
        parts.append(box(x, y, width, ROW, module, text))
        if i + 1 == len(FLOW):
            continue
        if across + 1 < columns:
            parts.append(f'<path d="M {x + width + 2:.0f} {y + ROW / 2} h {2 * GAP - 4}"/>')
        else:
            middle = y + ROW + 1.5 * GAP
            start = MARGIN + width / 2
            path = f"M {x + width / 2:.0f} {y + ROW + 1} V {middle} H {start:.0f}"
            parts.append(f'<path d="{path} V {y + ROW + 3 * GAP - 2}"/>')
    return page(2 * MARGIN + 2 * ROW + 3 * GAP, "How an image flows", "\n".join(parts))


def draw_logit_grid() -> str:
    """A grid of logits over an image: most cells have one class at all four corners."""
    columns, rows, cell, left = 9, 5, 64, 60
    colors = {0: "#d7dde4", 1: "#f3b562"}

    def winner(x: int, y: int) -> int:
        return int((x - 4.6) ** 2 / 7.5 + (y - 2.4) ** 2 / 3.2 < 1)

    parts = []
    for y in range(rows):
        for x in range(columns):
            corners = {winner(x + dx, y + dy) for dx in (0, 1) for dy in (0, 1)}
            fill = colors[corners.pop()] if len(corners) == 1 else "url(#mix)"
            place = f'x="{left + x * cell}" y="{MARGIN + y * cell}"'
            size = f'width="{cell}" height="{cell}"'
            parts.append(f'<rect {place} {size} style="fill:{fill};stroke:#fff"/>')
    for y in range(rows + 1):
        for x in range(columns + 1):
            place = f'cx="{left + x * cell}" cy="{MARGIN + y * cell}"'
            ink = colors[winner(x, y)]
            parts.append(f'<circle {place} r="6" fill="{ink}" stroke="{INK}" stroke-width="1.5"/>')
    mix = (
        '<defs><pattern id="mix" width="8" height="8" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><rect width="8" height="8" style="fill:{colors[0]};'
        f'stroke:none"/><rect width="4" height="8" style="fill:{colors[1]};stroke:none"/>'
        "</pattern></defs>"
    )
    lines = (
        ("dots", "logits, one vector per position"),
        ("plain cells", "one winner at all four corners:"),
        ("", "decided without interpolation"),
        ("striped cells", "corners differ: logits are"),
        ("", "interpolated there, pixel by pixel"),
    )
    x = left + columns * cell + 150
    y = MARGIN + 50
    for name, text in lines:
        if name:
            y += 26
            parts.append(f'<text x="{x}" y="{y}" class="name">{name}</text>')
        y += 18
        parts.append(f'<text x="{x}" y="{y}" class="soft">{text}</text>')
    content = mix + "\n".join(parts)
    return page(2 * MARGIN + rows * cell, "Labels from a grid of logits", content)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / "packages.svg").write_text(draw_packages(), "utf-8")
    (IMAGES / "image_flow.svg").write_text(draw_flow(), "utf-8")
    (IMAGES / "logit_grid.svg").write_text(draw_logit_grid(), "utf-8")
