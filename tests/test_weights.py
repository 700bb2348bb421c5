import hashlib
import pickle
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import ResNet18_Weights, resnet18

from labkit.errors import LabError, UnknownNameError
from labkit.models import weights as weights_module
from labkit.models.registry import create_model
from labkit.models.weights import (
    fetch_weights,
    imagenet_backbone,
    load_file,
    load_weights,
    read_state_dict,
)


@pytest.fixture(scope="module")
def imagenet_like():
    """A ResNet-18 as torchvision ships it: ``fc`` included, and told apart from any fresh network."""
    torch.manual_seed(7)
    state = resnet18(weights=None).state_dict()
    return {key: torch.full_like(value, 3) if "running" in key else value for key, value in state.items()}


@pytest.fixture(scope="module")
def trained():
    return create_model("bisenet", num_classes=5, seed=1).state_dict()


def snapshot(module):
    return {key: value.clone() for key, value in module.state_dict().items()}


def assert_same(left, right):
    assert left.keys() == right.keys()
    different = [key for key in left if not torch.equal(left[key], right[key])]
    assert different == []


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_imagenet_file_fills_every_key_of_the_backbone(tmp_path, imagenet_like, suffix):
    path = tmp_path / f"resnet18{suffix}"
    (torch.save if suffix == ".pth" else save_file)(imagenet_like, path)
    before = snapshot(create_model("bisenet", seed=0))
    model = create_model("bisenet", seed=0, weights=path)
    expected = {key: value for key, value in imagenet_like.items() if not key.startswith("fc.")}
    assert len(expected) == 120
    assert_same(model.backbone.state_dict(), expected)
    after = model.state_dict()
    changed = {key for key in after if not torch.equal(after[key], before[key])}
    assert changed and all(key.startswith("context_path.backbone.") for key in changed)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_full_model_file(tmp_path, trained, suffix):
    path = tmp_path / f"model{suffix}"
    (torch.save if suffix == ".pth" else save_file)(trained, path)
    model = create_model("bisenet", num_classes=5, seed=2, weights=str(path))
    assert_same(model.state_dict(), trained)


def test_files_older_than_the_batch_counter_load(tmp_path, imagenet_like):
    path = tmp_path / "old.pth"
    torch.save({k: v for k, v in imagenet_like.items() if not k.endswith("num_batches_tracked")}, path)
    model = create_model("bisenet", seed=0, weights=path)
    assert torch.equal(model.backbone.layer4[1].bn2.running_var, torch.full((512,), 3.0))


def removed(state):
    del state["layer3.0.conv1.weight"]
    return "missing: layer3.0.conv1.weight"


def renamed(state):
    state["layer3.0.convolution.weight"] = state.pop("layer3.0.conv1.weight")
    return r"missing: layer3.0.conv1.weight; unexpected: layer3.0.convolution.weight"


def misshapen(state):
    state["layer4.1.bn2.bias"] = torch.zeros(256)
    return r"wrong shape: layer4.1.bn2.bias is \(256,\) instead of \(512,\)"


@pytest.mark.parametrize("damage", [removed, renamed, misshapen])
@pytest.mark.parametrize("prefix", ["", "context_path.backbone."])
def test_a_file_that_fits_in_part_is_refused_by_key(tmp_path, imagenet_like, damage, prefix):
    if prefix:
        state = create_model("bisenet", seed=3).state_dict()
        inner = {key.removeprefix(prefix): value for key, value in state.items()}
        message = damage(inner).replace("layer", f"{prefix}layer")
        own = set(create_model("bisenet").backbone.state_dict()) | {"layer3.0.convolution.weight"}
        state = {f"{prefix}{key}" if key in own else key: value for key, value in inner.items()}
    else:
        state = dict(imagenet_like)
        message = damage(state)
    path = tmp_path / "damaged.pth"
    torch.save(state, path)
    model = create_model("bisenet", seed=0)
    before = snapshot(model)
    with pytest.raises(LabError, match=message) as caught:
        load_file(model, path)
    assert str(path) in str(caught.value)
    assert_same(model.state_dict(), before)


def test_other_number_of_classes_is_refused(tmp_path, trained):
    path = tmp_path / "five.safetensors"
    save_file(trained, path)
    with pytest.raises(LabError, match=r"fusion.block.1.bias is \(5,\) instead of \(19,\)"):
        create_model("bisenet", weights=path)


def test_ignored_names_are_skipped_and_no_others():
    module = torch.nn.Linear(2, 1)
    state = {"weight": torch.ones(1, 2), "bias": torch.ones(1), "fc.weight": torch.ones(1)}
    load_weights(module, state, source="here", ignore=("fc.weight",))
    assert module.weight.tolist() == [[1, 1]]
    with pytest.raises(LabError, match=r"weights in here do not fit Linear; unexpected: fc\.weight"):
        load_weights(module, state, source="here")


def test_long_lists_are_cut():
    with pytest.raises(LabError, match="and 92 more"):
        load_weights(torch.nn.Identity(), {str(i): torch.zeros(1) for i in range(100)}, source="here")


class Trap:
    def __reduce__(self):
        return print, ("code from a weights file was run",)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("keep", [0, 100, 0.5])
