# The lab. One chain, every arrow a prerequisite:
#
#     image ─▶ venv ─▶ check-gpu ─▶ check-mujoco ─▶ check-render ─▶ check-train ─▶ verify
#
# Make says when, scripts say how. Image and venv are gated by content and cost nothing when nothing changed; the checks
# always run, because a check asks about now. A recipe with $(LAB) runs in the lab, through docker/dev.sh: in the
# container or in the venv, and from inside as from outside. The others run on the host.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

##@ Settings, on the command line or in the environment
##  ENGINE          what runs the lab's commands: auto, docker, podman, local (auto)
##  EXPECT          what this machine should have: auto, gpu, cpu (auto)
##  STRICT          1: a check that is only degraded fails (0)
##  STEPS           train for fewer steps, which proves that all works and not that it learns (50000)
##  PROOF           folder of the evidence; if set, of the picture and the checkpoint, too (proof)
##  PYTHON          interpreter of the base layer (python3)
##  VENV            where the virtual environment is (.venv)
##  BASE_IMAGE      base layer of the container (the pinned one)
##  APT_SNAPSHOT    date of the container's apt packages, such as 20261101T000000Z (today)
##  KIT             folder of a kit, from which everything is installed without a network; make kit writes it (kit)
##  PLATFORM        make kit: for which machine, x86_64 or aarch64 (this one)
##  PYTHON_VERSION  make kit: for which Python (the lab's own)
##  TORCH           make kit: 0 leaves torch's CPU wheel out, for machines whose base layer has torch (1)
##  IMAGE           make kit: 1 adds the container's image (0)
##  UPGRADE         make lock: 1 takes the newest of everything that requirements.in allows (0)
##  PACKAGE         make lock: takes the newest of this one package, or the version given: NAME==VERSION
##  SLOW            make test: 1 runs the slow tests too (0)
##  ONLY            make bench: which questions, such as "a d" (all)
##  TURNS           make bench: how often each is measured (5 for a and d, 3 for the others)

LAB := @docker/dev.sh

##@ The chain

.PHONY: image
image: ## build the container's image, unless it is current; nothing for the local engine
	@docker/image.sh

.PHONY: venv
venv: image ## build .venv from requirements.txt, unless it is current
	@docker/venv.sh

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
lock: ## resolve requirements.in anew; a new lock is installed only if it works
	$(LAB) python -m env.lock lock --upgrade='$(UPGRADE)' --package='$(PACKAGE)'

.PHONY: lock-base
lock-base: ## refresh the base layer's pins: torch's CPU wheel, and the container's base image
	@env/lock/base_image.sh

.PHONY: lock-check
lock-check: ## is the lock still what requirements.in asks for, served, and free of known vulnerabilities?
	$(LAB) python -m env.lock check

.PHONY: kit
kit: ## write what another machine needs to install all this without a network
	@env/lock/make_kit.sh

.PHONY: golden
golden: venv ## record the physics of the locked mujoco anew, and show what differs
	$(LAB) python -m checks.mujoco_golden

.PHONY: test
test: export ENGINE = local
# The base layer may bring pytest plugins of its own.
test: export PYTEST_DISABLE_PLUGIN_AUTOLOAD = 1
# Nor do options of the user's decide which tests run.
test: export PYTEST_ADDOPTS =
test: ## judge the repository (the checks judge the machine)
	$(LAB) python -m pytest

.PHONY: bench
bench: venv ## how fast is all this, against doing without it? the table of docs/numbers.md
	@. env/prelude.sh; "$$PYTHON" -m bench $(if $(ONLY),--only $(ONLY)) $(if $(TURNS),--turns $(TURNS))

.PHONY: clean
clean: ## remove all that the lab made here
	@docker/clean.sh

.PHONY: clean-cache
clean-cache: ## remove the base layers in the user's cache that no venv stands on
	@docker/clean_cache.sh

.PHONY: help
help: ## this page
	@awk '/^##@/ { print "\n" substr($$0, 5) ":" } /^##  / { print substr($$0, 3) } \
	     /^[a-z]/ && split($$0, rule, /:.* ## /) == 2 { printf "  %-16s%s\n", rule[1], rule[2] }' Makefile
