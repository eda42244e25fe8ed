#include "cidata/iso.h"

#include "base/file.h"

/* libisofs.h uses struct burn_source from libburn.h, and says to include that first. */
#include <libburn/libburn.h>
#include <libisofs/libisofs.h>

#include <string.h>
#include <time.h>

#define SECTOR 2048

static bool check(int code, const char *what, struct error **err)
{
    if (code >= 0)
        return true;
    return error_set(err, ERROR_INTERNAL, "cannot %s: %s", what, iso_error_to_msg(code));
}

static void cleanup_image(IsoImage **image)
{
    if (*image)
        iso_image_unref(*image);
}

static void cleanup_write_opts(IsoWriteOpts **opts)
{
    if (*opts)
        iso_write_opts_free(*opts);
}

static void cleanup_read_opts(IsoReadOpts **opts)
{
    if (*opts)
        iso_read_opts_free(*opts);
}

static void cleanup_data_source(IsoDataSource **source)
{
    if (*source)
        iso_data_source_unref(*source);
}

/* What burn_source_free of libburn does; that library is not needed for anything else. */
static void cleanup_burn_source(struct burn_source **source)
{
    if (!*source || --(*source)->refcount > 0)
        return;
    if ((*source)->free_data)
        (*source)->free_data(*source);
    free(*source);
}

static void cleanup_library(const bool *started)
{
    if (*started)
        iso_finish();
}

/* Messages come back as error codes; nothing is printed. */
static bool start_library(bool *started, struct error **err)
{
    if (!check(iso_init(), "start libisofs", err))
        return false;
    *started = true;
    iso_set_msgs_severities("NEVER", "NEVER", "");
    return true;
}

static bool add_file(IsoImage *image, const struct iso_file *f, struct error **err)
{
    size_t size = strlen(f->text);
    /* The stream owns the bytes and frees them. */
    unsigned char *bytes = malloc(size + 1);
    if (!bytes)
        abort();
    memcpy(bytes, f->text, size + 1);
    IsoStream *stream = NULL;
    int code = iso_memory_stream_new(bytes, size, &stream);
    if (code < 0) {
        free(bytes);
        return check(code, "put a text into an ISO image", err);
    }
    code = iso_tree_add_new_file(iso_image_get_root(image), f->name, stream, NULL);
    if (code < 0) {
        iso_stream_unref(stream);
        return check(code, "put a file into an ISO image", err);
    }
    return true;
}

/* Everything that would else come from the clock, the time zone or the user. */
static bool set_options(IsoWriteOpts *opts, int64_t epoch, struct error **err)
{
    time_t when = (time_t)epoch;
    struct tm t;
    char stamp[32];
    if (!gmtime_r(&when, &t) || t.tm_year < 0 || t.tm_year > 8099)
        return error_set(err, ERROR_INPUT, "%lld is no time that an ISO image can carry",
                         (long long)epoch);
    strftime(stamp, sizeof stamp, "%Y%m%d%H%M%S00", &t);
    const int codes[] = {
        iso_write_opts_set_rockridge(opts, 1),
        iso_write_opts_set_joliet(opts, 1),
        iso_write_opts_set_iso_level(opts, 2),
        iso_write_opts_set_relaxed_vol_atts(opts, 1), /* a label in small letters */
        iso_write_opts_set_always_gmt(opts, 1),
        iso_write_opts_set_replace_timestamps(opts, 2),
        iso_write_opts_set_default_timestamp(opts, when),
        iso_write_opts_set_pvd_times(opts, when, when, 0, 0, stamp),
        iso_write_opts_set_replace_mode(opts, 2, 2, 2, 2),
        iso_write_opts_set_default_dir_mode(opts, 0555),
        iso_write_opts_set_default_file_mode(opts, 0444),
        iso_write_opts_set_default_uid(opts, 0),
        iso_write_opts_set_default_gid(opts, 0),
    };
    for (size_t i = 0; i < COUNT(codes); i++)
        if (!check(codes[i], "set an option of an ISO image", err))
            return false;
    return true;
}

