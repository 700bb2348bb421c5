"""Networks as ONNX files: what ONNX Runtime answers is what PyTorch answers."""

from __future__ import annotations

import copy
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from onnx import TensorProto, helper
from torch import nn
from torchvision.transforms.v2 import functional as reference

from labkit import cli
from labkit.data.minicity.dataset import MiniCity
from labkit.data.transforms import to_batch
from labkit.errors import LabError
from labkit.evaluation.batch_norm import with_statistics_of
from labkit.evaluation.onnx_runtime import TOLERANCE, OnnxSegmenter, agreement, latency_beside_pytorch
from labkit.labels import CITYSCAPES_LABELS, NUM_CLASSES
from labkit.models import onnx_export
from labkit.models.bisenet import resize
from labkit.models.onnx_export import OPSET, export_onnx, require
from labkit.models.output import SegmentationOutput
from labkit.models.registry import MODELS, create_model
from labkit.training.runs import RunStore

SIZES = ((96, 192), (75, 101))
FOLDER = Path(__file__).parent.parent


def pictures(size, count=8):
    city = MiniCity("real", split="val", size=size, count=count)
    return to_batch([city[i] for i in range(count)]).images


def network(name):
    """A network with the batch-norm statistics of MiniCity, so that its logits are of the size that they should be."""
    return with_statistics_of(create_model(name, seed=0), MiniCity("real", size=(48, 96), count=8))


