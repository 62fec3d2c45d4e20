"""Reading the fields of a wire object, keeping the unknown ones, and accounting for what an emission cannot write.

Purpose: every codec reads an object through ``Fields`` and writes one through ``Emission``; neither knows any wire format.
Contract: a field is taken once; what nobody took is ``rest()`` and rides in ``vendor_extensions`` under the wire's name, explicit
nulls and values equal to what emission would leave out included, so that emission gives the same object back. A field of another
JSON type than the format's is an ``InvalidShapeError`` with its pointer, never another exception.
Rules: canonical values win over kept ones of the same name, the caller's own extensions win over both. How a wire spelled what a
canonical value holds (an old name, an explicit default) is kept under ``SPELLING``: it is never written and never a loss.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NoReturn

from .. import _json
from ..errors import InvalidJsonError, InvalidShapeError, MissingFieldError
from ..types._model import escape
from ..types.enums import HostFormat, WireFormat
from ..types.parts import ToolCallPart
from ..types.report import Loss

Wire = WireFormat | HostFormat
WIRE_NAMES = {wire.value for wire in (*WireFormat, *HostFormat)}  # and those of registered formats

SPELLING = "@spelling"
_TOLD = ("type", "role", "id")  # what a lost value was, not only that it was something
_TEXTS = ("content", "text")
_NOTHING: Mapping[str, Any] = MappingProxyType({})

# Names that two wires share with one meaning: a value read from one is written to the other.
_CHAT_AND_RESPONSES = frozenset(
    {
        "metadata",
        "moderation",
        "prompt_cache_breakpoint",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "top_logprobs",
        "user",
        "verbosity",
    }
)
_SHARED: dict[tuple[str, str], frozenset[str]] = {
    (WireFormat.OPENAI_CHAT_COMPLETIONS.value, WireFormat.OPENAI_RESPONSES.value): _CHAT_AND_RESPONSES,
    (WireFormat.OPENAI_RESPONSES.value, WireFormat.OPENAI_CHAT_COMPLETIONS.value): _CHAT_AND_RESPONSES,
}


def _is_asked(moderation: Any) -> bool:
    """Tell a request's moderation from an answer's, which each format reports in a form of its own."""
    return isinstance(moderation, Mapping) and "model" in moderation


# What a target does not take of a shared name, by its wire and the name.
_FITS: dict[tuple[str, str], Callable[[Any], bool]] = {
    (WireFormat.OPENAI_CHAT_COMPLETIONS.value, "moderation"): _is_asked,
    (WireFormat.OPENAI_RESPONSES.value, "moderation"): _is_asked,
    (WireFormat.OPENAI_CHAT_COMPLETIONS.value, "service_tier"): lambda tier: tier != "ultrafast",
}

# How Gemini, in either of its spellings, or Cohere calls a canonical field: a loss is found by the name that the sender gave it.
_CALLED = {
    "budget_tokens": "thinkingBudget, thinking_budget",
    "data": "inlineData, inline_data",
    "encoding_format": "embedding_types",
    "effort": "thinkingLevel, thinking_level",
    "encrypted_content": "data, redactedContent",
    "fileData": "file_data",
    "filename": "displayName, display_name",
    "frequency_penalty": "frequencyPenalty",
    "functionResponse": "function_response",
    "inlineData": "inline_data",
    "media_type": "mimeType, mime_type",
    "modalities": "responseModalities, response_modalities",
    "policy": "safetySettings, safety_settings",
    "presence_penalty": "presencePenalty",
    "safety": "safetySettings, safety_settings",
    "schema": "responseMimeType, response_mime_type",
    "signature": "thoughtSignature, thought_signature",
    "summary": "includeThoughts, include_thoughts",
    "toolConfig": "tool_config",
    "top_k": "topK",
    "url": "fileData, file_data",
}


def payload_object(payload: Any) -> dict[str, Any]:
    """Read a payload given as a dictionary, a text or bytes; raises ``ProtocolError`` where it is no JSON object."""
    if isinstance(payload, str | bytes | bytearray):
        payload = _json.loads(payload)
    if not isinstance(payload, dict):
        raise InvalidShapeError(f"expected a JSON object, got {_kind(payload)}")
    return payload


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    names: dict[type, str] = {str: "a string", list: "an array", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def kept(extensions: Mapping[str, Any], wire: Wire) -> Mapping[str, Any]:
    """Give what was kept of a wire in a value's ``vendor_extensions``; empty where there is nothing."""
    found = extensions.get(wire._value_) if extensions else None
    return _NOTHING if found is None or not isinstance(found, dict | Mapping) else found


