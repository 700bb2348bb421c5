"""Cross-domain image mixing: the labeller, long-tail pasting, the mixed term, and the windows that it is cut from.

What CIM shares with the other unsupervised methods (gradients, batch norm, resuming, networks) is in
test_unsupervised_methods.py.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from labkit.data.dataset import Sample
from labkit.data.memory import InMemory
from labkit.data.mixing import half_of_classes
from labkit.data.transforms import normalize, to_batch, to_float
from labkit.data.windows import at_one_size, window_with
from labkit.errors import LabError
from labkit.losses.cross_entropy import cross_entropy
from labkit.losses.weighted_cross_entropy import weighted_cross_entropy
from labkit.methods.cim import CIM
from labkit.methods.cim_with_mmd import CIMWithMMD
from labkit.methods.unsupervised_focal import UnsupervisedFocal
from labkit.models.output import SegmentationOutput
from labkit.training.devices import make_fabric
from labkit.training.loop import Trainer
from labkit.training.method import Batch
from labkit.training.recipe import Recipe

CLASSES = 19


class TinyNetwork(nn.Module):
    """A convolution, a batch norm and a head."""

    num_classes = CLASSES

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.head = nn.Conv2d(6, CLASSES, 1)

    def forward(self, images):
        features = self.backbone(images)
        return SegmentationOutput(4 * self.head(features), (), {"backbone": features})


def prepared(squares, method=None, size=(32, 64), target_size=(32, 64), stored=(32, 64)):
    """The method outside of any loop, with batches of pictures ``size`` and source pictures ``stored`` on disk."""
    torch.manual_seed(0)
    method = method or CIM()
    method.model = TinyNetwork()
    method.networks = method.build(method.model)
    method.receive({"source": squares(size=stored)})
    method.training_mode()
    sets = [squares(size=pixels, seed=seed, count=3) for seed, pixels in ((1, size), (2, target_size))]
    pixels = [to_batch([one[i] for i in range(3)]) for one in sets]
    images = [normalize(to_float(one.images)) for one in pixels]
    return method, {"source": Batch(images[0], pixels[0].labels.long()), "target": Batch(images[1], None)}


def trainer(squares, method, **changes):
    torch.manual_seed(0)
    sets = {"source": squares(seed=1), "target": squares(seed=2)}
    recipe = Recipe(**{"steps": 3, "batch_size": 4, "learning_rate": 1e-3, **changes})
    return Trainer(make_fabric(device="cpu"), TinyNetwork(), method, recipe, sets, 0)


# --- the labeller -----------------------------------------------------------------------------------------------------


def test_the_labeller_keeps_the_weights_it_was_given(squares):
    training = trainer(squares, CIM())
    torch.manual_seed(5)
    given = TinyNetwork().state_dict()
    given["backbone.1.running_mean"] += 0.5
    training.networks["labeller"].load_state_dict(given)
    for _ in training.run():
        pass
    kept = training.networks["labeller"].state_dict()
    assert all(torch.equal(kept[name], value) for name, value in given.items())
    assert any(not torch.equal(training.networks["segmenter"].state_dict()[name], kept[name]) for name in kept)
    assert CIM.given == ("labeller",)


def test_the_labeller_says_what_the_target_shows(squares):
    """Its own answer, with stored statistics, for the picture as it comes; the segmenter's does not matter."""
    method, batches = prepared(squares, CIM(pasted=0))
    labeller = method.networks["labeller"]
    torch.manual_seed(8)
    labeller.load_state_dict(TinyNetwork().state_dict())
    said = labeller(batches["target"].images).logits.argmax(1)
    source = Batch(batches["source"].images, torch.full((3, 32, 64), 255))  # nothing of it is mixed in
    images, labels, weights = method.mixed(source, batches["target"].images)
    assert torch.equal(images, batches["target"].images) and torch.equal(labels, said) and (weights == 1).all()
    assert len(said.unique()) > 1


# --- the mixed term ---------------------------------------------------------------------------------------------------


def field(mask, size):
    """Eq. (11), pixel by pixel: whether a boundary point lies within the field around it."""
    _, height, width = mask.shape
    boundary = np.zeros(mask.shape, bool)
    for n, y, x in np.ndindex(*mask.shape):
        for other_y, other_x in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= other_y < height and 0 <= other_x < width and mask[n, y, x] != mask[n, other_y, other_x]:
                boundary[n, y, x] = True
    found, reach = np.zeros(mask.shape, bool), size // 2
    for n, y, x in zip(*np.nonzero(boundary), strict=True):
        found[n, max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1] = True
    return found


