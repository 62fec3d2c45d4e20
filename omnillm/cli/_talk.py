"""The state of ``omnillm chat``: a gateway, a conversation with it, and what both cost."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .._secret import Secret
from ..gateway.gateway import Gateway
from ..people.conversation import Conversation
from ..people.conversation_stream import ConversationStream
from ..providers.presets import split_model
from ._calls import OWN_MODEL, gateway_of
from ._history import replace_private, secrets_of
from ._streams import UsageError


class Talk:
    """Hold a conversation that may change its model, and with it its gateway; ``close`` it, or use it in ``with``."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._spent_before = 0.0
        self._own_file: Path | None = None
        self.model = options.model  # as it was asked for
        self.gateway, asked = gateway_of(options)
        try:
            self.conversation = self._begun(asked)
        except BaseException:
            self.gateway.close()
            raise

    def _begun(self, asked: str) -> Conversation:
        options = self._options
        settings = {name: getattr(options, name) for name in ("instructions", "max_output_tokens", "temperature")}
        settings = {name: value for name, value in settings.items() if value is not None}
        begun = Conversation(self.gateway, model=asked, **settings)
        if options.resume is None:
            return begun
        self._own_file = Path(options.resume)
        resumed = Conversation.from_json(self._own_file.read_bytes(), self.gateway)
        now = _request_of(begun)  # what is said on the command line holds, and the model is always said there
        generation = {name: now["generation"][name] for name in settings if name != "instructions"}
        own: dict[str, Any] = {name: now[name] for name in ("model", "instructions") if name == "model" or name in settings}
        return _changed(resumed, self.gateway, own, generation)

    def say(self, text: str) -> ConversationStream:
        """Say something, and give the answer's stream."""
        return self.conversation.stream(text, timeout=self._options.timeout)

    @property
    def instructions(self) -> str:
        """Give what stands above the conversation."""
        return str(_request_of(self.conversation).get("instructions") or "")

    @property
    def spent_usd(self) -> float:
        """Give what all of the session cost, with turns that were stopped or cleared."""
        return self._spent_before + self.gateway.budget_used_usd()

    @property
    def secrets(self) -> list[Secret]:
        """Give the keys that this process knows."""
        own = [key.key for route in self.gateway._core.config.routes for key in route.keys]
        return [*own, *secrets_of(os.environ)]

    def change_model(self, name: str) -> None:
        """Go on with another model, of the file's gateway, or of any provider by its name; what was said goes along."""
        if self._options.config is not None or self._options.model == OWN_MODEL:
            self.conversation = _changed(self.conversation, self.gateway, {"model": "" if name == OWN_MODEL else name})
            self.model = name
            return
        found, _ = split_model(name)
        before, _ = split_model(self._options.model)
        base_url = self._options.base_url if found is before else None
        options = argparse.Namespace(**{**vars(self._options), "model": name, "base_url": base_url})
        gateway, _ = gateway_of(options)
        try:
            self.conversation = _changed(self.conversation, gateway, {"model": ""})  # its own
        except BaseException:
            gateway.close()
            raise
        self._spent_before = self.spent_usd
        self.gateway, left = gateway, self.gateway
        self._options, self.model = options, name
        left.close()

    def instruct(self, text: str) -> None:
        """Put another text above the conversation."""
        self.conversation = _changed(self.conversation, self.gateway, {"instructions": text})

    def clear(self) -> None:
        """Forget what was said."""
        request = {**_request_of(self.conversation), "input": []}
        self.conversation = _changed(Conversation(self.gateway), self.gateway, request)

    def save(self, name: str) -> Path:
        """Write the conversation to a file, which may be there only if it was saved or resumed before."""
        path = Path(name).expanduser() if name else self._own_file
        if path is None:
            raise UsageError("/save: expected a FILE", field="save")
        if path != self._own_file and path.exists():
            raise UsageError(f"/save: {path} is there already", field="save")
        replace_private(path, self.conversation.to_json().encode())
        self._own_file = path
        return path

    def close(self) -> None:
        """Close the gateway."""
        self.gateway.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _request_of(conversation: Conversation) -> dict[str, Any]:
    request: dict[str, Any] = json.loads(conversation.to_json())["request"]
    return request


def _changed(
    conversation: Conversation, gateway: Gateway, settings: dict[str, Any], generation: dict[str, Any] | None = None
) -> Conversation:
    """Give the conversation as it goes on with other settings, at that gateway."""
    kept = json.loads(conversation.to_json())
    kept["request"] |= settings
    kept["request"]["generation"] |= generation or {}
    return Conversation.from_json(json.dumps(kept), gateway)
