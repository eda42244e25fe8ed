#include "plan/services.h"
#include "plan/build.h"

#include "base/buffer.h"
#include "base/path.h"
#include "base/text.h"

#include <ctype.h>
#include <string.h>

#define UNIT_FOLDER "/etc/systemd/system"
#define UNIT_MAX_ALSO 256 /* units that one brings with Also= */

/* --- [Install] ----------------------------------------------------------------------------------
 */

static const struct {
    const char *key;
    enum unit_link_kind kind;
} install_keys[] = {
    {"WantedBy", UNIT_WANTED_BY}, {"RequiredBy", UNIT_REQUIRED_BY},
    {"UpheldBy", UNIT_UPHELD_BY}, {"Alias", UNIT_ALIAS},
    {"Also", UNIT_ALSO},
};

/* Letters, digits and :-_.\@ (systemd.unit(5)); no slash, so that it stays in its folder. */
static bool is_unit_name(const char *s)
{
    if (!*s || *s == '.')
        return false;
    for (const char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr(":-_.\\@", *p))
            return false;
    return strlen(s) < 256;
}

static bool add_words(struct arena *a, const char *name, enum unit_link_kind kind, char *words,
                      struct unit_install *out, struct error **err)
{
    char *rest = NULL;
    for (char *w = strtok_r(words, " \t", &rest); w; w = strtok_r(NULL, " \t", &rest)) {
        if (!is_unit_name(w))
            return error_set(err, ERROR_INPUT, "%s: [Install]: '%s' is not a unit name", name, w);
        if (out->count == UNIT_MAX_LINKS)
            return error_set(err, ERROR_INPUT, "%s: [Install] names more than %d units", name,
                             UNIT_MAX_LINKS);
        out->links[out->count++] = (struct unit_link){kind, arena_strdup(a, w)};
    }
    return true;
}

/* An empty value takes back what was said before (systemd.syntax(7)). */
static void clear_kind(struct unit_install *out, enum unit_link_kind kind)
{
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++)
        if (out->links[i].kind != kind)
            out->links[kept++] = out->links[i];
    out->count = kept;
}

static bool parse_setting(struct arena *a, const char *name, char *line, struct unit_install *out,
                          struct error **err)
{
    char *equals = strchr(line, '=');
    if (!equals)
        return true;
    char *end = equals;
    while (end > line && isspace((unsigned char)end[-1]))
        end--;
    *end = '\0';
    char *value = equals + 1;
    value += strspn(value, " \t");
    for (size_t i = 0; i < COUNT(install_keys); i++)
        if (strcmp(install_keys[i].key, line) == 0) {
            if (!*value)
                clear_kind(out, install_keys[i].kind);
            return add_words(a, name, install_keys[i].kind, value, out, err);
        }
    if (strcmp(line, "DefaultInstance") == 0)
        out->default_instance = *value ? arena_strdup(a, value) : NULL;
    return true;
}

bool unit_parse_install(struct arena *a, const char *name, const char *text, size_t size,
                        struct unit_install *out, struct error **err)
{
    *out = (struct unit_install){0};
    if (memchr(text, '\0', size))
        return error_set(err, ERROR_INPUT, "%s: has NUL bytes: a unit is text", name);
    autobuffer struct buffer line = {0};
    bool inside = false;
    const char *end = text + size;
    for (const char *p = text; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = newline ? (size_t)(newline - p) : (size_t)(end - p);
        const char *next = newline ? newline + 1 : end;
        while (n && isspace((unsigned char)p[n - 1]))
            n--;
        while (n && isspace((unsigned char)*p))
            p++, n--;
        bool comment = n && (*p == '#' || *p == ';');
        bool goes_on = n && p[n - 1] == '\\' && !comment;
        if (!comment)
            buffer_add(&line, p, n - goes_on);
        p = next;
        if (goes_on || (comment && line.size)) { /* comments may stand within a continued line */
            buffer_puts(&line, goes_on ? " " : "");
            if (p < end)
                continue;
        }
        autofree char *whole = buffer_take(&line);
        if (*whole == '[')
            inside = strcmp(whole, "[Install]") == 0;
        else if (inside && !parse_setting(a, name, whole, out, err))
            return false;
    }
    return true;
}

/* --- systemd ------------------------------------------------------------------------------------
 */

