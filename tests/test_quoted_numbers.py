"""Numbers that the notebooks' prose quotes from recorded sweeps are those of the records."""

from __future__ import annotations

import itertools
from pathlib import Path

import nbformat
import numpy as np
import pytest

from labkit.evaluation.bootstrap import paired_bootstrap
from labkit.labels import CLASS_NAMES
from labkit.report.results import load_results, scores_of
from labkit.report.standings import recorded_board, standings

ROOT = Path(__file__).parent.parent
CONTINUED, CIM = "Source only, continued", "Threshold-adaptive focal + CIM"
PASSES = "Target passes, λ = 0"
FOUR = ("Shannon", "Maximum squares", "Confidence", "Neutral")
SEVEN = ("Adversarial", "ADVENT", "MMD", "Shannon", "Maximum squares", "Confidence", "Neutral")


def prose(notebook: str, cell: str) -> str:
    """A cell's text on one line."""
    cells = nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", as_version=4).cells
    return " ".join(next(one.source for one in cells if one.id == cell).split())


def number(value: float, sign: str = "") -> str:
    return f"{value:{sign}.1f}".replace("-", "\N{MINUS SIGN}")


def listed(values) -> str:
    first, second, third = map(number, values)
    return f"{first}, {second} and {third}"


def over_sixteen(record) -> dict[str, np.ndarray]:
    """mIoU in percent over SYNTHIA's classes by row, a value a seed."""
    own = record["report"]["evaluation"]
    return {row["name"]: 100 * np.array(scores_of("last16", row, own)[0]) for row in record["rows"]}


def spread(values, sign: str = "") -> str:
    return f"{number(np.mean(values), sign)} ± {np.std(values, ddof=1):.1f}"


@pytest.fixture(scope="module")
def board():
    return recorded_board("minicity", "mini", ROOT / "results")


@pytest.fixture(scope="module")
def scores(board):
    """mIoU in percent by row, a value a seed."""
    return {row["name"]: 100 * np.array(row["miou"]) for row in board[0]["rows"]}


def test_what_the_board_shows(board, scores):
    text = prose("10_leaderboard", "board-shows")
    places = {one.name: one.place for one in standings(board[0], {})}
    adabn, stage_one, start = (
        scores[name] for name in ("Adaptive batch norm", "Threshold-adaptive focal", "Source only")
    )
    assert places["Adaptive batch norm"] == 3 and sum(place is not None for place in places.values()) == 20
    stage_two, seven = scores[CIM], [scores[name].mean() for name in SEVEN]
    by_seed = [number(one, "+") for one in sorted(scores[CIM] - adabn)]
    for quoted in (
        "Adaptive batch norm is third of twenty",
        f"{spread(adabn)}, {number((adabn - scores[CONTINUED]).mean())} points above it",
        f"has {spread(scores[CIM])}, seed by seed {by_seed[0]}, {by_seed[1]} and {by_seed[2]} beside it",
        f"lie between {number(min(seven))} and {number(max(seven))}",
        f"*Jitter + blur* ({number(scores['Jitter + blur'].mean())})",
        "source only {}, stage one {}, stage two {}".format(
            *(number(one.mean()) for one in (start, stage_one, stage_two))
        ),
        spread(scores[CIM] - stage_one, "+"),
        "{}, {} and {} with the three seeds".format(*map(number, scores["CycleGAN"])),
        f"({number(scores['CycleGAN + focal + CIM'][0])} with focal and CIM)",
        "({} and {} with the others)".format(*map(number, scores["CycleGAN + focal + CIM"][1:])),
        f"UDA mobile is good: {spread(scores['UDA mobile'])}",
        f"({spread(scores['Mean teacher with class mixing'] - scores[CONTINUED], '+')})",
    ):
        assert quoted in text, quoted
    assert (start < stage_one).all() and (stage_one < scores[CIM]).all(), "the order holds with every seed"


