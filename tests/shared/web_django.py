"""A Django site in one file: for the tests' own process, and for the servers that they start."""

from __future__ import annotations

import os
import sys
from functools import partial

import django
import web_status
from django.conf import settings
from django.http import JsonResponse
from django.urls import path

KEYS = ["${OPENAI_API_KEY}"]


def where():
    """Give where the gateways are, which the test's provider says."""
    return {"model": "openai/gpt-4.1-mini", "base_url": os.environ.get("LLM_BASE_URL"), "budget_usd": 5}


if not settings.configured:
    settings.configure(
        SECRET_KEY="of-no-use",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="web_django",
        INSTALLED_APPS=["omnillm.contrib.django"],
        LOGGING={
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"console": {"class": "logging.StreamHandler"}},
            "loggers": {"django.request": {"handlers": ["console"], "level": "ERROR"}},
        },
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        OMNILLM={
            "default": {**where(), "keys": KEYS, "rpm_limit": 10_000, "tpm_limit": 10_000_000},
            "narrow": {**where(), "keys": KEYS, "rpm_limit": web_status.NARROW_RPM},
        },
    )
    django.setup()

from omnillm import GatewayError  # noqa: E402
from omnillm.contrib.django import error_response, get_gateway, sse_response  # noqa: E402

HEARTBEAT = float(os.environ.get("HEARTBEAT", "10"))


def call(request):
    try:
        gateway = get_gateway(request.GET.get("alias", "default"))
        return JsonResponse({"text": gateway.call(request.GET["q"]).text, "pid": os.getpid()})
    except GatewayError as error:
        response = error_response(error)
        response["X-Pid"] = str(os.getpid())
        return response


def stream(request):
    try:
        return sse_response(request, get_gateway().stream(request.GET["q"]), heartbeat=HEARTBEAT)
    except GatewayError as error:
        return error_response(error)


def late(request):
    return sse_response(request, partial(get_gateway().stream, request.GET["q"]), heartbeat=HEARTBEAT)


async def alate(request):
    return late(request)


def status(request):
    return JsonResponse(web_status.held(get_gateway()))


urlpatterns = [path(f"{view.__name__}/", view) for view in (call, stream, late, alate, status)]

if "gunicorn" in sys.modules or "uvicorn" in sys.modules:
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()
    asgi = get_asgi_application()
