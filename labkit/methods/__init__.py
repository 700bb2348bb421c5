"""Adaptation methods, one file each, that read like the paper's section."""
