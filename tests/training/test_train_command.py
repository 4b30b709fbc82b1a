import pytest
from helpers.square_dataset import paint

from easyseg.cli.train import train
from easyseg.datasets import DatasetOptions
from easyseg.errors import ConfigError, DatasetError, InputError, TrainingError


def command(*arguments):
    train.main([str(a) for a in arguments], standalone_mode=False)


@pytest.fixture
def shapes(tmp_path):
    return paint(tmp_path / "shapes")


def test_every_choice_is_an_option():
    import dataclasses

    from easyseg import TrainConfig

    options = {option for parameter in train.params for option in parameter.opts}
    assert {f"--{f.name.replace('_', '-')}" for f in dataclasses.fields(TrainConfig)} <= options


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ((), InputError, "needs DATA, a data set's folder, or --resume"),
        (("--epochs", "0"), ConfigError, "epochs=0 .* a whole number from 1"),
        (("--crop", "wide"), ConfigError, "crop="),
        (("--class-weights", "1,x"), InputError, "auto, or numbers with commas"),
        (("--learning-rate", "5e-4", "--optimizer", "sgdd"), InputError, "sgd"),
        (("--set", "epochs=3"), InputError, "changes nothing of a network"),
        (("--set", "decoder"), InputError, "such as decoder=deeplabv3plus"),
        (("--resume", "nothing", "--epochs", "3"), InputError, "leave epochs out"),
        (("--resume", "nothing", "--classes", "a,b"), InputError, "leave --classes out"),
        (("--classes", "a,b"), DatasetError, "ids that are no class: 2"),
        (("--format", "cocoa"), InputError, "coco"),
        (("--resume", "nothing"), TrainingError, r"nothing .*"),
    ],
)
def test_what_is_wrong_is_said_before_training(
    shapes, tmp_path, monkeypatch, arguments, kind, said
):
    monkeypatch.chdir(tmp_path)
    data = [] if not arguments or "--resume" in arguments else [shapes]
    with pytest.raises(kind, match=said):
        command(*data, *arguments)
    assert not (tmp_path / "runs").exists()


def test_some_of_the_classes(shapes, tmp_path, monkeypatch, capsys):
    (shapes / "classes.txt").write_text("ground\nred\ngreen\n")
    given = []

    class Start:
        name = str(tmp_path)

        def __init__(self, model, **options):
            (tmp_path / "card.md").write_text("as it is")

        def fine_tune(self, data, **options):
            given.append(data)
            return self

    monkeypatch.setattr("easyseg.cli.train.SemanticSegmentation", Start)
    command(shapes, "--classes", "green,ground", "--ignore", "1", "--format", "folders")
    assert given[0].options == DatasetOptions("folders", ("green", "ground"), (1,))
    assert given[0].source == shapes
    assert capsys.readouterr().out.startswith("Class names are from ")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DatasetError, match="does not exist"):
        command(tmp_path / "none")
