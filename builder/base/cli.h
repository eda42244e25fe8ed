/* Command lines: one table of commands, one table of options per command; parsing, `--help` and
 * shell completion all come from them. Shared by ingot and ingot-boot.
 */
#ifndef INGOT_BASE_CLI_H
#define INGOT_BASE_CLI_H

#include "base/error.h"

enum option_type {
    OPTION_FLAG,   /* bool */
    OPTION_STRING, /* const char * */
    OPTION_LIST,   /* struct cli_list: may be given several times */
    OPTION_NUMBER, /* unsigned */
    OPTION_COUNT,  /* unsigned: how often it was given */
    OPTION_WORDS,  /* struct cli_list: takes the words behind it, up to the next option; or none */
};

struct cli_list {
    const char **items;
    size_t count;
    bool given; /* the option was there, with or without a value */
};

struct option_spec {
    const char *name; /* without the dashes */
    char letter;      /* or 0 */
    enum option_type type;
    size_t offset;     /* into the command's option structure */
    const char *value; /* what the value is called in --help, or NULL */
    const char *help;
};

struct cli;

struct command {
    const char *name;
    const char *arguments;             /* "RECIPE…" */
    const char *summary;               /* one line */
    const char *details;               /* paragraphs for its own --help, or NULL */
    const struct option_spec *options; /* ended by a NULL name; or NULL */
    size_t options_size;               /* of the structure that the options fill; zeroed before */
    unsigned min_arguments, max_arguments; /* max 0: none; UINT_MAX: any number */
    bool (*run)(const struct cli *cli, const void *options, struct error **err);
};

struct cli_program {
    const char *name, *version, *summary;
    const struct command *const *commands; /* ended by NULL */
};

/* Options that every command takes. */
struct cli {
    const struct cli_program *program;
    const struct command *command;
    unsigned verbose, quiet;
    const char *color, *progress;
    bool json;
    const char **arguments;
    size_t argument_count;
    int *exit_code; /* a command that hands on somebody else's code sets it and returns true */
};

/* Parses, runs the command, prints the error: as `PROGRAM: chain` on stderr, and with --json as one
 * document on stdout. Returns the exit code. Options may stand behind arguments; `--` ends them. */
int cli_main(const struct cli_program *program, int argc, char **argv);

#endif
