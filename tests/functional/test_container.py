"""deploy/Containerfile and deploy/compose.yaml: their commands, run without a container engine.

Where an engine runs the base image, it also builds ours.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
import yaml

from sessionsite.servers.waitress import StopSettings
from sessionsite.sessions.pruner import LAST_BATCH
from tests import ROOT
from tests.harness import free_port, listening
from tests.harness.nginx import adapt, make_certificate
from tests.harness.process import Server
from tests.harness.production import FORWARDED, Browser
from tests.harness.starting import prefix, signal_to

CONTAINERFILE = (ROOT / "deploy/Containerfile").read_text("utf-8")
COMPOSE: Any = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
SITES = [service for name, service in SERVICES.items() if name.startswith("site-")]
PROXY = "127.0.0.1"
# For pip: what it needs is here.
LOCAL = "--no-deps --no-build-isolation --no-index --ignore-installed"


def lines(word: str) -> list[str]:
    """What follows a word of the Containerfile, by line."""
    return re.findall(rf"(?m)^{word} (.*)$", CONTAINERFILE)


def in_json(word: str) -> list[str]:
    """The command after a word that has one."""
    (line,) = lines(word)
    command: list[str] = json.loads(line[line.index("[") :])
    return command


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """/opt/sessionsite as the last stage has it, but for .venv, which is that of the tests."""
    for line in lines("COPY"):
        *sources, target = line.split()
        if target == "/opt/sessionsite/" and not line.startswith("--from"):
            for source in sources:
                shutil.copy(ROOT / source, tmp_path)
    return tmp_path


@pytest.fixture
def secrets(image: Path, sqlite_url: str) -> Path:
    """The files that a container finds below /run/secrets; here they are elsewhere."""
    folder = image / "secrets"
    folder.mkdir()
    (folder / "session_secret").write_text("only-the-test-of-containers-knows-this-one\n")
    (folder / "database_url").write_text(f"{sqlite_url}\n")
    config = image / "container.ini"
    config.write_text(config.read_text("utf-8").replace("/run/secrets", str(folder)), "utf-8")
    return folder


class Container(Server):
    """The image's CMD, as process 1, at another port."""

    def __init__(self, image: Path, **env: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        config = image / "container.ini"
        (exposed,) = lines("EXPOSE")
        text = adapt(config.read_text("utf-8"), {rf"0\.0\.0\.0:{exposed}$": f"0.0.0.0:{self.port}"})
        config.write_text(text, "utf-8")
        programs = Path(sys.executable).parent
        super().__init__(
            [*prefix("as process 1"), *in_json("CMD")],
            image / "log",
            cwd=image,
            env={"PATH": f"{programs}:{os.defpath}", **env},
        )

    def ready(self) -> bool:
        return listening(self.port)


def run(command: list[str], cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    return subprocess.run(
        command, cwd=cwd, env={"PATH": path, **env}, capture_output=True, text=True, check=False
    )


@pytest.mark.servers
def test_what_compose_starts_serves_is_healthy_and_stops(image: Path, secrets: Path) -> None:
    env = {"SITE_HOSTS": "127.0.0.1 elsewhere.example", "SITE_PROXY": PROXY}
    assert set(SITES[0]["environment"]) - {"SITE_CONTACT"} == set(env)
    done = run(SERVICES["table"]["command"], image, **env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Table sessions: created" in done.stdout

    container = Container(image, **env)
    health = [
        part.replace("127.0.0.1:6543", f"127.0.0.1:{container.port}")
        for part in in_json("HEALTHCHECK")
    ]
    assert health != in_json("HEALTHCHECK")
    try:
        assert run(health, image).returncode != 0
        container.start()
        assert run(health, image).returncode == 0
        page = Browser(container.url).get("/", FORWARDED)
        assert page.history == ["https://elsewhere.example:444/"]
        signal_to(container, signal.SIGTERM)
        assert container.wait() == 0
        assert "Traceback" not in container.output()
        assert "SIGTERM: finishing" in container.output()
    finally:
        container.kill()


@pytest.mark.parametrize("missing", ["SITE_HOSTS", "SITE_PROXY", "session_secret", "database_url"])
def test_without_a_variable_or_a_secret_it_does_not_start(
    image: Path, secrets: Path, missing: str
) -> None:
    env = {"SITE_HOSTS": "a.example", "SITE_PROXY": PROXY}
    env.pop(missing, None)
    (secrets / missing).unlink(missing_ok=True)
    done = run(in_json("CMD"), image, **env)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert missing in line


def test_the_secrets_are_the_files_that_container_ini_reads() -> None:
    text = (ROOT / "deploy/container.ini").read_text("utf-8")
    read = set(re.findall(r"\$\{file:/run/secrets/(\w+)\}", text))
    for site in SITES:
        assert set(site["secrets"]) == read
    assert {f"secrets/{name}" for name in COMPOSE["secrets"]} == {
        secret["file"] for secret in COMPOSE["secrets"].values()
    }
    used = {name for service in SERVICES.values() for name in service["secrets"]}
    assert used == set(COMPOSE["secrets"])


def test_the_logging_is_that_of_production_ini() -> None:
    container, production = (
        (ROOT / name).read_text("utf-8").partition("[loggers]")[2]
        for name in ("deploy/container.ini", "production.ini")
    )
    assert settings(container) == settings(production)


def settings(text: str) -> list[str]:
    return re.findall(r"(?m)^[^#\n].*", text)


def test_a_site_is_given_the_time_that_it_may_take_to_stop() -> None:
    assert len(SITES) == 2
    for site in SITES:
        given = int(site["stop_grace_period"].removesuffix("s"))
        assert given > StopSettings().stop_timeout + LAST_BATCH


def test_kubernetes_gives_a_pod_that_time_too() -> None:
    document = (ROOT / "docs/deployment.md").read_text("utf-8")
    block = document.partition("\n## Kubernetes\n")[2].partition("```yaml\n")[2].partition("```")[0]
    spec = yaml.safe_load(block)["spec"]
    (container,) = spec["containers"]
    command, pause = container["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    needed = int(pause) + StopSettings().stop_timeout + LAST_BATCH
    assert spec["terminationGracePeriodSeconds"] > needed
    assert {each["name"] for each in container["env"]} == {"SITE_HOSTS", "SITE_PROXY"}
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/run/secrets"]
    port = int(lines("EXPOSE")[0])
    assert container["ports"] == [{"containerPort": port}]
    assert container["readinessProbe"]["httpGet"] == {"path": "/healthz?deep=0", "port": port}
    assert container["livenessProbe"]["tcpSocket"] == {"port": port}


def test_compose_makes_nginx_conf_what_nginx_takes(tmp_path: Path) -> None:
    """The sed of the nginx service, on deploy/nginx.conf."""
    service = SERVICES["nginx"]
    shell, option, script = service["command"]
    made = tmp_path / "default.conf"
    certificate, key = make_certificate(tmp_path, ["visit.example"])
    for there, here in {
        "/sessionsite.conf": str(ROOT / "deploy/nginx.conf"),
        "/etc/nginx/conf.d/default.conf": str(made),
        "/run/secrets/tls.crt": str(certificate),
        "/run/secrets/tls.key": str(key),
        "exec nginx -g 'daemon off;'": "true",
        "$$": "$",
    }.items():
        assert there in script
        script = script.replace(there, here)
    assert run([shell, option, script], tmp_path, SITE_NAME="visit.example").returncode == 0

    text = made.read_text("utf-8")
    upstream = re.findall(r"(?m)^    server ([\d.:]+)", text)
    assert upstream == [f"{site['networks']['inside']['ipv4_address']}:6543" for site in SITES]
    assert text.count("server_name visit.example;") == 2
    assert "sessions.example.org" not in text
    assert "letsencrypt" not in text
    address = service["networks"]["inside"]["ipv4_address"]
    assert {site["environment"]["SITE_PROXY"] for site in SITES} == {address}
    (tmp_path / "nginx.conf").write_text(
        f"events {{}}\npid {tmp_path}/pid;\nhttp {{ include {made}; }}\n"
    )
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if nginx:  # it is missing nowhere where servers are tested
        command = [nginx, "-t", "-e", "stderr", "-p", str(tmp_path), "-c", f"{tmp_path}/nginx.conf"]
        done = run(command, tmp_path)
        assert "syntax is ok" in done.stderr


@pytest.mark.all
def test_the_build_stage_installs_the_site(tmp_path: Path) -> None:
    """Its files are enough for the package, templates and all, and for the commands in CMD."""
    for line in lines("COPY"):
        *sources, target = line.split()
        if target.startswith("/source"):
            for source in sources:
                where = tmp_path / target.removeprefix("/")
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, where)
                else:
                    where.mkdir(exist_ok=True)
                    shutil.copy(ROOT / source, where)
    command = lines("RUN")[1]
    assert command.startswith("python3 -m venv /opt/sessionsite/.venv && ")
    home = tmp_path / "opt"
    # The packages that it needs are those of the tests.
    venv.create(home / ".venv", with_pip=True, system_site_packages=False)
    install = command.partition(" && ")[2]
    install = install.replace("/opt/sessionsite", str(home)).replace(
        " /source", f" {tmp_path}/source"
    )
    install = install.replace("--constraint", f"{LOCAL} --constraint")
    site_packages = next((home / ".venv/lib").glob("python*/site-packages"))
    shutil.rmtree(site_packages / "setuptools", ignore_errors=True)  # older than ours
    (site_packages / "tests.pth").write_text(f"{Path(yaml.__file__).parents[1]}\n")
    done = run(["sh", "-c", install], tmp_path)
    assert done.returncode == 0, done.stderr
    program = home / ".venv/bin/sessionsite"
    assert run([str(program), "--version"], tmp_path).stdout.startswith("sessionsite ")
    installed = site_packages / "sessionsite"
    for path in (ROOT / "sessionsite").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert (installed / path.relative_to(ROOT / "sessionsite")).exists()


def test_the_image_is_small_and_has_no_rights() -> None:
    (user,) = lines("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    stages = CONTAINERFILE.split("\nFROM ")
    assert len(stages) == 3
    assert "python3-venv" not in stages[2]
    assert "rm -rf /var/lib/apt/lists/*" in stages[2]
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in ignored
    copied = {
        source
        for line in lines("COPY")
        if not line.startswith("--from")
        for source in line.split()[:-1]
    }
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == copied


def engine() -> str | None:
    """A program that runs containers here, of the image that ours begins with."""
    (base,) = re.findall("(?m)^ARG BASE=(.*)$", CONTAINERFILE)
    for name in ("podman", "docker"):
        found = shutil.which(name)
        trial = ["run", "--pull=never", "--rm", base, "true"]
        if found and run([found, *trial], ROOT).returncode == 0:
            return found
    return None


# No test where there is none: nothing is skipped, and the tests above have run the commands.
if (ENGINE := engine()) is not None:

    @pytest.mark.all
    def test_the_image_is_built() -> None:
        assert ENGINE is not None
        command = [ENGINE, "build", "--file", "deploy/Containerfile", "--tag", "sessionsite-test"]
        done = run([*command, "."], ROOT)
        assert done.returncode == 0, done.stderr
        run([ENGINE, "image", "rm", "sessionsite-test"], ROOT)
