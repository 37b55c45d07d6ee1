# A thin face over CMake presets (CMakePresets.json). The first `make` installs what is missing.
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
export PQ_JOBS = $(JOBS)

.DEFAULT_GOAL := release
.PHONY: release demo test test-long bench install fuzz tsan clean help

release:                ## the command, optimised: build/parquedb
	@tools/setup.sh build
	@mkdir -p build
	@cmake --preset release >build/release-configure.log || { cat build/release-configure.log; exit 1; }
	@cmake --build --preset release -j$(JOBS)
	@if [ -x build/release/parquedb ]; then ln -sf release/parquedb build/parquedb; fi

demo: release           ## events to views to Parquet, on sample data
	@tools/setup.sh demo
	@bash examples/demo.sh

test:                   ## every test, ends with "N passed, N failed"
	@tools/setup.sh test
	@tools/test.sh $(if $(filter true,$(CI)),--fuzz)

test-long:              ## every test, each fault, flip and crash, law and fuzzers for minutes
	@tools/setup.sh test
	@PQ_LAW_SECONDS=$${PQ_LAW_SECONDS:-900} PQ_FUZZ_SECONDS=$${PQ_FUZZ_SECONDS:-60} \
	    PQ_FLIPS=$${PQ_FLIPS:-250} PQ_KILLS=$${PQ_KILLS:-500} PQ_TEST_STRIDE=1 \
	    PQ_TEST_TIMEOUT=14400 \
	    tools/test.sh --fuzz

bench: release          ## figures beside other databases
	@tools/setup.sh bench
	@bash bench/run.sh

install: release        ## into PREFIX (/usr/local), DESTDIR is honoured
	@cmake --preset release -DCMAKE_INSTALL_PREFIX=$(PREFIX) >/dev/null
	@cmake --install build/release

fuzz:                   ## every fuzz target for PQ_FUZZ_SECONDS
	@tools/setup.sh test
	@tools/fuzz.sh

tsan:                   ## every C test under ThreadSanitizer
	@tools/setup.sh test
	@cmake --preset tsan >/dev/null
	@cmake --build --preset tsan -j$(JOBS)
	@ctest --preset tsan -j$(JOBS) -E '^(interop|tidy)/'

clean:                  ## removes build/; .deps stays
	@rm -rf build

help:                   ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18
