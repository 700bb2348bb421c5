"""The published tables: recomputed where they can be, and every contradiction found that way is noted."""

import numpy as np
import pytest
from cityscapesscripts.helpers.labels import trainId2label

from labkit import papers
from labkit.errors import UnknownNameError

CLASSES = [trainId2label[i].name for i in range(19)]
TABLES = [(paper, table) for paper in ("baitan2025",) for table in papers.table_names(paper)]
PER_CLASS = [name for name in TABLES if {"mIoU", *CLASSES} <= set(papers.load(*name).columns)]
CONTRADICTED = {("baitan2025", "table8"): (26.31, 22.53)}


@pytest.mark.parametrize(("paper", "table"), TABLES)
def test_every_table_says_what_it_is(paper, table):
    frame = papers.load(paper, table)
    assert len(frame) and len(frame.columns) and frame.index.is_unique
    assert paper in papers.PAPERS
    about = frame.attrs
    assert (about["paper"], about["table"]) == (paper, table)
    assert about["caption"].endswith(".") and "§" in about["section"] and "Cityscapes" in about["data"]
    assert about["unit"] and set(about["units"]) <= set(frame.columns)
    assert all(note.endswith(".") for note in about["notes"])
    # An empty cell is one that was lost, and the table says so.
    assert frame.isna().to_numpy().any() == bool(about["lost"])


@pytest.mark.parametrize(("paper", "table"), PER_CLASS)
def test_the_printed_mean_is_the_mean_of_the_printed_classes(paper, table):
    frame = papers.load(paper, table)
    means = frame[CLASSES].astype(np.float64).mean(axis=1)
    if (paper, table) in CONTRADICTED:
        printed, recomputed = CONTRADICTED[paper, table]
        assert frame["mIoU"].iloc[0] == printed
        assert means.iloc[0] == pytest.approx(recomputed, abs=0.005)
        text = " ".join(frame.attrs["notes"])
        assert str(printed) in text and str(recomputed) in text
    else:
        np.testing.assert_allclose(means, frame["mIoU"], atol=0.00501)  # rounded to two decimals


def test_all_of_baitan2025_is_there():
    assert papers.table_names("baitan2025") == tuple(f"table{n}" for n in range(1, 9))
    assert [table for _, table in PER_CLASS] == ["table2", "table3", "table4", "table8"]
    assert any("max_iter" in note for note in papers.notes("baitan2025"))


def test_the_numbers_a_reader_quotes():
    first = papers.load("baitan2025", "table1")
    assert first.loc["BiSeNet"].tolist() == [45.39, 16.20, 1.35, 25.78, 12.582]
    assert first.loc["DeepLabV2"].tolist() == [51.77, 247.23, 12.31, 375, 43.901]
    assert papers.load("baitan2025", "table2").loc["source only", ["mIoU", "road", "bicycle"]].tolist() == [
        18.76,
        44.8,
        0.0,
    ]
    third = papers.load("baitan2025", "table3")
    assert third["mIoU"].to_dict() == {
        "1": 16.25,
        "2": 23.07,
        "3": 15.71,
        "12": 22.79,
        "23": 25.57,
        "123": 24.65,
    }
    assert third.loc["23", "road"] == 78.61 and third.loc["123", "car"] == 53.70
    assert papers.load("baitan2025", "table4").loc["adversarial", "mIoU"] == 23.89
    assert papers.load("baitan2025", "table5").loc["2"].tolist() == [22.53, 25.07, 36]
    assert papers.load("baitan2025", "table7").loc["3"].tolist() == [16.94, 24.67, 11]


def test_what_the_notes_claim_holds_in_the_tables():
    third = papers.load("baitan2025", "table3")
    baseline = papers.load("baitan2025", "table2").loc["source only", "mIoU"]
    assert set(third.index[third["mIoU"] < baseline]) == {"1", "3"}
    assert "13" not in third.index
    assert papers.load("baitan2025", "table4").loc["adversarial", "mIoU"] < third.loc["23", "mIoU"]
    focal = papers.load("baitan2025", "table5")
    assert focal.loc["0", "last mIoU"] == third.loc["23", "mIoU"]
    assert focal.loc["2", "last mIoU"] == 22.53 and focal.loc["2", "best mIoU"] == 25.07
    assert (focal["last mIoU"] <= focal["best mIoU"]).all()


def test_the_colours_are_cityscapes_own():
    colours = papers.load("baitan2025", "table6")
    assert colours.index.tolist() == [str(i) for i in range(19)]
    for train_id, row in colours.iterrows():
        label = trainId2label[int(train_id)]
        assert (row["red"], row["green"], row["blue"]) == label.color and row["class"] == label.name


def test_a_loaded_table_is_the_callers_own():
    frame = papers.load("baitan2025", "table1")
    frame.iloc[0, 0] = 0
    frame.attrs["notes"].clear()
    again = papers.load("baitan2025", "table1")
    assert again.iloc[0, 0] == 51.77 and again.attrs["notes"]


@pytest.mark.parametrize(
    ("paper", "table", "known"),
    [
        ("baitan2024", "table1", "baitan2025"),
        ("baitan2025", "table9", "table8"),
        ("../x", "table1", "baitan2025"),
    ],
)
def test_unknown_names_are_answered_with_the_known_ones(paper, table, known):
    with pytest.raises(UnknownNameError, match=known):
        papers.load(paper, table)


def test_the_catalogue_names_all_four_papers():
    assert set(papers.PAPERS) == {"baitan2025", "loda2025", "toldo2020", "yan2022"}
    for key, paper in papers.PAPERS.items():
        assert key == paper.key and key.endswith(str(paper.year)) and paper.title and paper.authors
        assert paper.authors[0].split()[-1].lower() == key[:-4]