def spelling(extensions: Mapping[str, Any], wire: Wire) -> Mapping[str, Any]:
    """Give how a wire spelled what the value holds; empty where it did so in its usual way."""
    found = kept(extensions, wire).get(SPELLING) if extensions else None
    return _NOTHING if found is None or not isinstance(found, dict | Mapping) else found


def count_in(value: Any, name: str) -> int:
    """Give a count of a kept object; 0 where there is none, or where it is no count."""
    count = value.get(name) if isinstance(value, Mapping) else None
    return count if type(count) is int and count > 0 else 0


def fill(out: dict[str, Any], kept_object: Any) -> dict[str, Any]:
    """Fill the gaps of a nested object with what parsing kept of it."""
    if isinstance(kept_object, Mapping):
        for name, value in kept_object.items():
            if name != SPELLING:
                out.setdefault(name, value)
    return out


def is_hollow(value: Any) -> bool:
    """Tell whether a kept value says nothing that a wire without the field would not say too."""
    if isinstance(value, Mapping):
        return all(name == SPELLING or is_hollow(item) for name, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(is_hollow, value))
    return value is None or value == ""


def names_in(value: Any) -> str:
    """Tell what a value that is lost whole held: its fields' names, at any depth and each once, its types, roles and ids.

    Of a text it tells the length, which is what its reader wants to know of a message or a summary that is not sent.
    """
    names: dict[str, None] = {}
    level = [value]
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                for name, inner in item.items():
                    if name != SPELLING:
                        names[_told_of(name, inner)] = None
                        below.append(inner)
            elif isinstance(item, list | tuple):
                below.extend(item)
        level = below
    return ", ".join(names)


def _told_of(name: Any, value: Any) -> str:
    if isinstance(value, str):
        if name in _TOLD:
            return value[:80]
        if name in _TEXTS:
            return f"{name} ({len(value)} characters)"
    return str(name)


# How the wires call what a part holds, for those who look for it by the name that they gave it.
_SENT_AS = {
    "annotations": "citations, citationsContent",
    "arguments": "input",
    "call_id": "toolUseId, tool_use_id",
    "data": "source, bytes",
    "encrypted_content": "data, redactedContent",
    "filename": "name, title",
    "media_type": "format",
    "value": "json",
}


def held_by(part: Any) -> str:
    """Tell what a part that is lost whole held: its fields, as the model and the wires call them, and the names inside them."""
    names: list[str] = []
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if value is False or is_hollow(value):
            continue
        if field.name != "vendor_extensions":
            names += [field.name, _SENT_AS.get(field.name, ""), _CALLED.get(field.name, "")]
        if field.name == "annotations":
            value = [annotation.raw for annotation in value]
        if field.name == "output" and isinstance(value, tuple):
            names += map(held_by, value)
        else:
            names.append(value[:80] if field.name == "call_id" else names_in(value))
    return ", ".join(filter(None, names))


