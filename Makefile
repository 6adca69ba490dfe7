# Every recipe needs only python3 (3.11 or newer); the first one installs the rest into .venv and .cache.

PYTHON ?= python3
PORT ?= 8400
LOG ?= local
WORKERS ?= 2
RUN := .venv/bin/python
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help install run demo import kafka reset test check fix chaos mutants bench soak lock

help: ## Show this menu
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: ## Install or update what the project needs (the other targets do it by themselves)
	@$(PYTHON) deploy/local/install.py

run: install ## Run the whole system on one port [PORT=8400] [LOG=local|kafka]
	@PORT=$(PORT) LOG=$(LOG) exec $(RUN) -m deploy.local.run

demo: install ## Play a story on the running system and show the leaderboard
	@exec $(RUN) -m deploy.local.demo

import: install ## Load real data into the running system: DUMP=<Stack Exchange folder> or CDNOW=<file> [COMMUNITY=<name>]
	@DUMP="$(DUMP)" CDNOW="$(CDNOW)" COMMUNITY="$(COMMUNITY)" exec $(RUN) -m deploy.local.importer

kafka: install ## Run Apache Kafka on loopback, for `make run LOG=kafka` [KAFKA_PORT=9092]
	@exec $(RUN) -m deploy.local.kafka

reset: install ## Remove all local data
	@exec $(RUN) -m deploy.local.reset

test: check ## Run everything that CI runs [WORKERS=2]
	@$(RUN) -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder </dev/null

check: install ## Check style, types and who may import whom
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@PYTHONPATH=. .venv/bin/lint-imports --no-cache

fix: install ## Repair style where a tool can
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

chaos: install ## Break the running system at random, and check what came of it [SECONDS=600] [SEED=n] [LOG=both|local|kafka]
	@SECONDS=$(or $(SECONDS),600) SEED="$(SEED)" LOG=$(if $(filter file,$(origin LOG)),both,$(LOG)) exec $(RUN) -m tests.chaos

mutants: install ## Break each promise once and see the tests fail [ONLY="name …"]
	@exec $(RUN) -m tests.mutants.run $(ONLY)

bench: install ## Measure speed and memory
	@exec $(RUN) -m tests.bench

soak: install ## Watch everything that could grow, under load for MINUTES [MINUTES=30] [LOG=kafka|local]
	@exec $(RUN) -m tests.soak --minutes $(or $(MINUTES),30) --log $(if $(filter command,$(origin LOG)),$(LOG),kafka)

lock: install ## Pin all dependencies anew after a change of pyproject.toml [UPGRADE=1]
	@UV_CACHE_DIR=.cache/uv .venv/bin/uv pip compile pyproject.toml --group dev --output-file requirements.lock --quiet \
		--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header $(if $(UPGRADE),--upgrade)
	@UV_CACHE_DIR=.cache/uv .venv/bin/uv pip compile pyproject.toml --constraint requirements.lock --quiet \
		--output-file deploy/image/requirements.lock --python-platform linux --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate
	@$(PYTHON) deploy/local/install.py
