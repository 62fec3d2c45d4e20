"""Rerank: Cohere's form, and the one of Jina, Voyage, Together, vLLM and the others that follow it."""
