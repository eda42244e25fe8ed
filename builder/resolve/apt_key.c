#include "resolve/apt_key.h"

#include "base/file.h"
#include "base/path.h"
#include "base/process.h"
#include "base/text.h"
#include "resolve/apt.h"

#include <ctype.h>
#include <string.h>

#define KEY_MAX (1 << 20)

bool apt_key_is_armoured(const char *text)
{
    return strstr(text, "-----BEGIN PGP PUBLIC KEY BLOCK-----") != NULL;
}

bool apt_key_copy(const char *key, const char *folder, unsigned n, char **name, struct error **err)
{
    autofree char *text = NULL;
    size_t size;
    if (!file_read(key, KEY_MAX, &text, &size, err))
        return false;
    if (size == 0)
        return error_set(err, ERROR_TRUST, "'%s' is empty", key);
    if (asprintf(name, "etc/keys/%u.%s", n, apt_key_is_armoured(text) ? "asc" : "gpg") < 0)
        abort();
    autofree char *path = path_join(folder, *name);
    return file_write(path, text, size, 0600, err);
}

/* Upper case, no blanks. */
static char *plain(const char *fingerprint)
{
    char *out = calloc(1, strlen(fingerprint) + 1);
    if (!out)
        abort();
    size_t used = 0;
    for (const char *c = fingerprint; *c; c++)
        if (!isspace((unsigned char)*c))
            out[used++] = (char)toupper((unsigned char)*c);
    return out;
}

/* The primary keys' fingerprints in gpg's listing (GnuPG's doc/DETAILS): `fpr` behind each `pub`,
 * in field 10. */
static bool judge(char *listing, const char *wanted, struct error **err)
{
    unsigned keys = 0;
    bool primary = false, right = false;
    autofree char *found = NULL;
    char *save = NULL;
    for (char *l = strtok_r(listing, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        if (text_starts_with(l, "pub:")) {
            primary = true;
            keys++;
        } else if (primary && text_starts_with(l, "fpr:")) {
            primary = false;
            char *at = l;
            for (unsigned field = 1; field < 10 && at; field++)
                at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL;
            if (!at)
                continue;
            at[strcspn(at, ":")] = '\0';
            right = strcmp(at, wanted) == 0;
            free(found);
            found = strdup(at);
        }
    }
    if (keys == 1 && right)
        return true;
    if (keys > 1)
        return error_set(err, ERROR_TRUST, "there are %u keys in the file, and one is wanted: %s",
                         keys, wanted);
    return error_set(err, ERROR_TRUST, "the key has the fingerprint %s, not %s",
                     found ? found : "(none)", wanted);
}

bool apt_check_key(const char *key, const char *fingerprint, const char *tmp, struct error **err)
{
    autofree char *wanted = plain(fingerprint);
    size_t n = strlen(wanted);
    if ((n != 40 && n != 64) || strspn(wanted, "0123456789ABCDEF") != n)
        return error_set(err, ERROR_INPUT, "'%.80s' is no full fingerprint of a key", fingerprint);
    autotempdir char *home = NULL;
    if (!file_temp_dir(tmp, ".gpg-", &home, err))
        return false;
    const char *const argv[] = {
        "gpg",     "--batch",     "--no-options", "--homedir", home, "--with-colons",
        "--quiet", "--show-keys", "--",           key,         NULL};
    struct process p = {.argv = argv, .timeout_seconds = 60};
    autoresult struct process_result result = {0};
    if (!process_check(&p, ERROR_TRUST, &result, err))
        return error_wrap(err, "cannot read the key '%s' (this needs the package gpg)", key);
    return judge(result.out.data ? result.out.data : (char[]){""}, wanted, err);
}
