"""The embedded models and prompts as they ship: offline, small, and as good as their cards say."""

import json
from itertools import combinations
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

import inner_loop
from experiments.embedded.classifier import accuracy, log_odds
from experiments.embedded.policy import perplexity, sample
from experiments.embedded.reviews import ReviewsNotInstalledError, load_reviews
from experiments.embedded.sentences import clean_sentence, is_sentence
from experiments.embedded.splits import Example, rt_split

EMBEDDED = Path(inner_loop.__file__).parent / "embedded"


@pytest.fixture(scope="module")
def policy():
    folder = EMBEDDED / "policy"
    return (
        AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval(),
        AutoTokenizer.from_pretrained(folder, local_files_only=True),
    )


@pytest.fixture(scope="module")
def reward_model():
    folder = EMBEDDED / "reward_model"
    return (
        AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True).eval(),
        AutoTokenizer.from_pretrained(folder, local_files_only=True),
    )


@pytest.fixture(scope="module")
def rt_test():
    """400 Rotten Tomatoes test sentences."""
    try:
        reviews = load_reviews()
    except ReviewsNotInstalledError as missing:
        pytest.skip(str(missing))
    rt = [Example(clean_sentence(r.text), r.label) for r in reviews if r.source == "rotten_tomatoes"]
    return [e for e in rt if is_sentence(e.text) and rt_split(e.text) == "test"][::2][:400]


def read_prompts(name):
    with (EMBEDDED / "prompts" / f"{name}.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line)["prompt"] for line in file]


def test_everything_together_is_under_15_megabytes():
    assert sum(path.stat().st_size for path in EMBEDDED.rglob("*") if path.is_file()) < 15e6


@pytest.mark.parametrize("name", ["policy", "reward_model"])
def test_weights_are_half_precision_safetensors_and_nothing_else_holds_weights(name):
    folder = EMBEDDED / name
    assert {path.suffix for path in folder.iterdir()} == {".json", ".md", ".safetensors"}
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.float16}  # noqa: SIM118 - not a dict


def test_models_load_as_float32(policy, reward_model):
    assert policy[0].dtype == reward_model[0].dtype == torch.float32


def test_tokenizers_are_different_and_give_character_offsets(policy, reward_model):
    text = "An unbelievably good film, isn't it?"
    pieces = []
    for _, tokenizer in (policy, reward_model):
        assert tokenizer.is_fast
        offsets = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]
        pieces.append([text[start:end] for start, end in offsets])
        assert "".join(pieces[-1]).replace(" ", "") == text.replace(" ", "")
    assert pieces[0] != pieces[1]


def test_the_policy_tokenizer_gives_lower_case_text_back(policy):
    _, tokenizer = policy
    text = "the film -- and it's long -- isn't \"bad\", is it? (no...)"
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert len({tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}) == 3


def test_prompts_are_enough_disjoint_and_six_tokens_long(policy):
    _, tokenizer = policy
    files = {name: read_prompts(name) for name in ("train", "validation", "heldout")}
    assert {name: len(prompts) for name, prompts in files.items()} == {
        "train": 4096,
        "validation": 512,
        "heldout": 512,
    }
    for prompts in files.values():
        assert len(prompts) == len(set(prompts))
        assert {len(ids) for ids in tokenizer(prompts, add_special_tokens=False)["input_ids"]} == {6}
    for first, second in combinations(files.values(), 2):
        assert not set(first) & set(second)


def test_the_policy_writes_sentences_that_end_and_differ(policy):
    prompts = read_prompts("heldout")[:64]
    model, tokenizer = policy
    texts = sample(model, tokenizer, prompts, temperature=1.0, seed=0, max_new_tokens=50)
    continuations = [text[len(prompt) :] for text, prompt in zip(texts, prompts, strict=True)]
    assert all(text.startswith(prompt) for text, prompt in zip(texts, prompts, strict=True))
    assert len(set(continuations)) >= 60
    words = " ".join(continuations).split()
    assert len(set(words)) > 0.3 * len(words)
    ended = sum(text.rstrip('")').endswith((".", "!", "?")) for text in texts)
    assert ended >= 48  # three quarters: some sentences are longer than 50 tokens


def test_the_policy_predicts_unseen_review_sentences(policy):
    # A uniform guess has perplexity 4,096, and token frequencies alone several hundred.
    texts = [
        "this is one of the worst movies i have ever seen.",
        "the acting is great and the story keeps you interested until the end.",
        "i would not recommend this film to anyone.",
    ]
    assert perplexity(*policy, texts).per_token < 10  # ours is at 6


def test_scrambled_sentences_are_less_likely(policy):
    straight = perplexity(*policy, ["this is one of the worst movies i have ever seen."])
    scrambled = perplexity(*policy, ["worst the seen have of movies this one ever i is."])
    assert scrambled.per_token > 30 * straight.per_token  # ours is 130 times less likely per token


def test_the_reward_model_is_right_on_sentences_it_never_saw(reward_model, rt_test):
    # The bar on all 1,045 test sentences is 78 %. On 400 of them the standard error is 2 points, so a model at the bar
    # falls under 75 % about once in fourteen draws; the subset is fixed and ours is above the bar.
    scores = log_odds(*reward_model, [example.text for example in rt_test])
    assert len(rt_test) == 400
    assert accuracy(scores, rt_test) >= 0.75
    assert 1.0 < scores.std().item() < 3.0
    assert scores.abs().max().item() < 8.0


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("a wonderful, moving film with a terrific cast.", "a dull and stupid waste of time."),
        ("i loved every minute of it.", "i hated every minute of it."),
        ("wonderful", "awful"),
        ("a delightful and touching", "a lifeless and boring"),
    ],
)
def test_praise_scores_above_scorn_on_sentences_and_fragments(reward_model, better, worse):
    praise, scorn = log_odds(*reward_model, [better, worse]).tolist()
    assert praise > 0 > scorn
    assert praise - scorn > 1.5


def test_a_text_without_words_has_a_finite_score_near_undecided(reward_model):
    (empty,) = log_odds(*reward_model, [""]).tolist()
    assert abs(empty) < 1.5
