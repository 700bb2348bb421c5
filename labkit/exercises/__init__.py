"""Checks that answer a student's solution with a hint, offline."""
