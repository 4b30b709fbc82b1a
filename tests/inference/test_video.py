"""Videos in, videos out: what is kept of the source, and what is left after errors."""

from __future__ import annotations

import _thread
import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers.make_video import (
    RED,
    REDS,
    SIDE,
    RedVideos,
    audio_packets,
    is_green,
    make_frame,
    make_video,
    read_video,
    red_finder,
    square_at,
)
from PIL import Image

from easyseg import Predictor
from easyseg.errors import InputError, OutputError, UnknownNameError
from easyseg.inference.video import segment_video, stream_video

av = pytest.importorskip("av", reason="videos need easyseg[video]")


@pytest.fixture(scope="module")
def videos():
    return RedVideos()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("clip") / "clip.mp4")


def original(result):
    return result.image


def files(folder):
    return sorted(p.name for p in folder.iterdir())


# What is kept


def test_the_video_is_that_of_the_source_with_the_predicted_classes(videos, clip, tmp_path):
    summary = videos.segment_video(clip, tmp_path / "new/out.mp4", progress=False)
    assert files(tmp_path / "new") == ["out.mp4"]
    times, images = read_video(summary.out)
    assert times == read_video(clip)[0]
    for number, image in enumerate(images):
        left, top = square_at(number, (96, 64))
        expected = np.zeros((64, 96), bool)
        expected[top : top + SIDE, left : left + SIDE] = True
        assert (is_green(image) == expected).mean() > 0.99
        np.testing.assert_allclose(image[50, 50], make_frame(0)[50, 50], atol=6)
    assert (summary.frames, summary.seconds, summary.fps) == (20, 0.8, 25)
    assert summary.damage == ""
    assert str(summary).startswith("20 frames, 0.8 s at 25 per second, in ")


def test_a_browser_can_play_it(videos, clip, tmp_path):
    out = videos.segment_video(clip, tmp_path / "out.mp4", progress=False).out
    content = out.read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")
    with av.open(str(out)) as container:
        video = container.streams.video[0]
        assert video.codec_context.name == "h264"
        assert video.codec_context.pix_fmt == "yuv420p"
        assert video.average_rate == 25


@pytest.mark.parametrize("name", ["a.mp4", "a.m4v", "a.mov", "a.mkv", "A.WEBM"])
def test_every_extension(videos, clip, tmp_path, name):
    videos.segment_video(clip, tmp_path / name, progress=False)
    times, images = read_video(tmp_path / name)
    assert np.allclose([float(t) for t in times], np.arange(20) / 25, atol=0.001)
    assert is_green(images[7])[10, 4 + 7 + 8]


def test_frames_may_last_differently(videos, tmp_path):
    times = [0, 40, 55, 300, 301, 900, 1000]
    clip = make_video(tmp_path / "a.mp4", frames=7, timestamps=times, time_base=Fraction(1, 1000))
    summary = videos.segment_video(clip, tmp_path / "b.mp4", progress=False)
    assert read_video(summary.out)[0] == [Fraction(t, 1000) for t in times]


def test_a_clock_that_starts_late_starts_at_zero(videos, tmp_path):
    clip = make_video(tmp_path / "a.mkv", audio="aac", start=2)
    assert min(read_video(clip)[0][0], audio_packets(clip)[0][0]) > 1.9
    videos.segment_video(clip, tmp_path / "b.mp4", progress=False)
    times, before = ([float(t) for t in read_video(p)[0]] for p in (tmp_path / "b.mp4", clip))
    assert times[0] == 0
    assert np.allclose(np.diff(times), 0.04)
    apart = audio_packets(clip)[0][0] - before[0]
    assert audio_packets(tmp_path / "b.mp4")[0][0] - times[0] == pytest.approx(apart, abs=0.002)


def test_images_that_start_after_the_audio_do_so(videos, tmp_path):
    times = list(range(50, 60))
    clip = make_video(tmp_path / "a.mp4", frames=10, timestamps=times, audio="aac", audio_seconds=3)
    videos.segment_video(clip, tmp_path / "b.mp4", progress=False)
    assert read_video(tmp_path / "b.mp4")[0] == [Fraction(t, 25) for t in times]


