"""Transformers classifiers as reward models: texts, responses or token ids in, scores out."""

import copy
import math
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from inner_loop.errors import TaskError
from inner_loop.models.beginnings import score_logits, scores_beginnings
from inner_loop.models.encoding import EncodedResponse, ResponseEncoder
from inner_loop.models.first_position import first_position_only, reads_first_position
from inner_loop.models.matrix_products import has_fast_bfloat16, use_fast_float32
from inner_loop.models.rendering import Render, in_chat_template
from inner_loop.models.score_of_logits import score_of_logits
from inner_loop.models.scores import check_scores
from inner_loop.models.windows import Window, pieces_of, windows_of
from inner_loop.spec import ScoringConfig

Dtype = Literal["auto", "float32", "bfloat16"]

TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 65536}
"""Padded tokens in one forward pass: enough to keep the cores busy; on a CPU, little enough to stay in the caches."""

MIN_HIDDEN_SIZE_FOR_BFLOAT16 = 64
"""On a CPU, narrower models spend their time on anything but products: measured with AVX-512 BF16, a forward pass is
1.4 times as fast as in float32 at 64, twice at 128, three times at 384, but no faster at 32 and slower at 16."""

MAX_TOKENS_FOR_EAGER = 1024
"""On a CPU, PyTorch's fused attention is slow in bfloat16 (by 1.4 at 12 tokens, 1.1 at 128) and, where oneDNN does the
products, in float32 (by 1.6 to 2.3 at 24 tokens). The plain one holds all weights at once, which only longer sequences
feel."""


