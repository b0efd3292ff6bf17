"""What `/metrics` says, as numbers."""

from prometheus_client.parser import text_string_to_metric_families

Figures = dict[tuple[str, tuple[str, ...]], float]
"""Each by the name of the sample, and the values of its labels in the order of their names."""


def figures(text: str) -> Figures:
    """Return the samples of Prometheus' text format."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
