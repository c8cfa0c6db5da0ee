# Everything here runs from a fresh clone with Go, git and make alone, but for a C compiler where -race is. `make test` installs that, and
# what else its tests need. CI runs these targets and nothing else.

# The core links every cloud unless one build tag picks a provider of its own; this is the smallest. It is set here and
# nowhere else, and reaches every go command, the tests' own builds included, through GOFLAGS. So does the last flag: no program keeps debug
# information, and compiling without it takes a sixth less processor time.
# grpcnotrace leaves out the pages of grpc's own traces: they find methods by name, so that the linker would keep all methods of all types.
TAGS := externalgrpc,grpcnotrace

GO ?= go
export GOFLAGS := $(strip $(GOFLAGS) -tags=$(TAGS) -buildvcs=false -gcflags=all=-dwarf=false)

# The compiler, the linker and the tests collect garbage less often than by default (100). Compiling then takes a quarter less processor
# time and more memory. GOGC=100 is for machines with less than 16 GB. Programs under test have an environment of their own.
# Where nothing but the compiler runs, it collects none below 3 GiB, which takes another fifteenth less.
COMPILING := $(if $(GOGC),,GOGC=off GOMEMLIMIT=3GiB)
export GOGC := $(or $(GOGC),400)

# Without --abbrev the length of a commit depends on how many objects a clone has.
VERSION := $(shell git describe --tags --always --dirty --abbrev=12 2>/dev/null || echo unknown)
# Without symbol tables the binaries are a third smaller; stack traces need none.
LDFLAGS := -s -w -X main.version=$(VERSION)

.DEFAULT_GOAL := help
.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: goflags
goflags: ## print the flags of every go command here, for those outside make: export GOFLAGS="$(make goflags)"
	@echo '$(GOFLAGS)'

# Linked statically, so that the binaries run in any image. Only the image's programs are built with -trimpath, because with it the go
# command compiles a module anew for each go.mod that replaces it by another version. Without it the product, the control plane and
# helm share what is compiled.
STATIC_LDFLAGS = $(LDFLAGS) -buildid=
STATIC = CGO_ENABLED=0 GOAMD64=v1 GOARM64=v8.0 $(GO) build -ldflags '$(STATIC_LDFLAGS)'
GO_RUN = CGO_ENABLED=0 $(GO) run

.PHONY: build
build: ## bin/cluster-autoscaler, and bin/asgctl, which is the same file under another name, as in the image
	$(STATIC) -o bin/cluster-autoscaler ./cmd/cluster-autoscaler
	ln -f bin/cluster-autoscaler bin/asgctl

# go test shows no table of how long packages took. The file with it lies outside the module, where git does not see it.
PACKAGES := $(or $(TMPDIR),/tmp)/asg-autoscaler-packages$(subst /,-,$(CURDIR)).txt

# The image states these, and so has the same digest wherever it is built.
REVISION ?= $(shell git rev-parse HEAD)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
ARCHS ?= amd64 arm64
BIN ?= bin
# A test builds a small program in place of the product.
PROGRAM ?= ./cmd/cluster-autoscaler
PACK = $(GO) run -C build/image . -programs '$(abspath $(BIN))' -archs '$(ARCHS)' -version '$(VERSION)' -revision '$(REVISION)' \
	-epoch '$(SOURCE_DATE_EPOCH)' -ldflags '$(STATIC_LDFLAGS)'

.PHONY: image
image: programs ## the OCI image with SBOM and provenance, in bin (ARCHS=amd64 for one architecture)
	$(PACK) -out '$(abspath $(BIN))'

# The Dockerfile copies these files.
.PHONY: image-root
image-root: programs
	$(PACK) -root '$(abspath $(BIN))/root'

.PHONY: programs
programs:
	for arch in $(ARCHS); do GOOS=linux GOARCH=$$arch $(STATIC) -trimpath -o '$(BIN)'/linux_$$arch/cluster-autoscaler $(PROGRAM) || exit 1; done

# RELEASE.md explains the steps. Those after the first need the accounts of a forge, and their programs in the PATH.
RELEASE ?= bin/release
REGISTRY ?= ghcr.io/asg-autoscaler
ASGCTL ?= ./cmd/asgctl
PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64
RELEASE_STEP = VERSION='$(VERSION)' REVISION='$(REVISION)' SOURCE_DATE_EPOCH='$(SOURCE_DATE_EPOCH)' ARCHS='$(ARCHS)' PLATFORMS='$(PLATFORMS)' \
	PROGRAM='$(PROGRAM)' RELEASE='$(abspath $(RELEASE))' ASGCTL='$(ASGCTL)' REGISTRY='$(REGISTRY)' GO='$(GO)' build/release.sh

