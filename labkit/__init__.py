"""labkit: unsupervised domain adaptation for real-time semantic segmentation, as the course teaches it.

Notebooks call :class:`labkit.lab.Lab`; everything else is a small module that can be read on its own.
Importing the package loads nothing heavy: ask for a module when you need it.
"""

__version__ = "0.1.0"
