/* Headers of the tar: written one way only, and compared byte by byte when they are read (POSIX
 * ustar and pax interchange formats, IEEE Std 1003.1 "pax"). */
#include "bundle/internal.h"

#include <string.h>

#define NAME_MAX_BYTES 100
#define PREFIX_MAX_BYTES 155
#define USTAR_MAX_SIZE UINT64_C(077777777777)

/* Offsets and lengths of the fields that are not left zero. */
enum {
    AT_NAME = 0,
    AT_MODE = 100,
    AT_UID = 108,
    AT_GID = 116,
    AT_SIZE = 124,
    AT_MTIME = 136,
    AT_CHECKSUM = 148,
    AT_TYPE = 156,
    AT_MAGIC = 257,
    AT_PREFIX = 345
};

static void put_octal(unsigned char *at, size_t width, uint64_t value)
{
    for (size_t i = width - 1; i-- > 0; value >>= 3)
        at[i] = (unsigned char)('0' + (value & 7));
}

static unsigned checksum(const unsigned char block[TAR_BLOCK])
{
    unsigned sum = 0;
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += i >= AT_CHECKSUM && i < AT_CHECKSUM + 8 ? ' ' : block[i];
    return sum;
}

static bool is_ascii(const char *s)
{
    while (*s && (unsigned char)*s < 0x80)
        s++;
    return !*s;
}

/* Where a path is cut into prefix and name: the length of the prefix, 0 for none; false where it
 * does not fit. */
static bool split_path(const char *path, size_t *prefix)
{
    size_t size = strlen(path);
    *prefix = 0;
    if (!is_ascii(path))
        return false;
    if (size <= NAME_MAX_BYTES)
        return true;
    for (size_t i = size - NAME_MAX_BYTES - 1; i < size - 1 && i <= PREFIX_MAX_BYTES; i++) {
        if (path[i] != '/' || i == 0)
            continue;
        *prefix = i;
        return true;
    }
    return false;
}

static bool needs_pax(const char *path, uint64_t size)
{
    size_t prefix;
    return size > USTAR_MAX_SIZE || !split_path(path, &prefix);
}

