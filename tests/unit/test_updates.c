/* The checkers, with answers of the services' own shape and with broken ones. */
#include "unit.h"

#include "updates/updates.h"

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C64 "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

/* A service with these answers and no others. */
struct answer {
    const char *url, *text;
    size_t size; /* 0: as long as the text */
};

static bool get(void *data, const char *url, size_t max_bytes, char **text, size_t *size,
                struct error **err)
{
    (void)max_bytes;
    for (const struct answer *one = data; one->url; one++) {
        if (strcmp(one->url, url) != 0)
            continue;
        *size = one->size ? one->size : strlen(one->text);
        *text = malloc(*size + 1);
        assert_non_null(*text);
        memcpy(*text, one->text, *size);
        return true;
    }
    return error_set(err, ERROR_UNREACHABLE, "%s: HTTP 404", url);
}

static bool check(struct arena *a, const struct answer *answers, const struct update_source *source,
                  const struct update_request *given, struct update *out, struct error **err)
{
    const struct update_service s = {get, (void *)(uintptr_t)answers};
    struct update_request r = *given;
    r.source = source;
    r.what = "it";
    memset(out, 0xA5, sizeof *out); /* all of it is set */
    bool ok = updates_check(a, &s, &r, out, err);
    assert_string_equal(out->what, "it");
    if (!ok)
        assert_true(!out->current && !out->available && !out->newer && !out->note);
    return ok;
}

static void assert_text(const char *is, const char *expected)
{
    if (!is || !expected)
        assert_ptr_equal(is, expected);
    else
        assert_string_equal(is, expected);
}

/* --- Alpine -------------------------------------------------------------------------------------
 */

#define RELEASES "https://alpine.example/releases.json"
#define IMAGES "https://dl.alpine.example/v3.23/releases/cloud/"
#define IMAGE(version) "nocloud_alpine-" version "-x86_64-bios-cloudinit-r0.qcow2"

static const struct update_source alpine = {
    .kind = UPDATE_ALPINE, .url = RELEASES, .folder = IMAGES, .product = "3.23"};
static const struct update_request alpine_request = {.image = IMAGES IMAGE("3.23.9"),
                                                     .today = "2026-11-21"};

static const char releases_json[] =
    "{\"latest_stable\": \"v3.24\", \"release_branches\": ["
    "{\"rel_branch\": \"edge\", \"git_branch\": \"master\", \"arches\": [\"x86_64\"]},"
    "{\"rel_branch\": \"v3.24\", \"eol_date\": \"2028-06-01\", \"releases\": [{\"version\": "
    "\"3.24.1\", \"date\": \"2026-07-01\"}, {\"version\": \"3.24.0\"}]},"
    "{\"rel_branch\": \"v3.23\", \"branch_date\": \"2025-12-03\", \"eol_date\": \"2027-11-01\", "
    "\"releases\": [{\"version\": \"3.23.10\", \"date\": \"2026-09-17\"}, {\"version\": "
    "\"3.23.9\", \"date\": \"2026-08-01\", \"notes\": \"posts/x.html\"}]},"
    "{\"rel_branch\": \"v3.10\", \"eol_date\": \"2021-05-01\", \"releases\": [{\"version\": "
    "\"3.10.9\"}]}]}";

