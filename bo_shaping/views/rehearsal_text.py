"""What `launch --dry-run` prints: one screen that says what would run, what it costs, and what would be refused."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bo_shaping.text.hidden_characters import visible_text
from bo_shaping.text.wording import describe_duration, describe_value, describe_weights
from bo_shaping.views.credit_similarity import SHARE, similarity_rows
from bo_shaping.views.rehearsal import Cost, Rehearsal
from inner_loop.spec.credit_similarity import CreditSimilarity

MAX_ARMS = 12
"""Most arms of the design that are listed."""


def print_rehearsal(console: Console, rehearsal: Rehearsal, command: str) -> None:
    """Print it; `command` is what would launch it."""
    config, budget = rehearsal.config, rehearsal.config.budget
    last = f", {rehearsal.n_last} that measure the best again" if rehearsal.n_last else ""
    joined = f"; it begins with {rehearsal.n_joined} of other studies" if rehearsal.n_joined else ""
    n_seeds = config.noise.replicates
    seeds = f", {n_seeds} seeds each" if n_seeds > 1 else ""
    side = "one after the other" if config.executor == "inline" else f"{budget.parallel} side by side"
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")

    def add(what: str, text: str) -> None:
        facts.add_row(what, Text(visible_text(text)))

    add("study", f"{config.name}, in {rehearsal.folder}")
    add(
        "trials",
        f"{rehearsal.n_trials} of {config.ppo.steps} steps{seeds}, {side}: {len(rehearsal.design)} of the design, "
        f"{max(rehearsal.n_model, 0)} that the Gaussian process chooses{last}{joined}",
    )
    add("reward", f"{config.objective.reward_in_words}; {_kl(rehearsal)}")
    if rehearsal.cost is not None:
        _add_cost(facts, rehearsal.cost, config.evaluation.n_prompts)
    console.print(facts)
    console.print(_design(rehearsal))
    if rehearsal.similarity is not None:
        console.print(_components(rehearsal.similarity))
    for finding in rehearsal.findings:
        mark = ("ok     ", "green") if finding.is_ok else ("problem", "bold red")
        console.print(Text.assemble(mark, f"  {finding.check}: ", visible_text(finding.text)), soft_wrap=True)
        if finding.remedy:
            console.print(Text(f"         remedy: {visible_text(finding.remedy)}"), soft_wrap=True)
    problem = rehearsal.problem
    end = f"nothing was written; run it with: {command}"
    if problem is not None:
        end = f"would be refused or fail; mend first: {problem.remedy or problem.text}"
    console.print(Text(visible_text(end)), soft_wrap=True)


def _kl(rehearsal: Rehearsal) -> str:
    objective = rehearsal.config.objective
    if objective.max_kl is None:
        return "no KL budget"
    what = "where trainings stop" if objective.held_kl is not None else "a limit on the KL at the end"
    return f"KL budget {objective.max_kl:g} nats per response, {what}"


def _add_cost(facts: Table, cost: Cost, n_prompts: int) -> None:
    phases = ", ".join(f"{phase} {seconds:.2f}" for phase, seconds in cost.step.items())
    facts.add_row(
        "one step",
        f"{sum(cost.step.values()):.2f} s on this machine ({phases}); judging on {n_prompts} prompts "
        f"{cost.evaluation:.2f} s; loading {cost.setup:.1f} s",
    )
    gpu = f" and {cost.gpu_memory_mb:.0f} MB of the GPU's" if cost.gpu_memory_mb else ""
    facts.add_row(
        "one trial", f"{describe_duration(cost.trial)} if it runs all steps; {cost.memory_mb:.0f} MB of memory{gpu}"
    )
    facts.add_row(
        "in all",
        f"{describe_duration(3600 * cost.study_hours)}, if trials side by side do not slow each other; less where they "
        "stop early",
    )


def _design(rehearsal: Rehearsal) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, title="Design", title_justify="left")
    names = list(rehearsal.config.search_space.parameters)
    table.add_column("trial", justify="right")
    table.add_column("mixture", overflow="fold")
    for name in names:
        table.add_column(name, justify="right")
    for index, arm in enumerate(rehearsal.design[:MAX_ARMS]):
        table.add_row(
            str(index), Text(describe_weights(arm.weights)), *(describe_value(arm.parameters[name]) for name in names)
        )
    if len(rehearsal.design) > MAX_ARMS:
        table.add_row("…", f"{len(rehearsal.design) - MAX_ARMS} more", *[""] * len(names))
    return table


def _components(similarity: CreditSimilarity) -> Table:
    title = f"How alike the components pay (correlation within {similarity.n_responses} responses)"
    table = Table(box=None, header_style="bold", pad_edge=False, title=title, title_justify="left")
    for heading in ("", *similarity.components, SHARE):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for row in similarity_rows(similarity):
        table.add_row(*map(Text, row))
    return table
