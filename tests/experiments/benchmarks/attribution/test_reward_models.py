import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from experiments.benchmarks.attribution.peers import MissingForBenchmarkError
from experiments.benchmarks.attribution.reward_models import FINE_TUNED, MeanPooledClassifier, check_folder


def test_padding_does_not_change_the_score_of_a_frozen_encoder():
    torch.manual_seed(0)
    config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    model = MeanPooledClassifier(BertModel(config), np.arange(8, dtype=np.float32), bias=0.5).eval()
    ids, attended = torch.tensor([[3, 4, 5]]), torch.ones(1, 3, dtype=torch.long)
    padded = torch.nn.functional.pad(ids, (0, 4)), torch.nn.functional.pad(attended, (0, 4))
    with torch.inference_mode():
        torch.testing.assert_close(model(*padded).logits, model(ids, attended).logits)


def test_a_missing_model_folder_is_named_with_the_command_that_makes_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingForBenchmarkError, match=r"python -m experiments\.train_reward_model"):
        check_folder(FINE_TUNED)
