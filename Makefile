# The one entry point for people and CI. Every target is a line over `cargo xtask`.
SHELL := /bin/bash
export LOTOAI_CACHE ?= $(HOME)/.cache/lotoai
export CARGO_TARGET_DIR ?= $(LOTOAI_CACHE)/target
# With `--workspace` cargo chooses the same features as for the whole build, and compiles nothing twice.
XTASK := cargo build --quiet --locked --workspace --bin xtask && exec $(CARGO_TARGET_DIR)/debug/xtask

.DEFAULT_GOAL := help
.PHONY: help tool up down ask status test lint fmt generate images e2e bench bench-operator

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

tool:
	@test -x $(CARGO_TARGET_DIR)/debug/xtask || echo "▸ tool: compiles the developer tool (cargo; a few minutes the first time)"

up down ask status test lint generate images e2e bench bench-operator: tool

up: ## Set up, build, deploy, wait until Ready, ask the sample questions
	@$(XTASK) up

down: ## Remove everything that `make up` made on this machine (DATA=keep keeps the data)
	@$(XTASK) down $(if $(filter keep,$(DATA)),--keep-data)

ask: ## Ask a question: make ask Q="How do I rotate a credential?" [MODEL=lotoai]
	@$(XTASK) ask --model "$(or $(MODEL),lotoai)" -- "$$Q"

status: ## Show the platform, its components and their memory
	@$(XTASK) status

test: ## Everything that CI runs: quick lints, pure tests, a real API server, the whole platform end to end
	@$(XTASK) test

lint: ## Formatting, clippy, licences, generated files, repository rules
	@$(XTASK) lint

fmt: ## Format the code
	@cargo fmt --all

generate: ## Regenerate crds/ and the chart's CRD and RBAC
	@$(XTASK) generate

images: ## Build the images of this checkout into the cache
	@$(XTASK) images

bench: ## Figures of this machine (after `make up` or `make images`)
	@$(XTASK) bench

bench-operator: ## Speed and memory of the operator with 1,000 resources: [RESOURCES=1000] [JSON=file]
	@$(XTASK) bench-operator $(if $(RESOURCES),--resources $(RESOURCES)) $(if $(JSON),--json $(JSON))

e2e: ## Only the end-to-end level, on its own cluster
	@$(XTASK) e2e
