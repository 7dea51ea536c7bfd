"""One self-contained page on which a point is dragged through the phase plane of any nonlinearity."""
