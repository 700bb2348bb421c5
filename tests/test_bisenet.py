import copy

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from labkit.errors import LabError, UnknownNameError
from labkit.models.bisenet import AttentionRefinement, BiSeNet, FeatureFusion, global_average, resize
from labkit.models.registry import MODELS, create_model, module_of

LIVE, PUBLISHED = 12_068_672, 12_581_672  # baitan2025, Table 1: 12.582 M, with the classifier nobody calls
MACS = 25_632_244_434  # of its 25.78 G, those in convolutions


@pytest.fixture(scope="module")
def model():
    return create_model("bisenet", seed=0)


def images(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def multiply_adds(model, shape):
    """Sum over convolutions of output positions times weights per position, by name."""
    counts = {}

    def count(name):
        def hook(module, _, output):
            counts[name] = output[0].numel() * module.weight[0].numel()

        return hook

    handles = [
        module.register_forward_hook(count(name))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.no_grad():
        model(torch.zeros(shape))
    for handle in handles:
        handle.remove()
    return counts


def test_parameters(model):
    live = sum(parameter.numel() for parameter in model.parameters())
    fc = sum(parameter.numel() for parameter in resnet18(weights=None).fc.parameters())
    assert live == LIVE
    assert fc == BiSeNet.UNUSED_PUBLISHED_PARAMETERS
    assert live + fc == PUBLISHED


CONVOLUTIONS = {
    # name: (weight, with bias, size of its output for a picture of 512×1024), by hand from the description
    "spatial_path.0.0": ((64, 3, 3, 3), False, (256, 512)),
    "spatial_path.1.0": ((128, 64, 3, 3), False, (128, 256)),
    "spatial_path.2.0": ((256, 128, 3, 3), False, (64, 128)),
    "context_path.backbone.conv1": ((64, 3, 7, 7), False, (256, 512)),
    "context_path.backbone.layer1.0.conv1": ((64, 64, 3, 3), False, (128, 256)),
    "context_path.backbone.layer1.0.conv2": ((64, 64, 3, 3), False, (128, 256)),
    "context_path.backbone.layer1.1.conv1": ((64, 64, 3, 3), False, (128, 256)),
    "context_path.backbone.layer1.1.conv2": ((64, 64, 3, 3), False, (128, 256)),
    "context_path.backbone.layer2.0.conv1": ((128, 64, 3, 3), False, (64, 128)),
    "context_path.backbone.layer2.0.conv2": ((128, 128, 3, 3), False, (64, 128)),
    "context_path.backbone.layer2.0.downsample.0": ((128, 64, 1, 1), False, (64, 128)),
    "context_path.backbone.layer2.1.conv1": ((128, 128, 3, 3), False, (64, 128)),
    "context_path.backbone.layer2.1.conv2": ((128, 128, 3, 3), False, (64, 128)),
    "context_path.backbone.layer3.0.conv1": ((256, 128, 3, 3), False, (32, 64)),
    "context_path.backbone.layer3.0.conv2": ((256, 256, 3, 3), False, (32, 64)),
    "context_path.backbone.layer3.0.downsample.0": ((256, 128, 1, 1), False, (32, 64)),
    "context_path.backbone.layer3.1.conv1": ((256, 256, 3, 3), False, (32, 64)),
    "context_path.backbone.layer3.1.conv2": ((256, 256, 3, 3), False, (32, 64)),
    "context_path.backbone.layer4.0.conv1": ((512, 256, 3, 3), False, (16, 32)),
    "context_path.backbone.layer4.0.conv2": ((512, 512, 3, 3), False, (16, 32)),
    "context_path.backbone.layer4.0.downsample.0": ((512, 256, 1, 1), False, (16, 32)),
    "context_path.backbone.layer4.1.conv1": ((512, 512, 3, 3), False, (16, 32)),
    "context_path.backbone.layer4.1.conv2": ((512, 512, 3, 3), False, (16, 32)),
    "context_path.attention16.conv": ((256, 256, 1, 1), True, (1, 1)),
    "context_path.attention32.conv": ((512, 512, 1, 1), True, (1, 1)),
    "fusion.block.0": ((19, 1024, 3, 3), False, (64, 128)),
    "fusion.attention.0": ((19, 19, 1, 1), True, (1, 1)),
    "fusion.attention.2": ((19, 19, 1, 1), True, (1, 1)),
    "classifier": ((19, 19, 1, 1), True, (512, 1024)),
    "auxiliary16": ((19, 256, 1, 1), True, (64, 128)),
    "auxiliary32": ((19, 512, 1, 1), True, (64, 128)),
}
NOT_NORMALISED = {"fusion.attention.0", "fusion.attention.2", "classifier", "auxiliary16", "auxiliary32"}


def test_every_layer_and_its_output():
    """Weights, biases, batch norms and output sizes, one by one; nothing beside them has a parameter."""
    with torch.device("meta"):
        model = create_model("bisenet")
    sizes, parameters, norms = {}, {}, []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, x, y, name=name: sizes.update({name: tuple(y.shape[1:])}))
    output = model.train()(torch.empty(2, 3, 512, 1024, device="meta"))
    for name, (weight, bias, size) in CONVOLUTIONS.items():
        assert sizes.pop(name) == (weight[0], *size), name
        parameters[f"{name}.weight"] = weight
        if bias:
            parameters[f"{name}.bias"] = weight[:1]
        if name not in NOT_NORMALISED:
            norms.append(weight[0])
    assert sizes == {}
    assert {maps.shape for maps in (output.logits, *output.auxiliary)} == {(2, 19, 512, 1024)}
    own = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert {name: shape for name, shape in own.items() if name in parameters} == parameters
    others = [shape for name, shape in own.items() if name not in parameters]
    assert sorted(others) == sorted((width,) for width in norms for _ in ("scale", "shift"))
    assert [module.num_features for module in model.modules() if isinstance(module, nn.BatchNorm2d)] == norms


def test_multiply_adds_of_evaluation_at_the_published_size(model):
    counts = multiply_adds(model.eval(), (1, 3, 512, 1024))
    assert sum(counts.values()) == MACS
    assert "auxiliary16" not in counts and "auxiliary32" not in counts


def test_shapes_in_evaluation(model):
    with torch.no_grad():
        output = model.eval()(images(2, 3, 96, 192))
    assert output.logits.shape == (2, 19, 96, 192)
    assert output.auxiliary == ()
    shapes = {name: tuple(maps.shape) for name, maps in output.features.items()}
    assert shapes == {
        "spatial": (2, 256, 12, 24),
        "context16": (2, 256, 6, 12),
        "backbone": (2, 512, 3, 6),
        "fused": (2, 19, 12, 24),
    }


def test_every_parameter_is_alive_in_training():
    model = create_model("bisenet", num_classes=7, seed=0).train()
    output = model(images(2, 3, 64, 96))
    assert [maps.shape for maps in output.auxiliary] == [(2, 7, 64, 96)] * 2
    (output.logits.square().mean() + sum(maps.square().mean() for maps in output.auxiliary)).backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_auxiliary_heads_do_not_touch_the_logits():
    model = create_model("bisenet", seed=0).train()
    output = model(images(2, 3, 64, 96))
    output.logits.sum().backward()
    assert model.auxiliary16.weight.grad is None and model.auxiliary32.weight.grad is None


@pytest.mark.parametrize("size", [(96, 192), (97, 193), (33, 47), (360, 480), (32, 32), (1, 1)])
def test_any_size(model, size):
    with torch.no_grad():
        output = model.train(size != (1, 1))(images(2, 3, *size))
    assert {maps.shape for maps in (output.logits, *output.auxiliary)} == {(2, 19, *size)}
    assert output.logits.isfinite().all()


def test_features_are_the_backbones_own(model):
    """Against torchvision's network run layer by layer with the same weights."""
    referee = resnet18(weights=None)
    missing, unexpected = referee.load_state_dict(model.backbone.state_dict(), strict=False)
    assert sorted(missing) == ["fc.bias", "fc.weight"] and unexpected == []
    x = images(2, 3, 64, 96)
    with torch.no_grad():
        features = model.eval()(x).features
        y = nn.Sequential(*list(referee.eval().children())[:-3])(x)
        torch.testing.assert_close(features["context16"], y)
        torch.testing.assert_close(features["backbone"], referee.layer4(y))


def test_attention_refinement_spelled_out():
    module = AttentionRefinement(8)
    with torch.no_grad():
        module.norm.running_mean.uniform_(-1, 1)
        module.norm.running_var.uniform_(0.5, 2)
        module.norm.weight.uniform_(0.5, 2)
    maps = images(2, 8, 5, 7)
    with torch.no_grad():
        got = module.eval()(maps)
    conv, norm = module.conv, module.norm
    for n in range(2):
        mean = maps[n].double().reshape(8, -1).mean(1)
        z = conv.weight[:, :, 0, 0].double() @ mean + conv.bias.double()
        z = (z - norm.running_mean) / (norm.running_var.double() + norm.eps).sqrt() * norm.weight + norm.bias
        expected = maps[n].double() / (1 + (-z).exp())[:, None, None]
        torch.testing.assert_close(got[n].double(), expected, rtol=1e-5, atol=1e-6)


def test_feature_fusion_spelled_out():
    module = FeatureFusion(6, 4).eval()
    a, b = images(1, 2, 5, 7), images(1, 4, 5, 7, seed=1)
    with torch.no_grad():
        got = module(a, b)
        x = module.block(torch.cat([a, b], dim=1))
        first, second = module.attention[0], module.attention[2]
        hidden = (first.weight[:, :, 0, 0] @ x[0].mean((1, 2)) + first.bias).clamp(min=0)
        weight = 1 / (1 + (-(second.weight[:, :, 0, 0] @ hidden + second.bias)).exp())
    torch.testing.assert_close(got[0], x[0] * weight[:, None, None] + x[0])
    assert [tuple(conv.weight.shape) for conv in (module.block[0], first)] == [(4, 6, 3, 3), (4, 4, 1, 1)]
    assert module.block[0].bias is None


def test_the_paths_meet_as_described(model):
    """Tail, resizing to 1/8, concatenation, classifier after upsampling, heads on the refined branches."""
    x = images(2, 3, 64, 96)
    path = model.context_path
    with torch.no_grad():
        output = model.eval()(x)
        features = output.features
        tail = features["backbone"].flatten(2).mean(2)[:, :, None, None]
        at_16 = path.attention16(features["context16"])
        at_32 = path.attention32(features["backbone"]) * tail
        at_16, at_32 = (nn.Upsample((8, 12), mode="bilinear")(maps) for maps in (at_16, at_32))
        whole = nn.Upsample(scale_factor=8, mode="bilinear")
        fused = model.fusion(torch.cat([features["spatial"], at_16, at_32], dim=1))
        torch.testing.assert_close(features["fused"], fused)
        torch.testing.assert_close(output.logits, model.classifier(whole(fused)))
        model.training = True  # this flag alone: the heads run, the batch norms stay as they are
        heads = model(x).auxiliary
        torch.testing.assert_close(heads[0], whole(model.auxiliary16(at_16)))
        torch.testing.assert_close(heads[1], whole(model.auxiliary32(at_32)))


def test_global_average_and_resize_against_torch():
    x = images(2, 3, 5, 7)
    torch.testing.assert_close(global_average(x), nn.AdaptiveAvgPool2d(1)(x))
    up = nn.Upsample(size=(10, 14), mode="bilinear", align_corners=False)
    torch.testing.assert_close(resize(x, (10, 14)), up(x))
    # Pixels are areas: doubling puts no output pixel onto an input pixel's centre, but a quarter beside it.
    row = resize(torch.tensor([[[[0.0, 4.0]]]]), (1, 4))[0, 0, 0]
    assert row.tolist() == [0, 1, 3, 4]


def test_a_single_image_trains_only_with_frozen_batch_norm(model):
    model.train()
    with pytest.raises(LabError, match="batch size of at least 2"):
        model(images(1, 3, 64, 64))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    assert len(model(images(1, 3, 64, 64)).auxiliary) == 2
    model.train()


def test_channels_last_gives_the_same_and_stays(model):
    x = images(2, 3, 64, 96)
    with torch.no_grad():
        expected = model.eval()(x).logits
        other = copy.deepcopy(model).to(memory_format=torch.channels_last)
        got = other(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(got.logits, expected, rtol=1e-4, atol=1e-4)
    assert got.features["fused"].is_contiguous(memory_format=torch.channels_last)
    assert got.logits.is_contiguous(memory_format=torch.channels_last)


def test_initialisation_is_he_and_keeps_the_scale():
    model = create_model("bisenet", seed=3)
    for conv in (model.spatial_path[2][0], model.fusion.block[0], model.context_path.attention32.conv):
        fan_in = conv.weight[0].numel()
        assert conv.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.03)
    assert not model.context_path.attention16.conv.bias.any() and not model.classifier.bias.any()
    conv = model.backbone.layer4[1].conv2  # torchvision's: fan-out
    assert conv.weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.03)


def test_seed_decides_the_weights_and_leaves_the_global_state_alone():
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first = create_model("bisenet", seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(12)
    second, third = create_model("bisenet", seed=5).state_dict(), create_model("bisenet", seed=6).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["fusion.block.0.weight"], third["fusion.block.0.weight"])


def test_registry():
    assert module_of("bisenet") == "labkit.models.bisenet"
    for name in MODELS:
        assert create_model(name, num_classes=2).num_classes == 2
    with pytest.raises(UnknownNameError, match=r"unknown model 'bisnet'; known: .*bisenet"):
        create_model("bisnet")
    with pytest.raises(UnknownNameError):
        module_of("bisnet")
