"""Typed functions that a model calls, run by the gateway until there is an answer."""

from dataclasses import dataclass
from typing import Annotated, Literal

from omnillm import GatewayBuilder, KeyConfig, tool
from omnillm.testing import LocalProvider


@dataclass
class Place:
    city: str
    country: str | None = None


@tool
def weather(place: Place, unit: Annotated[Literal["celsius", "fahrenheit"], "How to measure."] = "celsius") -> dict[str, object]:
    """Tell the weather of a place."""
    return {"city": place.city, "degrees": 22 if unit == "celsius" else 72, "sky": "clear"}


@tool
def population(city: str) -> int:
    """Count the people of a city."""
    known = {"Rome": 2_750_000}
    return known[city]  # a KeyError is told to the model, which may ask otherwise


def main() -> None:
    """Ask two tools at once, one of which fails for the second city."""
    with LocalProvider() as provider:  # in life: ProviderEndpoint.openai_responses()
        builder = GatewayBuilder(provider.endpoint("responses")).default_model("gpt-4.1-mini").add_key(KeyConfig("sk-example"))
        with builder.budget_limit_usd(1.0).build() as gateway:
            print(weather.definition.description, weather.definition.input_schema["required"])

            asked = 'call weather with {"place": {"city": "Rome"}} and call population with {"city": "Rome"}'
            response = gateway.run_tools(asked, [weather, population], max_turns=5, timeout=30)
            print(response)
            print(f"{len(response.attempts)} calls, ${response.cost_usd:.6f}")

            print(gateway.run_tools('call population with {"city": "Atlantis"}', [population]))
            print(gateway.run_tools('call weather with {"place": {"city": 7}}', [weather]))


if __name__ == "__main__":
    main()
