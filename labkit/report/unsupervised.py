"""Learning from the target without labels on a page: perturbed and mixed pictures, certainty, thresholds, costs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from labkit import plots
from labkit.data.class_database import ClassDatabase
from labkit.data.dataset import Sample, SegmentationDataset
from labkit.data.mixing import boundary_weights, half_of_classes, mix, selection_probabilities
from labkit.data.perturbation import Perturbation
from labkit.data.restyle import to_uint8
from labkit.data.selection import evenly
from labkit.data.transforms import denormalize, to_batch
from labkit.data.windows import at_one_size
from labkit.evaluation.confidence import class_confidence
from labkit.evaluation.cost import count_parameters, measure_latency, multiply_adds
from labkit.evaluation.predict import normalized, predict_logits
from labkit.evaluation.uncertainty import entropy_and_confidence
from labkit.labels import CLASS_NAMES, EVALUATIONS, IGNORE
from labkit.losses.thresholds import confident
from labkit.methods.cim import CIM
from labkit.methods.registry import create_method
from labkit.models.registry import create_model
from labkit.papers import load
from labkit.profiles import pair_named
from labkit.report.results import load_results, provenance, recorded_seeds, scores_of
from labkit.report.spread import percent_text
from labkit.report.sweep_tables import SWEEPS
from labkit.report.tables import Noted, Words
from labkit.training.devices import choose_device
from labkit.training.method import Batch

if TYPE_CHECKING:
    import pandas

    from labkit.lab import Lab
    from labkit.training.runs import Run

NO_COLOUR = {"noise": 0.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
NO_GEOMETRY = {"flip": 0.0, "scale": (1.0, 1.0), "rotation": 0.0}
PERTURBATIONS = {
    "as it comes": Perturbation(**NO_COLOUR, **NO_GEOMETRY),
    "colours and noise": Perturbation(**NO_GEOMETRY),
    "flip, scale, turn": Perturbation(**NO_COLOUR | {"flip": 1.0}),
    "all of it": Perturbation(),
}
"""The perturbation of stage one by its kinds."""


# --- pictures ---------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def perturbation_rows(
    network: nn.Module, sample: Sample, threshold: float = 0.8, seed: int = 0
) -> list[dict[str, np.ndarray]]:
    """A target picture under each kind of :data:`PERTURBATIONS`: picture, both predictions, and what counts.

    Args:
        network: a segmenter; it ends in evaluation mode.
        sample: the picture.
        threshold: of the mask I_t.
        seed: of the draws.

    Returns:
        Rows for :func:`labkit.plots.map_rows`: g(x), the prediction for x moved along (255 outside), the prediction for
        g(x), and the pixels that are inside and sure enough.
    """
    device = next(network.parameters()).device
    pixels = to_batch([sample]).images.to(device)
    weak, rows = predict_logits(network, pixels), []
    for title, perturbation in PERTURBATIONS.items():
        generator = torch.Generator().manual_seed(seed)
        drawn = perturbation.draw(1, tuple(pixels.shape[-2:]), generator, device)
        images, moved = drawn.images(normalized(pixels)), drawn.maps(weak)
        counts = confident(moved.softmax(dim=1), threshold) & drawn.inside
        said = moved.argmax(dim=1).masked_fill(~drawn.inside, IGNORE)
        rows.append(
            {
                title: _picture(images),
                "p̂, moved along": _map(said),
                "p*, of g(x)": _map(network(images).logits.argmax(dim=1)),
                f"counts: {_percent(counts.float().mean().item())}": _map(counts, bool),
            }
        )
    return rows


def _picture(images: Tensor) -> np.ndarray:
    return to_uint8(denormalize(images))[0].permute(1, 2, 0).cpu().numpy()


def _map(one: Tensor, dtype: type = np.uint8) -> np.ndarray:
    return one[0].cpu().numpy().astype(dtype)


def mask_frames(
    network: nn.Module, dataset: SegmentationDataset, index: int, thresholds: Mapping[str, Tensor | float]
) -> tuple[list, list[str]]:
    """What of one prediction passes different thresholds, and what of that is wrong: frames of a slider and labels.

    Args:
        network: a segmenter; it ends in evaluation mode.
        dataset: with labels.
        index: of the picture.
        thresholds: by name; one for all classes, or ``(C,)``.
    """
    sample = dataset[index]
    logits = predict_logits(network, to_batch([sample]).images.to(next(network.parameters()).device)).cpu()
    said = _map(logits.argmax(dim=1))
    wrong = (sample.label != IGNORE) & (np.array(EVALUATIONS[dataset.evaluation].merge)[said] != sample.label)
    frames, labels = [], []
    for name, threshold in thresholds.items():
        if isinstance(threshold, Tensor):
            threshold = threshold.to(logits.device)
        passing = _map(confident(logits.softmax(dim=1), threshold), bool)
        rows = [
            {sample.name: sample.image, "prediction": said},
            {"passes (white)": passing, "passes and is wrong (white)": passing & wrong},
        ]
        frames.append(plots.map_rows(rows))
        judged = passing & (sample.label != IGNORE)
        share = (passing & wrong).sum() / judged.sum() if judged.any() else np.nan
        labels.append(f"{name}: {_percent(passing.mean())} pass, {_percent(share)} of them wrong")
    return frames, labels


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.0f} %"


@torch.no_grad()
def mixing_rows(
    source: SegmentationDataset,
    target: SegmentationDataset,
    labeller: nn.Module,
    thresholds: Tensor,
    database: ClassDatabase,
    seed: int = 0,
) -> list[dict[str, np.ndarray]]:
    """Cross-domain mixing step by step (yan2022, Fig. 4), with the steps of the library's method.

    Both pictures are cut to one size first; the method itself pastes and labels at their own sizes and cuts then, which
    is the same where these are equal, as in all profiles but ``paper``.

    Args:
        source: labelled pictures, as stage two draws them.
        target: pictures; their labels are only used to show where the labeller is wrong.
        labeller: the network of stage one.
        thresholds: α ``(C,)``.
        database: which source pictures show which class.
        seed: which pictures, and all draws.

    Returns:
        Rows for :func:`labkit.plots.map_rows`: source, source with long tail, target, mixed; their labels; the pixels
        that were pasted, I_m, W_m (dark where it is large), and wrong pseudo-labels.
    """
    method, device = CIM(), next(labeller.parameters()).device
    method.thresholds, method.pictures, method.database = thresholds, source, database
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        one, other = (_drawn_picture(dataset, device) for dataset in (source, target))
        *own, x_t, truth = at_one_size(one, other)
        x_s, y_s = method.with_long_tail(Batch(*own))
        labeller.eval()
        pseudo = labeller(x_t).logits.argmax(dim=1)
        mask = half_of_classes(y_s)
        x_m, y_m = mix(mask, x_s, y_s, x_t, pseudo)
    pasted = (x_s != own[0]).any(dim=1)
    names = [CLASS_NAMES[index] for index in torch.unique(y_s[pasted]).tolist() if index != IGNORE]
    merge = torch.tensor(EVALUATIONS[target.evaluation].merge, device=device)
    wrong = ~mask & (truth != IGNORE) & (merge[pseudo] != truth)
    weights = boundary_weights(mask, method.boundary_size, method.boundary_weight)
    dark = (weights - 1) / (method.boundary_weight - 1)
    return [
        {
            "source": _picture(own[0]),
            f"+ {', '.join(names) or 'nothing'}": _picture(x_s),
            "target": _picture(x_t),
            "mixed": _picture(x_m),
        },
        {"its labels": _map(own[1]), "with those pasted": _map(y_s), "pseudo-labels": _map(pseudo), "y_m": _map(y_m)},
        {
            "pasted pixels": _map(pasted, bool),
            "mask I_m": _map(mask, bool),
            "weights W_m": _map(dark, np.float64),
            "wrong in y_m (hidden)": _map(wrong, bool),
        },
    ]


def _drawn_picture(dataset: SegmentationDataset, device: torch.device) -> tuple[Tensor, Tensor]:
    pixels = to_batch([dataset[int(torch.randint(len(dataset), ()))]])
    return normalized(pixels.images.to(device)), pixels.labels.to(device).long()


def entropy_figure(lab: Lab, runs: Mapping[str, Run], pictures: int = 2):
    """Predictions above their entropy maps, of pictures spread evenly over the report split (yan2022, Figs. 5, 6).

    Args:
        lab: whose target.
        runs: finished runs by title, at most three for the titles to be legible.
        pictures: how many.

    Returns:
        A figure; the entropy is drawn from white (0) to dark (log C). None without runs.
    """
    if not runs:
        return None
    device, rows = choose_device(lab.device), []
    networks = {title: run.load_model().to(device) for title, run in runs.items()}
    for index in evenly(len(lab.target()), pictures):
        sample = lab.target()[index]
        above, below = {sample.name: sample.image}, {"truth": sample.label}
        for title, network in networks.items():
            logits = predict_logits(network, to_batch([sample]).images.to(device))
            above[title] = _map(logits.argmax(dim=1))
            entropy = entropy_and_confidence(logits)[0]
            below[f"entropy {title}"] = _map(entropy / np.log(logits.shape[1]), np.float64)
        rows += [above, below]
    return plots.map_rows(rows)


# --- certainty --------------------------------------------------------------------------------------------------------


def certainty_table(networks: Mapping[str, nn.Module], lab: Lab, threshold: float = 0.8, limit: int = 50) -> Noted:
    """How sure networks are on the target, and how often they are surely wrong: shares of pixels in percent.

    Args:
        networks: segmenters by title, on their device.
        lab: whose report split is looked at, with its labels.
        threshold: above which a prediction is sure.
        limit: pictures.
    """
    import pandas

    rows = {}
    for title, network in networks.items():
        found = class_confidence(network, lab.target(), threshold, limit=limit)
        rows[title] = {
            "mean entropy, nats": f"{_ratio(found.entropy, found.pixels):.2f}",
            f"above {threshold:g}, %": _cell(found.passing, found.pixels),
            "of these wrong, %": _cell(found.passing_wrong, found.passing_labelled),
            "of all wrong, %": _cell(found.wrong, found.labelled),
            f"of the wrong above {threshold:g}, %": _cell(found.passing_wrong, found.wrong),
        }
    table = pandas.DataFrame.from_dict(rows, orient="index").rename_axis(lab.target().name)
    return Noted(table, _looked_at(lab, limit))


def sure_and_wrong(networks: Mapping[str, nn.Module], lab: Lab, threshold: float = 0.8, limit: int = 50) -> Noted:
    """By predicted class, the share of its pixels that is sure, and of those the share that is wrong, in percent.

    Args:
        networks, lab, threshold, limit: as for :func:`certainty_table`.
    """
    import pandas

    columns, first = {}, None
    for title, network in networks.items():
        found = class_confidence(network, lab.target(), threshold, limit=limit)
        first = found if first is None else first
        columns[title, f"above {threshold:g}"] = _cells(found.passing, found.pixels)
        columns[title, "wrong"] = _cells(found.passing_wrong, found.passing_labelled)
    table = pandas.DataFrame(columns, index=CLASS_NAMES)
    order = np.argsort(-first.pixels, kind="stable")
    said = f"Predicted classes, the most frequent of “{next(iter(networks))}” first. – where there is no such pixel."
    return Noted(table.iloc[order].rename_axis("%"), f"{said} {_looked_at(lab, limit)}")


def _looked_at(lab: Lab, limit: int) -> str:
    count = len(evenly(len(lab.target()), limit))
    return (
        f"{count} pictures of {lab.target().name} ({lab.target().split}), with their labels: a look behind the curtain."
    )


def _ratio(part: np.ndarray, whole: np.ndarray) -> float:
    return float(part.sum() / whole.sum()) if whole.sum() else np.nan


def _cell(part: np.ndarray, whole: np.ndarray) -> str:
    share = _ratio(part, whole)
    return "–" if np.isnan(share) else f"{100 * share:.1f}"


def _cells(part: np.ndarray, whole: np.ndarray) -> list[str]:
    return [_cell(one, other) for one, other in zip(part, whole, strict=True)]


def pasting_table(thresholds: Tensor, available: Collection[int]) -> pandas.DataFrame:
    """Long-tail pasting by both readings of yan2022, §III-C: how often each class is drawn, in percent.

    Args:
        thresholds: α ``(C,)``.
        available: trainIds that the database has.
    """
    import pandas

    alpha, classes = thresholds.double(), sorted(available)
    other = torch.zeros_like(alpha)
    other[classes] = (1 / alpha[classes].softmax(dim=0)) / (1 / alpha[classes].softmax(dim=0)).sum()
    ours = selection_probabilities(thresholds, available)
    columns = {
        "α": [f"{value:.2f}" for value in alpha.tolist()],
        "softmax of 1/α (ours), %": [f"{100 * value:.1f}" for value in ours.tolist()],
        "1/softmax of α, %": [f"{100 * value:.1f}" for value in other.tolist()],
    }
    order = sorted(classes, key=lambda index: float(alpha[index]))
    return pandas.DataFrame(columns, index=CLASS_NAMES).iloc[order]


# --- published and recorded -------------------------------------------------------------------------------------------

FIXED = ("0.2", "0.4", "0.6", "0.8")


def recorded_thresholds(pair: str, measure: str = "last13", profile: str = "mini") -> Noted:
    """Table VI, and below each loss ours, as far as it has been recorded: mean mIoU in percent.

    Args:
        pair, profile: of the recording.
        measure: as for :func:`labkit.report.recorded_beside`; Table VI is over thirteen classes.
    """
    import pandas

    published = load("yan2022", "table6")
    outcome = load_results("yan2022.table6", pair, profile)
    recorded = {row["name"]: row for row in outcome["rows"]} if outcome else {}
    over = {"last13": "13 classes", "last16": "16 classes"}.get(measure, "all its classes")
    ours = f"{outcome['data'] if outcome else pair_named(pair).title}, {over}"
    rows = {}
    for name, printed in published.iterrows():
        rows[f"{name}, paper: {published.attrs['data']}"] = {
            f"t = {head}": "–" if np.isnan(value) else f"{value:.1f}" for head, value in printed.items()
        }
        rows[f"{name}, ours: {ours}"] = {
            f"t = {head}": "–" if np.isnan(value) else _recorded(recorded.get(f"{name}, {head}"), outcome, measure)
            for head, value in printed.items()
        }
    table = pandas.DataFrame.from_dict(rows, orient="index").rename(columns={"t = dynamic": "t dynamic"})
    note = provenance(outcome) if outcome else str(recorded_seeds("yan2022.table6", pair, profile))
    return Noted(table.rename_axis(f"mIoU %, ours with the profile {profile}"), note)


def recorded_means(sweep: str, pair: str, profile: str = "mini") -> Noted | Words:
    """A recorded sweep over all classes, over SYNTHIA's sixteen and over thirteen: mean ± deviation, in percent.

    Args:
        sweep, pair, profile: as for :func:`labkit.report.recorded_seeds`.
    """
    import pandas

    outcome = load_results(sweep, pair, profile)
    if outcome is None:
        return recorded_seeds(sweep, pair, profile)
    rows = {}
    for row in outcome["rows"]:
        for measure in ("last", "last16", "last13"):
            values, classes = scores_of(measure, row, outcome["report"]["evaluation"])
            if None in values:
                continue
            rows.setdefault(row["name"], {})[f"over {classes} classes"] = percent_text(values)
    table = pandas.DataFrame.from_dict(rows, orient="index")
    return Noted(table.rename_axis(f"mIoU %, {outcome['data']}"), provenance(outcome))


def _recorded(row: Mapping | None, outcome: Mapping | None, measure: str) -> str:
    if row is None:
        return "not recorded"
    values, _ = scores_of(measure, row, outcome["report"]["evaluation"])
    return "–" if None in values else f"{100 * np.mean(values):.1f}"


def weights_figure(sweep: str, pair: str, profile: str = "mini"):
    """mIoU by the weight of a loss, as recorded; triangles are the weights that the paper chose.

    Args:
        sweep: ``yan2022.figure7`` (λ_u of each loss) or ``yan2022.figure8`` (λ_m).
        pair, profile: of the recording.

    Returns:
        A figure; words where nothing has been recorded.
    """
    outcome = load_results(sweep, pair, profile)
    if outcome is None:
        return recorded_seeds(sweep, pair, profile)
    weight = "lambda_m" if sweep.endswith("8") else "lambda_u"
    scores = {row["name"]: row["miou"] for row in outcome["rows"]}
    points: dict[str, list[tuple[float, list[float]]]] = {}
    marks = {}
    for row in SWEEPS[sweep].rows:
        if row.name in scores:
            name = row.name.partition(",")[0] if weight == "lambda_u" else "Stage 2"
            points.setdefault(name, []).append((row.settings[weight], scores[row.name]))
            marks[name] = getattr(create_method(row.method), weight)
    lines = {
        name: ([at for at, _ in sorted(found)], np.array([values for _, values in sorted(found)]).T)
        for name, found in points.items()
    }
    return plots.scores_by_weight(
        lines,
        axis="λ_m" if weight == "lambda_m" else "λ_u",
        title=f"{outcome['data']}, profile {profile}",
        marks=marks,
        logarithmic=weight == "lambda_u",
    )


def adaptation_costs(lab: Lab, before: Mapping[str, Run], stages: Mapping[str, Run], repeats: int = 10) -> Noted:
    """Table VII, and below each network ours: measured here, but for DeepLabV2, which this page does not train.

    Args:
        lab: whose picture size and device are measured.
        before: the trainings that the stages begin with, by title.
        stages: the stages' trainings, by title; the last is the one whose accuracy counts.
        repeats: timed passes.
    """
    import pandas

    printed = load("yan2022", "table7")
    height, width = lab.size
    device = choose_device(lab.device)
    last = list(stages.values())[-1]
    seconds = sum(run.result["seconds"] for run in (*before.values(), *stages.values()))
    rows, big = {}, []
    for network, name in (("BiSeNet", "bisenet"), ("DeepLabV2", "deeplabv2")):
        paper = printed.loc[f"Ours, {network}"]
        rows[f"{network}, paper, Cityscapes, size not given"] = {
            "multiply-adds, G": f"{paper['MACs']:g}",
            "parameters, M": f"{paper['parameters']:g}",
            "disk, MB": f"{paper['disk']:g}",
            "training": f"{paper['training time']:g} h, two 3090",
            "inference, ms": f"{paper['inference time']:g}, {'one 3090' if name == 'bisenet' else '3090'}",
            "mIoU, %": f"{paper['mIoU from GTA5']:g} / {paper['mIoU from SYNTHIA']:g} (GTA5 / SYNTHIA)",
        }
        model = create_model(name)
        size = sum(value.numel() * value.element_size() for value in model.state_dict().values())
        trained = name == last.description["model"]["name"]
        latency = measure_latency(model, lab.size, device, repeats)
        big.append(f"{network} {sum(multiply_adds(model, (1024, 2048)).values()) / 1e9:.0f} G")
        rows[f"{network}, here, {height}×{width}"] = {
            "multiply-adds, G": f"{sum(multiply_adds(model, lab.size).values()) / 1e9:.2f}",
            "parameters, M": f"{count_parameters(model).live / 1e6:.2f}",
            "disk, MB": f"{size / 1e6:.0f}",
            "training": f"{seconds / 60:.1f} min" if trained else "not trained here",
            "inference, ms": f"{latency.mean:.1f} ± {latency.std:.1f}",
            "mIoU, %": f"{100 * last.scores.miou:.1f}, {lab.target().name}" if trained else "–",
        }
    note = (
        f"Here: {device.type}, float32, one picture at a time; training is that of {', '.join((*before, *stages))}. At "
        f"Cityscapes' own 1024×2048 our networks take {' and '.join(big)}."
    )
    return Noted(pandas.DataFrame.from_dict(rows, orient="index"), note)


def class_means(runs: Mapping[str, Run]) -> pandas.DataFrame | Words:
    """The mean IoU of runs over 19, 16 and 13 classes, in percent; words where the target's classes are merged ones."""
    import pandas

    keys: Sequence[str] = ("miou", "miou16", "miou13")
    scores = {title: run.scores for title, run in runs.items()}
    if any(one.evaluation == "miou11" for one in scores.values()):
        return Words("CamVid's labels are eleven merged classes: there is no mean over SYNTHIA's sixteen or thirteen.")
    heads = {key: f"mean over {len(EVALUATIONS[key].train_ids)} classes" for key in keys}
    rows = {
        title: {heads[key]: "–" if (value := one.over(key)) is None else f"{100 * value:.1f}" for key in keys}
        for title, one in scores.items()
    }
    return pandas.DataFrame.from_dict(rows, orient="index")
