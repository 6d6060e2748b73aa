/* soma: the command line. Finds the command, reads its flags, runs it, turns its error into words and an exit status. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "portal/cli/cli.h"
#include "portal/cli/completion.h"
#include "portal/core/log.h"
#include "portal/json/json.h"

static int exit_of(int code)
{
    switch (code) {
    case ERR_UNAUTHENTICATED: return EXIT_SIGN_IN;
    case ERR_UNAVAILABLE: return EXIT_UNREACHABLE;
    case ERR_CANCELED: return EXIT_INTERRUPTED;
    default: return EXIT_FAILED;
    }
}

static void print_error(const struct err *e)
{
    BUF_AUTO out = BUF_INIT;
    fflush(stdout);
    output_error(&out, e, output_wants_colour(2));
    fwrite(buf_cstr(&out), 1, out.len, stderr);
}

/* Wrong usage: what is wrong, then how it is meant. */
static int usage_error(const struct command *cmd, const struct err *e)
{
    BUF_AUTO out = BUF_INIT;
    print_error(e);
    buf_str(&out, "Usage: ");
    help_usage(cmd, &out);
    buf_printf(&out, "\n`soma %s --help` tells more.\n", cmd->path);
    fputs(buf_cstr(&out), stderr);
    return EXIT_USAGE;
}

static int unknown_command(int argc, char **argv)
{
    const char *names[64] = {0};
    size_t n = 0;
    for (size_t i = 0; cli_nouns[i].noun && n < 63; i++)
        names[n++] = cli_nouns[i].noun;
    if (argc > 0 && cli_is_noun(argv[0])) {
        BUF_AUTO out = BUF_INIT;
        help_noun(argv[0], &out);
        if (argc > 1)
            output_note("soma: there is no command \"%s %s\"\n", argv[0], argv[1]);
        fputs(buf_cstr(&out), stderr);
        return EXIT_USAGE;
    }
    const char *near = json_near_word(argv[0], names);
    if (near)
        output_note("soma: there is no command \"%s\"; did you mean `soma %s`?", argv[0], near);
    else
        output_note("soma: there is no command \"%s\"; `soma --help` lists them", argv[0]);
    return EXIT_USAGE;
}

static bool asks_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return true;
    return false;
}

static int show_help(int argc, char **argv)
{
    BUF_AUTO out = BUF_INIT;
    int used = 0;
    bool alone = argc < 2 || argv[1][0] == '-';
    const struct command *cmd = cli_find(argc, argv, &used);
    if (argc && !cmd && !cli_is_noun(argv[0]))
        return unknown_command(argc, argv);
    if (!argc)
        help_all(&out);
    else if (!cmd || (alone && strchr(cmd->path, ' '))) /* `orders --help` is about the noun, not about `orders list` */
        help_noun(argv[0], &out);
    else
        help_command(cmd, &out);
    fputs(buf_cstr(&out), stdout);
    return EXIT_DONE;
}

static int check_words(const struct command *cmd, const struct args *a, struct err *e)
{
    if (a->n_words > cmd->max_words)
        return err_set(e, ERR_INVALID, "\"%s\" is one word too many", a->words[cmd->max_words]);
    if (a->n_words < cmd->min_words)
        return err_set(e, ERR_INVALID, "something is missing: %s", cmd->usage);
    if (a->n_rest && !cmd->takes_rest)
        return err_set(e, ERR_INVALID, "nothing may stand behind -- here");
    return args_check(cmd->flags, a, e);
}

static int run(struct cli *c)
{
    struct err e = ERR_INIT;
    output_init(&c->out, stdout);
    const char *format = args_text(&c->args, "output");
    c->out.format = format ? (enum output_format)output_format_parse(format) : OUTPUT_TABLE;
    int code = c->command->run(c, &e);
    if (code < 0)
        code = args_is_wrong(&e) ? usage_error(c->command, &e) : (print_error(&e), exit_of(code));
    client_free(c->client);
    profile_done(&c->profile);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    if (errno != EPIPE) /* `soma ... | head` ends quietly */
        output_note("soma: the result could not be written: %s", strerror(errno));
    return code ? code : EXIT_FAILED;
}

static int dispatch(int argc, char **argv)
{
    struct err e = ERR_INIT;
    static struct args args; /* too large for a comfortable stack frame */
    int leading = 0, used = 0;
    if (args_parse(NULL, cli_global_flags, argc, argv, true, &args, &leading, &e)) {
        print_error(&e);
        return EXIT_USAGE;
    }
    if (asks_help(argc, argv))
        return show_help(argc - leading, argv + leading);
    argc -= leading;
    argv += leading;
    if (!argc) {
        show_help(0, argv);
        return EXIT_USAGE;
    }
    const struct command *cmd = cli_find(argc, argv, &used);
    if (!cmd)
        return unknown_command(argc, argv);
    if (args_parse(cmd->flags, cli_global_flags, argc - used, argv + used, false, &args, NULL, &e) || check_words(cmd, &args, &e))
        return usage_error(cmd, &e);
    ARENA_AUTO arena = arena_new();
    struct cli c = {.arena = arena, .command = cmd, .args = args};
    return run(&c);
}

/* What scripts ask for, not people. */
static int run_hidden(int argc, char **argv)
{
    BUF_AUTO out = BUF_INIT;
    if (!strcmp(argv[1], "__complete"))
        completion_words(argc - 2, argv + 2, &out);
    else if (!strcmp(argv[1], "__reference"))
        help_markdown(&out);
    else
        return unknown_command(argc - 1, argv + 1);
    fputs(buf_cstr(&out), stdout);
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    setlocale(LC_TIME, "");
    signal(SIGPIPE, SIG_IGN); /* a connection that breaks is an error like others; a reader that left is seen by run() */
    log_set_level(LOG_LEVEL_ERROR);
    if (argc > 1 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "version"))) {
        puts("soma " SOMA_VERSION);
        return EXIT_DONE;
    }
    if (argc > 1 && !strcmp(argv[1], "help"))
        return show_help(argc - 2, argv + 2);
    if (argc > 1 && !strncmp(argv[1], "__", 2))
        return run_hidden(argc, argv);
    return dispatch(argc - 1, argv + 1);
}
