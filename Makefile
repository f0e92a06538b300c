# The one entry point for people and CI. Every target is a line over `cargo xtask`.
SHELL := /bin/bash
export LOTOAI_CACHE ?= $(HOME)/.cache/lotoai
export CARGO_TARGET_DIR ?= $(LOTOAI_CACHE)/target
# The languages of `make help` are in this file, of everything else in text.rs.
SPANISH := $(filter es% ES%,$(firstword $(LOTOAI_LANG) $(LC_ALL) $(LC_MESSAGES) $(LANG)))
# With `--workspace` cargo chooses the same features as for the whole build, and compiles nothing twice.
XTASK := cargo build --quiet --locked --workspace --bin xtask && exec $(CARGO_TARGET_DIR)/debug/xtask

.DEFAULT_GOAL := help
.PHONY: help tool up down ask status test lint fmt generate images e2e soak bench bench-operator bench-gateway fuzz

help: ## Show this list ## Muestra esta lista
	@awk -F ' ## ' '/^[a-z0-9-]+:.* ## / { sub(/:.*/, "", $$1); printf "%-16s%s\n", $$1, $(if $(SPANISH),$$3,$$2) }' $(MAKEFILE_LIST)

tool:
	@test -x $(CARGO_TARGET_DIR)/debug/xtask || echo "▸ tool: $(if $(SPANISH),compila la herramienta de desarrollo (cargo; unos minutos la primera vez),compiles the developer tool (cargo; a few minutes the first time))"
	@# What was built knows its checkout, and cargo does not notice that this is another one.
	@if [ -d $(CARGO_TARGET_DIR)/debug ] && [ "$$(cat $(CARGO_TARGET_DIR)/checkout 2>/dev/null)" != '$(CURDIR)' ]; then cargo clean --quiet --locked --workspace; fi
	@mkdir -p $(CARGO_TARGET_DIR) && echo '$(CURDIR)' > $(CARGO_TARGET_DIR)/checkout

up down ask status test lint generate images e2e soak bench bench-operator bench-gateway fuzz: tool

up: ## Set up, build, deploy, wait until Ready, ask the sample questions ## Prepara, compila, despliega, espera a Ready y hace las preguntas de ejemplo
	@$(XTASK) up

down: ## Remove everything that `make up` made on this machine (DATA=keep keeps the data) ## Elimina todo lo que `make up` creó en esta máquina (DATA=keep conserva los datos)
	@$(XTASK) down $(if $(filter keep,$(DATA)),--keep-data)

ask: ## Ask a question: make ask Q="How do I rotate a credential?" [MODEL=lotoai] ## Hace una pregunta: make ask Q="¿Cómo roto una credencial?" [MODEL=lotoai]
	@$(XTASK) ask --model "$(or $(MODEL),lotoai)" -- "$$Q"

status: ## Show the platform, its components and their memory ## Muestra la plataforma, sus componentes y su memoria
	@$(XTASK) status

test: ## Everything that CI runs: quick lints, pure tests, a real API server, the whole platform end to end ## Todo lo que ejecuta CI: comprobaciones rápidas, pruebas puras, una API real, la plataforma completa
	@$(XTASK) test

lint: ## Formatting, clippy, licences, generated files, repository rules ## Formato, clippy, licencias, ficheros generados, reglas del repositorio
	@$(XTASK) lint

fmt: ## Format the code ## Da formato al código
	@cargo fmt --all

generate: ## Regenerate crds/ and the chart's CRD and RBAC ## Regenera crds/, y la CRD y el RBAC del chart
	@$(XTASK) generate

images: ## Build the images of this checkout into the cache ## Construye en la caché las imágenes de este repositorio
	@$(XTASK) images

bench: ## Figures of this machine (after `make up` or `make images`) ## Cifras de esta máquina (después de `make up` o `make images`)
	@$(XTASK) bench

bench-operator: ## Speed and memory of the operator with 1,000 resources: [RESOURCES=1000] [JSON=file] ## Velocidad y memoria del operador con 1000 recursos: [RESOURCES=1000] [JSON=fichero]
	@$(XTASK) bench-operator $(if $(RESOURCES),--resources $(RESOURCES)) $(if $(JSON),--json $(JSON))

bench-gateway: ## Speed and memory of the gateway beside others, and the table of docs/performance.md: [ROUNDS=5] [JSON=file] ## Velocidad y memoria de la pasarela junto a otras, y la tabla de docs/performance.md: [ROUNDS=5] [JSON=fichero]
	@$(XTASK) bench-gateway $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(JSON),--json $(JSON))

fuzz: ## Search inputs that break a parser of requests: [TARGET=chat_body] [SECONDS=600 for each] ## Busca entradas que rompan un analizador de peticiones: [TARGET=chat_body] [SECONDS=600 cada uno]
	@$(XTASK) fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(TARGET)

e2e: ## Only the end-to-end level, on its own cluster ## Solo el nivel de extremo a extremo, en su propio clúster
	@$(XTASK) e2e

soak: ## In full what `make test` samples: the gateway stopped and killed, the operator killed at its writes, a cluster's start cut off at each stage, servers of clusters lost, and pods that come with the load ## Completo lo que `make test` muestrea: la pasarela detenida y matada, el operador matado en sus escrituras, el arranque de un clúster cortado en cada etapa, servidores de clústeres perdidos y pods que llegan con la carga
	@$(XTASK) soak
