#include "unit.h"

#include "source/verify_checksums.h"
#include "source/verify_digest.h"

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define A128 A64 A64
#define A40 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static bool find(const char *text, const char *name, enum digest_kind *kind,
                 char hex[DIGEST_HEX_MAX], struct error **err)
{
    return checksums_find(text, strlen(text), "SUMS", name, kind, hex, err);
}

static void good_files(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
        enum digest_kind kind;
    } good[] = {
        {A64 "  k3s\n", A64, DIGEST_SHA256},
        {A64 " *k3s\n", A64, DIGEST_SHA256},
        {A64 "  k3s", A64, DIGEST_SHA256},
        {A64 "  k3s\r\n", A64, DIGEST_SHA256},
        {A64 "  ./k3s\n", A64, DIGEST_SHA256},
        {"# comment\n\n" B64 "  k3s-arm64\n" A64 "  k3s\n", A64, DIGEST_SHA256},
        {A64 "  _dist/k3s\n" B64 "  _dist/k3s-arm64\n", A64, DIGEST_SHA256},
        {B64 "  other/k3s\n" A64 "  k3s\n", A64, DIGEST_SHA256},
        {A64 "  k3s\n" B64 "  other/k3s\n", A64, DIGEST_SHA256},
        {A64 "  a/k3s\n" A64 "  b/k3s\n", A64, DIGEST_SHA256},
        {"SHA256 (k3s) = " A64 "\n", A64, DIGEST_SHA256},
        {"SHA512 (k3s) = " A128 "\n", A128, DIGEST_SHA512},
        {"MD5 (k3s) = " A32 "\nSHA256 (k3s) = " A64 "\n", A64, DIGEST_SHA256},
        {A128 "  k3s\n" A64 "  k3s\n", A64, DIGEST_SHA256},
        {A128 "  k3s\n", A128, DIGEST_SHA512},
        {A64 "\n", A64, DIGEST_SHA256},
        {A128, A128, DIGEST_SHA512},
        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA  k3s\n", A64,
         DIGEST_SHA256},
        /* k3d's checksums.txt, k3s's sha256sum-amd64.txt, Alpine's .sha512 in both its forms */
        {B64 "  _dist/k3s-linux-amd64\n" A64 "  _dist/k3s\n" B64 "  _dist/k3s.exe\n", A64,
         DIGEST_SHA256},
        {B64 "  k3s-airgap-images-amd64.tar.zst\n" A64 "  k3s\n", A64, DIGEST_SHA256},
        {A128 "  k3s\n", A128, DIGEST_SHA512},
        {A128 "\n", A128, DIGEST_SHA512},
        {"# Hash of it\nSHA512 (./k3s) = " A128 "\n", A128, DIGEST_SHA512},
        {A64 "\t*k3s\n", A64, DIGEST_SHA256},
        {B64 "  k3s (copy)\n" A64 "  k3s\n", A64, DIGEST_SHA256},
        {B64 "  k3s \\n\n" A64 "  k3s\n", A64, DIGEST_SHA256},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        enum digest_kind kind;
        char hex[DIGEST_HEX_MAX];
        assert_ok(find(good[i].text, "k3s", &kind, hex, &err));
        assert_int_equal(kind, good[i].kind);
        assert_string_equal(hex, good[i].hex);
    }
}

static void bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"", "has no digest for 'k3s'"},
        {"\n\n", "has no digest"},
        {A64 "  k3s-arm64\n", "has no digest"},
        {A64 "  xk3s\n", "has no digest"},
        {A64 "k3s\n", "has no digest"},
        {A64 A40 "  k3s\n", "has no digest"},
        {"<html>404</html>\n", "has no digest"},
        {A64 "\n" B64 "\n", "has no digest"},
        {A64 "  k3s\n" B64 "  k3s\n", "several different"},
        {A64 "  a/k3s\n" B64 "  b/k3s\n", "several different"},
        {A40 "  k3s\n", "can be forged"},
        {A32 " *k3s\n", "can be forged"},
        {"SHA1 (k3s) = " A40 "\n", "can be forged"},
        {A40 "\n", "can be forged"},
        {"SHA256 (k3s) = " A128 "\n", "has no digest"},
        {"SHA256 (k3s) = xyz\n", "has no digest"},
        {"SHA256 (k3s) " A64 "\n", "has no digest"},
        {"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" A64
         "  k3s\n-----BEGIN PGP SIGNATURE-----\nabc\n",
         "is a clear-signed file"},
        {A64 "  k3s\n-----BEGIN PGP SIGNED MESSAGE-----\n\n" B64 "  k3s\n",
         "is a clear-signed file"},
        {"# " A64 "  k3s\n", "has no digest"},
        {A64 "  K3S\n", "has no digest"},
        {A64 "  k3s/\n", "has no digest"},
        {A64 "  k3s\n" B64 "  k3s\n" A64 "  k3s\n", "several different"},
        {"  k3s\n", "has no digest"},
        {A128 "  k3s\n" B64 B64 "  k3s\n", "several different"},
    };
    enum digest_kind kind;
    char hex[DIGEST_HEX_MAX];
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_fails(find(bad[i].text, "k3s", &kind, hex, &err), ERROR_TRUST, bad[i].part);
    assert_fails(checksums_find("a\0b", 3, "SUMS", "k3s", &kind, hex, &err), ERROR_TRUST, "NUL");
}

static void digests(void **state)
{
    (void)state;
    assert_ok(verify_digest("x", DIGEST_SHA256, A64, A64, &err));
    assert_ok(verify_digest("x", DIGEST_SHA256,
                            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", A64,
                            &err));
    assert_fails(verify_digest("x", DIGEST_SHA256, A64, B64, &err), ERROR_TRUST,
                 "expected " A64 ", got " B64);
    assert_fails(verify_digest("x", DIGEST_SHA256, "", "", &err), ERROR_TRUST, "expected");
    assert_fails(verify_digest("x", DIGEST_SHA512, A64, A64, &err), ERROR_TRUST, "sha512");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_files),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(digests),
    };
    return cmocka_run_group_tests_name("verify_checksums", tests, NULL, NULL);
}
