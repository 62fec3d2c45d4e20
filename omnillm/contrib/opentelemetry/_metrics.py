"""The instruments, with the conventions' names, units and buckets, and two of the package's own."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, Meter, MeterProvider, get_meter

from ... import __version__
from ...types.hooks import AttemptEnded, CallEnded
from .._bounded import MOST_VALUES, Bounded
from ._names import SCHEMA, Attributes, error_of, given

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)


class Instruments:
    """Record what calls and attempts came to; ``dimensions`` are of the call, as ``bounded`` gives them."""

    def __init__(self, provider: MeterProvider | None) -> None:
        meter = get_meter("omnillm", __version__, provider, SCHEMA)
        self._duration = _seconds(meter, "duration", "GenAI operation duration.")
        self._first_chunk = _seconds(meter, "time_to_first_chunk", "Time to receive the first chunk of a stream.")
        self._chunk = _seconds(meter, "time_per_output_chunk", "Time between a stream's chunk and the one before.")
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=TOKENS,
        )
        self._attempts = meter.create_counter("omnillm.client.attempts", unit="{attempt}", description="Attempts of calls.")
        self._model = Bounded(MOST_VALUES)
        self._cost = meter.create_counter("omnillm.client.cost", unit="USD", description="What attempts were charged.")

    def bounded(self, dimensions: Attributes) -> Attributes:
        """Call the models beyond so many ``other``: their names may be anybody's text, and each would be kept for ever."""
        models = {name: self._model(model) for name, model in dimensions.items() if name.endswith(".model")}
        return {**dimensions, **models}

    def call(self, event: CallEnded, dimensions: Attributes, context: Context) -> None:
        """Record a call's end; tokens where they were reported, and not where they are our own estimate."""
        if event.response_model:
            dimensions = self.bounded({**dimensions, "gen_ai.response.model": event.response_model})
        failed = dimensions if event.error is None else {**dimensions, "error.type": event.error}
        self._duration.record(event.latency, failed, context)
        if event.time_to_first_event is not None:
            self._first_chunk.record(event.time_to_first_event, dimensions, context)
        usage = event.usage
        if usage is not None and not usage.estimated:
            self._tokens.record(usage.prompt_tokens, {**dimensions, "gen_ai.token.type": "input"}, context)
            self._tokens.record(usage.completion_tokens, {**dimensions, "gen_ai.token.type": "output"}, context)

    def chunk(self, seconds: float, dimensions: Attributes, context: Context) -> None:
        """Record the time since a stream's chunk before."""
        self._chunk.record(seconds, dimensions, context)

    def attempt(self, event: AttemptEnded, dimensions: Attributes, context: Context) -> None:
        """Count an attempt by how it ended, and what it was charged by its key."""
        record = event.record
        at = self.bounded({**dimensions, "gen_ai.request.model": record.model})
        by_key = given({**at, "omnillm.key_label": record.key_label})
        self._attempts.add(1, given({**by_key, "omnillm.outcome": record.outcome, "error.type": error_of(record)}), context)
        if event.cost_usd:
            self._cost.add(event.cost_usd, by_key, context)


def _seconds(meter: Meter, name: str, description: str) -> Histogram:
    return meter.create_histogram(
        f"gen_ai.client.operation.{name}", unit="s", description=description, explicit_bucket_boundaries_advisory=SECONDS
    )
