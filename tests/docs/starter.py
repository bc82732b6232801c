"""An app as pyramid-cookiecutter-starter makes it (Jinja2, no backend), named myapp."""

from pathlib import Path

INI = """\
[app:main]
use = egg:myapp

pyramid.reload_templates = true
pyramid.debug_authorization = false
pyramid.debug_notfound = false
pyramid.debug_routematch = false
pyramid.default_locale_name = en

[pshell]
setup = myapp.pshell.setup

[server:main]
use = egg:waitress#main
listen = localhost:6543

[loggers]
keys = root, myapp

[handlers]
keys = console

[formatters]
keys = generic

[logger_root]
level = INFO
handlers = console

[logger_myapp]
level = DEBUG
handlers =
qualname = myapp

[handler_console]
class = StreamHandler
args = (sys.stderr,)
level = NOTSET
formatter = generic

[formatter_generic]
format = %(asctime)s %(levelname)-5.5s [%(name)s:%(lineno)s][%(threadName)s] %(message)s
"""
FILES = {
    "setup.py": """\
from setuptools import setup, find_packages

requires = [
    'plaster_pastedeploy',
    'pyramid',
    'pyramid_jinja2',
    'pyramid_debugtoolbar',
    'waitress',
]

tests_require = [
    'WebTest',
    'pytest',
]

setup(
    name='myapp',
    version='0.0',
    packages=find_packages(exclude=['tests']),
    include_package_data=True,
    zip_safe=False,
    extras_require={'testing': tests_require},
    install_requires=requires,
    entry_points={'paste.app_factory': ['main = myapp:main']},
)
""",
    "pytest.ini": "[pytest]\naddopts = --strict-markers\ntestpaths =\n    myapp\n    tests\n",
    "development.ini": INI.replace(
        "name = en\n", "name = en\n\npyramid.includes =\n    pyramid_debugtoolbar\n"
    ),
    "production.ini": INI.replace("reload_templates = true", "reload_templates = false").replace(
        "localhost:6543", "*:6543"
    ),
    "testing.ini": INI,
    "myapp/__init__.py": '''\
from pyramid.config import Configurator


def main(global_config, **settings):
    """ This function returns a Pyramid WSGI application.
    """
    with Configurator(settings=settings) as config:
        config.include('pyramid_jinja2')
        config.include('.routes')
        config.scan()
    return config.make_wsgi_app()
''',
    "myapp/routes.py": """\
def includeme(config):
    config.add_static_view('static', 'static', cache_max_age=3600)
    config.add_route('home', '/')
""",
    "myapp/pshell.py": """\
from . import models


def setup(env):
    pass
""",
    "myapp/static/theme.css": "body { color: black }\n",
    "myapp/templates/layout.jinja2": """\
<!DOCTYPE html>
<html lang="{{request.locale_name}}">
  <head><title>Cookiecutter Starter project for the Pyramid Web Framework</title></head>
  <body>{% block content %}<p>No content</p>{% endblock content %}</body>
</html>
""",
    "myapp/templates/mytemplate.jinja2": """\
{% extends "layout.jinja2" %}

{% block content %}
<h1>Pyramid <small>Starter project</small></h1>
<p>Welcome to {{project}}, a Pyramid application.</p>
{% endblock content %}
""",
    "myapp/templates/404.jinja2": """\
{% extends "layout.jinja2" %}

{% block content %}
<p><span>404 Page Not Found</span></p>
{% endblock content %}
""",
    "myapp/views/__init__.py": "",
    "myapp/views/default.py": """\
from pyramid.view import view_config


@view_config(route_name='home', renderer='myapp:templates/mytemplate.jinja2')
def my_view(request):
    return {'project': 'myapp'}
""",
    "myapp/views/notfound.py": """\
from pyramid.view import notfound_view_config


@notfound_view_config(renderer='myapp:templates/404.jinja2')
def notfound_view(request):
    request.response.status = 404
    return {}
""",
    "tests/__init__.py": "",
    "tests/conftest.py": """\
import os
from pyramid.paster import get_appsettings
from pyramid.scripting import prepare
from pyramid.testing import DummyRequest, testConfig
import pytest
import webtest

from myapp import main


def pytest_addoption(parser):
    parser.addoption('--ini', action='store', metavar='INI_FILE')

@pytest.fixture(scope='session')
def ini_file(request):
    # potentially grab this path from a pytest option
    return os.path.abspath(request.config.option.ini or 'testing.ini')

@pytest.fixture(scope='session')
def app_settings(ini_file):
    return get_appsettings(ini_file)

@pytest.fixture(scope='session')
def app(app_settings):
    return main({}, **app_settings)

@pytest.fixture
def testapp(app):
    testapp = webtest.TestApp(app, extra_environ={
        'HTTP_HOST': 'example.com',
    })

    return testapp

@pytest.fixture
def app_request(app):
    with prepare(registry=app.registry) as env:
        request = env['request']
        request.host = 'example.com'
        yield request

@pytest.fixture
def dummy_request():
    request = DummyRequest()
    request.host = 'example.com'

    return request

@pytest.fixture
def dummy_config(dummy_request):
    with testConfig(request=dummy_request) as config:
        yield config
""",
    "tests/test_functional.py": """\
def test_root(testapp):
    res = testapp.get('/', status=200)
    assert b'Pyramid' in res.body

def test_notfound(testapp):
    res = testapp.get('/badurl', status=404)
    assert res.status_code == 404
""",
    "tests/test_views.py": """\
from myapp.views.default import my_view
from myapp.views.notfound import notfound_view


def test_my_view(app_request):
    info = my_view(app_request)
    assert app_request.response.status_int == 200
    assert info['project'] == 'myapp'

def test_notfound_view(app_request):
    info = notfound_view(app_request)
    assert app_request.response.status_int == 404
    assert info == {}
""",
}
FILES["myapp/pshell.py"] = FILES["myapp/pshell.py"].replace("from . import models\n\n\n", "")


def lay_out(folder: Path) -> None:
    """Write the app into `folder`."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
