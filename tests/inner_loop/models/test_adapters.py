import json

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from inner_loop.errors import TaskError
from inner_loop.evaluation import evaluate
from inner_loop.models.model_source import model_source
from inner_loop.models.reward_models import load_reward_model
from inner_loop.models.task import load_task
from inner_loop.models.task_check import check_task
from inner_loop.ppo.loaded_models import make_actor_critic
from inner_loop.spec import EvaluationConfig, PPOConfig, TaskConfig
from tests.inner_loop.conftest import make_tiny_policy
from tests.inner_loop.tiny_classifiers import tiny_llama, word_tokenizer

IDS = torch.tensor([[5, 9, 7, 12]])


def save_adapter(model, folder, **options):
    """A LoRA adapter whose two factors are random, as after a training, in a folder of its own."""
    torch.manual_seed(1)
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj", "down_proj"], **options))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    adapted.save_pretrained(folder)
    return adapted.eval()


@pytest.fixture
def policy(tmp_path, tokenizer):
    """The folder of an adapter, beside that of its base; and the adapted policy."""
    make_tiny_policy(tokenizer).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    return tmp_path / "adapter", save_adapter(base, tmp_path / "adapter", task_type="CAUSAL_LM")


def load(folder, **settings):
    return load_task(TaskConfig(policy=str(folder), **settings), EvaluationConfig(n_prompts=4))


def test_a_policy_starts_as_its_base_with_the_adapter(policy):
    folder, adapted = policy
    loaded = load(folder).policy
    with torch.no_grad():
        torch.testing.assert_close(loaded(IDS).logits, adapted(IDS).logits, atol=1e-5, rtol=0)
        with adapted.disable_adapter():
            assert not torch.allclose(loaded(IDS).logits, adapted(IDS).logits, atol=1e-3)
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    assert not hasattr(loaded, "peft_config")


@pytest.mark.parametrize("modes", [{}, {"lora_rank": 2}, {"trainable_layers": 1}], ids=str)
def test_its_reference_is_that_start_and_not_the_base(policy, modes):
    task, ppo = load(policy[0]), PPOConfig(precision="float32", **modes)
    actor_critic = make_actor_critic(task, ppo)
    settings = EvaluationConfig(n_prompts=4)
    point = evaluate(
        actor_critic, task.tokenizer, task.reward_model, task.evaluation_prompts, settings,
        step=0, response_tokens=6, sampling=ppo,
    ).point  # fmt: skip
    assert (point.kl, point.kl_k3) == (0.0, 0.0)


def test_what_is_trained_is_saved_as_a_whole_model(policy, tmp_path):
    folder, adapted = policy
    make_actor_critic(load(folder), PPOConfig(lora_rank=2)).save_policy(tmp_path / "trained")
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "trained")
    with torch.no_grad():
        torch.testing.assert_close(saved(IDS).logits, adapted(IDS).logits, atol=1e-5, rtol=0)


def test_an_adapter_may_bring_its_own_tokenizer(policy, tokenizer):
    folder, _ = policy
    assert load(folder).tokenizer.chat_template is None
    tokenizer.save_pretrained(folder)
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"chat_template": "own"}))
    assert load(folder).tokenizer.chat_template == "own"


def test_a_base_is_found_beside_its_adapter(policy):
    folder, _ = policy
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": "../base"}))
    check_task(TaskConfig(policy=str(folder)), EvaluationConfig(n_prompts=4))


def test_an_adapter_of_another_model_is_refused(policy):
    folder, _ = policy
    file = folder / "adapter_model.safetensors"
    weights = load_file(file)
    save_file({name.replace("layers.1", "layers.7"): weight for name, weight in weights.items()}, file)
    with pytest.raises(TaskError, match=r"task.policy: the adapter .* does not fit its base .*; merge it where"):
        load(folder)
    save_file({name: torch.cat([weight, weight]) for name, weight in weights.items()}, file)
    with pytest.raises(TaskError, match=r"does not fit its base"):
        load(folder)


def test_an_adapter_without_a_base_is_refused(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(TaskError, match="does not say what its base is"):
        check_task(TaskConfig(policy=str(tmp_path)), EvaluationConfig(n_prompts=1))


def test_a_tuned_prompt_is_refused(tmp_path, tokenizer):
    make_tiny_policy(tokenizer).save_pretrained(tmp_path / "base")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    get_peft_model(base, PromptTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM")).save_pretrained(
        tmp_path / "p"
    )
    with pytest.raises(TaskError, match=r"tunes a prompt \(PROMPT_TUNING\), which cannot be merged"):
        check_task(TaskConfig(policy=str(tmp_path / "p")), EvaluationConfig(n_prompts=1))


@pytest.mark.parametrize("n_labels", [1, 2])
def test_a_reward_model_may_be_an_adapter_with_its_head(tmp_path, n_labels):
    tokenizer = word_tokenizer()
    tokenizer.save_pretrained(tmp_path / "base")
    # A base that is no classifier, as where a reward model is trained from a language model.
    tiny_llama(tokenizer).model.save_pretrained(tmp_path / "base")
    torch.manual_seed(2)
    base = AutoModelForSequenceClassification.from_pretrained(tmp_path / "base", num_labels=n_labels)
    adapted = save_adapter(base, tmp_path / "adapter", task_type="SEQ_CLS", modules_to_save=["score"])
    reward_model = load_reward_model(str(tmp_path / "adapter"))
    ids = torch.tensor([tokenizer("the film is good")["input_ids"]])
    base.config.pad_token_id = tokenizer.pad_token_id
    with torch.no_grad():
        logits = adapted(ids).logits[0]
    expected = logits[0] if n_labels == 1 else logits[1] - logits[0]
    assert reward_model.score(["the film is good"]) == pytest.approx([expected.item()], abs=1e-5)


def test_an_adapter_without_a_head_on_a_base_without_one_is_no_reward_model(policy):
    with pytest.raises(TaskError, match=r"is not a trained classifier: it has no weights for score.weight"):
        load_reward_model(str(policy[0]))


def test_a_folder_is_its_own_source(tmp_path, tokenizer):
    make_tiny_policy(tokenizer).save_pretrained(tmp_path)
    assert model_source(str(tmp_path), "policy").adapter is None
