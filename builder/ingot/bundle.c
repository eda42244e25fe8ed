#include "ingot/bundle.h"

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/units.h"
#include "ingot/commands.h"

#include <limits.h>
#include <string.h>

struct options {
    const char *output, *split, *sign_key, *recipe, *to, *key, *fingerprint;
    struct cli_list mirror;
    bool sources, with_secrets, without_seed, offline;
};

static const struct option_spec options[] = {
    {"output", 'o', OPTION_STRING, offsetof(struct options, output), "FILE",
     "create: the bundle (FILE.001 … with --split)"},
    {"sources", 0, OPTION_FLAG, offsetof(struct options, sources), NULL,
     "create: of recipes, with all that a rebuild needs, instead of artifact folders"},
    {"split", 0, OPTION_STRING, offsetof(struct options, split), "SIZE",
     "create: numbered parts of at most SIZE, as 4GiB; cat joins them"},
    {"sign-key", 0, OPTION_STRING, offsetof(struct options, sign_key), "KEY",
     "create: sign with an OpenSSH private key, or with the OpenPGP key of this fingerprint"},
    {"recipe", 0, OPTION_STRING, offsetof(struct options, recipe), "FILE",
     "create: the recipe of the artifact, where the cache does not know it"},
    {"with-secrets", 0, OPTION_FLAG, offsetof(struct options, with_secrets), NULL,
     "create: take images and seeds along although they hold secrets"},
    {"without-seed", 0, OPTION_FLAG, offsetof(struct options, without_seed), NULL,
     "create: leave a seed out if it holds a secret"},
    {"mirror", 0, OPTION_LIST, offsetof(struct options, mirror), "PREFIX=REPLACEMENT",
     "create --sources: ask another server for what begins with PREFIX"},
    {"offline", 0, OPTION_FLAG, offsetof(struct options, offline), NULL,
     "create --sources: reach no network: everything must be in the cache"},
    {"to", 0, OPTION_STRING, offsetof(struct options, to), "DIR",
     "import: where artifacts come to be (.), or the folder of the recipe (NAME)"},
    {"key", 0, OPTION_STRING, offsetof(struct options, key), "FILE",
     "import: the public key that must have signed the bundle"},
    {"fingerprint", 0, OPTION_STRING, offsetof(struct options, fingerprint), "F",
     "import: the OpenPGP key in FILE that must have signed it"},
    {0},
};

/* --- collecting ---------------------------------------------------------------------------------
 */

void collect_file(struct collection *c, const char *path, const char *source, const char *sha256,
                  mode_t mode)
{
    struct bundle_member m = {.path = path, .source = source, .sha256 = sha256, .mode = mode};
    arena_append(c->a, c->members, c->count, m);
}

