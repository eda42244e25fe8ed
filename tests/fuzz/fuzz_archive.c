/* Any bytes as a fetched archive: what comes out of it stays below its folder. `make fuzz` runs it
 * with libFuzzer. */
#include "base/file.h"
#include "payload/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tar(int fd)
{
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    if (!a || archive_read_support_format_tar(a) != ARCHIVE_OK || lseek(fd, 0, SEEK_SET) != 0 ||
        archive_read_open_fd(a, fd, 10240) != ARCHIVE_OK)
        abort();
    int rc;
    while ((rc = archive_read_next_header(a, &e)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
        const char *path = archive_entry_pathname(e);
        if (!path)
            path = archive_entry_pathname_utf8(e);
        if (!path || strncmp(path, "opt/a/", strlen("opt/a/")) != 0 || strstr(path, "/../"))
            abort();
        if (archive_entry_perm(e) & (S_ISUID | S_ISGID))
            abort();
    }
    if (rc != ARCHIVE_EOF)
        abort();
    archive_read_free(a);
}

static void unpack_as(const char *format, const uint8_t *data, size_t size)
{
    autoclose int in = memfd_create("archive", MFD_CLOEXEC);
    autoclose int out = memfd_create("tar", MFD_CLOEXEC);
    autoerror struct error *err = NULL;
    autotar_out struct tar_out *t = NULL;
    static const struct recipe recipe = {.name = {.text = "x"}};
    const struct plan_entry e = {.kind = ENTRY_ARCHIVE, .path = "/opt/a", .unpack = format};
    const struct plan p = {.recipe = &recipe, .entries = &e, .entry_count = 1};
    char sha256[DIGEST_HEX_MAX];
    uint64_t tar_size;
    if (in < 0 || out < 0 || !file_write_all(in, data, size, NULL) || lseek(in, 0, SEEK_SET) != 0 ||
        !tar_out_open(out, 0, &t, NULL))
        abort();
    bool ok = unpack_archive(&p, &e, in, "a", t, &err);
    if (ok == (err != NULL))
        abort();
    if (ok) {
        if (!tar_out_close(t, sha256, &tar_size, NULL))
            abort();
        check_tar(out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unpack_as("tar", data, size);
    unpack_as("zip", data, size);
    return 0;
}
