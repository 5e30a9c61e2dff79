# The commands of the README. Everything real is in CMakeLists.txt.
#
#   make run      install what is needed, build, serve
#   make test     install what is needed, build, run every test, also under sanitizers
#   make bench    print the benchmarks
#   make soak     crashes and power failures in earnest: FAULTS=500
#   make fuzz     every fuzzer for FUZZ_SECONDS=300
#   make docs     the reference and the tutorial as HTML: build/docs/html/index.html
#   make build    build only; the program is build/server/twinchat-server
#   make install  install the library, static and shared, and the server below PREFIX
#   make deb      build the Debian packages in build-deb

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:

BUILD  ?= build
PREFIX ?= /usr/local
JOBS   ?= $(shell nproc)
FAULTS ?= 500
FUZZ_SECONDS ?= 300
# The interpreter that the packages are for; another may come first on the PATH.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)

# Debian 12 packages, by the command or file that tells whether they are there. Node.js, which builds
# the admin's page, may have come from elsewhere.
RUN_PACKAGES  := g++ cmake ninja-build pkg-config libcpp-httplib-dev nlohmann-json3-dev \
                 libsqlitecpp-dev libsqlite3-dev libpq-dev libcurl4-openssl-dev libssl-dev libfmt-dev \
                 libcli11-dev libspdlog-dev prometheus-cpp-dev \
                 $(if $(shell command -v npm),,nodejs npm)
PYTHON_PACKAGES := python3-dev pybind11-dev
DEB_PACKAGES  := build-essential debhelper dh-python dpkg-dev fakeroot lintian
DOCS_PACKAGES := doxygen python3
TEST_PACKAGES := catch2 chromium curl fonts-lohit-deva python3-django python3-psycopg2 postgresql pgbouncer haproxy openssl clang libclang-rt-14-dev nghttp2-proxy \
                 libedit-dev python3-pytest python3-mypy $(DOCS_PACKAGES) $(PYTHON_PACKAGES) \
                 $(DEB_PACKAGES)
BENCH_PACKAGES := wrk python3

CMAKE_FLAGS := -G Ninja -DCMAKE_EXPORT_COMPILE_COMMANDS=ON $(if $(shell command -v ccache),-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
OWN_FLAGS   := -DTWINCHAT_WERROR=ON
PYTHON_FLAGS := -DTWINCHAT_BUILD_PYTHON=ON -DPython_EXECUTABLE=$(PYTHON)

.PHONY: run build install deb test test-sanitized test-threads bench soak fuzz docs deps test-deps bench-deps clean

run: deps
	cmake -S . -B $(BUILD) $(CMAKE_FLAGS) -DTWINCHAT_BUILD_TESTS=OFF -DTWINCHAT_BUILD_EXAMPLES=OFF
	cmake --build $(BUILD) -j $(JOBS)
	# On a machine without settings this is a try-out: DEBUG allows it to do without keys.
	if [ ! -e .env ]; then export DEBUG="$${DEBUG-True}"; fi
	exec $(BUILD)/server/twinchat-server serve $(ARGS)

build:
	cmake -S . -B $(BUILD) $(CMAKE_FLAGS) -DTWINCHAT_BUILD_TESTS=OFF
	cmake --build $(BUILD) -j $(JOBS)

install:
	cmake -S . -B $(BUILD) $(CMAKE_FLAGS) -DTWINCHAT_BUILD_TESTS=OFF -DTWINCHAT_BUILD_BOTH=ON
	cmake --build $(BUILD) -j $(JOBS)
	cmake --install $(BUILD) --prefix $(PREFIX)

deb: deps
	$(call need,$(DEB_PACKAGES) $(PYTHON_PACKAGES))
	cmake/debian/build $(BUILD)-deb $(RUN_PACKAGES) $(PYTHON_PACKAGES)

test: test-deps
	cmake -S . -B $(BUILD) $(CMAKE_FLAGS) $(OWN_FLAGS) -DTWINCHAT_BUILD_TESTS=ON \
	  -DTWINCHAT_BUILD_EXAMPLES=ON -DTWINCHAT_BUILD_BOTH=ON $(PYTHON_FLAGS)
	cmake --build $(BUILD) -j $(JOBS)
	ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS)
	$(MAKE) test-sanitized

# The same tests with every access and every overflow watched, and the other compiler heard. What
# watches programs of others (npm's client) or the tests' own tools is left to the run before, and so
# is the server's second run over PostgreSQL, whose store the contract's tests watch.
test-sanitized: test-deps
	cmake -S . -B $(BUILD)-asan $(CMAKE_FLAGS) $(OWN_FLAGS) -DTWINCHAT_BUILD_TESTS=ON \
	  -DTWINCHAT_BUILD_EXAMPLES=OFF -DTWINCHAT_BUILD_FUZZERS=ON \
	  -DTWINCHAT_WEB=OFF -DTWINCHAT_SANITIZE=address,undefined \
	  -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-O0 -g1"
	cmake --build $(BUILD)-asan -j $(JOBS)
	ctest --test-dir $(BUILD)-asan --output-on-failure -j $(JOBS) -LE 'browser|conformance|support|readme|postgres'

