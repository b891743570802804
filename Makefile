# The lab. One chain, every arrow a prerequisite:
#
#     image ─▶ venv ─▶ check-gpu ─▶ check-mujoco ─▶ check-render ─▶ check-train ─▶ verify
#
# Make says when, scripts say how. Image and venv are gated by content and cost nothing when
# nothing changed; the checks always run, because a check asks about now. Every recipe goes through
# docker/dev.sh, the one door into the lab, so every target works outside it and inside.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

##@ Settings, on the command line or in the environment
## what runs the lab's commands: auto, docker, podman, local
ENGINE ?= auto
## what this machine should have: auto, gpu, cpu
EXPECT ?= auto
## 1: a check that is only degraded fails
STRICT ?= 0
## interpreter of the base layer: Python 3.11, 3.12 or 3.13
PYTHON ?= python3
## where the virtual environment is
VENV ?= .venv
## base layer of the container; empty: the pinned one
BASE_IMAGE ?=
## date of the container's apt packages, such as 20261101T000000Z; empty: today
APT_SNAPSHOT ?=
## folder of a kit: what is installed comes from it and from no network; make kit writes it (there: kit)
KIT ?=
## make kit: for which machine, x86_64 or aarch64; empty: this one
PLATFORM ?=
## make kit: for which Python; empty: the lab's own
PYTHON_VERSION ?=
## make kit: 0 leaves torch's CPU wheel out, for machines whose base layer has torch
TORCH ?= 1
## make kit: 1 adds the container's image
IMAGE ?= 0
## make lock: 1 takes the newest of everything that requirements.in allows
UPGRADE ?= 0
## make lock: takes the newest of this one package, or the version given: mujoco==3.11.0
PACKAGE ?=
## of make bench: which questions, such as "a d"; empty: all
ONLY ?=
## of make bench: how often each is measured; empty: 5 for a and d, 3 for the others
TURNS ?=
export APT_SNAPSHOT BASE_IMAGE ENGINE EXPECT IMAGE KIT PLATFORM PYTHON PYTHON_VERSION STRICT TORCH VENV

LAB := @docker/dev.sh

##@ The chain

.PHONY: image
image: ## build the container's image, unless it is current; nothing for the local engine
	@docker/image.sh

.PHONY: venv
venv: image ## build .venv from requirements.txt, unless it is current
	$(LAB) env/status.sh

.PHONY: check-gpu
check-gpu: venv ## does the GPU compute, and compute right?
	$(LAB) python -m checks.check_gpu

.PHONY: check-mujoco
check-mujoco: check-gpu ## do the Fetch environments obey?
	$(LAB) python -m checks.check_mujoco

.PHONY: check-render
check-render: check-mujoco ## is the robot in the picture, and who drew it? smoke_frame.png
	$(LAB) python -m checks.check_render

.PHONY: check-train
check-train: check-render ## does PPO train, save and load? ppo_smoke.zip
	$(LAB) python -m checks.check_train

.PHONY: verify
verify: check-train ## all of the above, in that order: is this machine a lab?
	$(LAB) python -m checks.summary

##@ The rest

.PHONY: shell
shell: image ## open a shell in the lab
	$(LAB)

.PHONY: doctor
doctor: ## what this machine has and lacks for all of this; changes nothing
	@docker/doctor.sh

.PHONY: lock
lock: ## resolve requirements.in anew; what lives replaces the locks, what does not is refused
	$(LAB) python env/lock.py --upgrade='$(UPGRADE)' --package='$(PACKAGE)'

.PHONY: lock-base
lock-base: ## refresh the base layer's pins: torch's CPU wheel, and the container's base image
	@docker/base.sh

.PHONY: lock-check
lock-check: ## is the lock still what requirements.in asks for, served, and free of known vulnerabilities?
	$(LAB) python env/lock.py --check

.PHONY: kit
kit: ## write what another machine needs to install all this without a network
	@docker/kit.sh

.PHONY: golden
golden: venv ## record the physics of the locked mujoco anew, and show what differs
	$(LAB) python -m checks.golden

.PHONY: test
test: export ENGINE = local
# The base layer may bring pytest plugins of its own.
test: export PYTEST_DISABLE_PLUGIN_AUTOLOAD = 1
test: ## judge the repository (the checks judge the machine)
	$(LAB) python -m pytest

.PHONY: bench
bench: venv ## how fast is all this, against doing without it? the table of docs/numbers.md
	@$(PYTHON) -m bench $(if $(ONLY),--only $(ONLY)) $(if $(TURNS),--turns $(TURNS))

.PHONY: clean
clean: ## remove all that the lab made here
	@env/clean.sh

.PHONY: help
help: ## this page
	@awk '/^##@/ { print "\n" substr($$0, 5) ":" } \
	     /^## / { text = substr($$0, 4) } \
	     / \?=/ { printf "  %-16s%s (%s)\n", $$1, text, $$3 } \
	     /^[a-z]/ && split($$0, rule, /:.* ## /) == 2 { printf "  %-16s%s\n", rule[1], rule[2] }' Makefile
