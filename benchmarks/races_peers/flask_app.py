"""Flask with Flask-Session on SQLAlchemy, set up as its documentation shows."""

import os
import time
from functools import partial
from typing import Any

from flask import Flask, after_this_request, redirect, request, session
from flask_session import Session
from flask_sqlalchemy import SQLAlchemy
from werkzeug.wrappers import Response

app = Flask(__name__)
app.config.update(
    SECRET_KEY=os.environ["SESSION_SECRET"],
    SQLALCHEMY_DATABASE_URI=os.environ["DATABASE_URL"].replace(
        "postgresql://", "postgresql+psycopg://"
    ),
    # Flask-Session holds a connection through the whole request: one for each thread.
    SQLALCHEMY_ENGINE_OPTIONS={"pool_size": int(os.environ["THREADS"])},
    SESSION_TYPE="sqlalchemy",
    SESSION_COOKIE_SAMESITE="Lax",
    PERMANENT_SESSION_LIFETIME=12 * 60 * 60,
)
db = SQLAlchemy(app)
app.config["SESSION_SQLALCHEMY"] = db
Session(app)


def _work() -> None:
    after_this_request(partial(_say_loaded, time.time()))
    time.sleep(float(request.args.get("work", 0)) / 1000)


def _say_loaded(loaded: float, response: Response) -> Response:
    response.headers["X-Loaded"] = str(loaded)
    return response


@app.get("/healthz")
def healthz() -> dict[str, Any]:
    return {}


@app.get("/me")
def me() -> dict[str, Any]:
    data = dict(session)
    _work()
    return data


@app.get("/set/<key>")
def set_key(key: str) -> dict[str, Any]:
    _work()
    session[key] = "x"
    return {}


@app.get("/visit/<int:number>")
def visit(number: int) -> dict[str, Any]:
    session["history"] = [request.path, *session.get("history", [])]
    _work()
    return {}


@app.get("/touch")
def touch() -> dict[str, Any]:
    _work()
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
