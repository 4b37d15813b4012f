"""What a launch would run, found out without writing anything: the design, what it costs here, what is refused."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bo_shaping.config import StudyConfig
from bo_shaping.config.inner_loop import DEFAULT_INNER_LOOP, check_inner_loop
from bo_shaping.config.searched_parameter import Value
from bo_shaping.errors import BoShapingError
from bo_shaping.exchange.gathering import Gathered, gather
from bo_shaping.generation.design import initial_design
from bo_shaping.space.arms import from_arm, to_specs
from bo_shaping.storage.study_folder import StudyFolder, studies_root
from bo_shaping.text.reasons import sentence_of
from bo_shaping.views.doctor import Finding, disk
from bo_shaping.views.first_look import about_task, try_task
from inner_loop.credit_similarity import credit_similarity
from inner_loop.errors import InnerLoopError
from inner_loop.spec import TrialResult, TrialSpec
from inner_loop.spec.credit_similarity import CreditSimilarity

STEP_PHASES = ("sample", "attribute", "update")


@dataclass(frozen=True)
class Arm:
    """One trial of the design."""

    weights: dict[str, float]
    parameters: dict[str, Value]


@dataclass(frozen=True)
class Cost:
    """What one training costs on this machine, from one timed step of the mixture of all components."""

    setup: float
    """Seconds to load the models."""
    step: dict[str, float]
    """Seconds of a PPO step by phase: sample, attribute (scores and credit), update."""
    evaluation: float
    """Seconds of one point of the learning curve."""
    explain: float
    """Seconds for the credit of the responses that are kept."""
    trial: float
    """Seconds of a trial that runs all of its steps, over all of its seeds."""
    study_hours: float
    """Hours of the whole budget, with `parallel` trials side by side that do not slow each other."""
    memory_mb: float
    """Largest resident memory of the process that ran the step."""
    gpu_memory_mb: float
    """Most GPU memory its tensors took; 0 on a CPU."""


@dataclass(frozen=True)
class Rehearsal:
    """What would run."""

    config: StudyConfig
    folder: str
    """Where it would live."""
    design: list[Arm]
    """The first trials to run, in their order; those that the budget has no room for are left out."""
    n_model: int
    """Trials that the Gaussian process chooses."""
    n_last: int
    """Trials at the end that measure again what matters."""
    cost: Cost | None
    """None where the step could not be run, or the inner loop is not ours."""
    similarity: CreditSimilarity | None
    """How much the components differ, on the responses of the step."""
    findings: list[Finding]
    n_joined: int = 0
    """Trials of other studies that it begins with: they are not run, and come on top of the budget."""

    @property
    def n_trials(self) -> int:
        """Trials to run."""
        return self.config.budget.trials - self.n_joined

    @property
    def problem(self) -> Finding | None:
        """The first thing for which the launch would be refused, or fail; None if nothing is known."""
        return next((finding for finding in self.findings if not finding.is_ok), None)

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        config = self.config
        return {
            "is_ready": self.problem is None,
            "name": config.name,
            "folder": self.folder,
            "trials": self.n_trials,
            "trials_joined": self.n_joined,
            "parallel": config.budget.parallel,
            "design": [asdict(arm) for arm in self.design],
            "trials_chosen_by_the_model": self.n_model,
            "trials_that_measure_again": self.n_last,
            "seeds_per_trial": config.noise.replicates,
            "reward": config.objective.reward_in_words,
            "max_kl": config.objective.max_kl,
            "cost": asdict(self.cost) if self.cost is not None else None,
            "components": asdict(self.similarity) if self.similarity is not None else None,
            "findings": [asdict(finding) for finding in self.findings],
        }


def rehearse(
    config: StudyConfig, *, sources: Sequence[str] = (), maps: Sequence[str] = (), metrics: Sequence[str] = ()
) -> Rehearsal:
    """Find out what `launch` would run: load the task, time one step of it, and write nothing.

    The first error that the task gives ends the search for more, and is the last finding.

    Args:
        config: The study.
        sources: Whose trials it would begin with, as of `Study.launch`; they are read, and nothing else.
        maps: `THEIRS=OURS` for their parameters.
        metrics: `THEIRS=OURS` for their metrics.
    """
    folder = StudyFolder((studies_root() / config.name).resolve())
    findings = list(_about_place(folder))
    found = Gathered([], (), [])
    if sources:
        try:
            found = gather(config, sources, maps, metrics)
        except BoShapingError as error:
            findings.append(Finding("source", False, sentence_of(error)))
    config = found.joined(config)
    findings += [Finding("source", True, line.strip()) for each in found.taken for line in each.sentences()]
    # Trials that joined stand in place of the first ones of the design; one of them may have to be run here.
    waiting = [entry.arm for entry in found.entries if entry.record.status == "running"]
    n_trials = config.budget.trials - found.n_joined
    to_run = [*waiting, *initial_design(config)[len(found.entries) :]][:n_trials]
    arms = [Arm(*from_arm(arm, config.search_space)) for arm in to_run]
    n_last = min(config.budget.n_replicate_last, n_trials - len(arms))
    cost, similarity = None, None
    try:
        remarks = check_inner_loop(config.inner_loop, config.task, config.evaluation, config.ppo)
        findings += [Finding("worth knowing", True, remark) for remark in remarks]
        if config.inner_loop == DEFAULT_INNER_LOOP:
            result, prompts = try_task(config, _timed_spec(config))
            cost = cost_of(config, result, n_trials)
            similarity = credit_similarity(config.search_space.components, result.samples)
            findings += [*about_task(config, result, prompts), *_about_memory(config, cost)]
        else:
            text = f"{config.inner_loop} can be imported; only a trial shows what it costs"
            findings.append(Finding("inner loop", True, text))
    except (BoShapingError, InnerLoopError, OSError) as error:
        findings.append(Finding("task", False, sentence_of(error)))
    if similarity is not None:
        findings += [Finding("components", True, warning) for warning in similarity.warnings()]
    return Rehearsal(
        config=config,
        folder=str(folder.path),
        design=arms,
        n_model=n_trials - len(arms) - n_last,
        n_last=n_last,
        cost=cost,
        similarity=similarity,
        findings=findings,
        n_joined=found.n_joined,
    )


def cost_of(config: StudyConfig, result: TrialResult, n_trials: int) -> Cost:
    """What a trial and the study of so many trials cost, from the times of a training of one step.

    That training is judged before and after its step, as every training of the study is at its start, every
    `evaluation.every` steps, and at its end.
    """
    seconds, ppo, every = result.seconds, config.ppo, config.evaluation.every
    step = {phase: seconds.get(phase, 0.0) / max(len(result.steps), 1) for phase in STEP_PHASES}
    evaluation = seconds.get("evaluate", 0.0) / len(result.curve)
    n_points = 1 + ppo.steps // every + (ppo.steps % every > 0)
    setup, explain = seconds.get("setup", 0.0), seconds.get("explain", 0.0)
    one = setup + ppo.steps * sum(step.values()) + n_points * evaluation + explain
    trial = one * config.noise.replicates
    side_by_side = 1 if config.executor == "inline" else min(config.budget.parallel, n_trials)
    return Cost(
        setup=setup,
        step=step,
        evaluation=evaluation,
        explain=explain,
        trial=trial,
        study_hours=trial * n_trials / max(side_by_side, 1) / 3600,
        memory_mb=result.peak_memory_mb,
        gpu_memory_mb=result.peak_gpu_memory_mb,
    )


def _timed_spec(config: StudyConfig) -> TrialSpec:
    """A training of one step under all components that may have a weight: the dearest mixture."""
    components = config.search_space.components
    arm = initial_design(config)[0]
    spec = to_specs(config, arm, [config.seed])[0]
    ppo = spec.ppo.model_copy(update={"steps": min(1, config.ppo.steps), "stop_at_kl": None})
    n_samples = max(config.n_samples, 1)
    weights = dict.fromkeys(components, 1 / len(components))
    return spec.model_copy(update={"weights": weights, "ppo": ppo, "n_samples": n_samples})


def _about_place(folder: StudyFolder) -> list[Finding]:
    """Whether there is room for a study of this name."""
    try:
        folder.refuse_existing()
    except BoShapingError as error:
        return [Finding("place", False, sentence_of(error), "give it another name: --name NAME")]
    there = next(parent for parent in (folder.path, *folder.path.parents) if parent.exists())
    if not os.access(there, os.W_OK):
        return [Finding("place", False, f"{there} cannot be written to", "set BO_SHAPING_STUDIES to another folder")]
    return list(disk(there, 0))


def _about_memory(config: StudyConfig, cost: Cost) -> list[Finding]:
    """Whether the trials that run side by side fit into this machine."""
    if config.executor in ("ray", "slurm") or not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return []
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6
    n = 1 if config.executor == "inline" else config.budget.parallel
    needed = n * cost.memory_mb * 2**20 / 1e6
    if needed <= there:
        return []
    text = f"{n} trials side by side take {needed / 1000:.1f} GB, and this machine has {there / 1000:.1f} GB"
    return [Finding("memory", False, text, "run fewer at a time: --set budget.parallel=1")]
