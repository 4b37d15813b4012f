"""First-order occlusion: how the score would change to first order if a token's embedding became the mask token's.

.. [Ancona2018] Towards Better Understanding of Gradient-based Attribution Methods. arXiv:1711.06104, section 2.2.
.. [Li2016] Understanding Neural Networks through Representation Erasure. arXiv:1612.08220.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inner_loop.errors import AttributionError
from inner_loop.models.encoding import EncodedResponse
from inner_loop.models.padded_batches import forward_passes

TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 16384}
"""Padded tokens in one forward and backward pass; fewer than for scores alone, since activations are kept."""


def gradient_values(reward_model: Any, encoded: Sequence[EncodedResponse]) -> list[np.ndarray]:
    """Each token's `(e_t - e_mask) . dr/de_t`, the first-order term of r(x, y) - r(x, y with token t masked).

    e_t is the token's row of the embedding matrix, e_mask that of the mask token, the gradient that of the score with
    respect to what the embedding layer gives at position t [Ancona2018]_. One forward and one backward pass in float32.

    Args:
        reward_model: A transformers reward model.
        encoded: `b` responses, as `reward_model.encode` gives them.

    Returns:
        Per response, `L` float64 values of its tokens in score units; zero for every token that is not the response's.
        They sum to nothing in particular.

    Raises:
        AttributionError: If the reward model has no embeddings to differentiate by.
    """
    values = [np.zeros(len(response.ids)) for response in encoded]
    credited = [index for index, response in enumerate(encoded) if response.is_response.any()]
    model, layer = reward_model.model, _embedding_layer(reward_model.model)
    mask = layer.weight[reward_model.mask_id].detach()
    limit = TOKENS_PER_BATCH.get(model.device.type, 16384)
    with torch.enable_grad(), _watched(layer) as seen:
        for batch, output in forward_passes(model, [encoded[index].ids for index in credited], limit):
            embeddings = seen.pop()
            (gradient,) = torch.autograd.grad(reward_model.score_of(output.logits).sum(), embeddings)
            products = ((embeddings.detach() - mask) * gradient).double().sum(dim=-1).cpu().numpy()
            for row, place in enumerate(batch):
                response = encoded[credited[place]]
                values[credited[place]] = np.where(response.is_response, products[row, : len(response.ids)], 0.0)
    return values


def _embedding_layer(model: Any) -> nn.Embedding:
    layer = model.get_input_embeddings() if hasattr(model, "get_input_embeddings") else None
    if not isinstance(layer, nn.Embedding):
        raise AttributionError(f"{type(model).__name__} shows no token embeddings: no gradient credit.")
    return layer


@contextmanager
def _watched(layer: nn.Embedding) -> Iterator[list[Tensor]]:
    """A list that takes what the layer gives in every pass, as the point from which gradients are taken.

    A hook, and not `inputs_embeds`: classifiers find the end of a sequence, and some its positions, by the ids.
    """
    seen: list[Tensor] = []

    def watch(_module: nn.Module, _inputs: Any, embeddings: Tensor) -> Tensor:
        seen.append(embeddings.detach().requires_grad_())
        return seen[-1]

    handle = layer.register_forward_hook(watch)
    try:
        yield seen
    finally:
        handle.remove()
