"""Real videos, and a real browser."""

from __future__ import annotations

import contextlib
import functools
import http.server
import itertools
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers.make_video import RedVideos, audio_packets, make_video
from helpers.paths import TESTS

from easyseg.io.video import is_video, open_source

av = pytest.importorskip("av", reason="videos need easyseg[video]")

SHORT = "solidWhiteRight"
NAMES = [
    SHORT,
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("bottle-detection", "car-detection", "one-by-one-person-detection")
    ),
]


@pytest.fixture(scope="module")
def seg():
    return RedVideos()


@pytest.fixture(scope="module")
def blank_seg():
    """Predicts background only, quickly."""
    return RedVideos(bias=-1000)


@pytest.mark.parametrize("name", NAMES)
def test_real_videos(blank_seg, shared, tmp_path, name):
    source = shared / f"data/videos/{name}.mp4"
    out = blank_seg.segment_video(source, tmp_path / "out.mp4", frame_stride=9, progress=False).out
    with av.open(str(source)) as a, av.open(str(out)) as b:
        frames = [[(f.pts * f.time_base, f.width, f.height) for f in c.decode(video=0)]
                  for c in (a, b)]  # fmt: skip
        assert frames[0] == frames[1]
        assert abs(a.duration - b.duration) / 1e6 <= 1 / a.streams.video[0].average_rate
        has_audio = bool(a.streams.audio)
        assert bool(b.streams.audio) == has_audio
    if has_audio:
        assert [data for _, data in audio_packets(out)] == [
            data for _, data in audio_packets(source)
        ]


# A browser


PAGE = """<video src="{name}" muted></video><canvas width="{width}" height="{height}"></canvas>
<pre id="report">nothing</pre><script>
const video = document.querySelector("video"), report = document.getElementById("report");
video.onerror = () => report.textContent = "error " + video.error.message;
video.oncanplay = () => {{
  const canvas = document.querySelector("canvas").getContext("2d");
  canvas.drawImage(video, 0, 0);
  const at = (x, y) => Array.from(canvas.getImageData(x, y, 1, 1).data).join(",");
  report.textContent = ["canplay", video.videoWidth, video.videoHeight, video.duration,
                      at({x}, {y}), at(2, 2)].join(" ");
}};
</script>"""


@pytest.fixture
def look(tmp_path):
    """What Chromium reports of a video: the event, size, seconds, RGBA of two pixels."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    folder = tmp_path / "site"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=str(folder))

    def call(video_path, size, point):
        shutil.copy(video_path, folder)
        (folder / "page.html").write_text(
            PAGE.format(name=video_path.name, width=size[0], height=size[1], x=point[0], y=point[1])
        )
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            done = subprocess.run(
                [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
                 "--no-first-run", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync", "--virtual-time-budget=20000",
                 f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
                 f"http://127.0.0.1:{server.server_port}/page.html"],
                capture_output=True, text=True, check=False, timeout=120,
            )  # fmt: skip
            server.shutdown()
        return re.search(r'<pre id="report">(.*?)</pre>', done.stdout)[1].split()

    return call


@pytest.mark.browser
@pytest.mark.parametrize("name", ["b.mp4", "b.webm"])
def test_a_browser_plays_it(seg, tmp_path, look, name):
    clip = make_video(tmp_path / "a.mkv", frames=25, audio="libopus")
    seg.segment_video(clip, tmp_path / name, progress=False)
    event, width, height, seconds, found, ground = look(tmp_path / name, (96, 64), (12, 14))
    assert (event, width, height) == ("canplay", "96", "64")
    assert float(seconds) == pytest.approx(1, abs=0.08)
    red, green, blue, _ = map(int, found.split(","))
    assert green > max(red, blue)
    np.testing.assert_allclose([int(v) for v in ground.split(",")], (20, 40, 200, 255), atol=14)


@pytest.mark.browser
def test_a_browser_shows_the_background_of_cutouts(seg, tmp_path, look):
    clip = make_video(tmp_path / "a.mp4", frames=25)
    seg.segment_video(clip, tmp_path / "b.webm", kind="cutout", progress=False)
    event, *_, found, ground = look(tmp_path / "b.webm", (96, 64), (12, 14))
    assert event == "canplay"
    assert int(found.split(",")[3]) > 240
    assert int(ground.split(",")[3]) < 15


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_browser_plays_real_videos(blank_seg, shared, tmp_path, look, name):
    source = shared / f"data/videos/{name}.mp4"
    blank_seg.segment_video(source, tmp_path / "b.mp4", frame_stride=9, progress=False)
    event, width, height, seconds, *_ = look(tmp_path / "b.mp4", (9, 9), (1, 1))
    with av.open(str(source)) as container:
        video = container.streams.video[0]
        assert (event, int(width), int(height)) == ("canplay", video.width, video.height)
        assert float(seconds) == pytest.approx(container.duration / 1e6, abs=0.1)


# Memory


@pytest.mark.slow
def test_memory_does_not_grow_with_the_video(tmp_path):
    """RSS after 2,000 frames against after 200, in a process of its own."""
    make_video(tmp_path / "a.mp4", frames=2000, size=(320, 240), audio="aac")
    script = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "from helpers.make_video import red_finder\n"
        "from easyseg.inference.video import segment_video\n"
        "rss = []\n"
        "def paint(result):\n"
        "    rss.append(int(Path('/proc/self/statm').read_text().split()[1]) * 4096)\n"
        "    return result.plot()\n"
        "folder = Path(sys.argv[1])\n"
        "out = folder / 'b.mp4'\n"
        "segment_video(red_finder(), folder / 'a.mp4', out, spec=paint, progress=False)\n"
        "print(len(rss), rss[200], rss[1999])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path, TESTS],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    count, early, late = map(int, done.stdout.split())
    assert count == 2000
    assert late - early < 20e6


# Opening


@pytest.fixture
def opened(monkeypatch):
    """The files that PyAV opened for reading."""
    names = []
    open_container = av.open

    def counting(name, mode="r", *args, **options):
        if mode == "r":
            names.append(Path(name.removeprefix("file:")).name)
        return open_container(name, mode, *args, **options)

    monkeypatch.setattr(av, "open", counting)
    return names


def test_an_open_video_is_a_video(tmp_path):
    with contextlib.closing(open_source(make_video(tmp_path / "a.mp4"))) as source:
        assert is_video(source)
        assert open_source(source) is source


@pytest.mark.parametrize("audio", [None, "aac"])
def test_a_video_is_opened_once(seg, tmp_path, opened, audio):
    clip = make_video(tmp_path / "a.mp4", audio=audio)
    seg.segment_video(clip, tmp_path / "b.mp4", progress=False)
    assert opened == ["a.mp4"]
    list(seg.stream_video(clip))
    assert opened == ["a.mp4"] * 2


def test_audio_that_lies_far_behind_its_frames(seg, tmp_path):
    """FFmpeg's muxer interleaves streams within 10 s; these were written one after the other."""
    clip = make_video(tmp_path / "a.mkv", frames=60, rate=2, audio="aac")
    with av.open(str(clip)) as container:
        before_audio = itertools.takewhile(lambda p: p.stream.type == "video", container.demux())
        assert len(list(before_audio)) > 2 * 5
    out = seg.segment_video(clip, tmp_path / "b.mkv", progress=False).out
    assert [data for _, data in audio_packets(out)] == [data for _, data in audio_packets(clip)]
