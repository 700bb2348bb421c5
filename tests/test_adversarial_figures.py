"""The figures of notebook 05 show what they were given; the table of gradients is that of the real method."""

from __future__ import annotations

import io
import math

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from labkit import plots, report
from labkit.errors import LabError
from labkit.lab import Lab
from labkit.plots.style import SOURCE, TARGET

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (96, 192, 3), dtype=np.uint8)
SHARES = np.array([[0.0, 0.1, 0.5, 0.6, 0.9, 1.0]] * 3)


def game(steps: int = 100) -> pd.DataFrame:
    step = np.arange(10, steps + 1, 10)
    table = pd.DataFrame({"step": step, "discriminator accuracy": 0.5 + 0.4 * step / steps})
    table["loss/discriminator source"], table["loss/discriminator target"] = 0.7 - step / 1000, 0.7 - step / 500
    table["loss/adversarial"] = 0.7 + step / 100
    return table


def seen(*names: str, prediction: bool = True) -> plots.Seen:
    label = np.full((96, 192), 3, np.uint8) if prediction else None
    return plots.Seen(PICTURE, label, {name: np.full((96, 192), number / 4) for number, name in enumerate(names)})


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


FIGURES = {
    "seen": lambda: plots.seen_maps({"source": seen("road", "entropy"), "target": seen("road", "entropy")}),
    "maps alone": lambda: plots.seen_maps({"source": seen("road", prediction=False)}),
    "answers": lambda: plots.domain_answers({f"picture {i}": (PICTURE, SHARES) for i in range(3)}),
    "sigmoids": lambda: plots.loss_and_gradient(np.linspace(-8, 8, 9), {"one": (np.arange(9.0), np.arange(9.0))}),
    "game": lambda: plots.adversarial_game({"λ = 0.001": game(), "λ = 1": game(50)}),
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.filterwarnings("error")
def test_every_figure_draws_cleanly(name):
    shown = FIGURES[name]().png()
    pixels = np.asarray(Image.open(io.BytesIO(shown)).convert("RGB"))
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all()
    sizes = [t.get_fontsize() for t in FIGURES[name]().findobj(matplotlib.text.Text) if t.get_text().strip()]
    assert min(sizes) >= 9 and FIGURES[name]().png() == shown


def test_maps_are_dark_where_they_are_large():
    figure = plots.seen_maps({"source": seen("none", "some", "more")})
    shades = [ax.images[0].get_array()[0, 0].sum() for ax in figure.axes[2:]]
    assert shades == sorted(shades, reverse=True) and len(set(shades)) == 3
    assert {"source", "none", "some", "more", "wall"} <= set(texts(figure))
    with pytest.raises(LabError, match="the same maps"):
        plots.seen_maps({"source": seen("road"), "target": seen("sky")})


def test_answers_colour_the_part_of_the_picture_that_they_stand_for():
    figure = plots.domain_answers({"picture": (np.full((96, 192, 3), 255, np.uint8), SHARES)})
    drawn = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(drawn[:, 64:96], 1)  # a guess leaves the picture as it is
    cell = lambda column: drawn[40, 16 + 32 * column]  # noqa: E731
    for column, colour in ((0, SOURCE), (5, TARGET)):
        np.testing.assert_allclose(cell(column), 0.35 + 0.65 * np.array(matplotlib.colors.to_rgb(colour)))
    assert cell(3).sum() > cell(4).sum() > cell(5).sum()
    assert [t for t in texts(figure) if t[0] in "01"] == [f"{p:.2f}" for p in SHARES.ravel()]
    fine = plots.domain_answers({"picture": (PICTURE, RNG.random((16, 32)))})
    assert texts(fine) == ["picture"], "numbers without room"


def test_the_game_is_the_metrics_and_a_guess_lies_at_log_two():
    table = game()
    accuracy, judge, deceiver = plots.adversarial_game({"λ": table}).axes
    for ax, expected, guess in (
        (accuracy, table["discriminator accuracy"], 0.5),
        (judge, (table["loss/discriminator source"] + table["loss/discriminator target"]) / 2, math.log(2)),
        (deceiver, table["loss/adversarial"], math.log(2)),
    ):
        line, dashed = ax.lines
        np.testing.assert_allclose(line.get_ydata(), expected)
        assert dashed.get_ydata() == [guess, guess]
    with pytest.raises(LabError, match="is it an adversarial training"):
        plots.adversarial_game({"source only": table.drop(columns="loss/adversarial")})


def test_the_gradients_are_those_of_a_plain_backward_pass():
    """Of the adversarial term: the same networks and pictures, with ``backward`` and nothing of labkit's."""
    from labkit.data.transforms import normalize
    from labkit.models.discriminator import Discriminator
    from labkit.models.registry import create_model

    lab = Lab("smoke", "minicity")
    state = torch.get_rng_state()
    table = report.gradient_reach(lab, "adversarial")
    assert torch.equal(torch.get_rng_state(), state)
    assert list(table["taken by"]) == ["segmenter"] * 3 + ["discriminator"] * 2
    assert list(table["discriminator"])[:2] == ["–"] * 2 and list(table["segmenter"])[3:] == ["–"] * 2

    torch.manual_seed(0)
    judge = Discriminator(19)
    network = create_model("bisenet", seed=0).train()
    pictures = np.stack([lab.target("train")[i].image for i in (0, 8)]).transpose(0, 3, 1, 2)
    output = network(normalize(torch.from_numpy(pictures) / 255).contiguous(memory_format=torch.channels_last))
    z = judge(output.logits.softmax(1))
    (-(1 - z.sigmoid()).log().mean() * 0.001).backward()
    for name, one in (("segmenter", network), ("discriminator", judge)):
        norm = sum(p.grad.double().square().sum() for p in one.parameters() if p.grad is not None).sqrt()
        assert float(table.loc["adversarial", name]) == pytest.approx(float(norm), rel=0.06)
