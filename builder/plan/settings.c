/* What the recipe's other keys put into the guest: sources, registries, modules, sysctls, the
 * distribution's configuration, directories and files.
 */
#include "plan/build.h"
#include "plan/registries.h"

#include "base/path.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MODULES_PATH "/etc/modules-load.d/50-ingot.conf" /* modules-load.d(5); OpenRC's modules */
#define SYSCTLS_PATH "/etc/sysctl.d/50-ingot.conf"       /* sysctl.d(5); OpenRC's sysctl */

/* --- owners -------------------------------------------------------------------------------------
 */

static bool parse_id(const char *s, size_t n, unsigned *id)
{
    if (n == strlen("root") && memcmp(s, "root", n) == 0) {
        *id = 0;
        return true;
    }
    unsigned long value = 0;
    if (n == 0 || n > 10)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)s[i]))
            return false;
        value = value * 10 + (unsigned long)(s[i] - '0');
    }
    if (value >= UINT32_MAX)
        return false;
    *id = (unsigned)value;
    return true;
}

static bool parse_owner(const char *owner, struct place place, uid_t *uid, gid_t *gid,
                        struct error **err)
{
    *uid = 0;
    *gid = 0;
    if (!owner)
        return true;
    size_t n = strcspn(owner, ":");
    if (!parse_id(owner, n, uid) || (owner[n] ? !parse_id(owner + n + 1, strlen(owner + n + 1), gid)
                                              : !parse_id(owner, n, gid)))
        return error_set_at(err, ERROR_INPUT, place,
                            "the owner '%s': only root and numbers (1000, 1000:1000) are known "
                            "before the guest runs; for a user that a package makes, use run: "
                            "chown",
                            owner);
    return true;
}

/* --- sources ------------------------------------------------------------------------------------
 */

static const char *const *member_names(struct builder *b, const struct text_list *members)
{
    if (!members->count)
        return NULL;
    const char **names = arena_alloc(b->arena, (members->count + 1) * sizeof *names);
    for (size_t i = 0; i < members->count; i++)
        names[i] = members->items[i].text;
    return names;
}

static bool add_source(struct builder *b, const struct source *s, struct error **err)
{
    struct plan_entry e = {.kind = s->unpack ? ENTRY_ARCHIVE : ENTRY_FILE,
                           .path = s->to.text,
                           .origin = builder_origin(b, s->url.place, "sources"),
                           .unpack = s->unpack,
                           .members = member_names(b, &s->members),
                           .mode = s->mode,
                           .verify = &s->verify};
    bool here = s->url.text[0] == '/';
    bool plain = s->verify.kind == VERIFY_NONE ||
                 (s->verify.kind == VERIFY_DIGEST && s->verify.digest_kind == DIGEST_SHA256);
    if (here && plain) { /* read in place: nothing to fetch */
        const struct input_file *file;
        if (!inputs_file(b->inputs, s->url.text, &file, err))
            return false;
        if (s->verify.kind == VERIFY_DIGEST && strcmp(s->verify.digest, file->digest) != 0)
            return error_set_at(err, ERROR_TRUST, s->verify.place,
                                "%s is not what the recipe says: sha256 expected %s, got %s",
                                s->url.text, s->verify.digest, file->digest);
        e.source = file->path;
        e.digest = file->digest;
        e.size = file->size;
        return builder_add(b, e, err);
    }
    if (s->verify.kind == VERIFY_NONE)
        return error_set_at(err, ERROR_TRUST, s->url.place,
                            "%s has nothing to verify it by: say verify: with its digest or a "
                            "checksum file",
                            s->url.text);
    e.url = s->url.text;
    e.digest = s->verify.kind == VERIFY_DIGEST && s->verify.digest_kind == DIGEST_SHA256
                   ? s->verify.digest
                   : inputs_learned(b->inputs, s->url.text);
    return builder_add(b, e, err);
}

bool builder_sources(struct builder *b, struct error **err)
{
    for (size_t i = 0; i < b->recipe->source_count; i++)
        if (!add_source(b, &b->recipe->sources[i], err))
            return false;
    return true;
}

/* --- generated files ----------------------------------------------------------------------------
 */

static bool add_buffer(struct builder *b, const char *path, struct buffer *text, mode_t mode,
                       const char *origin, struct error **err)
{
    const char *copy = arena_memdup(b->arena, text->data, text->size + 1);
    return builder_add_text(b, path, copy, text->size, mode, origin, err);
}

