"""Receptive fields by formula against gradients of real convolutions; paths, borders, gradients by part, latency."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from labkit import plots
from labkit.data.dataset import Sample
from labkit.errors import LabError, UnknownNameError
from labkit.evaluation.borders import border_accuracy, near_border
from labkit.evaluation.gradients import gradient_norms
from labkit.evaluation.latency import timed_passes
from labkit.evaluation.paths import without
from labkit.evaluation.receptive_field import (
    Layer,
    chain,
    effective_side,
    extent,
    measured_fields,
    receptive_field,
    taps_inside,
)
from labkit.models.bisenet import BiSeNet
from labkit.models.deeplabv2 import RATES, AtrousPyramid, DeepLabV2
from labkit.models.registry import create_model


@pytest.fixture(scope="module")
def bisenet() -> BiSeNet:
    return create_model("bisenet", seed=0).eval()


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


# --- receptive fields -------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([1, 2, 3, 5]), st.sampled_from([1, 2]), st.sampled_from([1, 2, 3])),
        min_size=1,
        max_size=4,
    )
)
def test_the_formula_is_where_the_gradient_of_real_convolutions_ends(stack):
    convolutions = nn.Sequential(
        *(nn.Conv1d(1, 1, kernel, stride=stride, dilation=rate, bias=False) for kernel, stride, rate in stack)
    )
    line = torch.zeros(1, 1, 400, requires_grad=True)
    for convolution in convolutions:
        nn.init.ones_(convolution.weight)
    outputs = convolutions(line)
    (gradient,) = torch.autograd.grad(outputs[0, 0, 0], line, retain_graph=True)
    (neighbour,) = torch.autograd.grad(outputs[0, 0, 1], line)
    first, second = gradient[0, 0].nonzero().ravel(), neighbour[0, 0].nonzero().ravel()
    reach = receptive_field([Layer(*layer) for layer in stack])[-1]
    assert reach.size == first[-1] - first[0] + 1
    assert reach.jump == second[0] - first[0]


def test_resnet_18_has_the_receptive_field_that_the_literature_gives(bisenet):
    # Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks", Distill 2019.
    assert receptive_field(chain(bisenet.backbone))[-1] == (435, 32)


def test_shortcuts_are_not_counted():
    from torchvision.models import resnet50

    with torch.device("meta"):
        network = resnet50()
    # 7×7, pooling, and 16 blocks of three convolutions.
    assert len(chain(network)) == 2 + 3 * 16
    # The published 483 is for strides at the end of a stage; torchvision's are in the 3×3 of each stage's first block.
    sizes = [reach.size for reach in receptive_field(chain(network))]
    assert sizes[1] == 11 and sizes[-1] == 427


def test_real_networks_are_measured_as_the_formula_says(bisenet):
    images, stages = noise(2, 3, 256, 256), list(bisenet.backbone.children())
    outputs = {"spatial": bisenet.spatial_path, "context16": bisenet.backbone.layer3, "logits": bisenet.classifier}
    fields = measured_fields(bisenet.train(), images, outputs)
    assert not bisenet.training
    assert extent(fields["spatial"]) == (15, 15) == (receptive_field(chain(bisenet.spatial_path))[-1].size,) * 2
    expected = receptive_field(chain(*stages[:-1]))[-1].size
    # Max pooling passes one of nine on, so a row at the rim can be missing.
    assert all(expected - 4 <= side <= expected for side in extent(fields["context16"]))
    assert extent(fields["logits"]) == (256, 256)  # global averages


def test_deeplab_reaches_further_by_twice_rate_times_stride():
    with torch.device("meta"):
        network = DeepLabV2()
    before = receptive_field(chain(network.backbone))[-1]
    assert before.jump == 8
    for rate, branch in zip(RATES, network.head.branches, strict=True):
        assert receptive_field(chain(network.backbone, branch))[-1] == (before.size + 2 * 8 * rate, 8)


def test_the_first_stages_of_deeplab_are_measured_as_the_formula_says():
    network = create_model("deeplabv2", seed=0)
    stages = list(network.backbone.children())
    part = nn.Sequential(*stages[:6])  # to the end of the second stage
    field = measured_fields(part, noise(1, 3, 128, 128), {"end": part})["end"]
    expected = receptive_field(chain(*stages[:6]))[-1].size
    assert all(expected - 4 <= side <= expected for side in extent(field))


def test_a_field_is_the_gradient_written_out():
    torch.manual_seed(0)
    layer, images = nn.Conv2d(2, 3, 3, padding=2, dilation=2), noise(1, 2, 9, 11)
    field = measured_fields(layer, images, {"it": layer})["it"]
    expected = np.zeros((9, 11))
    weight = layer.weight.detach().double().sum(0).abs().sum(0).numpy()
    for row in range(3):
        for column in range(3):
            expected[4 + 2 * (row - 1), 5 + 2 * (column - 1)] = weight[row, column]
    np.testing.assert_allclose(field, expected, rtol=1e-5)
    assert extent(field) == (5, 5) and extent(np.zeros((3, 3))) == (0, 0)


def test_the_effective_side_holds_its_share():
    field = np.zeros((21, 31))
    field[10, 15], field[10, 18], field[2, 15] = 90, 6, 4
    assert [effective_side(field, share) for share in (0.9, 0.95, 1)] == [1, 7, 17]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(1, 40), st.integers(1, 40))
def test_taps_inside_are_those_that_a_convolution_of_ones_finds(rate, height, width):
    ones = F.conv2d(torch.ones(1, 1, height, width), torch.ones(1, 1, 3, 3), padding=rate, dilation=rate)
    assert taps_inside(3, rate, (height, width)) == pytest.approx(float(ones.mean()) / 9, rel=1e-5)


# --- switching paths off ----------------------------------------------------------------------------------------------


def test_a_path_at_zero_cannot_matter_and_comes_back(bisenet):
    images = noise(2, 3, 64, 96)
    whole = bisenet(images).logits
    with torch.no_grad(), without(bisenet, "spatial", "zero"):
        cut = bisenet(images).logits
        for parameter in bisenet.spatial_path.parameters():
            parameter.mul_(3)
        assert torch.equal(bisenet(images).logits, cut)
        for parameter in bisenet.spatial_path.parameters():
            parameter.div_(3)
    assert not torch.allclose(cut, whole)
    torch.testing.assert_close(bisenet(images).logits, whole)


@pytest.mark.parametrize("path", ["spatial", "context", "context16", "context32"])
def test_without_a_path_the_fusion_gets_what_the_docstring_says(bisenet, path):
    images, caught = noise(2, 3, 64, 96), []
    with torch.no_grad(), bisenet.fusion.register_forward_pre_hook(lambda module, maps: caught.append(maps)):
        bisenet(images)
    whole = caught.pop()
    catch = bisenet.fusion.register_forward_pre_hook
    with torch.no_grad(), without(bisenet, path), catch(lambda module, maps: caught.append(maps)):
        bisenet(images)
    cut = {"spatial": [0], "context": [1, 2], "context16": [1], "context32": [2]}[path]
    for place, (before, after) in enumerate(zip(whole, caught.pop(), strict=True)):
        if place in cut:
            assert (after == after[:, :, :1, :1]).all()
            torch.testing.assert_close(after.mean((2, 3)), before.mean((2, 3)))
        else:
            assert torch.equal(before, after)


def test_unknown_paths_and_fills_are_refused(bisenet):
    with pytest.raises(UnknownNameError, match="context16"), without(bisenet, "detail"):
        pass
    with pytest.raises(UnknownNameError, match="average"), without(bisenet, "spatial", "noise"):
        pass


# --- borders ----------------------------------------------------------------------------------------------------------


def near_border_slowly(label: np.ndarray, width: int) -> np.ndarray:
    near = np.zeros(label.shape, bool)
    for y, x in np.ndindex(label.shape):
        window = label[max(y - width, 0) : y + width + 1, max(x - width, 0) : x + width + 1]
        near[y, x] = (window != label[y, x]).any()
    return near


@pytest.mark.parametrize("width", [1, 3])
def test_near_a_border_is_what_a_slow_search_finds(width):
    label = np.random.default_rng(0).choice([0, 7, 255], (12, 17), p=[0.9, 0.06, 0.04]).astype(np.uint8)
    np.testing.assert_array_equal(near_border(torch.tensor(label)[None], width)[0], near_border_slowly(label, width))


class Columns(nn.Module):
    """Says class 1 from the given column on, class 0 before it, whatever the picture."""

    def __init__(self, start: int):
        super().__init__()
        self.start, self.weight = start, nn.Parameter(torch.zeros(1))

    def forward(self, images):
        from labkit.models.output import SegmentationOutput

        says = (torch.arange(images.shape[-1]) >= self.start).long().expand(images.shape[0], *images.shape[-2:])
        return SegmentationOutput(F.one_hot(says, 19).permute(0, 3, 1, 2).float() + self.weight, (), {})


def test_border_accuracy_counts_each_region_for_itself():
    label = np.zeros((8, 20), np.uint8)
    label[:, 10:], label[0] = 1, 255

    class Two(list):
        name, split, evaluation = "two", "val", "miou"

    pictures = Two([Sample(np.zeros((8, 20, 3), np.uint8), label, "a")] * 9)  # more than one batch
    exact, shifted = (border_accuracy(Columns(start), pictures, width=1) for start in (10, 11))
    assert exact == (1, 1)
    # Near: rows 1 (beside the ignored row) whole, rows 2–7 columns 9 and 10. Wrong: column 10.
    near = 20 + 6 * 2
    assert shifted.near == pytest.approx(1 - 7 / near) and shifted.inside == 1


# --- gradients by part, latency ---------------------------------------------------------------------------------------


def test_auxiliary_losses_reach_the_context_path_and_not_the_spatial_one(bisenet):
    output = bisenet.train()(noise(2, 3, 64, 64))
    parts = dict(bisenet.named_children())
    norms = gradient_norms(sum(logits.square().mean() for logits in output.auxiliary), parts)
    assert norms["spatial_path"] is None and norms["fusion"] is None and norms["classifier"] is None
    main = output.logits.square().mean()
    given = gradient_norms(main, parts)
    assert given["auxiliary16"] is None and norms["auxiliary16"] > 0
    main.backward()
    for name in ("spatial_path", "context_path", "fusion", "classifier"):
        gradients = [p.grad.ravel().double() for p in parts[name].parameters() if p.grad is not None]
        assert given[name] == pytest.approx(float(torch.cat(gradients).norm()), rel=1e-4)
    bisenet.zero_grad(set_to_none=True)
    bisenet.eval()


def test_every_pass_is_timed_the_first_ones_too():
    calls = []

    class Counted(nn.Conv2d):
        def forward(self, images):
            calls.append(images.shape)
            assert not self.training and torch.is_inference_mode_enabled()
            return super().forward(images)

    times = timed_passes(Counted(3, 2, 3), (16, 24), torch.device("cpu"), 4)
    assert times.shape == (4,) and (times > 0).all() and calls == [(1, 3, 16, 24)] * 4


# --- figures ----------------------------------------------------------------------------------------------------------


def test_fields_are_drawn_with_their_squares():
    field = np.zeros((31, 31))
    field[10:21, 10:21] = 1
    panels = {
        "a\nbelow": plots.FieldPanel(field, 11, 9),
        "b": plots.FieldPanel(field, 40, None),  # larger than the picture: no square
    }
    figure = plots.receptive_fields(panels)
    squares = [[patch.get_bbox().bounds for patch in ax.patches] for ax in figure.axes]
    assert squares == [[(9.5, 9.5, 11, 11), (10.5, 10.5, 9, 9)], []]
    assert figure.png()
    with pytest.raises(LabError, match="zero everywhere"):
        plots.receptive_fields({"a": plots.FieldPanel(np.zeros((3, 3)))})


def test_taps_are_marked_where_they_are():
    torch.manual_seed(0)
    head = AtrousPyramid(2, 19, rates=(2,))
    field = measured_fields(head, noise(1, 2, 9, 9), {"it": head.branches[0]})["it"]
    (ax,) = plots.receptive_fields({"rate 2": plots.FieldPanel(field)}, taps=True, legend=False).axes
    marks = set(zip(*map(list, ax.lines[0].get_data()), strict=True))
    assert marks == {(x, y) for x in (2, 4, 6) for y in (2, 4, 6)}


def test_half_precision_counts_what_half_really_flushes():
    gradients = (10.0 ** np.random.default_rng(0).uniform(-10, 0, 5000)).astype(np.float32)
    tensor = torch.tensor(gradients)
    for scale in (1.0, 2.0**16, 2.0**30):
        half = (tensor * scale).half()
        figure = plots.half_precision(gradients, (scale,))
        texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        expected = {
            "becomes 0": (half == 0).float().mean(),
            "becomes ∞": half.isinf().float().mean(),
            "kept": ((half != 0) & ~half.isinf()).float().mean(),
        }
        assert texts == [
            f"{name}: {100 * float(expected[name]):.1f}\u2009%"
            for name in ("becomes 0", "kept", "becomes ∞")
            if expected[name] > 0
        ]
    with pytest.raises(LabError, match="not zero"):
        plots.half_precision(np.zeros(3), (1,))


def test_latency_and_trade_show_their_numbers():
    times = {"A": np.array([90.0, 50, 10, 12, 14]), "B": np.array([9.0, 5, 1, 1, 1])}
    figure = plots.latency_by_pass(times, 2)
    assert figure.axes[0].get_title(loc="left") == "A: 12.0 ± 2.0 ms (10.0 to 14.0, the first pass 90.0)"
    with pytest.raises(LabError, match="warm-up"):
        plots.latency_by_pass(times, 4)
    trade = plots.accuracy_latency(
        {
            "MiniCity real": {"A": plots.Operating(0.3, 12, latency_std=2)},
            "Cityscapes": {"A": plots.Operating(0.5, 200)},
        }
    )
    assert [ax.get_title(loc="left") for ax in trade.axes] == ["MiniCity real", "Cityscapes"]
    assert [tuple(ax.lines[0].get_xydata()[0]) for ax in trade.axes] == [(12, 0.3), (200, 0.5)]
    assert trade.png() and figure.png()


def test_growth_and_schedules_end_where_their_values_do():
    growth = plots.receptive_field_growth({"A": [3, 7, 15]}, marks={"height": 10})
    (ax,) = growth.axes
    assert list(ax.lines[0].get_ydata()) == [1, 3, 7, 15] and "15" in [text.get_text() for text in ax.texts]
    rates = plots.schedules({"short": ([0, 1, 2], [1, 0.5, np.nan]), "long": ([0, 1, 2], [1, 0.9, 0.8])})
    assert {text.get_text() for text in rates.axes[0].texts} == {"short", "long"}
    assert growth.png() and rates.png()
