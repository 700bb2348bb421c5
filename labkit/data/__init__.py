"""Data sets: one file each, all giving a uint8 image and a uint8 map of trainIds."""