.PHONY: release
release: ## everything of a release, in bin/release: image built twice and compared, chart, asgctl, checksums (VERSION=v0.2.0 REGISTRY=ghcr.io/OWNER)
	$(RELEASE_STEP) build

.PHONY: release-check
release-check: ## whether the commit may become the release VERSION: nothing uncommitted, and the changelog and the chart are of that version
	$(RELEASE_STEP) check

.PHONY: registry-login
registry-login: ## log in to REGISTRY as GITHUB_ACTOR with GITHUB_TOKEN
	$(RELEASE_STEP) login

.PHONY: publish
publish: ## push image and chart of bin/release to REGISTRY
	$(RELEASE_STEP) publish

.PHONY: sign
sign: ## sign the published image and chart, and attest the SBOMs, with cosign and the identity of the workflow
	$(RELEASE_STEP) sign

.PHONY: release-page
release-page: ## the release's page at the forge, with the files of bin/release, by gh
	$(RELEASE_STEP) page

.PHONY: asgctl
asgctl: ## bin/asgctl for another platform (PLATFORM=darwin/arm64)
	GOOS=$(firstword $(subst /, ,$(PLATFORM))) GOARCH=$(lastword $(subst /, ,$(PLATFORM))) $(STATIC) -trimpath -o '$(BIN)/asgctl' $(ASGCTL)

# The core is compiled for this test alone, for minutes, so `make test` packs small programs instead.
.PHONY: test-image
test-image: ## build the image twice, compare both, read it back and run it (ARCHS=amd64 for one architecture)
	IMAGE_ARCHS='$(ARCHS)' $(GO) test -C build/image -count=1 -timeout 60m -v ./...

.PHONY: test
test: ## lint, verify; unit, component and scenario tests with the race detector, a short run of each bench and fuzz target, known vulnerabilities
	@test/repo/tools/needs.sh
	@$(MAKE) --no-print-directory verify
	@# both compile for minutes, and one has work for a core while the other waits for a package
	@$(COMPILING) $(MAKE) --no-print-directory -j2 lint controlplane
	@# lint has run go vet already, and fuzz.sh below runs the fuzz targets, by what is compiled here
	@# the scenarios come first: they take longest, and mostly wait, so one more package runs beside them
	@# linked without debug information, which takes a third less time
	test/repo/tools/seconds.sh $(PACKAGES) $(GO) test -race -vet=off -skip '^Fuzz' -ldflags=-w \
		-p $$(($$(getconf _NPROCESSORS_ONLN) + 1)) -parallel 3 -timeout 38m ./test/scenario/e2e ./...
	$(GO) test -C build/image -count=1 ./...
	@# with the race detector, with which the core has been compiled above
	$(GO) run -race ./test/repo/vulncheck $(if $(VULNDB),-db $(VULNDB),-if-reachable)
	FUZZBUILD='-race -ldflags=-w' test/repo/tools/fuzz.sh 10s
	@cat $(PACKAGES)

# They share what `make build` has compiled, and need no C compiler.
.PHONY: test-quick
test-quick: ## the tests that need no control plane, no browser and no minutes, without the race detector
	@CGO_ENABLED=0 test/repo/tools/seconds.sh $(PACKAGES) $(GO) test -short -vet=off -ldflags=-w -p $$(($$(getconf _NPROCESSORS_ONLN) + 1)) -parallel 3 ./...
	@cat $(PACKAGES)

.PHONY: fuzz
fuzz: ## every fuzz target for ten minutes each (FUZZTIME=1h)
	test/repo/tools/fuzz.sh $(or $(FUZZTIME),10m)

.PHONY: e2e
e2e: controlplane ## the scenarios alone; RUN=s0 runs those whose name matches
	$(GO) test -race -parallel 3 -timeout 38m -run 'TestScenarios$(if $(RUN),/$(RUN))' ./test/scenario/e2e

# It needs the network, so make test leaves it out.
.PHONY: canary
canary: controlplane ## the scenarios of the plugin with the newest core that the module proxy has (CORE=VERSION for another one)
	CORE_VERSION='$(or $(CORE),latest)' $(GO) test -race -count=1 -parallel 3 -timeout 60m -v -run 'TestScenarios/^plugin_' ./test/scenario/e2e

