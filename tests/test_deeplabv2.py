import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import get_weight, resnet101

from labkit.models import weights as weights_module
from labkit.models.deeplabv2 import RATES, AtrousPyramid, DeepLabV2
from labkit.models.registry import create_model, module_of

TOTAL = 43_901_068  # baitan2025, Table 1: 43.901 M
BLOCKS = (3, 4, 23, 3)
WIDTHS = (64, 128, 256, 512)


@pytest.fixture(scope="module")
def model():
    """In evaluation mode, its batch norms far from the identity, so that order and place matter."""
    model = create_model("deeplabv2", seed=0).eval()
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.05, generator=generator)
            module.running_var.uniform_(0.8, 1.2, generator=generator)
    return model


@pytest.fixture(scope="module")
def outline():
    with torch.device("meta"):
        return create_model("deeplabv2")


def images(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def described_shapes(num_classes):
    """Every parameter of ResNet-101 (bottlenecks, 4-fold expansion) and of the head, from the description alone."""
    shapes = {}

    def convolution(name, norm, inputs, outputs, kernel):
        shapes[f"backbone.{name}.weight"] = (outputs, inputs, kernel, kernel)
        shapes[f"backbone.{norm}.weight"] = shapes[f"backbone.{norm}.bias"] = (outputs,)

    convolution("conv1", "bn1", 3, 64, 7)
    inputs = 64
    for stage, (blocks, width) in enumerate(zip(BLOCKS, WIDTHS, strict=True), start=1):
        for block in range(blocks):
            place = f"layer{stage}.{block}"
            convolution(f"{place}.conv1", f"{place}.bn1", inputs, width, 1)
            convolution(f"{place}.conv2", f"{place}.bn2", width, width, 3)
            convolution(f"{place}.conv3", f"{place}.bn3", width, 4 * width, 1)
            if block == 0:
                convolution(f"{place}.downsample.0", f"{place}.downsample.1", inputs, 4 * width, 1)
            inputs = 4 * width
    for branch in range(4):
        shapes[f"head.branches.{branch}.weight"] = (num_classes, 2048, 3, 3)
        shapes[f"head.branches.{branch}.bias"] = (num_classes,)
    return shapes


def test_parameters(outline):
    with torch.device("meta"):
        referee = resnet101(weights=None)
        referee.fc = nn.Identity()
    backbone = sum(parameter.numel() for parameter in referee.parameters())
    assert backbone == sum(parameter.numel() for parameter in outline.backbone.parameters())
    assert sum(parameter.numel() for parameter in outline.parameters()) == TOTAL
    assert backbone + 4 * (2048 * 19 * 9 + 19) == TOTAL
    assert not hasattr(DeepLabV2, "UNUSED_PUBLISHED_PARAMETERS")


def test_every_parameters_shape(outline):
    assert {name: tuple(p.shape) for name, p in outline.named_parameters()} == described_shapes(19)


def test_stride_rate_and_padding_of_every_convolution(outline):
    expected = {}
    for name, shape in described_shapes(19).items():
        if len(shape) == 4:
            expected[name.removesuffix(".weight")] = ((1, 1), (1, 1), (shape[-1] // 2,) * 2)
    expected["backbone.conv1"] = ((2, 2), (1, 1), (3, 3))
    expected["backbone.layer2.0.conv2"] = ((2, 2), (1, 1), (1, 1))
    expected["backbone.layer2.0.downsample.0"] = ((2, 2), (1, 1), (0, 0))
    for stage, rate in ((3, 2), (4, 4)):
        for block in range(BLOCKS[stage - 1]):
            expected[f"backbone.layer{stage}.{block}.conv2"] = ((1, 1), (rate,) * 2, (rate,) * 2)
    for branch, rate in enumerate((6, 12, 18, 24)):
        expected[f"head.branches.{branch}"] = ((1, 1), (rate,) * 2, (rate,) * 2)
    found = {
        name: (module.stride, module.dilation, module.padding)
        for name, module in outline.named_modules()
        if isinstance(module, nn.Conv2d)
    }
    assert found == expected


def test_every_convolutions_output_at_the_published_size(outline):
    """512×1024, with max pooling that rounds up: 129×257 at 1/4, 65×129 at 1/8 and from there on."""
    sizes = {}
    handles = [
        module.register_forward_hook(lambda _, x, y, name=name: sizes.update({name: tuple(y.shape[1:])}))
        for name, module in outline.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    outline.eval()(torch.empty(1, 3, 512, 1024, device="meta"))
    for handle in handles:
        handle.remove()
    expected = {"backbone.conv1": (64, 256, 512)}
    for name, shape in described_shapes(19).items():
        place = name.removesuffix(".weight")
        if len(shape) == 4 and place != "backbone.conv1":
            before_the_stride = place.startswith("backbone.layer1.") or place == "backbone.layer2.0.conv1"
            expected[place] = (shape[0], *((129, 257) if before_the_stride else (65, 129)))
    assert sizes == expected


def test_the_head_sums_all_four_branches():
    """A single bright cell shows each kernel, at its rate, and in the middle the sum of all four."""
    head = AtrousPyramid(2, 3)
    row = column = 26
    maps = torch.zeros(1, 2, 53, 53)
    maps[0, 1, row, column] = 1
    expected = sum(branch.bias for branch in head.branches)[:, None, None].repeat(1, 53, 53)
    for branch, rate in zip(head.branches, (6, 12, 18, 24), strict=True):
        for i in range(3):
            for j in range(3):  # correlation: the weight at (0, 0) sees the cell up and to the left
                expected[:, row + (1 - i) * rate, column + (1 - j) * rate] += branch.weight[:, 1, i, j]
    torch.testing.assert_close(head(maps)[0], expected)
    assert RATES == (6, 12, 18, 24)


def in_phases(stage, maps, rate):
    """À trous as it was first computed: every rate-th row and column apart, and put together again."""
    batch, _, height, width = maps.shape
    output = None
    for i in range(min(rate, height)):
        for j in range(min(rate, width)):
            part = stage(maps[:, :, i::rate, j::rate])
            if output is None:
                output = maps.new_empty(batch, part.shape[1], height, width)
            output[:, :, i::rate, j::rate] = part
    return output


def test_features_against_torchvisions_network(model):
    """Stages 3 and 4 of torchvision's network, not dilated, see each phase of the features as their picture."""
    referee = resnet101(weights=None).eval()
    missing, unexpected = referee.load_state_dict(model.backbone.state_dict(), strict=False)
    assert sorted(missing) == ["fc.bias", "fc.weight"] and unexpected == []
    for stage in (referee.layer3, referee.layer4):
        stage[0].conv2.stride = stage[0].downsample[0].stride = (1, 1)
    x = images(1, 3, 56, 72)
    with torch.no_grad():
        y = referee.relu(referee.bn1(referee.conv1(x)))
        y = F.max_pool2d(F.pad(y, (1, 2, 1, 2), value=-torch.inf), 3, stride=2)  # a last window half outside
        y = referee.layer2(referee.layer1(y))
        third = in_phases(referee.layer3, y, 2)
        last = in_phases(referee.layer4, third, 4)
        features = model(x).features
    assert third.shape[-2:] == (8, 10)
    torch.testing.assert_close(features["layer3"], third, rtol=1e-4, atol=1e-4 * third.abs().max().item())
    torch.testing.assert_close(features["backbone"], last, rtol=1e-4, atol=1e-4 * last.abs().max().item())


def test_logits_are_the_summed_branches_resized(model):
    with torch.no_grad():
        output = model(images(1, 3, 40, 64))
        coarse = sum(branch(output.features["backbone"]) for branch in model.head.branches)
    torch.testing.assert_close(output.features["coarse"], coarse)
    up = nn.Upsample(size=(40, 64), mode="bilinear", align_corners=False)
    torch.testing.assert_close(output.logits, up(coarse))


@pytest.mark.parametrize(
    ("size", "at_8"),
    [((512, 1024), (65, 129)), ((256, 512), (33, 65)), ((97, 193), (13, 25)), ((1, 1), (1, 1)), ((33, 47), (5, 7))],
)
@pytest.mark.parametrize("training", [True, False])
def test_shapes_at_any_size(outline, size, at_8, training):
    output = outline.train(training)(torch.empty(2, 3, *size, device="meta"))
    assert output.logits.shape == (2, 19, *size)
    assert output.auxiliary == ()
    shapes = {name: tuple(maps.shape) for name, maps in output.features.items()}
    assert shapes == {"layer3": (2, 1024, *at_8), "backbone": (2, 2048, *at_8), "coarse": (2, 19, *at_8)}


def test_every_parameter_is_alive_and_one_image_trains():
    model = create_model("deeplabv2", num_classes=5, seed=0).train()
    # At 1/8 no smaller than the largest rate, or the outer weights would only ever meet the padding.
    model(images(1, 3, 200, 200)).logits.square().mean().backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_initialisation(model):
    for branch in model.head.branches:
        assert branch.weight.std().item() == pytest.approx(0.01, rel=0.01)
        assert abs(branch.weight.mean().item()) < 1e-4 and not branch.bias.any()
    conv = model.backbone.layer3[5].conv2  # torchvision's: fan-out
    assert conv.weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.01)


def test_imagenet_weights_fill_the_backbone_and_nothing_else(model, monkeypatch):
    state = {key: value.clone() for key, value in resnet101(weights=None).state_dict().items()}
    asked = []
    monkeypatch.setattr(weights_module, "imagenet_backbone", lambda name: asked.append(name) or state)
    started = copy.deepcopy(model)
    weights_module.load_backbone_imagenet(started)
    assert asked == ["resnet101"]
    backbone = started.backbone.state_dict()
    assert backbone.keys() == state.keys() - {"fc.weight", "fc.bias"}
    assert all(torch.equal(backbone[key], state[key]) for key in backbone)
    head = model.head.state_dict()
    assert all(torch.equal(head[key], value) for key, value in started.head.state_dict().items())


def test_the_named_imagenet_weights_are_a_resnet101s():
    official = get_weight(weights_module.IMAGENET_WEIGHTS[DeepLabV2.IMAGENET])
    assert official.meta["num_params"] - (2048 * 1000 + 1000) == TOTAL - 4 * (2048 * 19 * 9 + 19)
    assert "/resnet101-" in official.url


def test_registered():
    assert module_of("deeplabv2") == "labkit.models.deeplabv2"
