#include "source/store.h"

#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#define RECORD_MAX ((size_t)64 << 10)

struct store {
    char *root;
    char *blobs;
};

static char *format_path(const char *a, const char *b, const char *c)
{
    char *s = NULL;
    if (asprintf(&s, "%s/%s%s", a, b, c) < 0)
        abort();
    return s;
}

/* The folder that the environment names; NULL where it names none. The XDG specification has
 * relative paths ignored. */
static char *wanted_root(void)
{
    const char *given = getenv("INGOT_CACHE"), *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (given && *given)
        return path_join(NULL, given);
    if (xdg && *xdg == '/')
        return path_join(xdg, "ingot");
    if (home && *home == '/')
        return path_join(home, ".cache/ingot");
    return NULL;
}

bool store_open(struct store **out, struct error **err)
{
    autofree char *root = wanted_root();
    if (!root)
        return error_set(err, ERROR_HOST,
                         "no folder for the cache: set INGOT_CACHE, or HOME to an absolute path");
    if (!file_make_dirs(root, 0700, err))
        return error_wrap(err, "the cache (INGOT_CACHE names another folder)");
    autostore struct store *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->root = path_absolute(".", root);
    s->blobs = path_join(s->root, "blobs/sha256");
    static const char *const folders[] = {"blobs/sha256", "stamps", "sources",
                                          "roots",        "locks",  "tmp"};
    for (size_t i = 0; i < COUNT(folders); i++) {
        autofree char *path = NULL;
        if (!store_folder(s, folders[i], &path, err))
            return error_wrap(err, "the cache (INGOT_CACHE names another folder)");
    }
    *out = take_ptr(s);
    return true;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    free(s->root);
    free(s->blobs);
    free(s);
}

const char *store_root(const struct store *s)
{
    return s->root;
}

bool store_folder(struct store *s, const char *name, char **path, struct error **err)
{
    *path = path_join(s->root, name);
    if (file_make_dirs(*path, 0700, err))
        return true;
    free(*path);
    *path = NULL;
    return false;
}

char *store_blob_path(const struct store *s, const char *sha256)
{
    return path_join(s->blobs, sha256);
}

/* root/FOLDER/SHA256 of text + suffix. */
static char *named_by_digest(const struct store *s, const char *folder, const char *text,
                             const char *suffix)
{
    char hex[DIGEST_HEX_MAX];
    digest_bytes(DIGEST_SHA256, text, strlen(text), hex);
    autofree char *name = format_path(folder, hex, suffix);
    return path_join(s->root, name);
}

/* One byte of one file for each lock: the first 63 bits of its name's digest say which. */
static int lock_name(const struct store *s, const char *hex, bool wait, const char *waiting,
                     struct error **err)
{
    char digits[17];
    autofree char *path = path_join(s->root, "locks/names");
    snprintf(digits, sizeof digits, "%.16s", hex);
    return file_lock_byte(path, strtoull(digits, NULL, 16) >> 1, wait, waiting, err);
}

int store_lock(const struct store *s, const char *text, const char *waiting, struct error **err)
{
    char hex[DIGEST_HEX_MAX];
    digest_bytes(DIGEST_SHA256, text, strlen(text), hex);
    return lock_name(s, hex, true, waiting, err);
}

int store_try_lock(const struct store *s, const char *text, struct error **err)
{
    char hex[DIGEST_HEX_MAX];
    digest_bytes(DIGEST_SHA256, text, strlen(text), hex);
    return lock_name(s, hex, false, NULL, err);
}

int store_try_lock_digest(const struct store *s, const char *sha256, struct error **err)
{
    return lock_name(s, sha256, false, NULL, err);
}

int store_use(struct store *s, bool alone, struct error **err)
{
    autofree char *path = path_join(s->root, "locks/use");
    autoerror struct error *why = NULL;
    int fd = file_lock(path, alone, !alone, "the cache is being cleaned up: waiting for it", &why);
    if (fd >= 0)
        return fd;
    if (alone && error_kind(why) == ERROR_CONFLICT)
        error_set(err, ERROR_CONFLICT,
                  "a build is using the cache %s: clean it up when nothing is built", s->root);
    else
        error_set(err, error_kind(why), "%s", error_text(why));
    return -1;
}

/* --- what is remembered of a source --------------------------------------------------------------
 */

json_t *store_recall(const struct store *s, const char *text)
{
    autofree char *path = named_by_digest(s, "sources", text, ".json");
    autoerror struct error *why = NULL;
    json_t *j = NULL;
    if (access(path, F_OK) != 0)
        return NULL;
    if (!json_read_file(path, RECORD_MAX, &j, &why)) {
        log_debug("a record of the cache is not used: %s", error_text(why));
        return NULL;
    }
    return j;
}

/* Whole or not at all, but not waited for: what is lost with the power is only asked again. */
void store_remember(struct store *s, const char *text, const json_t *record)
{
    autofree char *path = named_by_digest(s, "sources", text, ".json");
    autofree char *json = json_pretty(record);
    autoerror struct error *why = NULL;
    if (!file_write_unsynced(path, json, strlen(json), 0600, &why))
        log_debug("a source is not remembered: %s", error_text(why));
}

void store_add_root(const struct store *s, const char *lock_path)
{
    autofree char *full = path_absolute(".", lock_path);
    autofree char *path = named_by_digest(s, "roots", full, ".json");
    autojson json_t *j = json_object();
    autoerror struct error *why = NULL;
    json_set_string(j, "lock", full);
    if (access(path, F_OK) != 0 && !json_write_file(path, j, 0600, &why))
        log_debug("the cache does not keep what %s names: %s", full, error_text(why));
}