@pytest.mark.parametrize(
    ("extension", "codec"),
    [(".mp4", "aac"), (".mkv", "aac"), (".mov", "aac"), (".webm", "libopus")],
)
def test_audio_is_copied(videos, tmp_path, extension, codec):
    clip = make_video(tmp_path / "a.mkv", audio=codec, audio_seconds=1.5)
    videos.segment_video(clip, tmp_path / f"b{extension}", progress=False)
    before, after = audio_packets(clip), audio_packets(tmp_path / f"b{extension}")
    assert [data for _, data in after] == [data for _, data in before]
    assert np.allclose([t for t, _ in after], [t for t, _ in before], atol=0.002)


def test_audio_that_the_format_cannot_hold_is_logged(videos, tmp_path, caplog):
    clip = make_video(tmp_path / "a.mp4", audio="aac")
    videos.segment_video(clip, tmp_path / "b.webm", progress=False)
    assert "b.webm is written without audio: 'webm' format does not support" in caplog.text
    assert "use .mkv to keep it" in caplog.text
    with av.open(str(tmp_path / "b.webm")) as container:
        assert [s.type for s in container.streams] == ["video"]


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotated_videos_are_upright(videos, tmp_path, rotation):
    clip = make_video(tmp_path / "a.mp4", frames=3, rotation=rotation)
    videos.segment_video(clip, tmp_path / "b.mp4", progress=False)
    upright = np.rot90(make_frame(1), round(rotation / 90))
    image = read_video(tmp_path / "b.mp4")[1][1]
    assert image.shape == upright.shape
    assert (is_green(image) == (upright == RED).all(-1)).mean() > 0.98
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0


@pytest.mark.parametrize("size", [(95, 64), (96, 63), (95, 63), (33, 17)])
def test_odd_sizes(videos, tmp_path, size):
    clip = make_video(tmp_path / "a.webm", frames=3, size=size, codec="libvpx-vp9")
    videos.segment_video(clip, tmp_path / "b.webm", progress=False)
    assert read_video(tmp_path / "b.webm")[1][0].shape[1::-1] == size
    videos.segment_video(clip, tmp_path / "b.mp4", progress=False)
    image = read_video(tmp_path / "b.mp4")[1][0]
    assert image.shape[1::-1] == tuple(side + side % 2 for side in size)
    assert np.abs(image[-1].astype(int) - image[-2]).max() < 12


