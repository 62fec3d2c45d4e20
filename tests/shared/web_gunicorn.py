"""The configuration of a gunicorn that forks workers of gevent after it loaded the app, as the page on Django has it."""

from gevent import monkey

monkey.patch_all()
