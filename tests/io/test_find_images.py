"""Which images are named, and where their results go."""

import contextlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from easyseg import read_image
from easyseg.errors import (
    EasysegError,
    ImageError,
    ImageNotFoundError,
    InputError,
    UnreadableImageError,
)
from easyseg.io import remote
from easyseg.io.find_images import (
    Found,
    common_folder,
    describe_files,
    find_images,
    result_paths,
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with images in it."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "photos/b.jpg",
        "photos/a.PNG",
        "photos/deep/er/c.webp",
        "photos/notes.txt",
        "photos/b.seg.png",
        "photos/.hidden/d.tiff",
        "photos/folder.jpg/e.gif",
        "other/b.jpg",
        "odd[1].jpg",
        "odd1.jpg",
    ):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(*sources):
    return [found.source for found in find_images(sources)]


def test_a_file(folder):
    assert find_images(["photos/b.jpg"]) == [Found("photos/b.jpg", Path("b.jpg"))]


@pytest.mark.parametrize("name", ["missing.jpg", "missing.txt", "photos/b.seg.png"])
def test_a_file_that_is_named_is_taken_as_it_is(folder, name):
    """Whoever reads it says what is wrong with it."""
    assert names(name) == [name]


def test_a_text_is_no_image_but_may_be_a_list(folder):
    """Among images it is what failed; alone it is refused."""
    problems = [image.problem for image in find_images(["photos/b.jpg", "photos/notes.txt"])]
    assert problems[0] == ""
    assert problems[1].endswith("If it lists images, write @photos/notes.txt.")
    with pytest.raises(UnreadableImageError, match=r"write @photos/notes\.txt"):
        find_images("photos/notes.txt")


@pytest.mark.parametrize("source", ["photos", "photos/", "./photos"])
def test_a_folder_is_searched_through(folder, source):
    found = find_images([source])
    assert [str(image.relative_path) for image in found] == [
        ".hidden/d.tiff",
        "a.PNG",
        "b.jpg",
        "deep/er/c.webp",
        "folder.jpg/e.gif",
    ]
    assert all(Path(image.source).is_file() for image in found)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("photos/*.jpg", ["photos/b.jpg"]),
        ("*/b.jpg", ["other/b.jpg", "photos/b.jpg"]),
        ("photos/*.png", []),
        ("photos/[ab].*", ["photos/a.PNG", "photos/b.jpg"]),
        ("photos/**/*.webp", ["photos/deep/er/c.webp"]),
        ("odd?.jpg", ["odd1.jpg"]),
        ("odd[1].jpg", ["odd[1].jpg"]),
    ],
)
def test_patterns(folder, pattern, expected):
    if expected:
        assert names(pattern) == expected
    else:
        with pytest.raises(ImageNotFoundError) as caught:
            find_images([pattern])
        assert str(caught.value) == f"No image matches {pattern!r}. Check the pattern."


def test_a_folder_without_images(folder):
    (folder / "empty").mkdir()
    with pytest.raises(ImageNotFoundError, match=r"empty has no images\. Expected files named"):
        find_images(["photos", "empty"])
    for name in ("a.psd", "b.txt", ".hidden", "c.seg.json", "results.jsonl"):
        (folder / "empty" / name).touch()
    with pytest.raises(
        ImageNotFoundError, match=r"images, but 2 other files \(a\.psd, b"
    ) as caught:
        find_images("empty")
    assert "video" not in str(caught.value)
    (folder / "empty" / "clip.MP4").touch()
    with pytest.raises(ImageNotFoundError, match=r"clip\.MP4\)\. Give each video to segment_video"):
        find_images("empty")


def test_what_is_passed_over_is_named(folder):
    for name in "12345":
        (folder / f"photos/{name}.CR2").touch()
    images = find_images(["photos", "photos/*", "other"])
    others = [f"{name}.CR2" for name in "12345"] + ["notes.txt"]
    assert [Path(path).name for path in images.passed_over] == others
    assert len(find_images(["photos", "photos/notes.txt"]).passed_over) == 5
    assert find_images(images).passed_over == images.passed_over
    text = "; passed over 6 other files (5 .cr2, 1 .txt)"
    assert describe_files(images.passed_over, "; passed over ") == text


@pytest.mark.parametrize(
    "sources",
    [
        (Path("photos/b.jpg"), "photos/b.jpg"),
        ("photos/b.jpg", "photos/b.jpg"),
        ("photos/b.jpg", "./photos/b.jpg"),
        ("photos/*.jpg", "photos/b.jpg"),
        ("photos/b.jpg", "photos/*.jpg"),
    ],
)
def test_an_image_that_is_named_twice_is_taken_once(folder, sources):
    assert names(*sources) == ["photos/b.jpg"]


