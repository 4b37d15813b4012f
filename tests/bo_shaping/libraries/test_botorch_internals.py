"""These fail first when BoTorch changes what it never promised."""

import torch
from botorch.acquisition.multi_objective import logei

from bo_shaping.config import StudyConfig
from bo_shaping.generation.strategy import new_client, new_experiment, propose
from bo_shaping.libraries.botorch_internals import never_compile
from bo_shaping.surrogate.outcomes import KL, REWARD


def compilations(monkeypatch):
    """The list that grows whenever BoTorch asks torch to compile."""
    asked = []
    monkeypatch.setattr("torch.utils.cpp_extension.load", lambda **options: asked.append(options))
    monkeypatch.setattr(logei, "_load_attempted", False)
    monkeypatch.setattr(logei, "_C", None)
    return asked


def test_botorch_would_compile_and_is_kept_from_it(monkeypatch):
    asked = compilations(monkeypatch)
    logei._try_load_fused_kernel()
    assert len(asked) == 1
    monkeypatch.setattr(logei, "_load_attempted", False)
    never_compile()
    logei._try_load_fused_kernel()
    assert len(asked) == 1


def test_a_front_is_searched_without_a_compiler(monkeypatch):
    # A study that was killed while it compiled made every later one wait for ever.
    asked = compilations(monkeypatch)
    config = StudyConfig(name="front", budget={"trials": 20}, objective={"pareto": True, "max_kl": 8.0})
    client = new_client(new_experiment(config))
    generator = torch.Generator().manual_seed(0)
    for _ in range(8):
        reward, kl = torch.rand(2, generator=generator).tolist()
        client.complete_trial(propose(client, config), raw_data={REWARD: reward, KL: kl})
    propose(client, config)
    assert logei._C is None
    assert asked == []