/* As web servers write them: nginx, lighttpd, with other links among them. */
static const char images_index[] =
    "<html><head><title>Index of /v3.23/releases/cloud/</title></head><body><pre>"
    "<a href=\"../\">../</a>\n"
    "<a href=\"" IMAGE(
        "3.23.8") "\">nocloud_alpine-3.23.8-x8..&gt;</a>  01-Jan-2026 10:00  1\n"
                  "<A HREF='" IMAGE(
                      "3.23.9") "'>x</A>\n"
                                "<a href=\"/v3.23/releases/cloud/" IMAGE(
                                    "3.23.10") "\">x</a>\n"
                                               "<a href=\"" IMAGE(
                                                   "3.23.10") ".sha512\">x</a>\n"
                                                              "<a href=\"" IMAGE(
                                                                  "3.23.10") ".asc\">x</a>\n"
                                                                             "<a "
                                                                             "href=\"nocloud_"
                                                                             "alpine-3.23.11-"
                                                                             "aarch64-uefi-"
                                                                             "cloudinit-r0.qcow2\">"
                                                                             "x</a>\n"
                                                                             "<a "
                                                                             "href=\"nocloud_"
                                                                             "alpine-3.23.11-x86_"
                                                                             "64-uefi-cloudinit-r0."
                                                                             "qcow2\">x</a>\n"
                                                                             "<a "
                                                                             "href=\"nocloud_"
                                                                             "alpine-3.23.11-x86_"
                                                                             "64-bios-tiny-r0."
                                                                             "qcow2\">x</a>\n"
                                                                             "<a "
                                                                             "href=\"nocloud_"
                                                                             "alpine-3.23.11-x86_"
                                                                             "64-bios-cloudinit-"
                                                                             "metal-r0.qcow2\">x</"
                                                                             "a>\n"
                                                                             "<a "
                                                                             "href=\"generic_"
                                                                             "alpine-3.23.11-x86_"
                                                                             "64-bios-cloudinit-r0."
                                                                             "qcow2\">x</a>\n"
                                                                             "<a href=\"" IMAGE(
                                                                                 "3.24.0") "\">of "
                                                                                           "another"
                                                                                           " branch"
                                                                                           "</a>\n"
                                                                                           "<a "
                                                                                           "href="
                                                                                           "\"" IMAGE(
                                                                                               "3."
                                                                                               "230"
                                                                                               ".1") "\">of another branch</a>\n"
                                                                                                     "<a href=\"nocloud_alpine-3.23.99-x86_64-bios-cloudinit-r.qcow2\">no revision</a>\n"
                                                                                                     "<a href=\"nocloud_alpine-3.23.99-x86_64-bios-cloudinit-r0\">no suffix</a>\n"
                                                                                                     "</pre></body></html>\n";

static void check_alpine(const char *index, const char *image, const char *today,
                         const struct update *expected)
{
    autoarena struct arena *a = arena_new();
    const struct answer answers[] = {{RELEASES, releases_json, 0}, {IMAGES, index, 0}, {0}};
    const struct update_request r = {.image = image, .today = today};
    struct update u;
    assert_ok(check(a, answers, &alpine, &r, &u, &err));
    assert_text(u.current, expected->current);
    assert_text(u.available, expected->available);
    assert_text(u.url, expected->url);
    assert_text(u.note, expected->note);
    assert_int_equal(u.newer, expected->newer);
}

static void alpine_answers(void **state)
{
    (void)state;
    check_alpine(images_index, IMAGES IMAGE("3.23.9"), "2026-11-21",
                 &(struct update){.current = "3.23.9-r0",
                                  .available = "3.23.10-r0",
                                  .url = IMAGES IMAGE("3.23.10"),
                                  .note = "there is a newer branch, 3.24; supported until "
                                          "2027-11-01",
                                  .newer = true});
    check_alpine(images_index, IMAGES IMAGE("3.23.10"), "2027-11-01",
                 &(struct update){.current = "3.23.10-r0",
                                  .available = "3.23.10-r0",
                                  .url = IMAGES IMAGE("3.23.10"),
                                  .note = "there is a newer branch, 3.24; end of life since "
                                          "2027-11-01"});
    /* Another revision of the same version; a mirror in a local folder. */
    check_alpine(
        "<a href=\"nocloud_alpine-3.23.10-x86_64-bios-cloudinit-r2.qcow2\">"
        "<a href=\"nocloud_alpine-3.23.10-x86_64-bios-cloudinit-r10.qcow2\">",
        "/srv/" IMAGE("3.23.10"), NULL,
        &(struct update){.current = "3.23.10-r0",
                         .available = "3.23.10-r10",
                         .url = IMAGES "nocloud_alpine-3.23.10-x86_64-bios-cloudinit-r10.qcow2",
                         .note = "there is a newer branch, 3.24; supported until 2027-11-01",
                         .newer = true});
    /* The image of a release comes later than the release. */
    check_alpine("<a href=\"" IMAGE("3.23.9") "\">", IMAGES IMAGE("3.23.9"), NULL,
                 &(struct update){.current = "3.23.9-r0",
                                  .available = "3.23.9-r0",
                                  .url = IMAGES IMAGE("3.23.9"),
                                  .note = "3.23.10 is released and has no image yet; there is a "
                                          "newer branch, 3.24; supported until 2027-11-01"});
    /* What is here is newer than what is there. */
    check_alpine(images_index, IMAGES IMAGE("3.23.12"), NULL,
                 &(struct update){.current = "3.23.12-r0",
                                  .available = "3.23.10-r0",
                                  .url = IMAGES IMAGE("3.23.10"),
                                  .note = "there is a newer branch, 3.24; supported until "
                                          "2027-11-01; ahead of the index of images"});
}

