"""Numbers in words, the same wherever they are stated."""

from collections.abc import Mapping, Sequence


def describe_weights(weights: Mapping[str, float], *, digits: int = 2) -> str:
    """Weights in words, the largest first, those that round to nothing left out.

    >>> describe_weights({"shap": 0.25, "lime": 0.75, "sparse": 0.0})
    '0.75 lime + 0.25 shap'
    """
    kept = [(weight, name) for name, weight in weights.items() if round(weight, digits) > 0]
    pure = len(kept) == 1
    return f"pure {kept[0][1]}" if pure else " + ".join(f"{w:.{digits}f} {n}" for w, n in sorted(kept, reverse=True))


def describe_value(value: float | str, digits: int = 3) -> str:
    """A training parameter: a word as it is, a number with that many digits, a whole one with all of its own.

    >>> describe_value("words"), describe_value(0.8333), describe_value(4.0), describe_value(1024.0)
    ('words', '0.833', '4', '1024')
    """
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e6 else f"{value:.{digits}g}"


def describe_shares(shares: Mapping[str, float]) -> str:
    """How probable each of a few values is, in their order.

    >>> describe_shares({"tokens": 0.72, "words": 0.28, "spans": 0.0})
    'tokens 72 %, words 28 %, spans < 1 %'
    """
    return ", ".join(f"{value} {describe_probability(share)}" for value, share in shares.items())


def describe_probability(probability: float) -> str:
    """A probability in per cent, never rounded to certainty.

    >>> describe_probability(0.968), describe_probability(0.9999)
    ('97 %', '> 99 %')
    """
    if probability > 0.99:
        return "> 99 %"
    return "< 1 %" if probability < 0.01 else f"{100 * probability:.0f} %"


def describe_rivals(prob_better_than: Mapping[str, float | None], weights: Mapping[str, float]) -> dict[str, str]:
    """How probably a recommendation is better than each component; the one that it is cannot be its own rival.

    >>> describe_rivals({"shap": 0.75, "lime": 0.0, "sparse": None}, {"shap": 0.001, "lime": 0.999, "sparse": 0.0})
    {'shap': '75 %', 'lime': '– (it is recommended)', 'sparse': '– (not searched alone)'}
    """
    return {name: _rival(name, value, weights) for name, value in prob_better_than.items()}


def _rival(name: str, probability: float | None, weights: Mapping[str, float]) -> str:
    if is_pure(weights, name):
        return "– (it is recommended)"
    return "– (not searched alone)" if probability is None else describe_probability(probability)


def is_pure(weights: Mapping[str, float], component: str) -> bool:
    """Whether these are the weights of that component alone, as `describe_weights` rounds them."""
    return describe_weights(weights) == f"pure {component}"


def describe_duration(seconds: float) -> str:
    """A time span with the precision that a person cares for.

    >>> [describe_duration(seconds) for seconds in (0.4, 42, 95, 5400, 200_000)]
    ['1 s', '42 s', '1.6 min', '1.5 h', '2.3 days']
    """
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}" if seconds < 10 * size else f"{seconds / size:.0f} {unit}"
    return f"{max(round(seconds), 1)} s"


def percent(share: float) -> str:
    """A share in whole per cent.

    >>> percent(0.254)
    '25 %'
    """
    return f"{100 * share:.0f} %"


def describe_attempts(reasons: Sequence[str]) -> list[str]:
    """Why each attempt at a trial before the last has ended.

    >>> describe_attempts(["it hung"])
    ['attempt 1 ended: it hung']
    """
    return [f"attempt {i} ended: {reason}" for i, reason in enumerate(reasons, start=1)]


def describe_prob_best(prob_best: Mapping[str, float]) -> dict[str, str]:
    """Who may be the best: each component alone, and what is left for mixtures.

    >>> describe_prob_best({"shap": 0.25, "sparse": 0.001})
    {'shap': '25 %', 'sparse': '< 1 %', 'a mixture': '75 %'}
    """
    words = {name: describe_probability(value) for name, value in prob_best.items()}
    return words | {"a mixture": describe_probability(max(1.0 - sum(prob_best.values()), 0.0))}
