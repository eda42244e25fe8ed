#include "unit.h"

#include "base/path.h"
#include "boot/agent.h"
#include "boot/instance.h"
#include "boot/ready.h"

#include <arpa/inet.h>
#include <sys/socket.h>

static void names(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    assert_ok(instance_name_check("demo-1.0_x", &err));
    assert_fails(instance_name_check("../x", &err), ERROR_USAGE, "no name for an instance");
    assert_fails(instance_name_check("", &err), ERROR_USAGE, "no name for an instance");
    assert_fails(instance_name_check("a123456789a123456789a123456789a123456789a123456789a1234567"
                                     "89abcd",
                                     &err),
                 ERROR_USAGE, "at most 63");
    assert_string_equal(instance_hostname(a, "demo-1.0_x"), "demo-1-0-x");
    assert_string_equal(instance_hostname(a, "a__b_"), "a-b");
}

static void forwards(void **state)
{
    (void)state;
    static const struct {
        const char *text, *address, *protocol;
        unsigned host, guest;
    } good[] = {
        {"2222:22", "127.0.0.1", "tcp", 2222, 22},
        {"0.0.0.0:8080:80", "0.0.0.0", "tcp", 8080, 80},
        {"53:53/udp", "127.0.0.1", "udp", 53, 53},
        {"[::1]:1:2/tcp", "::1", "tcp", 1, 2},
    };
    static const char *const bad[] = {
        "",           "22",  "0:22", "1:65536",           "a:b",     "1:2/sctp", "host:1:2",
        "1.2.3.4:22", ":22", "1:",   "127.0.0.1,x=y:1:2", "1:2:3:4", "-1:2",     "111111:2"};
    autoarena struct arena *a = arena_new();
    struct forward f;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_ok(forward_parse(a, good[i].text, &f, &err));
        assert_string_equal(f.address, good[i].address);
        assert_string_equal(f.protocol, good[i].protocol);
        assert_int_equal(f.host, good[i].host);
        assert_int_equal(f.guest, good[i].guest);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_fails(forward_parse(a, bad[i], &f, &err), ERROR_USAGE, "no forward");
}

static void port_in_use(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    const struct forward f = {"127.0.0.1", "tcp", ntohs(at.sin_port), 22};
    assert_fails(forward_check_free(&f, &err), ERROR_CONFLICT, "is in use");
    close(take_fd(&fd));
    assert_ok(forward_check_free(&f, &err));
    const struct forward elsewhere = {"203.0.113.1", "tcp", 1, 2};
    assert_fails(forward_check_free(&elsewhere, &err), ERROR_HOST, "cannot listen");
}

static void resources(void **state)
{
    (void)state;
    const uint64_t gib = (uint64_t)1 << 30;
    struct contract c = {.minimum = {gib / 2, 1, 0}};
    assert_int_equal(instance_memory(&c, 16 * gib), gib / 2);
    assert_int_equal(instance_cpus(&c, 8), 1);
    c.recommended.memory = 2 * gib;
    c.recommended.cpus = 4;
    assert_int_equal(instance_memory(&c, 16 * gib), 2 * gib);
    assert_int_equal(instance_cpus(&c, 8), 4);
    assert_int_equal(instance_cpus(&c, 2), 2);
    c.memory_share = 50;
    c.memory_min = 4 * gib;
    c.memory_max = 6 * gib;
    assert_int_equal(instance_memory(&c, 16 * gib), 6 * gib);
    assert_int_equal(instance_memory(&c, 2 * gib), 4 * gib);
    assert_int_equal(instance_memory(&c, 10 * gib), 5 * gib);
    const struct contract nothing = {0};
    assert_int_equal(instance_memory(&nothing, gib), gib);
    assert_int_equal(instance_cpus(&nothing, 0), 2);
}

/* RFC 4648, section 10. */
static void base64(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    static const char *const bad[] = {"Zg=", "Zg", "Z===", "Zg=a", "Z\ng=", "====", "Zm9v!m9v"};
    for (size_t i = 0; i < COUNT(pairs); i++) {
        autofree char *text = base64_encode(pairs[i][0], strlen(pairs[i][0]));
        autobuffer struct buffer back = {0};
        assert_string_equal(text, pairs[i][1]);
        assert_true(base64_decode(text, &back));
        assert_int_equal(back.size, strlen(pairs[i][0]));
        if (back.size)
            assert_string_equal(back.data, pairs[i][0]);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        autobuffer struct buffer back = {0};
        if (base64_decode(bad[i], &back))
            fail_msg("'%s' was taken", bad[i]);
    }
}

static void stages(void **state)
{
    (void)state;
    enum ready_stage s;
    assert_ok(ready_parse("cloud-init", &s, &err));
    assert_int_equal(s, READY_CLOUD_INIT);
    assert_fails(ready_parse("never", &s, &err), ERROR_USAGE, "not 'never'");
    struct instance i = {.seed = "cloud-init", .agent = true};
    assert_int_equal(ready_last(&i), READY_CLOUD_INIT);
    i.seed = "tiny-cloud";
    assert_int_equal(ready_last(&i), READY_CLOUD_INIT);
    i.seed = "none";
    assert_int_equal(ready_last(&i), READY_AGENT);
    i.agent = false;
    assert_int_equal(ready_last(&i), READY_KERNEL);
}

/* Boot loaders draw with escape sequences; a terminal must not be driven by a guest. */
static void console_tail(void **state)
{
    (void)state;
    static const char text[] =
        "old\n\033[2J\033[1;32mGRUB\033[0m menu\r\n\033c\a[    0.000000] Linux\n"
        "panic\n\n";
    autotempdir char *dir = unit_temp_dir();
    autofree char *path = path_join(dir, "console.log"), *none = NULL, *tail = NULL;
    none = ready_console_tail(path, 3);
    assert_string_equal(none, "");
    assert_int_equal(ready_console_size(path), 0);
    assert_ok(file_write(path, text, sizeof text - 1, 0600, &err));
    tail = ready_console_tail(path, 3);
    assert_string_equal(tail, "GRUB menu\n[    0.000000] Linux\npanic");
    assert_int_equal(ready_console_size(path), sizeof text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),        cmocka_unit_test(forwards), cmocka_unit_test(port_in_use),
        cmocka_unit_test(resources),    cmocka_unit_test(base64),   cmocka_unit_test(stages),
        cmocka_unit_test(console_tail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
