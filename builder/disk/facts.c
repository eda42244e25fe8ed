/* Facts of the base, read through any open disk. What stands in the guest is somebody else's text:
 * everything is bounded, and what does not look right is left out or refused. */
#include "base/digest.h"
#include "base/log.h"
#include "disk/mounts.h"
#include "disk/partitions.h"
#include "disk/writer.h"

#include <ctype.h>
#include <string.h>

#define MAX_SMALL (64 * 1024)
#define MAX_DATABASE (64 * 1024 * 1024)
#define MAX_VALUE 200
#define MAX_PACKAGES 100000

static bool exists(struct disk *d, const char *path, bool *found, struct error **err)
{
    struct disk_stat st;
    return d->writer->stat(d, path, true, &st, found, err);
}

/* The text of a file, or NULL where there is none. */
static bool read_if(struct disk *d, const char *path, size_t max, char **text, size_t *size,
                    struct error **err)
{
    struct disk_stat st;
    bool found;
    *text = NULL;
    *size = 0;
    if (!d->writer->stat(d, path, true, &st, &found, err))
        return false;
    if (!found || !S_ISREG(st.mode))
        return true;
    return d->writer->read(d, path, max, text, size, err);
}

/* The first of some paths that is there is true. */
static bool any_exists(struct disk *d, const char *const *paths, bool *found, struct error **err)
{
    *found = false;
    for (; *paths && !*found; paths++)
        if (!exists(d, *paths, found, err))
            return false;
    return true;
}

/* os-release(5): a value may stand in quotes, with backslashes before $ " ` \. */
static const char *unquote(struct arena *a, const char *s, size_t n)
{
    if (n >= 2 && (*s == '"' || *s == '\'') && s[n - 1] == *s) {
        s++;
        n -= 2;
    }
    if (n > MAX_VALUE)
        n = MAX_VALUE;
    char *out = arena_alloc(a, n + 1);
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\\' && i + 1 < n)
            i++;
        out[used++] = s[i];
    }
    for (size_t i = 0; i < used; i++)
        if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
            out[i] = ' ';
    return out;
}

static bool is_word(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("._+-~:", *s))
            return false;
    return true;
}

static bool read_os_release(struct disk *d, struct arena *a, struct facts *f, struct error **err)
{
    const struct {
        const char *key;
        const char **value;
        bool word;
    } keys[] = {
        {"ID", &f->os, true},
        {"VERSION_ID", &f->os_version, true},
        {"PRETTY_NAME", &f->pretty_name, false},
        {"VERSION_CODENAME", &f->codename, true},
    };
    for (size_t i = 0; i < COUNT(keys); i++)
        *keys[i].value = "";
    static const char *const paths[] = {"/etc/os-release", "/usr/lib/os-release"};
    autofree char *text = NULL;
    size_t size;
    for (size_t i = 0; i < COUNT(paths) && !text; i++)
        if (!read_if(d, paths[i], MAX_SMALL, &text, &size, err))
            return false;
    if (!text)
        return error_set(err, ERROR_INPUT, "the base has no /etc/os-release");
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        size_t n = strcspn(line, "=");
        for (size_t i = 0; line[n] == '=' && i < COUNT(keys); i++) {
            if (strlen(keys[i].key) != n || memcmp(line, keys[i].key, n) != 0)
                continue;
            size_t end = strlen(line + n + 1);
            while (end && isspace((unsigned char)line[n + end]))
                end--;
            const char *value = unquote(a, line + n + 1, end);
            if (!keys[i].word || is_word(value))
                *keys[i].value = value;
        }
    }
    if (!*f->os)
        return error_set(err, ERROR_INPUT, "the /etc/os-release of the base has no proper ID");
    return true;
}

/* Names of architectures as Debian writes them, from apk's names and ELF's machine numbers. */
static const struct {
    const char *name, *apk;
    unsigned char elf_machine;
} architectures[] = {
    {"amd64", "x86_64", 62},     {"arm64", "aarch64", 183}, {"armhf", "armv7", 40},
    {"riscv64", "riscv64", 243}, {"s390x", "s390x", 22},    {"ppc64el", "ppc64le", 21},
    {"i386", "x86", 3},
};

