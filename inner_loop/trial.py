"""One inner run: `run_trial(TrialSpec)` yields `TrialProgress` and returns a `TrialResult`."""

import os
import resource
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from inner_loop.checkpoint import CheckpointFolder, TrialState
from inner_loop.credit_similarity import credit_similarity
from inner_loop.errors import TaskError
from inner_loop.evaluation import Evaluation, evaluate
from inner_loop.models.prompt_sampler import PromptSampler
from inner_loop.models.reward_models import RewardModel
from inner_loop.models.task import Task
from inner_loop.models.transformers_reward_model import TransformersRewardModel
from inner_loop.ppo.clock import PhaseClock
from inner_loop.ppo.loaded_models import LoadedModels, borrowed_models
from inner_loop.ppo.training import PPOTrainer
from inner_loop.processes import join_processes, joined, of_the_first, process_index
from inner_loop.shaping import ShapingFunction
from inner_loop.spec import CurvePoint, ExplainedResponse, StepStats, TrialProgress, TrialResult, TrialSpec, Unread

GENERATOR = "generator"
"""Name of the generator's state among the tensors of a checkpoint."""

TRAINING_PHASES = ("sample", "attribute", "update")
"""The phases of a step."""


def run_trial(
    spec: TrialSpec,
    *,
    reward_model: Any = None,
    folder: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 10,
    save_policy: str | os.PathLike[str] | None = None,
) -> Generator[TrialProgress, None, TrialResult]:
    """Train the task's policy for `spec.ppo.steps` steps with mixed dense rewards, and judge it.

    A generator: it yields an event at the start and after every step, and its return value is the result. Under
    `torchrun` or `accelerate launch`, the processes train together: see `inner_loop.processes`.

        result = result_of(run_trial(TrialSpec(weights={"shap": 0.5, "sparse": 0.5})), heard=print)

    Args:
        spec: Everything the run depends on; equal specs give equal results on one machine.
        reward_model: Used instead of `spec.task.reward_model`: any callable `list[str] -> list[float]`.
        folder: Where checkpoints are kept. A run with the same spec and folder continues from the last one, yielding
            the events of the steps before it again, and ends as if it had never been interrupted, in float32 bit for
            bit (but for times). A run that is done there is not run again.
        checkpoint_every: Steps between two checkpoints. Every ten, they take 0.2 % of the CPU time of the embedded
            policy's steps, and 1.4 % of SmolLM2-135M's (1.6 GB each): `python -m experiments.benchmarks.ppo`.
        save_policy: Where to write the trained policy and its tokenizer, as an ordinary transformers folder.

    Raises:
        TaskError: If a model or the prompts cannot be used.
        RewardModelError: If the reward model returns anything but one finite score per text.
        DivergedError: If the training left the region in which its numbers mean anything.
    """
    join_processes()
    is_first = process_index() == 0
    checkpoints = CheckpointFolder(Path(folder), spec) if folder is not None else None
    is_saved = save_policy is None or (Path(save_policy) / "config.json").is_file()
    if done := of_the_first(checkpoints.result() if checkpoints and is_saved and is_first else None):
        yield from events_of(spec, done.curve, done.steps, done.before)
        return done
    with ExitStack() as stack:
        clock = PhaseClock()
        with clock.phase("setup"):
            models = stack.enter_context(borrowed_models(spec, reward_model=reward_model))
            trial = _Trial(models, spec, clock)
            if checkpoints:
                trial.resume(checkpoints)
            if len(steps := set(joined([trial.n_steps]))) > 1:
                raise TaskError(
                    f"The processes are at steps {steps}: all of them must see the trial's folder {folder}."
                )
        if not trial.curve:
            trial.evaluate()
            trial.explain_start()
        yield from events_of(spec, trial.curve, trial.steps, trial.before)
        while trial.step():
            due = trial.n_steps % spec.evaluation.every == 0 or trial.n_steps == spec.ppo.steps
            if due:
                trial.evaluate()
            yield event_of(spec, trial.n_steps, trial.steps[-1], trial.curve[-1] if due else None)
            if checkpoints and is_first and trial.n_steps % checkpoint_every == 0 and trial.n_steps < spec.ppo.steps:
                trial.save(checkpoints)
        if trial.curve[-1].step < trial.n_steps:  # stopped between two points of the curve
            trial.evaluate()
            yield event_of(spec, trial.n_steps, trial.steps[-1], trial.curve[-1])
        result = trial.result()
        if save_policy is not None and is_first:
            models.actor_critic.save_policy(Path(save_policy))
            models.task.tokenizer.save_pretrained(save_policy)
        if checkpoints and is_first:
            checkpoints.finish(result)
        return of_the_first(result)


