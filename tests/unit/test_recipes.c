/* layer: recipe */
/* The folders of recipes: all of recipes/ and tests/good load, each of tests/bad is refused with
 * the messages that its first lines expect and no others.
 *
 * Comments at the head of a file: `# expect: MESSAGE` (an error), `# warning: MESSAGE`, `# set:
 * K=V` (an override), `# kind: unsupported` (of the error; else it is input).
 */
#include "unit.h"

#include "base/path.h"
#include "base/text.h"
#include "recipe/recipe.h"

#include "../fuzz/fuzz_recipe.c"

#include <dirent.h>

#define MAX_LINES 64

static const char *const search[] = {"recipes", NULL};

struct head {
    const char *expect[MAX_LINES], *warnings[MAX_LINES];
    size_t expect_count, warning_count;
    struct recipe_override sets[MAX_LINES];
    size_t set_count;
    enum error_kind kind;
};

static void read_head(struct arena *a, const char *text, struct head *h)
{
    h->kind = ERROR_INPUT;
    for (const char *line = text; *line == '#'; line = strchr(line, '\n') + 1) {
        const char *value = strstr(line, ": ");
        assert_non_null(strchr(line, '\n'));
        if (!value)
            continue;
        value = arena_strndup(a, value + 2, strcspn(value + 2, "\n"));
        if (text_starts_with(line, "# expect:") && h->expect_count < MAX_LINES)
            h->expect[h->expect_count++] = value;
        else if (text_starts_with(line, "# warning:") && h->warning_count < MAX_LINES)
            h->warnings[h->warning_count++] = value;
        else if (text_starts_with(line, "# set:") && h->set_count < MAX_LINES)
            assert_ok(recipe_override_parse(a, value, &h->sets[h->set_count++], &err));
        else if (text_starts_with(line, "# kind: unsupported"))
            h->kind = ERROR_UNSUPPORTED;
    }
}

/* As programs print it, with the names of files as they are called in the folder. */
static char *format(struct arena *a, const struct diagnostic *d, const char *dir)
{
    autofree char *absolute = path_absolute(NULL, dir);
    const char *prefixes[] = {arena_printf(a, "%s/", absolute), arena_printf(a, "%s/", dir)};
    char *s = d->place.line
                  ? arena_printf(a, "%s:%u:%u: ", d->place.file, d->place.line, d->place.column)
                  : arena_printf(a, "%s: ", d->place.file);
    s = arena_printf(a, "%s%s%s%s", s, d->key, *d->key ? ": " : "", d->message);
    for (size_t i = 0; i < COUNT(prefixes); i++)
        for (char *p; (p = strstr(s, prefixes[i])) != NULL;)
            memmove(p, p + strlen(prefixes[i]), strlen(p + strlen(prefixes[i])) + 1);
    return s;
}

static void check_messages(struct arena *a, const char *file, const char *dir,
                           const struct diagnostics *found, enum severity severity,
                           const char *const *expect, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < found->count; i++) {
        if (found->items[i].severity != severity)
            continue;
        const char *message = format(a, &found->items[i], dir);
        if (n >= count)
            fail_msg("%s: not expected: %s", file, message);
        if (strcmp(message, expect[n]) != 0)
            fail_msg("%s:\n  says     %s\n  expected %s", file, message, expect[n]);
        n++;
    }
    if (n < count)
        fail_msg("%s: does not say: %s", file, expect[n]);
}