static const char *architecture_of(const char *s)
{
    for (size_t i = 0; i < COUNT(architectures); i++)
        if (strcmp(s, architectures[i].name) == 0 || strcmp(s, architectures[i].apk) == 0)
            return architectures[i].name;
    return NULL;
}

/* e_machine of the ELF header, at byte 18 (elf(5)); all of ours are little-endian but s390x. */
static bool architecture_from_elf(struct disk *d, const char **out, struct error **err)
{
    static const char *const paths[] = {"/bin/sh", "/bin/busybox", "/usr/bin/env"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        autofree char *text = NULL;
        size_t size;
        if (!read_if(d, paths[i], MAX_DATABASE, &text, &size, err))
            return false;
        if (!text || size < 20 || memcmp(text, "\177ELF", 4) != 0)
            continue;
        unsigned char machine = (unsigned char)text[text[5] == 2 ? 19 : 18];
        for (size_t j = 0; j < COUNT(architectures); j++)
            if (architectures[j].elf_machine == machine)
                *out = architectures[j].name;
        return true;
    }
    return true;
}

/* A package database: stanzas parted by empty lines, of lines "KEY:value". */
struct database {
    const char *path;
    const char *name_key, *architecture_key, *status_key;
    enum package_manager manager;
};
static const struct database databases[] = {
    {"/var/lib/dpkg/status", "Package: ", "Architecture: ", "Status: ", PACKAGES_APT},
    {"/lib/apk/db/installed", "P:", "A:", NULL, PACKAGES_APK},
    {"/usr/lib/apk/db/installed", "P:", "A:", NULL, PACKAGES_APK},
};

static bool starts(const char *line, size_t n, const char *key, const char **value)
{
    size_t k = strlen(key);
    *value = line + k;
    return n > k && memcmp(line, key, k) == 0;
}

struct stanza {
    const char *name; /* arena */
    bool installed;
};

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void end_stanza(struct stanza *s, const char **names, size_t *count)
{
    if (s->name && s->installed && *count < MAX_PACKAGES)
        names[(*count)++] = s->name;
    *s = (struct stanza){.installed = s->installed};
}

static void read_packages(struct arena *a, const struct database *db, const char *text,
                          struct facts *f)
{
    autofree const char **names = calloc(MAX_PACKAGES, sizeof *names);
    if (!names)
        abort();
    size_t count = 0;
    struct stanza s = {.installed = !db->status_key};
    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        const char *value;
        if (n == 0) {
            end_stanza(&s, names, &count);
            s.installed = !db->status_key;
        } else if (starts(line, n, db->name_key, &value)) {
            s.name = arena_strndup(a, value, (size_t)(line + n - value));
            if (!is_word(s.name))
                s.name = NULL;
        } else if (db->status_key && starts(line, n, db->status_key, &value)) {
            static const char ok[] = " ok installed"; /* "install" or "hold" in front */
            size_t v = (size_t)(line + n - value), k = sizeof ok - 1;
            s.installed = v >= k && memcmp(value + v - k, ok, k) == 0;
        } else if (!f->architecture && starts(line, n, db->architecture_key, &value)) {
            autofree char *word = strndup(value, (size_t)(line + n - value));
            f->architecture = word ? architecture_of(word) : NULL; /* "all", "noarch": the next */
        }
        line += n + (line[n] == '\n');
    }
    end_stanza(&s, names, &count);
    if (count)
        qsort(names, count, sizeof *names, by_text);
    const char **installed = arena_alloc(a, (count + 1) * sizeof *installed);
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        if (used == 0 || strcmp(installed[used - 1], names[i]) != 0) /* two architectures */
            installed[used++] = names[i];
    f->installed = installed;
}