/* An image that is not called as Alpine's are. */
static void alpine_names(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "https://x.example/",          "https://x.example/alpine.qcow2",
        "https://x.example/a-3.23-r0", "https://x.example/a-3.23.1.qcow2",
        "https://x.example/a-",        "https://x.example/-r0.qcow2",
        "https://x.example/a-3.23-r.", "https://x.example/a-3.23.1x-r0.qcow2",
    };
    const struct answer answers[] = {{RELEASES, releases_json, 0}, {IMAGES, images_index, 0}, {0}};
    for (size_t i = 0; i < COUNT(bad); i++) {
        autoarena struct arena *a = arena_new();
        const struct update_request r = {.image = bad[i]};
        struct update u;
        assert_fails(check(a, answers, &alpine, &r, &u, &err), ERROR_INPUT,
                     "is not called as Alpine's cloud images are");
    }
}

/* --- simplestreams ------------------------------------------------------------------------------
 */

#define INDEX "https://cloud.example/releases/streams/v1/index.json"
#define PRODUCTS "https://cloud.example/releases/streams/v1/com.ubuntu.cloud:released:download.json"
#define PRODUCT "com.ubuntu.cloud:server:24.04:amd64"

static const struct update_source streams = {
    .kind = UPDATE_SIMPLESTREAMS, .url = INDEX, .product = PRODUCT, .item = "disk1.img"};
static const struct update_request streams_request = {
    .image = "https://cloud.example/releases/24.04/release/ubuntu-24.04-server-cloudimg-amd64.img",
    .sha256 = A64,
    .today = "2026-11-21"};

static const char index_json[] =
    "{\"format\": \"index:1.0\", \"updated\": \"Sat, 21 Nov 2026 00:00:00 +0000\", \"index\": {"
    "\"com.ubuntu.cloud:released:aws\": {\"datatype\": \"image-ids\", \"path\": "
    "\"streams/v1/com.ubuntu.cloud:released:aws.json\", \"products\": [\"" PRODUCT "\"]},"
    "\"com.ubuntu.cloud:released:download\": {\"datatype\": \"image-downloads\", \"path\": "
    "\"streams/v1/com.ubuntu.cloud:released:download.json\", \"format\": \"products:1.0\", "
    "\"products\": [\"com.ubuntu.cloud:server:22.04:amd64\", \"" PRODUCT "\"]}}}";

#define ITEMS(serial, digest)                                                                      \
    "\"" serial "\": {\"label\": \"release\", \"pubname\": \"ubuntu-noble\", \"items\": {"         \
    "\"manifest\": {\"ftype\": \"manifest\", \"path\": \"x\", \"size\": 1},"                       \
    "\"disk1.img\": {\"ftype\": \"disk1.img\", \"md5\": \"x\", \"sha256\": \"" digest              \
    "\", \"size\": 600, \"path\": \"server/releases/noble/release-" serial                         \
    "/ubuntu-24.04-server-cloudimg-amd64.img\"}}}"
#define PRODUCTS_JSON(versions)                                                                    \
    "{\"format\": \"products:1.0\", \"products\": {\"" PRODUCT                                     \
    "\": {\"arch\": \"amd64\", \"support_eol\": \"2029-05-31\", \"supported\": true, "             \
    "\"versions\": {" versions "}}}}"

static const char products_json[] =
    PRODUCTS_JSON(ITEMS("20241004", A64) "," ITEMS("20261102", B64) "," ITEMS(
        "20260115", C64) ","
                         "\"20270101\": {\"items\": {\"manifest\": {\"path\": \"x\"}}}");

