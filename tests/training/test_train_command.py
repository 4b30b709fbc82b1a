import dataclasses
import logging
from pathlib import Path

import click
import pytest
from helpers.square_dataset import QUICK, paint, start

from easyseg import TrainConfig
from easyseg.cli import cli, main
from easyseg.cli.train import train
from easyseg.datasets import DatasetOptions
from easyseg.training.augmentation import Augmenter
from easyseg.training.run_dir import State, Stopped, write_state
from easyseg.weights.bundle import save_bundle


def command(*arguments):
    cli.main(["train", *map(str, arguments)], standalone_mode=False)


@pytest.fixture
def shapes(tmp_path):
    return paint(tmp_path / "shapes")


@pytest.fixture
def passed(tmp_path, monkeypatch):
    """Each call of `fine_tune`: its keyword arguments."""
    calls = []

    class Start:
        name = str(tmp_path)

        def __init__(self, model, **options):
            (tmp_path / "card.md").write_text("# Card")

        def fine_tune(self, data, **options):
            calls.append({"data": data, **options})
            return self

    monkeypatch.setattr("easyseg.cli.options.SemanticSegmentation", Start)
    return calls


def test_every_field_is_an_option():
    options = {option for parameter in train.params for option in parameter.opts}
    assert {f"--{f.name.replace('_', '-')}" for f in dataclasses.fields(TrainConfig)} <= options


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "needs DATA, the folder of a data set, or --resume and a run"),
        (("--epochs", "0"), "--epochs 0 .* a whole number from 1"),
        (("--learning-rate", "5e-4", "--optimizer", "sgdd"), "sgd"),
        (("--resume", "nothing", "--epochs", "3"), "leave --epochs out"),
        (("--resume", "nothing", "--classes", "a,b"), "leave --classes out"),
        (("--resume", "nothing", "--set", "head=dpc"), "leave --set out"),
        (
            ("--resume", "nothing", "--distribute", "auto", "--lr", "1"),
            "--learning-rate, --distribute out",
        ),
        (("--distribute", "mirrored"), "--distribute mirrored: unknown distribute 'mirrored'"),
        (("--distribute", "multi_worker"), "--distribute multi_worker needs the addresses"),
        (("--workers", "a:1,b:2"), "--workers and --rank belong together"),
        (("--rank", "1"), "--workers and --rank belong together"),
        (("--workers", "a:1,b:2", "--rank", "2"), "--rank 2 must be from 0 to 1"),
        (("--workers", "a:1, b", "--rank", "0"), "expected host:port .* got 'b'"),
        (
            ("--workers", "a:1,b:2", "--rank", "0", "--distribute", "auto"),
            "--workers is for --distribute multi_worker, got auto",
        ),
        (("--classes", "a,b"), "ids of no class: 2"),
        (("--format", "cocoa"), "coco"),
        (("--resume", "nothing"), r"nothing .*"),
    ],
)
def test_errors_before_training(shapes, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    data = [] if not arguments or "--resume" in arguments else [shapes]
    with pytest.raises(click.ClickException, match=message):
        command(*data, *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["shapes"], "no run, and no lock of one"


def test_options_for_a_finished_run(tmp_path):
    (tmp_path / "run").mkdir()
    state = State(3, 0, 2, 1, [{"epoch": 1}], 0, ended=True, new_norms=[], model=[], optimizer=[])
    write_state(tmp_path / "run", state)
    message = r"run is finished, so --epochs changes nothing; .* a new run with --model .*run\."
    with pytest.raises(click.ClickException, match=message):
        command("--resume", tmp_path / "run", "--epochs", "9")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["DATA"], "--resume 'my runs/one'"),
        (["--resume", "x", "moved"], "moved --resume 'my runs/one'"),
    ],
)
def test_stopped_names_the_command_that_goes_on(shapes, monkeypatch, capsys, typed, expected):
    class Start:
        def __init__(self, *_, **__):
            pass

        def stop(self, *_, **__):
            raise Stopped(Path("my runs/one"))

        fine_tune = resume = stop

    monkeypatch.setattr("easyseg.cli.options.SemanticSegmentation", Start)
    monkeypatch.setattr("easyseg.cli.train.SemanticSegmentation", Start())
    with pytest.raises(SystemExit) as caught:
        main(["train", *(str(shapes) if word == "DATA" else word for word in typed)])
    assert caught.value.code == 130
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"easyseg: stopped. To resume: easyseg train {expected}"


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        ("--crop", "361x481", {"crop": [361, 481]}),
        ("--crop", "361", {"crop": [361, 361]}),
        ("--class-weights", "auto", {"class_weights": "auto"}),
        ("--class-weights", "1,5,0.5", {"class_weights": [1, 5, 0.5]}),
        ("--loss", "cross_entropy+dice", {"loss": "cross_entropy+dice"}),
        ("--loss", "cross_entropy:1+dice:0.5", {"loss": {"cross_entropy": 1, "dice": 0.5}}),
        ("--augment", "none", {"augment": []}),
        ("--augment", "scale, flip", {"augment": ["scale", "flip"]}),
        (
            "--augment",
            "rotate:degrees=10:p=0.3,flip",
            {"augment": [{"rotate": {"degrees": 10, "p": 0.3}}, "flip"]},
        ),
        ("--lr", "5e-4", {"learning_rate": 5e-4}),
        ("--learning-rate", "0.001", {"learning_rate": 0.001}),
        ("--seed", "0", {"seed": 0}),
        ("--warmup-epochs", "0", {"warmup_epochs": 0.0}),
        ("--set", "output_stride=8", {"output_stride": 8}),
        ("--set", "aspp_rates=6,12,18", {"aspp_rates": (6, 12, 18)}),
        ("--set", "decoder=deeplabv3plus", {"decoder": "deeplabv3plus"}),
        ("--set", "aspp_separable=true", {"aspp_separable": True}),
        ("--set", "dropout=0.5", {"dropout": 0.5}),
    ],
)
def test_options_are_parsed(passed, shapes, option, text, expected):
    command(shapes, option, text)
    assert {name: value for name, value in passed[0].items() if name in expected} == expected
    if option == "--augment":
        Augmenter(passed[0]["augment"], crop=(65, 65))


