#include "unit.h"

#include "base/path.h"
#include "base/process.h"
#include "plan/registries.h"

#define TEXT(s)                                                                                    \
    {                                                                                              \
        .text = (s), .place = { "r.yaml", 7, 3 }                                                   \
    }

static const struct text_at docker_mirrors[] = {TEXT("https://mirror.example:5000/hub/"),
                                                TEXT("http://localhost:30501")};
static const struct text_at svc_mirrors[] = {TEXT("http://localhost:30501")};
static const struct registry some[] = {
    {.name = TEXT("docker.io"), .mirrors = {docker_mirrors, 2}},
    {.name = TEXT("registry-svc.default:5001"), .mirrors = {svc_mirrors, 1}, .insecure = true},
};
static const struct registry blocked[] = {{.name = TEXT("quay.io"), .blocked = true}};
static const struct registry wildcard[] = {{.name = TEXT("*.example.com"), .insecure = true}};
static const struct registry everything[] = {{.name = TEXT("*"), .mirrors = {svc_mirrors, 1}}};

static void containers_format(void **state)
{
    (void)state;
    autobuffer struct buffer b = {0};
    assert_ok(registries_containers.write(some, COUNT(some), &b, &err));
    assert_string_equal(b.data, "# Written by ingot, from the recipe's registries.\n"
                                "\n[[registry]]\n"
                                "prefix = \"docker.io\"\n"
                                "location = \"docker.io\"\n"
                                "\n[[registry.mirror]]\n"
                                "location = \"mirror.example:5000/hub\"\n"
                                "\n[[registry.mirror]]\n"
                                "location = \"localhost:30501\"\n"
                                "insecure = true\n"
                                "\n[[registry]]\n"
                                "prefix = \"registry-svc.default:5001\"\n"
                                "location = \"registry-svc.default:5001\"\n"
                                "insecure = true\n"
                                "\n[[registry.mirror]]\n"
                                "location = \"localhost:30501\"\n"
                                "insecure = true\n");
    autobuffer struct buffer c = {0};
    assert_ok(registries_containers.write(blocked, 1, &c, &err));
    assert_non_null(strstr(c.data, "blocked = true\n"));
    autobuffer struct buffer d = {0};
    assert_ok(registries_containers.write(wildcard, 1, &d, &err));
    assert_null(strstr(d.data, "location"));
    autobuffer struct buffer e = {0};
    assert_fails(registries_containers.write(everything, 1, &e, &err), ERROR_INPUT, "r.yaml:7:3");
}

static void k3s_format(void **state)
{
    (void)state;
    autobuffer struct buffer b = {0};
    assert_ok(registries_k3s.write(some, COUNT(some), &b, &err));
    assert_string_equal(b.data, "# Written by ingot, from the recipe's registries.\n"
                                "mirrors:\n"
                                "  \"docker.io\":\n"
                                "    endpoint:\n"
                                "      - \"https://mirror.example:5000/hub/\"\n"
                                "      - \"http://localhost:30501\"\n"
                                "  \"registry-svc.default:5001\":\n"
                                "    endpoint:\n"
                                "      - \"http://localhost:30501\"\n"
                                "configs:\n"
                                "  \"registry-svc.default:5001\":\n"
                                "    tls:\n"
                                "      insecure_skip_verify: true\n");
    autobuffer struct buffer c = {0};
    assert_fails(registries_k3s.write(blocked, 1, &c, &err), ERROR_INPUT, "cannot block");
    autobuffer struct buffer d = {0};
    assert_fails(registries_k3s.write(wildcard, 1, &d, &err), ERROR_INPUT, "wildcard");
    autobuffer struct buffer e = {0};
    assert_ok(registries_k3s.write(everything, 1, &e, &err));
    assert_non_null(strstr(e.data, "\"*\":"));
}

static void bad_mirrors(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "localhost:5000",
                                      "ftp://a",
                                      "https://",
                                      "https:///x",
                                      "https://user:hunter2@host/",
                                      "https://host/?a",
                                      "https://host/#a",
                                      "https://ho\"st",
                                      "https://ho st",
                                      "https://host\n"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct text_at t = TEXT(bad[i]);
        struct mirror m;
        autoerror struct error *err = NULL;
        assert_false(registries_parse_mirror(&t, &m, &err));
        assert_int_equal(error_place(err).line, 7);
        assert_null(strstr(error_text(err), "hunter2"));
    }
    static const char *const bad_names[] = {"", "a b", "a\"", "https://x", "*.", "a*", "/x", "*.*"};
    for (size_t i = 0; i < COUNT(bad_names); i++) {
        struct text_at t = TEXT(bad_names[i]);
        assert_fails(registries_check_name(&t, &err), ERROR_INPUT, "registry");
    }
    assert_ptr_equal(registries_find(NULL), &registries_containers);
    assert_ptr_equal(registries_find("k3s"), &registries_k3s);
    assert_null(registries_find("nothing"));
}

/* podman's own reading of the file. */
static void podman_reads_it(void **state)
{
    (void)state;
    autofree char *podman = process_find("podman");
    if (!podman) {
        print_message("podman is not installed\n");
        skip();
    }
    autotempdir char *dir = unit_temp_dir();
    autofree char *file = path_join(dir, "registries.conf");
    autofree char *storage = path_join(dir, "storage.conf");
    autobuffer struct buffer b = {0}, s = {0};
    assert_ok(registries_containers.write(some, COUNT(some), &b, &err));
    assert_ok(file_write(file, b.data, b.size, 0644, &err));
    buffer_printf(&s,
                  "[storage]\ndriver = \"vfs\"\nrunroot = \"%s/run\"\ngraphroot = \"%s/root\"\n",
                  dir, dir);
    assert_ok(file_write(storage, s.data, s.size, 0644, &err));
    autofree char *conf = NULL, *store = NULL;
    assert_true(asprintf(&conf, "CONTAINERS_REGISTRIES_CONF=%s", file) > 0);
    assert_true(asprintf(&store, "CONTAINERS_STORAGE_CONF=%s", storage) > 0);
    const char *const argv[] = {podman, "info", "--format", "json", NULL};
    const char *const env[] = {conf, store, NULL};
    struct process p = {.argv = argv, .env = env, .timeout_seconds = 120};
    autoresult struct process_result r = {0};
    assert_ok(process_check(&p, ERROR_HOST, &r, &err));
    static const char *const parts[] = {"\"docker.io\"", "\"mirror.example:5000/hub\"",
                                        "\"registry-svc.default:5001\"", "\"localhost:30501\""};
    for (size_t i = 0; i < COUNT(parts); i++)
        if (!strstr(r.out.data, parts[i]))
            fail_msg("podman does not say %s: %s", parts[i], r.out.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(containers_format),
        cmocka_unit_test(k3s_format),
        cmocka_unit_test(bad_mirrors),
        cmocka_unit_test(podman_reads_it),
    };
    return cmocka_run_group_tests_name("registries", tests, NULL, NULL);
}