static void check_streams(const char *products, const char *image, const char *sha256,
                          const struct update *expected)
{
    autoarena struct arena *a = arena_new();
    const struct answer answers[] = {{INDEX, index_json, 0}, {PRODUCTS, products, 0}, {0}};
    const struct update_request r = {.image = image, .sha256 = sha256, .today = "2026-11-21"};
    struct update u;
    assert_ok(check(a, answers, &streams, &r, &u, &err));
    assert_text(u.current, expected->current);
    assert_text(u.available, "20261102");
    assert_text(u.sha256, B64);
    assert_text(u.url, "https://cloud.example/releases/server/releases/noble/release-20261102/"
                       "ubuntu-24.04-server-cloudimg-amd64.img");
    assert_text(u.note, expected->note);
    assert_int_equal(u.newer, expected->newer);
}

static void streams_answers(void **state)
{
    (void)state;
    static const char eol[] = "supported until 2029-05-31";
    const char *image = streams_request.image;
    check_streams(products_json, image, A64,
                  &(struct update){.current = "20241004", .note = eol, .newer = true});
    check_streams(products_json, image, B64, &(struct update){.current = "20261102", .note = eol});
    check_streams(
        products_json, image, NULL,
        &(struct update){.note = "no image is locked or fetched yet; supported until 2029-05-31"});
    check_streams(products_json, image,
                  "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
                  &(struct update){.note = "the image in use is not listed any more; supported "
                                           "until 2029-05-31",
                                   .newer = true});
    /* A folder of one serial says it itself. */
    check_streams(products_json, "https://cloud.example/releases/24.04/release-20260115/x.img",
                  NULL, &(struct update){.current = "20260115", .note = eol, .newer = true});
    check_streams(products_json, "https://cloud.example/releases/24.04/release-20261102/x.img",
                  NULL, &(struct update){.current = "20261102", .note = eol});
}

/* --- GitHub, channels ---------------------------------------------------------------------------
 */

#define LATEST "https://api.example/repos/o/r/releases/latest"
#define CHANNELS "https://update.example/v1-release/channels"

static const struct update_source github = {.kind = UPDATE_GITHUB, .url = LATEST};
static const struct update_source channels = {
    .kind = UPDATE_CHANNEL, .url = CHANNELS, .product = "stable"};
static const struct update_request release_request = {.current = "v1.36.4+k3s1"};

static void check_release(const struct update_source *source, const char *text, const char *current,
                          const struct update *expected)
{
    autoarena struct arena *a = arena_new();
    const struct answer answers[] = {{source->url, text, 0}, {0}};
    const struct update_request r = {.current = current};
    struct update u;
    assert_ok(check(a, answers, source, &r, &u, &err));
    assert_text(u.current, current);
    assert_text(u.available, expected->available);
    assert_text(u.url, expected->url);
    assert_text(u.note, expected->note);
    assert_int_equal(u.newer, expected->newer);
}

static void github_answers(void **state)
{
    (void)state;
    static const char latest[] =
        "{\"url\": \"https://api.example/1\", \"html_url\": "
        "\"https://github.example/o/r/releases/tag/v1.10.0\", \"tag_name\": \"v1.10.0\", "
        "\"draft\": false, \"prerelease\": false, \"assets\": [{\"name\": \"x\"}]}";
    static const char list[] =
        " [{\"tag_name\": \"v2.0.0-rc1\", \"draft\": false, \"prerelease\": true},"
        "{\"tag_name\": \"v3.0.0\", \"draft\": true, \"prerelease\": false},"
        "{\"tag_name\": \"v1.9.0\", \"html_url\": \"https://github.example/v1.9.0\"},"
        "{\"tag_name\": \"v1.10.0\", \"html_url\": \"javascript:alert(1)\"},"
        "{\"tag_name\": \"v1.2.0\"}]";
    static const char page[] = "https://github.example/o/r/releases/tag/v1.10.0";
    check_release(&github, latest, "v1.9.0",
                  &(struct update){.available = "v1.10.0", .url = page, .newer = true});
    check_release(&github, latest, "v1.10.0",
                  &(struct update){.available = "v1.10.0", .url = page});
    check_release(&github, latest, "1.10.0", &(struct update){.available = "v1.10.0", .url = page});
    check_release(&github, latest, "v1.11.0",
                  &(struct update){
                      .available = "v1.10.0", .url = page, .note = "ahead of the latest release"});
    check_release(&github, latest, NULL, &(struct update){.available = "v1.10.0", .url = page});
    check_release(&github, list, "v1.9.0", &(struct update){.available = "v1.10.0", .newer = true});
}

