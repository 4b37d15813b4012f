"""What `bo-shaping explain` prints: the coloured response on a terminal, and a table that needs no colour anywhere."""

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from bo_shaping.text.hidden_characters import spelt_pieces
from bo_shaping.views.report.chips import decimals_for, peak_value, shade, signed
from bo_shaping.views.unread import unread_note
from inner_loop.attribution.credit import Credit

_MIN_UNIT_WIDTH = 12

_PLAIN = Style.null()
_SPELT = Style(italic=True, underline=True)

_MIN_ALPHA = 0.04
"""Fainter colours than this are left out: they would only turn the terminal's background white."""


def print_credits(credits_: Sequence[Credit], console: Console) -> None:
    """Print each response: its score, its text in the colours of each method, and a table to add up."""
    for number, credit in enumerate(credits_, start=1):
        if number > 1:
            console.print()
        if len(credits_) > 1:
            console.print(f"Response {number} of {len(credits_)}", style="bold")
        _print_credit(credit, console)


def credits_json(credits_: Sequence[Credit]) -> list[dict[str, object]]:
    """The same as plain data, one object per response; values and standard deviations by method."""
    return [
        {
            "prompt": credit.prompt,
            "response": credit.response,
            "base_value": credit.base_value,
            "full_value": credit.full_value,
            "n_evaluations": credit.n_evaluations,
            "unread": [list(part) for part in credit.unread],
            "units": [
                {
                    "text": text,
                    "start": start,
                    "end": end,
                    "values": {method: float(values[unit]) for method, values in credit.values.items()},
                    "std": {method: float(std[unit]) for method, std in credit.std.items()},
                }
                for unit, (text, (start, end)) in enumerate(zip(credit.units, credit.offsets, strict=True))
            ],
        }
        for credit in credits_
    ]


def _print_credit(credit: Credit, console: Console) -> None:
    scale = peak_value(credit.values)
    style = _styles(scale, None if console.no_color else console.color_system)
    texts = Table.grid(padding=(0, 1))
    texts.add_column(style="dim")
    texts.add_column(overflow="fold")
    texts.add_row("prompt", _shown(credit.prompt))
    if console.color_system is None or console.no_color:
        texts.add_row("response", _shown(credit.response))
    else:
        for method, values in credit.values.items():
            units = (_shown(unit, style(value)) for unit, value in zip(credit.units, values, strict=True))
            texts.add_row(method, Text.assemble(*units))
    console.print(texts)
    print_table(credit, console)
    if note := unread_note(credit):
        console.print(note, soft_wrap=True)
    if not credit.offsets:
        console.print("The response has no units: there is nothing to credit.")
    terms = (credit.full_value, credit.base_value, credit.full_value - credit.base_value)
    full, base, rest = (_number(value, decimals_for(scale)) for value in terms)
    count = f"{credit.n_evaluations} evaluation{'s' * (credit.n_evaluations != 1)}"
    console.print(f"score {full} - base value {base} = {rest}; {count}", soft_wrap=True)


def print_table(credit: Credit, console: Console, *, what: str = "unit") -> None:
    """Print what each unit has by each method, with the sums; `what` is written over the units."""
    scale = peak_value(credit.values)
    style = _styles(scale, None if console.no_color else console.color_system)
    for table in _tables(credit, scale, style, console, what):
        console.print(table)


def _tables(credit: Credit, scale: float, style: Callable[[float], Style], console: Console, what: str) -> list[Table]:
    """All methods side by side where the console is wide enough, else one table each."""
    if not credit.offsets:
        return []
    table = _table(credit, list(credit.values), scale, style, what)
    unbounded = console.options.update(max_width=10**6)
    if console.measure(table, options=unbounded).minimum <= console.width:
        return [table]
    return [_table(credit, [method], scale, style, what) for method in credit.values]


def _table(credit: Credit, methods: Sequence[str], scale: float, style: Callable[[float], Style], what: str) -> Table:
    """One line per unit, numbers first: neither long, nor wide, nor right-to-left text can push them out of line."""
    table = Table(box=None, header_style="bold", pad_edge=False, show_footer=True)
    digits = decimals_for(scale)
    columns: list[list[Text]] = []
    for method in methods:
        values, std = credit.values[method], credit.std.get(method)
        table.add_column(method, _number(values.sum(), digits), justify="right", no_wrap=True, footer_style="bold")
        columns.append([Text(_number(value, digits), style(value)) for value in values])
        if std is not None and std.any():
            # The posterior standard deviation; exact values have none to show.
            table.add_column("± std", justify="right", no_wrap=True)
            columns.append([Text(f"{deviation:.{digits}f}") for deviation in std])
    table.add_column(what, "sum", overflow="fold", footer_style="bold", min_width=_MIN_UNIT_WIDTH)
    columns.append([_shown(unit if unit.strip() else repr(unit) if unit else "(end)") for unit in credit.units])
    for row in zip(*columns, strict=True):
        table.add_row(*row)
    return table


def _number(value: float, digits: int) -> str:
    """Signed, with the minus that people search for in a file."""
    return signed(value, digits).replace("−", "-")


def _shown(text: str, style: Style = _PLAIN) -> Text:
    """The text in one style; hidden characters are spelt out and set apart, nothing is markup."""
    shown = Text(style=style)
    for piece, spelt in spelt_pieces(text):
        shown.append(piece, _SPELT if spelt else None)
    return shown


def _styles(scale: float, color_system: str | None) -> Callable[[float], Style]:
    """From a value to its style, in the colours that the console has."""

    def style(value: float) -> Style:
        rgb, alpha = shade(value, scale)
        if color_system == "standard":
            # Sixteen colours have no shades: the strong values stand out, the others stay plain.
            return Style(color="bright_white", bgcolor="red" if value > 0 else "blue") if alpha > 0.2 else _PLAIN
        if alpha < _MIN_ALPHA:
            return _PLAIN
        # Terminals have no opacity: the colour is mixed with the white that black letters are legible on.
        mixed = (round(255 + alpha * (part - 255)) for part in rgb)
        return Style(color="#000000", bgcolor=f"rgb({','.join(map(str, mixed))})")

    return style
