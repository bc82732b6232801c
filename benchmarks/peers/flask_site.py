"""The site with Flask-Session on SQLAlchemy, for `python -m waitress flask_site:app`."""

import logging
import os
from collections.abc import Callable

from flask import Flask, render_template, request, session
from flask_session import Session
from flask_sqlalchemy import SQLAlchemy
from visit import PATHS, TIMEOUT, TITLES, visit

logging.getLogger("waitress.queue").setLevel("ERROR")  # as production.ini does
app = Flask(__name__, template_folder="jinja")
app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
app.config.update(
    SECRET_KEY=os.environ["SESSION_SECRET"],
    SQLALCHEMY_DATABASE_URI=os.environ["DATABASE_URL"],
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
