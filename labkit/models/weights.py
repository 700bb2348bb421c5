"""Weights from a file or from torchvision, with a check that every expected key matched.

A state dict that matches in part loads without a word in many code bases (``strict=False``), and the network
then trains from a half random start. Here every key is accounted for, or the file is refused.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from labkit.errors import LabError, UnknownNameError

IMAGENET_WEIGHTS: dict[str, str] = {
    "mobilenet_v2": "MobileNet_V2_Weights.IMAGENET1K_V1",
    "resnet18": "ResNet18_Weights.IMAGENET1K_V1",
    "resnet50": "ResNet50_Weights.IMAGENET1K_V1",
    "resnet101": "ResNet101_Weights.IMAGENET1K_V1",
}
"""torchvision's ImageNet weights by the network's name."""

CLASSIFIER = ("fc.weight", "fc.bias", "classifier.1.weight", "classifier.1.bias")
"""The ImageNet classifier, of a ResNet and of MobileNetV2, which no segmentation network has."""

VOC_CLASSES = 21
"""Those of Pascal VOC: 20, and the background."""

_COUNTER = ".num_batches_tracked"


def load_weights(
    module: nn.Module, state_dict: Mapping[str, Tensor], *, source: str, ignore: Sequence[str] = ()
) -> None:
    """Copy ``state_dict`` into ``module``; every key has to be there, no other, with the right shape.

    Args:
        module: receives the weights; unchanged if they are refused.
        state_dict: tensors by name.
        source: where the weights come from, for the message.
        ignore: names that are skipped if ``state_dict`` has them.

    Batch norm's ``num_batches_tracked`` may be missing, as in files older than torch 0.4.1; it is then 0. It
    has no influence unless a batch norm averages cumulatively, which none here does.

    Raises:
        LabError: with all missing, unexpected and wrongly shaped keys.
    """
    expected = module.state_dict()
    given = {key: value for key, value in state_dict.items() if key not in ignore}
    for key, value in expected.items():
        if key.endswith(_COUNTER):
            given.setdefault(key, torch.zeros_like(value))
    problems = []
    if missing := [key for key in expected if key not in given]:
        problems.append(f"missing: {_listed(missing)}")
    if unexpected := [key for key in given if key not in expected]:
        problems.append(f"unexpected: {_listed(unexpected)}")
    if misshapen := [
        f"{key} is {tuple(given[key].shape)} instead of {tuple(value.shape)}"
        for key, value in expected.items()
        if key in given and given[key].shape != value.shape
    ]:
        problems.append(f"wrong shape: {_listed(misshapen)}")
    if problems:
        raise LabError(
            f"the weights in {source} do not fit {type(module).__name__}; {'; '.join(problems)}. "
            "Nothing was loaded: give the file that belongs to this network and number of classes."
        )
    module.load_state_dict(given, strict=True)


def load_file(model: nn.Module, path: str | os.PathLike) -> None:
    """Load ``path`` into the whole network, or into its backbone if it holds a backbone's ImageNet weights.

    Which of the two is decided by where more of the file's keys belong; the keys of that one must then match
    entirely, but for the ImageNet classifier, and but for the network's own last layers (``model.CLASSIFIERS``) where
    the file has them for the 21 classes of Pascal VOC: those then keep their random start. Raises LabError as
    :func:`read_state_dict` and :func:`load_weights`.
    """
    state_dict = read_state_dict(path)
    backbone = getattr(model, "backbone", None)
    if backbone is not None and _shared(backbone, state_dict) > _shared(model, state_dict):
        load_weights(backbone, state_dict, source=str(path), ignore=CLASSIFIER)
    else:
        own = _last_layers(model)
        if all(key in state_dict and state_dict[key].shape[:1] == (VOC_CLASSES,) for key in own):
            state_dict |= {key: value for key, value in own.items() if value.shape[:1] != (VOC_CLASSES,)}
        load_weights(model, state_dict, source=str(path))


def load_backbone_imagenet(model: nn.Module) -> None:
    """Load ImageNet weights, of the network that ``model.IMAGENET`` names, into ``model.backbone``."""
    name = model.IMAGENET
    weights = imagenet_backbone(name)
    load_weights(model.backbone, weights, source=IMAGENET_WEIGHTS[name], ignore=CLASSIFIER)


def load_coco(model: nn.Module) -> None:
    """Load the weights that ``model.COCO`` names into all of ``model`` but ``model.CLASSIFIERS``.

    Those were trained for other classes, so they keep their random start. Every other key has to match.
    """
    load_weights(model, {**torchvision_weights(model.COCO), **_last_layers(model)}, source=model.COCO)


STARTS: dict[str, Callable[[nn.Module], None]] = {"imagenet": load_backbone_imagenet, "coco": load_coco}
"""Trained weights by name. They fit networks whose class has an attribute of that name in capitals."""


def imagenet_backbone(name: str) -> dict[str, Tensor]:
    """torchvision's ImageNet state dict of ``name`` (a key of :data:`IMAGENET_WEIGHTS`), classifier included.

    Raises UnknownNameError, and LabError as :func:`torchvision_weights`.
    """
    if name not in IMAGENET_WEIGHTS:
        raise UnknownNameError("backbone", name, IMAGENET_WEIGHTS)
    return torchvision_weights(IMAGENET_WEIGHTS[name])


def torchvision_weights(name: str) -> dict[str, Tensor]:
    """The state dict that torchvision calls ``name``, as in ``"ResNet18_Weights.IMAGENET1K_V1"``.

    Downloaded once into torch hub's cache and verified each time. Raises LabError.
    """
    from torchvision.models import get_weight

    return read_state_dict(fetch_weights(get_weight(name).url))


def fetch_weights(url: str, folder: str | os.PathLike | None = None) -> Path:
    """Path of the weights at ``url``, downloaded unless ``folder`` (torch hub's cache) has them.

    The file's name carries the first digits of its SHA-256, as in torchvision's ``resnet18-f37072fd.pth``; a
    new and a cached file are both checked against them. A download that fails leaves nothing behind.

    Raises:
        LabError: no connection, or a file that is not what its name says.
    """
    name = url.rsplit("/", 1)[-1]
    match = re.search(r"-([0-9a-f]{8,})\.\w+$", name)
    if match is None:
        raise ValueError(f"{name} does not carry its checksum")
    digest = match[1]
    folder = Path(folder) if folder is not None else Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / name
    by_hand = f"Download it by hand to {path}, or use weights='none', which needs no download."
    if path.exists():
        if not _sha256(path).startswith(digest):
            raise LabError(f"{path} is damaged: its SHA-256 does not begin with {digest}. Delete it and try again.")
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=digest, progress=sys.stderr.isatty())
    except RuntimeError as error:
        raise LabError(
            f"what {url} sent is not the expected file: its SHA-256 does not begin with {digest}. "
            f"Nothing was kept. {by_hand}"
        ) from error
    except OSError as error:
        raise LabError(f"could not download {url}: {error}. {by_hand}") from error
    return path


def read_state_dict(path: str | os.PathLike) -> dict[str, Tensor]:
    """Read a state dict, ``.safetensors``, ``.pth`` or ``.pt``, onto the CPU, running no code from the file.

    Raises:
        LabError: no such file, another kind of file, a damaged file, or one that holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise LabError(f"no weights at {path}: give 'none', 'imagenet' or a .safetensors, .pth or .pt file")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file as read_safetensors

            content = read_safetensors(path)
        elif path.suffix in (".pth", ".pt"):
            content = torch.load(path, map_location="cpu", weights_only=True)
        else:
            raise LabError(f"{path} is no weights file: expected .safetensors, .pth or .pt")
    except LabError:
        raise
    except Exception as error:  # each reader has its own kinds of exception for the same thing
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LabError(f"{path} cannot be read as weights ({reason}): it is damaged or of another kind") from error
    if not isinstance(content, Mapping) or not content:
        raise LabError(f"{path} holds no state dict: expected tensors by name, found {type(content).__name__}")
    for key, value in content.items():
        if not isinstance(value, Tensor):
            raise LabError(
                f"{path} holds no plain state dict: {key!r} is a {type(value).__name__}, not a tensor. "
                "Save the network's state_dict() alone."
            )
    return dict(content)


def _last_layers(model: nn.Module) -> dict[str, Tensor]:
    """Weights and biases of the layers whose shapes depend on the classes, where the network's class names them."""
    names = getattr(model, "CLASSIFIERS", ())
    return {key: value for key, value in model.state_dict().items() if key.rpartition(".")[0] in names}


def _shared(module: nn.Module, state_dict: Mapping[str, Tensor]) -> int:
    return len(module.state_dict().keys() & state_dict.keys())


def _listed(items: Sequence[str], limit: int = 8) -> str:
    rest = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {rest} more" if rest > 0 else "")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
