"""A configuration before its launch: everything loaded once, and shown as the models see it."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bo_shaping.config import StudyConfig
from bo_shaping.config.inner_loop import check_inner_loop, trains_the_task
from bo_shaping.errors import BoShapingError
from bo_shaping.text.reasons import sentence_of
from bo_shaping.views.blocks import blocks_of
from bo_shaping.views.doctor import Finding
from inner_loop.attribution.credit import Credit
from inner_loop.errors import InnerLoopError
from inner_loop.spec import ExplainedResponse, TrialResult, TrialSpec, result_of

N_JUDGED = 32
"""Prompts that are answered: enough to see whether scores differ, and soon done."""

N_SHOWN = 3
"""Of which so many are shown."""


@dataclass(frozen=True)
class ShownResponse:
    """A prompt as the policy reads it, the start policy's response, and the credit of its parts."""

    prompt: str
    """The tokens that the policy is given, as text, special ones included."""
    n_prompt_tokens: int
    explained: ExplainedResponse

    @property
    def is_cut(self) -> bool:
        """Whether the response was cut at the token limit, and did not end by itself."""
        return bool(self.explained.tokens[-1])

    @property
    def credit(self) -> Credit:
        """The credit of every part of the response, as it was written, under every component."""
        blocks = blocks_of(self.explained)
        return Credit(
            prompt=self.prompt,
            response=self.explained.response,
            offsets=[(block.stop - len(block.text), block.stop) for block in blocks],
            base_value=self.explained.base_value,
            full_value=self.explained.score,
            values={
                name: np.array([block.credit(values) for block in blocks])
                for name, values in self.explained.components.items()
            },
            n_evaluations=0,
        )


@dataclass(frozen=True)
class FirstLook:
    """What was found, and what the models say."""

    findings: list[Finding]
    responses: list[ShownResponse]

    @property
    def problem(self) -> Finding | None:
        """The first thing to mend; None if the study can be launched."""
        return next((finding for finding in self.findings if not finding.is_ok), None)

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "is_ready": self.problem is None,
            "findings": [asdict(finding) for finding in self.findings],
            "responses": [
                {"policy_prompt": shown.prompt, "prompt_tokens": shown.n_prompt_tokens} | shown.explained.model_dump()
                for shown in self.responses
            ],
        }


def look_at(config: StudyConfig) -> FirstLook:
    """Load policy, reward model and prompts as a trial would, and let the start policy answer some prompts.

    The first error ends the look and is its last finding.
    """
    findings: list[Finding] = []
    responses: list[ShownResponse] = []
    try:
        remarks = check_inner_loop(config.inner_loop, config.task, config.evaluation, config.ppo)
        findings += [Finding("worth knowing", True, remark) for remark in remarks]
        if not trains_the_task(config.inner_loop):
            findings.append(
                Finding("inner loop", True, f"{config.inner_loop} can be imported; it loads its models itself")
            )
        else:
            result, prompts = try_task(config, _spec_to_answer(config))
            findings += about_task(config, result, prompts)
            responses = [
                ShownResponse(text, n_tokens, explained)
                for (text, n_tokens), explained in zip(prompts, result.samples, strict=False)
            ]
    except (BoShapingError, InnerLoopError, OSError) as error:
        findings.append(Finding("task", False, sentence_of(error)))
    return FirstLook(findings, responses)


def try_task(config: StudyConfig, spec: TrialSpec) -> tuple[TrialResult, list[tuple[str, int]]]:
    """Run a trial in this process, writing nothing: its result, and its prompts as the policy reads them.

    Args:
        config: The study.
        spec: The trial.

    Returns:
        The result, and of each validation prompt its text and its number of tokens.
    """
    import torch

    from inner_loop.models.task import prepare_policy
    from inner_loop.trial import run_trial

    prepared = prepare_policy(spec.task, spec.evaluation)
    prompts = [(prepared.tokenizer.decode(prompt.ids), len(prompt.ids)) for prompt in prepared.evaluation_prompts]
    # As a worker has them.
    n_threads = torch.get_num_threads()
    torch.set_num_threads(config.threads_per_trial)
    try:
        return result_of(run_trial(spec)), prompts
    finally:
        torch.set_num_threads(n_threads)


def about_task(config: StudyConfig, result: TrialResult, prompts: list[tuple[str, int]]) -> list[Finding]:
    """What prompts, responses and scores of a first trial say about the set-up."""
    return [*_about_prompts(config, result, prompts), *_about_start(config, result)]


def _spec_to_answer(config: StudyConfig) -> TrialSpec:
    """A trial of no steps."""
    components = config.search_space.components
    n_prompts = min(config.evaluation.n_prompts, N_JUDGED)
    return TrialSpec(
        weights=dict.fromkeys(components, 1 / len(components)),
        task=config.task,
        attribution=config.attribution,
        ppo=config.ppo.model_copy(update={"steps": 0}),
        evaluation=config.evaluation.model_copy(update={"n_prompts": n_prompts}),
        n_samples=N_SHOWN,
    )


def _about_prompts(config: StudyConfig, result: TrialResult, prompts: list[tuple[str, int]]) -> list[Finding]:
    lengths = [n_tokens for _, n_tokens in prompts]
    n_trained = result.prompts.train if result.prompts else 0
    text = (
        f"{n_trained} to train on, {len(prompts)} to judge on ({config.task.prompts}), of {min(lengths)} to "
        f"{max(lengths)} tokens"
    )
    return [Finding("prompts", True, text)]


def _about_start(config: StudyConfig, result: TrialResult) -> list[Finding]:
    """What the responses of the start policy say about the set-up."""
    point, task = result.curve[0], config.task
    findings = [
        Finding("responses", True, f"{point.length:.0f} tokens on average, at most {task.response_tokens}"),
        Finding("start KL", True, f"{point.kl:.3g} nats"),
    ]
    if result.unread is not None:
        findings.append(
            Finding(
                "reward model",
                True,
                f"it had no room for {result.unread.tokens} tokens of {result.unread.responses:.0%} of the responses "
                f"(task.long_responses: {task.long_responses})",
            )
        )
    spread = float(np.std(result.scores))
    if spread > 0 or len(result.scores) == 1:
        findings.append(Finding("scores", True, f"mean {point.mean:.3g}, standard deviation {spread:.3g}"))
    else:
        findings.append(
            Finding(
                "scores",
                False,
                f"all {len(result.scores)} responses have the score {point.mean:.3g}, so there is nothing to learn",
                "give a reward model that tells these responses apart",
            )
        )
    return findings