@pytest.mark.parametrize("colors", [(1, 1), (6, 1), (2, 1), (1, 2), (5, 2)], ids=str)
def test_colors_are_coded_as_they_were(videos, tmp_path, colors):
    clip = make_video(tmp_path / "a.mp4", frames=3, colors=colors)
    segment_video(videos.predictor, clip, tmp_path / "b.mp4", spec=original, progress=False)
    for path in (clip, tmp_path / "b.mp4"):
        image = read_video(path)[1][1]
        np.testing.assert_allclose(image[50, 50], make_frame(0)[50, 50], atol=5)
        np.testing.assert_allclose(image[14, 13], RED, atol=12)
    with av.open(str(tmp_path / "b.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert context.colorspace == colors[0]
        assert context.color_range in (0, 1)  # 0 is unspecified, which means the same


def test_pixels_that_are_not_square_stay_so(videos, tmp_path):
    def wide(path):
        with av.open(str(path)) as container:
            return container.streams.video[0].sample_aspect_ratio

    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        video = container.add_stream("libx264", rate=25, width=96, height=64)
        video.codec_context.sample_aspect_ratio = Fraction(4, 3)
        container.mux(video.encode(av.VideoFrame.from_ndarray(make_frame(0))))
        container.mux(video.encode())
    videos.segment_video(tmp_path / "a.mkv", tmp_path / "b.mp4", progress=False)
    assert wide(tmp_path / "a.mkv") == wide(tmp_path / "b.mp4") == Fraction(4, 3)


# Transparency, images


def test_cutouts_are_transparent(videos, clip, tmp_path):
    videos.segment_video(clip, tmp_path / "b.webm", kind="cutout", progress=False)
    decoder = av.CodecContext.create("libvpx-vp9", "r")  # FFmpeg's own decoder leaves alpha out
    with av.open(str(tmp_path / "b.webm")) as container:
        assert container.streams.video[0].metadata["alpha_mode"] == "1"
        frames = [f for packet in container.demux(video=0) for f in decoder.decode(packet)]
    assert len(frames) == 20
    opaque = frames[5].to_ndarray(format="rgba")[..., 3]
    assert opaque[14, 17] > 240
    assert opaque[50, 50] < 15


@pytest.mark.parametrize("out", ["folder", "folder/%05d.png", "folder/x-%05d.png"])
def test_numbered_images(videos, clip, tmp_path, out):
    summary = videos.segment_video(clip, tmp_path / out, kind="cutout", progress=False)
    name = "x-%05d.png" if "x-" in out else "%05d.png"
    assert files(tmp_path / "folder") == [name % n for n in range(1, 21)]
    assert summary.frames == 20
    with Image.open(tmp_path / "folder" / (name % 6)) as image:
        assert image.mode == "RGBA"
        values = np.asarray(image)
    np.testing.assert_allclose(values[14, 17], (*RED, 255), atol=8)
    assert values[50, 50, 3] == 0


@pytest.mark.parametrize("legend", [False, True])
def test_a_mask_is_ids_or_is_refused(videos, clip, tmp_path, legend):
    options = {"kind": "mask", "progress": False, "legend": legend}
    if legend:
        with pytest.raises(InputError, match="legend=True cannot be written with kind='mask'"):
            videos.segment_video(clip, tmp_path / "%05d.png", **options)
        return
    videos.segment_video(clip, tmp_path / "a/%05d.png", **options)
    videos.segment_video(clip, tmp_path / "b", **options)
    for number, result in enumerate(videos.stream_video(clip), 1):
        for folder in ("a", "b"):
            with Image.open(tmp_path / folder / f"{number:05d}.png") as image:
                np.testing.assert_array_equal(np.asarray(image), result.labels)
    for name in ("c.mp4", "c.webm", "c.mkv"):
        with pytest.raises(OutputError, match=r"Give a folder or a pattern such as .*/c/%05d\.png"):
            videos.segment_video(clip, tmp_path / name, **options)
    for out in (None, tmp_path / "d"):
        with pytest.raises(
            InputError, match=r"which holds values, not colors\. Choose kind='color'"
        ):
            videos.segment_video(clip, out, show=True, **options)
    with pytest.raises(OutputError, match="expected a video with one of the extensions"):
        videos.segment_video(clip, tmp_path / "e.gif", **options)
    assert files(tmp_path) == ["a", "b"]


def test_only_some_classes(videos, clip, tmp_path):
    videos.segment_video(clip, tmp_path / "b.mp4", classes="background", progress=False)
    assert not is_green(read_video(tmp_path / "b.mp4")[1][5]).any()
    results = videos.stream_video(clip, classes=["background"])
    assert next(results).class_names == ["background"]


# Frame stride, batches, smoothing


@pytest.mark.parametrize(
    ("frame_stride", "batch_size", "batches"),
    [(1, 1, [1] * 20), (1, 8, [4, 8, 8]), (3, 1, [1] * 7), (3, 2, [1, 2, 2, 2]), (50, 4, [1])],
)
def test_frames_between_keep_the_last_labels(clip, frame_stride, batch_size, batches):
    predictor = red_finder(batch_size=batch_size)
    network, sizes = predictor.network, []

    class Counting:
        runtime, stride = "counting", network.stride
        half_pixel, lanes = False, 1
        precision, batch_size = network.precision, 1

        def start(self):
            network.start()

        def __call__(self, images):
            sizes.append(len(images))
            return network(images)

    counting = Predictor(
        Counting(), REDS, input_size=predictor.input_size, options=predictor.options
    )
    results = list(stream_video(counting, clip, frame_stride=frame_stride))
    assert sorted(sizes) == batches
    assert [result.timestamp for result in results] == pytest.approx(np.arange(20) / 25)
    for number, result in enumerate(results):
        left, top = square_at(number - number % frame_stride, (96, 64))
        assert result.labels[top + 8, left + 1] == 1
        assert result.labels[top + 8, left - 2] == 0
        left, _ = square_at(number, (96, 64))
        np.testing.assert_allclose(result.image[top + 8, left + 8], RED, atol=8)


def test_the_number_of_frames_stays_with_a_frame_stride(videos, clip, tmp_path):
    summary = videos.segment_video(clip, tmp_path / "b.mp4", frame_stride=7, progress=False)
    assert summary.frames == 20
    assert read_video(summary.out)[0] == read_video(clip)[0]


def flicker(results):
    labels = [result.labels for result in results]
    return np.mean([(a != b).mean() for a, b in itertools.pairwise(labels)])


def test_smoothing_reduces_flicker(videos, tmp_path):
    rng = np.random.default_rng(0)

    def noisy(number, size):
        image = np.full((size[1], size[0], 3), (170, 70, 60), np.uint8)  # nearly red
        return image + rng.integers(0, 12, (size[1] // 16, size[0] // 16, 1), np.uint8).repeat(
            16, 0
        ).repeat(16, 1)

    clip = make_video(tmp_path / "a.mp4", frames=30, make_image=noisy)
    rough = flicker(videos.stream_video(clip))
    smooth = flicker(videos.stream_video(clip, smoothing=0.8))
    assert rough > 0.05
    assert smooth < 0.5 * rough


def test_smoothing_restarts_at_a_cut(videos, tmp_path):
    def cut(number, size):
        color = (230, 20, 20) if number < 5 else (250, 250, 250)
        return np.full((size[1], size[0], 3), color, np.uint8)

    clip = make_video(tmp_path / "a.mp4", frames=10, make_image=cut)
    labels = [result.labels for result in videos.stream_video(clip, smoothing=0.95)]
    assert all((a == 1).all() for a in labels[:5])
    assert all((a == 0).all() for a in labels[5:])


# Part of a video


def test_a_part_of_a_video(videos, tmp_path):
    clip = make_video(tmp_path / "a.mkv", frames=50, audio="aac")
    summary = videos.segment_video(
        clip, tmp_path / "b.mkv", start=0.4, end=1.2, legend=True, progress=False
    )
    assert (summary.frames, summary.seconds) == (20, 0.8)
    times, images = read_video(summary.out)
    assert np.allclose([float(t) for t in times], np.arange(20) / 25, atol=0.002)
    left, top = square_at(10, (96, 64))
    assert is_green(images[0])[top + 8, left + 8]
    whole, part = audio_packets(clip), audio_packets(summary.out)
    assert [data for _, data in part] == [data for t, data in whole if 0.4 <= t < 1.2]
    assert 0 <= part[0][0] < 0.03
    timestamps = [result.timestamp for result in videos.stream_video(clip, start=1.8)]
    assert timestamps == pytest.approx(np.arange(45, 50) / 25)


def test_a_part_after_the_end(videos, clip, tmp_path):
    with pytest.raises(InputError, match=r"has no frame in this part: it ends before start=9"):
        videos.segment_video(clip, tmp_path / "b.mp4", start=9, progress=False)
    assert files(tmp_path) == []


# After errors and interruptions


def painting(action, *, at):
    """A painter that does something when it comes to a frame."""
    count = itertools.count()

    def paint(result):
        if next(count) == at:
            action()
        return result.image

    return paint


def fail():
    raise RuntimeError("no more paint")


@pytest.mark.parametrize("extension", [".mp4", ".webm", ".mkv"])
def test_an_error_leaves_what_was_done(videos, tmp_path, caplog, extension):
    clip = make_video(tmp_path / "a.mkv", frames=40, audio="libopus")
    out = tmp_path / f"b{extension}"
    with pytest.raises(RuntimeError, match="no more paint"):
        segment_video(videos.predictor, clip, out, spec=painting(fail, at=12), progress=False)
    assert files(tmp_path) == ["a.mkv", out.name]
    assert read_video(out)[0] == pytest.approx(np.arange(12) / 25, abs=0.001)
    assert 0.3 < audio_packets(out)[-1][0] < 0.5
    assert f"{out} holds the 12 frames before that." in caplog.text


def test_an_error_before_any_frame_leaves_nothing(videos, clip, tmp_path):
    (tmp_path / "b.mp4").write_text("mine")
    with pytest.raises(RuntimeError):
        segment_video(
            videos.predictor, clip, tmp_path / "b.mp4", spec=painting(fail, at=0), progress=False
        )
    assert files(tmp_path) == ["b.mp4"]
    assert (tmp_path / "b.mp4").read_text() == "mine"


def test_ctrl_c_leaves_what_was_done(videos, tmp_path):
    clip = make_video(tmp_path / "a.mp4", frames=300)
    out = tmp_path / "b.mp4"
    paint = painting(_thread.interrupt_main, at=30)
    with pytest.raises(KeyboardInterrupt):
        segment_video(videos.predictor, clip, out, spec=paint, progress=False)
    assert files(tmp_path) == ["a.mp4", "b.mp4"]
    assert 30 <= len(read_video(out)[0]) < 100


def test_leaving_a_stream_early_stops_its_threads(videos, clip, caplog):
    import threading

    results = videos.stream_video(clip)
    next(results)
    assert [t for t in threading.enumerate() if t.name.startswith("easyseg-pipeline-")]
    results.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("easyseg-pipeline-")]


def test_an_older_video_is_replaced(videos, clip, tmp_path):
    (tmp_path / "b.mp4").write_text("old")
    videos.segment_video(clip, tmp_path / "b.mp4", progress=False)
    assert len(read_video(tmp_path / "b.mp4")[0]) == 20


def test_a_bar_is_shown(videos, clip, tmp_path, capsys):
    videos.segment_video(clip, tmp_path / "b.mp4")
    assert "20/20" in capsys.readouterr().err
    videos.segment_video(clip, tmp_path / "b.mp4", progress=False)
    assert capsys.readouterr().err == ""


# Arguments


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"frame_stride": 0}, "frame_stride=0 must be a whole number from 1"),
        ({"start": -1}, "start=-1 must be seconds from 0"),
        ({"start": 2, "end": 1}, "end=1 must be seconds after start=2"),
        ({"smoothing": 1}, "smoothing=1 must be from 0"),
        ({"smoothing": "a"}, "smoothing='a' must be from 0"),
        ({"alpha": 2}, "alpha=2 must be from 0"),
        ({"kind": "geojson"}, "kind='geojson' is a document, which cannot be drawn as a video"),
        ({"out": None}, "Expected an output for the video. Give out, or show=True"),
        (
            {"out": "b.png"},
            r"single image b.png. Give a pattern such as %05d.png, or a folder",
        ),
        ({"out": "%d-%d.png"}, "Give a pattern"),
        ({"out": "a%z.png"}, "Give a pattern"),
    ],
)
def test_arguments_are_checked(videos, clip, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words):
        videos.segment_video(clip, **{"out": "b.mp4", **options})
    assert files(tmp_path) == []


