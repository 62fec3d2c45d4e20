"""The state of keys and budgets in Redis or Valkey, for many processes and machines (extra: ``redis``)."""

from .store import RedisState

__all__ = ["RedisState"]
