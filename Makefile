# Two commands do everything: `make demo` and `make test`. Each sets up its own virtual environment first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test test-slow lint docs bench bench-security clean

demo: $(READY)
	$(BIN)/shufflecam demo

# Two test processes with one torch thread each: threads of both would wait for each other on two cores.
TEST := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -q -n 2 --dist loadfile

test: lint
	$(TEST) -m "not slow"

test-slow: lint
	$(TEST)

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The pages, docs/_build/html/index.html; the gallery's scripts run for them. A warning is an error.
docs: $(VENV)/.ready-docs
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

bench: $(READY)
	$(BIN)/python -m benchmarks.shuffle_speed
	$(BIN)/python -m benchmarks.network_speed
	$(BIN)/python -m benchmarks.sensor_speed
	$(BIN)/python -m benchmarks.develop_speed
	$(BIN)/python -m benchmarks.scheme_speed
	$(BIN)/python -m benchmarks.job_speed

# What attacks get without the key; minutes, not seconds.
bench-security: $(READY)
	$(BIN)/python -m benchmarks.security_bar
	$(BIN)/python -m benchmarks.scheme_attacks
	$(BIN)/python -m benchmarks.wrong_keys

clean:
	rm -rf $(VENV) build dist *.egg-info docs/_build docs/gallery

# One pip call with the constraints: a second one could replace torch by a build of several gigabytes.
$(READY): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { echo "Python 3.11 or later is needed: make PYTHON=python3.11 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: on Debian, apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

# A second call, but under the same constraints: it adds what is missing.
$(VENV)/.ready-docs: $(READY)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@
