from collections.abc import Callable
from pathlib import Path

import pytest

from bo_shaping.config import StudyConfig
from tests.bo_shaping.views.report.made_up import MadeUpStudy, make_best, make_result, make_surface, make_trials


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., MadeUpStudy]:
    def make(
        components: tuple[str, ...] = ("shap", "lime", "sparse"), n_finished: int = 5, n_failed: int = 1
    ) -> MadeUpStudy:
        frame = make_trials(components, n_finished, n_failed)
        best, surface = None, None
        if n_finished >= 3:
            best, surface = make_best(components, n_finished), make_surface(components)
        outcomes = {i: make_result(float(i), 2.0 * i) for i in range(n_finished)}
        return MadeUpStudy(tmp_path, "toy", StudyConfig(name="toy"), frame, outcomes, best, surface)

    return make
