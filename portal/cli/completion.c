#include "portal/cli/completion.h"

#include <string.h>

#include "portal/cli/text.h"

#define PATIENCE_MS 400

static bool begins(const char *word, const char *begun)
{
    return !strncmp(word, begun, strlen(begun));
}

static void offer(struct buf *out, const char *word, const char *begun, const char *help)
{
    if (!begins(word, begun))
        return;
    text_clean(out, word, false);
    if (help) {
        buf_char(out, '\t');
        text_clean(out, help, false);
    }
    buf_char(out, '\n');
}

static void offer_nouns(struct buf *out, const char *begun)
{
    for (const struct cli_noun *n = cli_nouns; n->noun; n++)
        offer(out, n->noun, begun, n->help);
}

static void offer_verbs(struct buf *out, const char *noun, const char *begun)
{
    size_t n = strlen(noun);
    for (const struct command *const *table = cli_tables; *table; table++)
        for (const struct command *cmd = *table; cmd->path; cmd++)
            if (!strncmp(cmd->path, noun, n) && cmd->path[n] == ' ')
                offer(out, cmd->path + n + 1, begun, cmd->help);
}

static void offer_flags(struct buf *out, const struct flag *table, const char *begun)
{
    for (const struct flag *f = table; f && f->name; f++) {
        BUF_AUTO name = BUF_INIT;
        buf_printf(&name, "--%s", f->name);
        offer(out, buf_cstr(&name), begun, f->help);
    }
}

/* Names from the server, as this person may see them. */
static void offer_names(struct buf *out, const char *noun, const char *begun)
{
    ARENA_AUTO arena = arena_new();
    struct profile profile = {0};
    struct client *client = NULL;
    struct reply r = {0};
    size_t i;
    json_t *item;
    const char *limit = strcmp(noun, "environments") ? "500" : NULL; /* that list has no pages */
    char *path = client_query(arena, arena_printf(arena, "/api/v1/%s", noun), "limit", limit, NULL);
    if (profile_load(arena, NULL, NULL, &profile, NULL) == 0 &&
        client_new(&(struct client_options){.url = profile.url, .token = profile.token, .ca = profile.ca, .patience_ms = PATIENCE_MS}, &client, NULL) == 0 &&
        client_call(client, &(struct request){.method = "GET", .path = path}, &r, NULL) == 0)
        json_array_foreach(json_object_get(r.body, "items"), i, item) {
            const char *name = json_string_value(json_object_get(item, "name")), *title = json_string_value(output_at(item, "title|state"));
            if (name)
                offer(out, name, begun, title);
        }
    reply_done(&r);
    client_free(client);
    profile_done(&profile);
}

static void offer_values(struct buf *out, const char *complete, const char *choices, const char *begun)
{
    if (complete && (!strcmp(complete, "file") || !strcmp(complete, "dir"))) {
        buf_printf(out, ":%s\n", complete);
    } else if (complete) {
        offer_names(out, complete, begun);
    } else if (choices && strchr(choices, '|')) {
        BUF_AUTO one = BUF_INIT;
        for (const char *p = choices; *p; p += *p == '|') {
            size_t n = strcspn(p, "|");
            buf_clear(&one);
            buf_add(&one, p, n);
            offer(out, buf_cstr(&one), begun, NULL);
            p += n;
        }
    }
}

/* The flag that still waits for its value after `word`, or NULL. */
static const struct flag *open_flag(const struct flag *own, const char *word)
{
    const struct flag *tables[] = {own, cli_global_flags};
    if (word[0] != '-' || strchr(word, '='))
        return NULL;
    for (int t = 0; t < 2; t++)
        for (const struct flag *f = tables[t]; f && f->name; f++)
            if (f->kind != FLAG_BOOL && (word[1] == '-' ? !strcmp(f->name, word + 2) : word[1] == f->letter && !word[2]))
                return f;
    return NULL;
}