def test_names_are_checked_before_any_work(videos, clip, tmp_path):
    with pytest.raises(UnknownNameError, match=r"unknown class of reds 'rad'. Did you mean 'red'"):
        videos.segment_video("missing.mp4", tmp_path / "b.mp4", classes="rad")
    with pytest.raises(UnknownNameError, match="Did you mean 'red'"):
        videos.stream_video("missing.mp4", classes="rad")
    with pytest.raises(UnknownNameError, match="kind of output 'overly'"):
        videos.segment_video("missing.mp4", tmp_path / "b.mp4", kind="overly")


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("b.gif", "Cannot write b.gif: expected a video with one of the extensions .mp4, .m4v"),
        ("/proc/b.mp4", r"^Cannot write /proc/b.mp4: "),
        ("text/b.mp4", r"Cannot write text/b.mp4: (not a directory|file exists)"),
        ("text/%05d.png", r"Cannot write text/%05d.png: (not a directory|file exists)"),
        ("old/%05d.png", r"Cannot write frames to old: 00001.png exists"),
        ("old", r"Cannot write frames to old: 00001.png exists"),
    ],
)
def test_places_that_cannot_be_written(videos, clip, tmp_path, monkeypatch, out, words):
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("mine")
    Path("old").mkdir()
    Path("old/00001.png").touch()
    with pytest.raises(OutputError, match=words):
        videos.segment_video(clip, out, progress=False)
    assert files(tmp_path) == ["old", "text"]


