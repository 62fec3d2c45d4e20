"""Embed many texts, find those near a question, and rank what was found."""

from omnillm import EmbeddingResponse, GatewayBuilder, KeyConfig, PriceTable
from omnillm.testing import LocalProvider

TEXTS = [
    "The red fox sleeps in the forest",
    "A fox eats berries and mice",
    "Stock markets fell on Monday",
    "The forest is red in autumn",
]


def nearest(texts: EmbeddingResponse, question: EmbeddingResponse, count: int) -> list[int]:
    """Give the places of the texts whose vectors are nearest to the question's."""
    [asked] = question.embeddings
    scores = [sum(a * b for a, b in zip(asked, vector, strict=True)) for vector in texts.embeddings]
    return sorted(range(len(scores)), key=lambda place: -scores[place])[:count]


def main() -> None:
    """Search four texts, then a thousand in batches."""
    with LocalProvider() as provider:  # in life: ProviderEndpoint.openai_chat_completions()
        gateway = (
            GatewayBuilder(provider.endpoint("chat_completions"))
            .default_model("text-embedding-3-small")
            .add_key(KeyConfig("sk-example", tpm_limit=1_000_000))
            .pricing(PriceTable({"reranker": {"input": 0.02, "output": 0}}))
            .budget_limit_usd(1.0)
            .build()
        )
        with gateway:
            texts, question = gateway.embed(TEXTS, dimensions=64), gateway.embed("where does the red fox sleep", dimensions=64)
            found = [TEXTS[place] for place in nearest(texts, question, 3)]
            ranking = gateway.rerank("where does the red fox sleep", found, model="reranker", top_n=1)
            print("best:", found[ranking.results[0].index])

            many = gateway.embed([f"text number {n}" for n in range(1000)], batch_size=400)
            print(f"{len(many.data)} embeddings in {len(many.attempts)} requests, ${many.cost_usd:.6f}")
            print(f"spent ${gateway.budget_used_usd():.6f}")


if __name__ == "__main__":
    main()
