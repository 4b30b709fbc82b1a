.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# whole files go to a worker, so that what they share is made once
WORKERS := -n auto --maxprocesses 4 --dist loadfile
# of the many entries of a table, those that CI runs among the slow tests
CONTRACT := $(patsubst %,'tests/contract/test_networks.py::test_network[%]',hrnet_w18-none \
  mobilenetv2-none mobilenetv3_small-deeplabv3plus mobilenetv3_large-none dpc-none \
  keras_mobilenetv2-deeplabv3plus aspp-deeplabv3plus \
  aspp-none aspp-lraspp dpc-deeplabv3plus dpc-lraspp lraspp-deeplabv3plus lraspp-none)
ATROUS := $(patsubst %,'tests/models/test_keras_applications.py::test_dilation_sees_what_strides_saw[%]', \
  densenet121 efficientnetb0 keras_mobilenetv2 resnet50v2 efficientnetv2b0 convnexttiny keras_xception)
COUNTS := 'tests/models/test_hrnet.py::test_it_is_timms[hrnet_w18-aligned]' tests/models/test_build.py
IMAGENET := 'tests/models/test_keras_applications.py::test_imagenet_weights[efficientnetb0]'

PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
# the programs that exported files are opened with, and easyseg without TensorFlow
CLIENTS := .venv-clients
RUNTIME := .venv-runtime
GL := libEGL.so.1 libGL.so.1 libGLESv2.so.2

help: ## show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# what is installed depends on these files alone
$(VENV)/.installed: setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "easyseg needs Python 3.11 to 3.13: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(VENV)/.installed ## install into .venv and segment two real images
	$(BIN)/easyseg demo

test: $(VENV)/.installed ## run the tests (a few minutes on 2 cores)
	$(BIN)/python -m pytest -m "not slow and not browser and not site" $(WORKERS)

test-browser: $(VENV)/.installed ## run the tests that need Chromium: the page, videos
	@command -v chromium >/dev/null || { echo "Chromium is missing: apt-get install chromium"; exit 1; }
	$(BIN)/python -m pytest -m browser tests/serve/test_page.py tests/io/test_video_files.py tests/export/test_web.py

test-golden: $(VENV)/.installed ## run the slow tests that CI runs too: parity, real weights, long runs
	$(BIN)/python -m pytest -m slow $(WORKERS) tests/golden tests/weights \
	  tests/export/test_export.py tests/inference/test_tiling.py \
	  tests/inference/test_scene.py tests/inference/test_video_pieces.py tests/models/test_custom_keras.py \
	  tests/utils/test_threads.py tests/models/test_kerashub.py tests/training/test_trainer.py tests/training/test_multi_worker.py \
	  tests/training/test_distribution.py tests/pixellib/test_scripts.py \
	  tests/serve/test_api_description.py tests/serve/test_command.py tests/serve/test_mcp.py tests/cli \
	  tests/project/test_migration.py \
	  $(CONTRACT) $(ATROUS) $(COUNTS) $(IMAGENET)

$(CLIENTS)/.installed: tests/clients/requirements.txt
	@missing() { for lib in $(GL); do ldconfig -p | grep -q "$$lib" || return 0; done; return 1; }; \
	if [ "$$(uname)" = Linux ] && missing; then \
	  [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && apt-get update -qq && \
	    apt-get install -qq -y libegl1 libgl1 libgles2 > /dev/null || true; \
	  ! missing || { echo "mediapipe needs $(GL): sudo apt-get install libegl1 libgl1 libgles2"; exit 1; }; \
	fi
	$(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/python $(PIP_INSTALL) -r $<
	$(CLIENTS)/bin/python $(PIP_INSTALL) --no-deps 'openvino-model-api>=0.4'
	@touch $@

test-export: $(VENV)/.installed $(CLIENTS)/.installed ## open exported files in other programs, and without TensorFlow
	rm -rf build $(RUNTIME)
	$(BIN)/python $(PIP_INSTALL) -e '.[dev,litert,openvino]'
	$(PYTHON) -m venv $(RUNTIME)
	$(RUNTIME)/bin/python $(PIP_INSTALL) $$(sed -n 's/^ARG PACKAGES="\(.*\)"/\1/p' docker/Dockerfile.runtime)
	$(RUNTIME)/bin/python $(PIP_INSTALL) --no-deps .
	$(BIN)/python -m pytest tests/export/test_export.py -m "not slow" -k "openvino or tflite"
	$(BIN)/python tools/export_for_clients.py build/exported
	EASYSEG_EXPORTED=$(CURDIR)/build/exported EASYSEG_RUNTIME=$(CURDIR)/$(RUNTIME)/bin/python \
	  $(CLIENTS)/bin/pytest tests/clients  # with python -m pytest, easyseg would be there

test-deploy: $(VENV)/.installed ## serve from what deploy/Dockerfile installs; read masks with the tools that they are for
	$(BIN)/python -m pytest -m slow tests/deploy tests/results/test_annotation_tools.py

test-scale: $(VENV)/.installed ## run images on Ray clusters of this computer, from an S3 server, and the recipes for other programs
	$(BIN)/python $(PIP_INSTALL) -e '.[dev,ray]' 'moto[server]' boto3 dask
	$(BIN)/python -m pytest tests/distributed tests/io/test_find_images.py  # with Parquet lists

test-all: $(VENV)/.installed ## run the slow tests too
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,jax]'
	$(BIN)/python -m pytest $(WORKERS)

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python $(PIP_INSTALL) -e '.[dev,docs]'
	@touch $@

docs: $(VENV)/.docs ## build the documentation into build/site, without a network, and check it
	$(BIN)/python -m sphinx -q -W --keep-going -d build/doctrees docs build/site
	$(BIN)/python -m pytest -m site tests/site
	@echo "open build/site/index.html"

fuzz: $(VENV)/.installed ## feed generated files to all readers, EASYSEG_FUZZ_EXAMPLES (7000) for each file of tests
	$(BIN)/python -m pytest -m slow -n auto --maxprocesses 4 tests/fuzz

coverage: $(VENV)/.installed ## run the tests and show the line coverage of easyseg/ (at least 90 %)
	$(BIN)/python -m pytest -m "not slow and not browser and not site" $(WORKERS) --cov --cov-report=term:skip-covered --cov-report=html

check: $(VENV)/.installed ## format, lint and type checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.installed ## run the benchmarks; results go to benchmarks/results/
	for script in benchmarks/[a-z]*.py; do $(BIN)/python "$$script"; done

clean: ## remove .venv and everything that was built
	rm -rf docs/api docs/gallery docs/reference/generated docs/tutorials/notebooks.rst
	rm -rf $(VENV) $(CLIENTS) $(RUNTIME) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage* htmlcov

.PHONY: help demo test test-browser test-golden test-export test-deploy test-scale test-all docs fuzz coverage check bench clean
