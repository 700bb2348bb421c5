"""The papers' bibliographic facts, by the key that the course cites them with."""

from __future__ import annotations

from typing import NamedTuple


class Paper(NamedTuple):
    """What a citation needs."""

    key: str
    title: str
    authors: tuple[str, ...]
    year: int
    affiliation: str


PAPERS: dict[str, Paper] = {
    paper.key: paper
    for paper in (
        Paper(
            "baitan2025",
            "Real-time Domain Adaptation in Semantic Segmentation",
            ("Cristina Baitan", "Cecilia Bergamini", "Letizia Chiera", "Rossana Ciarfaglia"),
            2025,
            "Politecnico di Torino",
        ),
        Paper(
            "loda2025",
            "Segmentation on GTA-V and MMD Domain Adaptation to Cityscapes",
            ("Enrico Loda", "Luca Panariello"),
            2025,
            "University of Verona",
        ),
        Paper(
            "toldo2020",
            "Unsupervised Domain Adaptation for Mobile Semantic Segmentation based on Cycle Consistency and "
            "Feature Alignment",
            ("Marco Toldo", "Umberto Michieli", "Gianluca Agresti", "Pietro Zanuttigh"),
            2020,
            "University of Padova",
        ),
        Paper(
            "yan2022",
            "Threshold-adaptive Unsupervised Focal Loss for Domain Adaptation of Semantic Segmentation",
            ("Weihao Yan", "Yeqiang Qian", "Chunxiang Wang", "Ming Yang"),
            2022,
            "Shanghai Jiao Tong University",
        ),
    )
}
"""All papers, by key."""
