"""The values that configure limits and money: what they accept, what they refuse, and that money stays exact."""

import math
from datetime import timedelta
from decimal import Decimal

import pytest

from omnillm.config import TransportConfig
from omnillm.errors import ConfigurationError
from omnillm.policy.limits import Budget, LossPolicy, ModelLimits, PoolConfig

WRONG = [
    (PoolConfig, {"circuit_breaker_threshold": 0}, "circuit_breaker_threshold"),
    (PoolConfig, {"circuit_breaker_threshold": True}, "circuit_breaker_threshold"),
    (PoolConfig, {"circuit_breaker_cooldown": 0}, "circuit_breaker_cooldown"),
    (PoolConfig, {"circuit_breaker_cooldown": math.inf}, "circuit_breaker_cooldown"),
    (PoolConfig, {"acquire_timeout": -1}, "acquire_timeout"),
    (PoolConfig, {"acquire_timeout": None}, "acquire_timeout"),
    (PoolConfig, {"default_output_tokens": 1.5}, "default_output_tokens"),
    (PoolConfig, {"selection": "best"}, "selection"),
    (ModelLimits, {"tpm_limit": 0, "rpm_limit": 1}, "tpm_limit"),
    (ModelLimits, {"tpm_limit": 1, "rpm_limit": "1"}, "rpm_limit"),
    (Budget, {"limit_usd": -1}, "limit_usd"),
    (Budget, {"limit_usd": True}, "limit_usd"),
    (Budget, {"limit_usd": math.nan}, "limit_usd"),
    (Budget, {"limit_usd": math.inf}, "limit_usd"),
    (Budget, {"limit_usd": "5"}, "limit_usd"),
    (Budget, {"limit_usd": 1, "scope": "team"}, "scope"),
    (Budget, {"limit_usd": 1, "window": "week"}, "window"),
    (Budget, {"limit_usd": 1, "estimate": "loose"}, "estimate"),
    (Budget, {"limit_usd": 1, "timezone": "Mars/Olympus"}, "timezone"),
    (Budget, {"limit_usd": 1, "timezone": "../etc/passwd"}, "timezone"),
    (Budget, {"limit_usd": 1, "timezone": None}, "timezone"),
]


@pytest.mark.parametrize(
    ("made", "spelled"),
    [
        (
            PoolConfig(3, 10.0, 1.0, 512, "latency"),
            PoolConfig(
                circuit_breaker_threshold=3,
                circuit_breaker_cooldown=10,
                acquire_timeout=1,
                default_output_tokens=512,
                selection="latency",
            ),
        ),
        (Budget(5, "tenant", "day", "Europe/Rome"), Budget(5, scope="tenant", window="day", timezone="Europe/Rome")),
        (TransportConfig(True, None, True), TransportConfig(allow_http=True, trust_proxy_env=True)),
    ],
)
def test_the_fields_stand_in_their_order(made, spelled):
    """What the contract names first may be given by its place."""
    assert made == spelled


@pytest.mark.parametrize(("kind", "values", "field"), WRONG, ids=[f"{kind.__name__}-{values}" for kind, values, _ in WRONG])
def test_a_wrong_value_names_its_field(kind, values, field):
    """A value that is wrong is refused when it is made, with the field's name."""
    with pytest.raises(ConfigurationError) as caught:
        kind(**values)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("usd", "pico"),
    [
        (1, 10**12),
        (0, 0),
        (0.1, 10**11),
        (0.3, 3 * 10**11),
        (4.35, 4_350_000_000_000),
        (1e-12, 1),
        (Decimal("0.000000000001"), 1),
        (123_456_789.01, 123_456_789_010_000_000_000),
    ],
)
def test_money_is_exact(usd, pico):
    """A limit is as many pico-dollars as its decimal digits say, not as its binary float holds."""
    assert Budget(usd).limit_pico == pico


def test_durations_may_be_timedeltas():
    """A duration is taken as seconds or as a timedelta, and kept as seconds."""
    config = PoolConfig(circuit_breaker_cooldown=timedelta(minutes=1), acquire_timeout=math.inf)
    assert (config.circuit_breaker_cooldown, config.acquire_timeout) == (60.0, math.inf)


def test_loss_policies_are_their_names():
    """The loss policies are the three words."""
    assert [LossPolicy(name) for name in ("allow", "warn", "raise")] == [LossPolicy.ALLOW, LossPolicy.WARN, LossPolicy.RAISE]
