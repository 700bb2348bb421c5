"""Checks for the exercises of notebook 01, data sets and label maps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from labkit.exercises.answer import Answer, checked, hint, right
from labkit.labels import CITYSCAPES_TO_TRAIN, IGNORE, NUM_CLASSES, SYNTHIA_TO_TRAIN


@checked
def check_lookup(student: Callable[[np.ndarray], np.ndarray]) -> Answer:
    """Exercise 1.1: Cityscapes ids, uint8 ``(H, W)``, to trainIds, uint8 ``(H, W)``."""
    ids = np.arange(34, dtype=np.uint8).reshape(2, 17)
    given = student(ids.copy())
    if given is None:
        return hint("The function returns nothing yet. A table of 256 entries, indexed by the map, will do.")
    given, wanted = np.asarray(given), CITYSCAPES_TO_TRAIN[ids]
    if given.shape != ids.shape:
        return hint(f"A map of shape {ids.shape} came in, one of shape {given.shape} went out.")
    wrong = np.argwhere(given != wanted)
    if len(wrong):
        place = tuple(wrong[0])
        if wanted[place] == IGNORE and given[place] == 0:
            return hint(f"Id {ids[place]} has no trainId, but became road (0). What should a table begin with?")
        if len(wrong) > 15:
            return hint(
                "Most entries are wrong. A chain of replacements maps 7 to 0, then 0 to something: use a table."
            )
        return hint(f"Id {ids[place]} became {given[place]} instead of {wanted[place]}; {len(wrong)} ids are wrong.")
    if given.dtype != np.uint8:
        return hint(f"Right, but as {given.dtype}: a uint8 map takes an eighth of the memory of an int64 one.")
    if not (student(np.full((2, 2), 255, np.uint8)) == IGNORE).all():
        return hint("Id −1, the licence plate, is stored as 255 in eight bits, and has to be ignored too.")
    rest = np.arange(34, 256, dtype=np.uint8).reshape(2, 111)
    if not (student(rest.copy()) == IGNORE).all():
        return hint(
            "Numbers from 34 on are no classes: GTA5 stores the licence plate as 34, Cityscapes' −1 is 255 in eight "
            "bits. All of them have to be ignored. What should a table begin with?"
        )
    return right("One look-up takes a third of the time of nineteen masks, and forgets no id.")


@checked
def check_synthia(student: Callable[[np.ndarray], np.ndarray]) -> Answer:
    """Exercise 1.2: a SYNTHIA label as OpenCV reads it, uint16 ``(H, W, 3)`` in the order B, G, R, to trainIds."""
    random = np.random.default_rng(1)
    ids = random.integers(0, 23, (6, 8)).astype(np.uint16)
    stored = np.stack([np.zeros_like(ids), random.integers(0, 300, ids.shape).astype(np.uint16), ids], axis=-1)
    given = student(stored.copy())
    if given is None:
        return hint("The function returns nothing yet. Which of the three channels holds the class, in OpenCV's order?")
    given = np.asarray(given)
    if given.shape == stored.shape:
        return hint("All three channels came out. Only one of them holds classes.")
    if given.shape != ids.shape:
        return hint(f"Wanted is a map of shape {ids.shape}, this has {given.shape}.")
    if np.array_equal(given, SYNTHIA_TO_TRAIN[np.zeros_like(ids)]):
        return hint("That is the first channel: blue, in OpenCV's order, and always zero. Where is red?")
    if np.array_equal(given, ids):
        return hint("These are the right ids, but SYNTHIA's own. `labels.SYNTHIA_TO_TRAIN` maps them to trainIds.")
    if np.array_equal(given, CITYSCAPES_TO_TRAIN[ids]):
        return hint("The right channel, but Cityscapes' table: SYNTHIA numbers its classes differently.")
    if not np.array_equal(given, SYNTHIA_TO_TRAIN[ids]):
        return hint("Channel −1 holds the class; SYNTHIA_TO_TRAIN[class] is the trainId.")
    return right("The instance, in the middle channel, may exceed 255: 8 bits would not hold it.")


@checked
def check_frequency(student: Callable[[np.ndarray], np.ndarray]) -> Answer:
    """Exercise 1.3: share of each of the 19 classes among the pixels of a label map that are not ignored."""
    label = np.array([[0, 0, 0, 10], [IGNORE, IGNORE, IGNORE, 2]], np.uint8)
    wanted = np.zeros(NUM_CLASSES)
    wanted[[0, 10, 2]] = 0.6, 0.2, 0.2
    given = student(label.copy())
    if given is None:
        return hint("The function returns nothing yet. np.bincount counts; what do you divide by?")
    given = np.asarray(given, dtype=float)
    if given.shape == (256,):
        return hint("256 numbers: the counts of every possible value. Only the first 19 are classes.")
    if given.shape != (NUM_CLASSES,):
        return hint(f"One number for each of the 19 classes is wanted, this has shape {given.shape}.")
    if np.allclose(given, wanted * 5):
        return hint("These are counts. As shares they have to add up to one.")
    if np.allclose(given, wanted * 5 / 8):
        return hint("The shares add up to 0.625: ignored pixels were counted in what you divide by.")
    if not np.allclose(given, wanted):
        return hint("For three pixels of road, one of sky, one of building and three ignored: 0.6, 0.2 and 0.2.")
    return right("Shares over valid pixels can be compared between data sets with more and with less void.")
