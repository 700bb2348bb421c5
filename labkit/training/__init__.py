"""The loop, its schedules and the store of runs. It knows no method by name."""
