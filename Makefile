# Every target does the set-up it needs. `make test` is what a newcomer runs; `.ci/run` runs all gates.

CARGO ?= cargo
LOCKED := $(if $(CI),--locked)
NEXTEST := $(shell $(CARGO) nextest --version 2>/dev/null)

.PHONY: build lint test model e2e conformance storm storm-quick readme upstream clean

build:
	$(CARGO) build $(LOCKED)

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(LOCKED) --workspace --all-targets -- -D warnings
	$(CARGO) clippy $(LOCKED) --test storm -- -D warnings
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc $(LOCKED) --no-deps

# Every engine is tested: without PostgreSQL's binaries this fails and says what to install.
test:
	@tests/scripts/postgres.sh --install >/dev/null
ifdef NEXTEST
	$(CARGO) nextest run $(LOCKED)
else
	$(CARGO) test $(LOCKED) --lib --bins --tests
endif
	$(CARGO) test $(LOCKED) --doc

# Everything that can happen to a grant while it is renewed, searched to the end within stated bounds; then without each
# of the guards, which the search must miss.
model:
	$(CARGO) run $(LOCKED) --quiet --package stationmaster-model

# The main job against third-party software, on both engines. ENGINES="sqlite" runs one.
e2e: build
	@tests/scripts/postgres.sh --install >/dev/null
	@tests/scripts/node.sh >/dev/null
	tests/e2e/node_modules/.bin/node tests/e2e/run.mjs $(ENGINES)

# The official MCP conformance suite, every `auth` scenario at both wires, on both engines. ENGINES="sqlite" runs one;
# ENGINES="sqlite --rounds 5 --together" tries harder: tests/conformance/run.mjs.
conformance:
	$(CARGO) build $(LOCKED) -p stationmaster -p stationmaster-conformance
	$(CARGO) test $(LOCKED) --quiet -p stationmaster-conformance
	@tests/scripts/postgres.sh --install >/dev/null
	@tests/scripts/node.sh conformance >/dev/null
	tests/e2e/node_modules/.bin/node tests/conformance/run.mjs $(ENGINES)

# Proves that no user's grant is lost: docs/storm.md. Five minutes on each engine, with the build that users run;
# STORM_SEED repeats one.
storm:
	@tests/scripts/postgres.sh --install >/dev/null
	$(CARGO) test $(LOCKED) --release --test storm

# The same within CI: half a minute on each engine, always with the same faults unless STORM_SEED says otherwise.
storm-quick:
	@tests/scripts/postgres.sh --install >/dev/null
	STORM_SECONDS=30 STORM_SEED=$${STORM_SEED:-189897} $(CARGO) test $(LOCKED) --test storm

# Every command of README.md, as it stands there, in a fresh clone of the last commit.
readme:
	@tests/scripts/node.sh >/dev/null
	tests/e2e/node_modules/.bin/node tests/e2e/readme.mjs

# Something to connect to, for trying things by hand: an MCP server and its authorization server.
upstream:
	@tests/scripts/node.sh >/dev/null
	@tests/e2e/node_modules/.bin/node tests/e2e/upstream.mjs

clean:
	$(CARGO) clean
	rm -rf tests/e2e/node_modules tests/conformance/node_modules tests/conformance/.work
