#include "disk/mounts.h"

#include "base/path.h"

#include <string.h>

static const char *const linux_types[] = {"ext4", "ext3", "ext2", "xfs", "btrfs"};

static bool is_linux(const struct partition *p)
{
    for (size_t i = 0; i < COUNT(linux_types); i++)
        if (strcmp(p->file_system, linux_types[i]) == 0)
            return true;
    return false;
}

/* Smaller is better. */
static unsigned rank(const struct partition *p)
{
    return strcmp(p->label, "cloudimg-rootfs") == 0 ? 0 : strcmp(p->label, "/") == 0 ? 1 : 2;
}

static bool better(const struct partition *x, const struct partition *y)
{
    if (rank(x) != rank(y))
        return rank(x) < rank(y);
    if (x->size != y->size)
        return x->size > y->size;
    return x->offset < y->offset;
}

const struct partition *mounts_guess_root(const struct partition_table *t,
                                          const struct partition *after)
{
    const struct partition *best = NULL;
    for (size_t i = 0; i < t->count; i++) {
        const struct partition *p = &t->partitions[i];
        if (is_linux(p) && p != after && (!after || better(after, p)) && (!best || better(p, best)))
            best = p;
    }
    return best;
}

/* \040 and the like, in place. */
static void unescape(char *s)
{
    char *to = s;
    for (; *s; s++) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
            s[3] >= '0' && s[3] <= '7') {
            *to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 3;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}

static const char *label_of(const struct partition *p)
{
    return p->label;
}
static const char *uuid_of(const struct partition *p)
{
    return p->uuid;
}
static const char *name_of(const struct partition *p)
{
    return p->name;
}
static const char *partuuid_of(const struct partition *p)
{
    return p->partuuid;
}

static const struct {
    const char *tag;
    const char *(*value)(const struct partition *p);
    bool any_case;
} selectors[] = {
    {"LABEL=", label_of, false},
    {"UUID=", uuid_of, true},
    {"PARTLABEL=", name_of, false},
    {"PARTUUID=", partuuid_of, true},
    {"/dev/disk/by-label/", label_of, false},
    {"/dev/disk/by-uuid/", uuid_of, true},
    {"/dev/disk/by-partlabel/", name_of, false},
    {"/dev/disk/by-partuuid/", partuuid_of, true},
};

static const struct partition *select_partition(const struct partition_table *t, char *spec)
{
    for (size_t i = 0; i < COUNT(selectors); i++) {
        size_t n = strlen(selectors[i].tag);
        if (strncmp(spec, selectors[i].tag, n) != 0)
            continue;
        char *wanted = spec + n;
        size_t size = strlen(wanted);
        if (size >= 2 && wanted[0] == '"' && wanted[size - 1] == '"') {
            wanted[size - 1] = '\0';
            wanted++;
        }
        for (size_t j = 0; *wanted && j < t->count; j++) {
            const char *has = selectors[i].value(&t->partitions[j]);
            if ((selectors[i].any_case ? strcasecmp(has, wanted) : strcmp(has, wanted)) == 0)
                return &t->partitions[j];
        }
        return NULL;
    }
    return NULL;
}

static struct fact_mount mount_of(struct arena *a, const struct partition *p,
                                  const char *mountpoint)
{
    return (struct fact_mount){.mountpoint = arena_strdup(a, mountpoint),
                               .type = arena_strdup(a, p->file_system),
                               .label = arena_strdup(a, p->label),
                               .uuid = arena_strdup(a, p->uuid),
                               .partition = p->number,
                               .offset = p->offset,
                               .size = p->size};
}

static int by_mountpoint(const void *a, const void *b)
{
    const struct fact_mount *x = a, *y = b;
    return strcmp(x->mountpoint, y->mountpoint);
}

/* One line of fstab; *p is the partition, or NULL if the line does not concern this disk. */
static void read_line(char *line, const struct partition_table *t, const struct partition **p,
                      char **mountpoint)
{
    char *save = NULL;
    *p = NULL;
    char *spec = strtok_r(line, " \t\r", &save);
    *mountpoint = spec ? strtok_r(NULL, " \t\r", &save) : NULL;
    if (!spec || *spec == '#' || !*mountpoint)
        return;
    unescape(spec);
    unescape(*mountpoint);
    if (path_is_clean_absolute(*mountpoint))
        *p = select_partition(t, spec);
}

bool mounts_read(struct arena *a, const char *fstab, const struct partition_table *t,
                 const struct partition *root, struct fact_mount *mounts, size_t *count,
                 struct error **err)
{
    autofree char *text = strdup(fstab ? fstab : "");
    const struct partition *named_root = NULL;
    size_t n = 1; /* 0 is the root */
    char *save = NULL;
    for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save)) {
        const struct partition *p;
        char *mountpoint;
        read_line(line, t, &p, &mountpoint);
        if (!p || p == root || !*p->file_system || strcmp(p->file_system, "swap") == 0)
            continue;
        if (strcmp(mountpoint, "/") == 0) {
            named_root = p;
            continue;
        }
        for (size_t i = 1; i < n; i++)
            if (strcmp(mounts[i].mountpoint, mountpoint) == 0)
                return error_set(err, ERROR_UNSUPPORTED, "/etc/fstab mounts two things on %s",
                                 mountpoint);
        if (n == FACTS_MAX_MOUNTS)
            return error_set(err, ERROR_UNSUPPORTED,
                             "/etc/fstab mounts more than %d file systems of this disk",
                             FACTS_MAX_MOUNTS);
        mounts[n++] = mount_of(a, p, mountpoint);
    }
    if (!root)
        root = named_root ? named_root : mounts_guess_root(t, NULL);
    if (!root)
        return error_set(err, ERROR_UNSUPPORTED, "no root file system found on the disk");
    mounts[0] = mount_of(a, root, "/");
    qsort(mounts + 1, n - 1, sizeof *mounts, by_mountpoint);
    *count = n;
    return true;
}
