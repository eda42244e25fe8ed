/* manifest.json: what it may say, as a text, and from a text. */
#include "base/path.h"
#include "base/text.h"
#include "bundle/internal.h"

#include <string.h>

#define MAX_COMPONENT 255
#define MAX_DEPTH 40
#define MAX_EPOCH INT64_C(077777777777) /* what ustar can say */

const char *const bundle_kind_names[2] = {
    [BUNDLE_ARTIFACTS] = "artifacts", [BUNDLE_SOURCES] = "sources"};

/* --- paths --------------------------------------------------------------------------------------
 */

/* C0 and C1 control characters, DEL, and the signs that turn a line's direction round, which make
 * one name look like another. s is UTF-8. */
static bool has_control(const char *s)
{
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        if (*p < 0x20 || *p == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0))
            return true;
        if (p[0] == 0xe2 && ((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) ||
                             (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)))
            return true;
    }
    return false;
}

static bool is_utf8(const char *s)
{
    autojson json_t *j = json_string(s);
    return j != NULL;
}

/* NULL, or why no bundle has such a path. */
static const char *path_fault(const char *path)
{
    size_t size = strlen(path), depth = 0;
    if (size == 0)
        return "is empty";
    if (size > BUNDLE_MAX_PATH)
        return "is too long";
    if (*path == '/')
        return "is absolute";
    if (!is_utf8(path))
        return "is not UTF-8";
    if (has_control(path))
        return "has a control character in it";
    if (strchr(path, '\\'))
        return "has a backslash in it";
    for (const char *p = path;; p++) {
        size_t n = strcspn(p, "/");
        if (n == 0)
            return "has an empty component";
        if (n == 1 && *p == '.')
            return "has a component `.`";
        if (n == 2 && p[0] == '.' && p[1] == '.')
            return "has a component `..`";
        if (n > MAX_COMPONENT)
            return "has a component that is too long";
        if (++depth > MAX_DEPTH)
            return "is too deep";
        p += n;
        if (!*p)
            return NULL;
    }
}

static bool is_reserved(const char *path)
{
    static const char *const reserved[] = {BUNDLE_MANIFEST, BUNDLE_SSH_SIGNATURE,
                                           BUNDLE_PGP_SIGNATURE};
    for (size_t i = 0; i < COUNT(reserved); i++)
        if (strcmp(path, reserved[i]) == 0)
            return true;
    return false;
}

static bool check_path(const char *path, struct error **err)
{
    const char *why = path_fault(path);
    if (why)
        return error_set(err, ERROR_INPUT, "the path '%.*s' %s", BUNDLE_MAX_PATH, path, why);
    return !is_reserved(path) ||
           error_set(err, ERROR_INPUT, "the path '%s' is the manifest's own", path);
}

/* --- what belongs where -------------------------------------------------------------------------
 */

static bool is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/' && path[n + 1];
}

static bool check_place(const struct bundle *b, const struct bundle_member *m, struct error **err)
{
    if (b->kind == BUNDLE_ARTIFACTS) {
        for (const char *const *n = b->names; *n; n++)
            if (is_below(m->path, *n))
                return true;
        return error_set(err, ERROR_INPUT, "'%s' is below none of the bundle's artifacts", m->path);
    }
    static const char blobs[] = "blobs/sha256/";
    if (is_below(m->path, "recipe"))
        return true;
    if (!text_starts_with(m->path, blobs) ||
        !digest_is_valid(DIGEST_SHA256, m->path + strlen(blobs)))
        return error_set(err, ERROR_INPUT, "'%s' is neither a blob nor below recipe/", m->path);
    return !m->sha256 || strcmp(m->path + strlen(blobs), m->sha256) == 0 ||
           error_set(err, ERROR_INPUT, "'%s' is said to have another digest than its name",
                     m->path);
}

