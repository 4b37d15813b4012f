import numpy as np
import pytest
import torch

from experiments.benchmarks.attribution import tables
from experiments.benchmarks.attribution.reward_models import Explained
from experiments.benchmarks.attribution.snippets import Snippet
from experiments.benchmarks.attribution.tables import exact_tables, score_all
from inner_loop.models.callable_reward_model import CallableRewardModel

SNIPPET = Snippet("so", " zero one two three")
WORDS = {"zero": 1, "one": 2, "two": 4, "three": 8}


class WordCounter(CallableRewardModel):
    """Scores a text by the places of its words, and has weights, as a network would."""

    def __init__(self):
        super().__init__(lambda texts: [sum(WORDS.get(word, 0) for word in text.split()) for text in texts])
        self.model = torch.nn.Linear(1, 1)


@pytest.mark.parametrize("masking", tables.MASKINGS)
def test_entry_c_is_the_score_of_the_units_in_the_binary_digits_of_c(masking):
    assert score_all(WordCounter(), SNIPPET, masking).tolist() == list(range(16))


def test_tables_are_scored_once_for_the_same_weights(tmp_path, monkeypatch):
    scored, model = [], WordCounter()
    monkeypatch.setattr(tables, "REWARD_MODELS", (Explained("counter", lambda corpus, cache: model),))
    monkeypatch.setattr(tables, "score_all", lambda *arguments: scored.append(arguments) or np.arange(16.0))
    [removed, masked] = exact_tables(None, [SNIPPET], tmp_path)
    assert (removed.masking, masked.masking, removed.n_units) == ("remove", "mask", 4)
    exact_tables(None, [SNIPPET], tmp_path)
    assert len(scored) == 2
    torch.nn.init.zeros_(model.model.weight)
    exact_tables(None, [SNIPPET], tmp_path)
    assert len(scored) == 4
