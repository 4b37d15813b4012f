"""A trial trained by TRL: `run_trial(TrialSpec)` yields `TrialProgress` and returns a `TrialResult`, as our own does.

The policy is trained by `DenseCreditGRPOTrainer`, with reward-to-go unless `advantage` says otherwise, and judged by
the evaluation that judges ours: the same prompts, noise and measures. What becomes of the `ppo` section is said in
`inner_loop.integrations.trl_config`.

**More machines.** What accelerate does comes from its own configuration: `accelerate launch`, or the file that
`accelerate config` writes and its environment variables, as with any script of TRL. Every process calls `run_trial` and
hears the same events; the first one writes. Run here: one process, and two with gloo on a CPU. DeepSpeed and FSDP take
the same way through TRL and were not run here.

**More of TRL.** Fields of `GRPOConfig` that a spec does not name (vLLM, DeepSpeed, a loss, a logger) are `options`, in
a function of your own that the study's YAML names. That keeps them in one place, in code that can be kept with the
study, and not in the environment of whatever machine a trial happens to run on:

    from inner_loop.integrations import trl

    def run_trial(spec, *, folder=None):
        options = {"use_vllm": True, "vllm_mode": "colocate"}
        return trl.run_trial(spec, folder=folder, advantage="weights", options=options)

**Interruptions.** With a `folder`, TRL's checkpoints are kept there, beside what was measured so far; a trial that was
killed goes on from the last one and ends with the result it would have had. Closing the generator ends the training
within its step. The global random numbers, which TRL draws from, are the caller's again between two events.
"""

import math
import os
import shutil
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from transformers import PrinterCallback, TrainerCallback
from trl.models import unwrap_model_for_generation

from inner_loop.checkpoint import CheckpointFolder
from inner_loop.errors import DivergedError
from inner_loop.evaluation import Evaluation, evaluate
from inner_loop.integrations.callback_generator import Emit, generator_of
from inner_loop.integrations.policy_and_reference import PolicyAndReference
from inner_loop.integrations.sampled_tokens import decode_sampled
from inner_loop.integrations.trl_checkpoint import MeasuredSoFar
from inner_loop.integrations.trl_config import check_ppo, grpo_config, steps_per_rollout
from inner_loop.integrations.trl_prompts import prompt_rows
from inner_loop.integrations.trl_recorded_trainer import RecordedTrainer
from inner_loop.integrations.trl_trainer import AdvantageKind, ScoredRollout
from inner_loop.models.conversation import Conversation
from inner_loop.models.model_source import without_progress_bars
from inner_loop.models.reward_models import score_responses
from inner_loop.models.task import load_task
from inner_loop.ppo.clock import PhaseClock
from inner_loop.ppo.kl import check_kl, kl_estimate
from inner_loop.ppo.tokens import TokenBatch
from inner_loop.processes import join_processes, of_the_first, process_index, total
from inner_loop.shaping import ShapingFunction
from inner_loop.spec import CurvePoint, StepStats, TrialProgress, TrialResult, TrialSpec
from inner_loop.trial import TRAINING_PHASES, event_of, events_of, explain_samples, result_from


