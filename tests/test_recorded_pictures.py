"""Recorded predictions beside the pictures that they are of."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from labkit import plots, report
from labkit.data.export import encode_png
from labkit.files import write_json
from labkit.lab import Lab
from labkit.labels import PALETTE
from labkit.report.results import load_results


@pytest.fixture
def recorded(tmp_path):
    """A recording of two rows on MiniCity, whose predictions are the truth with one class painted over."""
    lab = Lab("smoke", data=tmp_path)
    target = lab.target()
    outcome = load_results("baitan2025.table2", "minicity") | {"profile": "smoke"}
    rows = []
    for number, row in enumerate(outcome["rows"], start=1):
        pictures = {}
        for index in (0, 3):
            label = target[index].label.copy()
            label[label == 0] = number
            picture = Image.fromarray(label)
            picture.putpalette(PALETTE.flatten().tolist())
            pictures[target[index].name] = f"{number}-{index}.png"
            (tmp_path / pictures[target[index].name]).write_bytes(encode_png(picture))
        rows.append(row | {"pictures": pictures})
    write_json(tmp_path / "baitan2025.table2.minicity.smoke.json", outcome | {"rows": rows})
    return lab, tmp_path


def test_the_pictures_are_those_that_were_recorded(recorded, monkeypatch):
    lab, folder = recorded
    shown = {}
    monkeypatch.setattr(plots, "prediction_panels", lambda panels, evaluation: shown.update(panels=panels))
    rows = {title: ("baitan2025.table2", title) for title in ("source only", "oracle")}
    report.recorded_prediction_figure(lab, rows, folder)
    for panel, index in zip(shown["panels"], (0, 3), strict=True):
        sample = lab.target()[index]
        assert panel.name == sample.name and (panel.truth == sample.label).all()
        for number, title in enumerate(rows, start=1):
            expected = np.where(sample.label == 0, number, sample.label)
            assert (panel.predictions[title] == expected).all()


def test_it_is_a_figure(recorded):
    lab, folder = recorded
    figure = report.recorded_prediction_figure(lab, {"oracle": ("baitan2025.table2", "oracle")}, folder)
    assert figure.axes


def test_what_is_not_there_is_said(recorded, tmp_path):
    _, folder = recorded
    rows = {"1": ("baitan2025.table3", "1")}
    assert "has not been recorded" in str(report.recorded_prediction_figure(Lab("smoke-9"), rows, folder))
    camvid = Lab("mini", "minicity-camvid", data=tmp_path / "none")
    assert "CamVid is not under" in str(report.recorded_prediction_figure(camvid, rows))
