/* Help for people, from the table of commands. */
#include "portal/cli/cli.h"

#include <string.h>

#include "portal/cli/text.h"

static void pad(struct buf *out, size_t used, size_t width)
{
    for (size_t i = used; i < width; i++)
        buf_char(out, ' ');
}

static void flag_left(struct buf *out, const struct flag *f)
{
    if (f->letter)
        buf_printf(out, "-%c, ", f->letter);
    buf_printf(out, "--%s", f->name);
    if (f->kind != FLAG_BOOL)
        buf_printf(out, " %s", f->value ? f->value : "VALUE");
}

static void help_flags(const struct flag *table, struct buf *out)
{
    for (const struct flag *f = table; f && f->name; f++) {
        BUF_AUTO left = BUF_INIT;
        flag_left(&left, f);
        buf_printf(out, "  %s", buf_cstr(&left));
        pad(out, left.len, 28);
        buf_printf(out, "  %s%s%s\n", f->help, f->kind == FLAG_LIST ? " (may be given again)" : "", f->required ? " (needed)" : "");
    }
}

void help_usage(const struct command *cmd, struct buf *out)
{
    buf_printf(out, "soma %s", cmd->path);
    if (*cmd->usage)
        buf_printf(out, " %s", cmd->usage);
    for (const struct flag *f = cmd->flags; f && f->name; f++)
        if (f->required)
            buf_printf(out, " --%s %s", f->name, f->value ? f->value : "VALUE");
    if (cmd->flags && cmd->flags->name)
        buf_str(out, " [flags]");
}

void help_command(const struct command *cmd, struct buf *out)
{
    buf_printf(out, "soma %s: %s\n\nUsage:\n  ", cmd->path, cmd->help);
    help_usage(cmd, out);
    buf_char(out, '\n');
    if (cmd->flags && cmd->flags->name) {
        buf_str(out, "\nFlags:\n");
        help_flags(cmd->flags, out);
    }
    buf_str(out, "\nFlags of every command:\n");
    help_flags(cli_global_flags, out);
    if (cmd->more)
        buf_printf(out, "\n%s", cmd->more);
}

static bool belongs(const struct command *cmd, const char *noun)
{
    size_t n = strlen(noun);
    return !strncmp(cmd->path, noun, n) && (cmd->path[n] == ' ' || !cmd->path[n]);
}

void help_noun(const char *noun, struct buf *out)
{
    for (const struct cli_noun *n = cli_nouns; n->noun; n++)
        if (!strcmp(n->noun, noun))
            buf_printf(out, "soma %s: %s\n\nCommands:\n", noun, n->help);
    for (const struct command *const *table = cli_tables; *table; table++) {
        for (const struct command *cmd = *table; cmd->path; cmd++) {
            if (!belongs(cmd, noun))
                continue;
            BUF_AUTO left = BUF_INIT;
            buf_printf(&left, "%s%s%s", cmd->path, *cmd->usage ? " " : "", cmd->usage);
            buf_printf(out, "  %s", buf_cstr(&left));
            pad(out, left.len, 40);
            buf_printf(out, "  %s\n", cmd->help);
        }
    }
    buf_printf(out, "\n`soma %s COMMAND --help` tells of its flags.\n", noun);
}

void help_all(struct buf *out)
{
    buf_str(out, "soma " SOMA_VERSION ": order golden paths and look after what they made\n\nUsage:\n  soma COMMAND [flags]\n\nCommands:\n");
    for (const struct cli_noun *n = cli_nouns; n->noun; n++) {
        buf_printf(out, "  %s", n->noun);
        pad(out, strlen(n->noun), 18);
        buf_printf(out, "  %s\n", n->help);
    }
    buf_str(out, "\nFlags of every command:\n");
    help_flags(cli_global_flags, out);
    buf_str(out, "\nExit status: 0 done, 1 refused or failed, 2 wrong usage, 3 waits for approval, 4 canceled (both with --watch), 5 not signed in,\n"
                 "6 no server answers.\n\nTry:\n"
                 "  soma login --url https://soma.example.org\n"
                 "  soma templates list\n"
                 "  soma order orders-db --template postgres-database --environment local --team payments --set size=small --watch\n"
                 "\n`soma COMMAND --help` tells of one command.\n");
}

/* ---- docs/cli.md ---- */

/* A cell of a table: its bars would be borders. */
static void cell(struct buf *out, const char *text)
{
    for (const char *p = text; *p; p++)
        buf_printf(out, *p == '|' ? "\\%c" : "%c", *p);
}

static void markdown_flags(const struct flag *table, struct buf *out)
{
    buf_str(out, "| flag | |\n|---|---|\n");
    for (const struct flag *f = table; f && f->name; f++) {
        BUF_AUTO left = BUF_INIT;
        flag_left(&left, f);
        buf_str(out, "| `");
        cell(out, buf_cstr(&left));
        buf_str(out, "` | ");
        cell(out, f->help);
        buf_printf(out, "%s%s |\n", f->kind == FLAG_LIST ? " (may be given again)" : "", f->required ? " (needed)" : "");
    }
    buf_char(out, '\n');
}

static void markdown_command(const struct command *cmd, struct buf *out)
{
    buf_str(out, "### `");
    help_usage(cmd, out);
    buf_printf(out, "`\n\n%c%s.\n\n", *cmd->help - ('a' <= *cmd->help && *cmd->help <= 'z' ? 32 : 0), cmd->help + 1);
    if (cmd->flags && cmd->flags->name)
        markdown_flags(cmd->flags, out);
    if (cmd->more)
        buf_printf(out, "```text\n%s```\n\n", cmd->more);
}

void help_markdown(struct buf *out)
{
    buf_str(out, "## Flags of every command\n\n");
    markdown_flags(cli_global_flags, out);
    for (const struct cli_noun *n = cli_nouns; n->noun; n++) {
        buf_printf(out, "## %s\n\n", n->noun);
        for (const struct command *const *table = cli_tables; *table; table++)
            for (const struct command *cmd = *table; cmd->path; cmd++)
                if (belongs(cmd, n->noun))
                    markdown_command(cmd, out);
    }
    out->data[--out->len] = 0; /* no empty line at the end */
}
