# Everything runs in a virtual environment that is made on first use. Installing is repeated
# only when the metadata changes.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
REPOSITORY ?= .
MINUTES ?= 30
PYTEST_ARGS ?= -n 3 --dist worksteal
# What else to install beside the project, e.g. REQUIRE='sqlalchemy<2.1'.
REQUIRE ?=
# Another environment, whose packages the new one sees where it has none of its own.
BORROW ?=

METADATA = setup.cfg setup.py pyproject.toml
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# Where an environment has its packages.
PACKAGES = 'import sysconfig; print(sysconfig.get_path("purelib"))'
# pip would compile one file after the other; this uses all processors. What cannot be compiled is
# none of what we import.
COMPILE = $(BIN)/python -m compileall -qq -j 0 "$$($(BIN)/python -c $(PACKAGES))" || true
SOURCES = sqlalchemy_versioned tests examples benchmarks docs

VERSIONED_TEST_DATABASES ?= sqlite,embedded
export VERSIONED_TEST_DATABASES

# Every process would compile all modules, and pytest rewrite all tests, anew: half a minute each run.
unexport PYTHONDONTWRITEBYTECODE

COMMA = ,

.PHONY: help demo test soak mutants lint types layers docs bench dist clean
.DELETE_ON_ERROR:

help:
	@echo "make demo   run the examples, last the history of a git repository (REPOSITORY=path)"
	@echo "make test   run the whole suite on SQLite and an embedded PostgreSQL"
	@echo "make soak   try random programs, declarations and storms of writers for half an hour (MINUTES=30)"
	@echo "make mutants   break the package on purpose, and see whether the suite notices"
	@echo "make dist   build what is released, and try it where nothing else is installed"
	@echo "make lint | types | layers | docs | bench | clean"

demo: $(VENV)/.installed
	$(BIN)/python examples/quickstart.py
	$(BIN)/python examples/from_continuum.py
	$(BIN)/python examples/from_sqlaudit.py
	$(BIN)/python examples/from_sqlalchemy_audit.py
	$(BIN)/python examples/git_history.py "$(REPOSITORY)"

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(PYTEST_ARGS)

soak: $(VENV)/.installed-test
	$(BIN)/python -m tests.soak $(MINUTES)

mutants: $(VENV)/.installed-test
	$(BIN)/python -m tests.mutants $(FAULTS)

lint: $(VENV)/.installed-lint
	$(BIN)/ruff check $(wildcard $(SOURCES))
	$(BIN)/ruff format --check $(wildcard $(SOURCES))

types: $(VENV)/.installed-lint $(VENV)/.installed-test
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

layers: $(VENV)/.installed-lint
	$(BIN)/lint-imports

docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build -q --no-color -W --keep-going -t examples -b doctest docs docs/_build/doctest
	$(BIN)/sphinx-build -q --no-color -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/.installed-benchmark
	$(BIN)/python -m benchmarks

# Nothing but the wheel and what it asks for is in the environment that the quick start runs in.
dist: $(VENV)/.installed-dist
	rm -rf dist build/bare
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	$(PYTHON) -m venv build/bare
	build/bare/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	build/bare/bin/python -I -W error examples/quickstart.py

clean:
	rm -rf $(VENV) build dist docs/_build *.egg-info
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

$(VENV)/.created:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or later is needed")'
	$(PYTHON) -m venv $(if $(BORROW),--without-pip) $(VENV)
	$(if $(BORROW),$(BORROW)/bin/python -c $(PACKAGES) >"$$($(BIN)/python -c $(PACKAGES))/borrowed.pth")
	touch $@

$(VENV)/.installed: $(METADATA) | $(VENV)/.created
	$(PIP_INSTALL) --editable . $(if $(REQUIRE),'$(REQUIRE)')
	$(COMPILE)
	touch $@

# Of several extras at once, too: .installed-test,lint
$(VENV)/.installed-%: $(METADATA) | $(VENV)/.created
	$(PIP_INSTALL) --editable '.[$*]' $(if $(REQUIRE),'$(REQUIRE)')
	$(COMPILE)
	touch $(VENV)/.installed $(addprefix $(VENV)/.installed-,$(subst $(COMMA), ,$*)) $@
