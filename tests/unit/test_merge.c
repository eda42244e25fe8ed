#include "unit.h"

#include "recipe/merge.h"
#include "recipe/yaml.h"

static struct node *parse(struct arena *a, const char *text)
{
    static const struct document_source source = {"f.yaml", "/", "f.yaml", false};
    struct diagnostics found = {.arena = a};
    struct node *n = document_parse(a, &source, text, strlen(text), &found);
    if (!n)
        fail_msg("%s: %s", text, found.items[0].message);
    return n;
}

static void includes(void **state)
{
    (void)state;
    static const struct {
        const char *below, *over, *result;
    } cases[] = {
        {"{a: 1, b: 2}", "{b: 3, c: 4}", "{a: 1, b: 3, c: 4}"},
        {"{packages: [a, b]}", "{packages: [c]}", "{packages: [c]}"},
        {"{packages: [a, b]}", "{packages+: [c]}", "{packages: [a, b, c]}"},
        {"{name: x}", "{packages+: [c]}", "{name: x, packages: [c]}"},
        {"{boot: {cpus: 1, user: a}}", "{boot: {cpus: 2}}", "{boot: {cpus: 2, user: a}}"},
        {"{services: {enable: [a]}}", "{services: {enable+: [b]}}", "{services: {enable: [a, b]}}"},
        {"{arch: amd64}", "{arch+: [arm64]}", "{arch: [amd64, arm64]}"},
        /* a scalar that is short for a map */
        {"{distribution: k3s}", "{distribution: {version: 2}}",
         "{distribution: {name: k3s, version: 2}}"},
        {"{distribution: {name: k3s, version: 2}}", "{distribution: podman}",
         "{distribution: podman}"},
        /* another thing: nothing is kept */
        {"{distribution: {name: k3s, config: {a: 1}}}", "{distribution: {name: none}}",
         "{distribution: {name: none}}"},
        {"{distribution: {name: k3s, config: {a: 1}}}",
         "{distribution: {name: k3s, config: {b: 2}}}",
         "{distribution: {name: k3s, config: {a: 1, b: 2}}}"},
        {"{base: alpine-3.24}", "{base: {user: me}}", "{base: {name: alpine-3.24, user: me}}"},
        {"{base: {image: a, verify: {sha256: b}}}", "{base: {bootstrap: {os: debian}}}",
         "{base: {bootstrap: {os: debian}}}"},
        {"{base: {image: a, verify: {sha256: b}}}", "{base: {verify: {sha512: c}}}",
         "{base: {image: a, verify: {sha512: c}}}"},
        {"{boot: {memory: 1GiB}}", "{boot: {memory: {share: 50%}}}",
         "{boot: {memory: {share: 50%}}}"},
        {"{boot: {memory: {share: 50%, min: 1GiB}}}", "{boot: {memory: {share: 50%, max: 2GiB}}}",
         "{boot: {memory: {share: 50%, min: 1GiB, max: 2GiB}}}"},
        {"{registries: {a: {insecure: true}, b: {blocked: true}}}",
         "{registries: {a: {mirrors: [c]}}}",
         "{registries: {a: {insecure: true, mirrors: [c]}, b: {blocked: true}}}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        autoarena struct arena *a = arena_new();
        struct diagnostics found = {.arena = a};
        const struct node *below = parse(a, cases[i].below), *over = parse(a, cases[i].over);
        const struct node *n = merge(a, &recipe_type, below, over, &found);
        assert_string_equal(node_to_line(a, n), cases[i].result);
        assert_int_equal(found.count, 0);
        assert_string_equal(node_to_line(a, below), cases[i].below); /* as it was */
        assert_string_equal(node_to_line(a, over), cases[i].over);
    }
}

static void appending_to_a_scalar(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct diagnostics found = {.arena = a};
    const struct node *n =
        merge(a, &recipe_type, parse(a, "{packages: a}"), parse(a, "{packages+: [b]}"), &found);
    assert_non_null(n);
    assert_int_equal(found.errors, 1);
    assert_string_equal(found.items[0].message, "`+` appends to a list, and f.yaml:1 has text");
}

static void override(const char *text, const char *tree, const char *origin)
{
    autoarena struct arena *a = arena_new();
    struct diagnostics found = {.arena = a};
    struct recipe_override o;
    assert_ok(recipe_override_parse(a, text, &o, &err));
    assert_string_equal(o.origin, origin);
    const struct node *n = override_tree(a, &o, &found);
    if (tree) {
        assert_non_null(n);
        assert_string_equal(node_to_line(a, n), tree);
    } else {
        assert_null(n);
        assert_int_equal(found.errors, 1);
    }
}

static void overrides(void **state)
{
    (void)state;
    override("disk=8GiB", "{disk: 8GiB}", "--set disk=8GiB");
    override("boot.memory=1GiB", "{boot: {memory: 1GiB}}", "--set boot.memory=1GiB");
    override("packages+=[a, b]", "{packages+: [a, b]}", "--set packages+=[a, b]");
    override("registries.\"a.b=c\".blocked=true", "{registries: {a.b=c: {blocked: true}}}",
             "--set registries.\"a.b=c\".blocked=true");
    override("a.\"b.c\"+=[d]", "{a: {b.c+: [d]}}", "--set a.\"b.c\"+=[d]");
    override("name=", "{name: }", "--set name=");
    override("base.image=https://me:secret@host/x", "{base: {image: https://me:secret@host/x}}",
             "--set base.image=…");
    override("a..b=1", NULL, "--set a..b=1");
    override(".a=1", NULL, "--set .a=1");
    override("a.=1", NULL, "--set a.=1");
    override("\"a\"b=1", NULL, "--set \"a\"b=1");
    autoarena struct arena *a = arena_new();
    struct recipe_override o;
    assert_fails(recipe_override_parse(a, "disk", &o, &err), ERROR_USAGE, "must be KEY=VALUE");
    assert_fails(recipe_override_parse(a, "=1", &o, &err), ERROR_USAGE, "must be KEY=VALUE");
}

static void environment(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    char *const variables[] = {"PATH=/bin",       "INGOT_SET_disk__size=8GiB",
                               "INGOT_SETTING=1", "INGOT_SET_boot__ssh_keys=[a]",
                               "INGOT_SET_name",  NULL};
    struct recipe_override *o;
    size_t count;
    recipe_overrides_from_environment(a, variables, &o, &count);
    assert_int_equal(count, 2);
    assert_string_equal(o[0].path, "boot.ssh_keys");
    assert_string_equal(o[0].value, "[a]");
    assert_string_equal(o[1].path, "disk.size");
    assert_string_equal(o[1].origin, "INGOT_SET_disk__size");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(includes),
        cmocka_unit_test(appending_to_a_scalar),
        cmocka_unit_test(overrides),
        cmocka_unit_test(environment),
    };
    return cmocka_run_group_tests_name("merge", tests, NULL, NULL);
}