@pytest.mark.parametrize("out", ["b.mp4", "b.mkv"])
def test_transparency_needs_a_format_that_holds_it(videos, clip, tmp_path, out):
    words = f"{out[1:]} has no transparency, which cutouts need. Use .webm, or a folder"
    with pytest.raises(OutputError, match=words):
        videos.segment_video(clip, tmp_path / out, kind="cutout")
    with pytest.raises(OutputError, match=words):
        segment_video(
            videos.predictor,
            clip,
            tmp_path / out,
            spec=lambda r: np.dstack([r.image, r.labels]),
            progress=False,
        )
    assert files(tmp_path) == []


@pytest.mark.parametrize("wrong", [lambda r: r.labels, lambda r: r.image / 255.0])
def test_what_is_painted_is_checked(videos, clip, tmp_path, wrong):
    with pytest.raises(InputError, match=r"Expected a drawn frame as uint8 of shape \(H, W, 3\)"):
        segment_video(videos.predictor, clip, tmp_path / "b.mp4", spec=wrong, progress=False)
    assert files(tmp_path) == []


def test_the_source_is_spared(videos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip = make_video(Path("a.mp4"), frames=2)
    before = clip.read_bytes()
    Path("b.mp4").symlink_to("a.mp4")
    for out in ("a.mp4", "./a.mp4", "b.mp4"):
        with pytest.raises(InputError, match="would overwrite the video"):
            videos.segment_video(clip, out, progress=False)
    assert clip.read_bytes() == before


def test_a_full_disk(videos, tmp_path, caplog):
    resource = pytest.importorskip("resource")
    rng = np.random.default_rng(0)

    def noise(number, size):
        return rng.integers(0, 256, (size[1], size[0], 3), np.uint8)

    clip = make_video(tmp_path / "a.mp4", frames=40, make_image=noise)
    for out in ("b.mp4", "b.webm", "c"):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, limits[1]))
        try:
            with pytest.raises(OutputError, match=r"Cannot write .*: file too large\."):
                videos.segment_video(clip, tmp_path / out, progress=False)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [f for f in files(tmp_path) if f != "c"] == ["a.mp4"]
    assert files(tmp_path / "c") == []


def test_without_the_encoder(videos, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(av.codec, "codecs_available", {"mpeg4"})
    with pytest.raises(OutputError, match=r"b.mp4: this PyAV has no encoder libx264"):
        videos.segment_video(clip, tmp_path / "b.mp4", progress=False)
    assert files(tmp_path) == []


def test_without_pyav(videos, clip, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    for call in (lambda: videos.segment_video(clip, tmp_path / "b.mp4"),
                 lambda: videos.stream_video(clip)):  # fmt: skip
        with pytest.raises(InputError, match=r'PyAV.*pip install "easyseg\[video\]"'):
            call()
