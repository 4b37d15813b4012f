"""Batches hold every sequence once and respect the token budget."""

import numpy as np
import pytest
import torch

from experiments.embedded.batches import in_chunks, length_bucketed, pad


def test_an_epoch_sees_every_sequence_once_within_the_token_budget():
    lengths = np.random.default_rng(0).integers(1, 60, size=500)
    batches = list(length_bucketed(lengths, 256, np.random.default_rng(1)))
    assert sorted(np.concatenate(batches)) == list(range(500))
    assert all(lengths[batch].max() * len(batch) <= 256 for batch in batches)
    padded = sum(lengths[batch].max() * len(batch) for batch in batches)
    assert padded < 1.2 * lengths.sum()  # sequences of similar length share a batch; random batches waste 90 %


def test_the_generator_decides_the_order():
    lengths = [5] * 100
    first, again, other = (
        np.concatenate(list(length_bucketed(lengths, 50, np.random.default_rng(seed)))) for seed in (0, 0, 1)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_padding_is_on_the_right_and_masked():
    input_ids, attention_mask = pad([np.array([4, 5, 6]), np.array([7])], pad_id=9)
    torch.testing.assert_close(input_ids, torch.tensor([[4, 5, 6], [7, 9, 9]]))
    torch.testing.assert_close(attention_mask, torch.tensor([[1, 1, 1], [1, 0, 0]]))


@pytest.mark.parametrize("size", [1, 2, 100])
def test_chunked_encoding_equals_encoding_at_once(size):
    encoded = in_chunks(lambda chunk: [[len(text)] for text in chunk], ["a", "bb", "ccc"], size)
    assert [ids.tolist() for ids in encoded] == [[1], [2], [3]]
