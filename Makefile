# make serve        the site on http://localhost:6543, on a signed cookie
# make test         every test
# make lint         ruff, and mypy in strict mode
# make screenshots  draw the README's picture anew
# make bench        the site beside its peers; bench-quick in under three minutes
# make bench-memory the server's memory over 100,000 visits
# make bench-store  the store beside pgbench, and what each layer of it costs
# make bench-growth the store on tables of up to ten million rows
# make bench-libraries  what we do by hand beside the libraries that could do it
# make races        the races that sessions lose, here and in the peers
# make constraints  write constraints.txt anew, with today's versions that the oldest Python takes:
#                   PYTHON=/usr/bin/python3 on Debian 12, whose 3.11.2 some packages leave out

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: serve test lint screenshots bench bench-quick bench-memory bench-store bench-growth
.PHONY: bench-libraries races constraints clean

serve: $(VENV)/.serve
	$(BIN)/pserve development.ini --reload

test: $(VENV)/.test
	$(BIN)/python -m tests.harness.install
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

screenshots: $(VENV)/.test
	$(BIN)/python -m tests.functional.screenshots

BENCHMARK_bench = speed
BENCHMARK_bench-quick = speed --rounds 3 --seconds 3
BENCHMARK_bench-memory = speed.memory
BENCHMARK_bench-store = store
BENCHMARK_bench-growth = store.growth
BENCHMARK_bench-libraries = libraries
BENCHMARK_races = races

bench bench-quick bench-memory bench-store bench-growth bench-libraries races: $(VENV)/.test
	$(BIN)/python -m benchmarks.$(BENCHMARK_$@) $(ARGS)

$(VENV)/.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.serve: $(VENV)/.venv setup.py constraints.txt
	$(PIP) install -c constraints.txt -e '.[dev]'
	touch $@

$(VENV)/.test: $(VENV)/.serve
	$(PIP) install -c constraints.txt -e '.[dev,testing,factories,lint]'
	touch $@

constraints:
	rm -rf $(VENV)-new
	$(PYTHON) -m venv $(VENV)-new
	$(VENV)-new/bin/python -m pip -q install -e '.[dev,testing,factories,lint]'
	{ echo '# The versions that are tested together; `make constraints` writes them anew.'; \
	  $(VENV)-new/bin/python -m pip freeze --all --exclude-editable --exclude pip; } > constraints.txt
	rm -rf $(VENV)-new

clean:
	rm -rf $(VENV) $(VENV)-new