.PHONY: chaos
chaos: controlplane ## seeded runs full of faults: SEEDS=200 of them from FIRST=1 by WORKERS=1, RESUME=1 goes on, or SEED=17 again; ZONAL=1 with zonal views, MOVES=1 with nodes that are replaced, HALF=1 every second one
	$(GO) run ./test/scenario/chaos/cmd/chaos $(if $(ZONAL),-zonal) $(if $(MOVES),-moves) $(if $(HALF),-half) $(if $(SEED),-seed $(SEED)) $(if $(SEEDS),-seeds $(SEEDS)) $(if $(FIRST),-first $(FIRST)) \
		$(if $(WORKERS),-workers $(WORKERS)) $(if $(RESUME),-resume)

.PHONY: soak
soak: controlplane ## a day of load, rollouts, spot reclaims and faults in HOURS=2, with memory, goroutines and groups compared (SEED=1 OUTPUT=json, DAY=10m for less)
	$(GO) run ./test/scenario/chaos/cmd/chaos -out bin/soak -soak $(or $(DAY),$(or $(HOURS),2)h) $(if $(SEED),-seed $(SEED)) $(if $(OUTPUT),-o $(OUTPUT))

.PHONY: controlplane
controlplane: ## the control plane's programs, built into the user's cache (once, minutes)
	$(GO_RUN) ./test/emulator/controlplane/cmd/controlplane

# vet takes the tests' own build, with the race detector, so that nothing is compiled for it alone.
.PHONY: lint
lint: ## go vet, gofmt, staticcheck, errcheck
	@unformatted=$$(gofmt -l .) || exit 1; if [ -n "$$unformatted" ]; then echo "gofmt -w these:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet -race -vettool=$(CURDIR)/test/repo/tools/vet.sh ./...
	CGO_ENABLED=0 $(GO) build -C test/repo/tools/lint -o '$(abspath $(BIN))/lint' .
	LINT='$(abspath $(BIN))/lint' $(GO) vet -race -vettool=$(CURDIR)/test/repo/tools/vet.sh ./...

.PHONY: generate
generate: ## the embedded tables of instance types and prices, checked and in their one format (DUMP=file of aws ec2 describe-instance-types --output json: with its types)
	$(GO) test ./cloudprovider/instancetypes ./pricing -run 'FormatReproducesEmbedded' -update
	$(if $(DUMP),$(GO) test ./cloudprovider/instancetypes -run 'FormatReproducesEmbedded' -update -dump $(abspath $(DUMP)))

.PHONY: vulncheck
vulncheck: ## known vulnerabilities of the binary, by the public database, which must be reachable (VULNDB=URL of another one)
	$(GO) run ./test/repo/vulncheck $(if $(VULNDB),-db $(VULNDB))

.PHONY: licences
licences: ## docs/licences.md, from the licence files of the linked modules
	$(GO) test ./test/repo/licences -run 'Document$$' -update

.PHONY: docs
docs: ## docs/flags.md, docs/metrics.md and docs/compatibility.md, from the program and from what the tests run
	$(GO) test ./cmd/cluster-autoscaler/process ./cmd/cluster-autoscaler/options ./test/repo/compatibility -run 'Document$$' -update

.PHONY: monitoring
monitoring: ## the files of manifests/monitoring that are made from rules.yaml
	$(GO) test ./test/scenario/monitoring -run 'GeneratedFiles$$' -update

TABLES := cloudprovider/instancetypes/data pricing/data

# It compares with what was there before and not with a commit: a change that is generated but not committed yet is fine.
.PHONY: verify
verify: ## generate, and fail if that changes a table
	@sum() { find $(TABLES) -type f | sort | xargs cksum; }; before=$$(sum); $(MAKE) --no-print-directory generate || exit 1; \
		[ "$$before" = "$$(sum)" ] || { echo "make generate has changed a table in $(TABLES): commit it"; exit 1; }

.PHONY: bench-interruption
bench-interruption: controlplane ## how soon a hundred interrupted nodes are cordoned and drained, and their instances terminated (PODS=20000 DAEMONSETS=10 HELD=1 NODES=100)
	$(GO) run ./test/bench interruption $(if $(NODES),-nodes $(NODES)) $(if $(PODS),-pods $(PODS)) $(if $(DAEMONSETS),-daemonsets $(DAEMONSETS)) $(if $(HELD),-held $(HELD))

