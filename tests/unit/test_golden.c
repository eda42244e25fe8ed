/* layer: plan */
/* Golden plans: tests/golden/NAME.yaml gives NAME.plan, byte for byte. INGOT_TEST_UPDATE=1 writes
 * the files anew: look at the difference before it is committed. */
#include "unit.h"

#include "base/buffer.h"
#include "plan/plan.h"

#define EPOCH 1700000000
#define BASE_DIGEST "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
#define MAX_BYTES ((size_t)1 << 20)

struct golden {
    const char *name;  /* of the recipe */
    const char *facts; /* fixtures, or NULL */
    const char *resolution;
    bool explain;
};

/* Paths below the current folder become relative: the same plan in every checkout. */
static char *without_folder(const char *text)
{
    autofree char *folder = getcwd(NULL, 0);
    assert_non_null(folder);
    struct buffer b = {0};
    size_t n = strlen(folder);
    for (const char *found; (found = strstr(text, folder)) != NULL; text = found + n + 1)
        buffer_add(&b, text, (size_t)(found - text));
    buffer_puts(&b, text);
    return buffer_take(&b);
}

/* Compares with tests/golden/NAME.SUFFIX, or writes it. */
static void check(const char *name, const char *suffix, const char *raw)
{
    autofree char *text = without_folder(raw);
    char path[256];
    snprintf(path, sizeof path, "tests/golden/%s.%s", name, suffix);
    const char *update = getenv("INGOT_TEST_UPDATE");
    if (update && *update == '1') {
        assert_ok(file_write(path, text, strlen(text), 0644, &err));
        return;
    }
    autofree char *want = NULL;
    size_t size;
    assert_ok(file_read(path, MAX_BYTES, &want, &size, &err));
    if (strcmp(want, text) != 0)
        fail_msg("%s is not what the plan is now (INGOT_TEST_UPDATE=1 writes it):\n%s", path, text);
}

static json_t *fixture(const char *name)
{
    char path[256];
    json_t *j = NULL;
    snprintf(path, sizeof path, "tests/golden/%s", name);
    assert_ok(json_read_file(path, MAX_BYTES, &j, &err));
    return j;
}

static void load(const char *name, struct arena *a, struct recipe **r)
{
    char path[256];
    snprintf(path, sizeof path, "tests/golden/%s.yaml", name);
    static const char *const search[] = {"recipes", NULL};
    const struct recipe_options options = {.search = search};
    struct diagnostics found = {.arena = a};
    assert_ok(recipe_load(path, &options, r, &found, &err));
}

static char *printed(const struct plan *p, bool explain)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    plan_print(p, explain, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void golden(void **state)
{
    const struct golden *g = *state;
    autoarena struct arena *a = arena_new();
    autorecipe struct recipe *r = NULL;
    autoinputs struct inputs *in = inputs_new(NULL);
    autoplan struct plan *p = NULL, *again = NULL;
    const struct facts *facts = NULL;
    const struct resolution *resolution = NULL;
    load(g->name, a, &r);
    if (g->facts) {
        autojson json_t *j = fixture(g->facts);
        assert_ok(facts_from_json(a, j, &facts, &err));
    }
    if (g->resolution) {
        autojson json_t *j = fixture(g->resolution);
        assert_ok(resolution_from_json(a, j, &resolution, &err));
    }
    assert_ok(plan_make(r, in, BASE_DIGEST, facts, resolution, EPOCH, &p, &err));
    autofree char *text = printed(p, g->explain);
    check(g->name, "plan", text);
    autojson json_t *j = plan_to_json(p);
    autofree char *json = json_pretty(j);
    check(g->name, "json", json);

    /* The same again is the same plan. */
    assert_ok(plan_make(r, in, BASE_DIGEST, facts, resolution, EPOCH, &again, &err));
    autofree char *second = printed(again, g->explain);
    assert_string_equal(text, second);
}

int main(void)
{
    static struct golden goldens[] = {
        {"debian", "facts-debian.json", "resolution-debian.json", true},
        {"alpine", "facts-alpine.json", NULL, false},
        {"unknown", NULL, NULL, false},
    };
    const struct CMUnitTest tests[] = {
        {"debian", golden, NULL, NULL, &goldens[0]},
        {"alpine", golden, NULL, NULL, &goldens[1]},
        {"unknown", golden, NULL, NULL, &goldens[2]},
    };
    return cmocka_run_group_tests_name("golden", tests, NULL, NULL);
}
