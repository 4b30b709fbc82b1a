"""Which sources are videos, messages for what cannot be read, and live sources."""

from __future__ import annotations

import contextlib
import functools
import http.server
import itertools
import os
import signal
import threading
import time

import cv2
import numpy as np
import pytest
from helpers.make_video import RedVideos, make_frame, make_video, read_video
from PIL import Image

from easyseg.errors import InputError, VideoError, VideoNotFoundError
from easyseg.io.video import is_video, open_source

av = pytest.importorskip("av", reason="videos need easyseg[video]")


@pytest.fixture(scope="module")
def seg():
    return RedVideos()


def files(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a.mp4", True),
        ("A.MKV", True),
        ("dog.jpg", False),
        ("folder", False),
        (0, True),
        (True, False),
        (np.zeros((4, 4, 3), np.uint8), False),
        (b"bytes", False),
        ("rtsp://camera/1", True),
        ("udp://239.0.0.1:1234", True),
        ("https://example.org/a.mp4?x=1", True),
        ("https://example.org/dog.jpg", False),
        ("https://example.org/a.mp4/dog.jpg", False),
    ],
    ids=str,
)
def test_which_sources_are_videos(source, expected, tmp_path):
    assert is_video(source) is expected
    if isinstance(source, str) and "://" not in source:
        assert is_video(tmp_path / source) is expected


# What cannot be read


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("missing.mp4", VideoNotFoundError, "missing.mp4: it does not exist. Check the path"),
        ("empty.mp4", VideoError, r"empty.mp4: it is empty \(0 bytes\)\. Copy"),
        ("folder.mp4", VideoError, "Expected a video, got the folder .*folder.mp4. Give"),
        ("text.mp4", VideoError, "text.mp4: not a video, or an incomplete one"),
        ("no-index.mp4", VideoError, "no-index.mp4: not a video, or an incomplete one"),
        ("photo.jpg", VideoError, "Expected a video, got .*photo.jpg, which is an image"),
        ("notes.txt", VideoError, "(Expected a video, got .*notes.txt|notes.txt: not a video)"),
        ("audio.mp4", VideoError, "audio.mp4: it has no video stream, only audio. Give"),
        ("no-frames.mp4", VideoError, "no-frames.mp4: none of its frames can be decoded"),
        ("photo\nlines.mp4", VideoError, "it does not exist"),
    ],
)
def test_what_is_not_a_video(seg, tmp_path, name, kind, words):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "text.mp4").write_text("not a video " * 100)
    (tmp_path / "notes.txt").write_text("not a video " * 100)
    Image.fromarray(make_frame(0)).save(tmp_path / "photo.jpg")
    make_video(tmp_path / "no-index.mp4", index_first=False)
    content = (tmp_path / "no-index.mp4").read_bytes()
    (tmp_path / "no-index.mp4").write_bytes(content[: content.index(b"moov")])
    with av.open(str(tmp_path / "audio.mp4"), "w") as container:
        track = container.add_stream("aac", rate=48000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 48000
        container.mux([*track.encode(silence), *track.encode()])
    content = make_video(tmp_path / "no-frames.mp4").read_bytes()
    (tmp_path / "no-frames.mp4").write_bytes(content[: content.index(b"mdat") + 8])
    before = files(tmp_path)
    with pytest.raises(kind, match=words):
        seg.segment_video(tmp_path / name, tmp_path / "out.mp4", progress=False)
    assert files(tmp_path) == before
    with pytest.raises(kind, match=words):
        next(seg.stream_video(tmp_path / name))


@pytest.mark.parametrize("extension", [".mp4", ".mkv"])
def test_a_truncated_video_is_segmented_as_far_as_it_goes(seg, tmp_path, caplog, extension):
    rng = np.random.default_rng(0)

    def noisy(number, size):
        noise = rng.integers(0, 30, (size[1], size[0], 3), np.uint8)
        return make_frame(number, size) // 2 + noise

    clip = make_video(tmp_path / f"a{extension}", frames=100, make_image=noisy)
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) // 2])
    summary = seg.segment_video(clip, tmp_path / "b.mp4", progress=False)
    assert 30 < summary.frames < 70
    assert len(read_video(summary.out)[0]) == summary.frames
    assert summary.damage in str(summary)
    assert f"a{extension}: {summary.damage}." in caplog.text
    assert "of 4.0 s" in summary.damage or "damaged" in summary.damage


def test_damaged_packets_are_skipped(seg, tmp_path):
    clip = make_video(tmp_path / "a.mp4", frames=100)
    content = bytearray(clip.read_bytes())
    middle = (content.index(b"mdat") + len(content)) // 2
    content[middle : middle + 300] = b"\xff" * 300
    clip.write_bytes(content)
    summary = seg.segment_video(clip, tmp_path / "b.mp4", progress=False)
    assert 50 < summary.frames < 100
    assert summary.damage.endswith("damaged packets were skipped")


