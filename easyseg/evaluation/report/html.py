"""`report.html`: one page that needs no other file."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np

from easyseg.evaluation.scores import Scores, metric_name

CONFUSIONS = 12  # rows of the table
STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem;
  padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
dl.metrics { display: flex; flex-wrap: wrap; gap: .75rem; }
dl.metrics div { background: var(--soft); border-radius: .4rem; padding: .5rem .9rem; }
dl.metrics dt { font-size: .85rem; } dl.metrics dd { margin: 0; font-size: 1.4rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child, table.plain td, table.plain th { text-align: left; }
td, code { overflow-wrap: anywhere; } meter { width: 7rem; }
.swatch { display: inline-block; width: .8em; height: .8em; border: 1px solid #888;
  margin-right: .5em; }
figure { margin: 1rem 0; } figure img { background: #fff; max-width: 100%; height: auto; }
figure.large { overflow-x: auto; } figure.large img { max-width: none; }
code { background: var(--soft); padding: .1rem .3rem; }
"""


class Figure(NamedTuple):
    """An image of the page.

    Attributes:
        name: Its file's.
        content: The file, a PNG.
        caption: What it shows; it is the alternative text.
        large: Shown in its own size, not shrunk to the page.
        inline: A JPEG that the page has in its place.
    """

    name: str
    content: bytes
    caption: str
    large: bool = False
    inline: bytes | None = None


def page(
    title: str,
    scores: Scores,
    *,
    facts: Sequence[tuple[str, str]],
    notes: Sequence[str],
    charts: Mapping[str, Sequence[Figure]],
    settings: Sequence[tuple[str, str]],
    versions: Sequence[tuple[str, str]],
) -> str:
    """The page's HTML.

    Args:
        title: Of the report.
        scores: Its metrics.
        facts: What was evaluated: data, model, command, ...
        notes: Sentences that qualify the metrics.
        charts: Figures by the heading that they stand under.
        settings: Of the training run; empty if there was none.
        versions: Of Python and the packages.
    """
    parts = [
        f"<header><h1>{escape(title)}</h1>{_table(facts)}</header>",
        _section("Metrics", _summary(scores) + _notes(notes)),
        _section("Classes", _classes(scores)),
        _section("Most often confused", _confusions(scores)),
        *(
            _section(head, "".join(map(_figure, figures)))
            for head, figures in charts.items()
            if figures
        ),
    ]
    if settings:
        parts.append(_section("Settings of the training run", _table(settings)))
    parts.append(_section("Versions", _table(versions)))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def _section(head: str, content: str) -> str:
    return f"<section>\n<h2>{escape(head)}</h2>\n{content}\n</section>"


def _row(head: str, *cells: str) -> str:
    """A row of a table, from HTML."""
    return f'<tr><th scope="row">{head}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _table(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values; a command is shown as code."""
    rows = "".join(
        _row(escape(key), f"<code>{escape(value)}</code>" if key == "command" else escape(value))
        for key, value in pairs
    )
    return f'<div class="wide"><table class="plain">{rows}</table></div>'


def _summary(scores: Scores) -> str:
    cells = "".join(
        f"<div><dt>{escape(metric_name(name))}</dt><dd>{_number(value)}</dd></div>"
        for name, value in scores.summary().items()
    )
    return f'<dl class="metrics">{cells}</dl>'


def _notes(notes: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>" if notes else ""


def _classes(scores: Scores) -> str:
    rows = sorted(scores.rows(), key=lambda row: -(-1 if row["iou"] is None else row["iou"]))
    keys = [key for key in rows[0] if key not in {"id", "name", "pixels"}]
    total = max(sum(row["pixels"] for row in rows), 1)
    heads = ["class", *map(metric_name, keys), "fraction of the pixels"]
    body = []
    for row in rows:
        color = ",".join(map(str, scores.label_set.palette[row["id"]]))
        swatch = f'<span class="swatch" style="background:rgb({color})"></span>'
        cells = [_number(row[key]) for key in keys]
        if row["iou"] is not None:
            cells[0] = f'<meter value="{row["iou"]:.4f}"></meter> {cells[0]}'
        cells.append(f"{100 * row['pixels'] / total:.2f} %")
        body.append(_row(swatch + escape(row["name"]), *cells))
    return _columns(heads, "".join(body))


def _confusions(scores: Scores) -> str:
    """The pairs of classes with the most wrong pixels."""
    wrong = scores.confusion.counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(wrong, axis=None)[::-1][:CONFUSIONS]
    pairs = [np.unravel_index(i, wrong.shape) for i in order if wrong.flat[i]]
    if not pairs:
        return "<p>No class was predicted as another.</p>"
    names, pixels = scores.label_set.names, scores.confusion.true_pixels
    rows = "".join(
        _row(
            escape(names[true]),
            escape(names[predicted]),
            f"{100 * wrong[true, predicted] / pixels[true]:.1f} %",
            f"{wrong[true, predicted]:,}",
        )
        for true, predicted in pairs
    )
    return _columns(("ground truth", "predicted as", "fraction of the class", "pixels"), rows)


def _columns(heads: Sequence[str], rows: str) -> str:
    """A table with a head."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _figure(figure: Figure) -> str:
    data = base64.b64encode(figure.inline or figure.content).decode("ascii")
    media = "image/jpeg" if figure.inline else "image/png"
    kind = ' class="large"' if figure.large else ""
    caption = escape(figure.caption)
    return (
        f'<figure{kind}><img alt="{caption}" src="data:{media};base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _number(value: Any) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.4f}"
