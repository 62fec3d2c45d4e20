"""A Flask app in one file: for the tests' own process, and for the servers that they start."""

from __future__ import annotations

import os
from functools import partial

import web_status
from flask import Flask, jsonify, request

from omnillm import GatewayError
from omnillm.contrib.flask import OmniLLM, error_response, sse_response

HEARTBEAT = float(os.environ.get("HEARTBEAT", "10"))
llm = OmniLLM()


def create_app(**config):
    app = Flask(__name__)
    where = {"model": "openai/gpt-4.1-mini", "base_url": os.environ.get("LLM_BASE_URL"), "budget_usd": 5}
    keys = ["${OPENAI_API_KEY}"]
    app.config["OMNILLM"] = {
        "default": {**where, "keys": keys, "rpm_limit": 10_000, "tpm_limit": 10_000_000},
        "narrow": {**where, "keys": keys, "rpm_limit": web_status.NARROW_RPM},
    }
    app.config |= config
    llm.init_app(app)
    for view in (call, stream, late, status):
        app.get(f"/{view.__name__}/")(view)
    return app


def call():
    try:
        gateway = llm.get_gateway(request.args.get("alias", "default"))
        return jsonify(text=gateway.call(request.args["q"]).text, pid=os.getpid())
    except GatewayError as error:
        response = error_response(error)
        response.headers["X-Pid"] = str(os.getpid())
        return response


def stream():
    try:
        return sse_response(llm.gateway.stream(request.args["q"]), heartbeat=HEARTBEAT)
    except GatewayError as error:
        return error_response(error)


def late():
    return sse_response(partial(llm.gateway.stream, request.args["q"]), heartbeat=HEARTBEAT)


def status():
    return jsonify(web_status.held(llm.gateway))
