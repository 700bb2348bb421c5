"""Image translation on a page: cheap rivals, what all of them come to, pictures both ways, and recorded numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from labkit import plots
from labkit.data.dataset import SegmentationDataset
from labkit.data.memory import InMemory
from labkit.data.restyle import (
    Restyled,
    by_reference,
    colour_moments,
    fit_channels,
    fit_covariance,
    match_histograms,
    swap_amplitude,
)
from labkit.data.selection import evenly
from labkit.data.transforms import to_batch, to_float
from labkit.evaluation.content import picture_agreement
from labkit.evaluation.predict import predict_labels
from labkit.evaluation.translations import (
    affine_share,
    colour_distance,
    frechet_distance,
    frechet_floor,
    label_agreement,
    spectrum,
    spectrum_distance,
)
from labkit.files import read_json
from labkit.labels import CLASS_NAMES
from labkit.papers import load
from labkit.profiles import pair_named
from labkit.report.results import RESULTS, load_results, provenance, recorded_seeds, scores_of
from labkit.report.speed import PRECISIONS
from labkit.report.spread import percent_text
from labkit.report.tables import Noted, Words
from labkit.translate import translate_images

if TYPE_CHECKING:
    import pandas

    from labkit.evaluation.scores import Scores
    from labkit.lab import Lab

AS_IT_IS, BEST_MAP, HISTOGRAM = "source as it is", "one map, all channels", "histogram matching"

METHODS = {"cyclegan": "CycleGAN, translation alone", "udamobile": "toldo2020, all of it"}

LOOKED_AT = 500
"""Pictures of the source that versions are made of: each version is kept in memory, and GTA5 holds out 6,382."""

BETAS = (0.01, 0.09)
"""The smallest and the largest β that FDA tries."""


# --- pictures ---------------------------------------------------------------------------------------------------------


def cheap_translations(lab: Lab, split: str = "val") -> dict[str, SegmentationDataset]:
    """The source's pictures as they are, and as five rivals without any learning give them the target's look.

    The two maps of colours are fitted to training pictures of both domains; histograms and amplitudes are those of one
    training picture of the target for each picture.

    Args:
        lab: whose domains.
        split: of the source; at most :data:`LOOKED_AT` of its pictures.
    """
    source, references = lab.source(split, lab.size, LOOKED_AT), lab.unlabelled_target()  # in one shape, to be compared
    own, other = colour_moments(lab.source()), colour_moments(references)
    changes = {}
    for title, fit in (("one map, each channel", fit_channels), (BEST_MAP, fit_covariance)):
        changes[title] = partial(_mapped, fit(own, other))
    changes[HISTOGRAM] = by_reference(references, match_histograms)
    for beta in BETAS:
        changes[f"Fourier, β = {beta:g}"] = by_reference(references, partial(swap_amplitude, beta=beta))
    restyled = {
        title: InMemory(Restyled(source, change, f"{source.name}, {title}", {"rival": title}))
        for title, change in changes.items()
    }
    return {AS_IT_IS: source, **restyled}


def _mapped(colour, picture, _):
    return colour(picture)


def triple_figure(generators: nn.ModuleDict, source: SegmentationDataset, target: SegmentationDataset, count: int = 2):
    """Original, adapted and reconstructed, both ways, of pictures spread evenly over both sets (toldo2020, Fig. 2).

    Args:
        generators: ``to_target`` and ``to_source``, as :func:`labkit.translate.load_generators` gives them.
        source, target: of pictures of one shape.
        count: pictures of each domain.
    """
    ways = ((source, target, "to_target", "to_source"), (target, source, "to_source", "to_target"))
    rows = []
    for dataset, other, there, back in ways:
        for index in evenly(len(dataset), count):
            picture = _picture(dataset, index).to(next(generators.parameters()).device)
            adapted = translate_images(generators[there], picture)
            again = translate_images(generators[back], adapted)
            rows.append(
                {
                    dataset.name: dataset[index].image,
                    f"as {other.name}": _as_uint8(adapted),
                    "and back": _as_uint8(again),
                }
            )
    return plots.picture_rows(rows)


def drift_figure(judge: nn.Module, originals: SegmentationDataset, translated: SegmentationDataset, count: int = 2):
    """The pictures whose label agreement a translation lowers most, as a network sees them before and after.

    Args:
        judge: a segmenter that knows the target.
        originals, translated: the same pictures with the same labels.
        count: pictures.

    Returns:
        A figure: the translated picture over its label, and the judge's answers for both pictures over their errors.
    """
    lost = picture_agreement(judge, originals) - picture_agreement(judge, translated)
    worst = np.argsort(-np.nan_to_num(lost, nan=-np.inf), kind="stable")[:count].tolist()
    before, after = ([dataset[index] for index in worst] for dataset in (originals, translated))
    panels = plots.make_panels(
        after,
        {"seen in the original": predict_labels(judge, before), "in the translation": predict_labels(judge, after)},
    )
    return plots.prediction_panels(panels, evaluation=originals.evaluation)


def _picture(dataset: SegmentationDataset, index: int):
    return to_float(to_batch([dataset[index]]).images)


def _as_uint8(pictures) -> np.ndarray:
    return (255 * pictures[0].clamp(0, 1)).round().byte().permute(1, 2, 0).cpu().numpy()


# --- how close, and at what price -------------------------------------------------------------------------------------


def translation_table(
    versions: Mapping[str, SegmentationDataset],
    target: SegmentationDataset,
    scores: Mapping[str, Scores],
    features: Mapping[str, np.ndarray],
    *,
    learned: Collection[str],
) -> Noted:
    """How far versions of the source's pictures are from the target, and whether they kept their content.

    Distances are those of :mod:`labkit.evaluation.translations`. The last row is what they say about two halves of
    the target, whose true distance is 0: nothing below it means anything.

    Args:
        versions: the same pictures by title; the first one as they are, among the others :data:`BEST_MAP` and
            :data:`HISTOGRAM`.
        target: pictures that no training has seen.
        scores: of a segmenter that knows the target, on each version, and under the target's name on the target.
        features: of such a segmenter, a vector for each picture ``(N, K)``, by the same titles.
        learned: titles of the translations that are to be judged in words below.

    Raises:
        LabError: fewer than four pictures of the target.
    """
    import pandas

    original = next(iter(versions.values()))
    of_target = features[target.name]
    count = min(len(original), len(of_target) // 2)
    halves = [_Half(target, part) for part in (0, 1)]
    looks = {title: (colour_moments(one), spectrum(one)) for title, one in versions.items()}
    aim, parts = (colour_moments(target), spectrum(target)), [(colour_moments(one), spectrum(one)) for one in halves]
    rows = {}
    for title, version in versions.items():
        rows[title] = {
            "colour": colour_distance(looks[title][0], aim[0]),
            "texture": spectrum_distance(looks[title][1], aim[1]),
            "features": frechet_of(features[title], of_target, count),
            "agreement": 100 * label_agreement(scores[title]),
            "share": np.nan if version is original else 100 * affine_share(original, version).share,
        }
    rows["halves of the target"] = {
        "colour": colour_distance(parts[0][0], parts[1][0]),
        "texture": spectrum_distance(parts[0][1], parts[1][1]),
        "features": float(frechet_floor(of_target, [count]).distances.mean()),
        "agreement": 100 * label_agreement(scores[target.name]),
        "share": np.nan,
    }
    heads = {
        "colour": ("colour, grey levels", "{:.1f}"),
        "texture": ("texture, dB", "{:.1f}"),
        "features": (f"Fréchet d², {count} pictures", "{:.3g}"),
        "agreement": ("label agreement, %", "{:.1f}"),
        "share": ("is one map of colours, %", "{:.0f}"),
    }
    shown = {
        title: {head: "–" if np.isnan(row[key]) else pattern.format(row[key]) for key, (head, pattern) in heads.items()}
        for title, row in rows.items()
    }
    table = pandas.DataFrame.from_dict(shown, orient="index").rename_axis(f"to {target.name}")
    return Noted(table, " ".join(verdict(title, rows) for title in learned))


def frechet_of(x: np.ndarray, y: np.ndarray, count: int) -> float:
    """The Fréchet distance of ``count`` vectors of each set, spread evenly over it."""
    return frechet_distance(*(one[list(evenly(len(one), count))] for one in (x, y)))


def verdict(title: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """In words: is a translation closer to the target than the source was, and does it keep content as rivals do?

    Args:
        title: of the translation.
        rows: by title ``colour``, ``texture``, ``features`` and ``agreement``; the first is the source as it is.
    """
    before, row = next(iter(rows.values())), rows[title]
    closer = [name for name in ("colour", "texture", "features") if row[name] < before[name]]
    farther = [name for name in ("colour", "texture", "features") if name not in closer]
    kept = [
        f"{'at least' if row['agreement'] >= rows[rival]['agreement'] else 'below'} that of {rival}"
        for rival in (HISTOGRAM, BEST_MAP)
    ]
    return (
        f"{title}: closer to the target than the source is in {_listed(closer)}, not closer in {_listed(farther)}; "
        f"label agreement {' and '.join(kept)}."
    )


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words) or "nothing"


class _Half:
    """Every other picture of a data set, from the first or from the second on."""

    def __init__(self, dataset: SegmentationDataset, first: int):
        self.dataset, self.first = dataset, first
        self.name, self.split, self.evaluation = dataset.name, dataset.split, dataset.evaluation

    def __len__(self) -> int:
        return (len(self.dataset) - self.first + 1) // 2

    def __getitem__(self, index: int):
        return self.dataset[2 * index + self.first]

    def fingerprint(self) -> dict:
        """The data set's own, and which half."""
        return self.dataset.fingerprint() | {"every other from": self.first}


