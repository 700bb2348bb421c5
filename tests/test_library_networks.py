"""DeepLabV3 and U-Net: the libraries' networks, behind the interface of ours."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn
from torchvision.models import get_weight, resnet50
from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights, deeplabv3_resnet50

from labkit.errors import LabError
from labkit.methods.supervised import SourceOnly
from labkit.models import weights as weights_module
from labkit.models.registry import create_model, is_named_start, module_of
from labkit.training.devices import make_fabric
from labkit.training.loop import Trainer
from labkit.training.recipe import Recipe

NAMES = ("deeplabv3", "unet")
PARAMETERS = {"deeplabv3": 42_003_046, "unet": 32_523_715}
BACKBONE = 23_508_032  # ResNet-50's 25,557,032 without its classifier, 2048 · 1000 + 1000


def library_network(name, num_classes=19):
    """The network as its library makes it."""
    if name == "deeplabv3":
        return deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=num_classes, aux_loss=True)
    import segmentation_models_pytorch as smp

    return smp.Unet("resnet50", encoder_weights=None, classes=num_classes)


def moved(model):
    """Batch norms far from the identity, so that order and place matter."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.05, generator=generator)
            module.running_var.uniform_(0.8, 1.2, generator=generator)
    return model


@pytest.fixture(scope="module")
def models():
    return {name: moved(create_model(name, seed=0)) for name in NAMES}


@pytest.fixture(scope="module")
def outlines():
    with torch.device("meta"):
        return {name: create_model(name) for name in NAMES}


def images(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


# --- what they are -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_parameters(outlines, name):
    assert count(outlines[name]) == PARAMETERS[name]
    assert count(outlines[name].backbone) == BACKBONE


def test_parameters_of_deeplabv3_against_torchvisions_own_figure(outlines):
    printed = DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1.meta["num_params"]  # 21 classes, two classifiers
    assert count(outlines["deeplabv3"]) == printed - 2 * (256 + 1) - 2 * (256 + 1)
    auxiliary = 1024 * 256 * 9 + 2 * 256 + 256 * 19 + 19
    assert count(outlines["deeplabv3"].aux_classifier) == auxiliary == 2_364_691


@pytest.mark.parametrize("size", [(64, 96), (50, 77)])
@pytest.mark.parametrize("name", NAMES)
def test_the_same_answer_as_the_librarys_network(models, name, size):
    model, referee = models[name], library_network(name)
    referee.load_state_dict(model.state_dict())
    x = images(2, 3, *size)
    with torch.no_grad():
        answer, expected = model.eval()(x), referee.eval()(x)
    assert answer.auxiliary == ()
    torch.testing.assert_close(answer.logits, expected["out"] if name == "deeplabv3" else expected)


def test_deeplabv3_trains_as_torchvisions_network_does(models):
    """Dropout and batch statistics included, and the auxiliary logits."""
    model, referee = models["deeplabv3"], library_network("deeplabv3")
    referee.load_state_dict(model.state_dict())
    before = {key: value.clone() for key, value in model.state_dict().items()}
    x = images(2, 3, 48, 64)
    outputs = []
    with torch.no_grad():
        for network in (model.train(), referee.train()):
            torch.manual_seed(3)
            outputs.append(network(x))
    ours, theirs = outputs
    model.load_state_dict(before)
    torch.testing.assert_close(ours.logits, theirs["out"])
    assert len(ours.auxiliary) == 1
    torch.testing.assert_close(ours.auxiliary[0], theirs["aux"])


def test_features_are_those_that_loda2025_aligns(models):
    model, referee = models["deeplabv3"].eval(), models["unet"].eval()
    x = images(1, 3, 64, 96)
    with torch.no_grad():
        features = model(x).features
        torch.testing.assert_close(features["backbone"], model.backbone(x)["out"])
        torch.testing.assert_close(features["aspp"], model.classifier[0](model.backbone(x)["out"]))
        encoder = resnet50(weights=None).eval()
        encoder.fc = nn.Identity()
        encoder.load_state_dict(referee.encoder.state_dict())
        last = nn.Sequential(*list(encoder.children())[:-2])(x)
        features = referee(x).features
        torch.testing.assert_close(features["backbone"], last, rtol=1e-4, atol=1e-4 * last.abs().max().item())
        torch.testing.assert_close(referee.segmentation_head(features["decoder"]), referee(x).logits)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("size", "at_8", "at_32"),
    [
        ((256, 480), (32, 60), (8, 15)),
        ((256, 466), (32, 59), (8, 15)),
        ((48, 96), (6, 12), (2, 3)),
        ((33, 47), (5, 6), (2, 2)),
        ((1, 1), (1, 1), (1, 1)),
    ],
)
def test_shapes_at_any_size(outlines, size, at_8, at_32, training):
    x = torch.empty(2, 3, *size, device="meta")
    output = outlines["deeplabv3"].train(training)(x)
    assert output.logits.shape == (2, 19, *size)
    assert [maps.shape for maps in output.auxiliary] == [(2, 19, *size)] * training
    shapes = {name: tuple(maps.shape) for name, maps in output.features.items()}
    assert shapes == {"backbone": (2, 2048, *at_8), "aspp": (2, 256, *at_8), "coarse": (2, 19, *at_8)}
    output = outlines["unet"].train(training)(x)
    assert output.logits.shape == (2, 19, *size) and output.auxiliary == ()
    shapes = {name: tuple(maps.shape) for name, maps in output.features.items()}
    assert shapes == {"backbone": (2, 2048, *at_32), "decoder": (2, 16, *size)}


