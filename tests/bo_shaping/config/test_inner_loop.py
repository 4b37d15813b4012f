import sys

import pytest

from bo_shaping.config.inner_loop import check_inner_loop, trains_the_task
from bo_shaping.errors import ConfigError
from inner_loop.errors import TaskError
from inner_loop.spec import EvaluationConfig, PPOConfig, TaskConfig

LOOP = "def run_trial(spec):\n    yield\n"
CHECK = """
from inner_loop.errors import TaskError


def check_trial(task, evaluation, ppo):
    if ppo.steps > 5:
        raise TaskError(f"ppo.steps {ppo.steps} is too much for this loop")
    return [f"it will train {task.policy}"]
"""


@pytest.fixture
def module(tmp_path, monkeypatch, request):
    """The name of a module that holds an inner loop."""
    name = f"loop_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{name}.py").write_text(request.param + LOOP)
    monkeypatch.syspath_prepend(tmp_path)
    yield f"{name}:run_trial"
    sys.modules.pop(name, None)


def check(entry_point, steps=2):
    return check_inner_loop(entry_point, TaskConfig(), EvaluationConfig(n_prompts=2), PPOConfig(steps=steps))


@pytest.mark.parametrize("module", [CHECK], indirect=True)
def test_what_an_inner_loop_checks_is_asked_before_the_first_trial(module):
    assert trains_the_task(module)
    assert check(module) == ["it will train embedded"]
    with pytest.raises(TaskError, match=r"ppo.steps 6 is too much for this loop"):
        check(module, steps=6)


@pytest.mark.parametrize("module", [""], indirect=True)
def test_an_inner_loop_without_a_check_is_taken_at_its_word(module):
    assert not trains_the_task(module)
    assert check(module) == []


def test_one_that_cannot_be_imported_is_named():
    with pytest.raises(ConfigError, match="no_such_module"):
        check("no_such_module:run_trial")


def test_trl_refuses_what_it_does_not_do_before_the_first_trial():
    trl = "inner_loop.integrations.trl:run_trial"
    assert trains_the_task(trl)
    with pytest.raises(TaskError, match="'ppo' has a critic, which TRL's trainer has not; choose grpo or rloo"):
        check(trl)
