import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from labkit.evaluation import cost
from labkit.evaluation.cost import count_parameters, measure_latency, multiply_adds
from labkit.models.registry import MODELS, create_model

CPU = torch.device("cpu")


def outline(name):
    with torch.device("meta"):
        return create_model(name)


def bisenet_layers():
    """(inputs, outputs, kernel, height, width, has batch norm) of each convolution, from the paper's description."""
    yield from ((3, 64, 3, 256, 512, True), (64, 128, 3, 128, 256, True), (128, 256, 3, 64, 128, True))
    yield (3, 64, 7, 256, 512, True)
    inputs = 64
    for outputs, height in ((64, 128), (128, 64), (256, 32), (512, 16)):
        yield (inputs, outputs, 3, height, 2 * height, True)
        yield from [(outputs, outputs, 3, height, 2 * height, True)] * 3
        if inputs != outputs:
            yield (inputs, outputs, 1, height, 2 * height, True)
        inputs = outputs
    yield from ((256, 256, 1, 1, 1, True), (512, 512, 1, 1, 1, True))
    yield from ((1024, 19, 3, 64, 128, True), (19, 19, 1, 1, 1, False), (19, 19, 1, 1, 1, False))
    yield (19, 19, 1, 512, 1024, False)


def bottlenecks(blocks, sizes):
    """The convolutions of a ResNet's four stages of bottlenecks; ``sizes`` are that of their input, and theirs."""
    inputs = 64
    for width, number, before, size in zip((64, 128, 256, 512), blocks, sizes[:-1], sizes[1:], strict=True):
        for block in range(number):
            yield (inputs, width, 1, *(before if block == 0 else size), True)
            yield (width, width, 3, *size, True)
            yield (width, 4 * width, 1, *size, True)
            if block == 0:
                yield (inputs, 4 * width, 1, *size, True)
            inputs = 4 * width


def deeplabv2_layers():
    yield (3, 64, 7, 256, 512, True)
    yield from bottlenecks((3, 4, 23, 3), [(129, 257)] * 2 + [(65, 129)] * 3)
    yield from [(2048, 19, 3, 65, 129, False)] * 4


def deeplabv3_layers():
    yield (3, 64, 7, 256, 512, True)
    yield from bottlenecks((3, 4, 6, 3), [(128, 256)] * 2 + [(64, 128)] * 3)
    yield (2048, 256, 1, 64, 128, True)
    yield from [(2048, 256, 3, 64, 128, True)] * 3
    yield (2048, 256, 1, 1, 1, True)
    yield (5 * 256, 256, 1, 64, 128, True)
    yield from ((256, 256, 3, 64, 128, True), (256, 19, 1, 64, 128, False))


def unet_layers():
    yield (3, 64, 7, 256, 512, True)
    yield from bottlenecks((3, 4, 6, 3), [(128, 256)] * 2 + [(64, 128), (32, 64), (16, 32)])
    inputs, height = 2048, 32
    for beside, outputs in ((1024, 256), (512, 128), (256, 64), (64, 32), (0, 16)):
        yield (inputs + beside, outputs, 3, height, 2 * height, True)
        yield (outputs, outputs, 3, height, 2 * height, True)
        inputs, height = outputs, 2 * height
    yield (16, 19, 3, 512, 1024, False)


LAYERS = {
    "bisenet": bisenet_layers,
    "deeplabv2": deeplabv2_layers,
    "deeplabv3": deeplabv3_layers,
    "unet": unet_layers,
}
RESIZED = {
    "bisenet": ((256, 64, 128), (512, 64, 128), (19, 512, 1024)),
    "deeplabv2": ((19, 512, 1024),),
    "deeplabv3": ((256, 64, 128), (19, 512, 1024)),
    "unet": (),  # to the nearest
}
PUBLISHED = {
    "bisenet": (12_068_672, 12_581_672, "25.78", ("25.632", "0.082", "0.065")),
    "deeplabv2": (43_901_068, 43_901_068, "375.48", ("374.468", "0.975", "0.040")),
}


@pytest.mark.parametrize("name", LAYERS)
def test_multiply_adds_against_formulas_by_hand(name):
    """Layer by layer, from the descriptions."""
    assert multiply_adds(outline(name), (512, 1024)) == {
        "convolution": sum(i * o * k * k * h * w for i, o, k, h, w, _ in LAYERS[name]()),
        "batch norm": sum(2 * o * h * w for _, o, _, h, w, norm in LAYERS[name]() if norm),
        "bilinear": sum(4 * math.prod(shape) for shape in RESIZED[name]),
    }


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_costs(name):
    model = outline(name)
    live, published, total, kinds = PUBLISHED[name]
    assert count_parameters(model) == (live, published)
    macs = multiply_adds(model, (512, 1024))
    assert f"{sum(macs.values()) / 1e9:.2f}" == total
    assert tuple(f"{value / 1e9:.3f}" for value in macs.values()) == kinds