def run_trial(
    spec: TrialSpec,
    *,
    reward_model: Any = None,
    folder: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 10,
    save_policy: str | os.PathLike[str] | None = None,
    advantage: AdvantageKind = "reward_to_go",
    options: Mapping[str, Any] | None = None,
) -> Generator[TrialProgress, None, TrialResult]:
    """Train the task's policy with TRL for `spec.ppo.steps` steps with mixed dense rewards, and judge it.

    Args:
        spec: Everything the run depends on, besides `options`; `ppo.algorithm` must be `grpo` or `rloo`.
        reward_model: Used instead of `spec.task.reward_model`.
        folder: Where checkpoints are kept. A run with the same spec, options and folder continues from the last one,
            yielding the events of the steps before it again. A run that is done there is not run again.
        checkpoint_every: Steps between two checkpoints.
        save_policy: Where to write the trained policy and its tokenizer, as an ordinary transformers folder.
        advantage: How credit becomes an advantage; `weights` has no use for `gae_lambda` and `to_sparse`.
        options: Fields of `GRPOConfig` that do not follow from the spec.

    Raises:
        TaskError: If a model or the prompts cannot be used, or the spec asks for what TRL does not do.
        RewardModelError: If the reward model returns anything but one finite score per text.
        DivergedError: If the training left the region in which its numbers mean anything.
    """
    check_ppo(spec.ppo, advantage)
    join_processes()
    is_first, own = process_index() == 0, None if folder is None else Path(folder)
    finished = CheckpointFolder(own, spec) if own else None
    is_saved = save_policy is None or (Path(save_policy) / "config.json").is_file()
    if done := of_the_first(finished.result() if finished and is_saved and is_first else None):
        yield from events_of(spec, done.curve, done.steps)
        return done

    def work(emit: Emit[TrialProgress]) -> TrialResult:
        with TemporaryDirectory(prefix="trl-") as elsewhere:
            place = Path(elsewhere) if own is None else own / "trl"
            every = None if own is None else checkpoint_every
            trial = _Trial(spec, reward_model, place, every, advantage, dict(options or {}), emit)
            result = trial.run()
            if save_policy is not None:
                trial.save_policy(Path(save_policy))
            if finished and is_first:
                finished.finish(result)
                shutil.rmtree(place, ignore_errors=True)
            return of_the_first(result)

    return (yield from generator_of(work))


class _StoppedError(Exception):
    """The training ends, successfully, before the update on this rollout."""