def agreement_by_class(scores: Mapping[str, Scores], classes: int = 8) -> pandas.DataFrame:
    """Label agreement within the classes that have the most pixels, in percent, a column for each version.

    Args:
        scores: of one judge on several versions of the same pictures.
        classes: how many.
    """
    import pandas

    pixels = next(iter(scores.values())).counts.sum(axis=1)
    order = [index for index in np.argsort(-pixels, kind="stable")[:classes] if pixels[index]]
    columns = {"share of the pixels": pixels / max(pixels.sum(), 1)}
    columns |= {title: np.diag(one.counts) / np.maximum(one.counts.sum(axis=1), 1) for title, one in scores.items()}
    table = pandas.DataFrame(columns, index=CLASS_NAMES).iloc[order]
    return (100 * table).map("{:.1f}".format).rename_axis("%")


# --- published and recorded -------------------------------------------------------------------------------------------


def published_with_lost(paper: str, table: str) -> Noted:
    """A published table of scores by class, turned, its lost cells named as such; below, why, and what is odd."""
    published = load(paper, table)
    about = published.attrs
    cells = published.T.map(lambda value: "lost" if np.isnan(value) else f"{value:.1f}")
    note = " ".join(filter(None, (about["lost"], *about["notes"])))
    cells.columns = [f"{name}, {about['data']}" for name in cells]  # a column's head names its data
    return Noted(cells.rename_axis(f"paper, {about['data']}"), note)


