"""Pictures of evaluations and comparisons."""

from nnunet_hetero.evaluation.report.figures.bars import gain_bars, method_bars
from nnunet_hetero.evaluation.report.figures.heat_maps import difference_map, heat_map
from nnunet_hetero.evaluation.report.figures.overlays import OverlayRow, Picture, overlay_grid
from nnunet_hetero.evaluation.report.figures.panels import completion_panel, overlay_panel, uncertainty_panel

__all__ = [
    "OverlayRow",
    "Picture",
    "completion_panel",
    "difference_map",
    "gain_bars",
    "heat_map",
    "method_bars",
    "overlay_grid",
    "overlay_panel",
    "uncertainty_panel",
]
