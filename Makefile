# `make` alone prints what follows each ##.
PYTHON ?= python3
VENV ?= .venv
DOCS ?= build/docs
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check -q

# Each process begins with tests that stand together, since these share their servers.
PYTEST = -m pytest -n auto --dist worksteal

.DEFAULT_GOAL = help
.PHONY: help serve check test test-all fuzz soak matrix lint format coverage docs screenshots
.PHONY: constraints release clean
.PHONY: bench bench-quick bench-memory bench-store bench-growth bench-care bench-libraries
.PHONY: bench-metrics bench-scale bench-valkey bench-visit races

help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

serve: $(VENV)/.serve  ## the site on http://localhost:6543, on a signed cookie
	$(BIN)/pserve development.ini --reload

check: lint  ## lint, and the tests that need no server: under a minute
	$(BIN)/python $(PYTEST) -q -m "not servers and not slow and not all" --hypothesis-profile=fast $(ARGS)

test: $(VENV)/.test  ## the core of the tests, on real servers: under ten minutes
	$(BIN)/python -m tests.harness.install
	$(BIN)/python $(PYTEST) -m "not all" $(ARGS)

test-all: $(VENV)/.test  ## all that `make test` leaves out
	$(BIN)/python -m tests.harness.install
	$(BIN)/python $(PYTEST) -m all $(ARGS)

fuzz: $(VENV)/.test  ## over 100,000 requests that no client means to send: about ten minutes
	$(BIN)/python $(PYTEST) tests/security/test_fuzz.py --hypothesis-profile=fuzz $(ARGS)

soak: $(VENV)/.test  ## full load while processes and servers die: eleven minutes
	$(BIN)/python -m tests.harness.install
	$(BIN)/python -m tests.soak $(ARGS)

lint: $(VENV)/.test  ## ruff, and mypy in strict mode
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.test  ## let ruff format the code and mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

coverage: $(VENV)/.test  ## which branches of sessionsite/ `make test` takes: all of them
	$(BIN)/python -m tests.harness.install
	$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST) -m "not all" $(ARGS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

docs: $(VENV)/.test  ## the docs as pages, in build/docs
	$(BIN)/python -m sphinx -E -q -W --keep-going docs $(DOCS)

matrix: $(VENV)/.venv  ## the versions that this machine has, of Python, libraries and PostgreSQL: an hour
	$(PIP) install nox uv
	$(BIN)/nox $(ARGS)

release: $(VENV)/.test  ## build sdist, wheel and SBOM in dist/ and try them; uploads nothing
	$(BIN)/python -m tests.release

screenshots: $(VENV)/.test  ## draw the README's picture anew
	$(BIN)/python -m tests.functional.screenshots

BENCHMARK_bench = speed
BENCHMARK_bench-quick = speed --rounds 3 --seconds 3
BENCHMARK_bench-memory = speed.memory
BENCHMARK_bench-store = store
BENCHMARK_bench-growth = store.growth
BENCHMARK_bench-care = store.care
BENCHMARK_bench-libraries = libraries
BENCHMARK_bench-metrics = metrics
BENCHMARK_bench-scale = scale
BENCHMARK_bench-valkey = valkey
BENCHMARK_bench-visit = visit
BENCHMARK_races = races

bench: ## the site beside its peers
bench-quick: ## the same in under three minutes
bench-memory: ## the server's memory over 100,000 visits
bench-store: ## the store beside pgbench, and what each layer of it costs
bench-growth: ## the store on tables of up to ten million rows
bench-care: ## what to set on the table, and how to get its space back
bench-libraries: ## what we do by hand beside the libraries that could do it
bench-scale: ## what more visitors, processes and rows need, predicted and measured
bench-valkey: ## what a cluster of Valkey or Redis loses in a failover, and how long pruning takes there
bench-visit: ## a visit in one thread without a server; ARGS="--against DIR" beside another checkout
bench-metrics: ## the metrics of a run with an outage, drawn: docs/metrics.svg
races: ## the races that sessions lose, here and in the peers
bench bench-quick bench-memory bench-store bench-growth bench-care bench-libraries bench-metrics bench-scale bench-valkey bench-visit races: $(VENV)/.test
	$(BIN)/python -m benchmarks.$(BENCHMARK_$@) $(ARGS)

$(VENV)/.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.serve: $(VENV)/.venv setup.py constraints.txt
	$(PIP) install -c constraints.txt -e '.[dev]'
	touch $@

$(VENV)/.test: $(VENV)/.serve
	$(PIP) install -c constraints.txt -e '.[dev,testing,factories,lint,docs,release]'
	touch $@

# Debian 12's Python is 3.11.2, which some packages leave out: PYTHON=/usr/bin/python3 there.
constraints: ## write both files of constraints anew, with today's versions that the oldest Python takes
	rm -rf $(VENV)-new
	$(PYTHON) -m venv $(VENV)-new
	$(VENV)-new/bin/python -m pip -q install -e '.[dev,testing,factories,lint,docs,release]'
	{ echo '# The versions that are tested together; `make constraints` writes them anew.'; \
	  $(VENV)-new/bin/python -m pip freeze --all --exclude-editable --exclude pip; } > constraints.txt
	$(VENV)-new/bin/python -m pip -q install pip-tools
	{ echo '# constraints.txt with the hash of each file: pip install --require-hashes -r constraints-hashed.txt'; \
	  $(VENV)-new/bin/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-trusted-host \
	    --no-emit-options --no-header --no-annotate --allow-unsafe --strip-extras --extra dev \
	    --extra testing --extra factories --extra lint --extra docs --extra release \
	    -c constraints.txt -o - setup.py; } > constraints-hashed.txt
	rm -rf $(VENV)-new

clean: ## remove the virtual environment
	rm -rf $(VENV) $(VENV)-new