static bool add_registries(struct builder *b, struct error **err)
{
    const struct recipe *r = b->recipe;
    if (!r->registry_count)
        return true;
    bool plain = !r->distribution.name.text || strcmp(r->distribution.name.text, "none") == 0;
    if (!r->distribution.registries && !plain)
        return error_set_at(err, ERROR_INPUT, r->registries[0].name.place,
                            "the distribution '%s' reads no registries configuration that is known",
                            r->distribution.name.text);
    const struct registries_format *format = registries_find(r->distribution.registries);
    if (!format)
        return error_set_at(err, ERROR_INPUT, r->distribution.name.place,
                            "the registries format '%s' of '%s' is not known",
                            r->distribution.registries, r->distribution.name.text);
    autobuffer struct buffer text = {0};
    if (!format->write(r->registries, r->registry_count, &text, err))
        return false;
    return add_buffer(b, format->path, &text, 0644,
                      builder_origin(b, r->registries[0].name.place, "registries"), err);
}

static bool is_module_name(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("_-", *s))
            return false;
    return true;
}

static bool add_modules(struct builder *b, struct error **err)
{
    const struct text_list *modules = &b->recipe->modules;
    autobuffer struct buffer text = {0};
    for (size_t i = 0; i < modules->count; i++) {
        const struct text_at *m = &modules->items[i];
        if (!is_module_name(m->text))
            return error_set_at(err, ERROR_INPUT, m->place,
                                "'%s' is not the name of a kernel module", m->text);
        buffer_printf(&text, "%s\n", m->text);
    }
    return !text.size || add_buffer(b, MODULES_PATH, &text, 0644,
                                    builder_origin(b, modules->items[0].place, "modules"), err);
}

static bool add_sysctls(struct builder *b, struct error **err)
{
    const struct recipe *r = b->recipe;
    autobuffer struct buffer text = {0};
    for (size_t i = 0; i < r->sysctl_count; i++) {
        const struct sysctl *s = &r->sysctls[i];
        if (!*s->name.text || s->name.text[strcspn(s->name.text, " \t\r\n=#;")])
            return error_set_at(err, ERROR_INPUT, s->name.place, "'%s' is not the name of a sysctl",
                                s->name.text);
        if (strpbrk(s->value.text, "\r\n"))
            return error_set_at(err, ERROR_INPUT, s->value.place,
                                "the value of a sysctl is one line");
        buffer_printf(&text, "%s = %s\n", s->name.text, s->value.text);
    }
    return !text.size || add_buffer(b, SYSCTLS_PATH, &text, 0644,
                                    builder_origin(b, r->sysctls[0].name.place, "sysctls"), err);
}

static bool add_config(struct builder *b, struct error **err)
{
    const struct distribution *d = &b->recipe->distribution;
    if (!d->config_path || !d->config_text)
        return true;
    /* Only root reads a distribution's configuration: it may get a token at the first boot. */
    return builder_add_text(b, d->config_path, d->config_text, strlen(d->config_text), 0600,
                            builder_origin(b, d->name.place, "distribution config"), err);
}

bool builder_settings(struct builder *b, struct error **err)
{
    return add_registries(b, err) && add_modules(b, err) && add_sysctls(b, err) &&
           add_config(b, err);
}

/* --- directories and files ----------------------------------------------------------------------
 */

static bool add_directory(struct builder *b, const struct directory *d, struct error **err)
{
    struct plan_entry e = {.kind = ENTRY_DIRECTORY,
                           .path = d->path.text,
                           .origin = builder_origin(b, d->path.place, "directories"),
                           .mode = d->mode,
                           .force = true};
    return parse_owner(d->owner, d->path.place, &e.uid, &e.gid, err) && builder_add(b, e, err);
}

static bool add_file(struct builder *b, const struct inline_file *f, struct error **err)
{
    struct plan_entry e = {.kind = ENTRY_FILE,
                           .path = f->path.text,
                           .origin = builder_origin(b, f->path.place, "files"),
                           .mode = f->mode,
                           .force = true};
    if (!parse_owner(f->owner, f->path.place, &e.uid, &e.gid, err))
        return false;
    if (f->source.text) {
        const struct input_file *file;
        if (!inputs_file(b->inputs, f->source.text, &file, err))
            return error_wrap(err, "%s", e.origin);
        e.source = file->path;
        e.digest = file->digest;
        e.size = file->size;
    } else {
        char hex[DIGEST_HEX_MAX];
        e.content = f->content.text;
        e.size = strlen(f->content.text);
        digest_bytes(DIGEST_SHA256, e.content, e.size, hex);
        e.digest = arena_strdup(b->arena, hex);
    }
    return builder_add(b, e, err);
}

bool builder_files(struct builder *b, struct error **err)
{
    for (size_t i = 0; i < b->recipe->directory_count; i++)
        if (!add_directory(b, &b->recipe->directories[i], err))
            return false;
    for (size_t i = 0; i < b->recipe->file_count; i++)
        if (!add_file(b, &b->recipe->files[i], err))
            return false;
    return true;
}