void completion_words(int argc, char **argv, struct buf *out)
{
    static char empty[] = "";
    const char *begun = argc > 0 ? argv[argc - 1] : empty;
    int used = 0;
    const struct command *cmd = argc > 1 ? cli_find(argc - 1, argv, &used) : NULL;
    const struct flag *own = cmd ? cmd->flags : NULL, *open = argc > 1 ? open_flag(own, argv[argc - 2]) : NULL;
    if (open)
        offer_values(out, open->complete, open->value, begun);
    else if (*begun == '-') {
        offer_flags(out, own, begun);
        offer_flags(out, cli_global_flags, begun);
    } else if (argc <= 1)
        offer_nouns(out, begun);
    else if (argc == 2 && (!cmd || strchr(cmd->path, ' ')))
        offer_verbs(out, argv[0], begun);
    else if (cmd)
        offer_values(out, cmd->complete, NULL, begun);
}

/* ---- Scripts ---- */

static const char bash_script[] =
    "# bash completion for soma: source <(soma completion bash)\n"
    "_soma() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} line words=()\n"
    "    COMPREPLY=()\n"
    "    if ((COMP_CWORD == 1)) && [[ $cur != -* ]]; then\n"
    "        COMPREPLY=($(compgen -W '@NOUNS@' -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    while IFS= read -r line; do\n"
    "        case $line in\n"
    "        :file) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
    "        :dir) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n"
    "        *) words+=(\"${line%%$'\\t'*}\") ;;\n"
    "        esac\n"
    "    done < <(\"${COMP_WORDS[0]}\" __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
    "    COMPREPLY=(\"${words[@]}\")\n"
    "}\n"
    "complete -F _soma soma\n";

static const char zsh_script[] =
    "#compdef soma\n"
    "# zsh completion for soma: source <(soma completion zsh)\n"
    "_soma() {\n"
    "    local line\n"
    "    local -a items\n"
    "    while IFS= read -r line; do\n"
    "        case $line in\n"
    "        :file) _files; return ;;\n"
    "        :dir) _files -/; return ;;\n"
    "        *$'\\t'*) items+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\") ;;\n"
    "        *) items+=(\"${line//:/\\\\:}\") ;;\n"
    "        esac\n"
    "    done < <(\"${words[1]}\" __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
    "    _describe soma items\n"
    "}\n"
    "compdef _soma soma\n";

static const char fish_script[] =
    "# fish completion for soma: soma completion fish | source\n"
    "function __soma_words\n"
    "    set -l tokens (commandline -opc) (commandline -ct)\n"
    "    for line in (command $tokens[1] __complete $tokens[2..-1] 2>/dev/null)\n"
    "        switch $line\n"
    "            case ':file'\n"
    "                __fish_complete_path (commandline -ct)\n"
    "            case ':dir'\n"
    "                __fish_complete_directories (commandline -ct)\n"
    "            case '*'\n"
    "                echo $line\n"
    "        end\n"
    "    end\n"
    "end\n"
    "complete -c soma -f -a '(__soma_words)'\n";

/* The script with the first words in place of its mark: completing those needs no process. */
static void put_script(FILE *to, const char *script)
{
    const char *mark = strstr(script, "@NOUNS@");
    fprintf(to, "%.*s", mark ? (int)(mark - script) : (int)strlen(script), script);
    if (!mark)
        return;
    for (const struct cli_noun *n = cli_nouns; n->noun; n++)
        fprintf(to, "%s%s", n == cli_nouns ? "" : " ", n->noun);
    fputs(mark + strlen("@NOUNS@"), to);
}

static int run_script(struct cli *c, struct err *e)
{
    (void)e;
    const char *verb = strchr(c->command->path, ' ') + 1;
    put_script(c->out.to, !strcmp(verb, "bash") ? bash_script : !strcmp(verb, "zsh") ? zsh_script : fish_script);
    return EXIT_DONE;
}

const struct command completion_commands[] = {
    {"completion bash", "", NULL, run_script, 0, 0, NULL, "print the script for bash", "Put `source <(soma completion bash)` into ~/.bashrc.\n"},
    {"completion zsh", "", NULL, run_script, 0, 0, NULL, "print the script for zsh", "Put `source <(soma completion zsh)` into ~/.zshrc.\n"},
    {"completion fish", "", NULL, run_script, 0, 0, NULL, "print the script for fish", "Put `soma completion fish | source` into ~/.config/fish/config.fish.\n"},
    {0},
};