static void check_recipe(const char *dir, const char *name, bool good)
{
    autoarena struct arena *a = arena_new();
    autofree char *path = path_join(dir, name), *text = NULL;
    autoerror struct error *failure = NULL;
    autorecipe struct recipe *r = NULL;
    struct head h = {0};
    struct diagnostics found = {.arena = a};
    size_t size;
    assert_ok(file_read(path, 1 << 20, &text, &size, &err));
    read_head(a, text, &h);
    struct recipe_options options = {
        .search = search, .overrides = h.sets, .override_count = h.set_count};
    bool ok = recipe_load(path, &options, &r, &found, &failure);
    if (good && (h.expect_count || !ok))
        fail_msg("%s: %s", path, ok ? "expects errors" : error_text(failure));
    if (!good && !h.expect_count)
        fail_msg("%s: expects no error", path);
    check_messages(a, path, dir, &found, SEVERITY_ERROR, h.expect, h.expect_count);
    check_messages(a, path, dir, &found, SEVERITY_WARNING, h.warnings, h.warning_count);
    if (!good) {
        assert_int_equal(error_kind(failure), h.kind);
        assert_null(r);
    }
}

static size_t check_folder(const char *dir, bool good)
{
    size_t count = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (!text_ends_with(e->d_name, ".yaml"))
            continue;
        check_recipe(dir, e->d_name, good);
        count++;
    }
    closedir(d);
    return count;
}

static void good_recipes(void **state)
{
    (void)state;
    assert_true(check_folder("tests/good", true) >= 20);
}

static void bad_recipes(void **state)
{
    (void)state;
    assert_true(check_folder("tests/bad", false) >= 60);
}

static void shipped_recipes(void **state)
{
    (void)state;
    assert_true(check_folder("recipes", true) >= 4);
}

/* --- values, on recipes of tests/good
 * -------------------------------------------------------------- */

static struct recipe *load(struct arena *a, const char *path)
{
    struct recipe *r = NULL;
    struct diagnostics found = {.arena = a};
    struct recipe_options options = {.search = search};
    assert_ok(recipe_load(path, &options, &r, &found, &err));
    return r;
}

static const char *origin_of(const struct recipe *r, const char *path)
{
    for (size_t i = 0; i < r->provenance_count; i++)
        if (strcmp(r->provenance[i].path, path) == 0)
            return r->provenance[i].origin;
    return "nowhere";
}

