"""What of TRL the trainer and the trial lean on; if this fails, read TRL's changes to these lines first."""

import inspect

from trl import GRPOTrainer

from inner_loop.libraries.trl_internals import KEYS, METHODS, TAKES_TOKENS, takes_token_advantages


def test_the_loss_takes_one_advantage_per_token():
    assert takes_token_advantages(GRPOTrainer)
    assert TAKES_TOKENS in inspect.getsource(GRPOTrainer._compute_loss)


def test_the_methods_are_called_as_they_are_overridden():
    assert [*inspect.signature(GRPOTrainer._generate).parameters] == ["self", "prompts"]
    assert [*inspect.signature(GRPOTrainer._generate_and_score_completions).parameters] == ["self", "inputs"]
    assert [*inspect.signature(GRPOTrainer._calculate_rewards).parameters] == [
        "self", "inputs", "prompts", "completions", "completion_ids_list",
    ]  # fmt: skip
    names = [*inspect.signature(GRPOTrainer._get_per_token_logps_and_entropies).parameters]
    assert names[:7] == [
        "self", "model", "input_ids", "attention_mask", "logits_to_keep", "batch_size", "compute_entropy",
    ]  # fmt: skip


def test_the_scored_batch_has_the_keys():
    source = inspect.getsource(GRPOTrainer._generate_and_score_completions)
    assert all(f'"{key}": {key}' in source for key in KEYS)
    assert 'output["tool_mask"] = tool_mask' in source
    assert 'self._logs["advantages"].extend(' in source
    assert "rewards[unscorable_mask] = torch.nan" in source
    assert "self.reward_weights" in source


def test_a_trainer_that_lacks_them_is_told_apart():
    class Older(GRPOTrainer):
        def _compute_loss(self, model, inputs):
            return inputs["advantages"].unsqueeze(1)

    class Elsewhere:
        pass

    assert not takes_token_advantages(Older)
    assert not takes_token_advantages(Elsewhere)
    assert set(METHODS) <= set(dir(GRPOTrainer))