@pytest.mark.parametrize(("size", "weight"), [(7, 2.0), (3, 5.0), (1, 1.0)])
def test_the_mixed_term_against_the_equations(squares, size, weight):
    """Eqs. (10), (11) and L_m in float64, without pasting."""
    method, batches = prepared(squares, CIM(pasted=0, boundary_size=size, boundary_weight=weight, lambda_m=0.7))
    shown = []
    method.model.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0]))
    torch.manual_seed(4)
    *_, objective = method.objectives(batches)
    torch.manual_seed(4)
    method.perturbation.draw(3, (32, 64))
    torch.rand(3, 2), torch.rand(3, 2)  # the places of crops
    source, target = batches["source"], batches["target"]
    mask = half_of_classes(source.labels)
    pseudo = method.networks["labeller"](target.images).logits.argmax(1)
    assert 0 < mask.float().mean() < 1
    assert torch.equal(shown[-1], torch.where(mask[:, None], source.images, target.images))
    labels = torch.where(mask, source.labels, pseudo).numpy()
    enhanced = field(mask.numpy(), size)
    log_p = method.model.double()(shown[-1].double()).logits.log_softmax(1).detach().numpy()
    assert (labels != 255).all(), "what is ignored in the source shows the target"
    losses = [
        -log_p[n, labels[n, y, x], y, x] * (weight if enhanced[n, y, x] else 1) for n, y, x in np.ndindex(*labels.shape)
    ]
    assert objective.terms["mixed"].loss.item() == pytest.approx(np.mean(losses), rel=1e-4)
    assert objective.terms["mixed"].weight == 0.7 and CIM().lambda_m == 1


def test_the_other_terms_are_stage_ones(squares):
    """Pasted classes and mixed pictures enter L_m alone; λ_u = 0.05 in both stages (§IV-C)."""

    def first_two(method):
        method, batches = prepared(squares, method)
        torch.manual_seed(4)
        objectives = list(method.objectives(batches))[:2]
        return [(name, term.loss.item(), term.weight) for one in objectives for name, term in one.terms.items()]

    assert first_two(CIM(threshold=0.1)) == first_two(UnsupervisedFocal(threshold=0.1))


@pytest.mark.parametrize(
    ("size", "target_size", "expected"),
    [((32, 64), (48, 48), (32, 48)), ((48, 48), (32, 64), (32, 48)), ((16, 32), (48, 64), (16, 32))],
)
@pytest.mark.parametrize("pasted", [0, 2])
def test_pictures_of_two_sizes_are_mixed_at_the_smaller(squares, size, target_size, expected, pasted):
    method, batches = prepared(squares, CIM(pasted=pasted), size, target_size, stored=(64, 96))
    mixed = method.mixed(batches["source"], batches["target"].images)
    assert [tuple(tensor.shape) for tensor in mixed] == [(3, 3, *expected), (3, *expected), (3, *expected)]
    *_, objective = method.objectives(batches)
    assert objective.terms["mixed"].loss.isfinite()