def test_how_often_pairing_widened_the_spread(scores):
    control = scores[CONTINUED]
    others = {name: one for name, one in scores.items() if name != CONTINUED}
    wider = sum(
        np.std(one - control, ddof=1) > np.hypot(np.std(one, ddof=1), np.std(control, ddof=1))
        for one in others.values()
    )
    assert f"In {wider} of {len(others)} rows" in prose("10_leaderboard", "board-shows")


def test_which_of_the_seven_losses_are_told_apart(board):
    _, counts = board
    found = {pair: paired_bootstrap(*(counts[name] for name in pair)) for pair in itertools.combinations(SEVEN, 2)}
    apart = {pair for pair, one in found.items() if one.low > 0 or one.high < 0}
    assert apart == {("MMD", "Neutral"), ("Shannon", "Neutral"), ("Confidence", "Neutral")}
    assert {f"{100 * found[pair].difference:.1f}" for pair in apart} == {"0.3"}
    text = prose("10_leaderboard", "board-shows")
    assert "three stay clear of zero (neutral lies 0.3 below MMD, Shannon and confidence)" in text
    beside = [paired_bootstrap(counts[name], counts["Jitter + blur"]) for name in SEVEN]
    assert all(one.low < 0 < one.high for one in beside)


def test_which_classes_are_named(board):
    rows = {row["name"]: row for row in board[0]["rows"]}
    text = prose("10_leaderboard", "classes-reading")

    def gain(name, of):
        return 100 * (np.mean(rows[name]["iou"][of]) - np.mean(rows[CONTINUED]["iou"][of]))

    for name, as_written in (
        ("CycleGAN", "CycleGAN"),
        ("UDA mobile", "UDA mobile"),
        ("Histogram matching", "histogram matching"),
    ):
        assert f"{as_written} (\N{MINUS SIGN}{-gain(name, 'sky'):.0f})" in text
    assert f"vegetation alone, {gain(CIM, 'vegetation'):.0f} points" in text
    contenders = [name for name in rows if name not in ("Source only", "Oracle", CONTINUED)]
    for of in ("car", "sidewalk", "road"):
        assert sum(gain(name, of) > 0 for name in contenders) >= len(contenders) - 2
    zero = [of for of in rows[CIM]["iou"] if all(100 * np.mean(row["iou"][of]) < 0.05 for row in rows.values())]
    assert len(zero) == 8 and "eight of the nineteen classes are at zero in every row" in text
    low = {of for of in rows[CIM]["iou"] if max(100 * np.mean(row["iou"][of]) for row in rows.values()) < 5}
    assert low - set(zero) == {"fence", "wall", "truck", "bus"} and "fence, wall, truck and bus below five" in text


def test_what_the_stages_show(board, scores):
    text = prose("09_threshold_focal_cim", "stages-reading")
    stage_one, adabn = scores["Threshold-adaptive focal"], scores["Adaptive batch norm"]
    for quoted in (
        f"source only {spread(scores['Source only'])}, *continued* {spread(scores[CONTINUED])}, "
        f"stage one {spread(stage_one)}, stage two {spread(scores[CIM])}",
        f"stage two adds {spread(scores[CIM] - stage_one)}",
        f"has {spread(adabn)} on the board",
        f"by {number((scores[CIM] - adabn).mean())} points on average, but with one seed of three it is only level",
    ):
        assert quoted in text, quoted
    assert ((scores[CIM] - adabn) < 0).sum() == 1