static const char channels_json[] =
    "{\"type\": \"collection\", \"links\": {\"self\": \"x\"}, \"resourceType\": \"channels\", "
    "\"data\": [{\"id\": \"stable\", \"type\": \"channel\", \"name\": \"stable\", \"latest\": "
    "\"v1.36.4+k3s2\"}, {\"id\": \"latest\", \"name\": \"latest\", \"latest\": \"v1.37.1+k3s1\"}, "
    "{\"id\": \"testing\", \"name\": \"testing\"}]}";

static void channel_answers(void **state)
{
    (void)state;
    const struct update_source testing = {
        .kind = UPDATE_CHANNEL, .url = CHANNELS, .product = "testing"};
    const struct update_source mistyped = {
        .kind = UPDATE_CHANNEL, .url = CHANNELS, .product = "stabel"};
    const struct answer answers[] = {{CHANNELS, channels_json, 0}, {0}};
    autoarena struct arena *a = arena_new();
    struct update u;
    check_release(&channels, channels_json, "v1.36.4+k3s1",
                  &(struct update){.available = "v1.36.4+k3s2", .newer = true});
    check_release(&channels, channels_json, "v1.36.4+k3s2",
                  &(struct update){.available = "v1.36.4+k3s2"});
    check_release(
        &channels, channels_json, "v1.37.1+k3s1",
        &(struct update){.available = "v1.36.4+k3s2", .note = "ahead of the channel 'stable'"});
    assert_fails(check(a, answers, &testing, &release_request, &u, &err), ERROR_INPUT,
                 "channel 'testing': " CHANNELS ": 'latest' is missing or no text");
    assert_fails(check(a, answers, &mistyped, &release_request, &u, &err), ERROR_INPUT,
                 "has no channel 'stabel'; did you mean 'stable'?");
}

/* --- broken answers -----------------------------------------------------------------------------
 */

static void check_broken(const struct update_source *source, const struct update_request *r,
                         const struct answer *answers, const char *part)
{
    autoarena struct arena *a = arena_new();
    struct update u;
    assert_fails(check(a, answers, source, r, &u, &err), ERROR_INPUT, part);
}

/* What no service of the four may answer, in place of `url`; the others stay as they are. */
static void check_all_broken(const struct update_source *source, const struct update_request *r,
                             const char *url, const struct answer *good)
{
    static const char nul[] = "{\"a\":\0 1}", page[] = " \n<!DOCTYPE html><html>Sign in</html>";
    const struct {
        const char *text, *part;
        size_t size;
    } broken[] = {
        {"", "answers with nothing", 0},
        {"  \n", "answers with nothing", 0},
        {page, "answers with a web page", 0},
        {nul, "binary data", sizeof nul - 1},
        {"\x1f\x8b\x08", "not valid JSON", 0},
        {"null", "not valid JSON", 0}, /* RFC 4627: jansson takes objects and lists alone */
        {"{", "not valid JSON", 0},
        {"[1,", "not valid JSON", 0},
        {"{} {}", "not valid JSON", 0},
        {"{\"a\": 1, \"a\": 2}", "not valid JSON", 0},
        {"{\"a\": \"\xff\"}", "not valid JSON", 0},
        {"{\"a\\u0000\": 1}", "not valid JSON", 0},
        {"{}", url, 0},
        {"[]", url, 0},
        {"[[]]", url, 0},
        {"[null]", url, 0},
        {"{\"message\": \"API rate limit exceeded\"}", url, 0},
    };
    size_t depth = 100000;
    autofree char *deep = malloc(depth + 1);
    assert_non_null(deep);
    memset(deep, '[', depth);
    deep[depth] = '\0';
    for (size_t i = 0; i <= COUNT(broken); i++) {
        struct answer answers[4] = {
            i < COUNT(broken)
                ? (struct answer){url, broken[i].text, broken[i].size ? broken[i].size : 0}
                : (struct answer){url, deep, 0},
            good[0],
            good[0].url ? good[1] : good[0],
        };
        check_broken(source, r, answers, i < COUNT(broken) ? broken[i].part : "not valid JSON");
    }
}

