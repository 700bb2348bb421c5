"""What the book says about results: stamps, tables, recorded sweeps."""