@pytest.mark.parametrize(("name", "heads"), [("bisenet", 256 * 19 + 19 + 512 * 19 + 19), ("deeplabv3", 2_364_691)])
def test_heads_for_training_only_are_live_parameters_without_multiply_adds(name, heads):
    model = outline(name)
    live, macs = count_parameters(model).live, multiply_adds(model, (64, 64))
    if name == "bisenet":
        del model.auxiliary16, model.auxiliary32
    else:
        del model.aux_classifier
    assert count_parameters(model).live == live - heads
    assert multiply_adds(model, (64, 64)) == macs


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=5, deadline=None)
@given(size=st.tuples(st.integers(1, 300), st.integers(1, 300)))
def test_convolutions_against_torchs_own_counter(name, size):
    model = outline(name).eval()
    with FlopCounterMode(display=False) as referee, torch.no_grad():
        model(torch.empty(1, 3, *size, device="meta"))
    # Both halves of a multiply-add are counted there.
    assert 2 * multiply_adds(model, size)["convolution"] == referee.get_total_flops()


class Everything(nn.Module):
    """Each kind of call once, as a module and as a function, at 3×8×8."""

    def __init__(self):
        super().__init__()
        self.grouped = nn.Conv2d(3, 6, 3, groups=3)  # to 6×6×6: 9 weights for each value
        self.plain = nn.BatchNorm2d(6, affine=False)
        self.affine = nn.BatchNorm2d(6)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")  # to 6×12×12
        self.transposed = nn.ConvTranspose2d(6, 5, 2, stride=2)  # each of 6×12×12 values meets 5·2·2 weights
        self.fc = nn.Linear(24, 24)

    def forward(self, x):
        x = self.transposed(self.up(self.affine(self.plain(self.grouped(x)))))
        x = F.conv2d(input=x, weight=torch.ones(2, 5, 1, 1, device=x.device))  # to 2×24×24
        x = F.interpolate(x, (3, 3), None, "bilinear")
        x = F.interpolate(F.interpolate(x, scale_factor=8), size=(24, 24), mode="nearest")
        return self.fc(F.adaptive_avg_pool2d(torch.sigmoid(F.relu(x)), 24) * x + x.mean())


def test_what_counts_and_what_does_not():
    assert multiply_adds(Everything(), (8, 8)) == {
        "convolution": 6 * 6 * 6 * 9 + 6 * 12 * 12 * 20 + 2 * 24 * 24 * 5,
        "batch norm": 6 * 6 * 6 * 1 + 6 * 6 * 6 * 2,
        "bilinear": 4 * (6 * 12 * 12 + 2 * 3 * 3),
    }


def test_counting_leaves_the_weights_alone_and_does_not_train():
    model = create_model("bisenet", seed=0).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    multiply_adds(model, (64, 96))
    assert not model.training
    after = model.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_parameters_without_unused_ones():
    assert count_parameters(nn.Linear(3, 2)) == (8, 8)


class Clock:
    """Time that passes only while the device works, and of which a program learns only by waiting for it."""

    def __init__(self, monkeypatch, seconds):
        self.now, self.pending, self.seconds = 1000.0, 0.0, iter(seconds)
        monkeypatch.setattr(cost.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(cost, "wait_for", self.wait)

    def wait(self, device):
        self.now, self.pending = self.now + self.pending, 0.0


class Timed(nn.Module):
    def __init__(self, clock):
        super().__init__()
        self.clock, self.calls = clock, []
        self.weight = nn.Parameter(torch.zeros(1))
        self.dropout = nn.Dropout()

    def forward(self, images):
        self.calls.append((self.dropout.training, torch.is_grad_enabled(), tuple(images.shape), images.dtype))
        self.clock.pending += next(self.clock.seconds)
        return images


def test_latency_is_mean_and_deviation_of_whole_passes_after_a_warm_up(monkeypatch):
    model = Timed(Clock(monkeypatch, [60, 0.002, 0.004, 0.009]))
    latency = measure_latency(model.train(), (16, 24), CPU, repeats=3)
    assert latency.mean == pytest.approx(5)
    assert latency.std == pytest.approx(math.sqrt((9 + 1 + 16) / 2))
    assert latency.repeats == 3
    assert model.calls == [(False, False, (1, 3, 16, 24), torch.float32)] * 4


@pytest.mark.parametrize(
    ("seconds", "repeats"), [(60, cost.FEWEST), (1.0, int(cost.TIME_BUDGET)), (1e-4, cost.MOST), (0, cost.MOST)]
)
def test_the_slower_the_fewer_passes(monkeypatch, seconds, repeats):
    model = Timed(Clock(monkeypatch, [seconds] * 1000))
    assert measure_latency(model, (8, 8), CPU).repeats == repeats == len(model.calls) - 1


def test_one_pass_has_no_deviation(monkeypatch):
    latency = measure_latency(Timed(Clock(monkeypatch, [1, 0.5])), (8, 8), CPU, repeats=1)
    assert latency.mean == pytest.approx(500) and math.isnan(latency.std)


@pytest.mark.parametrize(("kind", "module"), [("cuda", torch.cuda), ("mps", torch.mps)])
def test_an_accelerator_is_waited_for(monkeypatch, kind, module):
    waited = []
    monkeypatch.setattr(module, "synchronize", lambda *device: waited.append(device))
    cost.wait_for(CPU)
    assert waited == []
    cost.wait_for(torch.device(kind))
    assert len(waited) == 1


def test_a_measured_model_still_trains():
    model = create_model("bisenet", seed=0)
    assert measure_latency(model, (32, 32), CPU, repeats=2).mean > 0
    model.train()(torch.zeros(2, 3, 32, 32)).logits.sum().backward()
    assert model.classifier.weight.grad is not None