static void broken_json(void **state)
{
    (void)state;
    const struct answer releases[] = {{IMAGES, images_index, 0}, {0}};
    const struct answer index[] = {{PRODUCTS, products_json, 0}, {0}};
    const struct answer products[] = {{INDEX, index_json, 0}, {0}};
    const struct answer none[] = {{0}};
    check_all_broken(&alpine, &alpine_request, RELEASES, releases);
    check_all_broken(&streams, &streams_request, INDEX, index);
    check_all_broken(&streams, &streams_request, PRODUCTS, products);
    check_all_broken(&github, &release_request, LATEST, none);
    check_all_broken(&channels, &release_request, CHANNELS, none);
}

#define BRANCH(members)                                                                            \
    "{\"latest_stable\": \"v3.24\", \"release_branches\": [{\"rel_branch\": \"v3.23\", " members   \
    "}]}"

static void broken_releases(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } broken[] = {
        {"{\"latest_stable\": \"v3.24\"}", "'release_branches' is missing or no list"},
        {"{\"latest_stable\": \"v3.24\", \"release_branches\": {}}", "no list"},
        {"{\"latest_stable\": \"v3.24\", \"release_branches\": []}", "has no branch '3.23'"},
        {"{\"latest_stable\": \"v3.24\", \"release_branches\": [1]}", "a branch has no"},
        {"{\"latest_stable\": \"v3.24\", \"release_branches\": [{\"rel_branch\": 3.23}]}",
         "a branch has no"},
        {BRANCH("\"eol_date\": \"2027-11-01\""), "'releases' of the branch is missing"},
        {BRANCH("\"releases\": \"3.23.1\""), "'releases' of the branch is missing or no list"},
        {BRANCH("\"releases\": []"), "the branch has no release"},
        {BRANCH("\"releases\": [{}]"), "'version' is missing or no text"},
        {BRANCH("\"releases\": [{\"version\": 3.23}]"), "'version' is missing or no text"},
        {BRANCH("\"releases\": [{\"version\": \"3.23.1\\u001b[31m\"}]"), "'version' is no version"},
        {BRANCH("\"releases\": [{\"version\": \"newest\"}]"), "'version' is no version"},
        {BRANCH("\"eol_date\": \"soon\", \"releases\": [{\"version\": \"3.23.1\"}]"),
         "the end of support is no date"},
        {BRANCH("\"eol_date\": 20271101, \"releases\": [{\"version\": \"3.23.1\"}]"),
         "the end of support is no date"},
        {"{\"release_branches\": [{\"rel_branch\": \"v3.23\", \"releases\": [{\"version\": "
         "\"3.23.1\"}]}]}",
         "'latest_stable' is missing or no text"},
        {"{\"latest_stable\": [\"v3.24\"], \"release_branches\": [{\"rel_branch\": \"v3.23\", "
         "\"releases\": [{\"version\": \"3.23.1\"}]}]}",
         "'latest_stable' is missing or no text"},
    };
    for (size_t i = 0; i < COUNT(broken); i++) {
        const struct answer answers[] = {
            {RELEASES, broken[i].text, 0}, {IMAGES, images_index, 0}, {0}};
        check_broken(&alpine, &alpine_request, answers, broken[i].part);
    }
}

static void broken_indexes(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "",
        "<html>nothing here</html>",
        "<a href=\"" IMAGE("3.23.10"),             /* no end */
        "<a href=" IMAGE("3.23.10") ">",           /* no quotes */
        "<a href=\"" IMAGE("3.24.0") "\">",        /* another branch */
        "<a href=\"" IMAGE("3.23.\033[31m") "\">", /* no version */
        "<a href=\"" IMAGE("3.23.10") ".part\">",
        "<a href=\"\"><a href=''><a href=\"/\"><a href=\"-\"><a href=\"-1\"><a href=\"-1-r\">"
        "<a href=\"-1-r1\"><a href=\"-1-r1.\">",
        "href=\"href='href=\"",
        "{\"files\": [\"" IMAGE("3.23.10") "\"]}",
    };
    for (size_t i = 0; i < COUNT(broken); i++) {
        const struct answer answers[] = {{RELEASES, releases_json, 0}, {IMAGES, broken[i], 0}, {0}};
        check_broken(&alpine, &alpine_request, answers, "lists no image of 3.23 called nocloud_");
    }
    const struct answer binary[] = {{RELEASES, releases_json, 0}, {IMAGES, "\0\0", 2}, {0}};
    check_broken(&alpine, &alpine_request, binary, "binary data");
}

