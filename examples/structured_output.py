"""Ask for a dataclass and get one; see what an answer that does not fit is like."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from omnillm import GatewayBuilder, KeyConfig, ProtocolError
from omnillm.testing import LocalProvider, answer

ROME = """{"title": "Rome in a day", "start": "2026-05-01", "stops": [
    {"kind": "walk", "km": 3.5}, {"kind": "meal", "dish": "cacio e pepe"}]}"""


@dataclass
class Walk:
    kind: Literal["walk"]
    km: float


@dataclass
class Meal:
    kind: Literal["meal"]
    dish: str


@dataclass
class Trip:
    """A day in a city."""

    title: str
    start: date
    stops: list[Walk | Meal]


def main() -> None:
    """Read one answer as it should be, and one that is not."""
    with LocalProvider() as provider:  # in life: ProviderEndpoint.openai_responses()
        builder = GatewayBuilder(provider.endpoint("responses")).default_model("gpt-4.1-mini")
        with builder.add_key(KeyConfig("sk-example", "prod-1")).build() as gateway:
            provider.script(answer(ROME), answer(ROME.replace("3.5", '"far"')))

            trip: Trip = gateway.call("A day in Rome", into=Trip).parsed
            print(f"{trip.title} on {trip.start:%d %B}:", *trip.stops, sep="\n  ")

            try:
                gateway.call("A day in Rome", into=Trip)
            except ProtocolError as error:
                print("mismatch:", error)
                print(f"  paid ${error.response.cost_usd:.6f} for it")

            # not scripted: the local provider makes up the least value that fits
            print(gateway.call("Names of Italian cities", into=list[str]).parsed)


if __name__ == "__main__":
    main()
