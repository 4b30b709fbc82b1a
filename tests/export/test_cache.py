"""What `optimize` measured is remembered for the same precision, device and machine."""

from easyseg.export import cache

CHOICE = cache.Choice({"onnxruntime": 1.0, "keras": 2.0}, 4)


def test_a_choice_is_of_its_precision_and_device(tmp_path):
    cache.write_choice(tmp_path, "float32", "gpu:1", CHOICE)
    assert cache.read_choice(tmp_path, "float32", "gpu:1") == CHOICE
    for precision, device in (("float32", "auto"), ("float32", "gpu"), ("int8", "gpu:1")):
        assert cache.read_choice(tmp_path, precision, device) is None
    assert [path.name for path in tmp_path.iterdir()] == ["choice-float32-gpu1.json"]


def test_a_folder_that_cannot_be_written_is_logged(tmp_path, caplog):
    (tmp_path / "file").touch()
    cache.write_choice(tmp_path / "file", "float32", "auto", CHOICE)
    assert "the fastest runtime is not remembered: Cannot write" in caplog.text
