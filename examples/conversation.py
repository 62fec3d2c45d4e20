"""A conversation: turns that remember, a stream, a copy that goes its own way, and its form at rest."""

from omnillm import Conversation, GatewayBuilder, KeyConfig, tool
from omnillm.testing import LocalProvider


@tool
def clock(zone: str) -> str:
    """Tell the time in a zone."""
    return f"12:30 in {zone}"


def main() -> None:
    """Talk, save it, and go on from what was saved."""
    with LocalProvider() as provider:  # in life: ProviderEndpoint.claude_messages()
        builder = GatewayBuilder(provider.endpoint("claude_messages")).default_model("claude-haiku-4-5")
        with builder.add_key(KeyConfig("sk-example")).build() as gateway:
            talk = Conversation(gateway, instructions="Be brief.", tools=[clock], max_output_tokens=300)
            print(talk.say("My name is Ada."))
            print(talk.say('call clock with {"zone": "UTC"}'))
            for text in talk.stream("Count to three").text():
                print(text, end="", flush=True)
            print()

            other = talk.fork()
            other.say("In the copy alone.")
            print(len(talk.items), "items here,", len(other.items), "in the copy")

            saved = talk.to_json()
            loaded = Conversation.from_json(saved, gateway, tools=[clock])
            print(loaded.say("What is my name?"))
            print(f"{loaded.usage.total()} tokens, ${loaded.cost_usd:.6f}")


if __name__ == "__main__":
    main()
