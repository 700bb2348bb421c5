"""Figures: each function takes plain arrays or data frames and gives a matplotlib figure, without pyplot.

The functions load on first use, so that importing this package costs nothing.
"""

from importlib import import_module

_HOMES = {
    "class_frequencies": "domains",
    "class_iou_bars": "bars",
    "channel_statistics": "domains",
    "confusion_figure": "confusions",
    "draw_label_map": "label_maps",
    "feature_projection": "features",
    "label_map_figure": "label_maps",
    "learning_curves": "curves",
    "Panel": "panels",
    "prediction_panels": "panels",
    "score_curves": "curves",
    "slider": "frames",
    "statistics_by_channel": "features",
    "styles_figure": "label_maps",
    "theme": "style",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