static void huge_answer(void **state)
{
    (void)state;
    size_t size = (size_t)9 << 20;
    autofree char *text = malloc(size);
    assert_non_null(text);
    memset(text, ' ', size);
    const struct answer answers[] = {
        {RELEASES, releases_json, 0}, {IMAGES, text, size}, {CHANNELS, text, size}, {0}};
    check_broken(&alpine, &alpine_request, answers, "answers with more than 8388608 bytes");
    check_broken(&channels, &release_request, answers, "answers with more than 4194304 bytes");
}

#define ENTRY(members) "{\"index\": {\"x\": {" members "}}}"

static void broken_streams(void **state)
{
    (void)state;
    static const struct {
        const char *index, *products, *part;
    } broken[] = {
        {"{\"index\": []}", products_json, "'index' is missing"},
        {"{\"index\": {}}", products_json, "has no stream with the product '" PRODUCT "'"},
        {"{\"index\": {\"x\": 1}}", products_json, "has no stream with the product"},
        {ENTRY("\"path\": \"a\", \"products\": \"" PRODUCT "\""), products_json, "has no stream"},
        {ENTRY("\"path\": \"a\", \"products\": [1, null]"), products_json, "has no stream"},
        {ENTRY("\"products\": [\"" PRODUCT "\"]"), products_json, "has no path below it"},
        {ENTRY("\"path\": 1, \"products\": [\"" PRODUCT "\"]"), products_json, "has no path"},
        {ENTRY("\"path\": \"/etc/passwd\", \"products\": [\"" PRODUCT "\"]"), products_json,
         "has no path below it"},
        {ENTRY("\"path\": \"../../secret.json\", \"products\": [\"" PRODUCT "\"]"), products_json,
         "has no path below it"},
        {ENTRY("\"path\": \"//evil.example/x\", \"products\": [\"" PRODUCT "\"]"), products_json,
         "has no path below it"},
        {ENTRY("\"path\": \"a b\", \"products\": [\"" PRODUCT "\"]"), products_json,
         "has no path below it"},
        {index_json, "{\"products\": []}", "has no product '" PRODUCT "'"},
        {index_json, "{\"products\": {}}", "has no product"},
        {index_json, "{\"products\": {\"" PRODUCT "\": {}}}", "has no versions"},
        {index_json, "{\"products\": {\"" PRODUCT "\": {\"versions\": []}}}", "has no versions"},
        {index_json, PRODUCTS_JSON(""), "has no version of '" PRODUCT "' with 'disk1.img'"},
        {index_json, PRODUCTS_JSON("\"20241004\": {}"),
         "version 20241004 of '" PRODUCT "' has no 'items'"},
        {index_json, PRODUCTS_JSON("\"20241004\": {\"items\": {}}"), "has no version of"},
        {index_json, PRODUCTS_JSON("\"2024 \\u001b\": {\"items\": {}}"), "is no version"},
        {index_json, PRODUCTS_JSON("\"1\": {\"items\": {\"disk1.img\": 1}}"), "no SHA-256"},
        {index_json, PRODUCTS_JSON("\"1\": {\"items\": {\"disk1.img\": {\"path\": \"x\"}}}"),
         "no SHA-256"},
        {index_json, PRODUCTS_JSON(ITEMS("20241004", "abc")), "no SHA-256"},
        {index_json,
         PRODUCTS_JSON("\"1\": {\"items\": {\"disk1.img\": {\"path\": \"../x\", \"sha256\": \"" A64
                       "\"}}}"),
         "no SHA-256 or no path"},
        {index_json,
         "{\"products\": {\"" PRODUCT
         "\": {\"support_eol\": \"never\", \"versions\": {" ITEMS("20241004", A64) "}}}}",
         "the end of support is no date"},
    };
    for (size_t i = 0; i < COUNT(broken); i++) {
        const struct answer answers[] = {
            {INDEX, broken[i].index, 0}, {PRODUCTS, broken[i].products, 0}, {0}};
        check_broken(&streams, &streams_request, answers, broken[i].part);
    }
    const struct update_source elsewhere = {
        .kind = UPDATE_SIMPLESTREAMS, .url = LATEST, .product = "x", .item = "y"};
    const struct answer answers[] = {{LATEST, index_json, 0}, {0}};
    check_broken(&elsewhere, &streams_request, answers, "is no index of streams");
}

