# ingot: golden images for Kubernetes, baked offline.
#
#   make          builds build/bin/ingot and build/bin/ingot-boot
#   make deps     installs (Debian, Ubuntu) or names (Fedora, Alpine, Arch) what is needed
#   make demo     deps, build, bake recipes/demo.yaml, boot it, ask the guest, take it down
#   make test     deps, build, every test
#
# O=DIR puts the objects elsewhere; WERROR=1 makes warnings errors.

VERSION := 0.1.0
O ?= build
CC ?= cc
PREFIX ?= /usr/local
DESTDIR ?=
CFLAGS ?= -O2 -g
SANITIZE ?=
WARNINGS := -Wall -Wextra -Wshadow -Wformat=2 $(if $(WERROR),-Werror)
PKG_CONFIG ?= pkg-config

# Layers from the bottom to the top: each may include those before it, `make lint` proves it.
LEAVES := base accel contract cidata signature bundle
INGOT_LAYERS := recipe inputs resolve plan source updates payload disk bake emit ingot
BOOT_LAYERS := boot
LAYERS := $(LEAVES) $(INGOT_LAYERS) $(BOOT_LAYERS)

PACKAGES_base := jansson libcrypto
PACKAGES_cidata := libisofs-1 libburn-1
PACKAGES_signature := gpgme
PACKAGES_recipe := yaml-0.1
PACKAGES_resolve := zlib
PACKAGES_source := libcurl libarchive
PACKAGES_payload := libarchive
PACKAGES_disk := libguestfs ext2fs e2p com_err blkid libarchive
PACKAGES_boot := libvirt libvirt-qemu libxml-2.0
PACKAGES_ingot := libguestfs libarchive

