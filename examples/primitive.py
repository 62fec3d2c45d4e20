"""Call a provider in its own words: files, a batch that is waited for, a token count, a native stream, and what it all cost."""

import json

from omnillm import GatewayBuilder, KeyConfig, ProviderEndpoint
from omnillm.primitive import (
    PrimitiveAsyncJobOperation,
    PrimitiveAsyncJobRequest,
    PrimitiveProviderEndpoint,
    PrimitiveRequest,
    embedded_primitive_provider_registry,
)
from omnillm.testing import LocalProvider

MODEL = "gpt-4.1-mini"


def batch_of(questions: list[str]) -> bytes:
    """Write a batch's requests, a line for each question."""
    bodies = [{"model": MODEL, "input": question, "max_output_tokens": 50} for question in questions]
    lines = [{"custom_id": str(n), "method": "POST", "url": "/v1/responses", "body": body} for n, body in enumerate(bodies)]
    return "\n".join(map(json.dumps, lines)).encode()


def main() -> None:
    """Upload, run and collect a batch; count tokens at another provider; stream."""
    with LocalProvider() as provider:  # in life: ProviderEndpoint.openai_responses() and PrimitiveProviderEndpoint.anthropic()
        base = f"{provider.base_url}/v1"
        gateway = (
            GatewayBuilder(ProviderEndpoint.openai_responses(base))
            .add_key(KeyConfig("sk-example"))
            .primitive_endpoint(PrimitiveProviderEndpoint.openai(base))
            .primitive_endpoint(PrimitiveProviderEndpoint.anthropic(base), KeyConfig("sk-ant-example", "claude"))
            .budget_limit_usd(1.0)
            .build()
        )
        with gateway:
            fields = {"purpose": "batch", "file": batch_of(["one", "two"])}  # a Path is read while it is sent
            upload = PrimitiveRequest.form("open_ai", "files", "open_ai_files", None, fields)
            file = gateway.primitive_call(upload.with_idempotency_key("questions-1"))
            body = {"input_file_id": file.json()["id"], "endpoint": "/v1/responses", "completion_window": "24h"}
            batch = PrimitiveRequest.json("open_ai", "batches", "open_ai_batches", None, body)
            job = gateway.primitive_async_job(PrimitiveAsyncJobRequest.create(batch))
            done = gateway.primitive_wait(job, poll_interval=0.05, progress=lambda state: print("batch:", state.status))
            asked = PrimitiveAsyncJobRequest(PrimitiveAsyncJobOperation.RESULTS, batch, done.job_id)
            results = gateway.primitive_async_job(asked).response
            for line in (results.content or b"").splitlines():
                print("answer:", json.loads(line)["response"]["body"]["output"][0]["content"][0]["text"])
            print(f"${gateway.budget_used_usd():.7f} by the usage of the batch")

            turns = [{"role": "user", "content": "How long is this?"}]
            count = PrimitiveRequest.json(
                "anthropic", "count_tokens", "anthropic_count_tokens", None, {"model": "claude-haiku-4-5", "messages": turns}
            )
            print("counted:", gateway.primitive_call(count).json())

            stream = {"model": MODEL, "input": "Count to five", "stream": True}
            request = PrimitiveRequest.json("open_ai", "responses", "open_ai_responses", None, stream).with_stream("sse")
            with gateway.primitive_stream(request) as events:
                names = [event.event for event in events if event.type == "sse_frame"]
            print("frames:", names[0], "…", names[-1], events.response.usage.raw_usage["total_tokens"])

            registry = embedded_primitive_provider_registry()
            print("listed:", registry.supports_request(request), registry.supports_request(request.with_stream("web_socket")))


if __name__ == "__main__":
    main()
