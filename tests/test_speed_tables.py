"""What a page says about the speed on a data-centre card: the recorded numbers, beside the printed ones."""

from __future__ import annotations

import json

import pytest

from labkit import report
from labkit.report.results import RESULTS


@pytest.fixture
def folder(tmp_path):
    measured = {
        "training": {
            "bisenet, batch 4, 32-true": {
                "pictures_per_second": 200.4,
                "milliseconds_per_step": 20,
                "memory_gib": 2.83,
            },
            "deeplabv2, batch 16, 32-true": {"error": "CUDA out of memory"},
        },
        "inference": {
            "bisenet, bf16, not compiled": {"milliseconds": 2.0, "deviation": 0.1},
            "deeplabv2, bf16, not compiled": {"milliseconds": 9.0, "deviation": 0.5},
            "bisenet, bf16, compiled": {"milliseconds": 1.0, "deviation": 0.1},
            "deeplabv2, bf16, compiled": {"error": "no compiler"},
        },
        "size": [512, 1024],
        "environment": {"hardware": "a card", "packages": {"torch": "2"}, "commit": "abc", "date": "today"},
    }
    (tmp_path / "gpu_speed.json").write_text(json.dumps(measured))
    return tmp_path


def test_training_by_network_batch_and_precision(folder):
    shown = report.training_speed(folder)
    assert list(shown.table.index) == ["DeepLabV2, batch 16, float32", "BiSeNet, batch 4, float32"]
    assert shown.table.loc["BiSeNet, batch 4, float32"].tolist() == ["200", "20.0", "2.8"]
    assert "out of memory" in shown.table.loc["DeepLabV2, batch 16, float32", "pictures/s"]
    assert "512×1024" in shown.note and "a card" in shown.note and "abc" in shown.note


def test_inference_stands_below_the_printed_latencies(folder):
    table = report.inference_speed(folder).table
    assert table.iloc[0].tolist() == ["247.2 ± 12.3", "16.2 ± 1.4", "15.3"]  # Table 1 of baitan2025
    assert table.loc["a card, bf16"].tolist() == ["9.0 ± 0.5", "2.0 ± 0.1", "4.5"]
    assert table.loc["a card, bf16, compiled"].tolist() == ["–", "1.0 ± 0.1", "–"]


def test_without_a_measurement_it_is_said(tmp_path):
    for show in (report.training_speed, report.inference_speed):
        assert "gpu_speed.py" in str(show(tmp_path))


def test_the_recorded_measurement_is_whole():
    measured = json.loads((RESULTS / "gpu_speed.json").read_text())
    assert measured["size"] == [512, 1024] and len(measured["training"]) == 12 and len(measured["inference"]) == 8
    assert len(report.training_speed().table) == 12 and len(report.inference_speed().table) == 5