def test_what_the_stages_show_from_toon():
    toon, _ = recorded_board("minicity-toon", "mini", ROOT / "results")
    scores = {row["name"]: 100 * np.array(row["miou"]) for row in toon["rows"]}
    stage_one, adabn, passes = (scores[name] for name in ("Threshold-adaptive focal", "Adaptive batch norm", PASSES))
    text = prose("09_threshold_focal_cim", "toon-reading")
    losses = [scores[name].mean() for name in FOUR]
    for quoted in (
        f"source only has {spread(scores['Source only'])}, *continued* {spread(scores[CONTINUED])}",
        f"doubles that, to {spread(stage_one)}",
        f"learns nothing from them: {spread(passes)}",
        f"where these passes do, between {number(min(losses))} and {number(max(losses))}",
        "Stage one lies {}, {} and {} above them".format(*(number(one, "+") for one in stage_one - passes)),
        f"a mixture of both, has {spread(adabn)}",
    ):
        assert quoted in text, quoted
    assert {number(one) for one in scores[CIM] - stage_one} == {"0.1"} and "0.1 with every seed" in text
    assert round((stage_one - scores[CONTINUED]).mean()) == 7 and round((passes - scores[CONTINUED]).mean()) == 5


def test_what_thresholds_bring_from_toon():
    ablation = load_results("yan2022.table3", "minicity-toon", "mini", ROOT / "results")
    steps = over_sixteen(ablation)
    added = steps["focal + threshold"] - steps["focal"]
    passes = over_sixteen(recorded_board("minicity-toon", "mini", ROOT / "results")[0])[PASSES]
    text = prose("09_threshold_focal_cim", "toon-reading")
    for quoted in (
        f"the focal loss has {spread(steps['focal'])}, and the dynamic ones add {listed(added)} with the three seeds",
        f"at half its size ({number(added.mean())} on average, there 3.1)",
        f"The passes alone have {spread(passes)} there",
    ):
        assert quoted in text, quoted
    assert added.mean() / (steps["focal + threshold"] - passes).mean() > 0.6, "mostly its thresholds"


def test_what_the_board_shows_from_toon():
    scores = over_sixteen(recorded_board("minicity-toon", "mini", ROOT / "results")[0])
    adabn, passes, control = (scores[name] for name in ("Adaptive batch norm", PASSES, CONTINUED))
    stage_one, stage_two, blurred = (scores[name] for name in ("Threshold-adaptive focal", CIM, "Jitter + blur"))
    text = prose("10_leaderboard", "sources-reading")
    means = [(scores[name] - passes).mean() for name in FOUR]
    below = [number((adabn - one).mean()) for one in (stage_two, stage_one)]
    for quoted in (
        f"is first there, {number((adabn - control).mean())} points above the control",
        "stage two and stage one lie {} and {} points".format(*below),
        f"the same pictures through the same batch norms, {number((passes - control).mean(), '+')}",
        f"{number(min(means))} to {number(max(means), '+')} points on average",
        "Stage one lies {}, {} and {} above it".format(*(number(one, "+") for one in stage_one - passes)),
        f"more than half of what is first ({number((blurred - control).mean(), '+')})",
    ):
        assert quoted in text, quoted
    assert (adabn > stage_one).sum() == (adabn > stage_two).sum() == 2
    assert all(0 < (scores[name] > passes).sum() < 3 for name in FOUR)
    assert 2 * (blurred - control).mean() > (adabn - control).mean()


