#include "unit.h"

#include "accel/accel.h"
#include "base/json.h"
#include "base/path.h"

/* A `qemu-system-x86_64` of our own stands first in PATH: it says its version, and answers the ROM
 * as it is told. Without /dev/kvm the ROM is not run, and what is tested is that. */
static void fake_qemu(const char *dir, const char *version, const char *act)
{
    autofree char *path = path_join(dir, "qemu-system-x86_64"), *text = NULL;
    assert_true(asprintf(&text,
                         "#!/bin/sh\ncase \"$1\" in --version) echo '%s'; exit 0;; esac\n"
                         "echo run >> '%s/runs'\n%s\n",
                         version, dir, act) > 0);
    assert_ok(file_write(path, text, strlen(text), 0755, &err));
}

static size_t runs(const char *dir)
{
    autofree char *path = path_join(dir, "runs"), *text = NULL;
    size_t size = 0;
    if (access(path, R_OK) == 0)
        assert_ok(file_read(path, 4096, &text, &size, &err));
    return size / strlen("run\n");
}

static void enter(const char *dir)
{
    autofree char *path = NULL;
    assert_true(asprintf(&path, "%s:/usr/bin:/bin", dir) > 0);
    setenv("PATH", path, 1);
    setenv("INGOT_ACCEL", "auto", 1);
}

static bool have_kvm(void)
{
    return access("/dev/kvm", R_OK | W_OK) == 0;
}

static void judged_by_rom(void **state)
{
    (void)state;
    static const struct {
        const char *act;
        enum accel_state state;
    } cases[] = {
        {"exit 33", ACCEL_PROBED},
        {"exit 0", ACCEL_BROKEN},
        {"kill -ABRT $$", ACCEL_BROKEN},
        {"exec sleep 60", ACCEL_BROKEN},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        autotempdir char *dir = unit_temp_dir();
        struct accel_verdict v;
        enter(dir);
        fake_qemu(dir, "QEMU 1", cases[i].act);
        assert_ok(accel_probe(NULL, &v, &err));
        if (have_kvm())
            assert_int_equal(v.state, cases[i].state);
        else
            assert_true(v.state <= ACCEL_DENIED);
        assert_int_equal(v.use, v.state >= ACCEL_PROBED ? ACCEL_KVM : ACCEL_TCG);
        assert_true(strlen(v.reason) > 10);
    }
}

static void remembered(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *cache = path_join(dir, "cache");
    struct accel_verdict v;
    size_t once = have_kvm() ? 1 : 0;
    enter(dir);
    fake_qemu(dir, "QEMU 1", "exit 1");
    assert_ok(accel_probe(cache, &v, &err));
    assert_ok(accel_probe(cache, &v, &err));
    assert_int_equal(runs(dir), once);
    /* Use has shown the contrary. */
    accel_report(cache, true, "a guest ran under KVM");
    assert_ok(accel_probe(cache, &v, &err));
    assert_int_equal(v.state, ACCEL_WORKS);
    assert_int_equal(v.use, ACCEL_KVM);
    assert_int_equal(runs(dir), once);
    accel_report(cache, false, "the guest printed nothing");
    assert_ok(accel_probe(cache, &v, &err));
    assert_int_equal(v.use, ACCEL_TCG);
    assert_string_equal(v.reason, "the guest printed nothing");
    /* Another QEMU is asked anew; so it is where the memory is damaged. */
    fake_qemu(dir, "QEMU 2", "exit 33");
    assert_ok(accel_probe(cache, &v, &err));
    assert_int_equal(runs(dir), 2 * once);
    autofree char *memory = path_join(cache, "accel.json");
    assert_ok(file_write(memory, "{\"state\": 7", 11, 0600, &err));
    assert_ok(accel_probe(cache, &v, &err));
    assert_int_equal(runs(dir), 3 * once);
}

static void forced(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    struct accel_verdict v;
    enter(dir);
    fake_qemu(dir, "QEMU 1", "exit 1");
    setenv("INGOT_ACCEL", "kvm", 1);
    assert_ok(accel_probe(NULL, &v, &err));
    assert_int_equal(v.use, ACCEL_KVM);
    setenv("INGOT_ACCEL", "tcg", 1);
    assert_ok(accel_probe(NULL, &v, &err));
    assert_int_equal(v.use, ACCEL_TCG);
    setenv("INGOT_ACCEL", "xen", 1);
    assert_fails(accel_probe(NULL, &v, &err), ERROR_USAGE, "not 'xen'");
    assert_int_equal(runs(dir), 0);
}

static void no_qemu(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    struct accel_verdict v;
    autofree char *old = strdup(getenv("PATH"));
    setenv("PATH", dir, 1);
    assert_fails(accel_probe(NULL, &v, &err), ERROR_HOST, "is not installed");
    setenv("PATH", old, 1);
}

/* The ROM itself, under the real QEMU where it is installed: whatever KVM does here, there is a
 * verdict in a few seconds. */
static void real(void **state)
{
    (void)state;
    struct accel_verdict v;
    setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
    setenv("INGOT_ACCEL", "auto", 1);
    if (access("/usr/bin/qemu-system-x86_64", X_OK) != 0)
        skip();
    assert_ok(accel_probe(NULL, &v, &err));
    print_message("%s\n", v.reason);
    assert_true(have_kvm() ? v.state >= ACCEL_BROKEN : v.state <= ACCEL_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judged_by_rom), cmocka_unit_test(remembered), cmocka_unit_test(forced),
        cmocka_unit_test(no_qemu),       cmocka_unit_test(real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