def test_an_absolute_and_a_relative_name_of_one_image(folder):
    assert names("photos/b.jpg", str(folder / "photos/b.jpg")) == ["photos/b.jpg"]


def test_an_image_in_a_folder_that_is_named_too_keeps_its_order(folder):
    assert names("photos/deep/er/c.webp", "photos")[0] == "photos/deep/er/c.webp"
    assert len(names("photos/deep/er/c.webp", "photos")) == 5


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://example.org/a/dog.jpg", "dog.jpg"),
        ("HTTP://example.org/dog.jpg?size=big#top", "dog.jpg"),
        ("http://example.org", "image"),
        ("http://example.org/", "image"),
    ],
)
def test_urls(url, path):
    assert find_images([url, url]) == [Found(url, Path(path))]


def test_one_source_needs_no_list(folder):
    assert find_images("photos/b.jpg") == find_images(["photos/b.jpg"])
    assert find_images(Path("photos/b.jpg")) == find_images(["photos/b.jpg"])


def test_results_in_a_circle_of_links(folder):
    (folder / "circle").symlink_to(folder / "circle")
    found = find_images("photos", results=folder / "circle")
    assert found == find_images("photos")


def test_what_was_found_may_be_given_again(folder):
    found = find_images("photos")
    assert find_images(found) == found
    assert find_images(found[0]) == found[:1]


def test_a_dead_link_in_a_folder_is_not_skipped(folder):
    (folder / "other/dead.jpg").symlink_to("nowhere.jpg")
    (folder / "other/dead.txt").symlink_to("nowhere.txt")
    os.mkfifo(folder / "other/pipe.jpg")  # reading would wait for ever
    assert names("other") == ["other/b.jpg", "other/dead.jpg"]


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b.jpg"])
def test_impossible_names_are_left_to_whoever_reads_them(folder, name):
    assert names(name) == [name]


def test_a_list_of_sources(folder):
    Path("list.txt").write_text("photos/b.jpg\n\n  other\r\nodd?.jpg\n", "utf-8")
    assert names("@list.txt") == ["photos/b.jpg", "other/b.jpg", "odd1.jpg"]
    Path("@odd.jpg").touch()
    assert names("@odd.jpg") == ["@odd.jpg"], "a file of that name comes first"


@pytest.mark.parametrize("line", ["odd*.gif", "empty"])
def test_a_line_of_a_list_without_images(folder, line):
    Path("empty").mkdir()
    Path("list.txt").write_text(f"photos/b.jpg\n{line}\n")
    with pytest.raises(ImageNotFoundError, match=r"images?\b.*\. The list @list\.txt names it\.$"):
        find_images("@list.txt")


@pytest.mark.parametrize("lines", [{"a": "@a"}, {"a": "photos/b.jpg\n@b", "b": "@a"}], ids=str)
def test_a_list_that_names_itself(folder, lines):
    for name, text in lines.items():
        Path(name).write_text(text)
    circle = " -> ".join(f"@{name}" for name in (*lines, "a"))
    with pytest.raises(InputError, match=rf"@a names itself \({circle}\)\. Remove"):
        find_images("@a")
    Path("twice").write_text("photos/b.jpg\n")
    Path("c").write_text("@twice\n@twice\n")
    assert names("@c") == ["photos/b.jpg"], "a list may be named again"


def test_lists_of_lists_are_read_once_each(folder):
    """Else ten that name ten more would take for ever."""
    for depth in range(20):
        for number in range(10):
            lines = [f"@{depth + 1}-{i}" for i in range(10)] if depth < 19 else ["photos/b.jpg"]
            Path(f"{depth}-{number}").write_text("\n".join(lines))
    assert names("@0-0") == ["photos/b.jpg"]


@pytest.mark.parametrize("url", ["http://[", "https://[::1/a.jpg", "http://x:y/\0.jpg"])
def test_malformed_urls_are_left_to_whoever_reads_them(folder, url):
    Path("list.txt").write_text(f"photos/b.jpg\n{url}\n")
    assert names("@list.txt") == ["photos/b.jpg", url]
    with pytest.raises(ImageError):
        read_image(url)


