"""``omnillm call`` and ``omnillm stream``."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from ..gateway.connect import connect
from ..gateway.gateway import Gateway
from ..types.request import GenerationConfig, LlmRequest
from ..types.response import LlmResponse
from ._answers import show_text
from ._streams import UsageError, read_text
from ._terminal import print_json

OWN_MODEL = "-"


def call(options: argparse.Namespace) -> int:
    """Print the answer, or with ``--json`` the whole response and what is known of it."""
    gateway, model = gateway_of(options)
    with gateway:
        response = gateway.call(_request(options, model), timeout=options.timeout)
    if options.json:
        print_json(_whole(response), indent=2)
    else:
        show_text([response.text])
    return 0


def stream(options: argparse.Namespace) -> int:
    """Print the answer as it arrives, or with ``--json`` each event on a line."""
    gateway, model = gateway_of(options)
    with gateway, gateway.stream(_request(options, model), timeout=options.timeout) as events:
        if options.json:
            for event in events:
                print_json(event.to_dict())
        else:
            show_text(events.text())
    return 0


def gateway_of(options: argparse.Namespace) -> tuple[Gateway, str]:
    """Give the gateway, and the model to ask of it: ``""`` for its own."""
    asked = "" if options.model == OWN_MODEL else options.model
    if options.config is not None:
        if options.base_url is not None:
            raise UsageError("--base-url: the file says where its gateways lead", field="base_url")
        return Gateway.from_config(options.config, name=options.gateway), asked
    if options.gateway is not None:
        raise UsageError("--gateway: names a gateway of --config, which is not given", field="gateway")
    if options.model == OWN_MODEL:
        return Gateway.from_env(), ""
    return (connect(asked, base_url=options.base_url) if options.base_url is not None else connect(asked)), ""


def _request(options: argparse.Namespace, model: str) -> LlmRequest:
    prompt = read_text() if options.prompt == "-" else options.prompt
    if not prompt.strip():
        raise UsageError("prompt: expected a text, got none", field="prompt")
    generation = GenerationConfig(max_output_tokens=options.max_output_tokens, temperature=options.temperature)
    return LlmRequest(model, prompt, instructions=options.instructions, generation=generation)


def _whole(response: LlmResponse) -> dict[str, Any]:
    meta = {
        "text": response.text,
        "cost_usd": response.cost_usd,
        "key_label": response.key_label,
        "latency": response.latency,
        "attempts": [dataclasses.asdict(attempt) for attempt in response.attempts],
        "losses": [loss.to_dict() for loss in response.request_losses],
    }
    return {**response.to_dict(), "meta": meta}
