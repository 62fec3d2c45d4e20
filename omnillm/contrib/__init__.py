"""At home elsewhere: Django, Flask, Celery, Jupyter, OpenTelemetry, Prometheus; each an extra, none imported by the package."""
