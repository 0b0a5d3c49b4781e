"""What a call costs."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from ensemble.model_router.domain import Cost, TokenUsage


@dataclass(frozen=True, slots=True)
class Price:
    """Prices of a million tokens, read and written, in units of ``currency`` (ISO 4217)."""

    currency: str = "USD"
    input: Decimal = Decimal(0)
    output: Decimal = Decimal(0)

    def cost_of(self, usage: TokenUsage) -> Cost | None:
        """Return the cost of one call, rounded up once; None when the model is free."""
        if not (self.input or self.output):
            return None
        # Millionths of a unit a token are thousands of billionths.
        nanos = (usage.read * self.input + usage.written * self.output) * 1000
        return Cost(self.currency, int(nanos.to_integral_value(ROUND_CEILING)))
