#include "inputs/inputs.h"
#include "inputs/internal.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <string.h>
#include <time.h>

#define MEMORY_HEADER "ingot inputs 1\n"
#define MEMORY_MAX_BYTES ((size_t)64 << 20)
#define MEMORY_MAX_ENTRIES 50000
#define RACY_NS (2 * (int64_t)1000000000)

/* One path: what is remembered of it from earlier runs, and what this run read. */
struct known {
    const char *path;
    struct file_stamp stamp;
    const char *digest;            /* of the time of stamp; NULL: nothing remembered */
    const struct input_file *file; /* this run's answer; NULL: not asked yet */
};

struct learned {
    const char *url, *digest;
};

struct inputs {
    struct arena *arena;
    char *cache_file;
    void *known; /* tree (tsearch) of struct known by path */
    size_t known_count;
    void *learned;
    bool changed;
    struct buffer *writing; /* while the memory is written */
    bool drop_unused;
};

static int compare_known(const void *a, const void *b)
{
    return strcmp(((const struct known *)a)->path, ((const struct known *)b)->path);
}

static int compare_learned(const void *a, const void *b)
{
    return strcmp(((const struct learned *)a)->url, ((const struct learned *)b)->url);
}

static struct known *find_known(struct inputs *in, const char *path, bool make)
{
    struct known key = {.path = path};
    struct known **found = tfind(&key, &in->known, compare_known);
    if (found)
        return *found;
    if (!make)
        return NULL;
    struct known *k = arena_new_of(in->arena, struct known);
    k->path = arena_strdup(in->arena, path);
    if (!tsearch(k, &in->known, compare_known))
        abort();
    in->known_count++;
    return k;
}

/* --- the memory between runs --------------------------------------------------------------------
 */

/* Lines of `DEVICE INODE SIZE MTIME_NS CTIME_NS SHA256 PATH`; a line that is not so ends the
 * reading: the memory is only a saving of time. */
static void read_memory(struct inputs *in)
{
    autoerror struct error *err = NULL;
    autofree char *text = NULL;
    size_t size;
    if (!file_read(in->cache_file, MEMORY_MAX_BYTES, &text, &size, &err)) {
        log_debug("no remembered digests: %s", error_text(err));
        return;
    }
    if (strncmp(text, MEMORY_HEADER, strlen(MEMORY_HEADER)) != 0)
        return;
    char *line = text + strlen(MEMORY_HEADER);
    for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        struct file_stamp s;
        char digest[SHA256_HEX];
        int at = 0;
        if (sscanf(line,
                   "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNd64 " %64[0-9a-f] %n",
                   &s.device, &s.inode, &s.size, &s.mtime_ns, &s.ctime_ns, digest, &at) != 6 ||
            at == 0 || line[at] != '/' || !digest_is_valid(DIGEST_SHA256, digest))
            return;
        struct known *k = find_known(in, line + at, true);
        k->stamp = s;
        k->digest = arena_strdup(in->arena, digest);
    }
}

static void write_one(const void *node, VISIT visit, void *data)
{
    struct inputs *in = data;
    const struct known *k = *(const struct known *const *)node;
    if ((visit != postorder && visit != leaf) || !k->digest || strchr(k->path, '\n') ||
        (in->drop_unused && !k->file))
        return;
    buffer_printf(in->writing,
                  "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " %s %s\n",
                  k->stamp.device, k->stamp.inode, k->stamp.size, k->stamp.mtime_ns,
                  k->stamp.ctime_ns, k->digest, k->path);
}

static void write_memory(struct inputs *in)
{
    autobuffer struct buffer b = {0};
    autoerror struct error *err = NULL;
    buffer_puts(&b, MEMORY_HEADER);
    // cppcheck-suppress autoVariables ; for the walk alone
    in->writing = &b;
    in->drop_unused = in->known_count > MEMORY_MAX_ENTRIES;
    twalk_r(in->known, write_one, in);
    in->writing = NULL;
    if (!file_write(in->cache_file, b.data, b.size, 0600, &err))
        log_debug("digests are not remembered: %s", error_text(err));
}

struct inputs *inputs_new(const char *cache_file)
{
    struct inputs *in = calloc(1, sizeof *in);
    if (!in)
        abort();
    in->arena = arena_new();
    if (cache_file) {
        in->cache_file = strdup(cache_file);
        if (!in->cache_file)
            abort();
        read_memory(in);
    }
    return in;
}

