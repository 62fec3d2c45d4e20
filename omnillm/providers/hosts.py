"""The clouds' endpoints: each is a base, an envelope and a way to show the key, and nothing else knows of them."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote

from ..errors import ConfigurationError
from ..types.enums import EndpointKind, EndpointProtocol, HostFormat, WireFormat
from .auth import AuthScheme
from .endpoint import ProviderEndpoint
from .envelope import AMAZON_EVENT_STREAM, PLAIN, Envelope

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?")
_PROJECT = re.compile(r"(?:[a-z0-9.-]{1,63}:)?[a-z0-9-]{1,63}")  # a domain's own projects have its name before a colon
_VERSION = re.compile(r"[A-Za-z0-9-]{1,32}")
_PLACE = re.compile(r"[a-z0-9-]{1,40}")
_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

# Google, "Partner model endpoints": the multi-regions have hosts of their own
_VERTEX_HOSTS = {
    "global": "aiplatform.googleapis.com",
    "us": "aiplatform.us.rep.googleapis.com",
    "eu": "aiplatform.eu.rep.googleapis.com",
}
_AWS_SUFFIXES = (("cn-", "amazonaws.com.cn"),)
_MESSAGES_HEADERS = ("anthropic-version",)  # where the body says it


def azure_openai(
    resource: str, deployment: str | None, api_version: str | None, protocol: EndpointProtocol | str
) -> ProviderEndpoint:
    """Reach Azure OpenAI, by its v1 path or by that of a deployment where the version is a date."""
    root = resource.rstrip("/") if "://" in str(resource) else f"https://{_checked(resource, 'resource', _NAME)}.openai.azure.com"
    spoken = EndpointProtocol.parse(protocol)
    query = "" if api_version is None else f"api-version={_checked(api_version, 'api_version', _VERSION)}"
    if deployment is not None and not (isinstance(deployment, str) and deployment):
        raise _wrong("deployment", "the name of a deployment")
    if _DATED.match(api_version or ""):
        named = "{model}" if deployment is None else quote(deployment, safe="")
        envelope = Envelope(path=f"/deployments/{named}{{path}}", query=query)
        base = f"{root.removesuffix('/openai/v1').removesuffix('/openai')}/openai"
        if deployment is not None:
            base, envelope = f"{base}/deployments/{named}", Envelope(query=query)
    else:
        base = f"{root.removesuffix('/openai/v1').removesuffix('/openai')}/openai/v1"
        envelope = Envelope(query=query, fields={} if deployment is None else {"model": deployment})
    return ProviderEndpoint(spoken, base, auth=AuthScheme.header("api-key"), envelope=envelope)


def vertex_ai(project: str, location: str, publisher: Literal["google", "anthropic"], base_url: str | None) -> ProviderEndpoint:
    """Reach Vertex AI: Gemini's models, or Anthropic's."""
    _checked(project, "project", _PROJECT)
    _checked(location, "location", _PLACE)
    if publisher not in _VERTEX:
        raise _wrong("publisher", "'google' or 'anthropic'")
    root = base_url.rstrip("/") if base_url is not None else f"https://{_vertex_host(location)}/v1"
    protocol, envelope, formats = _VERTEX[publisher]
    base = f"{root}/projects/{project}/locations/{location}/publishers/{publisher}"
    return ProviderEndpoint(protocol, base, auth=AuthScheme.google_oauth(), envelope=envelope, formats=formats)


def _vertex_host(location: str) -> str:
    return _VERTEX_HOSTS.get(location) or f"{location}-aiplatform.googleapis.com"


_VERTEX: dict[str, tuple[EndpointProtocol, Envelope, dict[EndpointKind, WireFormat | HostFormat]]] = {
    "google": (EndpointProtocol.GEMINI_GENERATE_CONTENT, PLAIN, {EndpointKind.EMBEDDINGS: HostFormat.VERTEX_EMBEDDINGS}),
    # Anthropic, "Claude on Vertex AI": the model is in the URL, and the version in the body
    "anthropic": (
        EndpointProtocol.CLAUDE_MESSAGES,
        Envelope(
            path="/models/{model}:rawPredict",
            stream_path="/models/{model}:streamRawPredict",
            without=("model",),
            fields={"anthropic_version": "vertex-2023-10-16"},
            without_headers=_MESSAGES_HEADERS,
        ),
        {},
    ),
}


def bedrock(region: str, api: Literal["converse", "invoke_model"], base_url: str | None) -> ProviderEndpoint:
    """Reach Bedrock by Converse, or Anthropic's models there by InvokeModel."""
    _checked(region, "region", _PLACE)
    if api not in _BEDROCK:
        raise _wrong("api", "'converse' or 'invoke_model'")
    suffix = next((suffix for prefix, suffix in _AWS_SUFFIXES if region.startswith(prefix)), "amazonaws.com")
    protocol, envelope = _BEDROCK[api]
    base = base_url if base_url is not None else f"https://bedrock-runtime.{region}.{suffix}"
    return ProviderEndpoint(protocol, base, auth=AuthScheme.aws_sigv4(region, "bedrock"), envelope=envelope)


_BEDROCK: dict[str, tuple[EndpointProtocol, Envelope]] = {
    "converse": (EndpointProtocol.BEDROCK_CONVERSE, PLAIN),
    # Anthropic, "Claude on Amazon Bedrock": the URL says the model and whether it streams
    "invoke_model": (
        EndpointProtocol.CLAUDE_MESSAGES,
        Envelope(
            path="/model/{model}/invoke",
            stream_path="/model/{model}/invoke-with-response-stream",
            without=("model", "stream"),
            fields={"anthropic_version": "bedrock-2023-05-31"},
            without_headers=_MESSAGES_HEADERS,
            stream_type=AMAZON_EVENT_STREAM,
        ),
    ),
}


def _checked(value: object, field: str, form: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise _wrong(field, _EXPECTED[field])
    return value


_EXPECTED = {
    "resource": "the name of an Azure resource, or the URL of its endpoint",
    "api_version": "a version as '2024-10-21' or 'preview'",
    "project": "the id of a Google Cloud project",
    "location": "a location as 'europe-west1' or 'global'",
    "region": "a region as 'us-east-1'",
}


def _wrong(field: str, expected: str) -> ConfigurationError:
    return ConfigurationError(f"{field}: expected {expected}", field=field)