/* Where units of a type that a package brings are usually wanted (bootup(7)). */
static const struct {
    const char *type;
    const char *target;
    const char *others[7]; /* where else they may have been linked: to disable */
} unit_types[] = {
    {".service",
     "multi-user.target",
     {"graphical.target", "default.target", "network-online.target", "sysinit.target",
      "basic.target", "cloud-init.target", "network.target"}},
    {".socket", "sockets.target", {"multi-user.target"}},
    {".timer", "timers.target", {"multi-user.target"}},
    {".path", "paths.target", {"multi-user.target"}},
    {".mount", "local-fs.target", {"remote-fs.target", "multi-user.target"}},
    {".target", "multi-user.target", {"graphical.target"}},
    {".automount", "local-fs.target", {"remote-fs.target", "multi-user.target"}},
    {".swap", "swap.target", {"multi-user.target"}},
    {".slice", "slices.target", {"multi-user.target"}},
};

static const char *unit_name(struct builder *b, const char *name)
{
    for (size_t i = 0; i < COUNT(unit_types); i++)
        if (text_ends_with(name, unit_types[i].type))
            return name;
    return arena_printf(b->arena, "%s.service", name);
}

static size_t unit_type(const char *unit)
{
    size_t i = 0;
    while (!text_ends_with(unit, unit_types[i].type))
        i++;
    return i;
}

/* The unit file of foo@bar.service is foo@.service. */
static const char *unit_file(struct builder *b, const char *unit)
{
    const char *at = strchr(unit, '@');
    if (!at)
        return unit;
    return arena_printf(b->arena, "%.*s@%s", (int)(at - unit), unit, strrchr(unit, '.'));
}

/* The entry that brings a unit, or NULL. systemd looks into these folders in this order. */
static const struct plan_entry *find_unit(struct builder *b, const char *file)
{
    static const char *const folders[] = {UNIT_FOLDER, "/usr/local/lib/systemd/system",
                                          "/usr/lib/systemd/system", "/lib/systemd/system"};
    for (size_t i = 0; i < COUNT(folders); i++) {
        const struct plan_entry *e =
            builder_find(b, arena_printf(b->arena, "%s/%s", folders[i], file));
        if (e && e->kind == ENTRY_FILE)
            return e;
    }
    return NULL;
}

static bool link_unit(struct builder *b, const char *target, const char *kind, const char *unit,
                      const char *file, const char *origin, struct error **err)
{
    autofree char *path = NULL;
    if (asprintf(&path, "%s/%s.%s/%s", UNIT_FOLDER, target, kind, unit) < 0)
        abort();
    return builder_add_link(b, path, file, origin, err);
}

/* What the recipe names in one place, with all that it brings by Also=: two units may name each
 * other, as a service and its socket do. */
struct enabling {
    struct builder *b;
    struct place place;
    const char **seen;
    size_t count;
};

static bool enable_unit(struct enabling *n, const char *name, struct error **err);

static bool enable_by_install(struct enabling *n, const char *unit, const struct plan_entry *e,
                              struct error **err)
{
    struct builder *b = n->b;
    struct place place = n->place;
    static const char *const folder_kinds[] = {
        [UNIT_WANTED_BY] = "wants", [UNIT_REQUIRED_BY] = "requires", [UNIT_UPHELD_BY] = "upholds"};
    const char *origin = builder_origin(b, place, "services");
    const char *text;
    size_t size;
    struct unit_install in;
    if (e->source == NULL && e->content == NULL)
        return error_set_at(err, ERROR_INPUT, place,
                            "the unit %s is fetched: its [Install] section is not known; put it "
                            "into an overlay",
                            e->path);
    if (!builder_entry_text(b, e, &text, &size, err) ||
        !unit_parse_install(b->arena, e->path, text, size, &in, err))
        return false;
    const char *at = strchr(unit, '@');
    if (at && at[1] == '.') {
        if (!in.default_instance)
            return error_set_at(err, ERROR_INPUT, place,
                                "'%s' is a template without a DefaultInstance: name an instance, "
                                "%.*s@NAME%s",
                                unit, (int)(at - unit), unit, at + 1);
        unit = arena_printf(b->arena, "%.*s@%s%s", (int)(at - unit), unit, in.default_instance,
                            at + 1);
        if (!is_unit_name(unit))
            return error_set(err, ERROR_INPUT, "%s: DefaultInstance is not a name", e->path);
    }
    bool linked = false;
    for (size_t i = 0; i < in.count; i++) {
        const struct unit_link *l = &in.links[i];
        bool ok = true;
        if (l->kind == UNIT_ALSO) {
            ok = enable_unit(n, l->name, err);
        } else if (l->kind == UNIT_ALIAS) {
            autofree char *path = path_join(UNIT_FOLDER, l->name);
            ok = builder_add_link(b, path, e->path, origin, err);
        } else {
            ok = link_unit(b, l->name, folder_kinds[l->kind], unit, e->path, origin, err);
        }
        if (!ok)
            return false;
        linked = linked || l->kind != UNIT_ALSO || n->count > 1; /* Also= itself brings nothing */
    }
    return linked || error_set_at(err, ERROR_INPUT, place,
                                  "'%s' cannot be enabled: %s (%s) has no [Install] section with "
                                  "WantedBy=",
                                  unit, e->path, e->origin);
}

