#include "emit/seed.h"

#include <ctype.h>
#include <string.h>

#define MAX_KEY_FILE ((size_t)1 << 20)

bool seed_read_keys(struct arena *a, struct inputs *in, const char *path, const char ***keys,
                    size_t *count, struct error **err)
{
    const char *text;
    size_t size, before = *count;
    if (!inputs_text(in, path, MAX_KEY_FILE, &text, &size, err))
        return false;
    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        const char *start = line + strspn(line, " \t");
        size_t used = (size_t)(line + n - start);
        while (used && isspace((unsigned char)start[used - 1]))
            used--;
        line += n + (line[n] == '\n');
        if (!used || *start == '#')
            continue;
        if (strncmp(start, "-----BEGIN", 10) == 0)
            return error_set(err, ERROR_INPUT,
                             "%s holds a private key; name the .pub file beside it", path);
        const char *key = arena_strndup(a, start, used);
        *keys = arena_append_(a, *keys, count, sizeof key, &key);
    }
    return *count > before || error_set(err, ERROR_INPUT, "%s holds no public key", path);
}

bool seed_read_hash(struct arena *a, struct inputs *in, const char *path, const char **hash,
                    struct error **err)
{
    const char *text;
    size_t size;
    if (!inputs_text(in, path, 4096, &text, &size, err))
        return false;
    size_t n = strcspn(text, "\r\n");
    bool rest = text[n + strspn(text + n, "\r\n")] != '\0';
    bool plain = true;
    for (size_t i = 0; i < n; i++)
        plain = plain && isgraph((unsigned char)text[i]) && !strchr(":*!\\\"'", text[i]);
    if (text[0] != '$' || n < 8 || rest || !plain)
        return error_set(err, ERROR_INPUT,
                         "%s holds no password hash as crypt(5) writes it ($6$… or $y$…; "
                         "`openssl passwd -6` makes one)",
                         path);
    *hash = arena_strndup(a, text, n);
    return true;
}

static const char **end_list(struct arena *a, const char **list, size_t count)
{
    const char *end = NULL;
    return count ? arena_append_(a, list, &count, sizeof end, &end) : NULL;
}

static const char **copy_list(struct arena *a, const struct text_list *from)
{
    const char **list = NULL;
    size_t count = 0;
    for (size_t i = 0; i < from->count; i++)
        list = arena_append_(a, list, &count, sizeof *list, &from->items[i].text);
    return end_list(a, list, count);
}

bool seed_make(struct arena *a, const struct recipe *r, struct inputs *in,
               const struct facts *facts, int64_t epoch, const char *instance_id,
               struct cidata *out, struct error **err)
{
    const struct boot *b = &r->boot;
    const char *kind = facts ? facts->seed : r->base.seed;
    const char **keys = NULL;
    size_t count = 0;
    for (size_t i = 0; i < b->ssh_keys.count; i++)
        keys = arena_append_(a, keys, &count, sizeof *keys, &b->ssh_keys.items[i].text);
    for (size_t i = 0; i < b->ssh_key_files.count; i++)
        if (!seed_read_keys(a, in, b->ssh_key_files.items[i].text, &keys, &count, err))
            return error_wrap(err, "boot.ssh_keys");
    *out = (struct cidata){
        .kind = kind && strcmp(kind, "none") != 0 ? kind : "cloud-init",
        .instance_id =
            instance_id && *instance_id ? instance_id : arena_printf(a, "ingot-%s", r->title),
        .hostname = b->hostname.text ? b->hostname.text : r->name.text,
        .user = b->user.text ? b->user.text : r->base.user,
        .ssh_keys = end_list(a, keys, count),
        .address = b->address.text,
        .gateway = b->gateway.text,
        .nameservers = copy_list(a, &b->nameservers),
        .has_locales = !facts || facts_has_package(facts, "locales"),
        .epoch = epoch,
    };
    if (b->password_hash_file.text &&
        !seed_read_hash(a, in, b->password_hash_file.text, &out->password_hash, err))
        return error_wrap(err, "boot.password");
    return true;
}
