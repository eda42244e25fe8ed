/* layer: source */
/* The fuzzers of tests/fuzz over good texts with bytes changed, the same in every run. */
#include "unit.h"

#include "base/log.h"

#define LLVMFuzzerTestOneInput fuzz_checksums
#include "../fuzz/fuzz_checksums.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_unit
#include "../fuzz/fuzz_unit.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_http_fields
#include "../fuzz/fuzz_http_fields.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_lock
#include "../fuzz/fuzz_lock.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_contract
#include "../fuzz/fuzz_contract.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_packages
#include "../fuzz/fuzz_packages.c"
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

static void contracts(void **state)
{
    (void)state;
    mutate(
        "{\"contract\":1,\"requires\":[],\"name\":\"x\",\"arch\":\"amd64\",\"firmware\":\"bios\","
        "\"os\":{\"id\":\"debian\",\"init\":\"systemd\"},\"files\":[{\"role\":\"disk\",\"name\":"
        "\"x.qcow2\",\"format\":\"qcow2\",\"bytes\":1,\"sha256\":\"" A64 "\"}],\"minimum\":{"
        "\"memory\":1,\"cpus\":1,\"disk\":1},\"recommended\":{\"memory\":1,\"cpus\":1,\"disk\":1},"
        "\"seed\":{\"kind\":\"cloud-init\"},\"agent\":true,\"ports\":[{\"host\":1,\"guest\":2}]}",
        fuzz_contract);
}

static void package_managers(void **state)
{
    (void)state;
    mutate("C:Q1abc=\nP:musl\nV:1.2.4-r4\nA:x86_64\nS:381\nI:622\n\nP:zlib\nV:1\nA:x86_64\nS:1\n\n",
           fuzz_packages);
    mutate("(1/2) Installing musl (1.2.4-r4)\n(2/2) Upgrading zlib (1-r0 -> 1-r1)\nOK: 8 MiB in 3 "
           "packages\n",
           fuzz_packages);
    mutate("# x\n@edge "
           "https://example.invalid/edge/main\nhttps://example.invalid/v3.19/main\n/media/x\n",
           fuzz_packages);
    mutate("'https://example.invalid/a_1_amd64.deb' a_1_amd64.deb 123 SHA256:" A64, fuzz_packages);
}

static void answers_and_mirrors(void **state)
{
    (void)state;
    mutate("bytes 10-99/100", fuzz_http_fields);
    mutate("Sun, 06 Nov 1994 08:49:37 GMT", fuzz_http_fields);
    mutate("Sunday, 06-Nov-94 08:49:37 GMT", fuzz_http_fields);
    mutate("https://h/a=https://m.example/b sha256:=!/srv/blobs https://h=file:///srv/m",
           fuzz_http_fields);
}

static void locks(void **state)
{
    (void)state;
    mutate("{\"ingot_lock\":1,\"epoch\":1,\"amd64\":{\"base\":{\"url\":\"https://a.example/"
           "x\",\"sha256\":\"" A64
           "\",\"bytes\":1,\"verified\":\"first use\"},\"sources\":{\"./a\":{"
           "\"sha256\":\"" A64 "\",\"bytes\":1,\"verified\":\"sha256\"}},\"packages\":{\"wanted\":["
           "\"a\"],\"packages\":[{\"name\":\"a\",\"version\":\"1\",\"architecture\":\"amd64\","
           "\"url\":\"file://../a\",\"filename\":\"a\",\"size\":1,\"sha256\":\"" A64 "\"}],"
           "\"indexes\":[]}}}",
           fuzz_lock);
}

int main(void)
{
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksum_files),      cmocka_unit_test(units_and_templates),
        cmocka_unit_test(contracts),           cmocka_unit_test(package_managers),
        cmocka_unit_test(answers_and_mirrors), cmocka_unit_test(locks),
    };
    return cmocka_run_group_tests_name("mutations", tests, NULL, NULL);
}
