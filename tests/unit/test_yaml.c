#include "unit.h"

#include "recipe/yaml.h"

static struct node *parse(struct arena *a, const char *text, size_t size, struct diagnostics *found)
{
    static const struct document_source source = {"f.yaml", "/dir", "f.yaml", false};
    *found = (struct diagnostics){.arena = a};
    return document_parse(a, &source, text, size, found);
}

static void nodes_and_places(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct diagnostics found;
    static const char text[] = "a: 1\nb:\n  - x\n  - \"y z\"\nü: {c: |\n    d\n";
    assert_null(parse(a, text, sizeof text - 1, &found)); /* not closed */
    static const char good[] = "a: 1\nb:\n  - x\n  - \"y\\tz\"\nü: {c: 'd'}\n";
    const struct node *n = parse(a, good, sizeof good - 1, &found);
    assert_non_null(n);
    assert_int_equal(found.count, 0);
    assert_int_equal(n->count, 3);
    const struct node *b = node_get(n, "b");
    assert_int_equal(b->kind, NODE_LIST);
    assert_int_equal(b->items[0]->place.line, 3);
    assert_int_equal(b->items[0]->place.column, 5);
    assert_true(b->items[0]->plain);
    assert_string_equal(b->items[1]->text, "y\tz");
    assert_false(b->items[1]->plain);
    const struct node *c = node_get(node_get(n, "ü"), "c");
    assert_int_equal(c->place.column, 8); /* characters, not bytes */
    assert_string_equal(c->dir, "/dir");
    assert_string_equal(node_to_line(a, n), "{a: 1, b: [x, y\tz], ü: {c: d}}");
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
        unsigned line, column;
        const char *message;
    } bad[] = {
        {"a: \0", 4, 1, 4, "a NUL character is refused"},
        {"a: b\n\xff\n", 7, 2, 1, "this is not YAML in UTF-8"},
        {"\xff\xfe"
         "a\0",
         4, 1, 4, "a NUL character is refused"},
        {"a: \x01\n", 5, 1, 4, "control characters are not allowed"},
        {"a:\n\tb: 1\n", 9, 2, 1, "a tab: YAML is indented with spaces"},
        {"a: \"\t\"\nb:\t1\n", 12, 2, 3, "a tab: YAML is indented with spaces"},
        {"a: 1\na: 2\n", 10, 2, 1, "a duplicate key, first in line 1"},
        {"a: 1\n...\n---\nb: 1\n", 18, 3, 1, "a second document"},
        {"a: *b\n", 6, 1, 4, "an alias (*b)"},
        {"? {a: 1}\n: 2\n", 13, 1, 3, "a key must be text"},
        {"a: !x b\n", 8, 1, 4, "a tag (!x)"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        autoarena struct arena *a = arena_new();
        struct diagnostics found;
        assert_null(parse(a, bad[i].text, bad[i].size, &found));
        assert_true(found.errors >= 1);
        if (!strstr(found.items[0].message, bad[i].message))
            fail_msg("%zu: \"%s\" does not contain \"%s\"", i, found.items[0].message,
                     bad[i].message);
        assert_int_equal(found.items[0].place.line, bad[i].line);
        assert_int_equal(found.items[0].place.column, bad[i].column);
    }
}

static void limits(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct diagnostics found;
    size_t size = DOCUMENT_MAX_BYTES + 1;
    autofree char *text = malloc(size);
    assert_non_null(text);
    memset(text, '#', size);
    assert_non_null(parse(a, text, size - 1, &found));
    assert_null(parse(a, text, size, &found));
    assert_non_null(strstr(found.items[0].message, "larger than 1 MiB"));
    memset(text, '[', DOCUMENT_MAX_DEPTH);
    memset(text + DOCUMENT_MAX_DEPTH, ']', DOCUMENT_MAX_DEPTH);
    assert_non_null(parse(a, text, 2 * DOCUMENT_MAX_DEPTH, &found));
    memset(text, '[', DOCUMENT_MAX_DEPTH + 1);
    memset(text + DOCUMENT_MAX_DEPTH + 1, ']', DOCUMENT_MAX_DEPTH + 1);
    assert_null(parse(a, text, 2 * DOCUMENT_MAX_DEPTH + 2, &found));
    assert_non_null(strstr(found.items[0].message, "nested deeper than 64"));
}

static void writing(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "a: 1\nb: \"1\"\nc:\n- x\n- true\n- \"true\"\nd:\n  e: 'it''s'\n",
        "\"1\": \"\"\n\"null\": ~\n\"a: b\": \"# no comment\"\n",
        "text: |\n  two\n  lines\n",
        "deep: {a: {b: [[1, 2], [3]]}}\nempty: {}\nnone: []\n",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        autoarena struct arena *a = arena_new();
        struct diagnostics found;
        const struct node *n = parse(a, texts[i], strlen(texts[i]), &found);
        const char *once = document_write(a, n);
        const struct node *again = parse(a, once, strlen(once), &found);
        if (!again)
            fail_msg("%s", once);
        assert_string_equal(document_write(a, again), once);
        assert_string_equal(node_to_line(a, again), node_to_line(a, n));
    }
}

static void scalar_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum scalar_kind kind;
    } kinds[] = {{"", SCALAR_NULL},        {"~", SCALAR_NULL},       {"true", SCALAR_BOOL},
                 {"yes", SCALAR_TEXT},     {"12", SCALAR_INTEGER},   {"-3", SCALAR_INTEGER},
                 {"0755", SCALAR_INTEGER}, {"0x1f", SCALAR_INTEGER}, {"1.5", SCALAR_FLOAT},
                 {"1e3", SCALAR_FLOAT},    {".inf", SCALAR_FLOAT},   {"1.2.3", SCALAR_TEXT},
                 {"1e", SCALAR_TEXT},      {"-", SCALAR_TEXT},       {".", SCALAR_TEXT},
                 {"8GiB", SCALAR_TEXT}};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct node n = {.kind = NODE_SCALAR, .text = kinds[i].text, .plain = true};
        if (node_scalar_kind(&n) != kinds[i].kind)
            fail_msg("'%s' is %d", kinds[i].text, (int)node_scalar_kind(&n));
        n.plain = false;
        assert_int_equal(node_scalar_kind(&n), SCALAR_TEXT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_and_places), cmocka_unit_test(refusals),
        cmocka_unit_test(limits),           cmocka_unit_test(writing),
        cmocka_unit_test(scalar_kinds),
    };
    return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
