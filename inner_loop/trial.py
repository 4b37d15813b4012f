"""One inner run: `run_trial(TrialSpec)` yields `TrialProgress` and returns a `TrialResult`."""

import resource
import sys
from collections.abc import Generator, Iterator
from typing import Any

import torch

from inner_loop.evaluation import Evaluation, evaluate
from inner_loop.ppo.training import PhaseClock, PPOTrainer
from inner_loop.shaping import ShapingFunction
from inner_loop.spec import ExplainedResponse, StepStats, TrialProgress, TrialResult, TrialSpec
from inner_loop.task import Prompt, Task, load_task


def run_trial(spec: TrialSpec, *, reward_model: Any = None) -> Generator[TrialProgress, None, TrialResult]:
    """Train the task's policy for `spec.ppo.steps` steps with mixed dense rewards, and judge it.

    A generator: it yields an event at the start and after every step, and its return value is the result.

        run = run_trial(TrialSpec(weights={"shap": 0.5, "sparse": 0.5}))
        while True:
            try:
                print(next(run))
            except StopIteration as stop:
                result = stop.value
                break

    Args:
        spec: Everything the run depends on; equal specs give equal results on one machine.
        reward_model: Used instead of `spec.task.reward_model`: any callable `list[str] -> list[float]`.

    Raises:
        TaskError: If a model or the prompts cannot be used.
        RewardModelError: If the reward model returns anything but one finite score per text.
        DivergedError: If the training left the region in which its numbers mean anything.
    """
    clock = PhaseClock()
    with clock.phase("setup"):
        task = load_task(spec.task, spec.evaluation, reward_model=reward_model)
        shaping = ShapingFunction(spec.weights, spec.attribution, spec.ppo.gamma, task.reward_model)
        generator = torch.Generator().manual_seed(spec.seed)
        # The critic's heads start at zero and everything else is loaded: the generator is the only source of chance.
        trainer = PPOTrainer(
            task,
            shaping,
            spec.ppo,
            response_tokens=spec.task.response_tokens,
            generator=generator,
            clock=clock,
        )
        batches = prompt_batches(task.train_prompts, spec.ppo.rollout_size, generator)
    curve, steps = [], list[StepStats]()
    final = _evaluate(task, spec, 0, clock)
    curve.append(final.point)
    yield TrialProgress(step=0, n_steps=spec.ppo.steps, point=final.point)
    for step in range(1, spec.ppo.steps + 1):
        steps.append(trainer.step(next(batches)))
        due = step % spec.evaluation.every == 0 or step == spec.ppo.steps
        if due:
            final = _evaluate(task, spec, step, clock)
            curve.append(final.point)
        yield TrialProgress(
            step=step,
            n_steps=spec.ppo.steps,
            score=steps[-1].score,
            kl=steps[-1].kl,
            point=final.point if due else None,
        )
    with clock.phase("explain"):
        samples = explain_samples(final, shaping, spec.n_samples)
    return TrialResult(
        mean=final.point.mean,
        sem=final.point.sem,
        kl=final.point.kl,
        curve=curve,
        scores=final.scores,
        steps=steps,
        samples=samples,
        seconds=clock.seconds,
        peak_memory_mb=peak_memory_mb(),
        seed=spec.seed,
    )


def prompt_batches(prompts: list[Prompt], size: int, generator: torch.Generator) -> Iterator[list[Prompt]]:
    """Endless batches of `size` prompts: every prompt once, in random order, before any comes again."""
    queue: list[int] = []
    while True:
        while len(queue) < size:
            queue += torch.randperm(len(prompts), generator=generator).tolist()
        batch, queue = queue[:size], queue[size:]
        yield [prompts[index] for index in batch]


def explain_samples(evaluation: Evaluation, shaping: ShapingFunction, count: int) -> list[ExplainedResponse]:
    """The first `count` evaluated responses with the credit of every token under every component of the weights."""
    rollout = evaluation.rollouts[0]
    count = min(count, len(rollout.responses))
    shaped = shaping(
        rollout.prompts[:count],
        rollout.responses[:count],
        evaluation.scores[:count],
        token_ends=rollout.token_ends[:count],
        components=list(shaping.weights),
    )
    return [
        ExplainedResponse(
            prompt=prompt,
            response=response,
            score=item.score,
            base_value=item.base_value or 0.0,
            tokens=[response[start:end] for start, end in zip([0, *item.token_ends], item.token_ends, strict=False)],
            components={name: values.tolist() for name, values in item.components.items()},
            rewards=item.rewards.tolist(),
        )
        for prompt, response, item in zip(rollout.prompts, rollout.responses, shaped, strict=False)
    ]


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _evaluate(task: Task, spec: TrialSpec, step: int, clock: PhaseClock) -> Evaluation:
    with clock.phase("evaluate"):
        return evaluate(
            task.policy,
            task.reference,
            task.tokenizer,
            task.reward_model,
            task.evaluation_prompts,
            spec.evaluation,
            step=step,
            response_tokens=spec.task.response_tokens,
            temperature=spec.ppo.temperature,
        )
