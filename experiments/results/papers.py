"""The page that sets our numbers beside the papers', says what differs, and answers what a report should answer."""

import json
from collections.abc import Sequence
from pathlib import Path

from bo_shaping.comparison.methods import LEARNED
from bo_shaping.comparison.statistics import Interval, mean
from bo_shaping.comparison.stored import StoredComparison, read_comparison
from bo_shaping.views.comparison_table import short
from experiments.docs.markdown import table
from experiments.results.judged_policies import STORED, rows_of
from experiments.results.page import best_single, held_differences, rose
from experiments.results.tasks import HERE, TASKS, ResultTask

PAGE = HERE / "README.md"

SCAR = (
    ("IMDB, sentiment", 9.27, 8.48),
    ("TL;DR, summaries", 4.35, 2.85),
    ("HH-RLHF, instructions", 7.31, 6.59),
)
"""Task, final reward of SCAR and of attention credit: arXiv:2505.20417."""

CLAIMS = (
    ("Dense credit learns faster than the sparse reward (both papers)", "faster"),
    ("It ends higher (both papers)", "higher"),
    ("Shapley credit is better than attention credit (SCAR)", "attention"),
    ("A learned mixture is better than one explanation (arXiv:2504.16272)", "mixture"),
)

HEAD = """# The papers' claims

*Learning Explainable Dense Reward Shapes via Bayesian Optimization* (arXiv:2504.16272) and *SCAR: Shapley Credit
Assignment for More Efficient RLHF* (arXiv:2505.20417) claim that credit per token learns faster and ends higher than
the sparse reward and attention credit, and that a learned mixture beats single explanations. Here the claims are tried
at a scale that runs on two CPU cores in hours: `python -m experiments.results TASK`. This page and those of the tasks
are made from the stored learning curves.
"""

DIFFERENCES = (
    ("policy", "OpenLLaMA and Llama-3.2 class", "4 million parameters; SmolLM2-135M-Instruct"),
    (
        "tasks",
        "IMDB, TL;DR, HH-RLHF, UltraFeedback",
        "beginnings of film reviews; news articles; synthetic instructions",
    ),
    (
        "parameters of dense credit",
        "fixed, λ 0.95",
        "λ, learning rate and number of units searched; fixed ones beside",
    ),
    ("sparse reward", "as it is", "at its own best λ and learning rate, found with as many trials"),
    (
        "length of training",
        "on GPUs",
        "20 PPO steps of 32 responses; with SmolLM2, 21 of 32 on reviews and 12 of 16 on news",
    ),
    ("KL", "as it comes", "every training ends at the same budget; reward is told at equal KL too"),
)
"""What, in the papers as far as we know them, here."""

UNITS = """Rewards are in the units of different reward models, so only the order of methods and ratios of steps can be
compared, never the numbers themselves.
"""

WIN_RATES_HEAD = """## Win rates

The papers report win rates over the sparse reward of 61.2 % and 56.3 %. Here two policies that were trained under one
seed answer the same held-out prompts. A language model reads each pair in both orders; one that agrees with itself on
few of them cannot tell the answers apart, and its win rate says nothing. Reward models on which nobody trained prefer
what they score higher. The share of prompts on which the first policy is preferred is a mean over seeds, with its 95 %
interval.
"""

LARGER = """Larger tasks are ready to run, and were **not run**: instruction following from HH-RLHF on
[one GPU](../hh_rlhf_one_gpu.yaml) and on [eight](../hh_rlhf_eight_gpus.yaml). `python -m experiments.results.win_rates`
has a judge read every pair of answers in both orders.
"""

CHECKLIST_HEAD = """## How it is reported

The survey of credit assignment arXiv:2604.09459 has a checklist for reports. Its questions were not at hand word for
word; these are what its abstract says they are about, and what a sceptic would ask besides.
"""

