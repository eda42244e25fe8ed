#include "emit/qcow2_delta.h"

#include "base/interrupt.h"

#include <errno.h>
#include <string.h>

/* The next place at or behind `at` where the file has data, and where that ends; size if there is
 * none. */
static bool next_data(int fd, uint64_t at, uint64_t size, uint64_t *start, uint64_t *end,
                      struct error **err)
{
    *start = *end = size;
    off_t data = lseek(fd, (off_t)at, SEEK_DATA);
    if (data < 0 && errno == ENXIO)
        return true;
    off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
    if (data < 0 || hole < 0) {
        if (errno != EINVAL && errno != EOPNOTSUPP)
            return error_errno(err, ERROR_HOST, errno, "cannot find the data of a disk");
        data = (off_t)at; /* a file system without holes */
        hole = (off_t)size;
    }
    *start = (uint64_t)data;
    *end = (uint64_t)hole < size ? (uint64_t)hole : size;
    return true;
}

/* Where a file has data, kept while we pass it. */
struct extent {
    int fd;
    uint64_t start, end;
};

static bool seek_to(struct extent *e, uint64_t at, uint64_t size, struct error **err)
{
    return at < e->end || next_data(e->fd, at, size, &e->start, &e->end, err);
}

static bool read_cluster(int fd, uint64_t offset, uint64_t size, char *bytes, struct error **err)
{
    size_t want = size - offset < QCOW2_CLUSTER ? (size_t)(size - offset) : QCOW2_CLUSTER, got = 0;
    memset(bytes + want, 0, QCOW2_CLUSTER - want);
    while (got < want) {
        ssize_t n = pread(fd, bytes + got, want - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_errno(err, ERROR_HOST, n < 0 ? errno : EIO, "cannot read a disk");
        got += (size_t)n;
    }
    return true;
}

static bool is_zero(const char *bytes)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, QCOW2_CLUSTER - 1) == 0;
}

bool qcow2_delta(int old_fd, int new_fd, uint64_t size, struct changed_cluster **changed,
                 size_t *count, struct error **err)
{
    autofree char *a = malloc(2 * QCOW2_CLUSTER);
    autofree struct changed_cluster *all = NULL;
    size_t used = 0, room = 0;
    struct extent x = {.fd = old_fd}, y = {.fd = new_fd};
    char *b = a + QCOW2_CLUSTER;
    if (!a)
        abort();
    for (uint64_t at = 0; at < size; at += QCOW2_CLUSTER) {
        if (interrupted())
            return interrupt_error(err);
        if (!seek_to(&x, at, size, err) || !seek_to(&y, at, size, err))
            return false;
        uint64_t first = x.start < y.start ? x.start : y.start;
        if (first > at) /* holes in both: over them */
            at = first / QCOW2_CLUSTER * QCOW2_CLUSTER;
        if (at >= size || first >= size)
            break;
        if (!read_cluster(old_fd, at, size, a, err) || !read_cluster(new_fd, at, size, b, err))
            return false;
        if (memcmp(a, b, QCOW2_CLUSTER) == 0)
            continue;
        if (used == room) {
            room = room ? 2 * room : 256;
            all = reallocarray(all, room, sizeof *all);
            if (!all)
                abort();
        }
        all[used++] = (struct changed_cluster){at, is_zero(b)};
    }
    *changed = take_ptr(all);
    *count = used;
    return true;
}
