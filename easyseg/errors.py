"""Every error that easyseg raises on purpose.

EasysegError
├── InputError             an argument breaks a rule        (also a ValueError)
│   ├── ArgumentTypeError  an argument of another type, or an unknown one  (also a TypeError)
│   ├── UnknownNameError   a name that no table has; suggests the nearest (also a KeyError)
│   └── ConfigError        a model or training choice that cannot be built
├── ImageError             an image that cannot be read    (also an OSError)
│   ├── ImageNotFoundError                                  (also a FileNotFoundError)
│   ├── UnreadableImageError
│   └── ImageTooLargeError
├── VideoError             a video or camera that cannot be read (also an OSError)
│   └── VideoNotFoundError                                  (also a FileNotFoundError)
├── DatasetError           a data set that cannot be read or trained on  (also a ValueError)
├── TrainingError          a training run that cannot continue
├── ExportError            a network that cannot be exported, or differs from Keras once it is
├── OutputError            a result that cannot be written  (also an OSError)
├── ServerError            a server that does not answer, or answers with a problem
└── WeightsError           weights that are not available or do not fit
    ├── DownloadError
    │   └── OfflineError
    ├── HashMismatchError
    └── WeightsMismatchError

A message names the file or argument, the rule and the cure, in one line where it can.
docs/troubleshooting.md has a section for each class, with its most frequent messages.
"""

from __future__ import annotations

import os
import unicodedata

DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


class EasysegError(Exception):
    """Base of all errors that easyseg raises on purpose."""

    def __str__(self) -> str:  # KeyError's would put the message into quotes
        return printable(Exception.__str__(self))


class InputError(EasysegError, ValueError):
    """An argument breaks a rule."""


class ArgumentTypeError(InputError, TypeError):
    """An argument is of another type, is missing, or does not exist."""


class UnknownNameError(InputError, KeyError):
    """A name that the table does not hold."""


class ConfigError(InputError):
    """A model or training configuration that cannot be built."""


class ImageError(EasysegError, OSError):
    """An image that cannot be read."""


class ImageNotFoundError(ImageError, FileNotFoundError):
    """There is no image at this path or URL."""


class UnreadableImageError(ImageError):
    """The file is there, but it is not a whole image in a known format."""


class ImageTooLargeError(ImageError):
    """The image has more pixels than the limit allows."""


class VideoError(EasysegError, OSError):
    """A video, a stream or a camera that cannot be read."""


class VideoNotFoundError(VideoError, FileNotFoundError):
    """There is no video at this path."""


class DatasetError(EasysegError, ValueError):
    """A data set that cannot be read, or not be trained on as it is."""


class TrainingError(EasysegError):
    """A training run that cannot continue; the last good weights are kept."""


class ExportError(EasysegError):
    """A network that cannot be exported, or whose file does not compute what Keras computes."""


class OutputError(EasysegError, OSError):
    """A result cannot be written; nothing half-written is left behind."""


class ServerError(EasysegError):
    """A server does not answer, or answers with a problem.

    Attributes:
        code: The problem's code, such as "queue_full"; empty if there was no answer.
        status: The HTTP status; 0 if there was no answer.
    """

    def __init__(self, message: str, code: str = "", status: int = 0) -> None:
        super().__init__(message, code, status)
        self.code, self.status = code, status

    def __str__(self) -> str:
        return printable(self.args[0])


class WeightsError(EasysegError):
    """Weights that are not available or do not fit the network."""


class DownloadError(WeightsError):
    """The download failed; what has arrived is kept, so that the next try resumes it."""


class OfflineError(DownloadError):
    """The weights are not in the cache and downloads are switched off."""


class HashMismatchError(WeightsError):
    """The file does not have the published hash."""


class WeightsMismatchError(WeightsError):
    """The file's variables are not those of the model.

    Attributes:
        missing: Variables of the model that the file lacks.
        unexpected: Variables of the file that the model lacks.
        wrong_shape: `(name, shape in the file, shape in the model)` of the others.
    """

    def __init__(
        self,
        source: str,
        missing: list[str],
        unexpected: list[str],
        wrong_shape: list[tuple[str, tuple[int, ...], tuple[int, ...]]],
    ) -> None:
        self.source = source
        self.missing = missing
        self.unexpected = unexpected
        self.wrong_shape = wrong_shape
        shapes = [f"{name} (file {file}, model {model})" for name, file, model in wrong_shape]
        parts = [
            f"{len(names)} {what}: {_first(names)}"
            for what, names in (
                ("missing", missing),
                ("unexpected", unexpected),
                ("of another shape", shapes),
            )
            if names
        ]
        super().__init__(
            f"{source} does not hold the weights of this model: {'; '.join(parts)}. "
            "Choose the model that these weights were made for (`easyseg models` lists them)."
        )

    def of(self, source: str) -> WeightsMismatchError:
        """The same error about a file of another name."""
        return type(self)(source, self.missing, self.unexpected, self.wrong_shape)

    def __reduce__(self) -> tuple[type[WeightsMismatchError], tuple[object, ...]]:
        return type(self), (self.source, self.missing, self.unexpected, self.wrong_shape)


def printable(text: object) -> str:
    """The text with escapes for what would steer a terminal or cannot be encoded.

    Line breaks and tabs stay. File names may hold any character.
    """
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(c) if _steers(c) else c for c in text)


def show_path(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """A path or URL for messages and logs, in one line and without control characters."""
    return printable(os.fsdecode(path)).replace("\n", "\\n").replace("\t", "\\t")


def os_reason(error: OSError) -> str:
    """The system's reason within a sentence: "permission denied"."""
    reason = error.strerror or str(error)
    return reason[:1].lower() + reason[1:]


def _steers(character: str) -> bool:
    """Whether it is a control, half of a UTF-16 pair, a line end, or turns the direction."""
    return character not in "\n\t" and (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(character) in DIRECTIONS
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _first(names: list[str], count: int = 3) -> str:
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
