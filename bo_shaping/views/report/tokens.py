"""Credit as HTML: what each component paid for each part of a response, and what the mixture paid."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bo_shaping.text.escaping import escape, escape_marked
from bo_shaping.views.blocks import Block, blocks_of
from bo_shaping.views.html_table import framed
from bo_shaping.views.report.chips import CHIP_CSS, RAMP_HTML, chip_html, direction, signed
from inner_loop.spec import ExplainedResponse

MAX_BLOCKS = 400
"""Most blocks of a response that are shown, and most tokens in the detail."""

MAX_CHARACTERS = 2_000
"""Most characters that are shown of a text."""

MIXTURE = "mixture"

_CSS = """
.tc .paid { margin: .5rem 0 0; font-size: .82rem; color: var(--bs-muted); }
.tc .paid summary { cursor: pointer; }
.tc .wide { overflow-x: auto; }
.tc.tc .paid table { table-layout: auto; border-collapse: collapse; width: auto; margin: .4rem 0 0; font-size: .8rem;
  font-variant-numeric: tabular-nums; color: var(--bs-ink); }
.tc.tc .paid th, .tc.tc .paid td { padding: .15rem .6rem; text-align: right; background: var(--bs-paper);
  border: 0; border-bottom: 1px solid var(--bs-rule); white-space: nowrap; }
.tc.tc .paid th { color: var(--bs-muted); font-weight: 600; }
.tc.tc .paid td:nth-child(2), .tc.tc .paid th:nth-child(2) { text-align: left; white-space: pre-wrap; min-width: 4rem;
  overflow-wrap: anywhere; }
