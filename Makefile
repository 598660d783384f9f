# make quickstart | test | fuzz | test-legacy | test-newest | test-ecosystem | lint | install | clean

PYTHON ?= python3
PYTHON_LEGACY ?= python3.10
VENV ?= .venv
LEGACY := .venv-legacy
NEWEST := .venv-newest
OUT ?= quickstart
WORKERS ?= 2

PACKAGE := setup.py README.md $(shell find fairseq_summarymixing -name '*.py' -o -name '*.jsonl')
AUDIO_OPTION := $(if $(AUDIO),--audio "$(AUDIO)")
MODEL_OPTION := $(if $(MODEL),--model "$(MODEL)")
SEED_OPTION := $(if $(SEED),--seed "$(SEED)")
TRANSCRIPTS_OPTION := $(if $(TRANSCRIPTS),--transcripts "$(TRANSCRIPTS)")

.PHONY: install quickstart test fuzz test-legacy test-newest test-ecosystem lint clean

install: $(VENV)/.installed

# torch comes first: fairseq is compiled against it, and would fetch a second one for an isolated build
$(VENV)/.dependencies: setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11) and "error: Python 3.11 or newer is needed; $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -c constraints.txt pip setuptools wheel
	$(VENV)/bin/pip install -c constraints.txt torch numpy cython
	$(VENV)/bin/pip install -c constraints.txt --no-build-isolation fairseq-fixed
	$(VENV)/bin/pip install -c constraints.txt --no-build-isolation '.[demo,report,hf,onnx,lm,dev]' accelerate
	touch $@

# A copy, not a link: fairseq finds a user_dir that lies beside it from any folder
$(VENV)/.installed: $(VENV)/.dependencies $(PACKAGE)
	$(VENV)/bin/pip install --quiet --no-deps --no-build-isolation --force-reinstall .
	@rm -rf build fairseq_summarymixing.egg-info
	touch $@

quickstart: install
	$(VENV)/bin/python examples/quickstart/run.py --out "$(OUT)" $(AUDIO_OPTION) $(TRANSCRIPTS_OPTION) $(MODEL_OPTION) $(SEED_OPTION)

test: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_OPTIONS)

fuzz: install
	$(VENV)/bin/python tests/fuzz/campaign.py $(if $(SEED),--seed $(SEED)) $(if $(COUNT),--count $(COUNT)) $(if $(EVERY),--every)

test-legacy:
	@if $(PYTHON_LEGACY) -c '' 2>/dev/null; then $(MAKE) run-test-legacy; \
	else echo "skipped: no $(PYTHON_LEGACY) here; name one with make test-legacy PYTHON_LEGACY=..."; fi

.PHONY: run-test-legacy
run-test-legacy: $(LEGACY)/.installed
	$(LEGACY)/bin/python -m pytest $(PYTEST_OPTIONS)

# pip before 24.1 still reads omegaconf 2.0's metadata; fairseq 0.12.2's torch extensions lack their sources,
# so it is built in isolation, without torch in sight
$(LEGACY)/.dependencies: setup.py constraints-legacy.txt
	$(PYTHON_LEGACY) -m venv $(LEGACY)
	$(LEGACY)/bin/pip install 'pip<24.1' 'setuptools<60' wheel
	$(LEGACY)/bin/pip install -c constraints-legacy.txt torch numpy
	$(LEGACY)/bin/pip install -c constraints-legacy.txt '.[demo,report,dev]'
	touch $@

$(LEGACY)/.installed: $(LEGACY)/.dependencies $(PACKAGE)
	$(LEGACY)/bin/pip install --quiet --no-deps --force-reinstall .
	@rm -rf build fairseq_summarymixing.egg-info
	touch $@

# Every package that setup.py names, in its newest version, whatever setup.py's bounds are, in a new environment each time
NAMES := import re, importlib.metadata as metadata; \
	names = {re.match(r"[\w-]+", one)[0] for one in metadata.requires("fairseq-summarymixing")}; \
	print(*sorted(names - {"fairseq"}))

test-newest:
	rm -rf $(NEWEST)
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/pip install --upgrade pip setuptools wheel cython numpy torch
	$(NEWEST)/bin/pip install --no-deps --no-build-isolation .
	@rm -rf build fairseq_summarymixing.egg-info
	$(NEWEST)/bin/pip install --upgrade --no-build-isolation accelerate $$($(NEWEST)/bin/python -c '$(NAMES)')
	$(NEWEST)/bin/pip list
	$(NEWEST)/bin/python -m pytest $(PYTEST_OPTIONS)

# Each tool that reads exported directories, in an environment of its own; with a checkout of
# github.com/speechbrain/benchmarks, BENCHMARKS=DIR, also recipes of its MP3S
ECOSYSTEM := transformers4 speechbrain s3prl

test-ecosystem: install $(ECOSYSTEM:%=.venv-%/.installed)
	BENCHMARKS="$(abspath $(BENCHMARKS))" $(VENV)/bin/python -m pytest tests/ecosystem $(PYTEST_OPTIONS)

.venv-%/.installed: tests/ecosystem/requirements-%.txt $(PACKAGE)
	test -x .venv-$*/bin/python || $(PYTHON) -m venv .venv-$*
	.venv-$*/bin/pip install --quiet -r tests/ecosystem/requirements-$*.txt
	.venv-$*/bin/pip install --quiet --no-deps --force-reinstall .
	@rm -rf build fairseq_summarymixing.egg-info
	touch $@

lint: install
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

clean:
	rm -rf $(VENV) $(LEGACY) $(NEWEST) $(ECOSYSTEM:%=.venv-%) build *.egg-info .pytest_cache .ruff_cache