static bool read_database(struct disk *d, struct arena *a, struct facts *f, struct error **err)
{
    static const char *const none[] = {NULL};
    f->packages = PACKAGES_NONE;
    f->installed = none;
    f->package_database_digest = "";
    for (size_t i = 0; i < COUNT(databases); i++) {
        autofree char *text = NULL;
        size_t size;
        if (!read_if(d, databases[i].path, MAX_DATABASE, &text, &size, err))
            return error_wrap(err, "cannot read the package database of the base");
        if (!text)
            continue;
        char hex[DIGEST_HEX_MAX];
        digest_bytes(DIGEST_SHA256, text, size, hex);
        f->package_database_digest = arena_strdup(a, hex);
        f->packages = databases[i].manager;
        read_packages(a, &databases[i], text, f);
        return true;
    }
    return true;
}

static bool read_architecture(struct disk *d, struct facts *f, struct error **err)
{
    autofree char *text = NULL;
    size_t size;
    if (f->packages == PACKAGES_APK) { /* apk's own word for it goes before the packages' */
        if (!read_if(d, "/etc/apk/arch", MAX_SMALL, &text, &size, err))
            return false;
        if (text) {
            text[strcspn(text, "\r\n \t")] = '\0';
            const char *known = architecture_of(text);
            f->architecture = known ? known : f->architecture;
        }
    }
    if (!f->architecture && !architecture_from_elf(d, &f->architecture, err))
        return false;
    if (!f->architecture)
        return error_set(err, ERROR_INPUT, "cannot tell the architecture of the base");
    return true;
}

/* Things that are told by what is there. */
static bool read_marks(struct disk *d, struct facts *f, struct error **err)
{
    static const char *const systemd[] = {"/usr/lib/systemd/systemd", "/lib/systemd/systemd", NULL},
                             *const openrc[] = {"/sbin/openrc", "/usr/sbin/openrc",
                                                "/sbin/openrc-run", NULL},
                             *const cloud_init[] = {"/usr/bin/cloud-init", "/bin/cloud-init", NULL},
                             *const tiny_cloud[] = {"/sbin/tiny-cloud", "/usr/sbin/tiny-cloud",
                                                    "/bin/tiny-cloud", "/usr/bin/tiny-cloud", NULL},
                             *const agent[] = {"/usr/sbin/qemu-ga", "/usr/bin/qemu-ga",
                                               "/sbin/qemu-ga", NULL};
    bool is_systemd, is_openrc, has_cloud_init, has_tiny_cloud, found;
    struct disk_stat st;
    if (!any_exists(d, systemd, &is_systemd, err) || !any_exists(d, openrc, &is_openrc, err) ||
        !any_exists(d, cloud_init, &has_cloud_init, err) ||
        !any_exists(d, tiny_cloud, &has_tiny_cloud, err) ||
        !any_exists(d, agent, &f->has_agent, err) ||
        !d->writer->stat(d, "/lib", false, &st, &found, err))
        return false;
    f->init = is_systemd ? INIT_SYSTEMD : is_openrc ? INIT_OPENRC : INIT_UNKNOWN;
    f->seed = has_cloud_init ? "cloud-init" : has_tiny_cloud ? "tiny-cloud" : "none";
    f->usr_merged = found && S_ISLNK(st.mode);
    return true;
}

bool disk_read_facts(struct disk *d, const struct disk_options *o, struct arena *a,
                     const struct facts **out, struct error **err)
{
    struct facts *f = arena_new_of(a, struct facts);
    struct partition_table table;
    autofree char *fstab = NULL;
    size_t size;
    if (!partitions_read(a, o->raw, &table, err) ||
        !read_if(d, "/etc/fstab", MAX_SMALL, &fstab, &size, err) ||
        !mounts_read(a, fstab, &table, NULL, f->mounts, &f->mount_count, err) ||
        !read_os_release(d, a, f, err) || !read_database(d, a, f, err) ||
        !read_architecture(d, f, err) || !read_marks(d, f, err))
        return error_wrap(err, "cannot read the facts of the base");
    f->virtual_size = table.disk_size;
    f->partition_table = table.type;
    log_debug("facts: %s %s %s, root %s at byte %llu", f->os, f->os_version, f->architecture,
              f->mounts[0].type, (unsigned long long)f->mounts[0].offset);
    *out = f;
    return true;
}
