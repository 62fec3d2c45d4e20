"""An integration whose library is not installed says so."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIBRARIES = {
    "celery": "celery",
    "django": "django",
    "flask": "flask",
    "jupyter": "IPython",
    "opentelemetry": "opentelemetry",
    "prometheus": "prometheus_client",
}


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_import_says_what_to_install(name: str) -> None:
    """Without its library the import is an ``ImportError`` whose one line ends with the extra that brings it."""
    code = f"import sys; sys.modules[{LIBRARIES[name]!r}] = None; import omnillm.contrib.{name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "ImportError" in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].endswith(f"pip install 'omnillm[{name}]'")
