#include "disk/image.h"

#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "base/space.h"
#include "base/units.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define MAX_VIRTUAL_SIZE (16384 * GIB)
#define TIMEOUT_SECONDS 3600

/* What is neither qcow2 nor a raw disk, by its first bytes. */
static const struct {
    const char *magic;
    size_t size;
    const char *what;
} others[] = {
    {"KDMV", 4, "a VMDK"},
    {"COWD", 4, "a VMDK"},
    {"# Disk DescriptorFile", 21, "a VMDK"},
    {"vhdxfile", 8, "a VHDX"},
    {"conectix", 8, "a VHD"},
    {"<<< ", 4, "a VDI"},
    {"LUKS", 4, "a LUKS container"},
    {"\x1f\x8b", 2, "compressed with gzip"},
    {"\x28\xb5\x2f\xfd", 4, "compressed with zstd"},
    {"\xfd"
     "7zXZ",
     5, "compressed with xz"},
    {"BZh", 3, "compressed with bzip2"},
    {"PK\x03\x04", 4, "a zip archive"},
    {"<!DOCTYPE", 9, "a web page"},
    {"<html", 5, "a web page"},
};

static const char qcow2_magic[4] = "QFI\xfb";

/* The fixed part of the header, big-endian. */
struct qcow2_header {
    char magic[4];
    uint32_t version;
    uint64_t backing_file_offset;
    uint32_t backing_file_size;
    uint32_t cluster_bits;
    uint64_t size;
    uint32_t crypt_method;
    uint32_t l1_size;
    uint64_t l1_table_offset, refcount_table_offset;
    uint32_t refcount_table_clusters, nb_snapshots;
    uint64_t snapshots_offset;
    /* Version 3. */
    uint64_t incompatible, compatible, autoclear;
    uint32_t refcount_order, header_length;
    uint8_t compression_type, padding[7];
};
_Static_assert(sizeof(struct qcow2_header) == 112, "as in the specification");

#define INCOMPATIBLE_DIRTY (1ULL << 0)
#define INCOMPATIBLE_CORRUPT (1ULL << 1)
#define INCOMPATIBLE_DATA_FILE (1ULL << 2)
#define INCOMPATIBLE_COMPRESSION (1ULL << 3)
#define INCOMPATIBLE_EXTENDED_L2 (1ULL << 4)
#define EXTENSION_DATA_FILE 0x44415441

static bool refuse(struct error **err, const char *path, const char *why)
{
    return error_set(err, ERROR_INPUT, "%s %s", path, why);
}

/* Header extensions: type, length, data padded to eight bytes; type 0 ends them. */
static bool has_data_file_name(const unsigned char *bytes, size_t size, size_t at)
{
    while (at + 8 <= size) {
        uint32_t type, length;
        memcpy(&type, bytes + at, 4);
        memcpy(&length, bytes + at + 4, 4);
        type = be32toh(type);
        length = be32toh(length);
        if (type == 0)
            return false;
        if (type == EXTENSION_DATA_FILE)
            return true;
        if (length > size)
            return false;
        at += 8 + ((size_t)length + 7) / 8 * 8;
    }
    return false;
}

static bool check_header(const char *path, const unsigned char *bytes, size_t size,
                         struct image_info *info, struct error **err)
{
    struct qcow2_header h = {0};
    memcpy(&h, bytes, size < sizeof h ? size : sizeof h);
    uint32_t version = be32toh(h.version), length = be32toh(h.header_length);
    uint64_t incompatible = version == 3 ? be64toh(h.incompatible) : 0;
    if (size < 72 || (version == 3 && (size < 104 || length < 104 || length > 4096)))
        return refuse(err, path, "is cut short: the header of the qcow2 is not whole");
    if (version != 2 && version != 3)
        return refuse(err, path, "is a qcow2 of an unknown version");
    if (h.backing_file_offset != 0 || h.backing_file_size != 0)
        return refuse(err, path,
                      "has a backing file; make it stand alone with "
                      "`qemu-img convert -O qcow2 FILE NEW`");
    if ((incompatible & INCOMPATIBLE_DATA_FILE) ||
        has_data_file_name(bytes, size, version == 3 ? length : 72))
        return refuse(err, path, "keeps its data in another file, which is not followed");
    if (h.crypt_method != 0)
        return refuse(err, path, "is encrypted");
    if (incompatible & INCOMPATIBLE_CORRUPT)
        return refuse(err, path, "is marked as corrupt");
    if (incompatible & ~(INCOMPATIBLE_DIRTY | INCOMPATIBLE_COMPRESSION | INCOMPATIBLE_EXTENDED_L2))
        return refuse(err, path, "has features of qcow2 that are not known");
    info->virtual_size = be64toh(h.size);
    info->compression = "zlib";
    if (incompatible & INCOMPATIBLE_COMPRESSION) {
        if (length < sizeof h || h.compression_type > 1)
            return refuse(err, path, "has clusters compressed in an unknown way");
        info->compression = h.compression_type ? "zstd" : "zlib";
    }
    return true;
}