static bool enable_unit(struct enabling *n, const char *name, struct error **err)
{
    struct builder *b = n->b;
    const char *unit = unit_name(b, name);
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->seen[i], unit) == 0)
            return true;
    if (n->count == UNIT_MAX_ALSO)
        return error_set_at(err, ERROR_INPUT, n->place,
                            "more than %d units are named by Also=", UNIT_MAX_ALSO);
    arena_append(b->arena, n->seen, n->count, unit);
    const char *file = unit_file(b, unit);
    const struct plan_entry *e = find_unit(b, file);
    if (e)
        return enable_by_install(n, unit, e, err);
    bool merged = !b->facts || b->facts->usr_merged;
    const char *folder = merged ? "/usr/lib/systemd/system" : "/lib/systemd/system";
    return link_unit(b, unit_types[unit_type(unit)].target, "wants", unit,
                     arena_printf(b->arena, "%s/%s", folder, file),
                     builder_origin(b, n->place, "services"), err);
}

static bool disable_unit(struct builder *b, const char *name, struct place place,
                         struct error **err)
{
    const char *unit = unit_name(b, name);
    const char *origin = builder_origin(b, place, "services");
    size_t type = unit_type(unit);
    const char *target = unit_types[type].target;
    for (size_t i = 0; target; target = i < 7 ? unit_types[type].others[i++] : NULL) {
        autofree char *path = NULL;
        if (asprintf(&path, "%s/%s.wants/%s", UNIT_FOLDER, target, unit) < 0)
            abort();
        if (!builder_add_absent(b, path, origin, err))
            return false;
    }
    return true;
}

static bool enable_systemd(struct builder *b, const struct text_at *s, struct error **err)
{
    struct enabling n = {.b = b, .place = s->place};
    return enable_unit(&n, s->text, err);
}

static bool disable_systemd(struct builder *b, const struct text_at *s, struct error **err)
{
    return disable_unit(b, s->text, s->place, err);
}

/* --- OpenRC -------------------------------------------------------------------------------------
 */

static const char *const runlevels[] = {"sysinit", "boot", "default", "shutdown", "nonetwork"};

/* Takes "NAME" or "RUNLEVEL/NAME" apart. */
static bool split_runlevel(const struct text_at *s, const char **runlevel, const char **name,
                           struct error **err)
{
    const char *slash = strchr(s->text, '/');
    *runlevel = NULL;
    *name = slash ? slash + 1 : s->text;
    if (!slash)
        return true;
    for (size_t i = 0; i < COUNT(runlevels); i++)
        if (strlen(runlevels[i]) == (size_t)(slash - s->text) &&
            strncmp(runlevels[i], s->text, (size_t)(slash - s->text)) == 0)
            *runlevel = runlevels[i];
    return *runlevel || error_set_at(err, ERROR_INPUT, s->place,
                                     "'%s': there is no such runlevel; there are sysinit, boot, "
                                     "default, shutdown, nonetwork",
                                     s->text);
}

