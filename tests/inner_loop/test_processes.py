"""Two processes on a CPU against one: the same training, on shares of the same rollouts."""

import json
import subprocess
import sys

import pytest
import torch
from torch import distributed, multiprocessing

from inner_loop import TrialSpec
from inner_loop.errors import TaskError
from inner_loop.evaluation import evaluate
from inner_loop.ppo.actor_critic import ActorCritic
from inner_loop.processes import joined, n_processes, of_the_first, own_among, process_index, share_of, total
from inner_loop.spec import EvaluationConfig, PPOConfig
from tests.inner_loop.bandit import make_bandit
from tests.inner_loop.ppo.test_training import changed, make_trainer
from tests.inner_loop.test_trial import TINY, run

SETTINGS = [
    {"minibatch_size": 4},
    {"minibatch_size": 2, "epochs": 3, "reward_scale": "running", "adaptive_kl": 0.01, "adaptive_kl_horizon": 20},
    {"minibatch_size": 1, "centre_credit": True, "critic": "separate", "missing_eos": "bootstrap"},
    {"minibatch_size": 4, "accumulate": 2, "algorithm": "rloo", "samples_per_prompt": 2, "target_kl": 1e-4},
]


def in_two_processes(tmp_path, call, *args):
    """What `call` returns in each of two processes."""
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    address = f"file://{tmp_path}/rendezvous"
    processes = [context.Process(target=_run_one, args=(rank, address, queue, call, args)) for rank in range(2)]
    for process in processes:
        process.start()
    results = dict(queue.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    return results[0], results[1]


def _run_one(rank, address, queue, call, args):
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    torch.set_num_threads(1)
    try:
        queue.put((rank, call(*args)))
    except Exception as error:
        queue.put((rank, repr(error)))
    distributed.destroy_process_group()


def words():
    return (
        n_processes(),
        total(torch.tensor([1.0, 2.0 * process_index()])).tolist(),
        joined([process_index(), 7]),
        of_the_first(process_index()),
        (share_of(5).start, share_of(5).stop),
        own_among(torch.tensor([4, 0, 2]), 5).tolist(),
    )


def test_processes_add_up_join_and_divide(tmp_path):
    first, second = in_two_processes(tmp_path, words)
    assert first == (2, [2.0, 2.0], [0, 7, 1, 7], 0, (0, 2), [0])
    assert second == (2, [2.0, 2.0], [0, 7, 1, 7], 0, (2, 5), [2, 0])


def test_one_process_is_left_alone():
    assert words() == (1, [1.0, 0.0], [0, 7], 0, (0, 5), [4, 0, 2])


def train(settings, steps=2):
    """Parameters, statistics and what a checkpoint would hold after some steps."""
    task = make_bandit(lambda words: float(words.count("a")))
    trainer = make_trainer(task, {"prefix": 0.5, "sparse": 0.5}, config=changed(**settings))
    prompts = task.train_prompts[: trainer.config.prompts_per_step]
    stats = [trainer.step(prompts).model_dump() for _ in range(steps)]
    parameters = torch.cat([parameter.detach().flatten() for parameter in trainer.actor_critic.parameters()])
    return parameters.tolist(), stats, trainer.numbers(), trainer._generator.get_state().tolist()


@pytest.mark.parametrize("settings", SETTINGS)
def test_two_processes_train_as_one_on_the_joint_batch(tmp_path, settings):
    first, second = in_two_processes(tmp_path, train, settings)
    assert first == second, "the processes hold other weights, or saw other numbers"
    parameters, stats, numbers, generator = train(settings)
    start = train(settings, steps=0)[0]
    # Adam turns rounding of gradients near zero into steps of up to the learning rate: few weights may be that far off.
    gaps = (torch.tensor(first[0]) - torch.tensor(parameters)).abs()
    assert gaps.quantile(0.99) < 1e-5
    assert (torch.tensor(parameters) - torch.tensor(start)).abs().quantile(0.5) > 1e-3
    assert first[3] == generator
    assert first[2] == pytest.approx(numbers, rel=1e-5)
    for own, other in zip(first[1], stats, strict=True):
        assert own.keys() == other.keys()
        for name, value in other.items():
            assert own[name] == (None if value is None else pytest.approx(value, rel=1e-4, abs=1e-5)), name


def judge(count):
    task = make_bandit(lambda words: float(words.count("a")))
    evaluation = evaluate(
        ActorCritic(task.policy),
        task.tokenizer,
        task.reward_model,
        task.evaluation_prompts[:count],
        EvaluationConfig(n_prompts=count),
        step=0,
        response_tokens=6,
        sampling=PPOConfig(),
    )
    return evaluation.point.model_dump(), evaluation.scores, evaluation.prompts, evaluation.responses


@pytest.mark.parametrize("count", [1, 3])
def test_two_processes_judge_as_one_even_if_one_of_them_has_no_prompt(tmp_path, count):
    first, second = in_two_processes(tmp_path, judge, count)
    point, *texts = judge(count)
    assert first == second
    assert first[0].pop("gold") == point.pop("gold") == {}
    assert first[0] == pytest.approx(point, abs=1e-6)
    assert list(first[1:]) == texts


def refused():
    try:
        train({"rollout_size": 3, "minibatch_size": 1})
    except TaskError as error:
        return str(error)


def test_prompts_that_cannot_be_divided_are_an_error(tmp_path):
    first, _ = in_two_processes(tmp_path, refused)
    assert "rollout of 3 prompts" in first
    assert "among 2 processes" in first


SCRIPT = """
import json, sys, torch
from inner_loop import TrialSpec, run_trial
from inner_loop.ppo import loaded_models
from inner_loop.processes import process_index
torch.set_num_threads(1)
spec, folder = TrialSpec.model_validate_json(sys.argv[1]), sys.argv[2]
trial, events = run_trial(spec, folder=folder, checkpoint_every=1, save_policy=folder + "/policy"), []
while True:
    try:
        events.append(next(trial).model_dump())
    except StopIteration as stop:
        result = stop.value
        break
    if len(sys.argv) > 3 and len(events) == int(sys.argv[3]):
        sys.exit()
[models] = loaded_models._idle.values()
weights = sum(parameter.double().abs().sum().item() for parameter in models.actor_critic.parameters())
with open(f"{folder}/rank-{process_index()}.json", "w") as file:
    json.dump([events, result.model_dump(), weights], file)
"""


def torchrun(spec, folder, *more):
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(SCRIPT)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(folder / "train.py")]
    subprocess.run([sys.executable, *command, spec.model_dump_json(), str(folder), *more], check=True, timeout=300)
    return [json.loads(path.read_text()) for path in sorted(folder.glob("rank-*.json"))]


def test_a_trial_under_torchrun_is_the_trial_of_one_process_and_continues_where_it_was(tmp_path):
    spec = TrialSpec(weights={"shap": 0.5, "sparse": 0.5}, seed=3, **TINY)
    assert torchrun(spec, tmp_path / "trial", "3") == []  # two of three steps, then both processes end
    assert (tmp_path / "trial" / "checkpoint.safetensors").exists()
    first, second = torchrun(spec, tmp_path / "trial")
    assert first == second
    assert (tmp_path / "trial" / "policy" / "config.json").exists()
    events, alone = run(spec)
    assert [event["step"] for event in first[0]] == [event.step for event in events]
    result = first[1]
    assert result["mean"] == pytest.approx(alone.mean, abs=1e-3)
    assert result["scores"] == pytest.approx(alone.scores, abs=1e-3)
    assert [step["score"] for step in result["steps"]] == pytest.approx([step.score for step in alone.steps], abs=1e-3)
    assert [sample["response"] for sample in result["samples"]] == [sample.response for sample in alone.samples]
