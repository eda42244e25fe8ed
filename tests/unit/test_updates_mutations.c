/* layer: updates */
/* The fuzzer of update services over good answers with bytes changed, the same in every run. */
#include "unit.h"

#include "../fuzz/fuzz_updates.c"

#define ROUNDS 3000

/* xorshift64 (Marsaglia 2003). */
static uint64_t next_number(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static const char *const answers[] = {
    "\x10<a href=\"n-3.23.2-x-r0.q\">\n<a href='/i/n-3.23.10-x-r1.q'>\xff"
    "{\"latest_stable\":\"v3.24\",\"release_branches\":[{\"rel_branch\":\"v3.23\",\"eol_date\":"
    "\"2027-11-01\",\"releases\":[{\"version\":\"3.23.2\"},{\"version\":\"3.23.11\"}]}]}",
    "\x11{\"index\":{\"x\":{\"path\":\"p\",\"products\":[\"p\"]}}}\xff{\"products\":{\"p\":{"
    "\"support_eol\":\"2027-11-01\",\"versions\":{\"20241004\":{\"items\":{\"i\":{\"path\":\"x\","
    "\"sha256\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}}}}}}}",
    "\x12[{\"tag_name\":\"v1.2.4\",\"html_url\":\"https://a.example/1\",\"draft\":false},"
    "{\"tag_name\":\"v1.3.0-rc1\",\"prerelease\":true}]",
    "\x13{\"data\":[{\"id\":\"latest\",\"latest\":\"v2.0\"},{\"id\":\"stable\",\"latest\":"
    "\"v1.37.1+k3s1\"}]}",
};

static void mutations(void **state)
{
    (void)state;
    static const char words[] = "\"'{}[]:,<>/.-+r0 9\\\n\x01\x7f\xff\0v";
    uint64_t random = 88172645463325252ULL;
    for (size_t i = 0; i < COUNT(answers); i++)
        for (int round = 0; round < ROUNDS; round++) {
            uint8_t text[1024];
            size_t size = strlen(answers[i]);
            memcpy(text, answers[i], size);
            for (uint64_t n = next_number(&random) % 6; n; n--) {
                size_t at = 1 + next_number(&random) % (size - 1);
                uint64_t what = next_number(&random);
                if (what % 4 == 0 && size > 8)
                    memmove(text + at, text + at + 1, --size - at);
                else
                    text[at] = what % 4 == 1 ? (uint8_t)(what >> 8)
                                             : (uint8_t)words[(what >> 8) % (sizeof words - 1)];
            }
            assert_int_equal(LLVMFuzzerTestOneInput(text, size), 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(mutations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
