/* What the checkers share: reading answers of which nothing is believed. */
#ifndef INGOT_UPDATES_INTERNAL_H
#define INGOT_UPDATES_INTERNAL_H

#include "base/json.h"
#include "updates/updates.h"

/* One checker for each enum update_kind: fills *out, whose `what` is set. */
typedef bool update_checker(struct arena *a, const struct update_service *s,
                            const struct update_request *r, struct update *out, struct error **err);
update_checker update_check_alpine, update_check_simplestreams, update_check_github,
    update_check_channel;

/* The answer as text that ends in a NUL and has none inside. ERROR_INPUT. Free it. */
bool answer_text(const struct update_service *s, const char *url, size_t max_bytes, char **text,
                 struct error **err) must_check;
/* The answer as JSON; a web page in its place is named as such. */
bool answer_json(const struct update_service *s, const char *url, size_t max_bytes, json_t **out,
                 struct error **err) must_check;
/* ERROR_INPUT, `URL: message`; false. */
bool answer_wrong(struct error **err, const char *url, const char *fmt, ...) printf_like(3, 4);
/* A member that must be there and be a version. Owned by j. */
bool answer_version(const json_t *j, const char *key, const char *url, const char **out,
                    struct error **err) must_check;
/* A member that is an URL fit to be shown, else NULL; in the arena. */
const char *answer_url(struct arena *a, const json_t *j, const char *key);
/* Printable ASCII without blanks, at most 1024 bytes. */
bool answer_is_plain(const char *s);

/* Appends to out->note. */
void update_note(struct arena *a, struct update *out, const char *fmt, ...) printf_like(3, 4);
/* Notes until when something is supported. eol may be NULL (the service does not say). ERROR_INPUT
 * if it is no date. */
bool update_note_support(struct arena *a, const struct update_request *r, const json_t *eol,
                         const char *url, struct update *out, struct error **err) must_check;
/* Compares, and notes what is ahead of the service, called `whose`. */
void update_compare(struct arena *a, struct update *out, const char *whose);

#endif
