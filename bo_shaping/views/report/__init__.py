"""Pictures and pages of a study: where the best weights are, how the policies learned, what each token was paid.

`write_report(study)` makes one self-contained HTML page; the functions that draw its parts take plain data and return
matplotlib figures (or HTML), so notebooks use the same ones. Those that load more than a study have modules of
their own: `comparison` and `credit_check`.
"""

from bo_shaping.views.report.curves import curves_figure
from bo_shaping.views.report.front import front_figure
from bo_shaping.views.report.material import Material, material_of
from bo_shaping.views.report.notebook import StudyView, look
from bo_shaping.views.report.shown import Picture, Shown
from bo_shaping.views.report.simplex import simplex_figure
from bo_shaping.views.report.tokens import token_credit_html
from bo_shaping.views.report.trial_frame import Landmarks, find_landmarks
from bo_shaping.views.report.trial_table import trial_table_html
from bo_shaping.views.report.weights import weights_figure
from bo_shaping.views.report.writing import write_report

__all__ = [
    "Landmarks",
    "Material",
    "Picture",
    "Shown",
    "StudyView",
    "curves_figure",
    "find_landmarks",
    "front_figure",
    "look",
    "material_of",
    "simplex_figure",
    "token_credit_html",
    "trial_table_html",
    "weights_figure",
    "write_report",
]
