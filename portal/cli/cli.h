/* The command line's own frame: the table of commands, and what every command is given.
 *
 * A command is one row: name, usage, flags, function, help. Parsing, --help, `soma completion` and docs/cli.md's check come from the same rows.
 * Exit status: see enum exit_status. Thread: main; the program has one. */
#pragma once
#include "portal/cli/args.h"
#include "portal/cli/client.h"
#include "portal/cli/output.h"
#include "portal/cli/profile.h"
#include "portal/core/arena.h"
#include "portal/core/err.h"
#include <jansson.h>

enum exit_status {
    EXIT_DONE = 0,        /* done; with --watch: ready, or destroyed */
    EXIT_FAILED = 1,      /* refused, or the order failed */
    EXIT_USAGE = 2,       /* the command line is wrong */
    EXIT_WAITING = 3,     /* --watch: waits for an approval */
    EXIT_ORDER_CANCELED = 4,
    EXIT_SIGN_IN = 5,     /* nobody is signed in, or the token no longer holds */
    EXIT_UNREACHABLE = 6, /* no server answers, or it cannot serve now */
    EXIT_INTERRUPTED = 130,
};

struct cli {
    struct arena *arena;        /* lives as long as the command */
    const struct command *command;
    struct args args;
    struct output out;
    struct profile profile;     /* where the server is and who asks; see cli_client() */
    struct client *client;      /* NULL until cli_client() */
};

/* Returns an enum exit_status, or a negative error code with *e filled. */
typedef int command_fn(struct cli *c, struct err *e);

struct command {
    const char *path;           /* "orders list" */
    const char *usage;          /* words behind it: "ORDER [COMMENT]"; "" when it takes none */
    const struct flag *flags;   /* ends with a NULL name; NULL: only the global ones */
    command_fn *run;
    unsigned min_words, max_words;
    const char *complete;       /* noun of the first word, as struct flag's `complete` */
    const char *help;           /* one line */
    const char *more;           /* further lines of its --help: examples, exit status; NULL */
    bool takes_rest;            /* accepts words behind `--` */
};

extern const struct flag cli_global_flags[];
extern const struct command *const cli_tables[];   /* one table a noun, each ends with a NULL path; the list ends with NULL */
struct cli_noun { const char *noun, *help; };
extern const struct cli_noun cli_nouns[]; /* one line for each first word, in the order of --help */

/* The command of argv[0..argc): the longest path that fits, or `noun list` for a noun alone. *ret_used words are its name. NULL: none. */
const struct command *cli_find(int argc, char **argv, int *ret_used);
bool cli_is_noun(const char *word);
void cli_each(void (*fn)(const struct command *cmd, void *arg), void *arg);

void help_all(struct buf *out);
void help_noun(const char *noun, struct buf *out);
void help_command(const struct command *cmd, struct buf *out);
void help_usage(const struct command *cmd, struct buf *out); /* the one line */
void help_markdown(struct buf *out);                         /* the reference in docs/cli.md */

/* The connection, made on first use. ERR_INVALID when the settings are wrong. */
int cli_client(struct cli *c, struct err *e);
/* GET of one document; *ret is owned by the caller. */
int cli_get(struct cli *c, const char *path, json_t **ret, struct err *e);
/* Any other method; body and ret may be NULL; key "" makes a fresh Idempotency-Key. */
int cli_send(struct cli *c, const char *method, const char *path, const json_t *body, const char *key, json_t **ret, struct err *e);
/* All pages of a list, up to --limit (500 unless given): *ret is {"items": [...]}, with "next" when there is more. */
int cli_list(struct cli *c, const char *path, json_t **ret, struct err *e);
/* The same with the document's ETag (in the arena; NULL: it has none), and a write that holds only while that is the current one. */
int cli_get_etag(struct cli *c, const char *path, json_t **ret, char **ret_etag, struct err *e);
int cli_send_match(struct cli *c, const char *method, const char *path, const json_t *body, const char *etag, json_t **ret, struct err *e);
/* The list of `path` as a table or a document. */
int cli_print_list(struct cli *c, const char *path, const struct column *columns, struct err *e);
/* A question on the terminal; ERR_INVALID without one. `hidden` turns the echo off. *ret is in the arena. */
int cli_ask(struct cli *c, const char *question, bool hidden, char **ret, struct err *e);
/* The password of --password-stdin (its first line), else asked for; with `twice` asked for again and compared. */
int cli_password(struct cli *c, const char *question, bool twice, char **ret, struct err *e);
/* "NAME=VALUE": splits at the first '='. ERR_INVALID names the flag. */
int cli_split(struct cli *c, const char *flag, const char *text, char **ret_key, const char **ret_value, struct err *e);
bool cli_interactive(void);   /* standard input and standard error are terminals */

#define JSON_AUTO __attribute__((cleanup(cli_json_free))) json_t *
void cli_json_free(json_t **j);

/* Flags that several commands share. */
#define FLAG_END {0}
#define FLAG_LIMIT {"limit", 0, FLAG_INT, "N", NULL, false, "at most N of them (default 500)"}

extern const struct command session_commands[], people_commands[], accounts_commands[], teams_commands[], roles_commands[], tokens_commands[],
    environments_commands[], templates_commands[], orders_commands[], approvals_commands[], notify_commands[], services_commands[], audit_commands[], nodes_commands[], jobs_commands[],
    policy_commands[], completion_commands[];