@pytest.mark.parametrize("uri", ["s3://bucket/folder", "s3://bucket/*.jpg", "gs://b/\x1b[31m/x"])
def test_object_stores_without_pyarrow(folder, monkeypatch, uri):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    remote._file_system.cache_clear()
    with pytest.raises(InputError, match="needs pyarrow, which is not installed") as caught:
        find_images(uri)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["a.jpg", None], "rows without a value"),
        (["a.jpg", ""], "rows without a value"),
        ([{"a": 1}], "not text"),
        ([["a.jpg"]], "not text"),
        ([b"a.jpg"], "not text"),
        (["x" * 10_000] * 2, "20,000,000 rows"),
    ],
)
def test_odd_values_in_a_parquet_list(tmp_path, monkeypatch, values, reason):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    monkeypatch.setattr("easyseg.io.find_objects.LARGEST_COLUMN", 5000)
    monkeypatch.setattr("easyseg.io.find_objects.EXPANSION", 0)
    parquet.write_table(pa.table({"path": values}), tmp_path / "list.parquet")
    with pytest.raises(InputError, match=f"list.parquet: .*{reason}"):
        find_images(str(tmp_path / "list.parquet"))


@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"])
def test_encodings_of_parquet_lists(tmp_path, encoding):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pa.table({"path": ["a.jpg", "b.jpg", "a.jpg"]})
    kinds = {"use_dictionary": False, "column_encoding": {"path": encoding}}
    parquet.write_table(table, tmp_path / "list.parquet", **kinds)
    images = find_images(str(tmp_path / "list.parquet"))
    assert [image.source for image in images] == ["a.jpg", "b.jpg"]


def test_an_old_pyarrow_reads_no_parquet_list(tmp_path, monkeypatch):
    pa = pytest.importorskip("pyarrow")
    monkeypatch.setattr(pa, "__version__", "14.0.0")
    (tmp_path / "list.parquet").touch()
    with pytest.raises(InputError, match=r"can run code\. Run: pip install -U pyarrow"):
        find_images(str(tmp_path / "list.parquet"))


def test_damaged_parquet_lists(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "list.parquet"
    text = pa.array([b"\xff.jpg"]).view(pa.string())
    table = pa.table([text, text], names=["path", "path"])
    for columns, reason in ((table, "the columns path, path"), (table.select([0]), "utf-8")):
        parquet.write_table(columns, path)
        with pytest.raises(InputError, match=f"list.parquet: .*{reason}"):
            find_images(str(path))
    parquet.write_table(pa.table({"path": ["a.jpg", "b.jpg", "a.jpg"]}), path)
    content = path.read_bytes()
    assert [image.source for image in find_images(str(path))] == ["a.jpg", "b.jpg"]
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = np.frombuffer(content, np.uint8).copy()
        damaged[rng.integers(damaged.size, size=2)] = rng.integers(256, size=2)
        path.write_bytes(damaged.tobytes())
        with contextlib.suppress(EasysegError):
            find_images(str(path))


def test_results_beside_images_are_skipped_in_patterns_too(folder):
    Path("photos/b.seg.tif").touch()
    assert names("photos/b*") == ["photos/b.jpg"]


# Where results go


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["photos"], "photos"),
        (["photos/deep"], "photos/deep"),
        (["photos/b.jpg"], "photos"),
        (["photos/deep/er/c.webp", "photos/b.jpg"], "photos"),
        (["photos", "other"], "."),
        (["photos/**/*.webp"], "photos/deep/er"),
        (["https://example.org/a.jpg"], "."),
        (["odd1.jpg"], "."),
    ],
)
def test_the_folder_that_holds_all(folder, sources, expected):
    assert common_folder(find_images(sources)) == Path(expected)


def test_a_common_folder_outside_the_working_folder(folder, monkeypatch):
    monkeypatch.chdir("other")
    assert common_folder(find_images(["../photos"])) == folder / "photos"
    assert common_folder(find_images([str(folder / "photos")])) == folder / "photos"


@pytest.mark.parametrize(
    ("extensions", "extension"), [((), ".png"), ((".json",), ".json"), ((".png", ".tif"), ".png")]
)
def test_the_extension_follows_the_kind(extensions, extension):
    assert result_paths(found("a.jpg"), Path("out"), extensions=extensions) == [
        Path(f"out/a{extension}")
    ]
    assert result_paths(found("a.jpg"), None, extensions=extensions) == [
        Path(f"in/a.seg{extension}")
    ]


def test_a_file_for_one_image(tmp_path):
    for name in ("x.png", "x.JPG"):
        assert result_paths(found("a.jpg"), tmp_path / name) == [tmp_path / name]
    json = tmp_path / "x.json"
    assert result_paths(found("a.jpg"), json, extensions=(".json",)) == [json]
    assert result_paths(found("a.jpg"), json) == [json / "a.png"], "a folder"