def recorded_beside(sweep: str, pair: str, measure: str = "last", profile: str = "mini") -> Noted:
    """The means of a published table, and beside them ours, as far as they have been recorded.

    Args:
        sweep: ``PAPER.TABLE`` of a table of scores by class, with the column ``mIoU``.
        pair, profile: of the recording.
        measure: ``last``, or ``last16`` for the mean over SYNTHIA's sixteen classes, after the last step.
    """
    import pandas

    published = load(*sweep.split("."))
    outcome = load_results(sweep, pair, profile)
    recorded = {row["name"]: row for row in outcome["rows"]} if outcome else {}
    rows = {}
    for name, printed in published["mIoU"].items():
        rows[name] = {f"mIoU %, paper, {published.attrs['data']}": f"{printed:.1f}", "ours": "not recorded"}
        if name in recorded:
            values, classes = scores_of(measure, recorded[name], outcome["report"]["evaluation"])
            rows[name]["ours"] = f"{percent_text(values)} (over {classes})"
    head = f"mIoU %, {outcome['data'] if outcome else pair_named(pair).title}, profile {profile}"
    table = pandas.DataFrame.from_dict(rows, orient="index").rename(columns={"ours": head})
    return Noted(table, provenance(outcome) if outcome else str(recorded_seeds(sweep, pair, profile)))


def translation_speed(folder: Path = RESULTS) -> Noted | Words:
    """Time and memory of a step of CycleGAN and of toldo2020's method on a data-centre card; words if not measured."""
    import pandas

    path = folder / "translation_speed.json"
    if not path.is_file():
        return Words(
            "The speed on a data-centre card has not been recorded: benchmarks/translation_speed.py measures it."
        )
    measured = read_json(path)
    rows = {}
    for key, found in measured["training"].items():
        method, _, size, precision = key.split(", ")
        rows[f"{METHODS[method]}, {size.replace('x', '×')}, {PRECISIONS[precision]}"] = (
            {"ms a step": found["error"], "memory, GiB": "–"}
            if "error" in found
            else {
                "ms a step": f"{found['milliseconds_per_step']:.0f}",
                "memory, GiB": f"{found['memory_gib']:.1f}",
            }
        )
    environment = measured["environment"]
    note = (
        f"Recorded: benchmarks/translation_speed.py, batch 1, the papers' networks; one {environment['hardware']}, "
        f"PyTorch {environment['packages']['torch']}, commit {environment['commit']}, {environment['date']}."
    )
    return Noted(pandas.DataFrame.from_dict(rows, orient="index"), note)
