"""What can be refused from the arguments alone is refused before a model is opened, in one line."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from easyseg.cli import main


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Calls the command line, which must not open a model; gives the line of the error."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save("dog.jpg")
    for path in ("images", "masks", "broken"):
        Path(path).mkdir()
    for i in range(4):
        Image.fromarray(np.full((40, 60, 3), 50 * i, np.uint8)).save(f"images/{i}.png")
        Image.fromarray(np.eye(40, 60).astype(np.uint8)).save(f"masks/{i}.png")
    Path("clip.mp4").write_bytes(b"no video")
    Path("list.txt").write_text("dog.jpg\n")
    Path("file").write_text("a file")

    def opened(*_, **__):
        raise AssertionError("a model was opened")

    monkeypatch.setattr("easyseg.api.SemanticSegmentation.__init__", opened)

    def call(*args):
        with pytest.raises(SystemExit) as caught:
            main(list(args))
        out, err = capsys.readouterr()
        assert (caught.value.code, out) == (2, "")
        assert err.startswith("easyseg: ")
        assert err.count("\n") == 1
        return err

    return call


@pytest.mark.parametrize(
    ("line", "words"),
    [
        # files of another kind
        ("segment clip.mp4", ["clip.mp4 as an image: it is a video", "`easyseg video`"]),
        ("segment clip.mp4 clip.mp4", ["it is a video"]),
        ("segment http://example.org/clip.mp4", ["it is a video"]),
        ("segment list.txt", ["it is a text. If it lists images, write @list.txt."]),
        ("background blur list.txt", ["write @list.txt."]),
        ("background blur clip.mp4 clip.mp4", ["it is a video", "`easyseg background`"]),
        ("background change dog.jpg --background clip.mp4", ["got the video clip.mp4"]),
        ("background blur clip.mp4 --resume", ["--resume is for images; leave it out for a video"]),
        ("video dog.jpg", ["got dog.jpg, which is an image", "an image to `easyseg segment`"]),
        ("video clip.mp4", ["clip.mp4"]),
        # a cluster
        ("segment -o out --ray images", ["--ray images: expected the address", "Give --ray last"]),
        ("segment -o out --ray images dog.jpg", ["got a file or folder. Give --ray last"]),
        ("segment images --ray", ["--out is missing; a cluster writes into a folder"]),
        (
            "segment images -o out --workers 2",
            ["--workers 2 is for a cluster", "give --ray too, or --bands for a TIFF of"],
        ),
        (
            "segment images -o s3://b/out --ray --jsonl x.jsonl -m mini",
            ["--jsonl x.jsonl cannot be chosen for results in an object store", "copy that object"],
        ),
        (
            "segment images -o s3://b/{stem}.png --ray -m mini",
            ["is a template of names, which only folders take. Give a folder of the store"],
        ),
        ("segment images -o out --ray --csv x.txt -m mini", ["--csv x.txt must end in .csv"]),
        (
            "segment images -o out --ray --shard 1/2",
            ["--shard is not available with --ray", "divides the images among its nodes by itself"],
        ),
        (
            "segment images -o out --ray --bands 1",
            ["--bands is not available with --ray", "give --workers without --ray"],
        ),
        ("segment images -o s3://b/out", ["--out s3://b/out is in an object store", "give --ray"]),
        (
            "segment images -o http://b/out --ray -m mini",
            ["is a URL of the web, to which no results"],
        ),
        (
            "segment images -o out --ray --cpus 1.5 -m mini",
            ["--cpus 1.5 must be a whole number from 1"],
        ),
        # results
        ("segment dog.jpg -o x.json", ["For .json choose --kind coco or --kind geojson or"]),
        ("segment dog.jpg -o x.npz", ["For .npz choose --kind npz."]),
        ("segment dog.jpg -o x.csv", ["expected a folder, or one of the extensions .jpg"]),
        ("video clip.mp4 -k coco", ["--kind coco is a document", "such as --kind overlay"]),
        ("evaluate . --report file", ["'--report': Directory 'file' is a file"]),
        ("evaluate . --class-map foreground=cat --json file/a.json", ["Cannot write file"]),
        ("check . --sheet sheet.json", ["Cannot write sheet.json: expected one of the extensions"]),
        # numbers and choices
        ("video clip.mp4 --start 3 --end 2", ["--end 2.0 must be seconds after --start 3.0"]),
        ("video clip.mp4 --start -1", ["--start -1.0 must be seconds from 0"]),
        ("video clip.mp4 --smoothing 1", ["--smoothing 1.0 must be from 0"]),
        ("video clip.mp4 --frame-stride 0", ["--frame-stride 0 must be a whole number from 1"]),
        ("segment dog.jpg --alpha 1.5", ["--alpha 1.5 must be from 0"]),
        ("segment dog.jpg --alpha x", ["'--alpha': 'x' must be a number, such as 0.5"]),
        ("segment dog.jpg --tile 5", ["--tile 5 must be", "such as 513"]),
        ("segment dog.jpg --tile 5x", ["'--tile': '5x' must be a whole number, such as 4"]),
        ("segment dog.jpg --batch-size 0", ["--batch-size 0 must be"]),
        ("segment dog.jpg --output-stride 4", ["unknown output stride '4'. Known: 8, 16, 32."]),
        ("segment dog.jpg --runtime opnvino", ["Did you mean 'openvino'?"]),
        ("segment dog.jpg --precision int16", ["Did you mean 'int8'?"]),
        ("evaluate . --split vall", ["Did you mean 'val'"]),
        ("info mini --size 0", ["'0' must be a size such as 513"]),
        # names
        ("segment dog.jpg -c dgo", ["Did you mean 'dog'?"]),
        ("video clip.mp4 -c dgo", ["Did you mean 'dog'?"]),
        ("background blur dog.jpg --keep dgo", ["Did you mean 'dog'?"]),
        ("evaluate .", ["lacks", "--class-map"]),
        (
            "segment dog.jpg -m runs/nope",
            ["--model runs/nope is neither a model's name nor a folder", "A model is 'mini'"],
        ),
        ("segment dog.jpg -m dog.jpg", ["dog.jpg is not a file that opens as a model"]),
        ("segment dog.jpg -m broken", ["config.json is missing. A model is 'mini'"]),
        ("info runs/nope", ["MODEL runs/nope is neither a model's name nor a folder"]),
        ("train . -m runs/nope", ["--model runs/nope is neither a model's name nor a folder"]),
        # how a command is written
        ("segment", ["Missing argument 'SOURCE...'. Usage: easyseg segment [OPTIONS] SOURCE..."]),
        ("segment dog.jpg --clases dog", ["--clases", "--classes"]),
        ("background blurr dog.jpg", ["unknown effect 'blurr'. Did you mean 'blur'"]),
        ("background change dog.jpg", ["The effect change needs --background."]),
        ("optimize nope.jpg", ["Cannot read nope.jpg: it does not exist"]),
        ("optimize mini", ["IMAGES mini must be image files", "chosen by --model mini"]),
        ("optimize ./broken", ["IMAGES broken must"]),
        ("optimize ../", ["IMAGES .. must be image files", "chosen by --model .."]),
        ("optimize /tmp", ["IMAGES /tmp must be image files", "chosen by --model /tmp"]),
        ("optimize broken", ["IMAGES broken must be image files", "chosen by --model broken"]),
        # downloads
        ("download mini dog.jpg", ["mini is included in easyseg", "leave FILE out"]),
        (
            "download mobilenetv2.voc dog.jpg",
            ["expected the .tar.gz archive of mobilenetv2.voc, go"],
        ),
    ],
)
def test_refused_before_a_model_is_opened(refused, line, words):
    message = refused(*line.split())
    for word in words:
        assert word in message
    for python in ("None", "True", "()", "Errno", "b'", "Traceback"):
        assert python not in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--loss cros_entropy", "--loss cros_entropy: unknown loss 'cros_entropy'. Did you mean"),
        ("--loss dice+dice", "--loss dice+dice lists 'dice' twice"),
        ("--loss dice:0", "--loss dice:0: the weight of 'dice' must be a number above 0"),
        ("--optimizer adamx", "--optimizer adamx: unknown optimizer 'adamx'. Did you mean 'adam'"),
        ("--schedule polly", "--schedule polly: unknown"),
        ("--augment flp", "--augment: unknown augmentation step 'flp'. Did you mean 'flip'"),
        ("--augment rotate:degrees=999", "--augment: degrees=999.0 of 'rotate' must be an angle"),
        ("--set output_stride=5", "--set: output_stride: expected 8, 16 or 32, got 5."),
        ("--set decoder=lrasp", "Did you mean 'lraspp'"),
        ("--crop 5x5", "--crop 5x5 must be"),
        ("--learning-rate 0", "--learning-rate 0.0 must be above 0."),
        ("--patience 0", "--patience 0 must be a whole number of epochs from 1."),
        ("--class-weights 1,-1", "--class-weights 1.0,-1.0 must be"),
        ("--epochs 3o", "'--epochs': '3o' must be a whole number, such as 4"),
    ],
)
def test_training_is_refused_before_data_are_read(refused, monkeypatch, options, message):
    def opened(*_, **__):
        raise AssertionError("the data set was opened")

    monkeypatch.setattr("easyseg.cli.train.open_with_options", opened)
    assert message in refused("train", ".", *options.split())


def test_the_mcp_server_names_the_line_that_installs_it(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)
    monkeypatch.setitem(sys.modules, "mcp.server", None)
    expected = "needs mcp 2, which is not installed: pip install 'easyseg[mcp]'"
    assert expected in refused("mcp", "images", "-o", "out")