class TransformersRewardModel:
    """A sequence classifier, and what of its output is the score.

    That is the logit of a single-label head, the log-odds (last label minus first) of a two-label one, or what
    `ScoringConfig.label` makes of several.

    Sequences are scored in batches of similar length with a bounded number of tokens, without padding effects on the
    score beyond rounding: causal models are read at the last token of a sequence, also where it equals the padding id.
    A sequence that begins another one needs no pass of its own in them (see `inner_loop.models.beginnings`). Whole
    texts longer than the model's positions lose their oldest tokens; responses, what `ScoringConfig.long_responses`
    says.

    Args:
        model: A transformers model for sequence classification; on a CPU, its attention is set to what is fast there.
        tokenizer: Its tokenizer.
        scoring: How it reads a response, and what the score is.
        render: What stands around prompt and response; None does as `scoring` says.

    Raises:
        TaskError: If the model cannot be read so.
    """

    def __init__(
        self, model: Any, tokenizer: Any, scoring: ScoringConfig | None = None, *, render: Render | None = None
    ) -> None:
        scoring = scoring or ScoringConfig()
        if getattr(model.config, "summary_type", None) == "last":
            raise TaskError(
                f"task.reward_model: {type(model).__name__} reads its score at the last position, padding or not; such "
                "models are not supported."
            )
        self.model = model.eval()
        self.tokenizer = tokenizer
        if not tokenizer.is_fast:
            _refuse_what_needs_offsets(scoring)
        self.mask_text = _mask_text(tokenizer)
        self.score_of = score_of_logits(model.config, scoring.label)
        """Scores of logits, `... x labels` to `...`."""
        self.long_responses = scoring.long_responses
        self._max_tokens = longest_sequence(model, tokenizer)
        self._encoder = ResponseEncoder(
            tokenizer,
            self._max_tokens,
            render=render or in_chat_template(tokenizer, scoring.chat_template),
            is_closed=render is None,
            long_responses=scoring.long_responses,
        )
        if model.device.type == "cpu":
            use_fast_float32()
            # A classifier of one's own may be a plain module around a transformers model.
            if hasattr(model, "set_attn_implementation") and (self._max_tokens or math.inf) <= MAX_TOKENS_FOR_EAGER:
                model.set_attn_implementation("eager")
        self.reads_first_position = reads_first_position(self.model)
        """Whether the last layer is run for the first position alone."""

    def score(self, texts: Sequence[str]) -> list[float]:
        """Scores of whole texts as they are; special tokens written in them are special tokens."""
        return check_scores(self.unchecked_score(texts), texts)

    def unchecked_score(self, texts: Sequence[str]) -> list[float]:
        """As `score`, but the scores may be infinite or NaN."""
        return self.score_sequences(self._encoder.encode_texts(texts)).tolist()

    def score_responses(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        """Scores of responses to prompts; special tokens written in a response are ordinary text."""
        texts = [prompt + response for prompt, response in zip(prompts, responses, strict=True)]
        if not self.tokenizer.is_fast:
            return self.score(texts)
        windows = self.windows(prompts, responses)
        encoded = self.encode(*pieces_of(prompts, responses, windows))
        scores = iter(self.score_sequences([row.ids for row in encoded]).tolist())
        means = [sum(next(scores) for _ in window) / len(window) for window in windows]
        return check_scores(means, texts)

    def encode(self, prompts: Sequence[str], responses: Sequence[str]) -> list[EncodedResponse]:
        """The ids that are scored for each response, and what they stand for; see `ResponseEncoder.encode`."""
        return self._encoder.encode(prompts, responses)

    def windows(self, prompts: Sequence[str], responses: Sequence[str]) -> list[list[Window]]:
        """The parts of each response that are read one by one: all of it, unless `long_responses` is `windows`."""
        if self.long_responses != "windows" or self._max_tokens is None:
            return [[(0, len(response))] for response in responses]
        return windows_of(self._encoder, self._max_tokens, prompts, responses)

    def count_unread(self, prompts: Sequence[str], responses: Sequence[str]) -> list[int]:
        """Per response, its tokens for which there is no room; none where windows read all of it."""
        if self.long_responses == "windows" or not self.tokenizer.is_fast:
            return [0] * len(responses)
        return [row.n_unread for row in self.encode(prompts, responses)]

    @torch.inference_mode()
    def score_sequences(self, sequences: Sequence[np.ndarray], dtype: Dtype = "float32") -> np.ndarray:
        """Scores of token sequences, not checked.

        Args:
            sequences: Token ids, special ones included. A token that is not attended to is written as its complement,
                `~id`; the last one is attended to. No tokens at all are scored as the lone token `empty_id`.
            dtype: Precision of the forward passes; `auto` is bfloat16 where the machine and the model gain from it.

        Returns:
            float32 scores.
        """
        nothing = np.array([self.empty_id], dtype=np.int32)
        sequences = [sequence if len(sequence) else nothing for sequence in sequences]
        order, logits = [np.zeros(0, dtype=np.int64)], [torch.zeros(0, self.model.config.num_labels)]
        model = self._bfloat16_model if self.resolve_dtype(dtype) == "bfloat16" else self.model
        limit = TOKENS_PER_BATCH.get(model.device.type, 65536)
        with first_position_only(model) if self.reads_first_position else nullcontext():
            for indices, output in score_logits(model, sequences, limit, is_causal=self.scores_beginnings):
                order.append(indices)
                logits.append(output.float())
        logits[0] = logits[0].to(model.device)
        scores = np.empty(len(sequences), dtype=np.float32)
        scores[np.concatenate(order)] = self.score_of(torch.cat(logits)).cpu().numpy()
        return scores

    @cached_property
    def scores_beginnings(self) -> bool:
        """Whether the pass of a sequence gives the scores of all its beginnings, too."""
        return scores_beginnings(self.model)

    def resolve_dtype(self, dtype: Dtype) -> Literal["float32", "bfloat16"]:
        """What `auto` means for this model on this machine: what the hardware can do decides, never a timing."""
        if dtype != "auto":
            return dtype
        device = self.model.device
        is_wide = self.model.config.get_text_config().hidden_size >= MIN_HIDDEN_SIZE_FOR_BFLOAT16
        gains = has_fast_bfloat16(device) and (is_wide or device.type != "cpu")
        return "bfloat16" if gains else "float32"

    @cached_property
    def _bfloat16_model(self) -> Any:
        return copy.deepcopy(self.model).to(torch.bfloat16)

    @property
    def empty_id(self) -> int:
        """What is read where nothing is left: no prompt, no special tokens and every unit absent."""
        ids = (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id, self.tokenizer.pad_token_id, 0)
        return next(token_id for token_id in ids if token_id is not None)

    @cached_property
    def mask_id(self) -> int:
        """The id of `mask_text`, or of its last token if it takes several."""
        return self.tokenizer(self.mask_text, add_special_tokens=False)["input_ids"][-1]


def _refuse_what_needs_offsets(scoring: ScoringConfig) -> None:
    """Raise `TaskError` for settings under which a response has to be found again among the tokens."""
    usual = ScoringConfig()
    for name in ("judge", "chat_template", "long_responses"):
        if getattr(scoring, name) not in (None, False, getattr(usual, name)):
            raise TaskError(
                f"task.{name}: the reward model's tokenizer does not say where its tokens stand in a text, which this "
                "needs; give a model with a fast tokenizer (tokenizer.json), or leave the setting out."
            )


def _mask_text(tokenizer: Any) -> str:
    """The mask token, or one that says as little; not one that ends a text, as the unknown token of GPT-2 does."""
    ends = (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token)
    unknown = tokenizer.unk_token if tokenizer.unk_token not in ends else None
    return tokenizer.mask_token or unknown or "..."


def longest_sequence(model: Any, tokenizer: Any) -> int | None:
    """The longest sequence that tokenizer and model allow; None if neither has a limit."""
    config = model.config.get_text_config()
    limits = (tokenizer.model_max_length, getattr(config, "max_position_embeddings", None))
    limit = min((limit for limit in limits if limit and limit > 0), default=math.inf)
    # RoBERTa and its kin count positions from padding_idx + 1, so that many of the table's rows are never used.
    positions = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    if isinstance(positions, torch.nn.Embedding) and positions.padding_idx is not None:
        limit = min(limit, positions.num_embeddings - positions.padding_idx - 1)
    return int(limit) if limit < 10**9 else None
