#include "unit.h"

#include "updates/version.h"

/* Every version comes before all that follow it. */
static void check_order(const char *const *versions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++) {
            int c = version_compare(versions[i], versions[k]);
            if ((c > 0) - (c < 0) != (i > k) - (i < k))
                fail_msg("'%s' and '%s' compare as %d", versions[i], versions[k], c);
        }
}

#define CHECK_ORDER(...)                                                                           \
    do {                                                                                           \
        static const char *const versions[] = {__VA_ARGS__};                                       \
        check_order(versions, COUNT(versions));                                                    \
    } while (0)

static void orders(void **state)
{
    (void)state;
    CHECK_ORDER("3.9.0", "3.23.8", "3.23.9", "3.23.10", "3.24.0", "10.0.0");
    CHECK_ORDER("3.23", "3.23.0", "3.23.1");
    CHECK_ORDER("v1.9.0+k3s1", "v1.36.4+k3s1", "v1.37.0+k3s1", "v1.37.1-rc1+k3s1",
                "v1.37.1-rc2+k3s1", "v1.37.1-rc10+k3s1", "v1.37.1", "v1.37.1+k3s1", "v1.37.1+k3s2",
                "v1.37.1+k3s10", "v1.37.2+k3s1");
    CHECK_ORDER("1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.2", "1.0.0-beta", "1.0.0-beta.2",
                "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.0+build");
    CHECK_ORDER("1.2~rc1", "1.2", "1.2-r0", "1.2-r1", "1.2-r10", "1.2.1-r0");
    CHECK_ORDER("1.2_alpha1-r0", "1.2_beta1-r0", "1.2_pre2-r0", "1.2_rc1-r0", "1.2-r0", "1.2_p1-r0",
                "1.2_p2-r0", "1.2a-r0", "1.2.1_rc1-r0", "1.2.1-r0");
    CHECK_ORDER("20191231", "20240423", "20241004", "20241004.1", "20250101");
    CHECK_ORDER("2024-04-23", "2024-10-04", "2025-01-01");
    CHECK_ORDER("99999999999999999999999998", "99999999999999999999999999",
                "100000000000000000000000000");
    CHECK_ORDER("", "1");
}

static void equals(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
    } same[] = {
        {"", ""},
        {"1.2.3", "1.2.3"},
        {"v1.2.3", "1.2.3"},
        {"V1.2.3", "v1.2.3"},
        {"1.02.3", "1.2.3"},
        {"1.000", "1.0"},
        {"v1.0+k3s1", "1.0+k3s1"},
        {"1.2-r0", "1.2-r00"},
    };
    for (size_t i = 0; i < COUNT(same); i++) {
        assert_int_equal(version_compare(same[i].a, same[i].b), 0);
        assert_int_equal(version_compare(same[i].b, same[i].a), 0);
    }
    assert_int_not_equal(version_compare("v", "w"), 0);
}

/* Whatever the texts are: the order is one. */
static void any_text_has_a_place(void **state)
{
    (void)state;
    static const char letters[] = "0019.v-+_~rcp\x80";
    char texts[60][8];
    uint32_t seed = 1;
    for (size_t i = 0; i < COUNT(texts); i++) {
        size_t n = i % 7;
        for (size_t k = 0; k < n; k++) {
            seed = seed * 1664525 + 1013904223;
            texts[i][k] = letters[(seed >> 16) % (sizeof letters - 1)];
        }
        texts[i][n] = '\0';
    }
    for (size_t i = 0; i < COUNT(texts); i++)
        for (size_t k = 0; k < COUNT(texts); k++) {
            int ik = version_compare(texts[i], texts[k]), ki = version_compare(texts[k], texts[i]);
            assert_int_equal((ik > 0) - (ik < 0), (ki < 0) - (ki > 0));
            for (size_t m = 0; m < COUNT(texts); m++)
                if (ik <= 0 && version_compare(texts[k], texts[m]) <= 0 &&
                    version_compare(texts[i], texts[m]) > 0)
                    fail_msg("'%s' <= '%s' <= '%s', but not the first and the last", texts[i],
                             texts[k], texts[m]);
        }
}

static void valid(void **state)
{
    (void)state;
    static const char *const good[] = {"1",        "v1.37.1+k3s1", "3.24.2",
                                       "20241004", "1.2~rc1",      "bookworm-20240101"};
    static const char *const bad[] = {"",     "latest", "1.2 3", "1.2\n",      "1.2\033[31m",
                                      "-1.2", ".1",     "1/2",   "\xc3\xa9 1", "1.2\x7f",
                                      "1<b>", "1;rm"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(version_is_valid(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(version_is_valid(bad[i]));
    char longest[66];
    memset(longest, '1', 65);
    longest[65] = '\0';
    assert_false(version_is_valid(longest));
    longest[64] = '\0';
    assert_true(version_is_valid(longest));
}

static void dates(void **state)
{
    (void)state;
    assert_true(version_is_date("2028-06-01"));
    static const char *const bad[] = {"",           "2028",       "2028-06",    "2028-13-01",
                                      "2028-00-01", "2028-06-32", "2028-06-00", "2028-06-01 ",
                                      "2028/06/01", "20280601",   "soon",       "2028-6-1"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(version_is_date(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders), cmocka_unit_test(equals), cmocka_unit_test(any_text_has_a_place),
        cmocka_unit_test(valid),  cmocka_unit_test(dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
