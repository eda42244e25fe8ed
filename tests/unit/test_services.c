#include "unit.h"

#include "plan/services.h"

static void install_sections(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    static const char text[] = "[Unit]\nWantedBy=not-this.target\n"
                               "[Install]\n"
                               "# WantedBy=comment.target\n"
                               "WantedBy = multi-user.target graphical.target\n"
                               "RequiredBy=\\\n"
                               "; a comment within\n"
                               "  a.service \\\n"
                               "  b.service\n"
                               "Alias=other.service\n"
                               "Also=more.socket\n"
                               "DefaultInstance=tty1\n"
                               "Unknown=x\n"
                               "[Service]\nAlias=no.service\n";
    static const struct unit_link want[] = {
        {UNIT_WANTED_BY, "multi-user.target"}, {UNIT_WANTED_BY, "graphical.target"},
        {UNIT_REQUIRED_BY, "a.service"},       {UNIT_REQUIRED_BY, "b.service"},
        {UNIT_ALIAS, "other.service"},         {UNIT_ALSO, "more.socket"}};
    struct unit_install in;
    assert_ok(unit_parse_install(a, "u", text, strlen(text), &in, &err));
    assert_int_equal(in.count, COUNT(want));
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_int_equal(in.links[i].kind, want[i].kind);
        assert_string_equal(in.links[i].name, want[i].name);
    }
    assert_string_equal(in.default_instance, "tty1");
}

static void odd_sections(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    static const struct {
        const char *text;
        size_t count;
    } good[] = {
        {"", 0},
        {"[Install]", 0},
        {"[Install]\nWantedBy=", 0},
        {"[Install]\nWantedBy=a.target\nWantedBy=\nWantedBy=b.target", 1},
        {"[Install]\r\nWantedBy=a.target\r\n", 1},
        {"[Install]\nWantedBy=a.target\\", 1},
        {"[install]\nWantedBy=a.target\n", 0},
        {"[Install]\nWantedBy\n", 0},
        {"[Install]\nWantedBy=dev-virtio\\x2dports-org.qemu.guest_agent.0.device\n", 1},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        struct unit_install in;
        assert_ok(unit_parse_install(a, "u", good[i].text, strlen(good[i].text), &in, &err));
        assert_int_equal(in.count, good[i].count);
    }
    struct unit_install in;
    static const char *const bad[] = {"../../x.target", "a/b.target", "%i.target", "a\"b", "..x"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        char text[128];
        int n = snprintf(text, sizeof text, "[Install]\nWantedBy=%s\n", bad[i]);
        assert_fails(unit_parse_install(a, "u", text, (size_t)n, &in, &err), ERROR_INPUT,
                     "is not a unit name");
    }
    char many[4096] = "[Install]\nWantedBy=";
    for (int i = 0; i < 40; i++)
        strcat(many, "a.target ");
    assert_fails(unit_parse_install(a, "u", many, strlen(many), &in, &err), ERROR_INPUT,
                 "more than 32");
    assert_fails(unit_parse_install(a, "u", "a\0b", 3, &in, &err), ERROR_INPUT, "NUL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(install_sections),
        cmocka_unit_test(odd_sections),
    };
    return cmocka_run_group_tests_name("services", tests, NULL, NULL);
}