class _Trial:
    """The training, what has been measured of it, and how both go into a checkpoint and come back."""

    def __init__(self, models: LoadedModels, spec: TrialSpec, clock: PhaseClock) -> None:
        self._task, self._actor_critic, self._spec, self._clock = models.task, models.actor_critic, spec, clock
        self._shaping = ShapingFunction(spec.weights, spec.attribution, spec.ppo.gamma, models.task.reward_model)
        # The critic starts at zero and everything else is loaded: the generator is the only source of chance.
        self._generator = torch.Generator().manual_seed(spec.seed)
        self._prompts = PromptSampler(models.task.train_prompts, self._generator)
        self._trainer = PPOTrainer(
            models.task,
            models.actor_critic,
            self._shaping,
            spec.ppo,
            response_tokens=spec.task.response_tokens,
            generator=self._generator,
            clock=clock,
        )
        self._latest: Evaluation | None = None
        self._stopped: str | None = None
        self.before: list[ExplainedResponse] = []
        self.curve: list[CurvePoint] = []
        self.steps: list[StepStats] = []
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    @property
    def n_steps(self) -> int:
        """Steps finished."""
        return len(self.steps)

    def step(self) -> bool:
        """Train one step; False, and nothing trained, once the training is over."""
        ppo = self._spec.ppo
        if self.n_steps == ppo.steps:
            return False
        progress = self.n_steps / max(ppo.steps - 1, 1)
        experience = self._trainer.collect(self._prompts.draw(ppo.prompts_per_step), progress)
        if ppo.stop_at_kl is not None and experience.kl > ppo.stop_at_kl:
            self._stopped = (
                f"After {self.n_steps} steps the KL of a rollout was {experience.kl:.4g} nats, over stop_at_kl = "
                f"{ppo.stop_at_kl:g}."
            )
            return False
        self.steps.append(self._trainer.update(experience))
        return True

    def evaluate(self) -> None:
        """Add a point to the curve."""
        self._latest = self._judge()
        self.curve.append(self._latest.point)

    def explain_start(self) -> None:
        """Keep what the policy says before its first step, with the credit of every token."""
        if self._latest is None or self._spec.n_samples == 0 or process_index() > 0:
            return
        with self._clock.phase("explain"):
            # By a shaping function of its own: what that of the training evaluates is counted.
            spec = self._spec
            shaping = ShapingFunction(spec.weights, spec.attribution, spec.ppo.gamma, self._task.reward_model)
            self.before = explain_samples(self._latest, shaping, spec.n_samples)

    def save(self, folder: CheckpointFolder) -> None:
        """Write a checkpoint."""
        state = TrialState(
            spec=self._spec,
            curve=self.curve,
            steps=self.steps,
            seconds=self._clock.seconds,
            numbers=self._trainer.numbers(),
            prompt_queue=self._prompts.queue,
            before=self.before,
        )
        own = {GENERATOR: self._generator.get_state(), **self._trainer.tensors()}
        folder.save(state, own | self._actor_critic.training_state())

    def resume(self, folder: CheckpointFolder) -> None:
        """Continue from the folder's checkpoint, if there is one."""
        loaded = folder.load()
        if loaded is None:
            return
        state, tensors = loaded
        self._generator.set_state(tensors.pop(GENERATOR))
        self._trainer.load(state.numbers, tensors)
        self._actor_critic.load_training_state(tensors)
        self._prompts.queue = state.prompt_queue
        self.curve, self.steps, self.before = state.curve, state.steps, state.before
        self._clock.take_over(state.seconds)

    def result(self) -> TrialResult:
        """What the trial hands back, samples included."""
        final = self._latest or self._judge()  # stopped at once after a resume: judged before, in another process
        with self._clock.phase("explain"):
            samples = explain_samples(final, self._shaping, self._spec.n_samples) if process_index() == 0 else []
        return result_from(
            self._spec,
            self._task,
            final,
            curve=self.curve,
            steps=self.steps,
            samples=samples,
            before=self.before,
            seconds=self._clock.seconds,
            stopped=self._stopped,
        )

    def _judge(self) -> Evaluation:
        with self._clock.phase("evaluate"):
            return evaluate(
                self._actor_critic,
                self._task.tokenizer,
                self._task.reward_model,
                self._task.evaluation_prompts,
                self._spec.evaluation,
                step=self.n_steps,
                response_tokens=self._spec.task.response_tokens,
                sampling=self._spec.ppo,
                gold=self._task.gold,
            )