static bool enable_openrc(struct builder *b, const struct text_at *s, struct error **err)
{
    const char *runlevel, *name;
    if (!split_runlevel(s, &runlevel, &name, err))
        return false;
    const char *script = arena_printf(b->arena, "/etc/init.d/%s", name);
    const struct plan_entry *e = builder_find(b, script);
    if (e && e->kind == ENTRY_FILE && !(e->mode & 0111))
        return error_set(err, ERROR_INPUT,
                         "%s: %s is a service that is not executable; chmod +x it", e->origin,
                         script);
    autofree char *path = NULL;
    if (asprintf(&path, "/etc/runlevels/%s/%s", runlevel ? runlevel : "default", name) < 0)
        abort();
    const char *what = s->place.file ? "services" : "the guest agent";
    return builder_add_link(b, path, script, builder_origin(b, s->place, what), err);
}

static bool disable_openrc(struct builder *b, const struct text_at *s, struct error **err)
{
    const char *runlevel, *name;
    if (!split_runlevel(s, &runlevel, &name, err))
        return false;
    for (size_t i = 0; i < COUNT(runlevels); i++) {
        if (runlevel && runlevel != runlevels[i])
            continue;
        autofree char *path = NULL;
        if (asprintf(&path, "/etc/runlevels/%s/%s", runlevels[i], name) < 0)
            abort();
        if (!builder_add_absent(b, path, builder_origin(b, s->place, "services"), err))
            return false;
    }
    return true;
}

/* --- both ---------------------------------------------------------------------------------------
 */

/* The guest agent is enabled always. Where udev starts it when its port is there (systemd), its
 * package has nothing to enable. */
static const struct init_table {
    bool (*enable)(struct builder *b, const struct text_at *s, struct error **err);
    bool (*disable)(struct builder *b, const struct text_at *s, struct error **err);
    const char *agent;
} inits[] = {
    [INIT_SYSTEMD] = {enable_systemd, disable_systemd, NULL},
    [INIT_OPENRC] = {enable_openrc, disable_openrc, "qemu-guest-agent"},
    [INIT_UNKNOWN] = {NULL, NULL, NULL},
};

/* A runlevel in front of the name is looked at by the init system that has runlevels. */
static bool check_name(const struct text_at *s, bool runlevels_known, struct error **err)
{
    const char *slash = runlevels_known ? strchr(s->text, '/') : NULL;
    return is_unit_name(slash ? slash + 1 : s->text) ||
           error_set_at(err, ERROR_INPUT, s->place, "'%s' is not the name of a service", s->text);
}

/* The companion reaches the guest by its agent, and image.json promises that it is there. */
static bool check_disabled(const struct text_at *s, struct error **err)
{
    static const char agent[] = "qemu-guest-agent";
    const char *slash = strchr(s->text, '/'), *name = slash ? slash + 1 : s->text;
    size_t n = strlen(agent);
    bool is_agent =
        text_starts_with(name, agent) && (!name[n] || strcmp(name + n, ".service") == 0);
    return !is_agent ||
           error_set_at(err, ERROR_INPUT, s->place,
                        "'%s' cannot be disabled: every image has its guest agent", s->text);
}

bool builder_services(struct builder *b, struct error **err)
{
    const struct text_list *enable = &b->recipe->services_enable;
    const struct text_list *disable = &b->recipe->services_disable;
    const struct init_table *init = &inits[builder_init(b)];
    for (size_t i = 0; i < enable->count + disable->count; i++)
        if (!check_name(i < enable->count ? &enable->items[i] : &disable->items[i - enable->count],
                        builder_init(b) != INIT_SYSTEMD, err))
            return false;
    for (size_t i = 0; i < disable->count; i++)
        if (!check_disabled(&disable->items[i], err))
            return false;
    if (!init->enable) {
        if (!b->facts) {
            builder_open(b, "links that enable services");
            return true;
        }
        if (enable->count || disable->count)
            return error_set_at(err, ERROR_INPUT,
                                (enable->count ? enable : disable)->items[0].place,
                                "the base has neither systemd nor OpenRC: services cannot be "
                                "enabled");
        return true;
    }
    if (init->agent) {
        const struct text_at agent = {.text = init->agent};
        if (!init->enable(b, &agent, err))
            return false;
    }
    for (size_t i = 0; i < enable->count; i++)
        if (!init->enable(b, &enable->items[i], err))
            return false;
    for (size_t i = 0; i < disable->count; i++)
        if (!init->disable(b, &disable->items[i], err))
            return false;
    return true;
}