@pytest.mark.parametrize("source", [None, 1.5, b"a.mp4", True])
def test_other_types_of_sources(seg, tmp_path, source):
    with pytest.raises(InputError, match=r"Expected a video, got \w+\. Give a path, a URL"):
        seg.segment_video(source, tmp_path / "out.mp4")


# Cameras and streams


class FakeCapture:
    """Stands in for a camera: BGR images at some pace, for a while."""

    pace, count, there = 0.002, 200, True

    def __init__(self, index):
        self.index, self.taken = index, 0

    def isOpened(self):
        return self.there

    def get(self, what):
        return 0.0

    def read(self):
        time.sleep(self.pace)
        self.taken += 1
        return self.taken <= self.count, np.ascontiguousarray(make_frame(self.taken)[..., ::-1])

    def release(self):
        self.there = False


@pytest.fixture
def camera(monkeypatch):
    made = []

    def open_camera(index):
        made.append(FakeCapture(index))
        return made[-1]

    monkeypatch.setattr(cv2, "VideoCapture", open_camera)
    return made


def test_no_such_camera(seg, tmp_path, capfd):
    with pytest.raises(VideoError, match=r"Cannot open camera 97\. Check that it is connected"):
        seg.segment_video(97, tmp_path / "out.mp4")
    assert files(tmp_path) == []
    assert capfd.readouterr().err == ""


def test_of_a_camera_only_the_newest_frames_are_taken(seg, camera):
    taken = []
    for result in seg.stream_video(0):
        taken.append(camera[0].taken)
        left = int(np.nonzero(result.labels[14])[0][0]) if result.labels.any() else 0
        seen = left - 4
        time.sleep(0.05)
        assert (camera[0].taken - seen) % (96 - 16) < 75
        if len(taken) == 5:
            break
    assert len(taken) == 5
    assert taken[-1] > 4 * 10
    np.testing.assert_allclose(result.image[50, 50], make_frame(0)[50, 50])
    assert not camera[0].there


def test_a_camera_can_be_recorded(seg, camera, tmp_path):
    started = time.monotonic()
    summary = seg.segment_video(0, tmp_path / "out.mp4", progress=False)
    passed = time.monotonic() - started
    assert summary.damage == "the camera stopped sending"
    assert 10 < summary.frames <= 200
    times = [float(t) for t in read_video(summary.out)[0]]
    assert len(times) == summary.frames
    assert 0.3 < times[-1] < passed


def test_ctrl_c_ends_a_recording(seg, camera, tmp_path, monkeypatch):
    import _thread

    monkeypatch.setattr(FakeCapture, "count", 10**9)
    threading.Timer(0.5, _thread.interrupt_main).start()
    summary = seg.segment_video(0, tmp_path / "out.mp4", progress=False)
    assert len(read_video(summary.out)[0]) == summary.frames > 5


