/* layer: recipe */
/* Verification as recipes and profiles say it, and the shipped bases. */
#include "unit.h"

#include "base/path.h"
#include "base/text.h"
#include "recipe/recipe.h"

#define UBUNTU_KEY "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81"
#define OTHER_KEY "4A3CE3CD565D7EB5C810E2B97FF3F408476CF100"
#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void put(const char *dir, const char *name, const char *text)
{
    autofree char *path = path_join(dir, name), *folder = path_dirname(path);
    assert_ok(file_make_dirs(folder, 0700, &err));
    assert_ok(file_write(path, text, strlen(text), 0600, &err));
}

/* The recipe r.yaml of a folder, with `--set` as given (NULL at the end). */
static struct recipe *load(struct arena *a, const char *dir, const char *const *search,
                           const char *const *sets)
{
    struct recipe *r = NULL;
    struct diagnostics found = {.arena = a};
    struct recipe_override overrides[4];
    size_t n = 0;
    autofree char *path = path_join(dir, "r.yaml");
    for (; sets && sets[n]; n++)
        assert_ok(recipe_override_parse(a, sets[n], &overrides[n], &err));
    const struct recipe_options o = {.search = search, .overrides = overrides, .override_count = n};
    assert_ok(recipe_load(path, &o, &r, &found, &err));
    return r;
}
#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char *const shipped[] = {"recipes", NULL};

/* Every base, for every architecture and firmware that it is for. */
static void shipped_bases(void **state)
{
    (void)state;
    static const struct {
        const char *name, *arch, *firmware, *image, *signer;
    } all[] = {
        {"alpine-3.23", "amd64", "bios", "-x86_64-bios-cloudinit-r0.qcow2", NULL},
        {"alpine-3.23", "amd64", "uefi", "-x86_64-uefi-cloudinit-r0.qcow2", NULL},
        {"alpine-3.23", "arm64", "uefi", "-aarch64-uefi-cloudinit-r0.qcow2", NULL},
        {"alpine-3.24", "amd64", "bios", "-x86_64-bios-cloudinit-r0.qcow2", NULL},
        {"alpine-3.24", "amd64", "uefi", "-x86_64-uefi-cloudinit-r0.qcow2", NULL},
        {"alpine-3.24", "arm64", "uefi", "-aarch64-uefi-cloudinit-r0.qcow2", NULL},
        {"ubuntu-22.04", "amd64", "bios", "/ubuntu-22.04-server-cloudimg-amd64.img", UBUNTU_KEY},
        {"ubuntu-22.04", "amd64", "uefi", "/ubuntu-22.04-server-cloudimg-amd64.img", UBUNTU_KEY},
        {"ubuntu-22.04", "arm64", "uefi", "/ubuntu-22.04-server-cloudimg-arm64.img", UBUNTU_KEY},
        {"ubuntu-24.04", "amd64", "bios", "/ubuntu-24.04-server-cloudimg-amd64.img", UBUNTU_KEY},
        {"ubuntu-24.04", "amd64", "uefi", "/ubuntu-24.04-server-cloudimg-amd64.img", UBUNTU_KEY},
        {"ubuntu-24.04", "arm64", "uefi", "/ubuntu-24.04-server-cloudimg-arm64.img", UBUNTU_KEY},
        {"debian-12", "amd64", "bios", NULL, NULL},
        {"debian-12", "amd64", "uefi", NULL, NULL},
        {"debian-12", "arm64", "uefi", NULL, NULL},
    };
    autotempdir char *dir = unit_temp_dir();
    for (size_t i = 0; i < COUNT(all); i++) {
        autoarena struct arena *a = arena_new();
        put(dir, "r.yaml",
            arena_printf(a, "ingot: 1\nname: x\narch: %s\nbase: {name: %s, firmware: %s}\n",
                         all[i].arch, all[i].name, all[i].firmware));
        autorecipe struct recipe *r = load(a, dir, shipped, NULL);
        assert_string_equal(architecture_name(r->arch), all[i].arch);
        assert_int_equal(r->base.firmware,
                         strcmp(all[i].firmware, "uefi") == 0 ? FIRMWARE_UEFI : FIRMWARE_BIOS);
        if (!all[i].image) {
            assert_int_equal(r->base.kind, BASE_BOOTSTRAP);
            continue;
        }
        assert_true(text_ends_with(r->base.image.text, all[i].image));
        assert_true(text_starts_with(r->base.image.text, "https://"));
        assert_int_equal(r->base.verify.kind, VERIFY_CHECKSUMS);
        assert_true(text_starts_with(r->base.verify.checksums, "https://"));
        if (all[i].signer)
            assert_string_equal(r->base.verify.openpgp->fingerprint, all[i].signer);
        else
            assert_true(text_starts_with(r->base.verify.checksums, r->base.image.text));
    }
    struct arena *a = arena_new();
    assert_int_equal(recipe_names(a, shipped, LOOKUP_BASE).count, 5);
    arena_free(a);
}

