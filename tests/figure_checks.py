"""What every figure made for one column of a page must hold."""

from matplotlib.backends.backend_agg import FigureCanvasAgg


def assert_fits_a_column(figure):
    """3.4 inches wide, nothing clipped, no text below 7 points, no legend over anything that is drawn."""
    assert figure.get_figwidth() == 3.4
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    frame = figure.bbox
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
    for axes, box in zip(figure.axes, boxes, strict=True):
        assert box.x0 >= frame.x0 - 1
        assert box.x1 <= frame.x1 + 1
        assert box.y0 >= frame.y0 - 1
        assert box.y1 <= frame.y1 + 1
        shown = [text for text in axes.findobj(lambda artist: hasattr(artist, "get_fontsize")) if text.get_text()]
        assert min((text.get_fontsize() for text in shown), default=8) >= 7
    for legend in figure.legends:
        box = legend.get_window_extent(renderer)
        assert box.x0 >= 0
        assert box.x1 <= frame.x1 + 1
        assert not any(box.overlaps(other) for other in boxes)
