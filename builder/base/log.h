/* What the program says on stderr. Process-wide, like the terminal it writes to.
 *
 * stdout is for data only. Colour is used on a terminal unless NO_COLOR is set. Every message also
 * goes to the build log, if one is open, whatever the level. Control characters in it, which a
 * guest may have put there, are shown as `?`.
 */
#ifndef INGOT_BASE_LOG_H
#define INGOT_BASE_LOG_H

#include "base/error.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* The level that INGOT_LOG names (error, warning, info, debug), unless log_set_level has said one.
 * ERROR_USAGE for another word. */
bool log_read_environment(struct error **err) must_check;
void log_set_color(enum log_color color);
/* True if stderr gets colour. */
bool log_has_color(void);
/* As JSON lines, {"level", "message"}, instead of text. */
void log_set_json(bool json);

/* Messages go here as well, with the time since the start; NULL ends it. The file stays the
 * caller's. */
void log_tee(FILE *f);

void log_error(const char *fmt, ...) printf_like(1, 2);
void log_warning(const char *fmt, ...) printf_like(1, 2);
void log_info(const char *fmt, ...) printf_like(1, 2);
void log_debug(const char *fmt, ...) printf_like(1, 2);

#endif
