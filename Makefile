# Two commands matter: `make run` starts the assistant, `make test` passes the tests.
SHELL := /bin/sh
export UV_SYSTEM_CERTS ?= 1
UV = $$(cat build/uv)
PY = .venv/bin/python
PYTEST = $(PY) -m pytest

.PHONY: help
help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: bootstrap
bootstrap: ## bring uv and the locked packages to this machine
	@.ci/bootstrap

.PHONY: run
run: bootstrap ## set everything up and start the assistant in one process
	@exec .venv/bin/ensemble up --tier "$${NODE_ROLE:-standalone}" --prompt

.PHONY: run-distributed
run-distributed: bootstrap ## the same as seven processes; a dead one is restarted
	@exec .venv/bin/ensemble up --distributed --prompt

.PHONY: test
test: bootstrap-test ## set up and pass all tests but those of the cluster; print the coverage
	@rm -f .coverage .coverage.*
	@$(MAKE) --no-print-directory test-unit test-contract test-integration COVER="-m coverage run"
	@$(PY) -m coverage combine -q && $(PY) -m coverage report

.PHONY: bootstrap-test
bootstrap-test:
	@.ci/bootstrap --group fixtures --group llama-server

COVER =
.PHONY: test-unit
test-unit: ## only the tests of one unit each
	$(PY) $(COVER) -m pytest -q -m unit

.PHONY: test-contract
test-contract: ## only the contract suites: every transport, every adapter
	$(PY) $(COVER) -m pytest -q -m contract

.PHONY: test-integration
test-integration: ## only the tests of all services together
	$(PY) $(COVER) -m pytest -q -m integration tests

.PHONY: bench
bench: bootstrap-bench ## run the benchmarks, print a table, write build/bench/*.json
	@$(PY) -m tests.bench

.PHONY: bootstrap-bench
bootstrap-bench:
	@.ci/bootstrap --group fixtures --group llama-server --group bench

.PHONY: gen
gen: bootstrap-gen ## generate code from the protos (needs Node and Go)
	@$(PY) libs/protos/gen/generate.py

.PHONY: bootstrap-gen
bootstrap-gen:
	@.ci/bootstrap --group lint --group fixtures --group llama-server

TYPED = $(foreach unit,audio client core eventlog gateway launcher model_router orchestrator runtime stt tool_server transport tts world_model,-p ensemble.$(unit))
.PHONY: check
check: bootstrap-gen ## lint, format, types, boundaries, fresh and compatible contract (needs Node and Go)
	$(UV) lock --check -q
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy $(TYPED)
	.venv/bin/lint-imports
	$(PY) libs/protos/gen/generate.py --check

.PHONY: cluster-tools
cluster-tools: ## build the Consul agent from its Go module, cached outside the tree (needs Go)
	@.ci/cluster-tools

EVERYWHERE = $(addprefix tests/integration/test_,assistant.py voice.py same_everywhere.py bad_input.py engine_crash.py)
.PHONY: test-cluster
test-cluster: bootstrap-test cluster-tools ## the integration tests with discovery through Consul
	$(PYTEST) -q --topology consul tests/cluster $(EVERYWHERE)

# gRPC's fork handlers would run in each child that a test starts, beside a server's own threads.
CHAOS = GRPC_ENABLE_FORK_SUPPORT=0 $(PY)
CHAOS_TEST = $(CHAOS) -m pytest -q -m chaos
.PHONY: test-chaos
test-chaos: bootstrap-test ## kill, freeze and starve processes under conversations; CHAOS_SEED=… again
	@$(MAKE) --no-print-directory -j2 --output-sync=target test-chaos-kills test-chaos-stores
	$(CHAOS_TEST) tests/chaos/test_other_trouble.py

.PHONY: test-chaos-kills
test-chaos-kills:
	$(CHAOS_TEST) tests/chaos/test_kills.py

.PHONY: test-chaos-stores
test-chaos-stores:
	$(CHAOS_TEST) tests/chaos --ignore tests/chaos/test_kills.py --ignore tests/chaos/test_other_trouble.py

.PHONY: test-chaos-full
test-chaos-full: bootstrap-test ## the same with 1000 kills, and the report; goes on where it was stopped
	@CHAOS_BLOWS=24 $(CHAOS_TEST) tests/chaos/test_other_trouble.py; trouble=$$?; \
	$(CHAOS) -m tests.chaos --kills 1000 && exit $$trouble
