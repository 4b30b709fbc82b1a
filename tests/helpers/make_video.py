"""Short videos of a red square, made with PyAV; and a network that segments what is red."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from easyseg import LabelSet
from easyseg.inference.options import InferenceOptions
from easyseg.inference.predictor import Predictor
from easyseg.inference.video import segment_video, stream_video
from easyseg.results.outputs.spec import OutputSpec

BLUE, RED, GREEN = (20, 40, 200), (230, 20, 20), (0, 255, 0)
SIDE = 16  # of the square
REDS = LabelSet("reds", ("background", "red"), ((0, 0, 0), GREEN), void=0)


def square_at(number: int, size: tuple[int, int]) -> tuple[int, int]:
    """Left and top of the square in a frame."""
    return (4 + number) % (size[0] - SIDE), 6


def make_frame(number: int, size: tuple[int, int] = (96, 64)) -> np.ndarray:
    """A frame: blue, with a red square that moves to the right near the top."""
    image = np.empty((size[1], size[0], 3), np.uint8)
    image[:] = BLUE
    left, top = square_at(number, size)
    image[top : top + SIDE, left : left + SIDE] = RED
    return image


def make_video(
    path: Path,
    *,
    frames: int = 20,
    size: tuple[int, int] = (96, 64),
    rate: int = 25,
    timestamps: list[int] | None = None,
    time_base: Fraction | None = None,
    codec: str = "libx264",
    audio: str | None = None,
    audio_seconds: float | None = None,
    start: int = 0,
    rotation: float = 0,
    pixels: str = "yuv420p",
    colors: tuple[int, int] = (2, 1),
    make_image=make_frame,
    index_first: bool = True,
) -> Path:
    """Writes a video and returns its path; `start` is its first timestamp, in seconds."""
    import av

    options = {"movflags": "faststart"} if index_first and path.suffix == ".mp4" else {}
    with av.open(str(path), "w", container_options=options) as container:
        video = container.add_stream(codec, rate=rate, options={"crf": "8", "g": "10"})
        video.width, video.height, video.pix_fmt = *size, pixels
        video.codec_context.time_base = time_base or Fraction(1, rate)
        video.codec_context.colorspace, video.codec_context.color_range = colors
        if rotation:
            video.set_display_rotation(rotation)
        track = container.add_stream(audio, rate=48000) if audio else None
        if track is not None:
            track.codec_context.layout = "mono"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(make_image(number, size)).reformat(
                format=pixels,
                dst_colorspace={1: 1}.get(colors[0], 5),
                dst_color_range=colors[1],
            )
            frame.pts = timestamps[number] if timestamps else number + start * rate
            frame.time_base = video.codec_context.time_base
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if track is not None:
            length = audio_seconds or frames / rate
            for tone in tones(length, start):
                container.mux(track.encode(tone))
            container.mux(track.encode())
    return path


def tones(seconds: float, start: int):
    import av

    wave = np.sin(np.arange(int(48000 * seconds)) * 0.05).astype(np.float32)[None] * 0.3
    for first in range(0, wave.shape[1], 960):
        samples = np.ascontiguousarray(wave[:, first : first + 960])
        frame = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
        frame.sample_rate, frame.time_base = 48000, Fraction(1, 48000)
        frame.pts = first + 48000 * start
        yield frame


def read_video(path: Path) -> tuple[list[Fraction], list[np.ndarray]]:
    """Times in seconds, and `(H, W, 3) uint8 RGB`."""
    import av

    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [f.pts * f.time_base for f in frames], [f.to_ndarray(format="rgb24") for f in frames]


def audio_packets(path: Path) -> list[tuple[float, bytes]]:
    import av

    with av.open(str(path)) as container:
        packets = container.demux(audio=0)
        return [(float(p.pts * p.time_base), bytes(p)) for p in packets if p.size]


def is_green(image: np.ndarray) -> np.ndarray:
    """Where the overlay of class red covers: `(H, W) bool`."""
    red, green, blue = image.astype(int).transpose(2, 0, 1)
    return (green > red) & (green > blue)


def red_finder(bias: float = -4, **options) -> Predictor:
    """A network of one convolution: "red" where red is well above green and blue."""
    from easyseg._keras import keras, layers
    from easyseg.models.layers.conv import LOGITS

    image = keras.Input((None, None, 3), dtype="float32")
    logits = layers.Conv2D(2, 1, name=LOGITS)(image)
    model = keras.Model(image, logits)
    kernel = np.array([[0, 0.1], [0, -0.1], [0, -0.1]], np.float32).reshape(1, 1, 3, 2)
    model.set_weights([kernel, np.array([0, bias], np.float32)])
    inference = InferenceOptions(runtime="keras", **options)
    return Predictor(model, REDS, input_size=(97, 97), options=inference)


class RedVideos:
    """The methods for videos of `SemanticSegmentation`, with the network that finds red."""

    def __init__(self, bias: float = -4, **options) -> None:
        self.predictor = red_finder(bias, **options)

    def segment_video(
        self,
        video,
        out=None,
        *,
        kind="overlay",
        alpha=0.6,
        classes=None,
        legend=False,
        workers=1,
        **options,
    ):
        assert workers == 1
        spec = OutputSpec(kind, alpha, legend, classes)
        return segment_video(self.predictor, video, out, spec=spec, **options)

    def stream_video(self, video, **options):
        return stream_video(self.predictor, video, **options)
