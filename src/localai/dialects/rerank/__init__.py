"""Ranking, as Jina (POST /v1/rerank, which LocalAI serves) and Cohere (POST /v2/rerank) spell it.

Sources: https://api.jina.ai/redoc, "Reranker"; https://docs.cohere.com/reference/rerank. The two
differ in a few names; errors are in OpenAI's form, which is what callers of LocalAI expect.
"""

from localai.dialects.rerank.endpoint import CohereRerank, JinaRerank, RerankBody

__all__ = ["CohereRerank", "JinaRerank", "RerankBody"]