class _Trial(TrainerCallback):
    """The training, what has been measured of it, and how both go into a checkpoint and come back."""

    def __init__(
        self,
        spec: TrialSpec,
        reward_model: Any,
        place: Path,
        checkpoint_every: int | None,
        advantage: AdvantageKind,
        options: dict[str, Any],
        emit: Emit[TrialProgress],
    ) -> None:
        self._spec, self._place, self._emit = spec, place, emit
        self._options = repr((advantage, options))
        self._clock = PhaseClock()
        with self._clock.phase("setup"):
            config = grpo_config(spec, place, checkpoint_every=checkpoint_every, options=options)
            self._task = load_task(spec.task, spec.evaluation, reward_model=reward_model)
            self._judged = PolicyAndReference(self._task.policy)
            self._shaping = ShapingFunction(spec.weights, spec.attribution, reward_model=self._task.reward_model)
            rows, self._texts = prompt_rows(self._task, spec)
            with without_progress_bars():
                self._trainer = RecordedTrainer(
                    self._task.policy,
                    self.score,
                    config,
                    rows,
                    processing_class=self._task.tokenizer,
                    callbacks=[self],
                    credit=self._shaping,
                    advantage=advantage,
                    leave_one_out=spec.ppo.algorithm == "rloo",
                    decay=spec.ppo.gae_lambda if advantage == "reward_to_go" else 1.0,
                )
            self._trainer.remove_callback(PrinterCallback)  # the events say it
            self._trainer.recorder = self
            self._share_reference()
        self._records, self._measured = list[dict[str, Any]](), dict[str, Any]()
        self._latest: Evaluation | None = None
        self._stopped: str | None = None
        self._mark = (0.0, 0.0)
        self.curve: list[CurvePoint] = []
        self.steps: list[StepStats] = []
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def run(self) -> TrialResult:
        """Train to the end, or from the last checkpoint on."""
        checkpoint = self._resume()
        if not self.curve:
            self._evaluate()
        for event in events_of(self._spec, self.curve, self.steps):
            self._emit(event)
        self._mark = self._now()
        if len(self.steps) < self._spec.ppo.steps:
            try:
                self._trainer.train(resume_from_checkpoint=checkpoint)
            except _StoppedError as stopped:
                self._stopped = str(stopped)
                if self.curve[-1].step < len(self.steps):
                    self._evaluate()
                    self._emit(self._last_event())
        return self._result()

    def save_policy(self, folder: Path) -> None:
        """Write the policy and its tokenizer; all processes take part."""
        self._trainer.save_model(str(folder))
        if process_index() == 0:
            # Pickled, and about a training that is over.
            (folder / "training_args.bin").unlink(missing_ok=True)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """An optimizer step is done; the last one on a rollout ends a step."""
        if "loss" not in logs:
            return
        self._records.append(dict(logs))
        if not all(math.isfinite(float(logs.get(name, 0.0))) for name in ("loss", "grad_norm")):
            raise DivergedError(
                f"An update of TRL's is not finite: loss {logs['loss']}, gradient norm {logs.get('grad_norm')}; take a "
                "smaller ppo.learning_rate."
            )
        if state.global_step % steps_per_rollout(self._spec.ppo):
            return
        now, before = self._now(), self._mark
        spent = self._clock.seconds
        spent["update"] = spent.get("update", 0.0) + (now[0] - before[0]) - (now[1] - before[1])
        records, self._records = self._records, []
        self.steps.append(
            StepStats(
                **self._measured,
                policy_loss=_mean(records, "loss"),
                value_loss=0.0,
                clip_fraction=_mean(records, "clip_ratio/region_mean", "cispo_clip_ratio"),
                grad_norm=_mean(records, "grad_norm"),
                optimizer_steps=len(records),
            )
        )
        if len(self.steps) % self._spec.evaluation.every == 0 or len(self.steps) == self._spec.ppo.steps:
            self._evaluate()
        self._emit(self._last_event())
        self._mark = self._now()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """TRL has written a checkpoint; the one at the end is of no use, since a result follows."""
        if process_index() != 0 or len(self.steps) == self._spec.ppo.steps:
            return
        measured = MeasuredSoFar(
            spec=self._spec,
            options=self._options,
            checkpoint=f"checkpoint-{state.global_step}",
            curve=self.curve,
            steps=self.steps,
            seconds=self._clock.seconds,
        )
        measured.write(self._place)

    def heard(self, rollout: ScoredRollout, mask: Tensor, logprobs: Tensor, ref_logprobs: Tensor, entropy: Any) -> None:
        """A rollout has been sampled and scored: measure it, and see whether the training goes on.

        Raises:
            DivergedError: If its KL is over `max_kl`.
        """
        ppo = self._spec.ppo
        k1, k3 = (kl_estimate(logprobs, ref_logprobs, kind)[mask].sum() for kind in ("k1", "k3"))
        last = [ids[-1] == self._task.tokenizer.eos_token_id for ids in rollout.token_ids]
        own = [k1.item(), k3.item(), entropy[mask].sum().item(), mask.sum().item(), sum(last)]
        k1, k3, entropies, n_tokens, n_finished = total(torch.tensor(own, dtype=torch.float64)).tolist()
        size = len(rollout.outcomes)
        self._measured = {
            "score": rollout.outcomes.mean().item(),
            "kl": k1 / size,
            "kl_k3": k3 / size,
            "kl_coef": ppo.kl_coef,
            "entropy": entropies / n_tokens,
            "length": n_tokens / size,
            "finished": n_finished / size,
        }
        check_kl(k1 / size, ppo.max_kl)
        if ppo.stop_at_kl is not None and k1 / size > ppo.stop_at_kl:
            raise _StoppedError(
                f"After {len(self.steps)} steps the KL of a rollout was {k1 / size:.4g} nats, over stop_at_kl = "
                f"{ppo.stop_at_kl:g}."
            )

    def pay(
        self, prompts: Sequence[str], texts: Sequence[str], token_ends: Sequence[Sequence[int]], facts: Sequence[Any]
    ) -> list[Any]:
        """Credit of the tokens of each response."""
        ppo, shaping = self._spec.ppo, self._trainer.credit
        if not isinstance(shaping, ShapingFunction):  # all weight on sparse, and none for weights of tokens
            return []
        progress = len(self.steps) / max(ppo.steps - 1, 1)
        with self._clock.phase("attribute"):
            return shaping(
                [self._given(prompt) for prompt in prompts],
                texts,
                token_ends=token_ends,
                token_facts=facts,
                to_sparse=ppo.to_sparse * progress,
            )

    def count(self, n_evaluations: int) -> None:
        """Note what the explanations of this process's part of a rollout took."""
        self._measured["n_evaluations"] = int(total(torch.tensor(float(n_evaluations))).item())

    @property
    def clock(self) -> PhaseClock:
        """Where the time goes."""
        return self._clock

    def reference_logprobs(self, batch: TokenBatch) -> Tensor:
        """`b x t` under the policy as it was at the start."""
        return self._judged.reference_logprobs(self._judged.prepare(batch), self._spec.ppo.temperature)

    def score(self, prompts: list[Any], completions: list[Any], completion_ids: list[Any], **_: Any) -> list[float]:
        """The reward function that TRL calls: the reward model's scores."""
        texts, _ends = decode_sampled(self._task.tokenizer, completion_ids)
        given = [self._given(prompt if isinstance(prompt, str) else Conversation(prompt)) for prompt in prompts]
        with self._clock.phase("attribute"):
            return score_responses(self._task.reward_model, given, texts)

    def _given(self, prompt: str) -> str:
        """The prompt as the task has it: a policy may read a conversation as plain text, and its reward model not."""
        return self._texts.get(str(prompt), prompt)

    def _share_reference(self) -> None:
        """One reference for TRL's price of KL and for ours, the policy as it was given and not as it is on the disk."""
        trainer: Any = self._trainer
        if trainer.ref_model is None:
            return
        theirs = trainer.accelerator.unwrap_model(trainer.ref_model)
        if not (trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled):  # which divide the weights
            theirs.load_state_dict(self._judged.reference.state_dict())
            self._judged = PolicyAndReference(self._task.policy, theirs)

    def _evaluate(self) -> None:
        trainer: Any = self._trainer
        model, was_training = trainer.model_wrapped, trainer.model.training
        trainer.model.eval()
        with (
            self._clock.phase("evaluate"),
            unwrap_model_for_generation(model, trainer.accelerator) as policy,
        ):
            self._latest = evaluate(
                PolicyAndReference(policy, self._judged.reference),
                self._task.tokenizer,
                self._task.reward_model,
                self._task.evaluation_prompts,
                self._spec.evaluation,
                step=len(self.steps),
                response_tokens=self._spec.task.response_tokens,
                sampling=self._spec.ppo,
                gold=self._task.gold,
            )
        trainer.model.train(was_training)
        self.curve.append(self._latest.point)

    def _resume(self) -> str | None:
        """The folder of TRL's last whole checkpoint, of which the curve and the steps are then known."""
        measured = MeasuredSoFar.read(self._place, self._spec, self._options)
        if measured is None:
            return None
        self.curve, self.steps = measured.curve, measured.steps
        self._clock.take_over(measured.seconds)
        return str(self._place / measured.checkpoint)

    def _result(self) -> TrialResult:
        if self._latest is None:  # stopped at once after a resume: judged before, in another process
            self._evaluate()
            self.curve.pop()
        assert self._latest is not None  # noqa: S101  _evaluate sets it
        final, spec = self._latest, self._spec
        with self._clock.phase("explain"):
            samples = explain_samples(final, self._shaping, spec.n_samples) if process_index() == 0 else []
        seconds = {phase: self._clock.seconds.get(phase, 0.0) for phase in (*TRAINING_PHASES, *self._clock.seconds)}
        return result_from(
            spec,
            self._task,
            final,
            curve=self.curve,
            steps=self.steps,
            samples=samples,
            seconds=seconds,
            stopped=self._stopped,
        )

    def _last_event(self) -> TrialProgress:
        point = self.curve[-1] if self.curve[-1].step == len(self.steps) else None
        return event_of(self._spec, len(self.steps), self.steps[-1], point)

    def _now(self) -> tuple[float, float]:
        """The time, and what sampling and attribution have taken so far."""
        return time.perf_counter(), sum(self._clock.seconds.get(phase, 0.0) for phase in ("sample", "attribute"))


def _mean(records: Sequence[Mapping[str, Any]], *names: str) -> float:
    """Mean over records of the first of these numbers that they have; zero where there is none."""
    for name in names:
        numbers = [float(record[name]) for record in records if record.get(name) is not None]
        if numbers:
            return sum(numbers) / len(numbers)
    return 0.0
