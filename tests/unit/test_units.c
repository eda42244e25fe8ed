#include "unit.h"

#include "base/units.h"

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"4096", 4096},
                {"8GiB", 8 * GIB},
                {"1.5GiB", GIB + GIB / 2},
                {"512 MiB", 512 * MIB},
                {"1KiB", 1024}};
    static const char *const bad[] = {"",
                                      "8GB",
                                      "8G",
                                      "-1",
                                      "GiB",
                                      "1.GiB",
                                      "8GiB ",
                                      "0x10",
                                      "1e3",
                                      "99999999999999999999",
                                      "17179869184PiB"};
    const char *why;
    uint64_t n;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(units_parse_size(good[i].text, &n, &why));
        assert_int_equal(n, good[i].bytes);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(units_parse_size(bad[i], &n, &why));
    assert_false(units_parse_size("8GB", &n, &why));
    assert_string_equal(why, "sizes have IEC units: KiB, MiB, GiB, TiB");
}

static void durations(void **state)
{
    (void)state;
    const char *why;
    uint64_t s;
    assert_true(units_parse_duration("1h30m", &s, &why));
    assert_int_equal(s, 5400);
    assert_true(units_parse_duration("90s", &s, &why));
    assert_int_equal(s, 90);
    static const char *const bad[] = {"", "90", "1m1h", "1d", "m", "99999999999s", "1s1s"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(units_parse_duration(bad[i], &s, &why));
}

static void modes(void **state)
{
    (void)state;
    const char *why;
    mode_t m;
    assert_true(units_parse_mode("0644", &m, &why));
    assert_int_equal(m, 0644);
    assert_true(units_parse_mode("4755", &m, &why));
    assert_int_equal(m, 04755);
    static const char *const bad[] = {"", "64", "0888", "00644", "rwx", "-644"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(units_parse_mode(bad[i], &m, &why));
}

static void formats(void **state)
{
    (void)state;
    char out[16];
    assert_string_equal(units_format_size(812, out), "812 B");
    assert_string_equal(units_format_size(GIB + GIB / 2, out), "1.5 GiB");
    assert_string_equal(units_format_size(UINT64_MAX, out), "16 EiB");
    assert_string_equal(units_format_duration(3725, out), "1h02m");
    assert_string_equal(units_format_duration(187, out), "3m07s");
    assert_string_equal(units_format_duration(12, out), "12s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(durations),
        cmocka_unit_test(modes),
        cmocka_unit_test(formats),
    };
    return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