def result_from(
    spec: TrialSpec,
    task: Task,
    final: Evaluation,
    *,
    curve: list[CurvePoint],
    steps: list[StepStats],
    samples: list[ExplainedResponse],
    seconds: dict[str, float],
    stopped: str | None,
    before: Sequence[ExplainedResponse] = (),
) -> TrialResult:
    """The result of a training, whoever trained, with what this process has used of memory.

    Args:
        spec: The trial.
        task: What was trained.
        final: The last evaluation.
        curve: All points.
        steps: What each step did.
        samples: Explained responses of `final`.
        seconds: By phase; those of a step must be among them.
        stopped: Why it ended early; None if it did not.
        before: Explained responses of the policy before its first step.
    """
    n_tokens = sum(stats.length for stats in steps) * spec.ppo.rollout_size
    return TrialResult(
        mean=final.point.mean,
        sem=final.point.sem,
        kl=final.point.kl,
        curve=curve,
        scores=final.scores,
        steps=steps,
        samples=samples,
        before=list(before),
        seconds=seconds,
        tokens_per_second=n_tokens / sum(seconds[phase] for phase in TRAINING_PHASES) if steps else None,
        peak_memory_mb=peak_memory_mb(),
        peak_gpu_memory_mb=torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0,
        stopped=stopped,
        seed=spec.seed,
        prompts=task.counts,
        unread=unread_of(task.reward_model, final),
    )


def explain_samples(evaluation: Evaluation, shaping: ShapingFunction, count: int) -> list[ExplainedResponse]:
    """The first `count` evaluated responses with the credit of every token under every component of the weights."""
    prompts, responses = evaluation.prompts[:count], evaluation.responses[:count]
    shaped = shaping(
        prompts,
        responses,
        evaluation.scores[:count],
        token_ends=evaluation.token_ends[:count],
        components=list(shaping.weights),
        token_facts=evaluation.token_facts[:count],
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
            unit_tokens=item.unit_tokens,
            unread=item.is_unread.tolist() if item.is_unread.any() else [],
        )
        for prompt, response, item in zip(prompts, responses, shaped, strict=True)
    ]


def unread_of(reward_model: RewardModel, evaluation: Evaluation) -> Unread | None:
    """What of the responses the reward model had no room for; None if it read all, or reads texts of any length."""
    if not isinstance(reward_model, TransformersRewardModel):
        return None
    counts = reward_model.count_unread(evaluation.prompts, evaluation.responses)
    return (
        Unread(responses=sum(count > 0 for count in counts) / len(counts), tokens=sum(counts)) if any(counts) else None
    )


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def events_of(
    spec: TrialSpec,
    curve: Sequence[CurvePoint],
    steps: Sequence[StepStats],
    before: Sequence[ExplainedResponse] = (),
) -> Iterator[TrialProgress]:
    """The events of the steps so far; the first one says how alike the components pay in what was explained before."""
    points = {point.step: point for point in curve}
    similarity = credit_similarity(list(spec.weights), before)
    yield TrialProgress(step=0, n_steps=spec.ppo.steps, point=points[0], similarity=similarity)
    for step, stats in enumerate(steps, start=1):
        yield event_of(spec, step, stats, points.get(step))


def event_of(spec: TrialSpec, step: int, stats: StepStats, point: CurvePoint | None) -> TrialProgress:
    """The event of a step."""
    return TrialProgress(step=step, n_steps=spec.ppo.steps, score=stats.score, kl=stats.kl, point=point)
