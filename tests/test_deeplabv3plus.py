"""DeepLabV3+ on MobileNetV2: against the papers' tables, and against the library's own network."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch
from torch import nn
from torchvision.models import MobileNet_V2_Weights, get_weight, mobilenet_v2

from labkit.errors import LabError
from labkit.evaluation.cost import count_parameters, multiply_adds
from labkit.methods.supervised import SourceOnly
from labkit.models import weights as weights_module
from labkit.models.deeplabv3plus import RATES, PooledBatchNorm
from labkit.models.registry import create_model, is_named_start, module_of
from labkit.training.devices import make_fabric
from labkit.training.loop import Trainer
from labkit.training.recipe import Recipe

MOBILENET = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""MobileNetV2's Table 2: expansion t, channels c, repetitions n, stride s of the first."""


def encoder_layers():
    """(name, norm, inputs, outputs, kernel, groups, stride, rate) of each convolution, at output stride 16."""
    yield ("0.0", "0.1", 3, 32, 3, 1, 2, 1)
    inputs, number, halvings = 32, 0, 1
    for expansion, outputs, repetitions, first_stride in MOBILENET:
        halvings += first_stride == 2
        for repetition in range(repetitions):
            number += 1
            hidden, place = expansion * inputs, f"{number}.conv"
            stride = first_stride if repetition == 0 and halvings <= 4 else 1
            rate = 2 if halvings > 4 else 1
            depthwise = 0
            if expansion > 1:
                yield (f"{place}.0.0", f"{place}.0.1", inputs, hidden, 1, 1, 1, 1)
                depthwise = 1
            yield (f"{place}.{depthwise}.0", f"{place}.{depthwise}.1", hidden, hidden, 3, hidden, stride, rate)
            yield (f"{place}.{depthwise + 1}", f"{place}.{depthwise + 2}", hidden, outputs, 1, 1, 1, 1)
            inputs = outputs
    yield ("18.0", "18.1", 320, 1280, 1, 1, 1, 1)


def decoder_layers():
    """(name, norm or none, inputs, outputs, kernel, groups, rate, cells per side at 512×1024: 16th, 4th or 1)."""
    yield ("aspp.0.convs.0.0", "aspp.0.convs.0.1", 1280, 256, 1, 1, 1, 16)
    for branch, rate in enumerate((6, 12, 18), start=1):
        yield (f"aspp.0.convs.{branch}.0.0", None, 1280, 1280, 3, 1280, rate, 16)
        yield (f"aspp.0.convs.{branch}.0.1", f"aspp.0.convs.{branch}.1", 1280, 256, 1, 1, 1, 16)
    yield ("aspp.0.convs.4.1", "aspp.0.convs.4.2", 1280, 256, 1, 1, 1, None)
    yield ("aspp.0.project.0", "aspp.0.project.1", 5 * 256, 256, 1, 1, 1, 16)
    yield ("aspp.1.0", None, 256, 256, 3, 256, 1, 16)
    yield ("aspp.1.1", "aspp.2", 256, 256, 1, 1, 1, 16)
    yield ("block1.0", "block1.1", 24, 48, 1, 1, 1, 4)
    yield ("block2.0.0", None, 256 + 48, 256 + 48, 3, 256 + 48, 1, 4)
    yield ("block2.0.1", "block2.1", 256 + 48, 256, 1, 1, 1, 4)


def library_network(num_classes=19):
    import segmentation_models_pytorch as smp

    return smp.DeepLabV3Plus(
        "mobilenet_v2",
        encoder_weights=None,
        encoder_output_stride=16,
        decoder_atrous_rates=(6, 12, 18),
        classes=num_classes,
    )


@pytest.fixture(scope="module")
def model():
    """Its batch norms far from the identity, so that order and place matter."""
    model = create_model("deeplabv3plus", seed=0)
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.05, generator=generator)
            module.running_var.uniform_(0.8, 1.2, generator=generator)
    return model