def test_weights_of_one_are_plain_cross_entropy():
    logits = torch.randn(2, CLASSES, 6, 7, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(CLASSES, (2, 6, 7))
    labels[0, :3] = 255
    ours = weighted_cross_entropy(logits, labels, torch.ones(2, 6, 7))
    assert ours.item() == pytest.approx(cross_entropy(logits, labels).item())
    nothing = weighted_cross_entropy(logits, torch.full_like(labels, 255), torch.ones(2, 6, 7))
    nothing.backward()
    assert nothing.item() == 0 and (logits.grad == 0).all()
    half = weighted_cross_entropy(logits.detach().half() * 100, labels, torch.full((2, 6, 7), 2.0))
    assert half.dtype == torch.float32 and half.isfinite()


# --- long-tail pasting ------------------------------------------------------------------------------------------------


def test_classes_are_drawn_by_the_inverse_of_their_threshold(squares):
    """The squares have trainIds 0 to 3 alone: no other may be drawn, however low its α."""
    method, _ = prepared(squares)
    method.thresholds = torch.linspace(1.0, 0.05, CLASSES)
    alpha = [0.9, 0.4, 0.6, 0.5]
    method.thresholds[:4] = torch.tensor(alpha)
    assert method.database.classes == (0, 1, 2, 3)
    drawn = method.drawn_classes(40_000)
    assert drawn.shape == (40_000, 2) and (drawn[:, 0] != drawn[:, 1]).all() and drawn.max() <= 3
    inverse = [math.exp(1 / value) for value in alpha]
    for train_id in range(4):
        share = (drawn[:, 0] == train_id).float().mean().item()
        assert share == pytest.approx(inverse[train_id] / sum(inverse), abs=0.01)


def test_fewer_classes_than_are_to_be_pasted(squares):
    method, batches = prepared(squares, CIM(pasted=9))
    assert method.drawn_classes(5).shape == (5, 4), "there are no more"
    method.thresholds[2] = 0.0
    assert (drawn := method.drawn_classes(5)).shape == (5, 1) and (drawn == 2).all(), "its weight is beyond all others"
    method.with_long_tail(batches["source"])


class Marked:
    """Stored pictures of one class each and a background; the blue channel names the picture."""

    name, split, evaluation = "Marked", "train", "miou"

    def __init__(self, size=(32, 64)):
        self.size = size

    def __len__(self):
        return 6

    def __getitem__(self, index):
        label = np.zeros(self.size, np.uint8)
        label[4 * index : 4 * index + 6, 9:19] = 5 + index % 3
        image = np.zeros((*self.size, 3), np.uint8)
        image[..., 0], image[..., 1], image[..., 2] = label * 10, np.arange(self.size[1]), 100 + index
        return Sample(image, label, f"marked_{index}")

    def fingerprint(self):
        return {"dataset": "marked", "size": list(self.size)}


def test_what_is_pasted_is_the_drawn_class_of_a_stored_picture(squares):
    method, batches = prepared(squares)
    stored = Marked()
    method.receive({"source": stored})
    method.thresholds = torch.full((CLASSES,), 0.9)
    method.thresholds[[5, 7]] = 0.1  # so that they alone have any chance worth the name
    source = batches["source"]
    before = source.images.clone(), source.labels.clone()
    shown = Counter()
    for _ in range(20):
        images, labels = method.with_long_tail(source)
        new = (labels != source.labels) | (images != source.images).any(1)
        for n in range(3):
            assert set(labels[n][new[n]].tolist()) == {5, 7}
            for train_id in (5, 7):
                here = labels[n] == train_id
                pixels = (images[n].permute(1, 2, 0)[here] * torch.tensor([0.229, 0.224, 0.225])) + torch.tensor(
                    [0.485, 0.456, 0.406]
                )
                origin = {round(value * 255) - 100 for value in pixels[:, 2].tolist()}
                for index in origin:
                    assert stored[index].label.max() == train_id
                columns = here.nonzero(as_tuple=True)[1]
                red, green = (pixels[:, c].mul(255).round().long() for c in (0, 1))
                assert (red == 10 * train_id).all() and torch.equal(green, columns), "in its own place"
                shown.update((train_id, index) for index in origin)
    assert set(shown) == {(5, 0), (5, 3), (7, 2), (7, 5)}, "every picture with the class has its turn"
    assert torch.equal(source.images, before[0]) and torch.equal(source.labels, before[1])


def test_what_was_pasted_is_mixed_and_half_of_all_its_classes_are_chosen(squares):
    """Eq. (10) takes x_s′ and y_s′, with what was pasted: not the source picture as it came."""
    method, batches = prepared(squares)
    method.receive({"source": Marked()})
    with torch.no_grad():  # a labeller who sees class 18 everywhere
        head = method.networks["labeller"].head
        head.weight.zero_()
        head.bias.copy_(torch.arange(float(CLASSES)))
    mixed_in = set()
    for seed in range(8):
        torch.manual_seed(seed)
        pasted_images, pasted_labels = method.with_long_tail(batches["source"])
        torch.manual_seed(seed)  # the labeller draws nothing
        images, labels, _ = method.mixed(batches["source"], batches["target"].images)
        mask = labels != 18
        assert torch.equal(labels[mask], pasted_labels[mask])
        chosen = mask[:, None].expand_as(images)
        assert torch.equal(images[chosen], pasted_images[chosen])
        assert torch.equal(images[~chosen], batches["target"].images[~chosen])
        for one, of in zip(labels, pasted_labels, strict=True):
            present, taken = set(of.unique().tolist()) - {255}, set(one.unique().tolist()) - {18}
            assert len(taken) == math.ceil(len(present) / 2) and taken <= present
            mixed_in |= taken
    assert mixed_in & {5, 7}, "classes that no source picture of the batch has"


def test_a_larger_stored_picture_gives_a_window_with_the_class(squares):
    method, batches = prepared(squares, size=(16, 16))
    stored = Marked((64, 96))
    method.receive({"source": stored})
    method.thresholds = torch.full((CLASSES,), 0.9)
    method.thresholds[[5, 7]] = 0.1
    _, labels = method.with_long_tail(batches["source"])
    for picture in labels:
        assert {5, 7} & set(picture.unique().tolist())


def test_the_database_is_kept_for_pictures_on_disk_alone(squares, tmp_path, monkeypatch):
    class OnDisk(Marked):
        root = "somewhere"

    method, _ = prepared(squares)
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path))
    method.receive({"source": squares()})
    assert not list(tmp_path.iterdir())
    method.receive({"source": InMemory(OnDisk())})
    (file,) = (tmp_path / "cache").iterdir()
    written = file.stat().st_mtime_ns
    first = method.database.presence
    method.receive({"source": OnDisk()})
    assert file.stat().st_mtime_ns == written and (method.database.presence == first).all()
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path / "absent"))
    method.receive({"source": OnDisk()})
    assert not (tmp_path / "absent").exists() and (method.database.presence == first).all()


