#include "source/verify_checksums.h"
#include "source/url.h"
#include "source/verify_kinds.h"

#include "base/file.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define CHECKSUMS_MAX ((size_t)4 << 20)

/* Digests by their length in hexadecimal digits. */
static const struct form {
    size_t length;
    const char *bsd; /* its name in BSD's form */
    bool weak;
    enum digest_kind kind;
} forms[] = {
    {64, "SHA256", false, DIGEST_SHA256},
    {128, "SHA512", false, DIGEST_SHA512},
    {40, "SHA1", true, 0},
    {32, "MD5", true, 0},
};

struct span {
    const char *at;
    size_t n;
};

struct line {
    const struct form *form;
    struct span hex, name; /* name.n 0: a digest alone */
};

static size_t hex_length(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && isxdigit((unsigned char)s[i]))
        i++;
    return i;
}

static const struct form *form_of_length(size_t n)
{
    for (size_t i = 0; i < COUNT(forms); i++)
        if (forms[i].length == n)
            return &forms[i];
    return NULL;
}

/* HEX, blanks, an optional * for binary mode, NAME. */
static bool parse_gnu(struct span s, struct line *out)
{
    size_t n = hex_length(s.at, s.n);
    const struct form *form = form_of_length(n);
    if (!form)
        return false;
    *out = (struct line){.form = form, .hex = {s.at, n}};
    if (n == s.n)
        return true;
    size_t at = n;
    while (at < s.n && (s.at[at] == ' ' || s.at[at] == '\t'))
        at++;
    if (at == n)
        return false;
    if (at < s.n && s.at[at] == '*')
        at++;
    out->name = (struct span){s.at + at, s.n - at};
    return out->name.n > 0;
}

/* NAME-OF-DIGEST (NAME) = HEX */
static bool parse_bsd(struct span s, struct line *out)
{
    static const char opening[] = " (", closing[] = ") = ";
    for (size_t i = 0; i < COUNT(forms); i++) {
        size_t start = strlen(forms[i].bsd) + strlen(opening);
        size_t tail = strlen(closing) + forms[i].length;
        if (s.n <= start + tail || strncasecmp(s.at, forms[i].bsd, strlen(forms[i].bsd)) != 0 ||
            memcmp(s.at + strlen(forms[i].bsd), opening, strlen(opening)) != 0)
            continue;
        const char *close = s.at + s.n - tail;
        struct span hex = {close + strlen(closing), forms[i].length};
        if (memcmp(close, closing, strlen(closing)) != 0 || hex_length(hex.at, hex.n) != hex.n)
            continue;
        *out = (struct line){
            .form = &forms[i], .hex = hex, .name = {s.at + start, s.n - start - tail}};
        return true;
    }
    return false;
}

static struct span next_line(const char **at, const char *end)
{
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    struct span s = {*at, newline ? (size_t)(newline - *at) : (size_t)(end - *at)};
    *at = newline ? newline + 1 : end;
    while (s.n && isspace((unsigned char)s.at[s.n - 1]))
        s.n--;
    while (s.n && isspace((unsigned char)*s.at))
        s.at++, s.n--;
    return s;
}

enum match { MATCH_NONE, MATCH_BASENAME, MATCH_EXACT };

static enum match match_name(struct span given, const char *name)
{
    while (given.n > 2 && given.at[0] == '.' && given.at[1] == '/') {
        given.at += 2;
        given.n -= 2;
    }
    size_t n = strlen(name);
    if (given.n < n || memcmp(given.at + given.n - n, name, n) != 0)
        return MATCH_NONE;
    if (given.n == n)
        return MATCH_EXACT;
    return given.at[given.n - n - 1] == '/' ? MATCH_BASENAME : MATCH_NONE;
}

/* What has been found of one kind of digest. */
struct found {
    enum match match;
    struct span hex;
    bool several; /* with different digests */
};

static void note(struct found *f, enum match match, struct span hex)
{
    if (match == MATCH_NONE || match < f->match)
        return;
    bool other = f->match == match && strncasecmp(f->hex.at, hex.at, hex.n) != 0;
    f->several = other || (f->match == match && f->several);
    f->match = match;
    f->hex = hex;
}