static void profiles_fill_in(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    autorecipe struct recipe *r = load(a, "tests/good/20-own-profiles.yaml");
    static const char *const packages[] = {"own-common", "own-systemd", "own-debian"};
    assert_int_equal(r->packages.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(r->packages.items[i].text, packages[i]);
    assert_string_equal(r->base.user, "admin"); /* the recipe before the profile */
    assert_string_equal(r->base.init, "systemd");
    assert_string_equal(path_basename(r->base.image.text), "own-amd64.qcow2");
    assert_string_equal(r->distribution.version, "2.0+b");
    assert_int_equal(r->source_count, 1);
    assert_string_equal(r->sources[0].url.text, "https://example.com/2.0%2Bb/own");
    assert_string_equal(r->sources[0].verify.checksums, "https://example.com/2.0%2Bb/SUMS");
    assert_int_equal(r->sources[0].mode, 0755);
    assert_int_equal(r->sysctl_count, 2);
    assert_string_equal(r->sysctls[0].name.text, "vm.swappiness");
    assert_string_equal(r->sysctls[0].value.text, "1"); /* the section before the rest */
    assert_string_equal(r->services_disable.items[0].text, "cron");
    assert_string_equal(r->distribution.config_text, "level: info\nlisten:\n- \"127.0.0.1:80\"\n");
    assert_int_equal(r->distribution.api_port, 7443);
    assert_int_equal(r->overlays.count, 1);
    assert_true(text_ends_with(r->overlays.items[0].text, "/tests/good/overlays/motd"));
    assert_int_equal(r->read_file_count, 3);
    assert_string_equal(origin_of(r, "base.user"), "tests/good/20-own-profiles.yaml:3");
    assert_string_equal(origin_of(r, "compression"), "default");
    assert_string_equal(origin_of(r, "distribution.openrc.packages"), "nowhere");
}

static void values(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    autorecipe struct recipe *files = load(a, "tests/good/13-files.yaml");
    assert_int_equal(files->file_count, 3);
    assert_string_equal(files->files[0].content.text, "hello\n");
    assert_int_equal(files->files[0].mode, 0644);
    assert_string_equal(files->files[0].owner, "root");
    assert_int_equal(files->files[1].mode, 0755);
    assert_non_null(strchr(files->files[1].content.text, '\t'));
    assert_true(text_ends_with(files->files[2].source.text, "/tests/good/13-files.yaml"));
    assert_string_equal(files->directories[0].path.text, "/data");
    assert_int_equal(files->directories[0].mode, 01777);
    assert_int_equal(files->outputs, OUTPUT_QCOW2 | OUTPUT_CIDATA);

    autorecipe struct recipe *run = load(a, "tests/good/14-run.yaml");
    assert_string_equal(run->run[0].argv[0], "/bin/sh");
    assert_string_equal(run->run[0].argv[2], "systemctl mask apt-daily.timer");
    assert_string_equal(run->run[1].argv[3], "3");
    assert_null(run->run[1].argv[4]);
    assert_true(run->recommends);

    autorecipe struct recipe *boot = load(a, "tests/good/23-boot.yaml");
    assert_int_equal(boot->boot.ssh_key_files.count, 2);
    assert_true(boot->boot.ports[1].udp);
    assert_string_equal(boot->boot.ports[2].address, "127.0.0.1");
    assert_string_equal(boot->boot.hostname.text, "node-1.example.com");

    autorecipe struct recipe *stack = load(a, "tests/good/03-agent-stack.yaml");
    assert_int_equal(stack->boot.memory_share, 50);
    assert_int_equal(stack->boot.ports[2].count, 2768);
    assert_string_equal(stack->registries[0].mirrors.items[0].text, "http://localhost:30501");
}

static void includes(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    autorecipe struct recipe *site = load(a, "tests/good/07-site.yaml");
    assert_string_equal(site->title, "prod-kubesolo-1.4.0");
    assert_string_equal(site->compression, "zlib");
    assert_int_equal(site->boot.cpus, 2); /* of the included map */
    assert_string_equal(site->boot.address.text, "10.0.0.50/24");
    assert_string_equal(site->distribution.name.text, "k3s");
    assert_string_equal(origin_of(site, "boot.cpus"), "tests/good/02-alpine-k3s.yaml:7");

    autorecipe struct recipe *more = load(a, "tests/good/19-append.yaml");
    static const char *const packages[] = {"chrony",     "g++",  "libstdc++6",
                                           "python3.11", "curl", "vim"};
    assert_int_equal(more->packages.count, COUNT(packages));
    for (size_t i = 0; i < COUNT(packages); i++)
        assert_string_equal(more->packages.items[i].text, packages[i]);
    assert_int_equal(more->services_enable.count, 1); /* a list replaces */
    assert_int_equal(more->services_disable.count, 2);
}

static void lookup(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    autofree char *path = NULL;
    assert_ok(recipe_find("demo", search, &path, &err));
    assert_true(text_ends_with(path, "/recipes/demo.yaml"));
    char *none = NULL;
    assert_fails(recipe_find("dmeo", search, &none, &err), ERROR_INPUT, "did you mean 'demo'?");
    assert_fails(recipe_find("../demo", search, &none, &err), ERROR_INPUT, "no recipe '../demo'");
    assert_fails(recipe_find("demo.yaml", search, &none, &err), ERROR_INPUT, "no recipe");
    struct text_list names = recipe_names(a, search, LOOKUP_DISTRIBUTION);
    assert_true(names.count >= 3);
    assert_string_equal(names.items[0].text, "k3s");
    struct recipe *r = NULL;
    struct diagnostics found = {.arena = a};
    assert_fails(recipe_load("tests/good/none.yaml", NULL, &r, &found, &err), ERROR_INPUT,
                 "there is no recipe");
}

/* --- documentation
 * --------------------------------------------------------------------------------- */

static void reference_is_in_the_docs(void **state)
{
    (void)state;
    static const char begin[] = "<!-- made by `ingot schema --markdown`: begin -->\n",
                      end[] = "<!-- made by `ingot schema --markdown`: end -->\n";
    autofree char *docs = NULL, *reference = recipe_reference();
    size_t size;
    assert_ok(file_read("docs/recipe.md", 1 << 20, &docs, &size, &err));
    char *from = strstr(docs, begin), *to = strstr(docs, end);
    assert_non_null(from);
    assert_non_null(to);
    *to = '\0';
    assert_string_equal(from + sizeof begin - 1, reference);
}

static void schema_has_every_key(void **state)
{
    (void)state;
    autojson json_t *schema = recipe_schema();
    const json_t *properties = json_object_get(schema, "properties");
    assert_non_null(json_object_get(properties, "boot"));
    assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
    /* Appending is possible for lists alone, and what is not yet supported accepts nothing. */
    assert_non_null(json_object_get(properties, "packages+"));
    assert_null(json_object_get(properties, "disk+"));
    assert_non_null(json_object_get(json_object_get(properties, "images"), "not"));
    autojson json_t *base = recipe_profile_schema(LOOKUP_BASE);
    assert_non_null(json_object_get(json_object_get(base, "properties"), "images"));
}

/* --- mutations, with a fixed seed
 * ------------------------------------------------------------------ */

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    return *seed ^= *seed << 5;
}

