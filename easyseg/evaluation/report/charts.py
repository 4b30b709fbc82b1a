"""Charts of a report, as PNG files in memory."""

from __future__ import annotations

import io
import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from easyseg.evaluation.scores import Scores
from easyseg.results.label_set import LabelSet

DPI = 110
INK = "#1f5fa8"
METRICS = {"val_mean_iou": "mean IoU", "val_pixel_accuracy": "pixel accuracy"}
ANNOTATED = 25  # classes up to which a cell of the matrix has its number


def curves(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Loss and validation metrics by epoch.

    Args:
        history: An entry for each epoch, one at least, with "epoch", "phase" and any of "loss",
            "val_loss", "val_mean_iou" and "val_pixel_accuracy".
    """
    figure = _figure(10, 4)
    left, right = figure.subplots(1, 2)
    epochs = np.array([entry["epoch"] for entry in history])
    for axes, names, title in (
        (left, {"loss": "training", "val_loss": "validation"}, "Loss"),
        (right, METRICS, "Validation"),
    ):
        for name, label in names.items():
            values = _column(history, name)
            if not np.isnan(values).all():
                axes.plot(epochs, values, marker=".", label=label)
        for before, after in itertools.pairwise(history):
            if before["phase"] != after["phase"]:
                axes.axvline((before["epoch"] + after["epoch"]) / 2, color="0.7", ls=":")
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(alpha=0.3)
        if axes.get_lines():
            axes.legend()
    iou = _column(history, "val_mean_iou")
    if not np.isnan(iou).all():
        best = int(np.nanargmax(iou))
        right.margins(y=0.15)  # room for the words below
        right.plot([epochs[best]], [iou[best]], "o", ms=9, mfc="none", mec="black")
        right.annotate(
            f"best: {iou[best]:.4f}",
            (epochs[best], iou[best]),
            xytext=(0, -16),
            textcoords="offset points",
            ha="right" if epochs[best] > epochs.mean() else "left",
        )
    return _png(figure)


def _column(history: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    """`(epochs,) float64`, NaN where an epoch has no value."""
    return np.array([entry.get(name, np.nan) for entry in history], np.float64)


def iou_chart(scores: Scores) -> bytes:
    """A bar for each class that occurs, the best on top, and the mean."""
    label_set, iou = scores.label_set, scores.iou
    ids = sorted(np.flatnonzero(~np.isnan(iou)), key=lambda i: -iou[i])
    figure = _figure(8, 1.1 + 0.19 * max(len(ids), 3))
    axes = figure.subplots()
    rows = np.arange(len(ids))
    axes.barh(
        rows,
        iou[ids],
        color=[np.divide(label_set.palette[i], 255) for i in ids],
        edgecolor="0.5",
        linewidth=0.5,
    )
    for row, i in zip(rows, ids, strict=True):
        free = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # of the mean's line
        axes.text(iou[i] + 0.01, row, f"{iou[i]:.3f}", va="center", fontsize=7, bbox=free)
    axes.axvline(scores.mean_iou, color="0.3", ls="--", lw=1, zorder=0)
    axes.set_yticks(rows, _names(label_set, ids), fontsize=7, parse_math=False)
    axes.set(xlim=(0, 1.08), ylim=(len(ids) - 0.4, -0.6), xlabel="IoU")
    axes.set_title(f"IoU of {len(ids)} classes; mean {scores.mean_iou:.4f}", fontsize=10)
    return _png(figure)


def confusion_chart(scores: Scores) -> bytes:
    """What each true class was predicted as, in percent of its pixels; classes that occur."""
    counts, missed = scores.confusion.counts, scores.confusion.missed
    ids = np.flatnonzero(counts.sum(0) + counts.sum(1) + missed)
    percent = counts[np.ix_(ids, ids)].astype(float)
    names, predicted_names = _names(scores.label_set, ids), _names(scores.label_set, ids)
    if missed.any():
        percent = np.column_stack([percent, missed[ids]])
        predicted_names = [*predicted_names, "(none)"]
    percent *= 100 / np.maximum(scores.confusion.true_pixels[ids], 1)[:, None]
    side = max(3.5, (0.42 if len(ids) <= ANNOTATED else 0.16) * len(ids))
    figure = _figure(side + 2.2, side + 1.8)
    axes = figure.subplots()
    # the square root shows small confusions too
    image = axes.imshow(np.sqrt(percent / 100), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    size = 8 if len(ids) <= ANNOTATED else 6.5
    for across, texts in (("x", predicted_names), ("y", names)):
        turned = {"rotation": 90} if across == "x" else {}
        ticks = getattr(axes, f"set_{across}ticks")
        ticks(np.arange(len(texts)), texts, fontsize=size, parse_math=False, **turned)
    if len(ids) <= ANNOTATED:
        for (row, col), value in np.ndenumerate(percent):
            if value >= 0.5:
                color = "white" if value > 40 else "black"
                axes.text(col, row, f"{value:.0f}", ha="center", va="center", size=7, color=color)
    axes.set(xlabel="predicted", ylabel="ground truth")
    axes.set_title("Percent of the true pixels", fontsize=10)
    bar = figure.colorbar(image, shrink=min(1, 4 / side), ticks=np.sqrt([0, 0.01, 0.1, 0.5, 1]))
    bar.ax.set_yticklabels(["0", "1", "10", "50", "100"], fontsize=size)
    return _png(figure)


def _figure(width: float, height: float) -> Any:
    """A figure of this size in inches, without pyplot and its global state."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (a second; needed for reports alone)

    return Figure((width, height), dpi=DPI, layout="constrained")


def _names(label_set: LabelSet, ids: Any) -> list[str]:
    names = (" ".join(label_set.names[i].split()) for i in ids)
    return [name if len(name) <= 30 else f"{name[:29]}…" for name in names]


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():  # letters that the font lacks are drawn as boxes
        warnings.filterwarnings("ignore", message="Glyph|Matplotlib currently does not support")
        figure.savefig(buffer, format="png")
    return buffer.getvalue()