def test_what_photographs_show():
    photographs, counts = recorded_board("minicity-camvid", "mini", ROOT / "results")
    scores = {row["name"]: 100 * np.array(row["miou"]) for row in photographs["rows"]}
    start, control, adabn = (scores[name] for name in ("Source only", CONTINUED, "Adaptive batch norm"))
    stage_one, stage_two = scores["Threshold-adaptive focal"], scores[CIM]
    losses = [scores[name].mean() for name in FOUR]
    rows = load_results("yan2022.table2", "minicity-camvid", "mini", ROOT / "results")["rows"]
    translated = next(row for row in rows if row["name"] == "Baseline (IST), BiSeNet")
    text = prose("09_threshold_focal_cim", "photographs-reading")
    for quoted in (
        f"Source only has {spread(start)}, *continued* {spread(control)}, stage one {spread(stage_one)} and stage two "
        f"{spread(stage_two)}",
        "stage one has {}, {} and {} with the three seeds".format(*(number(one, "+") for one in stage_one - control)),
        "beside stage one {}, {} and {}".format(*(number(one, "+") for one in stage_two - stage_one)),
        f"adaptive batch norm has {spread(adabn)}, the passes with λ = 0 have {spread(scores[PASSES])}",
        f"by class lie between {number(min(losses))} and {number(max(losses))}. No two",
        "a CycleGAN's draw: {}".format(listed(100 * np.array(translated["miou"]))),
    ):
        assert quoted in text, quoted
    rows = photographs["rows"]
    never = {of for of in rows[0]["iou"] if all(100 * np.mean(row["iou"][of]) < 0.05 for row in rows)}
    assert len(never) == 6 and {"vegetation", "person"} < never and "Six of the eleven classes are at zero" in text
    stages = load_results("yan2022.stages", "minicity-camvid", "mini", ROOT / "results")
    ends = {row["name"]: np.mean([one["val/loss"][-1] for one in row["curves"]]) for row in stages["rows"]}
    assert f"stage one ends at {number(ends['Stage 1'])}, that of *continued* at {number(ends[CONTINUED])}" in text
    thresholds = next(row["curves"] for row in stages["rows"] if row["name"] == "Stage 1")
    last = {of: np.array([one[f"threshold/{of}"][-1] for one in thresholds]) for of in CLASS_NAMES}
    assert all((last[of] == 0.8).all() for of in ("traffic sign", "person", "rider"))
    assert "their thresholds stand at 0.8" in text
    assert (
        "vegetation's to about {}, that of poles to {}".format(
            *(number(last[of].mean()) for of in ("vegetation", "pole"))
        )
        in text
    )
    found = {one.name: one for one in standings(photographs, counts)}
    placed = [one for one in found.values() if one.place and one.name != CONTINUED]
    board_text = prose("10_leaderboard", "photographs-reading")
    assert all(one.bootstrap.low < 0 < one.bootstrap.high for one in placed)
    means = [one.scores.mean() for one in found.values() if one.place]
    assert f"within half a point ({number(100 * min(means))} to {number(100 * max(means))})" in board_text
    assert (
        100 * (max(means) - min(means)) <= 0.5
        and f"{number(found['Threshold-adaptive focal'].gains[0])} points" in board_text
    )


def test_what_longer_trainings_on_photographs_show():
    stages = load_results("yan2022.stages", "minicity-camvid", "mini-900", ROOT / "results")
    board = load_results("yan2022.leaderboard", "minicity-camvid", "mini-900", ROOT / "results")
    rows = {row["name"]: row for row in stages["rows"]}
    last = {name: number(100 * row["miou"][0]) for name, row in rows.items()}
    text = prose("09_threshold_focal_cim", "photographs-longer-reading")
    adabn, passes = (
        next(row for row in board["rows"] if row["name"] == name)["miou"][0] for name in ("Adaptive batch norm", PASSES)
    )
    loss = {name: number(row["curves"][0]["val/loss"][-1]) for name, row in rows.items()}
    for quoted in (
        f"the start has {last['Source only']}, stage one ends at {last['Stage 1']}, stage two at {last['Stage 2']}, "
        f"*continued* at {last[CONTINUED]}",
        f"adaptive batch norm has {number(100 * adabn)} and the passes with λ = 0 have {number(100 * passes)}",
        "Stage two has {} points more than the one and {} more".format(
            *(number(100 * (rows["Stage 2"]["miou"][0] - one)) for one in (adabn, passes))
        ),
        f"from the start's {loss['Source only']} to {loss['Stage 2']}, "
        f"where *continued* ends at {loss[CONTINUED]} and stage one at {loss['Stage 1']}",
    ):
        assert quoted in text, quoted
    own = sorted(number(100 * (rows["Stage 1"]["miou"][0] - one)) for one in (adabn, passes))
    assert own == ["0.5", "1.0"] and "half a point to a point is its own" in text
    read = [100 * one for one in rows["Stage 1"]["curves"][0]["val/miou"]]
    assert f"between {number(min(read[1:]))} and {number(max(read[1:]))}" in text