static bool drain(struct burn_source *source, int fd, struct error **err)
{
    unsigned char sector[SECTOR];
    for (;;) {
        int n = source->read_xt && !source->read ? source->read_xt(source, sector, SECTOR)
                                                 : source->read(source, sector, SECTOR);
        if (n < 0)
            return error_set(err, ERROR_INTERNAL, "cannot make an ISO image");
        if (n == 0)
            return true;
        if (!file_write_all(fd, sector, (size_t)n, err))
            return false;
    }
}

bool iso_write(const char *path, const char *label, const struct iso_file *files, size_t count,
               int64_t epoch, struct error **err)
{
    cleanup(cleanup_library) bool started = false;
    cleanup(cleanup_image) IsoImage *image = NULL;
    cleanup(cleanup_write_opts) IsoWriteOpts *opts = NULL;
    autonew struct new_file out = NEW_FILE;
    if (!start_library(&started, err) ||
        !check(iso_image_new(label, &image), "make an ISO image", err) ||
        !check(iso_write_opts_new(&opts, 0), "make an ISO image", err) ||
        !set_options(opts, epoch, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!add_file(image, &files[i], err))
            return false;
    if (!file_create(&out, path, 0600, err))
        return false;
    {
        cleanup(cleanup_burn_source) struct burn_source *source = NULL;
        if (!check(iso_image_create_burn_source(image, opts, &source), "make an ISO image", err) ||
            !drain(source, out.fd, err))
            return error_wrap(err, "%s", path);
    }
    return file_commit(&out, err);
}

static bool read_stream(IsoStream *stream, size_t max_bytes, char **text, struct error **err)
{
    off_t size = iso_stream_get_size(stream);
    if (size < 0 || (uint64_t)size > max_bytes)
        return error_set(err, ERROR_INPUT, "larger than %zu bytes", max_bytes);
    autofree char *bytes = calloc(1, (size_t)size + 1);
    if (!bytes)
        abort();
    if (!check(iso_stream_open(stream), "read from an ISO image", err))
        return false;
    size_t used = 0;
    int n = 0;
    while (used < (size_t)size &&
           (n = iso_stream_read(stream, bytes + used, (size_t)size - used)) > 0)
        used += (size_t)n;
    iso_stream_close(stream);
    if (n < 0 || used < (size_t)size)
        return error_set(err, ERROR_INPUT, "the ISO image is cut short");
    *text = take_ptr(bytes);
    return true;
}

bool iso_read(const char *path, const char *name, size_t max_bytes, char **text, struct error **err)
{
    cleanup(cleanup_library) bool started = false;
    cleanup(cleanup_image) IsoImage *image = NULL;
    cleanup(cleanup_read_opts) IsoReadOpts *opts = NULL;
    cleanup(cleanup_data_source) IsoDataSource *source = NULL;
    *text = NULL;
    if (!start_library(&started, err) ||
        !check(iso_image_new("read", &image), "read an ISO image", err) ||
        !check(iso_read_opts_new(&opts, 0), "read an ISO image", err))
        return false;
    int code = iso_data_source_new_from_file(path, &source);
    if (code >= 0)
        code = iso_image_import(image, source, opts, NULL);
    if (code < 0)
        return error_set(err, ERROR_INPUT, "%s: cannot be read as an ISO image: %s", path,
                         iso_error_to_msg(code));
    IsoNode *node = NULL;
    code = iso_dir_get_node(iso_image_get_root(image), name, &node);
    if (code <= 0 || iso_node_get_type(node) != LIBISO_FILE)
        return true;
    IsoStream *stream = iso_file_get_stream((IsoFile *)node);
    return read_stream(stream, max_bytes, text, err) || error_wrap(err, "%s: %s", path, name);
}