class Fields:
    """One wire object while it is read; give it the object's JSON Pointer.

    ``text``, ``integer``, ``number``, ``boolean``, ``array`` and ``object`` take a field of that type; an absent field and a
    null are ``None``, and the null stays among the rest. ``maybe_*`` leave a value of another type among the rest too.
    """

    __slots__ = ("_rest", "pointer")

    def __init__(self, value: Any, pointer: str = "") -> None:
        if not isinstance(value, dict):
            raise InvalidShapeError(f"expected an object, got {_kind(value)}", pointer=pointer)
        self._rest: dict[str, Any] = dict(value)
        self.pointer = pointer

    def __contains__(self, name: str) -> bool:
        return name in self._rest

    def lacks(self, names: frozenset[str]) -> bool:
        """Tell whether none of these fields is there."""
        return names.isdisjoint(self._rest)

    def at(self, name: object) -> str:
        """Give the pointer of a field."""
        return f"{self.pointer}/{escape(name)}"

    def peek(self, name: str) -> Any:
        """Look at a field without taking it."""
        return self._rest.get(name)

    def take(self, name: str) -> Any:
        """Take a field of any type; a null stays."""
        value = self._rest.get(name)
        if value is not None:
            del self._rest[name]
        return value

    def keep(self, name: str, value: Any) -> None:
        """Put a value back among the rest."""
        self._rest[name] = value

    def spell(self, name: str, as_: Any) -> None:
        """Note how the wire spelled what the canonical field of that name holds."""
        noted = self._rest.get(SPELLING)
        if not isinstance(noted, dict):
            noted = self._rest[SPELLING] = {}
        noted[name] = as_

    def rest(self) -> dict[str, Any]:
        """Give what nobody took."""
        return self._rest

    def refuse(self, name: str, expected: str) -> NoReturn:
        """Raise ``InvalidShapeError`` for a field."""
        raise InvalidShapeError(f"{name}: expected {expected}, got {_kind(self._rest.get(name))}", pointer=self.at(name))

    def text(self, name: str) -> str | None:
        """Take a string."""
        value = self._rest.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.refuse(name, "a string")
        del self._rest[name]
        return value

    def maybe_text(self, name: str) -> str | None:
        """Take a string where it is one."""
        value = self._rest.get(name)
        if not isinstance(value, str):
            return None
        del self._rest[name]
        return value

    def required_text(self, name: str) -> str:
        """Take a string that must be there."""
        value = self.text(name)
        if value is None:
            raise MissingFieldError(f"{name}: required, and not there", pointer=self.at(name))
        return value

    def integer(self, name: str) -> int | None:
        """Take an integer (``7.0`` is none)."""
        value = self._rest.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(name, "an integer")
        del self._rest[name]
        return value

    def maybe_count(self, name: str) -> int | None:
        """Take an integer from 0 where it is one."""
        value = self._rest.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            return None
        del self._rest[name]
        return value

    def number(self, name: str) -> int | float | None:
        """Take a number."""
        value = self._rest.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(name, "a number")
        del self._rest[name]
        return value

    def boolean(self, name: str) -> bool | None:
        """Take true or false."""
        value = self._rest.get(name)
        if value is None:
            return None
        if not isinstance(value, bool):
            self.refuse(name, "true or false")
        del self._rest[name]
        return value

    def array(self, name: str) -> list[Any] | None:
        """Take an array."""
        value = self._rest.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            self.refuse(name, "an array")
        del self._rest[name]
        return value

    def required_array(self, name: str) -> list[Any]:
        """Take an array that must be there."""
        value = self.array(name)
        if value is None:
            raise MissingFieldError(f"{name}: required, and not there", pointer=self.at(name))
        return value

    def object(self, name: str) -> dict[str, Any] | None:
        """Take an object."""
        value = self._rest.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.refuse(name, "an object")
        del self._rest[name]
        return value

    def maybe_object(self, name: str) -> dict[str, Any] | None:
        """Take an object where it is one."""
        value = self._rest.get(name)
        if not isinstance(value, dict):
            return None
        del self._rest[name]
        return value

    def extensions(self, wire: Wire) -> dict[str, Any]:
        """Give what nobody took as ``vendor_extensions``: nested under the wire's name, empty where nothing is left."""
        return {wire.value: self._rest} if self._rest else {}


