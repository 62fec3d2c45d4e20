"""The recipes of docs/prometheus.md, as they are written there: an application and a fleet on gunicorn, scraped over HTTP."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import promql_parser
import pytest
import requests
from celery import Celery
from celery_workers import CeleryWorker
from prometheus_client.parser import text_string_to_metric_families
from recipes import DOCS, ROOT, lay_out
from stores import servers

from omnillm.testing import LocalProvider

PATIENCE_S = 30.0


@contextmanager
def gunicorn(folder: Path, provider: LocalProvider, *arguments: str, **variables: str) -> Iterator[str]:
    """Run gunicorn on a free port of loopback; give the URL."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    own = {"OPENAI_API_KEY": "sk-secret", "OPENAI_BASE_URL": f"{provider.base_url}/v1", "PYTHONPATH": str(ROOT)}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "--graceful-timeout", "2", *arguments],
            cwd=folder,
            env={**os.environ, **own, **variables},
            stdout=log,
            stderr=log,
        )
    try:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                requests.get(f"http://127.0.0.1:{port}/metrics", timeout=15)
                break
            except requests.RequestException:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        finally:
            process.kill()
            process.wait()


def total(url: str, name: str, **labels: str) -> float:
    """Scrape, and add up the samples of that name."""
    text = requests.get(f"{url}/metrics", timeout=15).text
    assert "sk-secret" not in text
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in found if labels.items() <= sample.labels.items())


def test_the_application(tmp_path: Path) -> None:
    """One process: what it was asked is what is scraped."""
    lay_out("prometheus.md", tmp_path)
    with LocalProvider() as provider, gunicorn(tmp_path, provider, "app:app") as url:
        for text in ("one", "two"):
            assert requests.post(f"{url}/ask", data=text, timeout=15).json() == {"answer": f"echo: {text}"}
        assert total(url, "omnillm_calls_total", outcome="ok") == 2
        assert total(url, "omnillm_key_window_requests") == 2
        assert total(url, "omnillm_budget_limit_dollars") == 50
        assert total(url, "omnillm_cost_dollars_total") == pytest.approx(total(url, "omnillm_budget_used_dollars"))


def test_the_fleet(tmp_path: Path) -> None:
    """Two workers of a preloaded application: whichever is scraped tells what both have counted, and the one state of both."""
    lay_out("prometheus.md", tmp_path)
    (tmp_path / "multiproc").mkdir()
    for server in servers():
        variables = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "multiproc"), "REDIS_URL": server.url}
        with (
            LocalProvider(latency=0.02) as provider,
            gunicorn(tmp_path, provider, "-c", "fleet_conf.py", "fleet:app", **variables) as url,
        ):
            for n in range(30):
                assert requests.post(f"{url}/ask", data=str(n), timeout=15).ok
            for _ in range(6):
                assert total(url, "omnillm_calls_total", outcome="ok") == 30
                assert total(url, "omnillm_call_duration_seconds_count") == 30
                assert total(url, "omnillm_key_window_requests") == 30
                assert total(url, "omnillm_budget_reserved_dollars") == 0
            files = list((tmp_path / "multiproc").glob("counter_*.db"))
            assert len(files) >= 2  # both have counted


def test_a_worker_of_celery(tmp_path: Path) -> None:
    """Its parent tells what the processes of its pool have counted."""
    lay_out("prometheus.md", tmp_path)
    (tmp_path / "multiproc").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    for server in servers():
        with LocalProvider(latency=0.1) as provider, Celery("client", broker=server.url, backend=server.url) as client:
            variables = {
                "REDIS_URL": server.url,
                "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "multiproc"),
                "METRICS_PORT": str(port),
                "OPENAI_API_KEY": "sk-secret",
                "OPENAI_BASE_URL": f"{provider.base_url}/v1",
            }
            with CeleryWorker("metered", tmp_path, concurrency=2, **variables):
                results = [client.send_task("metered.ask", [str(n)]) for n in range(10)]
                assert [result.get(timeout=PATIENCE_S) for result in results] == [f"echo: {n}" for n in range(10)]
                assert total(f"http://127.0.0.1:{port}", "omnillm_calls_total", outcome="ok") == 10
            client.backend.client.close()
    assert len(list((tmp_path / "multiproc").glob("counter_*.db"))) >= 2


def test_the_alerts_are_queries(everything_there: set[str]) -> None:
    """Each expression of the page's alerts is one that Prometheus reads, of metrics that the page lists."""
    expressions = re.findall(r"^ +expr: (.*)$", (DOCS / "prometheus.md").read_text("utf-8"), re.MULTILINE)
    assert len(expressions) == 5
    for expression in expressions:
        promql_parser.parse(expression)
        assert set(re.findall(r"omnillm_\w+", expression)) <= everything_there


@pytest.fixture
def everything_there() -> set[str]:
    """The names that the metrics have by their own word."""
    from prometheus_client import CollectorRegistry

    from omnillm.contrib.prometheus import PrometheusMetrics

    registry = CollectorRegistry()
    PrometheusMetrics(registry)
    return {name for family in registry.collect() for name in (family.name, f"{family.name}_total")}


def test_the_page_lists_all_metrics(everything_there: set[str]) -> None:
    """What is exported stands on the page by its name, or by the end of its name beside a like one."""
    page = (DOCS / "prometheus.md").read_text("utf-8")
    ends = ("_limit", "_used_dollars", "_reserved_dollars")
    for name in everything_there:
        plain = name.removesuffix("_total")
        listed = f"`{name}`" in page or f"`{plain}`" in page or f"`{plain}_total`" in page
        assert listed or plain.endswith(ends), name
