"""``map``: many requests through the workers, taken as they are needed, given back in their order."""

from __future__ import annotations

import operator
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from .._cancel import CancellationToken, is_from_outside
from .._late import importing
from ..errors import ConfigurationError
from ..policy.limits import check_count
from ..types.request import LlmRequest
from ..types.response import LlmResponse
from .workers import WorkerFuture

Submit = Callable[[LlmRequest | str, CancellationToken], WorkerFuture[LlmResponse]]  # the token ends the call, begun or not


def mapped(
    submit: Submit, requests: Iterable[LlmRequest | str], *, concurrency: int, return_exceptions: bool, progress: bool
) -> Generator[Any, None, None]:
    """Check what was given, before anything is taken, and give the answers' iterator."""
    if isinstance(requests, str | bytes | Mapping) or not isinstance(requests, Iterable):
        what = f"expected an iterable of requests, got {type(requests).__name__}"
        raise ConfigurationError(f"requests: {what}", field="requests")
    check_count(concurrency, "concurrency")
    bar = _bar(requests) if progress else None
    return _answers(submit, iter(requests), concurrency, return_exceptions=return_exceptions, make_bar=bar)


def _answers(
    submit: Submit,
    requests: Iterator[LlmRequest | str],
    concurrency: int,
    *,
    return_exceptions: bool,
    make_bar: Callable[[], Any] | None,
) -> Generator[Any, None, None]:
    bar = None if make_bar is None else make_bar()
    taken: deque[WorkerFuture[LlmResponse]] = deque()
    end = CancellationToken()  # of all that this iterator started, whatever interrupts it
    failure: Exception | None = None
    more = True
    try:
        while True:
            while more and len(taken) < concurrency:
                try:
                    taken.append(submit(next(requests), end))
                except StopIteration:
                    more = False
                except Exception as error:  # raised behind the answers to what came before it
                    if is_from_outside(error):
                        raise
                    more, failure = False, error
            if not taken:
                break
            answer = _answer(taken[0], return_exceptions=return_exceptions)
            taken.popleft()
            if bar is not None:
                bar.update()
            yield answer
        if failure is not None:
            raise failure
    finally:
        end.cancel()
        if bar is not None:
            bar.close()


def _answer(future: WorkerFuture[LlmResponse], *, return_exceptions: bool) -> LlmResponse | Exception:
    try:
        return future.result()
    except Exception as error:
        if not return_exceptions or is_from_outside(error):
            raise
        return error


def _bar(requests: Iterable[Any]) -> Callable[[], Any]:
    """Give what makes a progress bar; raises ``ConfigurationError`` where there is none to be had."""
    try:
        with importing, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # in a notebook without ipywidgets: the bar is text there, and that is all
            from tqdm.auto import tqdm
    except ImportError:
        raise ConfigurationError("progress: the bar is tqdm's: pip install tqdm", field="progress") from None
    return partial(tqdm, total=operator.length_hint(requests) or None, unit="call")
