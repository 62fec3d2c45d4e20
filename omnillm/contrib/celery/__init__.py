"""Tasks of Celery that come back when the keys have room again (extra: ``celery``).

``@omnillm_task`` makes a task of a function, with the process's gateway as ``self.gateway``. Requests and responses may be its
arguments and its result under Celery's JSON, and errors reach whoever waits for it as themselves, with all that they say.
"""

from __future__ import annotations

try:
    import celery as _celery  # noqa: F401
except ImportError:
    raise ImportError("omnillm.contrib.celery needs Celery: pip install 'omnillm[celery]'") from None

from .gateways import close_gateways
from .task import OmniLLMTask, omnillm_task
from .values import register_types

register_types()

__all__ = ["OmniLLMTask", "close_gateways", "omnillm_task"]
