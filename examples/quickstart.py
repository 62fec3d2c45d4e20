"""The first lines: a provider by its name, a call, a stream. Set OPENAI_API_KEY, or name another provider's model."""

import sys

import omnillm

MODEL = "openai/gpt-4.1-mini"


def main(model: str = MODEL) -> None:
    """Say hello, count, and tell what it cost."""
    with omnillm.connect(model, budget_usd=5) as gateway:  # the key from the provider's own variable
        print(gateway.call("Say hello in French"))  # str(response) is its text

        for text in gateway.stream("Count to five").text():
            print(text, end="", flush=True)
        print()

        print(f"spent ${gateway.budget_used_usd():.6f} of $5")


if __name__ == "__main__":
    main(*sys.argv[1:2])
