/* layer: recipe */
#include "unit.h"

#include "recipe/check.h"

typedef bool check(const char *s, const char **why);

static void accepts(check *f, const char *const *texts)
{
    const char *why = NULL;
    for (; *texts; texts++)
        if (!f(*texts, &why))
            fail_msg("'%s' is refused: %s", *texts, why);
}

static void refuses(check *f, const char *const *texts)
{
    for (; *texts; texts++) {
        const char *why = NULL;
        if (f(*texts, &why))
            fail_msg("'%s' is accepted", *texts);
        assert_non_null(why);
    }
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void names(void **state)
{
    (void)state;
    accepts(check_plain_name, WORDS("a", "k3s", "alpine-3.24", "A_b.c"));
    refuses(check_plain_name, WORDS("", ".", "..", ".a", "-a", "a/b", "a b", "ä", "a\n"));
    accepts(check_version, WORDS("1", "v1.37.1+k3s1", "1.0~rc1"));
    refuses(check_version, WORDS("", "+1", "1/2", "1 2", "1:2"));
    accepts(check_package, WORDS("g++", "libstdc++6", "python3.11", "0ad"));
    refuses(check_package, WORDS("", "-y", "a b", "a;b", "a=1", "../a", "a/b"));
    accepts(check_service, WORDS("chronyd", "getty@tty1.service", "a-b:c"));
    refuses(check_service, WORDS("", "../a", "a/b", "-a", "a b"));
    accepts(check_module, WORDS("br_netfilter", "nf-nat"));
    refuses(check_module, WORDS("", "a b", "a/b", "a.ko", "-r"));
    accepts(check_sysctl, WORDS("net.ipv4.ip_forward", "net.ipv4.conf.eth0/1.rp_filter"));
    refuses(check_sysctl, WORDS("ip_forward", "net..x", "net.", ".net", "-w.x", "a. b"));
    accepts(check_user, WORDS("me", "_apt", "a-b1"));
    refuses(check_user, WORDS("", "Me", "1a", "root:x", "-a", "abcdefghijklmnopqrstuvwxyzabcdefg"));
    accepts(check_owner, WORDS("root", "root:adm", "0:0", "1000", "me:100"));
    refuses(check_owner, WORDS("", ":", "a:", ":a", "a:b:c", "70000", "A"));
}

static void paths_and_urls(void **state)
{
    (void)state;
    accepts(check_guest_path, WORDS("/a", "/a/b.c", "/etc/grüße"));
    refuses(check_guest_path,
            WORDS("", "/", "a", "/a/", "//a", "/a//b", "/a/../b", "/./a", "/a\n"));
    accepts(check_url, WORDS("https://a", "http://a:80/b?c=d#e", "file:///a/b", "http://[::1]/x"));
    refuses(check_url, WORDS("", "ftp://a", "https://", "https:///a", "https://a b", "https://a\"b",
                             "https://u:p@a", "https://u@a/b", "file://a", "file:///",
                             "file:///a/../b", "HTTPS://a", "https://a\n"));
    accepts(check_url_template, WORDS("https://a/@{version}/@{arch}", "dir/@{arch}.img", "~/x"));
    refuses(check_url_template, WORDS("https://a/@{}", "https://a/{arch}", "https://a/@{arch"));
    accepts(check_archive_member, WORDS("a", "a/b", "./a"));
    refuses(check_archive_member, WORDS("", "/a", "..", "a/../../b", "a\\b"));
}

static void networks(void **state)
{
    (void)state;
    accepts(check_hostname, WORDS("a", "node-1", "a.b.example.com", "1a"));
    refuses(check_hostname,
            WORDS("", "-a", "a-", "A", "a_b", "a..b", ".a", "a.", "a b",
                  "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl"));
    accepts(check_registry, WORDS("docker.io", "localhost:5000", "10.0.0.1:5000", "*", "*.a.b",
                                  "agentstack-registry-svc.default:5001"));
    refuses(check_registry,
            WORDS("", "https://a", "a/b", "a:", "a:0", "a:70000", "a:b", "*a", "a.*"));
    accepts(check_ipv4, WORDS("10.0.0.1", "0.0.0.0"));
    refuses(check_ipv4, WORDS("", "10.0.0", "10.0.0.256", "10.0.0.1/24", "::1", "010.0.0.1 "));
    accepts(check_ipv4_prefix, WORDS("10.0.0.50/24", "10.0.0.50/32"));
    refuses(check_ipv4_prefix, WORDS("10.0.0.50", "10.0.0.50/", "10.0.0.50/0", "10.0.0.50/33",
                                     "/24", "10.0.0.50/2 4", "::1/64"));
    accepts(check_ip, WORDS("10.0.0.1", "fd00::1"));
    refuses(check_ip, WORDS("dns", "fd00::g"));
}

static void keys_and_digests(void **state)
{
    (void)state;
    static const char blob[] =
        "AAAAC3NzaC1lZDI1NTE5AAAAIGkx5v1VwK0rYbqXwz7cAXJdQm2VnPzTg0oGJvYcLr3s";
    char key[256];
    const char *why;
    snprintf(key, sizeof key, "ssh-ed25519 %s", blob);
    assert_true(check_ssh_key(key, &why));
    snprintf(key, sizeof key, "ssh-ed25519 %s me@desk with words", blob);
    assert_true(check_ssh_key(key, &why));
    snprintf(key, sizeof key, "ssh-ed25519 %s\nssh-ed25519 %s", blob, blob);
    assert_false(check_ssh_key(key, &why));
    snprintf(key, sizeof key, "command=\"sh\" ssh-ed25519 %s", blob);
    assert_false(check_ssh_key(key, &why));
    snprintf(key, sizeof key, "ssh-dss %s", blob);
    assert_false(check_ssh_key(key, &why));
    char hex[130];
    memset(hex, 'A', sizeof hex);
    hex[128] = '\0';
    assert_true(check_sha512(hex, &why));
    assert_false(check_sha256(hex, &why));
    hex[64] = '\0';
    assert_true(check_sha256(hex, &why));
    assert_false(check_sha512(hex, &why));
    hex[63] = 'g';
    assert_false(check_sha256(hex, &why));
    accepts(check_percent, WORDS("1%", "100%"));
    refuses(check_percent, WORDS("", "0%", "101%", "50", "5 %", "%"));
}

static void ports(void **state)
{
    (void)state;
    static const struct {
        const char *text, *address;
        unsigned host, guest, count;
        bool udp;
    } good[] = {
        {"80:8080", "127.0.0.1", 80, 8080, 1, false},
        {"0.0.0.0:53:53/udp", "0.0.0.0", 53, 53, 1, true},
        {"30000-30010:31000-31010/tcp", "127.0.0.1", 30000, 31000, 11, false},
        {"65535:1", "127.0.0.1", 65535, 1, 1, false},
    };
    static const char *const bad[] = {
        "",          "80",      ":80",        "80:",    "0:80",        "80:0",
        "65536:80",  "80:80/",  "80:80/sctp", "a:80",   "1.2.3:80:80", "::1:80:80",
        "10-5:10-5", "1-3:1-2", "80 :80",     "-80:80", "80:80:80:80"};
    autoarena struct arena *a = arena_new();
    const char *why;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct port_forward p = {0};
        assert_true(parse_port_forward(a, good[i].text, &p, &why));
        assert_string_equal(p.address, good[i].address);
        assert_int_equal(p.host, good[i].host);
        assert_int_equal(p.guest, good[i].guest);
        assert_int_equal(p.count, good[i].count);
        assert_int_equal(p.udp, good[i].udp);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct port_forward p = {0};
        if (parse_port_forward(a, bad[i], &p, &why))
            fail_msg("'%s' is accepted", bad[i]);
    }
}

static void versions(void **state)
{
    (void)state;
    static const struct {
        const char *condition;
        bool satisfied, wellformed;
    } cases[] = {
        {">=1.2", true, true},    {"1.2", true, true},       {">=1.2.3", true, true},
        {">1.2.3", false, true},  {">=1.10", false, true},   {"=1.2.3", true, true},
        {"=1.2", false, true},    {"<2", true, true},        {"<=1.2.3", true, true},
        {">=1, <2", true, true},  {">=1,<1.2", false, true}, {">= 1.2", true, true},
        {"", false, false},       {"soon", false, false},    {">=", false, false},
        {">=1.2b", false, false}, {">=1.", false, false},    {"~1.2", false, false},
        {">=1,", false, false},   {"1 2", false, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool wellformed = false;
        bool satisfied = version_satisfies("1.2.3", cases[i].condition, &wellformed);
        if (wellformed != cases[i].wellformed || (wellformed && satisfied != cases[i].satisfied))
            fail_msg("'%s': %d %d", cases[i].condition, satisfied, wellformed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),    cmocka_unit_test(paths_and_urls),
        cmocka_unit_test(networks), cmocka_unit_test(keys_and_digests),
        cmocka_unit_test(ports),    cmocka_unit_test(versions),
    };
    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