/* What qemu-img finds wrong; and how much is in it. */
static bool check_clusters(const char *path, struct image_info *info, struct error **err)
{
    const char *const argv[] = {"qemu-img", "check",         "-U", "-f",
                                "qcow2",    "--output=json", path, NULL};
    struct process p = {.argv = argv, .timeout_seconds = TIMEOUT_SECONDS};
    autoresult struct process_result r = {0};
    autojson json_t *j = NULL;
    if (!process_run(&p, &r, err))
        return false;
    if (r.out.size && r.out.size < MIB &&
        !json_parse(r.out.data, r.out.size, "qemu-img check", &j, err))
        return false;
    json_int_t bad = json_integer_value(json_object_get(j, "corruptions")),
               failed = json_integer_value(json_object_get(j, "check-errors"));
    if (bad || failed || !j || (r.status != 0 && r.status != 3)) { /* 3: leaks, which do no harm */
        autofree char *said = strdup(r.err.size ? r.err.data : "");
        return error_set(err, ERROR_INPUT, "%s is damaged or cut short: qemu-img check: %s", path,
                         said && *said ? process_last_lines(said, 1) : "errors found");
    }
    json_int_t clusters = json_integer_value(json_object_get(j, "allocated-clusters")),
               all = json_integer_value(json_object_get(j, "total-clusters"));
    info->allocated = info->virtual_size;
    if (all > 0 && clusters >= 0 && clusters < all)
        info->allocated = info->virtual_size / (uint64_t)all * (uint64_t)clusters;
    return true;
}

static bool read_start(const char *path, unsigned char *bytes, size_t room, size_t *size,
                       struct stat *st, struct error **err)
{
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, bytes, room, 0);
    if (n < 0 || fstat(fd, st) < 0)
        return error_errno(err, ERROR_INPUT, errno, "cannot read the image %s", path);
    if (!S_ISREG(st->st_mode))
        return refuse(err, path, "is not a file");
    *size = (size_t)n;
    return true;
}

bool image_info(const char *path, const char *format, struct image_info *info, struct error **err)
{
    unsigned char bytes[65536];
    size_t size = 0;
    struct stat st;
    *info = (struct image_info){.compression = ""};
    if (!read_start(path, bytes, sizeof bytes, &size, &st, err))
        return false;
    info->file_size = (uint64_t)st.st_size;
    bool qcow2 = size >= 4 && memcmp(bytes, qcow2_magic, 4) == 0;
    if (format && strcmp(format, "qcow2") != 0 && strcmp(format, "raw") != 0)
        return error_set(err, ERROR_INPUT, "%s: the format '%s' is not known; qcow2 and raw are",
                         path, format);
    for (size_t i = 0; i < COUNT(others); i++)
        if (size >= others[i].size && memcmp(bytes, others[i].magic, others[i].size) == 0)
            return error_set(err, ERROR_INPUT, "%s is %s, neither a qcow2 nor a raw disk", path,
                             others[i].what);
    if (qcow2 && format && strcmp(format, "raw") == 0)
        return refuse(err, path, "is said to be raw and is a qcow2");
    if (!qcow2 && format && strcmp(format, "qcow2") == 0)
        return refuse(err, path, "is said to be a qcow2 and is none");
    info->format = qcow2 ? "qcow2" : "raw";
    if (qcow2 && !check_header(path, bytes, size, info, err))
        return false;
    if (!qcow2) {
        info->virtual_size = info->file_size;
        info->allocated = file_allocated(&st);
    }
    if (info->virtual_size < 64 * KIB || info->virtual_size % 512 != 0)
        return refuse(err, path, "is no disk: its size is no multiple of 512 bytes, or too small");
    if (info->virtual_size > MAX_VIRTUAL_SIZE)
        return refuse(err, path, "claims to be larger than 16 TiB");
    return !qcow2 || check_clusters(path, info, err);
}

bool image_to_raw(const char *path, const char *format, const char *raw, struct error **err)
{
    struct image_info info;
    if (!image_info(path, format, &info, err) ||
        !space_check(raw, info.allocated, "the disk of the image", err))
        return false;
    /* Without -W the clusters are written in order. Zeros become holes. */
    const char *const argv[] = {"qemu-img", "convert", "-q", "-U", "-f", info.format,
                                "-O",       "raw",     path, raw,  NULL};
    static const char *const env[] = {"LC_ALL=C", NULL};
    struct process p = {.argv = argv, .env = env, .timeout_seconds = TIMEOUT_SECONDS};
    autoresult struct process_result r = {0};
    autoerror struct error *why = NULL;
    if (process_check(&p, ERROR_INPUT, &r, &why))
        return true;
    unlink(raw);
    return error_set(err, space_ran_out(&r) ? ERROR_SPACE : error_kind(why), "cannot unpack %s: %s",
                     path, error_text(why));
}
