"""How alike the components of a study pay, as numbers and in words."""

from dataclasses import dataclass
from itertools import combinations

ALIKE = 0.95
"""Components whose credit correlates by more than this are told to be one."""


@dataclass(frozen=True)
class CreditSimilarity:
    """What the components of a study have in common."""

    components: list[str]
    correlation: list[list[float | None]]
    """`k x k` means over responses of the correlation within a response; None where one never differs between units."""
    token_share: list[float]
    """`k` effective shares of the tokens that are paid, in 0..1: 1 / (t sum p^2), p being a token's part of all credit.
    """
    n_responses: int
    """Responses that were looked at."""

    def pairs_alike(self) -> list[tuple[str, str, float]]:
        """Pairs that correlate by more than `ALIKE`, in the order of the components."""
        found = []
        for i, j in combinations(range(len(self.components)), 2):
            value = self.correlation[i][j]
            if value is not None and value > ALIKE:
                found.append((self.components[i], self.components[j], value))
        return found

    def superfluous(self) -> list[tuple[str, str, float]]:
        """Components that pay as an earlier one does that stays: the one that stays, the other, their correlation."""
        named: dict[str, tuple[str, float]] = {}
        for first, second, value in self.pairs_alike():
            named.setdefault(second, (first, value))
        return [(first, second, value) for second, (first, value) in named.items() if first not in named]

    def warnings(self) -> list[str]:
        """One sentence per component that pays as an earlier one does, with what to do."""
        return [
            f"{second} pays as {first} does (correlation {value:.2f} within a response): no training can tell their "
            f"weights apart, so a study without {second} searches one direction less."
            for first, second, value in self.superfluous()
        ]
