"""From predictions to numbers: confusion counts, IoU."""