def test_truncated_file(tmp_path, trained, suffix, keep):
    path = tmp_path / f"model{suffix}"
    (torch.save if suffix == ".pth" else save_file)(trained, path)
    content = path.read_bytes()
    path.write_bytes(content[: keep if keep >= 1 or keep == 0 else int(len(content) * keep)])
    with pytest.raises(LabError, match=f"{path.name} cannot be read as weights"):
        create_model("bisenet", num_classes=5, weights=path)


def test_other_contents(tmp_path, capfd):
    path = tmp_path / "x.pth"
    path.write_bytes(pickle.dumps({"a": Trap()}, protocol=2))
    with pytest.raises(LabError, match="cannot be read as weights"):
        read_state_dict(path)
    assert "was run" not in "".join(capfd.readouterr())
    torch.save({"state_dict": {"a": torch.zeros(1)}, "epoch": 3}, path)
    with pytest.raises(LabError, match="'state_dict' is a dict, not a tensor"):
        read_state_dict(path)
    torch.save([1, 2], path)
    with pytest.raises(LabError, match=r"holds no state dict.*found list"):
        read_state_dict(path)
    with pytest.raises(LabError, match=r"no weights at .*absent.pth"):
        read_state_dict(tmp_path / "absent.pth")
    with pytest.raises(LabError, match=r"weights '.*absent.pth': neither none, imagenet nor a file, for bisenet"):
        create_model("bisenet", weights=tmp_path / "absent.pth")
    (tmp_path / "weights.h5").write_bytes(b"x")
    with pytest.raises(LabError, match=r"weights.h5 is no weights file"):
        create_model("bisenet", weights=tmp_path / "weights.h5")


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder served over HTTP on this machine: (folder, its URL)."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()
    thread.join()


def publish(folder, state, digest=None):
    torch.save(state, folder / "draft")
    content = (folder / "draft").read_bytes()
    name = f"tiny-{digest or hashlib.sha256(content).hexdigest()[:8]}.pth"
    (folder / name).write_bytes(content)
    return name, content


def test_download_is_verified_and_kept(tmp_path, server):
    folder, url = server
    name, content = publish(folder, {"a": torch.arange(3)})
    cache = tmp_path / "cache"
    path = fetch_weights(f"{url}/{name}", cache)
    assert path == cache / name and path.read_bytes() == content
    (folder / name).unlink()  # the second time nobody is asked
    assert fetch_weights(f"{url}/{name}", cache) == path
    assert list(cache.iterdir()) == [path]


def test_download_that_lies_leaves_nothing(tmp_path, server):
    folder, url = server
    name, _ = publish(folder, {"a": torch.arange(3)}, digest="0123abcd")
    with pytest.raises(LabError, match=r"SHA-256 does not begin with 0123abcd.*weights='none'"):
        fetch_weights(f"{url}/{name}", tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_damaged_cache_is_found_out(tmp_path, server):
    folder, url = server
    name, content = publish(folder, {"a": torch.arange(3)})
    (tmp_path / name).write_bytes(content[:-1])
    with pytest.raises(LabError, match=f"{name} is damaged.*Delete it"):
        fetch_weights(f"{url}/{name}", tmp_path)


@pytest.mark.parametrize("absent", ["not there", "nobody listens"])
def test_failed_download_says_how_to_go_on(tmp_path, server, absent):
    _, url = server
    url = url if absent == "not there" else "http://127.0.0.1:9"
    with pytest.raises(LabError) as caught:
        fetch_weights(f"{url}/net-0123abcd.pth", tmp_path / "cache")
    message = str(caught.value)
    assert f"{url}/net-0123abcd.pth" in message
    assert str(tmp_path / "cache" / "net-0123abcd.pth") in message
    assert "weights='none'" in message
    assert list((tmp_path / "cache").iterdir()) == []


def test_imagenet_start_through_torchvisions_own_address(tmp_path, server, imagenet_like, monkeypatch):
    """The whole way of ``weights="imagenet"``, from another host: torchvision's enum names the file."""
    folder, url = server
    name, _ = publish(folder, imagenet_like)
    official = ResNet18_Weights.IMAGENET1K_V1.url
    asked = []

    def elsewhere(address, folder=None):
        asked.append(address)
        return fetch_weights(f"{url}/{name}", tmp_path / "cache")

    monkeypatch.setattr(weights_module, "fetch_weights", elsewhere)
    model = create_model("bisenet", seed=0, weights="imagenet")
    assert asked == [official]
    assert_same(model.backbone.state_dict(), {k: v for k, v in imagenet_like.items() if not k.startswith("fc.")})
    with pytest.raises(
        UnknownNameError, match="unknown backbone 'resnet17'; known: mobilenet_v2, resnet101, resnet18, resnet50"
    ):
        imagenet_backbone("resnet17")


def test_the_official_address_carries_a_checksum_and_goes_to_torch_hubs_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    name = ResNet18_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[-1]
    cached = tmp_path / "hub" / "checkpoints" / name
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"not the weights")
    with pytest.raises(LabError, match=f"{name} is damaged"):
        create_model("bisenet", weights="imagenet")


def test_an_address_without_checksum_is_a_bug(tmp_path):
    with pytest.raises(ValueError, match=r"net.pth does not carry its checksum"):
        fetch_weights("http://127.0.0.1:9/net.pth", tmp_path)