@pytest.fixture
def server(tmp_path):
    """An endless stream at /live, as of a web camera, and the files of a folder."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            if self.path != "/live":
                return super().do_GET()
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=part")
            self.end_headers()
            try:
                for number in itertools.count():
                    _, jpeg = cv2.imencode(".jpg", make_frame(number)[..., ::-1])
                    self.wfile.write(
                        b"--part\r\nContent-Type: image/jpeg\r\n"
                        b"Content-Length: %d\r\n\r\n%s\r\n" % (len(jpeg), jpeg.tobytes())
                    )
                    time.sleep(0.01)
            except OSError:
                pass
            return None

        def log_message(self, *_):
            pass

    def handler(*args):
        return Handler(*args, directory=str(tmp_path))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_live_url(seg, server):
    assert open_source(f"{server}/live").live
    results = seg.stream_video(f"{server}/live")
    seconds = []
    for result in itertools.islice(results, 5):
        assert result.class_names == ["background", "red"]
        seconds.append(result.timestamp)
        time.sleep(0.1)
    results.close()
    assert seconds[0] == 0
    assert seconds[-1] > 0.15  # and not 0.04: those between were dropped


def test_a_file_at_a_url_is_not_live(seg, server, tmp_path):
    make_video(tmp_path / "a.mp4", audio="aac")
    summary = seg.segment_video(f"{server}/a.mp4", tmp_path / "b.mp4", progress=False)
    assert summary.frames == 20
    with av.open(str(summary.out)) as container:
        assert [s.type for s in container.streams] == ["video", "audio"]


def test_a_url_without_a_server(seg, tmp_path):
    with pytest.raises(VideoError, match=r"/a\.mp4: connection refused\. Check the URL"):
        seg.segment_video("http://127.0.0.1:9/a.mp4", tmp_path / "b.mp4")
    assert files(tmp_path) == []


# A window


def test_this_opencv_has_no_windows(seg, tmp_path):
    try:
        cv2.namedWindow("test")
    except cv2.error:
        pass
    else:
        pytest.skip("this OpenCV has windows")
    clip = make_video(tmp_path / "a.mp4")
    with pytest.raises(InputError, match=r"Cannot show a window.* run: pip uninstall"):
        seg.segment_video(clip, tmp_path / "b.mp4", show=True)
    assert files(tmp_path) == ["a.mp4"]


@pytest.fixture
def window(monkeypatch):
    """What OpenCV was asked to show, in RGB."""
    shown = []
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "imshow", lambda _, image: shown.append(image[..., ::-1]))
    monkeypatch.setattr(cv2, "waitKey", lambda _: ord("q") if len(shown) == 5 else -1)
    monkeypatch.setattr(cv2, "destroyWindow", lambda _: shown.append("closed"))
    return shown


def test_a_window_shows_results_until_q(seg, tmp_path, window):
    clip = make_video(tmp_path / "a.mp4", frames=100)
    summary = seg.segment_video(clip, tmp_path / "b.mp4", show=True, progress=False)
    assert 5 <= summary.frames < 20
    assert len(read_video(summary.out)[0]) == summary.frames
    assert window[5:] == ["closed"]
    np.testing.assert_allclose(window[0][50, 50], make_frame(0)[50, 50], atol=5)


def test_a_video_may_only_be_shown(seg, tmp_path, window):
    clip = make_video(tmp_path / "a.mp4", frames=3)
    summary = seg.segment_video(clip, show=True, kind="cutout", progress=False)
    assert (summary.out, summary.frames) == (None, 3)
    assert window[0].shape == (64, 96, 3)


# Playlists name other files


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXTINF:5,\n{video}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXTINF:5,\nlist.m3u8\n#EXT-X-ENDLIST\n",
        "\n ffconcat version 1.0\nfile '{video}'\n",
        "# a comment\nffconcat version 1.0\nfile '{video}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        "<?xml version='1.0'?><MPD><BaseURL>{video}</BaseURL></MPD>",
    ],
)
@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4"])
def test_a_file_cannot_make_other_files_be_opened(tmp_path, name, text):
    make_video(tmp_path / "video.mp4")
    (tmp_path / name).write_text(text.format(video=tmp_path / "video.mp4"))
    started = time.monotonic()
    with pytest.raises(VideoError, match=r"is a playlist|not a video"):
        list(open_source(tmp_path / name).frames())
    assert time.monotonic() - started < 5


def test_playlists_of_the_web_stay_in_the_web(tmp_path):
    """One that names videos beside it is read; one that names files of this computer is not."""
    with av.open(str(tmp_path / "part.ts"), "w") as out:
        stream = out.add_stream("mpeg2video", rate=25, width=64, height=48)
        stream.pix_fmt = "yuv420p"
        for i in range(10):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(make_frame(i)[:48, :64].copy())))
        out.mux(stream.encode())
    head, end = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n", "\n#EXT-X-ENDLIST\n"
    (tmp_path / "good.m3u8").write_text(f"{head}part.ts{end}")
    (tmp_path / "bad.m3u8").write_text(f"{head}file://{tmp_path / 'part.ts'}{end}")
    (tmp_path / "self.m3u8").write_text(f"{head}self.m3u8{end}")
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        try:
            root = f"http://127.0.0.1:{server.server_port}"
            assert len(list(open_source(f"{root}/good.m3u8").frames())) == 10
            for name in ("bad", "self"):
                with pytest.raises(VideoError):
                    list(open_source(f"{root}/{name}.m3u8").frames())
        finally:
            server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_frames_that_are_too_large_are_not_decoded(tmp_path, monkeypatch):
    """Of the size that the file declares, and those that come later."""
    parts = [make_video(tmp_path / f"{n}.ts", frames=9, size=(96 * n, 64 * n)) for n in (1, 2)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(VideoError, match=r"too large \(192x128; the .*: max_pixels=24576 or, in "):
        open_source(parts[1], max_pixels=24575)
    with contextlib.closing(open_source(parts[1], max_pixels=24576)) as source:
        assert len(list(source.frames())) == 9
    monkeypatch.setenv("EASYSEG_MAX_PIXELS", "10000")
    with contextlib.closing(open_source(joined)) as source:
        assert 0 < len(list(source.frames())) <= 9
        assert "damaged packets were skipped" in source.damage
    with contextlib.closing(open_source(joined, max_pixels=24576)) as source:
        assert len(list(source.frames())) == 18


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_read_as_it_comes(tmp_path):
    video, pipe = make_video(tmp_path / "a.mkv", frames=9), tmp_path / "pipe.mkv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(video.read_bytes()))
    writer.start()
    with contextlib.closing(open_source(pipe)) as source:
        assert len(list(source.frames())) == 9
    writer.join()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("sent", [None, bytes(100)])
def test_ctrl_c_ends_the_wait_for_a_pipe(tmp_path, sent):
    """Before anyone writes, and after it began."""
    pipe, done = tmp_path / "pipe.mp4", threading.Event()
    os.mkfifo(pipe)

    def press():
        with pipe.open("wb") if sent else contextlib.nullcontext() as file:
            if file:
                file.write(sent)
                file.flush()
            while not done.wait(0.3):
                os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            open_source(pipe)
    finally:
        done.set()
        thread.join()