.PHONY: bench-cost
bench-cost: $(if $(WHOLE),controlplane) ## what each choice costs against a lower bound (MIX=FILE, ONLY=web,batch, EXPANDERS=least-cost,stock/least-waste, OUTPUT=json); WHOLE=1 runs autoscaler and scheduler, too (AT_ONCE=1 REPEATS=3 FLAGS=--asg-nominate=off)
	$(GO) run ./test/bench cost $(if $(MIX),-mix $(MIX)) $(if $(ONLY),-only $(ONLY)) $(if $(EXPANDERS),-expanders $(EXPANDERS)) \
		$(if $(WHOLE),-whole) $(if $(AT_ONCE),-at-once) $(if $(REPEATS),-repeats $(REPEATS)) $(if $(OUTPUT),-o $(OUTPUT)) $(if $(FLAGS),-flags "$(FLAGS)")

.PHONY: bench-zonal
bench-zonal: controlplane ## how many pods that need a zone run at the end, stock beside ours, in 77 cells (CELL='spread over zones|untagged' WHO=ours OUTPUT=json)
	$(GO) run ./test/bench zonal $(if $(CELL),-cell '$(CELL)') $(if $(WHO),-who $(WHO)) $(if $(OUTPUT),-o $(OUTPUT))

.PHONY: bench-peers
bench-peers: controlplane ## ours beside stock and Karpenter: reaction, several groups, idle, scale-down (ONLY=reaction,groups-100 PEERS=ours,stock REPEATS=5 IDLE=1m DEFAULT_RATES=1 OUTPUT=json REPORT=FILE)
	$(GO) run ./test/bench peers $(if $(ONLY),-only $(ONLY)) $(if $(PEERS),-peers $(PEERS)) $(if $(REPEATS),-repeats $(REPEATS)) \
		$(if $(IDLE),-idle $(IDLE)) $(if $(DEFAULT_RATES),-default-rates) $(if $(OUTPUT),-o $(OUTPUT)) $(if $(REPORT),-report $(REPORT))

.PHONY: bench-day
bench-day: controlplane ## a day of load in MINUTES=24 beside stock and Karpenter: bill over a bound, evictions, waiting pods (ONLY=web WHO=ours,karpenter SEED=1 OUTPUT=json)
	$(GO) run ./test/bench day $(if $(MINUTES),-minutes $(MINUTES)) $(if $(ONLY),-only $(ONLY)) $(if $(WHO),-who $(WHO)) $(if $(SEED),-seed $(SEED)) $(if $(OUTPUT),-o $(OUTPUT))

.PHONY: bench-growth
bench-growth: ## AWS calls, time and memory by groups, nodes and pods: four sizes each, with exponents (ONLY=groups,nodes REPEATS=3 OUTPUT=json)
	$(GO) run ./test/bench growth $(if $(ONLY),-only $(ONLY)) $(if $(REPEATS),-repeats $(REPEATS)) $(if $(OUTPUT),-o $(OUTPUT))

.PHONY: bench-fleet
bench-fleet: ## many clusters in one account, simulated: calls, throttling, launches (CLUSTERS=500 RATE=10 PERIOD=10m REFRESH=1m)
	$(GO) test ./test/bench/fleet -count=1 -timeout 60m -run 'TestFleet$$' -args -clusters $(or $(CLUSTERS),500) -rate $(or $(RATE),10) -period $(or $(PERIOD),10m) -refresh $(or $(REFRESH),1m)

.PHONY: benchmarks
benchmarks: ## docs/benchmarks.md and its chart, from docs/benchmarks.json
	$(GO) run ./test/bench peers -from docs/benchmarks.json -o markdown > docs/benchmarks.md
	$(GO) run ./test/bench peers -from docs/benchmarks.json -o svg > docs/benchmarks.svg

.PHONY: demo
demo: build controlplane ## a GPU spot group 0 -> 3 -> 0 -> 3 on a real control plane (KEEP=1 leaves it running)
	$(GO_RUN) ./test/scenario/demo $(if $(KEEP),-keep)

.PHONY: up
up: build controlplane ## the demo's set-up without its rounds, left running
	$(GO_RUN) ./test/scenario/demo up

.PHONY: down
down: ## stop what `make up` or `make demo KEEP=1` left running
	$(GO_RUN) ./test/scenario/demo down

.PHONY: clean
clean: ## remove bin/
	rm -rf bin