# --- training ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_step_of_the_smoke_profile_through_the_loop(squares, name):
    model = create_model(name, seed=0)
    before = {key: value.clone() for key, value in model.named_parameters()}
    recipe = Recipe(steps=1, batch_size=4)
    training = Trainer(make_fabric(device="cpu"), model, SourceOnly(), recipe, {"source": squares(size=(48, 96))}, 0)
    assert list(training.run()) == [1]
    assert [key for key, value in model.named_parameters() if torch.equal(value, before[key])] == []


@pytest.mark.parametrize(("name", "size"), [("deeplabv3", 64), ("unet", 32)])
def test_a_single_image_trains_only_with_frozen_batch_norm(models, name, size):
    model = models[name].train()
    try:
        with pytest.raises(LabError, match="batch size of at least 2"):
            model(images(1, 3, size, size))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        assert model(images(1, 3, size, size)).logits.isfinite().all()
    finally:
        model.eval()


def test_a_single_larger_image_trains_unet(outlines):
    for size in ((33, 32), (1, 64)):
        assert outlines["unet"].train()(torch.empty(1, 3, *size, device="meta")).logits.shape == (1, 19, *size)
    state = {key: value.clone() for key, value in create_model("unet", seed=0).state_dict().items()}
    model = create_model("unet", seed=1)
    model.load_state_dict(state)
    with torch.no_grad():  # torch itself is content with two values per channel
        assert model.train()(images(1, 3, 33, 8)).logits.isfinite().all()


# --- weights -------------------------------------------------------------------------------------------------------


@pytest.fixture
def offered(monkeypatch):
    """What torchvision's server would send: (state dicts by address, addresses that were asked for)."""
    sent, asked = {}, []
    monkeypatch.setattr(weights_module, "fetch_weights", lambda url: asked.append(url) or url)
    read = weights_module.read_state_dict
    monkeypatch.setattr(weights_module, "read_state_dict", lambda path: sent.get(path) or read(path))
    return sent, asked


def told_apart(state):
    return {key: torch.full_like(value, 3) if "running" in key else value for key, value in state.items()}


@pytest.mark.parametrize("name", NAMES)
def test_imagenet_fills_the_backbone_and_nothing_else(offered, name):
    sent, asked = offered
    url = get_weight("ResNet50_Weights.IMAGENET1K_V1").url
    sent[url] = told_apart(resnet50(weights=None).state_dict())
    fresh, started = create_model(name, seed=4), create_model(name, seed=4, weights="imagenet")
    assert asked == [url]
    backbone = started.backbone.state_dict()
    assert backbone.keys() == sent[url].keys() - {"fc.weight", "fc.bias"}
    assert [key for key, value in backbone.items() if not torch.equal(value, sent[url][key])] == []
    changed = {key for key, value in started.state_dict().items() if not torch.equal(value, fresh.state_dict()[key])}
    assert changed and all(key.startswith(("backbone.", "encoder.")) for key in changed)


CLASSIFIERS = {f"{head}.4.{kind}" for head in ("classifier", "aux_classifier") for kind in ("weight", "bias")}


def test_coco_fills_all_but_the_last_layers(offered):
    sent, asked = offered
    url = DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1.url
    sent[url] = told_apart(library_network("deeplabv3", 21).state_dict())
    fresh, started = create_model("deeplabv3", seed=4), create_model("deeplabv3", seed=4, weights="coco")
    assert asked == [url]
    state = started.state_dict()
    assert state.keys() == sent[url].keys()
    assert {key for key, value in state.items() if not torch.equal(value, sent[url][key])} == CLASSIFIERS
    assert all(torch.equal(state[key], fresh.state_dict()[key]) for key in CLASSIFIERS)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda state: state.pop("classifier.0.convs.1.0.weight"), r"missing: classifier\.0\.convs\.1\.0\.weight"),
        (lambda state: state.update(extra=torch.zeros(1)), "unexpected: extra"),
        (lambda state: state.update({"classifier.2.bias": torch.zeros(9)}), r"classifier\.2\.bias is \(9,\) instead"),
    ],
)
def test_coco_weights_that_fit_in_part_are_refused(offered, damage, message):
    sent, _ = offered
    state = library_network("deeplabv3", 21).state_dict()
    damage(state)
    sent[DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1.url] = state
    with pytest.raises(LabError, match=f"COCO_WITH_VOC_LABELS_V1 do not fit DeepLabV3; .*{message}"):
        create_model("deeplabv3", weights="coco")


@pytest.mark.parametrize(
    ("name", "known"),
    [("bisenet", "none, imagenet"), ("deeplabv2", "none, imagenet"), ("unet", "none, imagenet")],
)
def test_weights_that_a_network_has_not_are_an_error_that_lists_its_own(name, known):
    assert is_named_start(name, "none") and is_named_start(name, "imagenet")
    for ask in (is_named_start, lambda model, weights: create_model(model, weights=weights)):
        with pytest.raises(LabError, match=f"weights 'coco': neither {known} nor a file, for {name}"):
            ask(name, "coco")
    assert is_named_start("deeplabv3", "coco")
    with pytest.raises(LabError, match="weights 'voc': neither none, imagenet, coco nor a file, for deeplabv3"):
        create_model("deeplabv3", weights="voc")


def test_a_file_is_no_name(tmp_path):
    path = tmp_path / "mine.pth"
    path.write_bytes(b"x")
    assert not is_named_start("unet", path) and not is_named_start("unet", str(path))


# --- names ---------------------------------------------------------------------------------------------------------


def test_registered():
    assert [module_of(name) for name in NAMES] == ["labkit.models.deeplabv3", "labkit.models.unet"]


def test_the_library_of_unet_is_imported_only_for_unet():
    code = (
        "import sys; from labkit.models.registry import create_model, is_named_start; import labkit.models.unet;"
        "is_named_start('unet', 'none'); create_model('bisenet');"
        "assert not {'segmentation_models_pytorch', 'timm'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
