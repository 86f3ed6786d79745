# make demo   both journeys on this machine alone
# make test   the tests that need nothing but this machine

CARGO ?= cargo
DEMO_ARGS ?=

.PHONY: demo test test-interop lint doc bench-smtp bench-line bench-loss bench-paper bench-office fuzz clean

demo: deps
	$(CARGO) build --bin faxpost
	$(CARGO) run --quiet --bin faxpost -- demo $(DEMO_ARGS)

test: deps
	$(CARGO) test --workspace --locked --no-run
	@sync # what compilers leave to be written would make the first tests' commits wait for seconds
	$(CARGO) test --workspace --locked
	@echo
	@echo "Left to make test-interop (it installs independent peers and runs private instances of them):"
	@tests/interop.sh --list

test-interop: deps
	deploy/deps.sh interop
	tests/interop.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked

bench-smtp: deps
	deploy/deps.sh interop
	benches/smtp/run.sh

# About ten minutes after the release build, on a machine that does nothing else.
bench-line: deps
	$(CARGO) bench --locked --bench line

bench-office: deps
	deploy/deps.sh interop
	$(CARGO) bench --locked --bench office

bench-loss: deps
	benches/line/loss.sh

# About a quarter of an hour after the release build. DOCS=folder measures speed and bytes on your own PDF files.
bench-paper: deps
	deploy/deps.sh paper
	benches/paper/run.sh $(DOCS)

# FUZZ_SECONDS for each target, 60 unless told; FUZZ="udptl sdp" for some of them.
fuzz: deps
	fuzz/run $(FUZZ)

.PHONY: deps
deps:
	@deploy/deps.sh

clean:
	$(CARGO) clean
