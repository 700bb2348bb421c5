"""MiniCity: generated street scenes in three styles, all 19 classes, the same pixels on every machine."""

from labkit.data.minicity.dataset import SPLITS, STYLES, VERSION, MiniCity

__all__ = ["SPLITS", "STYLES", "VERSION", "MiniCity"]