static void firmware_default(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autoarena struct arena *a = arena_new();
    put(dir, "r.yaml", "ingot: 1\nname: x\nbase: alpine-3.24\n");
    autorecipe struct recipe *amd64 = load(a, dir, shipped, NULL);
    assert_int_equal(amd64->base.firmware, FIRMWARE_BIOS);
    autorecipe struct recipe *arm64 = load(a, dir, shipped, SETS("arch=arm64"));
    assert_int_equal(arm64->base.firmware, FIRMWARE_UEFI);
}

static void key_is_looked_for(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autotempdir char *etc = unit_temp_dir();
    autoarena struct arena *a = arena_new();
    const char *const search[] = {etc, NULL};
    put(dir, "r.yaml",
        "ingot: 1\nname: x\nbase:\n  image: https://example.com/@{arch}/x.img\n  verify:\n"
        "    checksums: https://example.com/@{arch}/SUMS\n"
        "    openpgp: {fingerprint: d2eb 4462 6fdd c30b 513d  5bb7 1a5d 6c4c 7db8 7c81,\n"
        "              signature: \"https://example.com/@{arch}/SUMS.gpg\", key: here.asc}\n");
    autorecipe struct recipe *none = load(a, dir, search, NULL);
    const struct openpgp *o = none->base.verify.openpgp;
    assert_string_equal(o->fingerprint, UBUNTU_KEY);
    assert_string_equal(o->signature.text, "https://example.com/amd64/SUMS.gpg");
    assert_null(o->key.text);
    assert_string_equal(o->looked[0], arena_printf(a, "%s/here.asc", dir));
    assert_string_equal(o->looked[1], arena_printf(a, "%s/keys/" UBUNTU_KEY ".asc", dir));
    assert_string_equal(o->looked[2], arena_printf(a, "%s/keys/" UBUNTU_KEY ".gpg", dir));
    assert_string_equal(o->looked[3], arena_printf(a, "%s/keys/" UBUNTU_KEY ".asc", etc));
    assert_string_equal(o->looked[4], arena_printf(a, "%s/keys/" UBUNTU_KEY ".gpg", etc));
    assert_null(o->looked[5]);
    put(etc, "keys/" UBUNTU_KEY ".gpg", "its name is enough here");
    autorecipe struct recipe *in_etc = load(a, dir, search, NULL);
    assert_string_equal(in_etc->base.verify.openpgp->key.text,
                        arena_printf(a, "%s/keys/" UBUNTU_KEY ".gpg", etc));
    put(dir, "keys/" UBUNTU_KEY ".asc", "its name is enough here");
    autorecipe struct recipe *beside = load(a, dir, search, NULL);
    assert_string_equal(beside->base.verify.openpgp->key.text,
                        arena_printf(a, "%s/keys/" UBUNTU_KEY ".asc", dir));
    put(dir, "here.asc", "its name is enough here");
    autorecipe struct recipe *named = load(a, dir, search, NULL);
    assert_string_equal(named->base.verify.openpgp->key.text, arena_printf(a, "%s/here.asc", dir));
    autorecipe struct recipe *url =
        load(a, dir, search, SETS("base.verify.openpgp.key=https://example.com/@{arch}.asc"));
    assert_string_equal(url->base.verify.openpgp->key.text, "https://example.com/amd64.asc");
}