# --- windows ----------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(1, 15), st.integers(1, 15)),
    st.integers(0, 2**32),
)
def test_a_window_is_a_piece_of_the_picture_with_the_class(shape, size, seed):
    random = np.random.default_rng(seed)
    label = random.integers(0, 4, shape).astype(np.uint8)
    image = np.arange(label.size * 3, dtype=np.uint16).reshape(*shape, 3)  # every pixel is its own
    train_id = int(label[tuple(random.integers(0, shape))])
    sample = Sample(image + 1, label, "random")
    generator = torch.Generator().manual_seed(seed)
    piece = window_with(sample, train_id, size, generator)
    assert piece.image.shape == (*size, 3) and piece.label.shape == size and train_id in piece.label
    there = piece.image[..., 0] > 0
    assert (piece.label[~there] == 255).all() and (piece.image[~there] == 0).all()
    assert there.sum() == np.prod(np.minimum(shape, size)), "nothing is left out that has room"
    rows, columns = np.nonzero(there)
    sources = np.divmod((piece.image[there][:, 0] - 1) // 3, shape[1])
    for found, origin in zip((rows, columns), sources, strict=True):
        assert len(set((found - origin.astype(int)).tolist())) == 1, "moved as one"
    assert (piece.label[there] == label[sources]).all()


def test_windows_lie_around_pixels_of_the_class_uniformly():
    label = np.zeros((1, 100), np.uint8)
    label[0, [20, 70]] = 3
    sample = Sample(np.arange(100, dtype=np.uint8).reshape(1, 100, 1).repeat(3, 2), label, "line")
    torch.manual_seed(0)
    starts = Counter(int(window_with(sample, 3, (1, 11)).image[0, 0, 0]) for _ in range(400))
    assert set(starts) == {15, 65} and 160 < starts[15] < 240
    with pytest.raises(LabError, match="line: no pixel of class 5"):
        window_with(sample, 5, (1, 11))


def test_crops_take_images_and_labels_together_and_every_place():
    places = torch.arange(5 * 7).reshape(1, 5, 7).repeat(2, 1, 1)
    target = torch.arange(3 * 9).reshape(1, 3, 9).repeat(2, 1, 1)
    torch.manual_seed(0)
    corners = Counter()
    for _ in range(400):
        cut = at_one_size((places[:, None].float(), places), (target[:, None].float(), target))
        assert [tuple(part.shape) for part in cut] == [(2, 1, 3, 7), (2, 3, 7)] * 2
        for images, labels, whole in ((cut[0], cut[1], places), (cut[2], cut[3], target)):
            assert torch.equal(images[:, 0].long(), labels)
            for piece, picture in zip(labels, whole, strict=True):
                row, column = divmod(int(piece[0, 0]), picture.shape[1])
                assert torch.equal(piece, picture[row : row + 3, column : column + 7])
                corners[whole is places, row, column] += 1
    assert set(corners) == {(True, row, 0) for row in range(3)} | {(False, 0, column) for column in range(3)}
    assert min(corners.values()) > 200
    alike = (target[:, None].float(), target)
    assert all(a is b for a, b in zip(at_one_size(alike, alike), (*alike, *alike), strict=True))


# --- together with MMD ------------------------------------------------------------------------------------------------


def weights_after(squares, method):
    training = trainer(squares, method)
    for _ in training.run():
        pass
    state = training.networks["segmenter"].state_dict()
    return {name: value for name, value in state.items() if "num_batches" not in name}  # counts passes, decides nothing


def test_mmd_with_weight_zero_is_cim_to_the_bit(squares):
    plain, zero, some = (
        weights_after(squares, method) for method in (CIM(), CIMWithMMD(lambda_mmd=0.0), CIMWithMMD(lambda_mmd=5.0))
    )
    assert all(torch.equal(zero[name], value) for name, value in plain.items())
    assert any(not torch.equal(some[name], value) for name, value in plain.items())


def test_the_discrepancy_is_that_of_the_mean_features(squares):
    method, batches = prepared(squares, CIMWithMMD(kernel="printed", lambda_mmd=0.3))
    *others, last = method.objectives(batches)
    assert [name for one in others for name in one.terms][-1] == "mixed"
    means = [
        method.model.backbone(batches[stream].images).double().mean(dim=(0, 2, 3)) for stream in ("source", "target")
    ]
    expected = (means[0] - means[1]).square().sum()  # the printed kernel with σ = 1: the distance of the means
    assert last.terms["mmd"].weight == 0.3
    torch.testing.assert_close(last.terms["mmd"].loss.double(), expected, rtol=1e-3, atol=1e-7)