static void mutate(char *text, size_t *size, size_t room, uint32_t *seed)
{
    static const char interesting[] = "\t\n :-[]{}&*!|>'\"#%@`+~\0\xff\xc3 0";
    for (unsigned k = 1 + next_random(seed) % 4; k && *size; k--) {
        size_t at = next_random(seed) % *size, n = 1 + next_random(seed) % 16;
        switch (next_random(seed) % 4) {
        case 0:
            text[at] = interesting[next_random(seed) % (sizeof interesting - 1)];
            break;
        case 1:
            text[at] ^= (char)(1 << next_random(seed) % 8);
            break;
        case 2: /* cut */
            n = n > *size - at ? *size - at : n;
            memmove(text + at, text + at + n, *size - at - n);
            *size -= n;
            break;
        default: /* double */
            n = n > *size - at ? *size - at : n;
            n = *size + n > room ? 0 : n;
            memmove(text + at + n, text + at, *size - at);
            *size += n;
        }
    }
}

static void mutate_folder(const char *dir, unsigned rounds)
{
    uint32_t seed = 20240101;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (!text_ends_with(e->d_name, ".yaml"))
            continue;
        autofree char *path = path_join(dir, e->d_name), *text = NULL;
        size_t size;
        assert_ok(file_read(path, 1 << 20, &text, &size, &err));
        for (unsigned i = 0; i <= rounds; i++) {
            autofree char *copy = malloc(size + 256);
            size_t length = size;
            assert_non_null(copy);
            memcpy(copy, text, size);
            if (i)
                mutate(copy, &length, size + 256, &seed);
            LLVMFuzzerTestOneInput((const uint8_t *)copy, length);
        }
    }
    closedir(d);
}

static void mutations(void **state)
{
    (void)state;
    mutate_folder("tests/good", 60);
    mutate_folder("tests/bad", 12);
    mutate_folder("recipes", 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_recipes),
        cmocka_unit_test(bad_recipes),
        cmocka_unit_test(shipped_recipes),
        cmocka_unit_test(profiles_fill_in),
        cmocka_unit_test(values),
        cmocka_unit_test(includes),
        cmocka_unit_test(lookup),
        cmocka_unit_test(reference_is_in_the_docs),
        cmocka_unit_test(schema_has_every_key),
        cmocka_unit_test(mutations),
    };
    return cmocka_run_group_tests_name("recipes", tests, NULL, NULL);
}
