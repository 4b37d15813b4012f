"""Which generated page is made by what."""

from collections.abc import Callable

from experiments.docs.benchmark_tables import benchmark_tables
from experiments.docs.configuration_reference import configuration_reference
from experiments.docs.layers import layer_drawing, layer_table
from experiments.docs.metrics_reference import metrics_reference
from experiments.docs.quickstart_repeats import quickstart_repeats

PAGES: dict[str, Callable[[], str]] = {
    "reference/configuration.md": configuration_reference,
    "reference/metrics.md": metrics_reference,
    "reference/layers.md": layer_table,
    "reference/layers.svg": layer_drawing,
    "reference/benchmarks.md": benchmark_tables,
    "reference/quickstart-repeats.md": quickstart_repeats,
}
"""By path in `docs/`."""
