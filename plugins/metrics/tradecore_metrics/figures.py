"""One registry of all figures; the number of label values is bounded, whatever a venue or a guest names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from tradecore_metrics.families import FAMILIES, PREFIX, make

OTHER: Final = "other"
"""Stands for every label value beyond the bound."""
_VALUES_MAX: Final = 100
_LENGTH_MAX: Final = 64


class Value(NamedTuple):
    """One exported number."""

    name: str
    labels: Mapping[str, str]
    value: float
    kind: str
    """``counter`` or ``gauge``; the parts of a histogram are counters."""


class Figures(Collector):
    """All figures of one run. Updated on the trading loop, read by the exporter's thread.

    Args:
        symbols_max: Most symbols shown at a time by a figure; other labels have room for 100 values.
    """

    def __init__(self, symbols_max: int) -> None:
        self._registry: Final = CollectorRegistry()
        self._families: Final[dict[str, MetricWrapperBase]] = make(self._registry)
        self._labels: Final = {family.name: family.labels for family in FAMILIES}
        self._seen: Final[dict[str, set[str]]] = {}
        self._most: Final = {"symbol": symbols_max, "run_id": 1}
        self._shown: Final[dict[str, set[tuple[str, ...]]]] = {}

    def count(self, name: str, *labels: str, by: float = 1.0) -> None:
        """Add to a counter; `name` without the prefix and ``_total``. What is not positive adds nothing."""
        if by > 0:
            family = f"{PREFIX}{name}_total"
            found = self._families[family]
            assert isinstance(found, Counter), name
            (found.labels(*self._bounded(family, labels)) if labels else found).inc(by)

    def put(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge; `name` without the prefix."""
        family = PREFIX + name
        found = self._families[family]
        assert isinstance(found, Gauge), name
        (found.labels(*self._bounded(family, labels)) if labels else found).set(value)

    def put_all(self, name: str, values: Mapping[tuple[str, ...], float]) -> None:
        """Set a gauge's children, take away those not named any more, leave out what is over the bound.

        The bound is on children shown at a time, not on those ever seen: who trades other symbols each day sees them.
        Those that are shown already keep their place.
        """
        family = PREFIX + name
        found = self._families[family]
        assert isinstance(found, Gauge), name
        before = self._shown.get(name, set())
        fitting = {tuple(label[:_LENGTH_MAX] for label in labels): value for labels, value in values.items()}
        most = min((self._most.get(label, _VALUES_MAX) for label in self._labels[family]), default=_VALUES_MAX)
        shown = set(sorted(fitting, key=lambda labels: labels not in before)[:most])
        for labels in before - shown:
            found.remove(*labels)
        for labels in shown:
            found.labels(*labels).set(fitting[labels])
        if len(fitting) > most:
            self._capped("symbol", len(fitting) - most)
        self._shown[name] = shown

    def observe(self, name: str, seconds: float, *labels: str) -> None:
        """Add to a histogram; `name` without the prefix and ``_seconds``. A negative time counts as 0."""
        family = f"{PREFIX}{name}_seconds"
        found = self._families[family]
        assert isinstance(found, Histogram), name
        (found.labels(*self._bounded(family, labels)) if labels else found).observe(max(0.0, seconds))

    def _bounded(self, family: str, labels: Sequence[str]) -> tuple[str, ...]:
        return tuple(
            self._value_of(label, value) for label, value in zip(self._labels[family], labels, strict=True)
        )  # fmt: skip

    def _value_of(self, label: str, value: str) -> str:
        """Let the first values of a label through, put the rest under one."""
        value = value[:_LENGTH_MAX]
        seen = self._seen.setdefault(label, set())
        if value not in seen:
            if len(seen) >= self._most.get(label, _VALUES_MAX):
                self._capped(label, 1)
                return OTHER
            seen.add(value)
        return value

    def _capped(self, label: str, times: int) -> None:
        counted = self._families[f"{PREFIX}metrics_labels_capped_total"]
        assert isinstance(counted, Counter)
        counted.labels(label).inc(times)

    # Reading --------------------------------------------------------------------------------------------------

    def collect(self) -> Iterable[Metric]:
        """All figures for an encoder, without the moments at which children were made: nobody asks for them."""
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            if metric.samples:
                yield metric

    def values(self) -> Iterable[Value]:
        """All figures as plain numbers."""
        for metric in self.collect():
            for sample in metric.samples:
                kind = "gauge" if metric.type == "gauge" else "counter"
                yield Value(sample.name, sample.labels, sample.value, kind)