static void broken_releases_and_channels(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } releases[] = {
        {"{\"tag_name\": 1}", "'tag_name' is missing or no text"},
        {"{\"tag_name\": \"\"}", "'tag_name' is no version"},
        {"{\"tag_name\": \"v1.0\\r\\nX: y\"}", "'tag_name' is no version"},
        {"{\"tag_name\": \"latest\"}", "'tag_name' is no version"},
        {"{\"tag_name\": \"v1.0 \\u202e\"}", "'tag_name' is no version"},
        {"[{\"tag_name\": \"v1.0\", \"draft\": true}]", "no release but drafts and pre-releases"},
        {"[{\"tag_name\": \"v1.0\"}, \"v1.1\"]", "a release is no object"},
    };
    static const struct {
        const char *text, *part;
    } lists[] = {
        {"{\"data\": {}}", "'data' is missing or no list"},
        {"{\"data\": []}", "has no channel 'stable'"},
        {"{\"data\": [[]]}", "a channel has no 'id'"},
        {"{\"data\": [{\"id\": 1}]}", "a channel has no 'id'"},
        {"{\"data\": [{\"id\": \"stable\"}]}", "'latest' is missing or no text"},
        {"{\"data\": [{\"id\": \"stable\", \"latest\": null}]}", "'latest' is missing or no text"},
        {"{\"data\": [{\"id\": \"stable\", \"latest\": \"v1\\u0007\"}]}", "'latest' is no version"},
        {"{\"data\": [{\"id\": \"stab\\u001ble\", \"latest\": \"v1\"}]}",
         "has no channel 'stable'"},
    };
    for (size_t i = 0; i < COUNT(releases); i++) {
        const struct answer answers[] = {{LATEST, releases[i].text, 0}, {0}};
        check_broken(&github, &release_request, answers, releases[i].part);
    }
    for (size_t i = 0; i < COUNT(lists); i++) {
        const struct answer answers[] = {{CHANNELS, lists[i].text, 0}, {0}};
        check_broken(&channels, &release_request, answers, lists[i].part);
    }
}

/* A service that is down: the caller's own error. A password in an URL is not in any message. */
static void unreachable(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    const struct answer none[] = {{0}},
                        page[] = {{"https://u:secret@api.example/", "<html>", 0}, {0}};
    const struct update_source *const sources[] = {&alpine, &streams, &github, &channels};
    struct update u;
    for (size_t i = 0; i < COUNT(sources); i++)
        assert_fails(check(a, none, sources[i], &alpine_request, &u, &err), ERROR_UNREACHABLE,
                     "HTTP 404");
    const struct update_source with_password = {.kind = UPDATE_GITHUB, .url = page[0].url};
    assert_fails(check(a, page, &with_password, &release_request, &u, &err), ERROR_INPUT,
                 "a web page");
    autoerror struct error *why = NULL;
    assert_false(check(a, page, &with_password, &release_request, &u, &why));
    assert_null(strstr(error_text(why), "secret"));
    const struct update_source nobody = {.kind = UPDATE_NONE};
    assert_fails(check(a, none, &nobody, &release_request, &u, &err), ERROR_INTERNAL,
                 "nobody says");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alpine_answers),  cmocka_unit_test(alpine_names),
        cmocka_unit_test(streams_answers), cmocka_unit_test(github_answers),
        cmocka_unit_test(channel_answers), cmocka_unit_test(broken_json),
        cmocka_unit_test(broken_releases), cmocka_unit_test(broken_indexes),
        cmocka_unit_test(huge_answer),     cmocka_unit_test(broken_streams),
        cmocka_unit_test(unreachable),     cmocka_unit_test(broken_releases_and_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
