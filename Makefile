# Two commands do everything on a fresh Debian 12 with Swift 6.3: `make run` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BUILD := .build/release
# One configuration for all: the guest executables must be fast under emulation, and two configurations would be two
# builds of every dependency. Testable, because `swift test` would otherwise build everything again to make it so.
SWIFT_BUILD := swift build -c release -Xswiftc -enable-testing --explicit-target-dependency-import-check error
WORKLOADS := .build/workloads

# The decoder is for the lab; the others build, unpack and check disk images. QEMU itself comes with `crlab images`.
PACKAGES := libzydis-dev libsqlite3-dev gcc musl-tools make apt dpkg xz-utils zstd lz4 gzip e2fsprogs kmod \
    debian-archive-keyring python3-jsonschema libxml2-utils

# Compilers for two of the applications; each says so where its own was missing.
APPLICATION_PACKAGES := golang-go default-jre-headless

# One test runs shards on a Slurm of its own, two nodes on this machine.
TEST_PACKAGES := slurmctld slurmd slurm-client munge

.PHONY: help man setup build workloads images run kernels applications test bench soak fuzz check format clean

help:
	@echo 'make run      build, prepare disk images, run Scenarios/quickstart.yaml, print where the report is'
	@echo 'make kernels  the same for Scenarios/kernels.yaml'
	@echo 'make applications  the same for Scenarios/applications.yaml: every kernel object, servers, a tmux, kernels'
	@echo 'make test     all tests: pure, engine (root), guest (QEMU)'
	@echo 'make bench    benchmarks, to Benchmarks/results/latest.json'
	@echo 'make soak     dumps and restores with faults, over every workload (root): ROUNDS=2000 SEED=1 FIRST=0 ONLY= FAULT='
	@echo 'make man      the manual page of crengine, to .build/release/crengine.8'
	@echo 'make check    format, architecture, warnings'

setup:
	@missing=$$({ dpkg-query -W -f='$${db:Status-Abbrev} $${Package}\n' $(PACKAGES) 2>&1 || true; } | \
	    sed -n -e 's/^dpkg-query: no packages found matching //p' -e '/^ii/d' -e 's/^[a-z][a-z]. //p'); \
	if [ -n "$$missing" ]; then \
	    echo "installing: "$$missing; \
	    sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	    $$sudo apt-get -q update >/dev/null; \
	    DEBIAN_FRONTEND=noninteractive $$sudo apt-get -q -y install --no-install-recommends $$missing >/dev/null; \
	fi

build: setup
	@echo 'building crlab, crlab-agent, crengine'
	@$(SWIFT_BUILD) --product crlab-agent
	@$(SWIFT_BUILD) --product crengine
	@$(SWIFT_BUILD) --product crlab

workloads: setup
	@$(MAKE) --no-print-directory -s -C Sources/Workloads OUT=$(CURDIR)/$(WORKLOADS)

images: build workloads
	@$(BUILD)/crlab images build
	@$(BUILD)/crlab images build --runtime criu-4.1 --runtime runsc-2024

# TCG also where KVM works: under KVM a CPU model hides features from CPUID, yet the processor still executes them, so
# that code chosen on a better host would go on running.
run: build workloads
	@$(BUILD)/crlab run Scenarios/quickstart.yaml --accelerator tcg

kernels: build workloads
	@$(BUILD)/crlab run Scenarios/kernels.yaml --accelerator tcg

applications: PACKAGES += $(APPLICATION_PACKAGES)
applications: build workloads
	@$(BUILD)/crlab run Scenarios/applications.yaml --accelerator tcg

test: PACKAGES += $(TEST_PACKAGES)
test: build workloads
	@Tests/run

man: build
	@$(BUILD)/crengine manual > $(BUILD)/crengine.8
	@echo '$(BUILD)/crengine.8'

bench: build workloads
	@Benchmarks/run

# A failure says with which of these its round comes again.
ROUNDS := 2000
SEED := 1
FIRST := 0
ONLY :=
FAULT :=

soak: build workloads
	@Tests/Soak/soak --engine $(BUILD)/crengine --workloads $(WORKLOADS) --rounds $(ROUNDS) --seed $(SEED) \
	    --first $(FIRST) --only '$(ONLY)' $(if $(FAULT),--fault $(FAULT))

fuzz: setup
	@Tests/Fuzz/run

check:
	@Tests/check

format:
	@swift format --in-place --recursive --parallel Package.swift Sources Tests

clean:
	@rm -rf .build
