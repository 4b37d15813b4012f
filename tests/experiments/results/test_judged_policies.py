import json

import pytest

from experiments.results.judged_policies import Pair, policies, rows_of, win_rates_of
from experiments.results.papers import overview
from tests.experiments.results.test_win_rates import OURS, PROMPTS, THEIRS, PrefersFirst, PrefersLonger


class ScoresLength:
    def score(self, texts):
        return [float(len(text)) for text in texts]


PAIRS = [Pair(7, PROMPTS, OURS, THEIRS), Pair(8, PROMPTS, THEIRS, THEIRS)]


def test_every_judge_has_a_share_per_seed():
    found = win_rates_of(PAIRS, PrefersLonger(), {"length": ScoresLength()})
    assert found["pairs"]["rates"] == found["gold"]["length"]["rates"] == [0.75, 0.5]


def test_the_page_tells_of_a_judge_that_cannot_tell(tmp_path):
    found = win_rates_of(PAIRS, PrefersFirst(), {"length": ScoresLength()})
    about = {"ours": "learned", "theirs": "sparse", "judge": "some-model", "prompts": 4, "seeds": [7, 8]}
    stored = {"embedded_sentiment": about | found}
    pairs, gold = rows_of(stored)
    assert pairs[1:] == [
        "learned over sparse, 2 seeds",
        "some-model",
        "50.0% (50.0% to 50.0%)",
        "agrees with itself on 0%; prefers what comes first in 100%",
    ]
    assert gold[2:4] == ["length", "62.5% (50.0% to 75.0%)"]
    assert "were not taken here" in overview(tmp_path)
    (tmp_path / "win_rates.json").write_text(json.dumps(stored))
    assert "| some-model | 50.0% (50.0% to 50.0%) |" in overview(tmp_path)


def test_policies_are_found_by_their_seed(tmp_path, monkeypatch):
    monkeypatch.setenv("BO_SHAPING_STUDIES", str(tmp_path))
    study = tmp_path / "one"
    study.mkdir()
    (study / "config.yaml").write_text("name: one\n")
    with pytest.raises(FileNotFoundError, match="bo-shaping train one"):
        policies("one")
    for name in ("recommended-12ab34-seed-1000003", "sparse-12ab34-seed-1000003", "recommended-12ab34-seed-1000001"):
        (study / "trained" / name / "policy").mkdir(parents=True)
    assert [*policies("one")] == [1000001, 1000003]
