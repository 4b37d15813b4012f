"""The study's configuration, commented, with every number that the data decide filled in."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from inner_loop.models.prompt_source import MOST_JUDGED, SHARE

KL_PER_TOKEN = 0.3
"""Nats of drift per response token at which trainings stop."""

KL_PRICE = 0.08
"""Price of a nat in standard deviations of the score; both are what the quickstart has on the embedded models."""

MOST_EVALUATED = 256
"""Validation prompts, at most."""


@dataclass(frozen=True)
class StudyFacts:
    """What the study has to know."""

    folder: Path
    """Where reward model, policy and prompts are."""
    n_prompts: int
    """Distinct prompts."""
    prompt_tokens: int
    response_tokens: int
    score_std: float
    """Of the reward model's scores."""
    is_small: bool
    """Whether the policy is of the size of the embedded one."""
    seed: int


def study_yaml(facts: StudyFacts) -> str:
    """The text of a configuration that `bo-shaping launch` runs as it stands."""
    folder = facts.folder.resolve()
    batch = 32 if facts.is_small else 16
    return _TEMPLATE.format(
        name=_name(folder),
        seed=facts.seed,
        policy=_quoted(folder / "policy"),
        reward_model=_quoted(folder / "reward_model"),
        prompts=_quoted(folder / "prompts.jsonl"),
        prompt_tokens=facts.prompt_tokens,
        response_tokens=facts.response_tokens,
        batch=batch,
        learning_rate="4.0e-4" if facts.is_small else "2.0e-5",
        rates="[2.0e-4, 1.6e-3]" if facts.is_small else "[5.0e-6, 8.0e-5]",
        kl_coef=_rounded(KL_PRICE * facts.score_std),
        max_units=min(8, facts.response_tokens),
        n_evaluated=min(MOST_EVALUATED, MOST_JUDGED, facts.n_prompts // SHARE),
        max_kl=_rounded(KL_PER_TOKEN * facts.response_tokens),
        parallel=2 if facts.is_small else 1,
        threads="" if facts.is_small else "threads_per_trial: 2\n",
    )


def _rounded(value: float) -> str:
    """Two digits, and never zero."""
    return f"{max(value, 1e-4):.2g}" if math.isfinite(value) else "0.1"


def _quoted(path: Path) -> str:
    """As a text of YAML, which JSON's texts are."""
    return json.dumps(str(path), ensure_ascii=False)


def _name(folder: Path) -> str:
    """The folder's, as a study may be called."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", folder.name).strip("._-")[:100] or "study"


_TEMPLATE = """\
# Written by experiments.prepare from preference pairs.
#
#     bo-shaping doctor THIS_FILE      three prompts as the policy reads them, responses with scores and credit
#     bo-shaping launch THIS_FILE      after an interruption: bo-shaping resume {name}
#     bo-shaping best {name}
name: {name}
seed: {seed}
task:
  policy: {policy}
  reward_model: {reward_model}
  prompts: {prompts}    # divided: a fifth for validation, a fifth held out
  max_prompt_tokens: {prompt_tokens}       # the longest prompt of the file, or what the context leaves
  long_prompts: truncate
  response_tokens: {response_tokens}         # nine in ten of the chosen answers are no longer
ppo:
  steps: 20                 # on a GPU 100 or more
  rollout_size: {batch}          # responses per step; on a GPU 128
  minibatch_size: {batch}
  epochs: 2
  learning_rate: {learning_rate}
  kl_coef: {kl_coef}            # price of a nat of drift, in units of the score
attribution:
  budget: 32                # reward-model evaluations per response
  units: spans
  max_units: {max_units}
evaluation:
  n_prompts: {n_evaluated}            # of the validation prompts; several hundred, if there are as many
  every: 4
search_space:
  components: [shap, leave_one_out, sparse]
  parameters:
    gae_lambda: {{bounds: [0.5, 1.0]}}
    learning_rate: {{bounds: {rates}, log: true}}
objective:
  max_kl: {max_kl}               # nats per response, where trainings stop
budget:
  trials: 12
  parallel: {parallel}               # trainings side by side
{threads}"""