CHECKLIST = (
    (
        "granularity of credit",
        "spans of words; how many is searched (`max_units`), and stands on the page of each task",
    ),
    ("how credit is made", "from the reward model alone: [definitions](../../docs/mathematics.md)"),
    ("baselines", "the outcome alone (`sparse`), an even split, attention, and each explanation by itself"),
    ("tuning of baselines", "as many trials as the method proposed, over the same ranges"),
    ("cost", "seconds of training with the credit in them, and reward at equal seconds"),
    ("what else is needed", "no labels, no model of steps; evaluations of the reward model, as configured"),
    ("distance from the start", "KL in nats per response, a budget, reward at equal KL"),
    ("variance", "fresh seeds, paired; bootstrap intervals; what difference they could find"),
    ("is it hacking?", "judges on which nobody trained, length and diversity of responses"),
    (
        "ground truth",
        "Monte-Carlo advantages, tasks with a known word: [results](../../docs/credit-ground-truth.md)",
    ),
    ("can it be repeated?", "one command; configuration, curves, versions and machine are stored"),
)


def write_overview(folder: Path = HERE) -> None:
    """Write the page from what is stored."""
    (folder / PAGE.name).write_text(overview(folder), encoding="utf-8")


def overview(folder: Path = HERE) -> str:
    """The page."""
    stored = [task for task in TASKS if (folder / task.stored.name).exists()]
    done = [(task, read_comparison(folder / task.stored.name)) for task in stored]
    missing = [task for task in TASKS if task not in stored]
    parts = [
        HEAD.rstrip(),
        _claims(done),
        *(f"**Not run:** [{task.title}](../{task.config.name})." for task in missing),
    ]
    parts += [
        _scar(done),
        "## What differs",
        table(["", "papers", "here"], DIFFERENCES),
        UNITS.rstrip(),
        *_win_rates(folder / STORED.name),
        LARGER.rstrip(),
        CHECKLIST_HEAD.rstrip(),
        table(["asked", "answer"], CHECKLIST),
    ]
    return "\n\n".join(parts) + "\n"


def _win_rates(stored: Path) -> list[str]:
    if not stored.exists():
        return ["Win rates over the sparse reward, of which the papers report 61.2 % and 56.3 %, were not taken here."]
    rows = rows_of(json.loads(stored.read_text(encoding="utf-8")))
    return [WIN_RATES_HEAD.rstrip(), table(["task", "who", "judge", "win rate", "the judge"], rows)]


def _claims(done: Sequence[tuple[ResultTask, StoredComparison]]) -> str:
    heads = ["claim", *(f"[{task.title}]({task.page.name})" for task, _ in done)]
    rows = [[claim, *(_answer(found, kind) for _, found in done)] for claim, kind in CLAIMS]
    return table(heads, rows)


def _answer(found: StoredComparison, kind: str) -> str:
    rows = {row.method: row for row in found.comparison.rows}
    shap = rows["shap"]
    if kind == "faster" and not rose(found.comparison):
        return f"sparse ended no higher than it began; {_beside(found, shap.method, found.comparison.baseline)}"
    if kind == "faster":
        return f"Shapley needs {short(shap.steps)} of sparse's steps to its final reward; {_verdict(shap.difference)}"
    if kind == "higher":
        difference = shap.at_kl_difference
        return f"{short(difference, signed=True)} at equal KL ({shap.equal_kl:.2g}); {_verdict(difference)}"
    if kind == "attention" and "attention" in rows:
        return _beside(found, shap.method, "attention")
    if kind == "mixture" and LEARNED in rows:
        return _beside(found, LEARNED, best_single(found.comparison))
    return "not tried"


def _beside(found: StoredComparison, ours: str, theirs: str) -> str:
    """Held reward of one method less that of another, seed by seed."""
    difference = mean(held_differences(found.trainings[ours], found.trainings[theirs]))
    return f"{ours} beside {theirs}: {short(difference, signed=True)} of held reward; {_verdict(difference)}"


def _verdict(difference: Interval | None) -> str:
    if difference is None or difference.low <= 0 <= difference.high:
        return "not shown"
    return "shown" if difference.low > 0 else "the opposite was found"


def _scar(done: Sequence[tuple[ResultTask, StoredComparison]]) -> str:
    ours = {task.name: {row.method: row for row in found.comparison.rows} for task, found in done}
    lines = [[f"SCAR, {task}", f"{shapley:.2f}", f"{attention:.2f}"] for task, shapley, attention in SCAR]
    for task, _ in done:
        rows = ours[task.name]
        attention = short(rows["attention"].final) if "attention" in rows else "-"
        lines.append([f"here, {task.title}", short(rows["shap"].final), attention])
    return f"## Final rewards\n\n{table(['', 'Shapley credit', 'attention credit'], lines)}"