.tc.tc .paid tr.last td { border-bottom-color: var(--bs-strong-rule); }
"""


def token_credit_html(
    samples: Sequence[ExplainedResponse],
    weights: Mapping[str, float] | None = None,
    *,
    max_responses: int = 4,
) -> str:
    """A self-contained HTML fragment with one card per response and one row per component, the mixture last.

    A unit of the response is one block with its credit, in the words of the response; on which token it is paid is a
    detail that can be unfolded. All model text is escaped, hidden characters are spelt out, and every number is written
    under its block with its sign, so nothing hangs on colour.

    Args:
        samples: Explained responses; when there are more than `max_responses`, they are taken evenly from the highest
            to the lowest score.
        weights: Mixing weights to write beside the components' names.
        max_responses: Most responses to show.
    """
    if not samples:
        return ""
    cards = "".join(_card(sample, weights or {}) for sample in _spread_by_score(samples, max_responses))
    return f'<style>{CHIP_CSS}{_CSS}</style><div class="tc">{_LEGEND}{cards}</div>'


_LEGEND = (
    f'<p class="legend">{RAMP_HTML}'
    " <span>The number under a part of the response is its credit; the credits of a row sum to the score.</span>"
    " <span>The end also carries the score of the empty response, which no part earned.</span>"
    " <span>Hover for more digits; colours are scaled per response, the end aside.</span></p>"
)


def _spread_by_score(samples: Sequence[ExplainedResponse], most: int) -> list[ExplainedResponse]:
    ranked = sorted(samples, key=lambda sample: sample.score, reverse=True)
    if len(ranked) <= most:
        return ranked
    places = np.linspace(0, len(ranked) - 1, most).round().astype(int)
    return [ranked[place] for place in places]


def _card(sample: ExplainedResponse, weights: Mapping[str, float]) -> str:
    ordered = [name for name in weights if name in sample.components]
    ordered += [name for name in sample.components if name not in weights]
    blocks = blocks_of(sample)
    rows = [(name, sample.components[name], weights.get(name), "row") for name in ordered]
    rows.append((MIXTURE, sample.rewards, None, "row mix"))
    # The end carries the base value, or the whole score: scaled by it, the colours of all others would fade.
    credits_ = [[block.credit(values) for block in blocks] for _, values, _, _ in rows]
    scale = max((abs(value) for credit in credits_ for value in credit[:-1]), default=0.0)
    scale = scale or max((abs(credit[-1]) for credit in credits_ if credit), default=0.0)
    unread = "".join(token for token, is_unread in zip(sample.tokens, sample.unread, strict=False) if is_unread)
    not_read = f"<br>not read by the reward model: <bdi>{escape_marked(_cut(unread))}</bdi>" if unread else ""
    body = "".join(
        _row(name, blocks, credit, weight, css, scale, sample)
        for (name, _, weight, css), credit in zip(rows, credits_, strict=True)
    )
    return (
        f'<div class="card"><p class="prompt">score <b>{sample.score:+.2f}</b> &nbsp;·&nbsp; '
        f"empty response {sample.base_value:+.2f}<br>prompt: <bdi>{escape_marked(_cut(sample.prompt))}</bdi><br>"
        f'response: <bdi class="written">{escape_marked(_cut(sample.response))}</bdi>{not_read}</p>'
        f"{body}{_detail(sample, ordered, blocks)}</div>"
    )


def _row(
    name: str,
    blocks: Sequence[Block],
    credit: Sequence[float],
    weight: float | None,
    css: str,
    scale: float,
    sample: ExplainedResponse,
) -> str:
    label = escape(name) + ("" if weight is None else f" × {weight:.2f}")
    chips = "".join(
        chip_html(
            _cut(block.text),
            value,
            _hover(block, value, name, sample),
            scale,
            with_end=block.end == len(sample.tokens),
            goes_on=sample.response[block.stop : block.stop + 1].strip() != "",
        )
        for block, value in _shown(list(zip(blocks, credit, strict=True)))
    )
    n_left = len(blocks) - MAX_BLOCKS
    left = sum(credit[MAX_BLOCKS - 1 : -1])
    more = f'<span class="end">({n_left} parts in between, {signed(left)} together)</span>' if n_left > 0 else ""
    reading = direction(sample.response)
    return f'<div class="{css}"><span class="name">{label}</span><div dir="{reading}">{chips}{more}</div></div>'


def _shown(pairs: "list[tuple[Block, float]]") -> "Iterator[tuple[Block, float]]":
    """The first ones and the last; all of them where they are not too many."""
    yield from pairs if len(pairs) <= MAX_BLOCKS else (*pairs[: MAX_BLOCKS - 1], pairs[-1])


def _hover(block: Block, value: float, name: str, sample: ExplainedResponse) -> str:
    if not block.text:
        return f"{value:+.4f} by {name}, end of the response"
    text = f"{value:+.4f} by {name} for {_cut(block.text)!r}"
    if block.end - block.first == 1:
        return text
    return f"{text}, {block.end - block.first} tokens, the last of them {sample.tokens[block.end - 1][:80]!r}"


def _detail(sample: ExplainedResponse, names: Sequence[str], blocks: Sequence[Block]) -> str:
    """Token by token: where the credit of each block is paid."""
    lasts = {block.end - 1 for block in blocks}
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in ("#", "token", *names, MIXTURE))
    columns = [*(sample.components[name] for name in names), sample.rewards]
    rows = ""
    for i, token in enumerate(sample.tokens[:MAX_BLOCKS]):
        text = f"<bdi>{escape_marked(_cut(token))}</bdi>" if token else '<span class="end">end</span>'
        cells = "".join(f"<td>{signed(values[i])}</td>" for values in columns)
        rows += f'<tr class="{"last" if i in lasts else ""}"><td>{i}</td><td>{text}</td>{cells}</tr>'
    n_tokens = len(sample.tokens)
    which = f"the first {MAX_BLOCKS} of {n_tokens} tokens" if n_tokens > MAX_BLOCKS else "token by token"
    return (
        f'<details class="paid"><summary>Where it is paid, {which}: what a part earned is paid on the token that '
        "completes it</summary>"
        f"{framed(f'<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>', which)}</details>"
    )


def _cut(text: str) -> str:
    if len(text) <= MAX_CHARACTERS:
        return text
    return f"{text[:MAX_CHARACTERS]}… ({len(text) - MAX_CHARACTERS} more characters)"