def by_pytorch(model, images, dtype=torch.float32):
    """Logits of the network as torchvision normalises pictures."""
    normal = reference.normalize(images.to(dtype) / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    with torch.inference_mode():
        return model(normal).logits.numpy()


def by_onnx(path, images):
    """Logits as any other program would ask for them."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"images": images.numpy().astype(np.float32) / 255})
    return answer


def allowed(logits):
    """1e-4, of the largest logit where that is above 1: processors sum in different orders."""
    return 1e-4 * max(1.0, float(np.abs(logits).max()))


@pytest.fixture(scope="module")
def bisenet():
    return network("bisenet")


@pytest.fixture(scope="module")
def exported(bisenet, tmp_path_factory):
    return export_onnx(bisenet, tmp_path_factory.mktemp("onnx") / "bisenet.onnx", origin={"run": "some-run"})


# --- the same answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_bisenet_answers_alike(bisenet, exported, size):
    images = pictures(size)
    ours, theirs = by_pytorch(bisenet, images), by_onnx(exported, images)
    assert ours.shape == theirs.shape == (8, NUM_CLASSES, *size)
    assert np.abs(ours - theirs).max() <= allowed(ours)
    best = np.sort(ours, axis=1)
    certain = best[:, -1] - best[:, -2] > 2 * allowed(ours)
    assert (ours.argmax(1) == theirs.argmax(1))[certain].all()
    assert certain.mean() > 0.98 and len(np.unique(ours.argmax(1))) > 2  # there was something to get wrong


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(MODELS) - {"bisenet"}))
def test_every_network_is_as_near_to_exact_numbers(name, tmp_path):
    """The deeper an untrained network, the more it enlarges rounding; ONNX Runtime's is no worse than PyTorch's."""
    model = network(name)
    path = export_onnx(model, tmp_path / "network.onnx")
    double = copy.deepcopy(model).double()
    for size in ((64, 96), (45, 67)):
        images = pictures(size, count=2)
        ours, theirs = by_pytorch(model, images), by_onnx(path, images)
        exact = by_pytorch(double, images, torch.float64)
        assert theirs.shape == exact.shape and len(np.unique(exact.argmax(1))) > 2
        assert np.abs(theirs - exact).max() <= 3 * np.abs(ours - exact).max()
        assert np.abs(ours - exact).max() < 1e-3 * np.abs(exact).max()  # so that this says something


@pytest.mark.parametrize(("count", "size"), [(1, (32, 32)), (3, (33, 130)), (2, (160, 64))])
def test_any_number_of_pictures_of_any_size(bisenet, exported, count, size):
    images = pictures(size, count)
    answer = OnnxSegmenter(exported).logits(images)
    assert answer.shape == (count, NUM_CLASSES, *size) and answer.dtype == torch.float32
    expected = by_pytorch(bisenet, images)
    np.testing.assert_allclose(answer.numpy(), expected, atol=allowed(expected))
    torch.testing.assert_close(OnnxSegmenter(exported).logits(images / 255), answer)  # float in [0, 1] as well


class Small(nn.Module):
    """A network of a student's own."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.classifier = nn.Conv2d(8, NUM_CLASSES, 1)

    def forward(self, images):
        coarse = self.classifier(self.layers(images))
        return SegmentationOutput(resize(coarse, images.shape[-2:]), (), {"backbone": coarse})


def test_a_fixed_size(tmp_path):
    model = Small().eval()
    path = export_onnx(model, tmp_path / "fixed.onnx", size=(48, 80))
    images = pictures((48, 80), count=2)
    np.testing.assert_allclose(by_onnx(path, images[:1]), by_pytorch(model, images[:1]), atol=1e-4)
    segmenter = OnnxSegmenter(path)
    assert segmenter.size == (48, 80)
    for wrong in (images, images[:1, :, :-1]):
        with pytest.raises(LabError, match=r"takes one picture of 48×80, not .* export it without --size"):
            segmenter.logits(wrong)


def test_agreement_finds_what_differs(bisenet, exported):
    images = pictures((64, 128), count=2)
    same = agreement(bisenet, OnnxSegmenter(exported), images)
    ours, theirs = by_pytorch(bisenet, images), by_onnx(exported, images)
    assert same.within_tolerance and same.disagreeing == 0 and same.pixels == 2 * 64 * 128
    found = np.abs(ours - theirs).max()  # with another layout in memory, so with other last digits
    assert found / 5 < same.difference < 5 * found
    assert same.largest == pytest.approx(np.abs(ours).max(), rel=1e-4)

    reversed_ = agreement(Reversed(bisenet), OnnxSegmenter(exported), images)
    flipped, best = np.flip(ours, axis=1), np.sort(ours, axis=1)
    other = (flipped.argmax(1) != theirs.argmax(1)) & (best[:, -1] - best[:, -2] > 2e-4 * best[:, -1].max())
    assert reversed_.disagreeing == pytest.approx(other.sum(), abs=5) and other.mean() > 0.5
    assert reversed_.difference > TOLERANCE and not reversed_.within_tolerance


class Reversed(nn.Module):
    """A network that gives the classes in the wrong order."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        output = self.network(images)
        return output._replace(logits=output.logits.flip(1))


def test_a_tie_is_no_disagreement(exported):
    class Undecided(nn.Module):
        def forward(self, images):
            logits = torch.zeros(len(images), NUM_CLASSES, *images.shape[2:])
            return SegmentationOutput(logits, (), {})

    found = agreement(Undecided(), OnnxSegmenter(exported), pictures((32, 64), count=1))
    assert found.ties == found.pixels == 32 * 64 and found.disagreeing == 0
    assert not found.within_tolerance  # the logits do differ


# --- the file --------------------------------------------------------------------------------------------------------


def test_the_file_says_what_it_is(exported):
    written = onnx.load(exported)
    onnx.checker.check_model(written, full_check=True)
    assert [(one.domain, one.version) for one in written.opset_import] == [("", OPSET)]
    (given,), (answer,) = (
        [[d.dim_param or d.dim_value for d in one.type.tensor_type.shape.dim] for one in ends]
        for ends in (written.graph.input, written.graph.output)
    )
    assert given == ["batch", 3, "height", "width"] and answer == ["batch", NUM_CLASSES, "height", "width"]
    about = {one.key: one.value for one in written.metadata_props}
    truth = sorted((label for label in CITYSCAPES_LABELS if label.train_id < 255), key=lambda label: label.train_id)
    assert json.loads(about["classes"]) == [label.name for label in truth]
    assert json.loads(about["colors"]) == [list(label.color) for label in truth]
    assert about["run"] == "some-run" and "[0, 1]" in about["input"] and "logits" in about["output"]
    assert OnnxSegmenter(exported).class_names == tuple(label.name for label in truth)
    assert OnnxSegmenter(exported).metadata == about and OnnxSegmenter(exported).size is None


def test_no_auxiliary_heads_and_no_folders_of_this_machine(bisenet, exported):
    names = [one.name for one in onnx.load(exported).graph.initializer]
    assert any("classifier" in name for name in names) and not any("auxiliary" in name for name in names)
    content = exported.read_bytes()
    for word in (str(FOLDER), "site-packages", "bisenet.py", "stack_trace"):
        assert word.encode() not in content


def test_the_network_and_the_log_stay_as_they_were(tmp_path):
    model = Small().train().to(memory_format=torch.channels_last)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    levels = {name: logging.getLogger(name).level for name in ("onnxscript", "onnx_ir", "torch.onnx")}
    path = export_onnx(model, tmp_path / "network.onnx")
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.layers[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert {name: logging.getLogger(name).level for name in levels} == levels
    assert agreement(model, OnnxSegmenter(path), pictures((32, 64), count=1)).within_tolerance
    assert model.training


# --- what is refused -------------------------------------------------------------------------------------------------


class Capricious(nn.Module):
    """Its way depends on what it sees, which no exporter can follow."""

    def forward(self, images):
        logits = images.mean(dim=1, keepdim=True).expand(-1, NUM_CLASSES, -1, -1)
        return SegmentationOutput(logits if images.sum() > 0 else -logits, (), {})


def test_a_network_that_cannot_be_written_says_so(tmp_path):
    path = tmp_path / "network.onnx"
    path.write_text("what stood here before")
    with pytest.raises(LabError, match=r"Capricious cannot be written as ONNX by PyTorch [\d.]+.*: \w"):
        export_onnx(Capricious(), path)
    assert path.read_text() == "what stood here before" and list(tmp_path.iterdir()) == [path]


def test_nothing_that_the_checker_refuses_is_written(bisenet, tmp_path, monkeypatch):
    empty = onnx.ModelProto()
    monkeypatch.setattr(onnx_export, "_translate", lambda model, size: empty)
    with pytest.raises(LabError, match="BiSeNet cannot be written as ONNX"):
        export_onnx(bisenet, tmp_path / "network.onnx")
    assert not list(tmp_path.iterdir())


def test_other_refusals(bisenet, exported, tmp_path):
    with pytest.raises(LabError, match=r"network.pt: a file for ONNX ends in \.onnx"):
        export_onnx(bisenet, tmp_path / "network.pt")
    with pytest.raises(LabError, match=r"no_such_package .*pip install onnx onnxscript onnxruntime"):
        require("no_such_package")
    with pytest.raises(LabError, match=r"nowhere.onnx: no such file; `labkit export RUN"):
        OnnxSegmenter(tmp_path / "nowhere.onnx")
    (tmp_path / "half.onnx").write_bytes(exported.read_bytes()[:1_000_000])
    with pytest.raises(LabError, match=r"half.onnx: ONNX Runtime cannot read it"):
        OnnxSegmenter(tmp_path / "half.onnx")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "foreign", ends[:1], ends[1:])
    foreign = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.save(foreign, tmp_path / "foreign.onnx")
    with pytest.raises(LabError, match=r"foreign.onnx: was not written by `labkit export`"):
        OnnxSegmenter(tmp_path / "foreign.onnx")


# --- latency, and the command ----------------------------------------------------------------------------------------


def test_latency_is_of_passes_of_both_programs(bisenet, exported, monkeypatch):
    seen = []
    monkeypatch.setattr(OnnxSegmenter, "logits", lambda self, images: seen.append(tuple(images.shape)))
    found = latency_beside_pytorch(bisenet, OnnxSegmenter(exported), (32, 64), repeats=2)
    assert list(found) == ["PyTorch", "ONNX Runtime"]
    assert all(one.repeats == 2 and one.mean > 0 for one in found.values())
    assert seen == [(1, 3, 32, 64)] * 3  # one to warm up


@pytest.fixture(scope="module")
def runs(bisenet, tmp_path_factory):
    """A store with one run, by its description and weights."""
    store = RunStore(tmp_path_factory.mktemp("runs"))
    data = {"name": "MiniCity game", "size": [48, 96]}
    model = {"name": "bisenet", "num_classes": NUM_CLASSES}
    method = {"name": "source-only"}
    described = {"model": model, "method": method, "seed": 0, "data": {"source": data}}
    run = store.request({**described, "validation": None, "report": None})
    run.write_weights(bisenet.state_dict())
    return store.folder


def export(*words):
    result = CliRunner().invoke(cli.main, ["-q", "export", *map(str, words)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_command(bisenet, runs, tmp_path):
    path = tmp_path / "new" / "network.onnx"
    result = export("bisenet", "--onnx", path, "--runs", runs, "--json")
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert value["file"] == str(path) and value["bytes"] == path.stat().st_size > 40e6
    assert value["opset"] == OPSET and value["size"] is None
    assert value["agrees"] and 0 < value["difference"] <= 1e-4 and value["disagreeing_pixels"] == 0
    assert OnnxSegmenter(path).metadata["run"].startswith("bisenet-source-only-seed0-")
    images = pictures((40, 72), count=1)
    expected = by_pytorch(bisenet, images)
    np.testing.assert_allclose(by_onnx(path, images), expected, atol=allowed(expected))


def test_the_command_tells_of_a_file_that_answers_otherwise(exported, runs, tmp_path, monkeypatch):
    theirs = OnnxSegmenter.logits
    monkeypatch.setattr(OnnxSegmenter, "logits", lambda self, images: theirs(self, images) + 0.01)
    monkeypatch.setattr(onnx_export, "export_onnx", lambda model, path, **options: shutil.copy(exported, path))
    result = export("bisenet", "--onnx", tmp_path / "network.onnx", "--runs", runs, "--size", "48x64")
    assert result.exit_code == 1 and "than 0.01;" in result.stdout and "of 3072 pixels" in result.stdout


def test_the_command_refuses(runs, tmp_path):
    result = export("unet", "--onnx", tmp_path / "network.onnx", "--runs", runs)
    assert (result.exit_code, result.stdout) == (2, "") and "unknown run" in result.stderr
    result = export("bisenet", "--onnx", tmp_path / "network.pt", "--runs", runs)
    assert (result.exit_code, result.stdout) == (2, "") and "ends in .onnx" in result.stderr
    assert not list(tmp_path.iterdir())
