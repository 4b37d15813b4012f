"""Tokenizers and random classifiers that take milliseconds, one per way in which a classifier reads its score."""

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)

from inner_loop.models.transformers_reward_model import TransformersRewardModel
from tests.inner_loop.tiny_models import TINY

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TEXT = "the film is a good bad very quiet cafe mask story of two old friends and it never ends . , [ ] user assistant"

MERGES = [("Ġ", "f"), ("i", "l"), ("Ġf", "il"), ("Ġfil", "m"), ("g", "o"), ("o", "d"), ("go", "od"), ("Ġ", "good")]


def word_tokenizer(**options):
    """One token per word or punctuation mark, lower case, no accents, [CLS] before and [SEP] after."""
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *TEXT.split()])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = ["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"]
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **dict(zip(names, SPECIAL, strict=True)), **options)


def byte_tokenizer(**options):
    """Bytes and a few merges, as GPT-2's: nothing around the text, and only an end of text as a special token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: index for index, piece in enumerate([*alphabet, *("".join(pair) for pair in MERGES)])}
    tokenizer = Tokenizer(models.BPE(vocabulary, MERGES))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", **options)


def tiny_bert(tokenizer, num_labels=1, max_position_embeddings=64, hidden_size=16):
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        **TINY | {"hidden_size": hidden_size},
        max_position_embeddings=max_position_embeddings,
        initializer_range=0.5,
        num_labels=num_labels,
    )
    return BertForSequenceClassification(config).eval()


def tiny_llama(tokenizer, pad_token_id=None, max_position_embeddings=64):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        **TINY,
        max_position_embeddings=max_position_embeddings,
        initializer_range=0.5,
        pad_token_id=pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        num_labels=1,
    )
    return LlamaForSequenceClassification(config).eval()


def tiny_gpt2(tokenizer, pad_token_id=None):
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=64,
        n_embd=16,
        n_layer=2,
        n_head=2,
        initializer_range=0.5,
        pad_token_id=pad_token_id,
        num_labels=1,
    )
    return GPT2ForSequenceClassification(config).eval()


def bert_reward_model(**options):
    tokenizer = word_tokenizer()
    return TransformersRewardModel(tiny_bert(tokenizer, **options), tokenizer)


def llama_reward_model():
    tokenizer = byte_tokenizer()
    return TransformersRewardModel(tiny_llama(tokenizer), tokenizer)


def gpt2_reward_model():
    tokenizer = byte_tokenizer()
    return TransformersRewardModel(tiny_gpt2(tokenizer, pad_token_id=tokenizer.eos_token_id), tokenizer)


REWARD_MODELS = [bert_reward_model, llama_reward_model, gpt2_reward_model]


def separately(reward_model):
    """The same reward model, which now takes a pass for every sequence, even for those that begin another one."""
    reward_model.scores_beginnings = False
    return reward_model


def spy_on(reward_model):
    """The sequences that the model is given from now on, one list of attended ids per row, in a list that grows."""
    seen = []

    def note(module, args, kwargs):
        for ids, attended in zip(kwargs["input_ids"], kwargs["attention_mask"], strict=True):
            seen.append(ids[attended.bool()].tolist())

    reward_model.model.register_forward_pre_hook(note, with_kwargs=True)
    return seen
