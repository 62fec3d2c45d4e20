"""What may be typed. The commands themselves are imported when they are run."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from .._secret import mask
from ._terminal import help_formatter

if TYPE_CHECKING:
    from ..types.enums import WireFormat

_EXIT_CODES = "exit codes: 0 done, 1 an error, 2 wrong usage, 3 lossy with --strict, 130 interrupted, 141 the reader left"


class _Parser(argparse.ArgumentParser):
    """Be a parser whose complaints repeat no value that may be a key."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        options, rest = self.parse_known_args(args, namespace)
        if rest and not any(word.startswith("-") for word in rest):
            rest = _taken_late(options, rest)
        if rest:
            names = [name.partition("=")[0] for name in rest if name.startswith("-")]
            said = f"unrecognized arguments: {' '.join(names) or len(rest)}"
            if any("key" in name for name in names):
                said += ": a key is read from its variable or from a configuration, never from the command line"
            self.error(said)
        return options

    def error(self, message: str) -> NoReturn:
        super().error(mask(message))

    def print_help(self, file: Any = None) -> None:
        """Print the help: in colour on a terminal, by the extra ``cli``."""
        formatter = None if file is not None else help_formatter()
        if formatter is not None:
            self.formatter_class = formatter
        super().print_help(file)


def _taken_late(options: argparse.Namespace, rest: list[str]) -> list[str]:
    """Give the words behind an option to what may be left out before it, which argparse takes for left out; give the others."""
    if getattr(options, "texts", None) is not None:
        options.texts = [*options.texts, *rest]
        return []
    if getattr(options, "prompt", None) == "-" and len(rest) == 1:
        options.prompt = rest[0]
        return []
    return rest