# Data races, on request: another whole build.
test-threads: test-deps
	cmake -S . -B $(BUILD)-tsan $(CMAKE_FLAGS) $(OWN_FLAGS) -DTWINCHAT_BUILD_TESTS=ON \
	  -DTWINCHAT_BUILD_EXAMPLES=OFF -DTWINCHAT_WEB=OFF -DTWINCHAT_SANITIZE=thread \
	  -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g1"
	cmake --build $(BUILD)-tsan -j $(JOBS)
	rm -f $(BUILD)-tsan/race.*
	export TSAN_OPTIONS="suppressions=$(CURDIR)/tests/tsan.supp log_path=$(abspath $(BUILD))-tsan/race"
	ctest --test-dir $(BUILD)-tsan --output-on-failure -LE 'browser|conformance|support|readme'
	# Also of programs that a test had started and whose end it did not look at.
	if ls $(BUILD)-tsan/race.* 2>/dev/null; then cat $(BUILD)-tsan/race.*; exit 1; fi

bench: bench-deps
	cmake -S . -B $(BUILD) $(CMAKE_FLAGS) -DTWINCHAT_BUILD_TESTS=ON -DTWINCHAT_BUILD_BOTH=ON \
	  $(PYTHON_FLAGS)
	cmake --build $(BUILD) -j $(JOBS) --target twinchat-server gemini-standin gemini-bench http-load \
	  admin-bench postgres_fixture twinchat_other twinchat_c twinchat_python send-bench-cpp send-bench-c
	python3 tests/benchmarks/server_bench.py $(BUILD) $(ARGS)
	python3 tests/benchmarks/scale_bench.py $(BUILD) $(ARGS)
	folder=$$(mktemp -d)
	trap 'rm -rf "$$folder"' EXIT
	DATABASE_URL="sqlite:///$$folder/admin.db" $(BUILD)/server/twinchat-server migrate
	python3 tests/benchmarks/fill_database.py "$$folder/admin.db"
	# The server ends with this shell.
	$(BUILD)/tests/support/postgres_fixture start "$$folder/postgres"
	read -r postgres _ < "$$folder/postgres"
	psql -q -d "$$postgres" -c 'CREATE DATABASE bench'
	postgres="$${postgres%/*}/bench"
	DATABASE_URL="$$postgres" $(BUILD)/server/twinchat-server migrate
	python3 tests/benchmarks/fill_postgres.py "$$postgres"
	$(BUILD)/tests/benchmarks/admin-bench "$$folder/admin.db" "$$postgres"
	$(BUILD)/tests/support/postgres_fixture stop "$$folder/postgres"
	# Google's client is measured too, where npm can install it.
	ctest --test-dir $(BUILD) -R conformance_install --quiet || true
	$(BUILD)/tests/benchmarks/gemini-bench $(if $(ARGS),--seconds $(ARGS)) \
	  --script tests/benchmarks/genai_bench.mjs --modules $(abspath $(BUILD))/tests/conformance \
	  $(if $(shell command -v node),--node node)
	python3 tests/benchmarks/bindings_bench.py $(BUILD)
	# The widget is measured in Chromium, where npm can install what drives it.
	if ctest --test-dir $(BUILD) -R browser_install --quiet; then
	  TWINCHAT_SERVER=$(abspath $(BUILD))/server/twinchat-server \
	  GEMINI_STANDIN=$(abspath $(BUILD))/tests/support/gemini_standin/gemini-standin \
	  CHROMIUM=$$(command -v chromium) node $(BUILD)/tests/browser/bench.mjs
	fi

# What `make test` does in a few rounds: kill -9 under load, a tenth as often as the power fails.
soak: test-deps
	cmake -S . -B $(BUILD) $(CMAKE_FLAGS) -DTWINCHAT_BUILD_TESTS=ON
	cmake --build $(BUILD) -j $(JOBS) --target contract_tests integration_tests
	TWINCHAT_POWER_FAILURES=$(FAULTS) $(BUILD)/tests/contract/contract_tests '*power failure*'
	TWINCHAT_KILL_ROUNDS=$$(($(FAULTS) / 10 + 10)) $(BUILD)/tests/integration/integration_tests \
	  'Round after round of kill -9*'

fuzz: test-deps
	cmake -S . -B $(BUILD)-asan $(CMAKE_FLAGS) $(OWN_FLAGS) -DTWINCHAT_BUILD_TESTS=ON \
	  -DTWINCHAT_BUILD_EXAMPLES=OFF -DTWINCHAT_BUILD_FUZZERS=ON \
	  -DTWINCHAT_SANITIZE=address,undefined -DTWINCHAT_FUZZ_SECONDS=$(FUZZ_SECONDS) \
	  -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-O0 -g1"
	cmake --build $(BUILD)-asan -j $(JOBS) --target fuzz

docs: deps
	$(call need,$(DOCS_PACKAGES))
	cmake -S . -B $(BUILD) $(CMAKE_FLAGS) -DTWINCHAT_BUILD_TESTS=OFF
	cmake --build $(BUILD) -j $(JOBS) --target docs

# $(call need,<packages>): installs those that are missing, and touches nothing when none is.
define need
	missing=$$(for p in $(1); do dpkg-query -W -f='$${Status}\n' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done)
	if [ -n "$$missing" ]; then
	  sudo=$$([ "$$(id -u)" = 0 ] || echo sudo)
	  $$sudo apt-get update -qq
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing
	fi
endef

deps:
	$(call need,$(RUN_PACKAGES))

test-deps: deps
	$(call need,$(TEST_PACKAGES))

bench-deps: test-deps
	$(call need,$(BENCH_PACKAGES))

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-deb
