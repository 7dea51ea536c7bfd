"""One self-contained page on which a point is dragged through the phase plane of any nonlinearity."""

from meanfield.explorer.page import entry, explorer_page

__all__ = ["entry", "explorer_page"]