bool collect_name(struct collection *c, const char *name, struct error **err)
{
    if (!path_is_plain_name(name))
        return error_set(err, ERROR_INPUT,
                         "'%s' is no name for what is in a bundle: letters, digits, `.`, `_`, `-`",
                         name);
    for (size_t i = 0; i < c->name_count; i++)
        if (strcmp(c->names[i], name) == 0)
            return error_set(err, ERROR_CONFLICT, "two of them are called '%s'", name);
    arena_append(c->a, c->names, c->name_count, name);
    return true;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_link(const void *a, const void *b)
{
    return strcmp(((const struct bundle_link *)a)->path, ((const struct bundle_link *)b)->path);
}

/* Sorted, each once: two recipes may share an overlay. */
static bool finish(struct collection *c, struct error **err)
{
    const char *end = NULL;
    size_t kept = 0;
    if (!bundle_sort(c->members, &c->count, err))
        return false;
    if (c->folder_count)
        qsort(c->folders, c->folder_count, sizeof *c->folders, by_text);
    for (size_t i = 0; i < c->folder_count; i++)
        if (!kept || strcmp(c->folders[kept - 1], c->folders[i]) != 0)
            c->folders[kept++] = c->folders[i];
    c->folder_count = kept;
    kept = 0;
    if (c->link_count)
        qsort(c->links, c->link_count, sizeof *c->links, by_link);
    for (size_t i = 0; i < c->link_count; i++)
        if (!kept || strcmp(c->links[kept - 1].path, c->links[i].path) != 0)
            c->links[kept++] = c->links[i];
    c->link_count = kept;
    arena_append(c->a, c->names, c->name_count, end);
    arena_append(c->a, c->folders, c->folder_count, end);
    c->b.names = c->names;
    c->b.folders = c->folders;
    c->b.links = c->links;
    c->b.link_count = c->link_count;
    c->b.members = c->members;
    c->b.count = c->count;
    return true;
}

static bool write_options(const struct options *o, struct bundle_write_options *w,
                          struct error **err)
{
    const char *why = NULL;
    *w = (struct bundle_write_options){.sign_key = o->sign_key};
    if (!o->output)
        return error_set(err, ERROR_USAGE, "-o FILE says where the bundle is written");
    if (o->split && !units_parse_size(o->split, &w->split, &why))
        return error_set(err, ERROR_USAGE, "--split '%s': %s", o->split, why);
    if (o->split && w->split < BUNDLE_MIN_SPLIT)
        return error_set(err, ERROR_USAGE, "--split '%s': parts have at least 64 KiB", o->split);
    return true;
}

static bool report(const struct cli *cli, const struct collection *c, const char *path,
                   const struct bundle_written *w)
{
    char size[16];
    log_info("%s: %zu members, %s%s", path, c->b.count, units_format_size(w->size, size),
             w->parts ? ", in parts" : "");
    if (!cli->json) {
        if (!w->parts)
            printf("%s\n", path);
        for (unsigned i = 1; i <= w->parts; i++)
            printf("%s.%03u\n", path, i);
        return true;
    }
    autojson json_t *j = json_object();
    json_t *files = json_array();
    json_set_string(j, "bundle", path);
    json_set_string(j, "kind", bundle_kind_names[c->b.kind]);
    json_set(j, "names", json_strings(c->b.names));
    json_set_integer(j, "members", (json_int_t)c->b.count);
    json_set_integer(j, "bytes", (json_int_t)w->size);
    json_set_string(j, "manifest_sha256", w->manifest_sha256);
    if (!w->parts)
        json_array_append_new(files, json_string(path));
    for (unsigned i = 1; i <= w->parts; i++)
        json_array_append_new(files, json_sprintf("%s.%03u", path, i));
    json_set(j, "files", files);
    autofree char *text = json_pretty(j);
    fputs(text, stdout);
    return true;
}

static bool create(const struct cli *cli, const struct options *o, struct session *s,
                   struct error **err)
{
    struct bundle_write_options how;
    struct bundle_written written;
    autofree char *tmp = NULL;
    autotempdir char *scratch = NULL;
    size_t count = cli->argument_count - 1;
    const char **given = cli->arguments + 1;
    struct collection c = {.session = s,
                           .a = s->arena,
                           .with_secrets = o->with_secrets,
                           .without_seed = o->without_seed};
    if (!count)
        return error_set(err, ERROR_USAGE, "create takes %s",
                         o->sources ? "recipes" : "folders that ingot has built, or --sources");
    if (o->recipe && (o->sources || count > 1))
        return error_set(err, ERROR_USAGE, "--recipe is for one artifact folder");
    if (!write_options(o, &how, err) || !store_folder(s->store, "tmp", &tmp, err) ||
        !file_temp_dir(tmp, "bundle-", &scratch, err))
        return false;
    c.scratch = scratch;
    c.b.kind = o->sources ? BUNDLE_SOURCES : BUNDLE_ARTIFACTS;
    for (size_t i = 0; i < count; i++)
        if (!(o->sources ? collect_sources(&c, given[i], err)
                         : collect_artifact(&c, given[i], o->recipe, err)))
            return error_wrap(err, "cannot bundle '%s'", given[i]);
    if (!finish(&c, err) || !bundle_write(&c.b, &how, o->output, &written, err))
        return false;
    progress_done();
    return report(cli, &c, o->output, &written);
}

/* --- the command --------------------------------------------------------------------------------
 */

static bool import(const struct cli *cli, const struct options *o, struct session *s,
                   struct error **err)
{
    autobundle struct bundle_reader *r = NULL;
    autojson json_t *j = json_object();
    if (cli->argument_count != 2)
        return error_set(err, ERROR_USAGE, "import takes one bundle");
    if (o->fingerprint && !o->key)
        return error_set(err, ERROR_USAGE, "--fingerprint names a key in the file of --key");
    if (!bundle_open(cli->arguments[1], &r, err))
        return false;
    if (o->key && !bundle_check_signature(r, o->key, o->fingerprint, err))
        return false;
    if (!o->key && bundle_manifest(r)->signature)
        log_warning("%s is signed, which is not checked: --key names the key", cli->arguments[1]);
    if (!bring_in(s, r, o->to, j, err))
        return false;
    progress_done();
    if (cli->json) {
        autofree char *text = json_pretty(j);
        fputs(text, stdout);
        return true;
    }
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(j, "folders"), i, one)
    {
        printf("%s\n", json_string_value(one));
    }
    return true;
}

static bool run(const struct cli *cli, const void *given, struct error **err)
{
    const struct options *o = given;
    const struct session_network network = {.offline = o->offline, .mirrors = &o->mirror};
    bool out = strcmp(cli->arguments[0], "create") == 0;
    autosession struct session *s = NULL;
    if (!out && strcmp(cli->arguments[0], "import") != 0)
        return error_set(err, ERROR_USAGE, "bundle does create or import, not '%s'",
                         cli->arguments[0]);
    return session_start(&s, out && o->sources ? &network : NULL, err) &&
           (out ? create(cli, o, s, err) : import(cli, o, s, err));
}

const struct command command_bundle = {
    .name = "bundle",
    .arguments = "create DIR… -o FILE|create --sources RECIPE… -o FILE|import FILE",
    .summary = "One file over the air gap: artifacts, or all that a rebuild needs",
    .details =
        "create            artifact folders with image, seed, image.json, checksums, recipe, lock "
        "and\n"
        "                  licences\n"
        "create --sources  the recipe with its lock and local files, and every blob that the lock\n"
        "                  names, for `ingot build NAME/RECIPE.yaml --locked --offline` elsewhere\n"
        "import            checks all of a bundle, then puts artifacts into DIR (.), or blobs "
        "into\n"
        "                  the cache and the recipe into DIR (./NAME)\n"
        "The same contents give the same bytes. `ingot-boot bundle` verifies and imports without\n"
        "the builder.",
    .options = options,
    .options_size = sizeof(struct options),
    .min_arguments = 1,
    .max_arguments = UINT_MAX,
    .run = run,
};
