#include "disk/delta.h"

#include "base/interrupt.h"

#include <errno.h>
#include <string.h>

/* Where a side has data, kept while we pass it. */
struct extent {
    struct delta_side side;
    uint64_t start, end;
};

/* The next place at or behind `at` where the side has data, and where that ends; size if there is
 * none. */
static bool seek_to(struct extent *e, uint64_t at, uint64_t size, struct error **err)
{
    if (at < e->end)
        return true;
    e->start = e->end = size;
    off_t data = lseek(e->side.fd, (off_t)(e->side.offset + at), SEEK_DATA);
    if (data < 0 && errno == ENXIO)
        return true;
    off_t hole = data < 0 ? -1 : lseek(e->side.fd, data, SEEK_HOLE);
    if (data < 0 || hole < 0) {
        if (errno != EINVAL && errno != EOPNOTSUPP)
            return error_errno(err, ERROR_HOST, errno, "cannot find the data of a disk");
        e->start = at; /* a file system without holes */
        return true;
    }
    uint64_t start = (uint64_t)data - e->side.offset, end = (uint64_t)hole - e->side.offset;
    e->start = start < size ? start : size;
    e->end = end < size ? end : size;
    return true;
}

bool delta_read(struct delta_side side, uint64_t offset, uint64_t size, char bytes[DELTA_CLUSTER],
                size_t *used, struct error **err)
{
    size_t want = size - offset < DELTA_CLUSTER ? (size_t)(size - offset) : DELTA_CLUSTER, got = 0;
    while (got < want) {
        ssize_t n = pread(side.fd, bytes + got, want - got, (off_t)(side.offset + offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, ERROR_HOST, errno, "cannot read a disk");
        if (n == 0)
            break;
        got += (size_t)n;
    }
    memset(bytes + got, 0, DELTA_CLUSTER - got);
    *used = want;
    return true;
}

static bool is_zero(const char *bytes)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, DELTA_CLUSTER - 1) == 0;
}

bool delta_find(struct delta_side was, struct delta_side is, uint64_t size,
                struct changed_cluster **changed, size_t *count, struct error **err)
{
    autofree char *a = malloc(2 * (size_t)DELTA_CLUSTER);
    autofree struct changed_cluster *all = NULL;
    size_t used = 0, room = 0, part;
    struct extent x = {.side = was}, y = {.side = is};
    if (!a)
        abort();
    char *b = a + DELTA_CLUSTER;
    for (uint64_t at = 0; at < size; at += DELTA_CLUSTER) {
        if (interrupted())
            return interrupt_error(err);
        if (!seek_to(&x, at, size, err) || !seek_to(&y, at, size, err))
            return false;
        uint64_t first = x.start < y.start ? x.start : y.start;
        if (first >= size)
            break;
        if (first > at) /* holes in both: over them */
            at = first / DELTA_CLUSTER * DELTA_CLUSTER;
        if (!delta_read(was, at, size, a, &part, err) || !delta_read(is, at, size, b, &part, err))
            return false;
        if (memcmp(a, b, DELTA_CLUSTER) == 0)
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
