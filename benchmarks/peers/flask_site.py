"""Flask-Session on SQLAlchemy, for `python -m waitress benchmarks.peers.flask_site:app`."""

import os
from collections.abc import Callable

from flask import Flask, jsonify, redirect, render_template, request, session
from flask_session import Session
from flask_sqlalchemy import SQLAlchemy
from werkzeug.wrappers import Response

from benchmarks.peers.races import ACTIONS, Races
from benchmarks.peers.visit import PATHS, TIMEOUT, TITLES, visit

app = Flask(__name__)
app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
app.config.update(
    SECRET_KEY=os.environ["SESSION_SECRET"],
    SQLALCHEMY_DATABASE_URI=os.environ["DATABASE_URL"].replace(
        "postgresql://", "postgresql+psycopg://"
    ),
    # Flask-Session holds a connection through the whole request: one for each thread.
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


races = Races(
    touch=lambda session: setattr(session, "modified", True),
    rotate=app.session_interface.regenerate,
    end=lambda session: session.clear(),
)


@app.get(f"/<any({ACTIONS.replace('|', ', ')}):action>", defaults={"value": ""})
@app.get(f"/<any({ACTIONS.replace('|', ', ')}):action>/<value>")
def race(action: str, value: str) -> Response:
    data, loaded = races.act(action, value, session, request.args.get("work", "0"))
    response = redirect("/me", 303) if action == "login" else jsonify(data)
    response.headers["X-Loaded"] = str(loaded)
    return response
