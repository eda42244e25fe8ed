#include "unit.h"

#include "source/http_fields.h"

static void content_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t first, last, whole;
    } good[] = {
        {"bytes 0-0/1", 0, 0, 1},
        {"bytes 10-99/100", 10, 99, 100},
        {"bytes 10-99/*", 10, 99, 0},
        {"Bytes  5-5/9000000000000000000", 5, 5, 9000000000000000000},
    };
    static const char *const bad[] = {
        "",
        "bytes",
        "bytes 0-0",
        "bytes */10",
        "bytes 9-1/10",
        "bytes 0-9/9",
        "bytes -1-9/10",
        "bytes 0-9/10x",
        "bytes=0-9/10",
        "items 0-9/10",
        "bytes 0-99999999999999999999999/*",
        "bytes 0 - 9/10",
    };
    uint64_t first, last, whole;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(http_content_range(good[i].text, &first, &last, &whole));
        assert_int_equal(first, good[i].first);
        assert_int_equal(last, good[i].last);
        assert_int_equal(whole, good[i].whole);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        if (http_content_range(bad[i], &first, &last, &whole))
            fail_msg("'%s' was taken", bad[i]);
}

static void dates(void **state)
{
    (void)state;
    /* RFC 9110, section 5.6.7: all three are one moment. */
    static const char *const same[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                       "Sunday, 06-Nov-94 08:49:37 GMT",
                                       "Sun Nov  6 08:49:37 1994"};
    static const char *const bad[] = {"",
                                      "now",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "Sun, 06 Nov 1994 08:49:37 CET",
                                      "Sun, 06 Now 1994 08:49:37 GMT",
                                      "Sun, 46 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 24:49:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:37 GMT+1"};
    time_t t;
    for (size_t i = 0; i < COUNT(same); i++) {
        assert_true(http_date(same[i], &t));
        assert_int_equal(t, 784111777);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        if (http_date(bad[i], &t))
            fail_msg("'%s' was taken", bad[i]);
}

static void waiting(void **state)
{
    (void)state;
    uint64_t s = 99;
    assert_true(http_retry_after("120", 0, &s));
    assert_int_equal(s, 120);
    assert_true(http_retry_after("0", 0, &s));
    assert_int_equal(s, 0);
    assert_true(http_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111770, &s));
    assert_int_equal(s, 7);
    assert_true(http_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111780, &s));
    assert_int_equal(s, 0);
    assert_false(http_retry_after("soon", 0, &s));
    assert_false(http_retry_after("-1", 0, &s));
    assert_false(http_retry_after("99999999999999999999", 0, &s));
}

static void validators(void **state)
{
    (void)state;
    static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";
    static const char before[] = "Sun, 06 Nov 1994 08:48:37 GMT";
    static const char just[] = "Sun, 06 Nov 1994 08:49:00 GMT";
    assert_string_equal(http_strong_validator("\"v1\"", before, date), "\"v1\"");
    assert_null(http_strong_validator("W/\"v1\"", before, date));
    assert_null(http_strong_validator("v1", before, date));
    assert_null(http_strong_validator("\"", before, date));
    assert_string_equal(http_strong_validator(NULL, before, date), before);
    assert_null(http_strong_validator(NULL, just, date));
    assert_null(http_strong_validator(NULL, before, NULL));
    assert_null(http_strong_validator(NULL, "yesterday", date));
    assert_null(http_strong_validator(NULL, NULL, date));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_ranges),
        cmocka_unit_test(dates),
        cmocka_unit_test(waiting),
        cmocka_unit_test(validators),
    };
    return cmocka_run_group_tests_name("http_fields", tests, NULL, NULL);
}