static bool give(const struct found *f, const struct form *form, const char *file, const char *name,
                 enum digest_kind *kind, char hex[DIGEST_HEX_MAX], struct error **err)
{
    if (f->several)
        return error_set(err, ERROR_TRUST, "%s: has several different digests for '%s'", file,
                         name);
    *kind = form->kind;
    for (size_t i = 0; i < f->hex.n; i++)
        hex[i] = (char)tolower((unsigned char)f->hex.at[i]);
    hex[f->hex.n] = '\0';
    return true;
}

static const char clear_signed[] = "-----BEGIN PGP SIGNED MESSAGE-----";

bool checksums_find(const char *text, size_t size, const char *file, const char *name,
                    enum digest_kind *kind, char hex[DIGEST_HEX_MAX], struct error **err)
{
    struct found found[COUNT(forms)] = {0};
    struct line alone = {0};
    size_t lines = 0;
    const char *end = text + size;
    if (memchr(text, '\0', size))
        return error_set(err, ERROR_TRUST, "%s: is no checksum file: it has NUL bytes", file);
    if (memmem(text, size, clear_signed, strlen(clear_signed)))
        return error_set(
            err, ERROR_TRUST,
            "%s: is a clear-signed file, and signatures of this form are not checked: "
            "name a plain checksum file with a detached signature, or give the SHA-256 "
            "in the recipe",
            file);
    for (const char *at = text; at < end;) {
        struct span s = next_line(&at, end);
        struct line line;
        lines += s.n > 0;
        if (!s.n || *s.at == '#' || (!parse_gnu(s, &line) && !parse_bsd(s, &line)))
            continue;
        if (!line.name.n)
            alone = line;
        else
            note(&found[line.form - forms], match_name(line.name, name), line.hex);
    }
    bool weak = false;
    for (size_t i = 0; i < COUNT(forms); i++) {
        if (found[i].match == MATCH_NONE)
            continue;
        if (!forms[i].weak)
            return give(&found[i], &forms[i], file, name, kind, hex, err);
        weak = true;
    }
    if (lines == 1 && alone.form && !alone.form->weak) {
        const struct found only = {MATCH_EXACT, alone.hex, false};
        return give(&only, alone.form, file, name, kind, hex, err);
    }
    if (weak || (lines == 1 && alone.form))
        return error_set(err, ERROR_TRUST,
                         "%s: has only an MD5 or SHA-1 digest for '%s'; these can be forged: give "
                         "its SHA-256 in the recipe",
                         file, name);
    return error_set(err, ERROR_TRUST, "%s: has no digest for '%s'", file, name);
}

/* A checksum file is asked for again each time: a release that was replaced is noticed. What is
 * searched are the bytes that were verified, not a file that could change in between. */
static bool expect(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                   struct expectation *e, struct error **err)
{
    const struct verify *v = r->verify;
    autofree char *shown = url_redact(r->url), *checksums = url_redact(v->checksums);
    autofree char *file_name = url_basename(r->url), *path = NULL, *text = NULL;
    char sha256[DIGEST_HEX_MAX];
    size_t size;
    if (!file_name)
        return error_set_at(err, ERROR_TRUST, v->place,
                            "%s: has no file name that a checksum file could say", shown);
    if (v->openpgp && !verify_can_ask(v->openpgp, checksums, err))
        return error_wrap(err, "the checksum file for %s", shown);
    if (!fetch_text(f, v->checksums, CHECKSUMS_MAX, &path, sha256, err) ||
        !file_read(path, CHECKSUMS_MAX, &text, &size, err))
        return error_wrap(err, "the checksum file for %s", shown);
    if (v->openpgp && !verify_signed(f, v->openpgp, NULL, text, size, checksums, err))
        return error_wrap(err, "the checksum file for %s", shown);
    *e = (struct expectation){.digest_known = true};
    e->verified = v->openpgp ? arena_printf(a, "checksums %s, signed by %s", checksums,
                                            v->openpgp->fingerprint)
                             : arena_printf(a, "checksums %s", checksums);
    return checksums_find(text, size, checksums, file_name, &e->digest_kind, e->digest, err);
}

static void name(const struct verify *v, struct buffer *b)
{
    buffer_printf(b, "checksums %s", v->checksums);
    if (v->openpgp)
        buffer_printf(b, "\nopenpgp %s %s", v->openpgp->fingerprint, v->openpgp->signature.text);
}

const struct verify_ops verify_by_checksums = {.expect = expect, .name = name};
