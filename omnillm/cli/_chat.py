"""``omnillm chat``: a conversation by turns, typed or piped.

Answers go to stdout, everything else to stderr. On a terminal an error, or Ctrl-C, ends the turn and not the session; in a pipe
it ends the command, as it does every other.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from .._names import nearest
from ..errors import OmniLLMError
from ..types.response import LlmResponse
from ..types.usage import TokenUsage
from ._answers import show_markdown, show_text, visible
from ._complaint import complain
from ._history import History, default_path
from ._lines import Lines, lines_of, said
from ._streams import UsageError
from ._talk import Talk
from ._terminal import console, printable


def chat(options: argparse.Namespace) -> int:
    """Talk until the lines end."""
    history = History(_history_path(options))
    with Talk(options) as talk:
        lines = lines_of(history, [f"/{name}" for name in COMMANDS])
        session = Session(talk, lines, history, options)
        if lines.is_terminal:
            session.note(f"{talk.model}: /help says what else may be typed; Ctrl-D leaves")
        while session.goes_on:
            session.turn()
    return 0


def _history_path(options: argparse.Namespace) -> Path | None:
    if options.no_history:
        return None
    return default_path(os.environ) if options.history is None else Path(options.history)


class Session:
    """Take what is said, one turn after the other: a command, or something for the model."""

    def __init__(self, talk: Talk, lines: Lines, history: History, options: argparse.Namespace) -> None:
        self.talk = talk
        self.goes_on = True
        self._lines = lines
        self._history = history
        self._as_json: bool = options.json
        self._console = None if options.no_markdown or options.json else console()
        self._lost: set[str] = set()  # what was told of already

    def turn(self) -> None:
        """Take one."""
        is_terminal = self._lines.is_terminal
        try:
            text = said(self._lines.read)
        except EOFError:
            self.goes_on = False
            if is_terminal:
                self.note("")  # the shell's prompt begins a line
            return
        except KeyboardInterrupt:
            if not is_terminal:
                raise
            self.note("")  # the line that was begun is over
            return
        before = self.talk.conversation
        length = len(before.items)
        try:
            if text.strip():
                self._take(text)
        except KeyboardInterrupt:
            if not is_terminal:
                raise
            kept = self.talk.conversation is not before or len(before.items) > length
            self.note("stopped" if kept else "stopped: this turn is not kept")
        except (OmniLLMError, OSError) as error:
            if not is_terminal or isinstance(error, BrokenPipeError):
                raise
            complain(error, as_json=self._as_json)

    def _take(self, text: str) -> None:
        if self._lines.is_terminal:
            self._remember(text)
        if text.startswith("/") and not text.startswith("//"):
            name, _, rest = text[1:].partition(" ")
            if name not in COMMANDS:
                raise UsageError(f"/{name:.40}: unknown: {nearest(name, COMMANDS)}; a text that begins so is typed with //")
            COMMANDS[name].run(self, rest.strip())
        else:
            self._answer(text.removeprefix("/") if text.startswith("//") else text)

    def _remember(self, text: str) -> None:
        try:
            self._history.add(text, self.talk.secrets)
        except OSError as error:
            self.note(f"the history is not kept: {error}")
            self._history = History(None)

    def _answer(self, text: str) -> None:
        with self.talk.say(text) as stream:
            if self._as_json:
                for _ in stream:
                    pass
            elif self._console is not None:
                show_markdown(visible(stream), self._console)
            else:
                show_text(visible(stream))
            response = stream.response
        if self._as_json:
            print(json.dumps(_told(response), ensure_ascii=False), flush=True)
        self._account(response)

    def _account(self, response: LlmResponse) -> None:
        for loss in response.request_losses:
            if loss.reason not in self._lost:  # of every turn that goes along again
                self._lost.add(loss.reason)
                self.note(f"lost: {loss.pointer}: {loss.reason}")
        turn = f"{response.model}: {_tokens(response.usage)}, {_usd(response.cost_usd)}"
        self.note(f"{turn}; in all {_tokens(self.talk.conversation.usage)}, {_usd(self.talk.spent_usd)}")

    def note(self, text: str) -> None:
        """Say something beside the conversation; a script that asks for JSON is told nothing."""
        if self._as_json:
            return
        said = printable(text)
        dim = self._console is not None and sys.stderr.isatty() and "NO_COLOR" not in os.environ and said
        print(f"\x1b[2m{said}\x1b[0m" if dim else said, file=sys.stderr, flush=True)


def _tokens(usage: TokenUsage | None) -> str:
    if usage is None:
        return "tokens unknown"
    return f"{'about ' if usage.estimated else ''}{usage.prompt_tokens} + {usage.completion_tokens} tokens"


def _usd(cost: float | None) -> str:
    return "price unknown" if cost is None else f"${cost:.6f}"


def _told(response: LlmResponse) -> dict[str, Any]:
    usage = None if response.usage is None else response.usage.to_dict()
    cost, label = response.cost_usd, response.key_label
    return {"text": response.text, "model": response.model, "usage": usage, "cost_usd": cost, "key_label": label}


# --- what may be typed beside ---------------------------------------------------------------------------------------------------


class Command(NamedTuple):
    """What a line that begins with a slash does."""

    takes: str
    about: str
    run: Callable[[Session, str], None]


def _help(session: Session, _: str) -> None:
    for name, command in COMMANDS.items():
        session.note(f"  {f'/{name} {command.takes}':16} {command.about}")
    session.note("  a \\ at the end of a line goes on in the next; Ctrl-C stops an answer, Ctrl-D leaves")


def _model(session: Session, name: str) -> None:
    if name:
        session.talk.change_model(name)
    session.note(session.talk.model)


def _system(session: Session, text: str) -> None:
    if text:
        session.talk.instruct(text)
    session.note(session.talk.instructions or "no system prompt")


def _clear(session: Session, _: str) -> None:
    session.talk.clear()
    session.note("cleared")


def _save(session: Session, name: str) -> None:
    session.note(f"saved: {session.talk.save(name)}")


def _usage(session: Session, _: str) -> None:
    kept = session.talk.conversation
    session.note(f"this conversation: {len(kept.items)} items, {_tokens(kept.usage)}, {_usd(kept.cost_usd)}")
    session.note(f"all that was asked, stopped and cleared turns too: {_usd(session.talk.spent_usd)}")


def _quit(session: Session, _: str) -> None:
    session.goes_on = False


COMMANDS = {
    "help": Command("", "say what may be typed", _help),
    "model": Command("[MODEL]", "go on with another model, or say which it is", _model),
    "system": Command("[TEXT]", "put another system prompt above, or say what it is", _system),
    "clear": Command("", "forget what was said", _clear),
    "save": Command("[FILE]", "write the conversation to a file; chat --resume FILE goes on with it", _save),
    "usage": Command("", "say what it cost so far", _usage),
    "quit": Command("", "leave", _quit),
}