def test_a_file_for_two_images_of_which_one_is_missing(folder):
    two = [Found(f"photos/{name}", Path(name)) for name in ("b.jpg", "missing.jpg")]
    with pytest.raises(ImageNotFoundError, match=r"photos/missing\.jpg: it does not exist"):
        result_paths(two, folder / "x.png")
    assert result_paths(two[:1], folder / "x.png") == [folder / "x.png"]


def found(*places):
    return [Found(f"in/{place}", Path(place)) for place in places]


def targets(*places, folder="out"):
    paths = result_paths(found(*places), Path(folder))
    return [str(path.relative_to(folder)) for path in paths]


@pytest.mark.parametrize("keys", [["a/../../../x.jpg", "../y.jpg"], ["/../..//x.jpg"]], ids=str)
def test_keys_of_an_object_store_do_not_lead_out_of_the_folder(monkeypatch, keys):
    monkeypatch.setattr(
        "easyseg.io.find_objects.list_objects", lambda uri: [f"{uri}/{key}" for key in keys]
    )
    for path in result_paths(find_images("s3://bucket/in"), Path("out")):
        assert path.is_relative_to("out")
        assert ".." not in path.parts


@pytest.mark.parametrize("name", ["..jpg", "...jpg"])
def test_names_of_dots_get_results(name):
    (path,) = result_paths([Found(name, Path(name))], Path("out"))
    assert path.parent == Path("out")
    assert path.suffix == ".png"


def test_results_go_to_the_same_places_below_the_folder():
    assert targets("dog.jpg", "deep/er/cat.webp") == ["dog.png", "deep/er/cat.png"]


def test_results_without_a_folder_go_beside_the_images():
    images = [*found("dog.jpg", "deep/cat.webp"), Found("http://x.org/a.jpg", Path("a.jpg"))]
    assert result_paths(images, None) == [
        Path("in/dog.seg.png"),
        Path("in/deep/cat.seg.png"),
        Path("a.seg.png"),
    ]


def test_images_that_differ_only_in_their_extension():
    assert targets("dog.jpg", "dog.PNG", "cat.jpg") == ["dog_jpg.png", "dog_png.png", "cat.png"]
    assert result_paths(found("dog.jpg", "dog.png"), None) == [
        Path("in/dog_jpg.seg.png"),
        Path("in/dog_png.seg.png"),
    ]


def test_images_of_the_same_name_from_two_folders(folder):
    images = find_images(["photos/b.jpg", "other/b.jpg"])
    paths = result_paths(images, Path("out"))
    assert len(set(paths)) == 2
    assert all(path.parent == Path("out") and path.name.startswith("b_jpg") for path in paths)
    assert result_paths(images, None) == [Path("photos/b.seg.png"), Path("other/b.seg.png")]


@pytest.mark.parametrize(
    "places",
    [
        ("dog.jpg", "dog.png", "dog_jpg.png", "dog_jpg_2.png", "dog_png.gif"),
        ("dog_jpg_2.png", "dog_jpg.png", "dog.png", "dog.jpg"),
        ("dog.jpg", "dog.jpg", "dog.jpg", "dog_jpg_2.jpg"),
        ("image", "image", "image"),
        ("my.dog.jpg", "my.cat.jpg", "my.jpg"),
        (".jpg", "a/.jpg"),
    ],
)
@pytest.mark.parametrize("folder", ["out", None])
def test_no_two_results_go_to_the_same_place(places, folder):
    paths = result_paths(found(*places), folder and Path(folder))
    assert len(set(paths)) == len(places)
    assert all(path.name.endswith(".png" if folder else ".seg.png") for path in paths)


def test_names_with_dots_are_kept():
    assert targets("my.dog.jpg", "my.cat.jpg") == ["my.dog.png", "my.cat.png"]


def test_results_of_an_earlier_run_below_the_folder_are_skipped(tmp_path):
    for name in ("a.png", "out/a.png", "more/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = find_images([str(tmp_path)], results=tmp_path / "out")
    assert [str(f.relative_path) for f in found] == ["a.png", "more/b.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_list_without_end_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    with (tmp_path / "sparse.txt").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="it is a pipe or a device"):
        find_images(f"@{tmp_path}/pipe.txt")
    with pytest.raises(InputError, match="it has more than 100 MiB"):
        find_images(f"@{tmp_path}/sparse.txt")