static bool check_member(const struct bundle *b, const struct bundle_member *m, struct error **err)
{
    static const mode_t modes[] = {0, 0600, 0644, 0755};
    size_t i = 0;
    if (!check_path(m->path, err) || !check_place(b, m, err))
        return false;
    while (i < COUNT(modes) && modes[i] != m->mode)
        i++;
    if (i == COUNT(modes))
        return error_set(err, ERROR_INPUT, "'%s' has the mode %04o: a bundle has 0644, 0755, 0600",
                         m->path, (unsigned)m->mode);
    if (m->sha256 && (!digest_is_valid(DIGEST_SHA256, m->sha256) ||
                      strspn(m->sha256, "0123456789abcdef") != SHA256_HEX - 1))
        return error_set(err, ERROR_INPUT, "'%s' has no SHA-256", m->path);
    return true;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct bundle_member *)a)->path, ((const struct bundle_member *)b)->path);
}

const struct bundle_member *bundle_find(const struct bundle *b, const char *path)
{
    const struct bundle_member key = {.path = path};
    return b->count ? bsearch(&key, b->members, b->count, sizeof key, by_path) : NULL;
}

static bool is_link(const struct bundle *b, const char *path)
{
    size_t low = 0, high = b->link_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int c = strcmp(path, b->links[middle].path);
        if (c == 0)
            return true;
        if (c < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

/* No folder above a path is a file or a link. */
static bool check_above(const struct bundle *b, const char *path, struct error **err)
{
    char above[BUNDLE_MAX_PATH + 1];
    for (const char *slash = path; (slash = strchr(slash, '/')) != NULL; slash++) {
        memcpy(above, path, (size_t)(slash - path));
        above[slash - path] = '\0';
        if (bundle_find(b, above) || is_link(b, above))
            return error_set(err, ERROR_INPUT, "'%s' is below '%s', which is no folder", path,
                             above);
    }
    return true;
}

/* Leading `..` and then only names: whatever links it meets, it cannot come out above `recipe`. */
static bool check_target(const struct bundle_link *l, struct error **err)
{
    size_t depth = 0, up = 0;
    const char *p = l->target;
    if (strcmp(l->target, "/dev/null") == 0)
        return true;
    for (const char *slash = l->path; (slash = strchr(slash, '/')) != NULL; slash++)
        depth++;
    while (strcmp(p, "..") == 0 || strncmp(p, "../", 3) == 0) {
        p += p[2] ? 3 : 2;
        up++;
    }
    const char *why = *p || !up ? path_fault(p) : NULL;
    if (why)
        return error_set(err, ERROR_INPUT, "the target '%.*s' of the link '%s' %s", BUNDLE_MAX_PATH,
                         l->target, l->path, why);
    return up < depth || error_set(err, ERROR_INPUT,
                                   "the target '%s' of the link '%s' leads out of the recipe's "
                                   "folder",
                                   l->target, l->path);
}

static bool check_order(const char *before, const char *path, struct error **err)
{
    int c = before ? strcmp(before, path) : -1;
    if (c == 0)
        return error_set(err, ERROR_INPUT, "'%s' is there twice", path);
    return c < 0 || error_set(err, ERROR_INPUT, "the manifest is not sorted: '%s' before '%s'",
                              before, path);
}

static bool check_tree_path(const char *path, struct error **err)
{
    return check_path(path, err) &&
           (is_below(path, "recipe") ||
            error_set(err, ERROR_INPUT, "the folder or link '%s' is not below recipe/", path));
}

static bool check_folders_and_links(const struct bundle *b, struct error **err)
{
    const char *before = NULL;
    for (size_t i = 0; i < b->link_count; i++) {
        const struct bundle_link *l = &b->links[i];
        if (!check_tree_path(l->path, err) || !check_order(before, l->path, err) ||
            !check_target(l, err))
            return false;
        if (bundle_find(b, l->path))
            return error_set(err, ERROR_INPUT, "'%s' is a file and a link", l->path);
        before = l->path;
    }
    before = NULL;
    for (const char *const *f = b->folders; f && *f; f++) {
        if (!check_tree_path(*f, err) || !check_order(before, *f, err))
            return false;
        if (bundle_find(b, *f) || is_link(b, *f))
            return error_set(err, ERROR_INPUT, "'%s' is a folder and something else", *f);
        before = *f;
    }
    for (const char *const *f = b->folders; f && *f; f++)
        if (!check_above(b, *f, err))
            return false;
    for (size_t i = 0; i < b->link_count; i++)
        if (!check_above(b, b->links[i].path, err))
            return false;
    return true;
}

static bool check_names(const struct bundle *b, struct error **err)
{
    size_t count = 0;
    for (const char *const *n = b->names; n && *n; n++, count++) {
        if (!path_is_plain_name(*n) || is_reserved(*n))
            return error_set(err, ERROR_INPUT, "'%.255s' is no name for an artifact or recipe", *n);
        for (size_t i = 0; i < count; i++)
            if (strcmp(b->names[i], *n) == 0)
                return error_set(err, ERROR_INPUT, "the name '%s' is there twice", *n);
        if (count == BUNDLE_MAX_NAMES)
            return error_set(err, ERROR_INPUT, "more than %d artifacts or recipes",
                             BUNDLE_MAX_NAMES);
    }
    return count || error_set(err, ERROR_INPUT, "it names no artifact or recipe");
}

bool manifest_check(const struct bundle *b, struct error **err)
{
    const char *before = NULL;
    size_t others = b->link_count;
    uint64_t total = 0;
    for (const char *const *f = b->folders; f && *f; f++)
        others++;
    if (b->count == 0)
        return error_set(err, ERROR_INPUT, "it has no members");
    if (b->count > BUNDLE_MAX_MEMBERS || others > BUNDLE_MAX_MEMBERS)
        return error_set(err, ERROR_INPUT, "more than %d members", BUNDLE_MAX_MEMBERS);
    if (b->epoch < 0 || b->epoch > MAX_EPOCH)
        return error_set(err, ERROR_INPUT, "its epoch is no time");
    if (!check_names(b, err))
        return false;
    for (size_t i = 0; i < b->count; i++) {
        const struct bundle_member *m = &b->members[i];
        if (!check_member(b, m, err) || !check_order(before, m->path, err))
            return false;
        if (m->size > (uint64_t)INT64_MAX / 2 - total)
            return error_set(err, ERROR_INPUT, "the sizes of its members are beyond all bounds");
        total += m->size;
        before = m->path;
    }
    for (size_t i = 0; i < b->count; i++)
        if (!check_above(b, b->members[i].path, err))
            return false;
    return check_folders_and_links(b, err);
}

bool bundle_sort(struct bundle_member *members, size_t *count, struct error **err)
{
    size_t kept = 0;
    if (*count)
        qsort(members, *count, sizeof *members, by_path);
    for (size_t i = 0; i < *count; i++) {
        const struct bundle_member *last = kept ? &members[kept - 1] : NULL;
        if (!last || strcmp(last->path, members[i].path) != 0) {
            members[kept++] = members[i];
        } else if (strcmp(last->source, members[i].source) != 0) {
            return error_set(err, ERROR_CONFLICT, "%s and %s would both be '%s' in the bundle",
                             last->source, members[i].source, last->path);
        }
    }
    *count = kept;
    return true;
}

/* --- text ---------------------------------------------------------------------------------------
 */

static void put_string(struct buffer *b, const char *s)
{
    autojson json_t *j = json_string(s);
    autofree char *text = j ? json_dumps(j, JSON_ENCODE_ANY) : NULL;
    if (!text)
        abort(); /* manifest_check has seen that it is UTF-8 */
    buffer_puts(b, text);
}

char *manifest_text(const struct bundle *b)
{
    struct buffer t = {0};
    buffer_printf(&t, "{\"bundle\": %d, \"requires\": [], \"kind\": \"%s\", \"epoch\": %jd,\n",
                  BUNDLE_VERSION, bundle_kind_names[b->kind], (intmax_t)b->epoch);
    buffer_puts(&t, " \"names\": [");
    for (const char *const *n = b->names; *n; n++) {
        buffer_puts(&t, n == b->names ? "" : ", ");
        put_string(&t, *n);
    }
    buffer_puts(&t, "],\n \"members\": [");
    for (size_t i = 0; i < b->count; i++) {
        const struct bundle_member *m = &b->members[i];
        buffer_puts(&t, i ? ",\n  {\"path\": " : "\n  {\"path\": ");
        put_string(&t, m->path);
        buffer_printf(&t, ", \"bytes\": %ju, \"sha256\": \"%s\"", (uintmax_t)m->size, m->sha256);
        if (m->mode && m->mode != 0644)
            buffer_printf(&t, ", \"mode\": \"%04o\"", (unsigned)m->mode);
        buffer_puts(&t, "}");
    }
    buffer_puts(&t, "],\n \"folders\": [");
    for (const char *const *f = b->folders; f && *f; f++) {
        buffer_puts(&t, f == b->folders ? "\n  " : ",\n  ");
        put_string(&t, *f);
    }
    buffer_puts(&t, "],\n \"links\": [");
    for (size_t i = 0; i < b->link_count; i++) {
        buffer_puts(&t, i ? ",\n  {\"path\": " : "\n  {\"path\": ");
        put_string(&t, b->links[i].path);
        buffer_puts(&t, ", \"target\": ");
        put_string(&t, b->links[i].target);
        buffer_puts(&t, "}");
    }
    buffer_puts(&t, "]}\n");
    return buffer_take(&t);
}

/* --- from a text --------------------------------------------------------------------------------
 */

static bool bad(const char *what, struct error **err)
{
    return error_set(err, ERROR_INPUT, "its %s is malformed", what);
}

static bool get_list(const json_t *j, const char *key, bool optional, json_t **list,
                     struct error **err)
{
    *list = json_object_get(j, key);
    if (json_array_size(*list) > BUNDLE_MAX_MEMBERS)
        return error_set(err, ERROR_INPUT, "more than %d %s", BUNDLE_MAX_MEMBERS, key);
    return json_is_array(*list) || (optional && !*list) || bad(key, err);
}

static bool get_texts(struct arena *a, const json_t *j, const char *key, bool optional,
                      const char *const **out, struct error **err)
{
    json_t *list;
    if (!get_list(j, key, optional, &list, err))
        return false;
    size_t count = json_array_size(list);
    const char **texts = arena_alloc(a, (count + 1) * sizeof *texts);
    for (size_t i = 0; i < count; i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (!s)
            return bad(key, err);
        texts[i] = arena_strdup(a, s);
    }
    *out = texts;
    return true;
}

static bool get_mode(const json_t *one, mode_t *mode)
{
    static const struct {
        const char *text;
        mode_t mode;
    } modes[] = {{"0600", 0600}, {"0755", 0755}};
    const char *text = json_string_or(one, "mode", NULL);
    *mode = 0644;
    if (!text)
        return json_object_get(one, "mode") == NULL;
    for (size_t i = 0; i < COUNT(modes); i++) {
        if (strcmp(modes[i].text, text) == 0) {
            *mode = modes[i].mode;
            return true;
        }
    }
    return false;
}

static bool get_members(struct arena *a, const json_t *j, struct bundle *b, struct error **err)
{
    json_t *list;
    if (!get_list(j, "members", false, &list, err))
        return false;
    b->count = json_array_size(list);
    struct bundle_member *members = arena_alloc(a, (b->count + 1) * sizeof *members);
    for (size_t i = 0; i < b->count; i++) {
        const json_t *one = json_array_get(list, i), *bytes = json_object_get(one, "bytes");
        const char *path = json_string_or(one, "path", NULL);
        const char *sha256 = json_string_or(one, "sha256", NULL);
        struct bundle_member *m = &members[i];
        if (!path || !sha256 || !json_is_integer(bytes) || json_integer_value(bytes) < 0)
            return bad("list of members", err);
        if (!get_mode(one, &m->mode))
            return error_set(err, ERROR_INPUT, "'%.1024s' has a mode that no bundle has", path);
        m->path = arena_strdup(a, path);
        m->sha256 = arena_strdup(a, sha256);
        m->size = (uint64_t)json_integer_value(bytes);
    }
    b->members = members;
    return true;
}

static bool get_links(struct arena *a, const json_t *j, struct bundle *b, struct error **err)
{
    json_t *list;
    if (!get_list(j, "links", true, &list, err))
        return false;
    b->link_count = json_array_size(list);
    struct bundle_link *links = arena_alloc(a, (b->link_count + 1) * sizeof *links);
    for (size_t i = 0; i < b->link_count; i++) {
        const json_t *one = json_array_get(list, i);
        const char *path = json_string_or(one, "path", NULL);
        const char *target = json_string_or(one, "target", NULL);
        if (!path || !target)
            return bad("list of links", err);
        links[i] = (struct bundle_link){arena_strdup(a, path), arena_strdup(a, target)};
    }
    b->links = links;
    return true;
}

static bool get_version(struct arena *a, const json_t *j, struct error **err)
{
    const json_t *version = json_object_get(j, "bundle");
    const char *const *needs;
    if (!json_is_integer(version) || json_integer_value(version) < 1)
        return error_set(err, ERROR_INPUT, "it does not say that it is a bundle");
    if (json_integer_value(version) > BUNDLE_VERSION)
        return error_set(err, ERROR_UNSUPPORTED,
                         "it is of version %jd, this ingot reads up to %d: use a newer one",
                         (intmax_t)json_integer_value(version), BUNDLE_VERSION);
    if (!get_texts(a, j, "requires", false, &needs, err))
        return false;
    return !*needs ||
           error_set(err, ERROR_UNSUPPORTED,
                     "it requires '%.64s', which this ingot does not know: use a newer one",
                     *needs);
}

/* More values than any manifest has would only fill the memory of whoever parses them. */
static bool is_crowded(const char *text, size_t size)
{
    size_t values = 0;
    for (size_t i = 0; i < size; i++)
        values += text[i] == ',' || text[i] == '[' || text[i] == '{';
    return values > (size_t)16 * BUNDLE_MAX_MEMBERS;
}

bool manifest_parse(struct arena *a, const char *text, size_t size, struct bundle *b,
                    struct error **err)
{
    autojson json_t *j = NULL;
    const json_t *epoch;
    if (is_crowded(text, size))
        return error_set(err, ERROR_INPUT, "its manifest has more in it than %d members need",
                         BUNDLE_MAX_MEMBERS);
    if (!json_parse(text, size, BUNDLE_MANIFEST, &j, err))
        return false;
    if (!json_is_object(j))
        return bad(BUNDLE_MANIFEST, err);
    if (!get_version(a, j, err))
        return false;
    const char *kind = json_string_or(j, "kind", "");
    epoch = json_object_get(j, "epoch");
    if (strcmp(kind, "artifacts") != 0 && strcmp(kind, "sources") != 0)
        return error_set(err, ERROR_UNSUPPORTED, "it is of a kind that this ingot does not know");
    b->kind = strcmp(kind, "sources") == 0 ? BUNDLE_SOURCES : BUNDLE_ARTIFACTS;
    if (!json_is_integer(epoch))
        return bad("epoch", err);
    b->epoch = json_integer_value(epoch);
    return get_texts(a, j, "names", false, &b->names, err) && get_members(a, j, b, err) &&
           get_texts(a, j, "folders", true, &b->folders, err) && get_links(a, j, b, err) &&
           manifest_check(b, err);
}

json_t *bundle_to_json(const struct bundle *b)
{
    json_t *j = json_object(), *members = json_array(), *links = json_array();
    json_set_string(j, "kind", bundle_kind_names[b->kind]);
    json_set(j, "names", json_strings(b->names));
    json_set_integer(j, "epoch", b->epoch);
    json_set_string(j, "manifest_sha256", b->manifest_sha256);
    json_set_string(j, "signature", !b->signature ? "none" : b->openpgp ? "openpgp" : "openssh");
    json_set_integer(j, "bytes", (json_int_t)b->file_size);
    json_set_integer(j, "payload_bytes", (json_int_t)b->payload);
    json_set_integer(j, "parts", b->parts);
    for (size_t i = 0; i < b->count; i++) {
        json_t *one = json_object();
        json_set_string(one, "path", b->members[i].path);
        json_set_integer(one, "bytes", (json_int_t)b->members[i].size);
        json_set_string(one, "sha256", b->members[i].sha256);
        json_array_append_new(members, one);
    }
    json_set(j, "members", members);
    json_set(j, "folders", json_strings(b->folders));
    for (size_t i = 0; i < b->link_count; i++)
        json_array_append_new(
            links, json_pack("{s:s,s:s}", "path", b->links[i].path, "target", b->links[i].target));
    json_set(j, "links", links);
    return j;
}
