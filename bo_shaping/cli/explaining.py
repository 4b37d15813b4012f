"""The verb that needs no study: explain."""

import json
from pathlib import Path
from typing import Annotated

import typer

from bo_shaping.cli.explain_input import check_settings, read_texts
from bo_shaping.cli.output_file import write_output
from bo_shaping.cli.terms import JsonOption, console
from bo_shaping.config.explain_choices import LONG_RESPONSES, MASKINGS, METHODS, UNITS


def explain(
    reward_model: Annotated[
        str, typer.Option(metavar="NAME_OR_PATH", help="A sequence classifier, or module:function.")
    ] = "embedded",
    prompt: Annotated[str | None, typer.Option(metavar="TEXT", help="What the response answers; never masked.")] = None,
    response: Annotated[str | None, typer.Option(metavar="TEXT", help="What to explain the score of.")] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="F.jsonl", help='Lines {"prompt": ..., "response": ...} instead.')
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(METHODS)}; repeat it to compare.", show_default="shapley"),
    ] = None,
    units: Annotated[str, typer.Option(help=f"What is credited: {', '.join(UNITS)}.")] = "auto",
    masking: Annotated[str, typer.Option(help=f"What happens to absent units: {', '.join(MASKINGS)}.")] = "remove",
    budget: Annotated[int, typer.Option(metavar="N", help="Most reward-model evaluations per response.")] = 64,
    chat_template: Annotated[
        bool, typer.Option("--chat-template", help="Score in the chat template of the reward model's tokenizer.")
    ] = False,
    label: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which of a classifier's labels is the score; needed beyond two.")
    ] = None,
    long_responses: Annotated[
        str, typer.Option(help=f"What is read of a response beyond the context: {', '.join(LONG_RESPONSES)}.")
    ] = LONG_RESPONSES[0],
    html: Annotated[Path | None, typer.Option(metavar="F.html", help="Write a page instead of printing.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show which parts of a response earned its score; no study, no training."""
    methods = list(dict.fromkeys(method or ["shapley"]))
    check_settings(methods, units, masking, budget, long_responses, html)
    prompts, responses = read_texts(prompt, response, file)
    from bo_shaping.views.explain_text import credits_json, print_credits
    from inner_loop import attribution

    credits_ = attribution.explain(
        reward_model,
        prompts,
        responses,
        methods=methods,
        units=units,
        budget=budget,
        masking=masking,
        chat_template=chat_template or None,
        label=label,
        long_responses=long_responses,
    )
    if html is not None:
        from bo_shaping.views.report.explain_page import explain_page

        write_output(html, explain_page(credits_, reward_model))
    if as_json:
        typer.echo(json.dumps(credits_json(credits_), indent=1))
    elif html is not None:
        typer.echo(str(html))
    else:
        print_credits(credits_, console)
