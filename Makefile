# `make` prints what there is to do.
SHELL := /bin/sh
.DEFAULT_GOAL := help
RUN := .venv/bin/
ROOMS := protocols hardware host_bridge server firmware
SUITE ?= bookworm

help: ## print this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | awk -F'\t' '{ printf "  make %-16s %s\n", $$1, $$2 }'

demo: ## set up, then play a morning at three counters (ARGS='--once --json' for one unattended run)
	@.ci/setup demo
	@$(RUN)ssc demo $(ARGS)

test: ## set up, then lint, types, gen-check and every test
	@.ci/setup test
	@$(MAKE) --no-print-directory lint types gen-check pytest

lint: ## check style
	$(RUN)ruff check .
	$(RUN)ruff format --check .

format: ## put the code into the house style
	$(RUN)ruff check --fix .
	$(RUN)ruff format .

types: ## check types
	$(RUN)mypy

pytest: ## run the tests (ARGS='-k journal')
	$(RUN)pytest -n auto --dist loadfile $(ARGS)

coverage: ## run the tests and show the lines they never reach; takes twice as long
	$(RUN)pytest -n auto --dist loadfile --cov --cov-report term-missing $(ARGS)

gen: ## write everything that is derived from data
	$(RUN)python -m protocols.events.asyncapi > docs/asyncapi.json
	$(RUN)python -m protocols.texts.page > docs/texts.md
	$(RUN)python -m protocols.sscard.page > docs/card-files.md
	$(RUN)python -m hardware.virtual.faults_page > docs/card-faults.md
	$(RUN)python -m hardware.virtual.people_page > docs/gallery.md
	$(RUN)python -m host_bridge.conformance.reader.page > docs/reader-conformance.md
	$(RUN)python -m hardware.pinmap_files

gen-check: ## fail where a derived file has drifted
	$(RUN)python -m protocols.events.asyncapi | diff -u docs/asyncapi.json -
	$(RUN)python -m protocols.texts.page | diff -u docs/texts.md -
	$(RUN)python -m protocols.sscard.page | diff -u docs/card-files.md -
	$(RUN)python -m hardware.virtual.faults_page | diff -u docs/card-faults.md -
	$(RUN)python -m hardware.virtual.people_page | diff -u docs/gallery.md -
	$(RUN)python -m host_bridge.conformance.reader.page | diff -u docs/reader-conformance.md -
	$(RUN)python -m hardware.pinmap_files --check

rigs: ## climb the ladder, JUnit in var/rigs.xml (ARGS='--rig usb --device SERIAL [--relay PORT]')
	$(RUN)python -m pytest --junitxml var/rigs.xml tests/rigs $(wildcard tests/firmware/pio) $(ARGS)

micropython: ## build MicroPython for a Pico from Debian's packages (BOARD=RPI_PICO or RPI_PICO2; as root)
	@.ci/micropython $(or $(BOARD),RPI_PICO)

firmware: ## one UF2 of MicroPython and the firmware (BOARD=pico BASE=FILE.uf2 SHA256=…)
	$(RUN)python -m hardware.firmware_image --board $(or $(BOARD),pico) --base "$(BASE)" --sha256 "$(SHA256)" $(ARGS)

soak: ## kill terminal, broker and centre under load (ARGS='--kills 200 --settlements 2000 --seed 1 --json')
	$(RUN)python -m tests.chaos.soak $(ARGS)

soak-long: ## the same with 1,000 kills over 10,000 settlements
	$(RUN)python -m tests.chaos.soak --kills 1000 --settlements 10000 $(ARGS)

powercut: ## cut the power at every boundary of what terminal and centre write (ARGS='--every 20 --json' for a part)
	$(RUN)python -m tests.chaos.powercut $(ARGS)

mutants: ## break a rule at a time in a copy of the tree; the suite must notice (ARGS='--only NAME --json')
	$(RUN)python -m tests.chaos.mutants $(ARGS)

fuzz: ## throw bytes at everything that reads a card, and cut every write of a virtual one (ARGS='--minutes 60 --json')
	$(RUN)python -m tests.fuzz.run $(ARGS)

bench-journal: ## measure the terminal's commit, its backlog, and recovery after kill -9
	$(RUN)python -m tests.bench.journal $(ARGS)

bench-reader: ## measure the firmware per APDU, its PIO timing, drivers against the bare pty, recovery (ARGS=--json)
	$(RUN)python -m tests.bench.reader $(ARGS)

bench-card: ## count APDUs and line time of reading a card, against record by record (ARGS=--json)
	$(RUN)python -m tests.bench.card $(ARGS)

pictures: ## take the README's pictures from a running site
	$(RUN)python -m tests.system.pictures

hardware: ## check the reader's circuits by SKiDL's rules, and draw circuits and cables into docs/hardware
	@.ci/setup test
	@.ci/setup hardware
	$(RUN)python -m hardware.circuit_rules
	$(RUN)pytest -q -n0 tests/hardware/damaged_circuits.py
	$(RUN)python -m hardware.drawing pico | dot -Tsvg > docs/hardware/circuit-pico.svg
	$(RUN)python -m hardware.drawing pico_front_end | dot -Tsvg > docs/hardware/circuit-pico_front_end.svg
	$(RUN)wireviz --format s --output-dir docs/hardware hardware/harness.yml

lock: ## pin the requirements anew
	.ci/lock

newcomer: ## run the README's two commands in a fresh Debian root (SUITE=bookworm or trixie; as root)
	@.ci/newcomer $(SUITE)

clean: ## remove what was set up and what was recorded
	rm -rf .venv var .mypy_cache .ruff_cache .pytest_cache

.PHONY: help demo test lint format types pytest coverage gen gen-check rigs micropython firmware soak soak-long mutants powercut fuzz bench-journal bench-reader bench-card pictures hardware lock newcomer clean