layer_sources = $(filter-out builder/$1/main.c builder/$1/commands/main.c,$(sort $(wildcard builder/$1/*.c builder/$1/commands/*.c)))
object = $(patsubst builder/%.c,$(O)/obj/%.o,$1)
packages_of = $(sort $(foreach l,$1,$(PACKAGES_$l)))
library = $(O)/lib/lib$1.a
# Everything that is built, with its own flags.
CPPFLAGS_ALL = -Ibuilder -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DINGOT_VERSION='"$(VERSION)"' \
	-DINGOT_SHARE='"$(PREFIX)/share/ingot"' $(CPPFLAGS)
CFLAGS_ALL = -std=gnu17 $(WARNINGS) $(SANITIZE) $(CFLAGS) -fstack-protector-strong -fvisibility=hidden
LDFLAGS_ALL = $(SANITIZE) $(LDFLAGS)
HARDEN := -Wl,-z,relro,-z,now -Wl,--as-needed

.DELETE_ON_ERROR:
.PHONY: unit-programs all deps test-deps test test-all unit demo bench lint sanitize sanitize-run fuzz fuzz-run install \
	uninstall clean format fixtures compile_commands FORCE

all: $(O)/bin/ingot $(O)/bin/ingot-boot

define layer_rules
$(call library,$1): $(call object,$(call layer_sources,$1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(AR) rcs $$@ $$^
$(call object,$(sort $(wildcard builder/$1/*.c builder/$1/commands/*.c))): $(O)/obj/%.o: builder/%.c $(O)/flags
	@mkdir -p $$(@D)
	$$(CC) $$(CPPFLAGS_ALL) $$(CFLAGS_ALL) $(if $(PACKAGES_$1),$$$$($$(PKG_CONFIG) --cflags $(PACKAGES_$1))) -MMD -MP -c $$< -o $$@
endef
$(foreach l,$(LAYERS),$(eval $(call layer_rules,$l)))

# Recompiles all when the flags change.
$(O)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL)' | cmp -s - $@ || \
		echo '$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL)' > $@
FORCE:

reverse = $(if $1,$(call reverse,$(wordlist 2,99,$1)) $(firstword $1))
INGOT_LIBRARIES := $(call reverse,$(LEAVES) $(INGOT_LAYERS))
BOOT_LIBRARIES := $(call reverse,$(LEAVES) $(BOOT_LAYERS))
link = $(CC) $(LDFLAGS_ALL) $(HARDEN) -o $@ $1 $(foreach l,$2,$(call library,$l)) $$($(PKG_CONFIG) --libs $(call packages_of,$2)) $3

$(O)/bin/ingot: $(O)/obj/ingot/main.o $(foreach l,$(INGOT_LIBRARIES),$(call library,$l))
	@mkdir -p $(@D)
	$(call link,$<,$(INGOT_LIBRARIES))

$(O)/bin/ingot-boot: $(O)/obj/boot/commands/main.o $(foreach l,$(BOOT_LIBRARIES),$(call library,$l))
	@mkdir -p $(@D)
	$(call link,$<,$(BOOT_LIBRARIES))

# Unit tests: tests/unit/test_NAME.c tests builder/LAYER/NAME.c and links that layer and those below.
# A test of something without a file of its own says its layer in its first line: /* layer: plan */
UNIT_TESTS := $(sort $(wildcard tests/unit/test_*.c))
unit_name = $(patsubst tests/unit/test_%.c,%,$1)
unit_layer = $(firstword $(shell sed -n '1s|^/\* layer: \([a-z]*\) \*/$$|\1|p' $1) \
	$(patsubst builder/%/,%,$(dir $(firstword $(wildcard builder/*/$(call unit_name,$1).c)))) base)
upto = $(if $(filter $1,$(BOOT_LAYERS)),$(BOOT_LIBRARIES),$(call reverse,$(call upto_,$1,$(LEAVES) $(INGOT_LAYERS))))
upto_ = $(if $2,$(firstword $2)$(if $(filter $1,$(firstword $2)),, $(call upto_,$1,$(wordlist 2,99,$2))))

define unit_rules
$(O)/tests/test_$(call unit_name,$1): $1 tests/unit/unit.h $(O)/flags $(foreach l,$(call upto,$(call unit_layer,$1)),$(call library,$l))
	@mkdir -p $$(@D)
	$$(CC) $$(CPPFLAGS_ALL) -Itests/unit $$(CFLAGS_ALL) $$(LDFLAGS_ALL) -Wl,--as-needed -MMD -MP -o $$@ $$< $(foreach l,$(call upto,$(call unit_layer,$1)),$(call library,$l)) $$$$($$(PKG_CONFIG) --cflags --libs $(call packages_of,$(call upto,$(call unit_layer,$1))) cmocka)
unit-$(call unit_name,$1): $(O)/tests/test_$(call unit_name,$1)
	$$<
.PHONY: unit-$(call unit_name,$1)
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_rules,$t)))

UNIT_PROGRAMS := $(foreach t,$(UNIT_TESTS),$(O)/tests/test_$(call unit_name,$t))
unit-programs: $(UNIT_PROGRAMS)
unit: $(UNIT_PROGRAMS)
	@set -e; for t in $(UNIT_PROGRAMS); do echo "== $${t##*/}"; $$t; done

-include $(shell find $(O) -name '*.d' 2>/dev/null)

deps:
	@builder/deps

test-deps:
	@builder/deps --test

# Everything but the slow tests; the last line is `N passed, N failed, N skipped`.
test: test-deps
	@$(MAKE) --no-print-directory all $(UNIT_PROGRAMS)
	@tests/run.py --build $(O)

test-all: test-deps
	@$(MAKE) --no-print-directory all $(UNIT_PROGRAMS)
	@INGOT_TEST_SLOW=1 tests/run.py --build $(O) --all

# RECIPE=NAME bakes another of recipes/.
RECIPE ?= demo
demo: deps
	@$(MAKE) --no-print-directory all
	@tests/demo --build $(O) $(RECIPE)

# PART=bake or PART=fetch: only that.
PART ?= all
bench: test-deps
	@$(MAKE) --no-print-directory all
	@tests/bench/bench.py --build $(O) --part $(PART)

C_FILES = $(shell git ls-files -co --exclude-standard 'builder/*.[ch]' 'tests/*.[ch]')
# cppcheck knows no cleanup attributes (leaks); readdir, getpwuid, getgrnam are called by one thread;
# POSIX says that NULL is a pointer.
CPPCHECK_SUPPRESS := --suppress=memleak --suppress=resourceLeak --suppress=readdirCalled \
	--suppress=getpwuidCalled --suppress=getgrnamCalled --suppress=varFuncNullUB --suppress=nullPointerRedundantCheck:builder/disk/mounts.c
lint: test-deps
	@python3 tests/lint/lint.py
	@clang-format --dry-run -Werror $(C_FILES)
	@cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,portability --inline-suppr \
		$(CPPCHECK_SUPPRESS) --library=posix -Ibuilder -D_GNU_SOURCE -D__cppcheck__ builder

# The unit tests under AddressSanitizer and UndefinedBehaviorSanitizer.
sanitize: test-deps
	@$(MAKE) --no-print-directory O=$(O)/sanitize CFLAGS='-O1 -g -fno-omit-frame-pointer' \
		SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=undefined' sanitize-run
sanitize-run: $(UNIT_PROGRAMS)
	@ASAN_OPTIONS=detect_leaks=1 tests/run.py --build $(O) --unit-only

# Alpine's real cloud image for the slow test that bakes and boots it; needs an internet.
fixtures: deps
	@$(MAKE) --no-print-directory all
	@tests/fixtures --build $(O)

# Every parser under libFuzzer, SECONDS each.
SECONDS ?= 30
FUZZERS := $(patsubst tests/fuzz/%.c,$(O)/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
$(O)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(O)/flags $(foreach l,$(INGOT_LIBRARIES),$(call library,$l))
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -fsanitize=fuzzer -o $@ $< $(foreach l,$(INGOT_LIBRARIES),$(call library,$l)) $$($(PKG_CONFIG) --cflags --libs $(call packages_of,$(INGOT_LIBRARIES)))
fuzz: test-deps
	@$(MAKE) --no-print-directory O=$(O)/fuzz CC=clang CFLAGS='-O1 -g' \
		SANITIZE='-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined' fuzz-run
fuzz-run: $(FUZZERS)
	@set -e; for f in $(FUZZERS); do echo "== $${f##*/}"; \
		$$f -max_total_time=$(SECONDS) -print_final_stats=1 2>$$f.log || { tail -40 $$f.log; exit 1; }; \
		grep number_of_executed_units $$f.log; done

# For editors and clang-tidy.
compile_commands: compile_commands.json
compile_commands.json: Makefile
	@$(MAKE) -Bn WERROR= all | python3 tests/lint/compile_commands.py > $@

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/ingot
	install -m 755 $(O)/bin/ingot $(O)/bin/ingot-boot $(DESTDIR)$(PREFIX)/bin
	cp -R recipes overlays $(DESTDIR)$(PREFIX)/share/ingot
	rm -f $(DESTDIR)$(PREFIX)/share/ingot/recipes/*.lock
	install -d $(DESTDIR)$(PREFIX)/share/doc/ingot
	install -m 644 README.md LICENSE $(wildcard docs/*) $(DESTDIR)$(PREFIX)/share/doc/ingot

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/ingot $(DESTDIR)$(PREFIX)/bin/ingot-boot
	rm -rf $(DESTDIR)$(PREFIX)/share/ingot $(DESTDIR)$(PREFIX)/share/doc/ingot

format:
	clang-format -i $(C_FILES)

clean:
	rm -rf $(O) compile_commands.json