@pytest.mark.parametrize(
    ("option", "text", "form"),
    [
        *[("--crop", t, "such as 513") for t in ("360x36o", "360,360", "abc", "360x", "1x2x3", "")],
        *[("--class-weights", text, "such as 1,5,5") for text in ("1,x", "1,,2", "Auto")],
        *[("--loss", text, r"cross_entropy:1\+dice:0.5") for text in ("a:1+b", "a:x", "a:")],
        *[("--augment", t, "scale,rotate:degrees=10") for t in ("", "a,,b", "rotate:10", "a:p=x")],
        *[("--set", text, "such as output_stride=8") for text in ("decoder", "decoder=", "=8")],
        ("--set", "output_strid=8", "Did you mean 'output_stride'"),
        ("--set", "epochs=3", "unknown field of the network 'epochs'"),
        ("--epochs", "3o", "must be a whole number, such as 4"),
        ("--epochs", "2.5", "must be a whole number"),
        ("--seed", "0x1", "must be a whole number"),
        ("--learning-rate", "1e-", "must be a number, such as 0.5"),
        ("--lr", "0,001", "must be a number, such as 0.5"),
    ],
)
def test_options_that_cannot_be_parsed_say_their_form(passed, tmp_path, option, text, form):
    with pytest.raises(click.BadParameter, match=form):
        command(tmp_path, option, text)
    assert not passed


def test_options_of_the_data_and_the_run(passed, shapes, tmp_path, capsys):
    command(
        *(shapes, "--classes", "green,ground", "--ignore", "1", "--format", "folders"),
        *("-o", tmp_path / "runs/mine"),
    )
    assert passed[0]["data"].options == DatasetOptions("folders", ("green", "ground"), (1,))
    assert passed[0]["data"].source == shapes
    assert passed[0]["run_dir"] == tmp_path / "runs/mine"
    assert capsys.readouterr().out == f"# Card\n-> {tmp_path / 'report.html'}\n"


@pytest.mark.parametrize("quiet", [False, True])
def test_lines_of_a_run(shapes, tmp_path, capfd, quiet):
    """`-q` prints nothing; else there are the data's notes and, at the end, the report."""
    (shapes / "classes.txt").write_text("ground\nred\ngreen\n")
    options = [f"--{name.replace('_', '-')}={value}" for name, value in QUICK.items()]
    options[options.index("--augment=['flip']")] = "--augment=flip"
    logging.basicConfig(format="easyseg: %(message)s", level=logging.WARNING)
    save_bundle(tmp_path / "start", *start()[:3])
    out_and_model = ("-o", tmp_path / "runs/mine", "-m", tmp_path / "start")
    command(shapes, *options, *out_and_model, *["-q"] * quiet)
    out, err = capfd.readouterr()
    assert (tmp_path / "runs/mine/report.html").is_file()
    if quiet:
        assert not out
        assert "easyseg: " not in err
    else:
        assert out.endswith(f"-> {tmp_path / 'runs/mine/report.html'}\n")
        assert "Ignored pixels: train 0.00%, val 0.00%." in out


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(click.ClickException, match="does not exist"):
        command(tmp_path / "none")
