/* layer: source */
/* The fuzzers of tests/fuzz over good texts with bytes changed, the same in every run. */
#include "unit.h"

#define LLVMFuzzerTestOneInput fuzz_checksums
#include "../fuzz/fuzz_checksums.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_unit
#include "../fuzz/fuzz_unit.c"
#undef LLVMFuzzerTestOneInput

#define ROUNDS 4000
#define MAX_SIZE 1024

/* xorshift64 (Marsaglia 2003): enough to choose bytes with, and no seed from outside. */
static uint64_t next_number(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void mutate(const char *seed, int (*fuzz)(const uint8_t *data, size_t size))
{
    static const char words[] = "\n\r\0\\=[]()* /.@{}\xff%-0aZ";
    uint64_t state = 88172645463325252ULL;
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t text[MAX_SIZE];
        size_t size = strlen(seed) < MAX_SIZE ? strlen(seed) : MAX_SIZE;
        memcpy(text, seed, size);
        for (uint64_t n = next_number(&state) % 6; n && size; n--) {
            size_t at = next_number(&state) % size;
            if (next_number(&state) % 4 == 0) { /* cut a piece out */
                size_t piece = next_number(&state) % (size - at) + 1;
                memmove(text + at, text + at + piece, size - at - piece);
                size -= piece;
            } else {
                text[at] = (uint8_t)words[next_number(&state) % (sizeof words - 1)];
            }
        }
        assert_int_equal(fuzz(text, size), 0);
    }
}

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void checksum_files(void **state)
{
    (void)state;
    mutate("# sums\n" A64 "  k3s\n" A64 " *x/k3s\nSHA256 (k3s) = " A64 "\nSHA512 (k3s) = " A64 A64
           "\nMD5 (y) = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
           fuzz_checksums);
    mutate(A64, fuzz_checksums);
}

static void units_and_templates(void **state)
{
    (void)state;
    mutate(
        "[Unit]\nDescription=@{name}\n[Install]\nWantedBy=a.target \\\n b.target\n;c\nAlias=@@{x}\n"
        "DefaultInstance=tty1\nAlso=@{arch}.socket\n",
        fuzz_unit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksum_files),
        cmocka_unit_test(units_and_templates),
    };
    return cmocka_run_group_tests_name("mutations", tests, NULL, NULL);
}
