"""Flask-Session on SQLAlchemy, for `python -m waitress benchmarks.peers.flask_site:app`."""

import logging
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Flask, after_this_request, redirect, render_template, request, session
from flask_session import Session
from flask_sqlalchemy import SQLAlchemy
from werkzeug.wrappers import Response

from benchmarks.peers.visit import PATHS, TIMEOUT, TITLES, visit

logging.getLogger("waitress.queue").setLevel("ERROR")  # as production.ini does
app = Flask(__name__)
app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
app.config.update(
    SECRET_KEY=os.environ["SESSION_SECRET"],
    SQLALCHEMY_DATABASE_URI=os.environ["DATABASE_URL"].replace(
        "postgresql://", "postgresql+psycopg://"
    ),
    # Flask-Session holds a connection through the whole request: one per thread.
    SQLALCHEMY_ENGINE_OPTIONS={"pool_size": max(5, int(os.environ["THREADS"]))},
    PERMANENT_SESSION_LIFETIME=TIMEOUT,
    SESSION_COOKIE_HTTPONLY=True,
    SESSION_COOKIE_SAMESITE="Lax",
    SESSION_COOKIE_SECURE=True,
    SESSION_TYPE="sqlalchemy",
)
app.config["SESSION_SQLALCHEMY"] = SQLAlchemy(app)
Session(app)


def page(name: str) -> Callable[[], str]:
    def view() -> str:
        return render_template(f"{name}.html", **visit(session, request.url, TITLES[name]))

    return view


for _name, _path in PATHS.items():
    app.add_url_rule(_path, _name, page(_name), methods=["GET"])


def work() -> None:
    after_this_request(partial(say_loaded, time.time()))
    time.sleep(float(request.args.get("work", 0)) / 1000)


def say_loaded(loaded: float, response: Response) -> Response:
    response.headers["X-Loaded"] = str(loaded)
    return response


@app.get("/me")
def me() -> dict[str, Any]:
    data = dict(session)
    work()
    return data


@app.get("/set/<key>")
def set_key(key: str) -> dict[str, Any]:
    work()
    session[key] = "x"
    return {}


@app.get("/visit/<int:number>")
def add_visit(number: int) -> dict[str, Any]:
    session["history"] = [request.path, *session.get("history", [])]
    work()
    return {}


@app.get("/touch")
def touch() -> dict[str, Any]:
    work()
    session.modified = True
    return {}


@app.get("/rotate")
def rotate() -> dict[str, Any]:
    app.session_interface.regenerate(session)
    return {}


@app.get("/login/<user>")
def login(user: str) -> Response:
    app.session_interface.regenerate(session)
    session["user"] = user
    return redirect("/me", 303)


@app.get("/logout")
def logout() -> dict[str, Any]:
    session.clear()
    return {}