static void add_block(struct buffer *b, const char *path, uint64_t size, mode_t mode, int64_t epoch,
                      char type)
{
    unsigned char block[TAR_BLOCK] = {0};
    size_t prefix;
    if (!split_path(path, &prefix))
        path = "member"; /* the pax header says its name */
    if (prefix) {
        memcpy(block + AT_PREFIX, path, prefix);
        path += prefix + 1;
    }
    memcpy(block + AT_NAME, path, strlen(path));
    put_octal(block + AT_MODE, 8, mode);
    put_octal(block + AT_UID, 8, 0);
    put_octal(block + AT_GID, 8, 0);
    put_octal(block + AT_SIZE, 12, size > USTAR_MAX_SIZE ? 0 : size);
    put_octal(block + AT_MTIME, 12, (uint64_t)epoch);
    memcpy(block + AT_MAGIC, "ustar\00000", 8);
    block[AT_TYPE] = (unsigned char)type;
    put_octal(block + AT_CHECKSUM, 7, checksum(block));
    block[AT_CHECKSUM + 7] = ' ';
    buffer_add(b, block, sizeof block);
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
static void add_record(struct buffer *b, const char *key, const char *value)
{
    size_t rest = strlen(key) + strlen(value) + 3, length = rest + 1;
    for (size_t power = 10; power <= length; power *= 10)
        length++;
    buffer_printf(b, "%zu %s=%s\n", length, key, value);
}

static void pax_records(struct buffer *b, const char *path, uint64_t size)
{
    size_t prefix;
    char number[24];
    if (!split_path(path, &prefix))
        add_record(b, "path", path);
    if (size > USTAR_MAX_SIZE) {
        snprintf(number, sizeof number, "%ju", (uintmax_t)size);
        add_record(b, "size", number);
    }
}

static void pad(struct buffer *b)
{
    static const char zeros[TAR_BLOCK];
    if (b->size % TAR_BLOCK)
        buffer_add(b, zeros, TAR_BLOCK - b->size % TAR_BLOCK);
}

void header_add(struct buffer *b, const char *path, uint64_t size, mode_t mode, int64_t epoch)
{
    if (needs_pax(path, size)) {
        autobuffer struct buffer records = {0};
        pax_records(&records, path, size);
        add_block(b, "pax", records.size, 0644, epoch, 'x');
        buffer_add(b, records.data, records.size);
        pad(b);
    }
    add_block(b, path, size, mode, epoch, '0');
}

uint64_t header_span(const char *path, uint64_t size)
{
    uint64_t span = TAR_BLOCK;
    if (needs_pax(path, size)) {
        autobuffer struct buffer records = {0};
        pax_records(&records, path, size);
        pad(&records);
        span += TAR_BLOCK + records.size;
    }
    return span + (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
}

/* --- looking at what is there -------------------------------------------------------------------
 */

static bool get_octal(const unsigned char *at, size_t width, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < width - 1; i++) {
        if (at[i] < '0' || at[i] > '7')
            return false;
        *value = *value << 3 | (uint64_t)(at[i] - '0');
    }
    return at[width - 1] == '\0';
}

static bool is_ustar(const unsigned char block[TAR_BLOCK])
{
    return memcmp(block + AT_MAGIC, "ustar", 5) == 0;
}

static void get_path(const unsigned char block[TAR_BLOCK], char path[NAME_MAX_BYTES + 160])
{
    const char *prefix = (const char *)block + AT_PREFIX, *name = (const char *)block + AT_NAME;
    snprintf(path, NAME_MAX_BYTES + 160, "%.*s%s%.*s", PREFIX_MAX_BYTES, prefix, *prefix ? "/" : "",
             NAME_MAX_BYTES, name);
}

bool header_peek(const unsigned char block[TAR_BLOCK], const char *path, uint64_t *size)
{
    char found[NAME_MAX_BYTES + 160];
    uint64_t sum;
    unsigned char field[8];
    memcpy(field, block + AT_CHECKSUM, 7);
    get_path(block, found);
    return is_ustar(block) && block[AT_TYPE] == '0' && strcmp(found, path) == 0 &&
           get_octal(field, 7, &sum) && sum == checksum(block) &&
           get_octal(block + AT_SIZE, 12, size);
}

static const struct {
    char type;
    const char *what;
} types[] = {
    {'1', "a hard link"},
    {'2', "a symbolic link"},
    {'3', "a character device"},
    {'4', "a block device"},
    {'5', "a folder"},
    {'6', "a named pipe"},
    {'7', "a contiguous file"},
    {'g', "a global pax header"},
    {'x', "a pax header that does not belong there"},
    {'L', "a GNU long name"},
    {'K', "a GNU long link"},
    {'S', "a GNU sparse file"},
    {'M', "a continued GNU volume"},
    {'V', "a GNU volume label"},
    {'\0', "a file of the oldest tar format"},
};

static const char *type_name(unsigned char type)
{
    for (size_t i = 0; i < COUNT(types); i++)
        if ((unsigned char)types[i].type == type)
            return types[i].what;
    return type == '0' ? NULL : "a member of an unknown type";
}

static bool is_zero(const unsigned char *bytes, size_t size)
{
    while (size && !*bytes) {
        bytes++;
        size--;
    }
    return size == 0;
}

bool header_explain(const unsigned char block[TAR_BLOCK], const char *path, uint64_t size,
                    struct error **err)
{
    char found[NAME_MAX_BYTES + 160];
    uint64_t has;
    if (is_zero(block, TAR_BLOCK))
        return error_set(err, ERROR_INPUT, "the archive ends where '%s' should stand", path);
    if (!is_ustar(block))
        return error_set(err, ERROR_INPUT, "no header of a tar stands where '%s' should", path);
    get_path(block, found);
    const char *type = type_name(block[AT_TYPE]);
    if (type)
        return error_set(err, ERROR_INPUT,
                         "%s ('%s') stands where '%s' should: a bundle has regular files only",
                         type, found, path);
    if (!needs_pax(path, size) && strcmp(found, path) != 0)
        return error_set(err, ERROR_INPUT, "'%s' stands where the manifest has '%s'", found, path);
    if (get_octal(block + AT_SIZE, 12, &has) && has != size)
        return error_set(err, ERROR_INPUT, "'%s' has %ju bytes where the manifest says %ju", path,
                         (uintmax_t)has, (uintmax_t)size);
    return error_set(err, ERROR_INPUT,
                     "the header of '%s' is not as ingot writes it: its owner, mode, time, size or "
                     "checksum is another",
                     path);
}

static const struct {
    size_t size;
    const char *bytes, *what;
} magics[] = {
    {2, "\x1f\x8b", "gzip data"},
    {4, "\x28\xb5\x2f\xfd", "zstd data"},
    {6,
     "\xfd"
     "7zXZ\0",
     "xz data"},
    {3, "BZh", "bzip2 data"},
    {2, "PK", "a zip file"},
    {6, "7z\xbc\xaf\x27\x1c", "a 7-Zip file"},
    {4, "QFI\xfb", "a qcow2 disk"},
    {6, "070707", "a cpio archive"},
    {6, "070701", "a cpio archive"},
    {7, "!<arch>", "an ar archive"},
};

bool header_explain_first(const unsigned char block[TAR_BLOCK], const char *file,
                          struct error **err)
{
    char found[NAME_MAX_BYTES + 160];
    for (size_t i = 0; i < COUNT(magics); i++)
        if (memcmp(block, magics[i].bytes, magics[i].size) == 0)
            return error_set(err, ERROR_INPUT, "%s is no bundle: it is %s", file, magics[i].what);
    if (!is_ustar(block))
        return error_set(err, ERROR_INPUT,
                         "%s is no bundle, nor the first part of one: it does not begin as a tar "
                         "does",
                         file);
    get_path(block, found);
    const char *type = type_name(block[AT_TYPE]);
    if (type)
        return error_set(err, ERROR_INPUT, "%s is no bundle: its first member is %s ('%s'), not %s",
                         file, type, found, BUNDLE_MANIFEST);
    if (strcmp(found, BUNDLE_MANIFEST) != 0)
        return error_set(err, ERROR_INPUT, "%s is no bundle: its first member is '%s', not %s",
                         file, found, BUNDLE_MANIFEST);
    return error_set(err, ERROR_INPUT,
                     "%s is no bundle: the header of %s is not as ingot writes it", file,
                     BUNDLE_MANIFEST);
}