static void forget(void *node)
{
    (void)node; /* lives in the arena */
}

void inputs_free(struct inputs *in)
{
    if (!in)
        return;
    if (in->cache_file && in->changed)
        write_memory(in);
    tdestroy(in->known, forget);
    tdestroy(in->learned, forget);
    arena_free(in->arena);
    free(in->cache_file);
    free(in);
}

/* --- files --------------------------------------------------------------------------------------
 */

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * (int64_t)1000000000 + t.tv_nsec;
}

static bool is_fresh(const struct file_stamp *s, int64_t now)
{
    return s->mtime_ns > now - RACY_NS || s->ctime_ns > now - RACY_NS;
}

static bool hash_file(struct inputs *in, struct known *k, int fd, struct stat *st,
                      struct error **err)
{
    struct file_stamp before = file_stamp_of(st);
    char hex[DIGEST_HEX_MAX];
    int64_t start = now_ns();
    if (!digest_fd(DIGEST_SHA256, fd, hex, NULL, err))
        return error_wrap(err, "%s", k->path);
    if (fstat(fd, st) < 0)
        return error_errno(err, ERROR_INPUT, errno, "%s", k->path);
    struct file_stamp after = file_stamp_of(st);
    if (!file_stamp_equal(&before, &after))
        return error_set(err, ERROR_INPUT, "%s: was changed while it was read; try again", k->path);
    struct input_file *file = arena_new_of(in->arena, struct input_file);
    file->digest = arena_strdup(in->arena, hex);
    k->file = file;
    k->stamp = after;
    k->digest = is_fresh(&after, start) ? NULL : file->digest;
    in->changed = in->changed || k->digest;
    return true;
}

bool inputs_file(struct inputs *in, const char *path, const struct input_file **out,
                 struct error **err)
{
    struct known *k = find_known(in, path, true);
    if (k->file) {
        *out = k->file;
        return true;
    }
    /* A pipe must not make us wait: O_NONBLOCK. */
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, ERROR_INPUT, errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_INPUT, "%s: is %s, not a file", path,
                         S_ISDIR(st.st_mode) ? "a folder" : "a device, pipe or socket");
    struct file_stamp stamp = file_stamp_of(&st);
    if (k->digest && file_stamp_equal(&stamp, &k->stamp)) {
        struct input_file *file = arena_new_of(in->arena, struct input_file);
        file->digest = k->digest;
        k->file = file;
    } else if (!hash_file(in, k, fd, &st, err)) {
        return false;
    }
    struct input_file *file = (struct input_file *)k->file;
    file->path = k->path;
    file->size = (uint64_t)st.st_size;
    file->mode = st.st_mode & 07777;
    *out = file;
    return true;
}

bool inputs_text(struct inputs *in, const char *path, size_t max_bytes, const char **text,
                 size_t *size, struct error **err)
{
    autofree char *bytes = NULL;
    if (!file_read(path, max_bytes, &bytes, size, err))
        return false;
    const struct known *k = find_known(in, path, false);
    if (k && k->file) {
        char hex[DIGEST_HEX_MAX];
        digest_bytes(DIGEST_SHA256, bytes, *size, hex);
        if (strcmp(hex, k->file->digest) != 0)
            return error_set(err, ERROR_INPUT, "%s: was changed while it was read; try again",
                             path);
    }
    *text = arena_memdup(in->arena, bytes, *size + 1);
    return true;
}

/* --- digests of remote things --------------------------------------------------------------------
 */

void inputs_learn(struct inputs *in, const char *url, const char *sha256)
{
    struct learned key = {.url = url};
    struct learned **found = tfind(&key, &in->learned, compare_learned);
    struct learned *l = found ? *found : arena_new_of(in->arena, struct learned);
    l->digest = arena_strdup(in->arena, sha256);
    if (found)
        return;
    l->url = arena_strdup(in->arena, url);
    if (!tsearch(l, &in->learned, compare_learned))
        abort();
}

const char *inputs_learned(const struct inputs *in, const char *url)
{
    struct learned key = {.url = url};
    struct learned **found = tfind(&key, &in->learned, compare_learned);
    return found ? (*found)->digest : NULL;
}

struct arena *inputs_arena(struct inputs *in)
{
    return in->arena;
}
