import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from inner_loop.attribution import explain
from inner_loop.errors import TaskError
from inner_loop.models.reward_models import load_reward_model
from inner_loop.spec import JudgeConfig, ScoringConfig
from tests.inner_loop.tiny_classifiers import byte_tokenizer, word_tokenizer
from tests.inner_loop.tiny_models import TINY

JUDGE = JudgeConfig(prompt="the film : {prompt} user {response} is it good", good="good", bad="bad")
TEMPLATE = "{% for m in messages %}[CLS] {{ m['role'] }} {{ m['content'] }} [SEP]{% endfor %}"
TEMPLATE += "{% if add_generation_prompt %} assistant{% endif %}"
RESPONSES = ["a very quiet film", "bad", "it never ends . a story of two friends"]


def save(folder, tokenizer, make=LlamaForCausalLM, config=LlamaConfig, **options):
    torch.manual_seed(0)
    sizes = TINY if config is LlamaConfig else {"n_embd": 16, "n_layer": 2, "n_head": 2}
    model = make(config(vocab_size=len(tokenizer), initializer_range=0.5, **sizes, **options)).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def log_odds(model, tokenizer, text, **options):
    """By the language model itself: log p(yes) - log p(no) of the next token."""
    ids = torch.tensor([tokenizer(text, **options)["input_ids"]])
    with torch.no_grad():
        logprobs = model(ids).logits[0, -1].log_softmax(dim=-1)
    yes, no = (tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in (JUDGE.good, JUDGE.bad))
    return (logprobs[yes] - logprobs[no]).item()


@pytest.mark.parametrize("kind", [(LlamaForCausalLM, LlamaConfig), (GPT2LMHeadModel, GPT2Config)])
def test_the_score_is_the_log_odds_of_the_two_answers(tmp_path, kind):
    tokenizer = byte_tokenizer()
    model = save(tmp_path, tokenizer, *kind)
    judge = load_reward_model(str(tmp_path), ScoringConfig(judge=JUDGE))
    expected = [log_odds(model, tokenizer, f"the film : p user {response} is it good") for response in RESPONSES]
    assert judge.score_responses(["p"] * 3, RESPONSES) == pytest.approx(expected, abs=1e-4)


def test_a_judge_with_a_chat_template_is_asked_in_it(tmp_path):
    tokenizer = word_tokenizer(chat_template=TEMPLATE)
    model = save(tmp_path, tokenizer)
    judge = load_reward_model(str(tmp_path), ScoringConfig(judge=JUDGE))
    asked = "[CLS] user the film : p user a quiet film is it good [SEP] assistant"
    expected = log_odds(model, tokenizer, asked, add_special_tokens=False)
    assert judge.score_responses(["p"], ["a quiet film"]) == pytest.approx([expected], abs=1e-4)


def test_only_the_response_is_credited_by_every_method(tmp_path):
    save(tmp_path, word_tokenizer(chat_template=TEMPLATE))
    methods = ["shapley", "prefix", "attention", "gradient"]
    [credit] = explain(str(tmp_path), ["the"], [RESPONSES[0]], methods=methods, judge=JUDGE.model_dump(), units="words")
    assert [unit.strip() for unit in credit.units] == RESPONSES[0].split()
    assert set(credit.values) == set(methods)
    assert credit.values["shapley"].sum() == pytest.approx(credit.full_value - credit.base_value)


def test_a_prompt_that_holds_the_words_of_the_question_stays_a_prompt(tmp_path):
    tokenizer = byte_tokenizer()
    model = save(tmp_path, tokenizer)
    judge = load_reward_model(str(tmp_path), ScoringConfig(judge=JUDGE))
    expected = log_odds(model, tokenizer, "the film : x user {prompt} {response} is it good")
    assert judge.score_responses(["x"], ["{prompt} {response}"]) == pytest.approx([expected], abs=1e-4)


def test_answers_that_begin_alike_are_refused(tmp_path):
    save(tmp_path, byte_tokenizer())
    alike = JUDGE.model_copy(update={"good": "good", "bad": "goodness"})
    with pytest.raises(TaskError, match="'good' and 'goodness' begin with the same token"):
        load_reward_model(str(tmp_path), ScoringConfig(judge=alike))


@pytest.mark.parametrize("prompt", ["is it good?", "{response} {response}", "{prompt} {prompt} {response}"])
def test_a_question_without_a_place_for_the_response_is_refused(prompt):
    with pytest.raises(ValueError, match=r"write {response} once where the response belongs"):
        JudgeConfig(prompt=prompt)


def test_a_language_model_without_a_question_is_told_of_it(tmp_path):
    save(tmp_path, byte_tokenizer())
    with pytest.raises(
        TaskError, match=r"no weights for score.weight. A language model can be a judge: see task.judge"
    ):
        load_reward_model(str(tmp_path))