class Emission:
    """One emission in progress: the wire it writes, its options, and its account of what it could not write.

    ``stream`` is what the caller wants the body to say (``None``: what the request says); ``text_content`` is how the endpoint
    wants a lone text (``"string"`` or ``"array"``); ``output_cap`` is the name under which it knows the cap of the output, where
    that is not the format's own.
    """

    __slots__ = ("losses", "output_cap", "stream", "text_content", "wire")

    def __init__(
        self, wire: Wire, *, stream: bool | None = None, text_content: str = "string", output_cap: str | None = None
    ) -> None:
        self.wire = wire
        self.stream = stream
        self.text_content = text_content
        self.output_cap = output_cap
        self.losses: list[Loss] = []

    def lose(self, pointer: str, reason: str) -> None:
        """Record that the field at the pointer (into the canonical value) was dropped or degraded."""
        called = _CALLED.get(pointer.rpartition("/")[2])
        self.losses.append(Loss(pointer, reason if called is None else f"{reason} ({called})"))

    def drop(self, part: Any, pointer: str, reason: str) -> None:
        """Record that a whole part was left out, naming what it held."""
        self.lose(pointer, f"{reason}; with it goes its {held_by(part)}")

    def arguments(self, part: ToolCallPart, pointer: str) -> Mapping[str, Any]:
        """Give a call's arguments as the object that the wire takes; what is none goes as its field ``input``, and degraded."""
        given = part.arguments
        if isinstance(given, str) and part.raw_arguments != given:  # which says that the text itself is meant
            with suppress(InvalidJsonError):
                given = _json.loads(given) if given else None
        if given is None or isinstance(given, Mapping):
            return given or {}
        self.lose(f"{pointer}/arguments", "the arguments (input) of a call are an object here: these go as its field 'input'")
        return {"input": part.arguments}

    def lay(self, out: dict[str, Any], extensions: Mapping[str, Any], pointer: str) -> dict[str, Any]:
        """Lay a value's extensions over what was written of it; ``pointer`` is the value's.

        What came from this wire fills the gaps, the caller's own goes over everything, another wire's is a loss, except the
        names that both share. Gives ``out`` back.
        """
        if not extensions:
            return out
        mine = self.wire.value
        for name, value in extensions.items():
            if name not in WIRE_NAMES:
                out[name] = value
            elif name == mine:
                if isinstance(value, Mapping):
                    for key, found in value.items():
                        if key != SPELLING:
                            out.setdefault(key, found)
            elif isinstance(value, Mapping):
                self._cross(out, name, value, pointer)
        return out

    def forfeit(self, extensions: Mapping[str, Any], pointer: str, reason: str) -> None:
        """Record that a value's extensions are lost, because nothing is written that could have them; ``reason`` says why."""
        for name, value in extensions.items():
            at = f"{pointer}/vendor_extensions/{escape(name)}"
            of_a_wire = name in WIRE_NAMES and isinstance(value, Mapping)
            for key, found in value.items() if of_a_wire else ((None, value),):
                if key != SPELLING and not is_hollow(found):
                    within = names_in({key or name: found})
                    self.lose(at if key is None else f"{at}/{escape(key)}", f"{reason}, and so has no {within}")

    def _cross(self, out: dict[str, Any], source: str, foreign: Mapping[str, Any], pointer: str) -> None:
        shared = _SHARED.get((source, self.wire.value), frozenset())
        for key, value in foreign.items():
            fits = _FITS.get((self.wire.value, key))
            if key in shared and value is not None and (fits is None or fits(value)):
                out.setdefault(key, value)
            elif key != SPELLING and not is_hollow(value):
                at = f"{pointer}/vendor_extensions/{source}/{escape(key)}"
                reason = f"{key} is known to {source} only; {self.wire.value} has no such"
                if key in shared:
                    self.lose(at, f"{reason} value: {names_in([{key: value}])}")
                else:
                    within = names_in(value)
                    self.lose(at, f"{reason} field, nor its {within}" if within else f"{reason} field")


__all__ = [
    "SPELLING",
    "WIRE_NAMES",
    "Emission",
    "Fields",
    "escape",
    "fill",
    "held_by",
    "is_hollow",
    "kept",
    "names_in",
    "payload_object",
    "spelling",
]