def build_parser() -> argparse.ArgumentParser:
    """Give the parser of all commands; the namespace it makes has ``run``, and ``json``."""
    from .. import __version__

    about = "One gateway in front of every language-model provider."
    parser = _Parser(prog="omnillm", description=about, epilog=_EXIT_CODES)
    parser.add_argument("--version", action="version", version=f"omnillm {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _demo(commands)
    _call(commands)
    _chat(commands)
    _embed(commands)
    _transcode(commands)
    _sanitize(commands)
    _config(commands)
    _providers(commands)
    _prices(commands)
    _status(commands)
    _completion(commands)
    return parser


def _command(commands: argparse._SubParsersAction[Any], name: str, runs: str, about: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about, epilog=_EXIT_CODES)
    command.add_argument("--json", action="store_true", help="write JSON")
    command.set_defaults(run=_later(runs))
    return command


def _later(runs: str) -> Callable[[argparse.Namespace], int]:
    module, _, name = runs.partition(":")

    def run(options: argparse.Namespace) -> int:
        code: int = getattr(importlib.import_module(module, __package__), name)(options)
        return code

    return run


def _demo(commands: argparse._SubParsersAction[Any]) -> None:
    _command(commands, "demo", "._demo:demo", "show a gateway at work on a provider inside this process: no key, no network")


def _call(commands: argparse._SubParsersAction[Any]) -> None:
    for name, about in (
        ("call", "ask a model, and print its answer"),
        ("stream", "ask a model, and print its answer as it arrives"),
    ):
        command = _command(commands, name, f"._calls:{name}", about)
        _which_model(command)
        command.add_argument("prompt", metavar="PROMPT", nargs="?", default="-", help="what to ask; - or nothing reads stdin")
        _how_to_answer(command)
        _where(command)


def _which_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", metavar="MODEL", help="provider/model; with --config a model; - for the gateway's own")


def _how_to_answer(command: argparse.ArgumentParser) -> None:
    command.add_argument("--instructions", metavar="TEXT", help="what stands above the prompt")
    command.add_argument("--max-output-tokens", metavar="N", type=int, help="the cap of the output")
    command.add_argument("--temperature", metavar="X", type=float)


def _where(command: argparse.ArgumentParser) -> None:
    _file(command, "--config", help="a configuration (TOML) instead of a provider by name")
    command.add_argument("--gateway", metavar="NAME", help="which gateway of the file")
    command.add_argument("--base-url", metavar="URL", help="where the provider is reached instead")
    command.add_argument("--timeout", metavar="SECONDS", type=float, help="the deadline of a call")


def _file(command: argparse.ArgumentParser, name: str, **options: Any) -> None:
    """Add what names a file; shells complete it so."""
    command.add_argument(name, metavar="FILE", **options).complete = {  # type: ignore[attr-defined]  # shtab's
        "bash": "_shtab_compgen_files",
        "zsh": "_files",
        "tcsh": "f",
    }


def _chat(commands: argparse._SubParsersAction[Any]) -> None:
    about = "talk with a model, turn by turn: a line of stdin is a turn; /help says what else may be typed"
    command = _command(commands, "chat", "._chat:chat", about)
    _which_model(command)
    _how_to_answer(command)
    _where(command)
    _file(command, "--resume", help="go on with a conversation that /save wrote")
    history = command.add_mutually_exclusive_group()
    _file(history, "--history", help="where the lines typed on a terminal are kept, without keys")  # type: ignore[arg-type]
    history.add_argument("--no-history", action="store_true", help="keep none of them")
    command.add_argument("--no-markdown", action="store_true", help="show answers as they are written, on a terminal too")


def _embed(commands: argparse._SubParsersAction[Any]) -> None:
    command = _command(commands, "embed", "._embed:embed", "embed texts, and print their vectors, one a line")
    _which_model(command)
    command.add_argument("texts", metavar="TEXT", nargs="*", help="what to embed; without one each line of stdin")
    command.add_argument("--dimensions", metavar="N", type=int, help="how long the vectors are to be")
    _where(command)


def _transcode(commands: argparse._SubParsersAction[Any]) -> None:
    about = "rewrite a request (stdin) of one wire format in another (stdout); what is lost is named on stderr"
    command = _command(commands, "transcode", "._translate:transcode", about)
    where: dict[str, Any] = {"metavar": "FORMAT", "required": True, "type": _wire_format}
    command.add_argument("--from", dest="source", help="as chat_completions, anthropic_messages", **where)
    command.add_argument("--to", dest="target", **where)
    kind = command.add_mutually_exclusive_group()
    kind.add_argument("--response", action="store_true", help="rewrite a response")
    kind.add_argument("--stream", action="store_true", help="rewrite a streamed response, event by event")
    command.add_argument("--strict", action="store_true", help="exit with 3 where something is lost")


def _wire_format(name: str) -> WireFormat:
    """Find a format by its own name or by one of its protocol's."""
    from ..errors import ConfigurationError
    from ..types.enums import EndpointProtocol, WireFormat

    formats = {wire.value: wire for wire in WireFormat}
    if name in formats:
        return formats[name]
    try:
        return EndpointProtocol.parse(name).wire_protocol.wire_format
    except ConfigurationError:
        raise argparse.ArgumentTypeError(f"unknown format {name!r:.80}: expected one of {', '.join(formats)}") from None


def _sanitize(commands: argparse._SubParsersAction[Any]) -> None:
    about = "take secrets and blobs out of a JSON value, or of a recorded fixture (stdin to stdout)"
    command = _command(commands, "sanitize", "._translate:sanitize", about)
    command.add_argument(
        "--secret-env", metavar="NAME", action="append", default=[], help="a variable whose value is taken out wherever it stands"
    )


def _config(commands: argparse._SubParsersAction[Any]) -> None:
    about = "check a configuration, or print its reference"
    inner = commands.add_parser("config", help=about, description=about).add_subparsers(required=True, metavar="COMMAND")
    check = _command(inner, "check", "._configs:check", "say of each gateway of a file what it is, or what is wrong with it")
    _file(check, "file")
    _command(inner, "docs", "._configs:docs", "print the reference of the configuration (Markdown)")
    _command(inner, "providers", "._configs:providers", "print what can be called where (Markdown)")


def _providers(commands: argparse._SubParsersAction[Any]) -> None:
    about = "list providers: protocol, base URL, endpoints, variables, and which of those are set"
    command = _command(commands, "providers", "._providers:providers", about)
    command.add_argument("pattern", metavar="PATTERN", nargs="?", default="*", help="a part of a provider's name")


def _completion(commands: argparse._SubParsersAction[Any]) -> None:
    command = _command(commands, "completion", "._completion:completion", "print the completion of a shell (extra cli)")
    command.add_argument("shell", metavar="SHELL", choices=("bash", "zsh", "tcsh"), help="bash, zsh or tcsh")


def _prices(commands: argparse._SubParsersAction[_Parser]) -> None:
    about = "show what a model costs; `prices update --to FILE` writes a new price list, for PriceTable.from_file"
    command = _command(commands, "prices", "._prices:prices", about)
    command.add_argument("model", metavar="MODEL", help="a model, by any name that providers write it with; or update")
    command.add_argument("--provider", metavar="NAME", help="who serves it; the model's maker where absent")
    command.add_argument("--tier", metavar="TIER", help="batch, flex or priority")
    command.add_argument("--region", metavar="REGION", help="where it runs")
    command.add_argument("--at", metavar="DATE", help="on which day; today where absent")
    _file(command, "--file", help="the list to look in, instead of the package's")
    _file(command, "--to", help="of update: where to write the list")
    command.add_argument(
        "--from",
        metavar="SOURCE",
        dest="source",
        help="of update: a list, as a file or a URL; made of genai-prices and litellm where absent",
    )
    listing = _command(commands, "models", "._prices:list_models", "list models: limits, modalities, abilities, retirement")
    listing.add_argument(
        "pattern", metavar="PATTERN", nargs="?", default="*", help="a part of provider/model, or as bedrock/*claude*"
    )


def _status(commands: argparse._SubParsersAction[_Parser]) -> None:
    about = "show how every key, window, breaker and budget of a shared state stands"
    command = _command(commands, "status", "._status:status", about)
    command.add_argument("--state", metavar="URL", required=True, help="the state's server, as redis://host:6379/0")
    command.add_argument("--name", metavar="NAME", default="omnillm", help="the state's name; omnillm where absent")
    command.add_argument("--watch", metavar="SECONDS", nargs="?", const=1.0, type=_seconds, help="look again every so often")


def _seconds(text: str) -> float:
    """Read how often to look."""
    from ._status import seconds

    return seconds(text)