/* A recipe says a part, and the profile the rest. */
static void completes_the_profile(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autoarena struct arena *a = arena_new();
    put(dir, "r.yaml", "ingot: 1\nname: x\nbase: ubuntu-24.04\n");
    put(dir, "k.asc", "its name is enough here");
    const char *key = arena_printf(a, "base.verify.openpgp.key=%s/k.asc", dir);
    autorecipe struct recipe *r = load(a, dir, shipped, SETS(key));
    const struct verify *v = &r->base.verify;
    assert_int_equal(v->kind, VERIFY_CHECKSUMS);
    assert_true(text_ends_with(v->checksums, "/24.04/release/SHA256SUMS"));
    assert_string_equal(v->openpgp->fingerprint, UBUNTU_KEY);
    assert_true(text_ends_with(v->openpgp->signature.text, "/SHA256SUMS.gpg"));
    assert_true(text_ends_with(v->openpgp->key.text, "/k.asc"));

    autorecipe struct recipe *other =
        load(a, dir, shipped, SETS(key, "base.verify.openpgp.fingerprint=" OTHER_KEY));
    assert_string_equal(other->base.verify.openpgp->fingerprint, OTHER_KEY);

    /* Another list must be signed as well. */
    autorecipe struct recipe *list =
        load(a, dir, shipped, SETS("base.verify.checksums=https://example.com/SUMS"));
    assert_string_equal(list->base.verify.checksums, "https://example.com/SUMS");
    assert_string_equal(list->base.verify.openpgp->fingerprint, UBUNTU_KEY);

    autorecipe struct recipe *digest = load(a, dir, shipped, SETS("base.verify.sha256=" A64));
    assert_int_equal(digest->base.verify.kind, VERIFY_DIGEST);
    assert_null(digest->base.verify.openpgp);
    autorecipe struct recipe *lock = load(a, dir, shipped, SETS("base.verify=lock"));
    assert_int_equal(lock->base.verify.kind, VERIFY_LOCK);
    assert_null(lock->base.verify.openpgp);
}

/* The same over a recipe instead of a profile. */
static void over_a_recipe(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autoarena struct arena *a = arena_new();
    put(dir, "r.yaml",
        "ingot: 1\nname: x\nbase:\n  image: https://example.com/x.img\n  verify:\n"
        "    checksums: https://example.com/SUMS\n    openpgp: {fingerprint: " UBUNTU_KEY
        ", signature: https://example.com/SUMS.gpg}\n");
    autorecipe struct recipe *list =
        load(a, dir, shipped, SETS("base.verify.checksums=https://example.com/OTHER"));
    assert_string_equal(list->base.verify.checksums, "https://example.com/OTHER");
    assert_string_equal(list->base.verify.openpgp->fingerprint, UBUNTU_KEY);
    autorecipe struct recipe *digest = load(a, dir, shipped, SETS("base.verify.sha256=" A64));
    assert_int_equal(digest->base.verify.kind, VERIFY_DIGEST);
    assert_null(digest->base.verify.openpgp);
    autorecipe struct recipe *back =
        load(a, dir, shipped,
             SETS("base.verify.sha256=" A64, "base.verify.checksums=https://example.com/SUMS"));
    assert_int_equal(back->base.verify.kind, VERIFY_CHECKSUMS);
    assert_null(back->base.verify.openpgp);
    put(dir, "r.yaml",
        "ingot: 1\nname: x\nbase:\n  image: https://example.com/x.img\n  verify: lock\n");
    autorecipe struct recipe *lock = load(a, dir, shipped, NULL);
    assert_int_equal(lock->base.verify.kind, VERIFY_LOCK);
    autorecipe struct recipe *after = load(a, dir, shipped, SETS("base.verify.sha256=" A64));
    assert_int_equal(after->base.verify.kind, VERIFY_DIGEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped_bases),     cmocka_unit_test(firmware_default),
        cmocka_unit_test(key_is_looked_for), cmocka_unit_test(completes_the_profile),
        cmocka_unit_test(over_a_recipe),
    };
    return cmocka_run_group_tests_name("recipe_verify", tests, NULL, NULL);
}