@pytest.fixture
def kept(model):
    """The same network, whose statistics, mode and gradients are put back."""
    before = {key: value.clone() for key, value in model.state_dict().items()}
    yield model
    model.load_state_dict(before)
    model.zero_grad(set_to_none=True)


@pytest.fixture(scope="module")
def outline():
    with torch.device("meta"):
        return create_model("deeplabv3plus")


def images(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


# --- what it is ----------------------------------------------------------------------------------------------------


def test_every_parameters_shape(outline):
    expected = {"segmentation_head.0.weight": (19, 256, 1, 1), "segmentation_head.0.bias": (19,)}
    layers = [(f"encoder.features.{name}", f"encoder.features.{norm}", *rest) for name, norm, *rest in encoder_layers()]
    layers += [(f"decoder.{name}", norm and f"decoder.{norm}", *rest) for name, norm, *rest in decoder_layers()]
    for name, norm, inputs, outputs, kernel, groups, *_ in layers:
        expected[f"{name}.weight"] = (outputs, inputs // groups, kernel, kernel)
        if norm:
            expected[f"{norm}.weight"] = expected[f"{norm}.bias"] = (outputs,)
    assert {name: tuple(parameter.shape) for name, parameter in outline.named_parameters()} == expected
    assert count_parameters(outline) == (4_383_139, 4_383_139)
    assert sum(math.prod(shape) for shape in expected.values()) == 4_383_139


def test_the_encoder_is_mobilenetv2_without_its_classifier(outline):
    published = MobileNet_V2_Weights.IMAGENET1K_V1.meta["num_params"]
    encoder = sum(parameter.numel() for parameter in outline.encoder.parameters())
    assert encoder == published - (1280 * 1000 + 1000) == 2_223_872
    assert outline.backbone is outline.encoder


def test_output_stride_16_and_atrous_rates(outline):
    modules = dict(outline.named_modules())
    for name, _, _, _, _, groups, stride, rate in encoder_layers():
        convolution = modules[f"encoder.features.{name}"]
        assert convolution.stride == (stride, stride), name
        if groups > 1:
            assert convolution.dilation == convolution.padding == (rate, rate), name
    assert math.prod(layer[6] for layer in encoder_layers()) == 16
    for name, _, _, _, kernel, groups, rate, _ in decoder_layers():
        convolution = modules[f"decoder.{name}"]
        assert (convolution.groups, convolution.dilation) == (groups, (rate, rate)), name
        assert convolution.padding == (rate * (kernel // 2),) * 2, name
    assert RATES == (6, 12, 18)


def test_multiply_adds_against_formulas_by_hand(outline):
    """Layer by layer at 512×1024, where the other networks are counted."""
    convolutions = norms = 0
    side = 512
    for _, _, inputs, outputs, kernel, groups, stride, _ in encoder_layers():
        side //= stride
        convolutions += side * 2 * side * outputs * (inputs // groups) * kernel**2
        norms += 2 * side * 2 * side * outputs
    for _, norm, inputs, outputs, kernel, groups, _, part in decoder_layers():
        cells = 1 if part is None else 512 * 1024 // part**2
        convolutions += cells * outputs * (inputs // groups) * kernel**2
        norms += 2 * cells * outputs if norm else 0
    convolutions += 128 * 256 * 256 * 19
    bilinear = 4 * (256 * 32 * 64 + 256 * 128 * 256 + 19 * 512 * 1024)
    expected = {"convolution": convolutions, "batch norm": norms, "bilinear": bilinear}
    assert multiply_adds(outline, (512, 1024)) == expected
    assert f"{sum(expected.values()) / 1e9:.2f}" == "12.27"


# --- the library's own network ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_the_same_answer_as_the_librarys_network(kept, training):
    """Dropout and batch statistics included."""
    referee, x = library_network(), images(2, 3, 64, 96)
    referee.load_state_dict(kept.state_dict())
    outputs = []
    with torch.no_grad():
        for network in (kept, referee):
            torch.manual_seed(3)
            outputs.append(network.train(training)(x))
        assert outputs[0].auxiliary == ()
        torch.testing.assert_close(outputs[0].logits, outputs[1])
        moved, expected = kept.state_dict(), referee.state_dict()
        assert moved.keys() == expected.keys()
        torch.testing.assert_close(moved, expected)


def test_the_librarys_start():
    torch.manual_seed(5)
    referee = library_network().state_dict()
    state = create_model("deeplabv3plus", seed=5).state_dict()
    assert state.keys() == referee.keys()
    assert [key for key in state if not torch.equal(state[key], referee[key])] == []


def test_encoder_and_decoder_are_the_network(kept):
    x, referee = images(2, 3, 48, 64), library_network().eval()
    referee.load_state_dict(kept.state_dict())
    kept.eval()
    with torch.no_grad():
        stages = kept.encoder(x)
        output, parts = kept(x), kept.decode(stages)
        torch.testing.assert_close(parts.logits, output.logits, rtol=0, atol=0)
        torch.testing.assert_close(output.features["backbone"], referee.encoder(x)[-1])
        torch.testing.assert_close(output.features["decoder"], referee.decoder(stages))
        torch.testing.assert_close(output.features["aspp"], referee.decoder.aspp(stages[-1]))


@pytest.mark.parametrize("end", ["backbone", "logits"])
def test_gradients_reach_the_encoder_alone_from_its_features(kept, end):
    output = kept.train()(images(2, 3, 48, 64))
    (output.logits if end == "logits" else output.features["backbone"]).square().mean().backward()
    reached = {name for name, parameter in kept.named_parameters() if parameter.grad is not None}
    expected = {name for name, _ in kept.named_parameters() if end == "logits" or name.startswith("encoder.")}
    assert reached == expected


# --- sizes and small batches -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("size", "at_16", "at_4"),
    [
        ((512, 1024), (32, 64), (128, 256)),
        ((600, 600), (38, 38), (150, 150)),  # toldo2020's patches
        ((760, 1280), (48, 80), (190, 320)),  # SYNTHIA
        ((360, 480), (23, 30), (90, 120)),  # CamVid
        ((48, 96), (3, 6), (12, 24)),
        ((48, 64), (3, 4), (12, 16)),
        ((33, 47), (3, 3), (9, 12)),
        ((1, 17), (1, 2), (1, 5)),
    ],
)
def test_shapes_at_any_size(outline, size, at_16, at_4, training):
    output = outline.train(training)(torch.empty(1, 3, *size, device="meta"))
    assert output.logits.shape == (1, 19, *size) and output.auxiliary == ()
    assert {name: tuple(maps.shape) for name, maps in output.features.items()} == {
        "backbone": (1, 1280, *at_16),
        "aspp": (1, 256, *at_16),
        "decoder": (1, 256, *at_4),
        "coarse": (1, 19, *at_4),
    }


@pytest.mark.parametrize("size", [(48, 64), (48, 96)])
def test_one_picture_trains_with_running_statistics_of_the_image_pooling_alone(kept, size):
    x = images(1, 3, *size)
    with pytest.raises(ValueError, match="more than 1 value per channel"):  # as the library has it
        library_network().train()(x)
    norms = {name: module for name, module in kept.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert [name for name, norm in norms.items() if isinstance(norm, PooledBatchNorm)] == ["decoder.aspp.0.convs.4.2"]
    before = {name: norm.running_mean.clone() for name, norm in norms.items()}
    output = kept.train()(x)
    output.logits.square().mean().backward()
    still = [name for name, norm in norms.items() if torch.equal(norm.running_mean, before[name])]
    assert still == ["decoder.aspp.0.convs.4.2"]
    assert output.logits.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in kept.parameters())
    assert kept.decoder.aspp[0].convs[4][2].bias.grad.any()


def test_batch_norm_of_the_image_pooling():
    ordinary, ours = nn.BatchNorm2d(4), PooledBatchNorm(4)
    for norm in (ordinary, ours):
        nn.init.constant_(norm.weight, 3.0)
        norm.running_mean.fill_(0.5)
        norm.running_var.fill_(4.0)
    one, two = images(1, 4, 1, 1), images(2, 4, 1, 1)
    torch.testing.assert_close(ours(one), 3 * (one - 0.5) / math.sqrt(4 + 1e-5))
    assert ours.num_batches_tracked == 0 and ours.running_var.unique().tolist() == [4.0]
    torch.testing.assert_close(ours(two), ordinary(two))
    torch.testing.assert_close(ours.state_dict(), ordinary.state_dict())
    assert ours.num_batches_tracked == 1
    torch.testing.assert_close(ours.eval()(two), ordinary.eval()(two))


def test_a_single_position_is_refused_in_training(kept):
    with pytest.raises(LabError, match="batch size of at least 2"):
        kept.train()(images(1, 3, 16, 16))
    assert kept(images(1, 3, 16, 17)).logits.isfinite().all()
    assert kept(images(2, 3, 16, 16)).logits.isfinite().all()
    assert kept.eval()(images(1, 3, 16, 16)).logits.isfinite().all()


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_step_of_the_smoke_profile_through_the_loop(squares, batch_size):
    model = create_model("deeplabv3plus", seed=0)
    before = {key: value.clone() for key, value in model.named_parameters()}
    recipe = Recipe(steps=1, batch_size=batch_size)
    training = Trainer(make_fabric(device="cpu"), model, SourceOnly(), recipe, {"source": squares(size=(48, 96))}, 0)
    assert list(training.run()) == [1]
    assert [key for key, value in model.named_parameters() if torch.equal(value, before[key])] == []


def test_bf16(kept):
    x = images(2, 3, 64, 96)
    kept.eval()
    with torch.no_grad():
        reference = kept(x).logits
        with torch.autocast("cpu", torch.bfloat16):
            answer = kept(x).logits
    assert (answer - reference).abs().mean() < 0.05 * reference.std()


# --- weights -------------------------------------------------------------------------------------------------------


@pytest.fixture
def offered(monkeypatch):
    """What torchvision's server would send: (state dict of MobileNetV2, told apart from any fresh one; addresses)."""
    state = mobilenet_v2(weights=None).state_dict()
    state = {key: torch.full_like(value, 3) if "running" in key else value for key, value in state.items()}
    asked = []
    monkeypatch.setattr(weights_module, "fetch_weights", lambda url: asked.append(url) or url)
    monkeypatch.setattr(weights_module, "read_state_dict", lambda path: state)
    return state, asked


def test_imagenet_fills_the_encoder_and_nothing_else(offered):
    state, asked = offered
    fresh, started = create_model("deeplabv3plus", seed=4), create_model("deeplabv3plus", seed=4, weights="imagenet")
    assert asked == [get_weight("MobileNet_V2_Weights.IMAGENET1K_V1").url]
    assert asked[0].endswith("/mobilenet_v2-b0353104.pth")  # the beginning of its SHA-256
    encoder = started.encoder.state_dict()
    assert encoder.keys() == state.keys() - {"classifier.1.weight", "classifier.1.bias"}
    assert [key for key, value in encoder.items() if not torch.equal(value, state[key])] == []
    changed = {key for key, value in started.state_dict().items() if not torch.equal(value, fresh.state_dict()[key])}
    assert changed and all(key.startswith("encoder.") for key in changed)


def test_an_imagenet_file_of_ones_own(tmp_path):
    state = mobilenet_v2(weights=None).state_dict()
    torch.save(state, tmp_path / "mobilenet.pth")
    encoder = create_model("deeplabv3plus", weights=tmp_path / "mobilenet.pth").encoder.state_dict()
    assert [key for key, value in encoder.items() if not torch.equal(value, state[key])] == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda state: state.pop("features.3.conv.1.0.weight"), r"missing: features\.3\.conv\.1\.0\.weight"),
        (lambda state: state.update(extra=torch.zeros(1)), "unexpected: extra"),
        (
            lambda state: state.update({"features.0.1.bias": torch.zeros(9)}),
            r"wrong shape: features\.0\.1\.bias is \(9,\) instead",
        ),
    ],
)
def test_imagenet_weights_that_fit_in_part_are_refused(offered, damage, message):
    damage(offered[0])
    with pytest.raises(LabError, match=f"MobileNet_V2_Weights.IMAGENET1K_V1 do not fit MobileNetV2Encoder; {message}"):
        create_model("deeplabv3plus", weights="imagenet")


HEAD = {"segmentation_head.0.weight", "segmentation_head.0.bias"}


def test_a_file_for_voc_fills_all_but_the_last_layer(tmp_path):
    torch.manual_seed(9)
    state, path = library_network(21).state_dict(), tmp_path / "voc.pth"
    torch.save(state, path)
    fresh, started = create_model("deeplabv3plus", seed=4), create_model("deeplabv3plus", seed=4, weights=path)
    started = started.state_dict()
    assert {key for key, value in started.items() if not torch.equal(value, state[key])} == HEAD
    assert all(torch.equal(started[key], fresh.state_dict()[key]) for key in HEAD)
    whole = create_model("deeplabv3plus", num_classes=21, weights=path).state_dict()
    assert [key for key, value in whole.items() if not torch.equal(value, state[key])] == []


def test_a_file_for_voc_fits_torchvisions_deeplabv3_too(tmp_path):
    path = tmp_path / "voc.pth"
    torch.save(create_model("deeplabv3", num_classes=21, seed=9).state_dict(), path)
    state, started = torch.load(path), create_model("deeplabv3", seed=4, weights=path).state_dict()
    kept = {key for key, value in started.items() if not torch.equal(value, state[key])}
    assert {key.rpartition(".")[0] for key in kept} == {"classifier.4", "aux_classifier.4"}


def test_a_file_for_other_classes_or_with_gaps_is_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save(library_network(13).state_dict(), path)
    with pytest.raises(LabError, match=r"segmentation_head\.0\.weight is \(13, 256, 1, 1\) instead of \(19, 256"):
        create_model("deeplabv3plus", weights=path)
    state = library_network(21).state_dict()
    del state["decoder.block1.0.weight"]
    torch.save(state, path)
    with pytest.raises(LabError, match=r"do not fit DeepLabV3Plus; missing: decoder\.block1\.0\.weight"):
        create_model("deeplabv3plus", weights=path)
    state = library_network(21).state_dict()
    del state["segmentation_head.0.bias"]
    torch.save(state, path)
    with pytest.raises(LabError, match=r"missing: segmentation_head\.0\.bias"):
        create_model("deeplabv3plus", weights=path)


def test_names_of_weights():
    assert is_named_start("deeplabv3plus", "none") and is_named_start("deeplabv3plus", "imagenet")
    with pytest.raises(LabError, match=r"weights 'voc': neither none, imagenet nor a file, for deeplabv3plus; .* own"):
        create_model("deeplabv3plus", weights="voc")
    with pytest.raises(LabError, match=r"'coco': neither none, imagenet nor a file, for deeplabv3plus$"):
        create_model("deeplabv3plus", weights="coco")


# --- names ---------------------------------------------------------------------------------------------------------


def test_registered():
    assert module_of("deeplabv3plus") == "labkit.models.deeplabv3plus"


def test_its_library_is_imported_only_for_it():
    code = (
        "import sys; from labkit.models.registry import is_named_start; is_named_start('deeplabv3plus', 'imagenet');"
        "assert not {'segmentation_models_pytorch', 'timm'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
