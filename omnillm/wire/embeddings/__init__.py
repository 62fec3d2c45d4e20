"""Embeddings: OpenAI's form and that of its many followers, Gemini's and Vertex AI's, and Cohere's."""
