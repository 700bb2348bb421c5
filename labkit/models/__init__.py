"""Segmentation networks, by name (see :mod:`labkit.models.registry`)."""
