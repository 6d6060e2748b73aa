#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "portal/cli/cli.h"
#include "portal/core/fs.h"

static const struct flag own[] = {
    {"set", 's', FLAG_LIST, "K=V", NULL, false, "a parameter"},
    {"limit", 0, FLAG_INT, "N", NULL, false, "how many"},
    {"team", 0, FLAG_TEXT, "TEAM", NULL, true, "whose"},
    {"watch", 'w', FLAG_BOOL, NULL, NULL, false, "follow"},
    FLAG_END,
};

static int parse(struct args *a, struct err *e, const char **words)
{
    char **argv = (char **)(uintptr_t)words; /* as main() is given them; nobody writes to them */
    int n = 0;
    while (argv[n])
        n++;
    *a = (struct args){0};
    *e = (struct err)ERR_INIT;
    return args_parse(own, cli_global_flags, n, argv, false, a, NULL, e);
}
#define PARSE(...) parse(&a, &e, (const char *[]){__VA_ARGS__, NULL})

static void flags_may_stand_anywhere(void **state)
{
    (void)state;
    struct args a;
    struct err e;
    assert_int_equal(PARSE("one", "--set", "a=1", "two", "-s", "b=2", "-sc=3", "--set=d=4", "-o", "json", "--limit=7", "-w"), 0);
    assert_int_equal(a.n_words, 2);
    assert_string_equal(args_word(&a, 1), "two");
    assert_null(args_word(&a, 2));
    assert_int_equal(args_count(&a, "set"), 4);
    assert_string_equal(args_nth(&a, "set", 0), "a=1");
    assert_string_equal(args_nth(&a, "set", 2), "c=3");
    assert_string_equal(args_nth(&a, "set", 3), "d=4");
    assert_null(args_nth(&a, "set", 4));
    assert_int_equal(args_int(&a, "limit", 1), 7);
    assert_string_equal(args_text(&a, "output"), "json");
    assert_true(args_has(&a, "watch"));
    assert_false(args_has(&a, "team"));
}

static void the_last_of_a_flag_wins(void **state)
{
    (void)state;
    struct args a;
    struct err e;
    assert_int_equal(PARSE("--team", "one", "--team", "two"), 0);
    assert_string_equal(args_text(&a, "team"), "two");
    assert_int_equal(args_int(&a, "limit", 42), 42);
}

static void two_hyphens_end_the_flags(void **state)
{
    (void)state;
    struct args a;
    struct err e;
    assert_int_equal(PARSE("name", "--", "-c", "select 1", "--team"), 0);
    assert_int_equal(a.n_words, 1);
    assert_int_equal(a.n_rest, 3);
    assert_string_equal(a.rest[0], "-c");
    assert_null(a.rest[3]);
    assert_int_equal(PARSE("-"), 0); /* standard input, a word */
    assert_string_equal(args_word(&a, 0), "-");
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    struct args a;
    struct err e;
    assert_int_equal(PARSE("--teem", "x"), ERR_INVALID);
    assert_non_null(strstr(e.msg, "did you mean --team?"));
    assert_int_equal(PARSE("--zzzzzzzz=x"), ERR_INVALID);
    assert_non_null(strstr(e.msg, "no flag --zzzzzzzz here"));
    assert_int_equal(PARSE("-q"), ERR_INVALID);
    assert_int_equal(PARSE("--team"), ERR_INVALID);
    assert_non_null(strstr(e.msg, "--team TEAM"));
    assert_int_equal(PARSE("--watch=no"), ERR_INVALID);
    assert_int_equal(PARSE("--limit", "12x"), ERR_INVALID);
    assert_int_equal(PARSE("--limit", "99999999999999999999"), ERR_INVALID);
    assert_int_equal(PARSE("-o", "xml"), ERR_INVALID);
    assert_non_null(strstr(e.msg, "table|json|yaml"));
    assert_int_equal(PARSE("-o", "js"), ERR_INVALID);
    assert_int_equal(PARSE("-o", ""), ERR_INVALID);
}

static void needed_flags_are_asked_for(void **state)
{
    (void)state;
    struct args a;
    struct err e;
    assert_int_equal(PARSE("x"), 0);
    assert_int_equal(args_check(own, &a, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "--team TEAM"));
    assert_int_equal(PARSE("x", "--team", "t"), 0);
    assert_int_equal(args_check(own, &a, &e), 0);
}

static const struct command *find(int *used, const char **words)
{
    int n = 0;
    while (words[n])
        n++;
    return cli_find(n, (char **)(uintptr_t)words, used);
}

static void commands_are_found(void **state)
{
    (void)state;
    int used;
    assert_string_equal(find(&used, (const char *[]){"orders", "show", "x", NULL})->path, "orders show");
    assert_int_equal(used, 2);
    assert_string_equal(find(&used, (const char *[]){"order", "show", NULL})->path, "order");
    assert_int_equal(used, 1);
    assert_string_equal(find(&used, (const char *[]){"orders", NULL})->path, "orders list");
    assert_int_equal(used, 1);
    assert_string_equal(find(&used, (const char *[]){"people", "-o", "json", NULL})->path, "people list");
    assert_null(find(&used, (const char *[]){"orders", "shwo", NULL}));
    assert_null(find(&used, (const char *[]){"nothing", NULL}));
    assert_null(find(&used, (const char *[]){"completion", NULL}));
}

static void check_command(const struct command *cmd, void *arg)
{
    size_t *n = arg;
    BUF_AUTO help = BUF_INIT;
    char noun[40] = "";
    ++*n;
    memcpy(noun, cmd->path, strcspn(cmd->path, " "));
    assert_true(cli_is_noun(noun));
    assert_non_null(cmd->run);
    assert_true(cmd->min_words <= cmd->max_words);
    assert_true(cmd->max_words == 0 || *cmd->usage);
    help_command(cmd, &help);
    for (const struct flag *f = cmd->flags; f && f->name; f++) {
        char name[60];
        snprintf(name, sizeof name, "--%s", f->name);
        assert_non_null(strstr(buf_cstr(&help), name));
        assert_true(*f->help);
        for (const struct flag *g = cli_global_flags; g->name; g++) {
            assert_string_not_equal(f->name, g->name);
            assert_true(!f->letter || f->letter != g->letter);
        }
    }
}

static void every_command_has_its_help(void **state)
{
    (void)state;
    size_t n = 0;
    cli_each(check_command, &n);
    assert_true(n > 50);
}

static void every_noun_has_a_command(void **state)
{
    (void)state;
    for (const struct cli_noun *n = cli_nouns; n->noun; n++) {
        BUF_AUTO help = BUF_INIT;
        help_noun(n->noun, &help);
        const char *list = strstr(buf_cstr(&help), "Commands:\n");
        assert_non_null(list);
        assert_memory_equal(list + 10, "  ", 2);
    }
}

/* docs/cli.md holds what `soma __reference` prints. */
static void the_reference_is_up_to_date(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    BUF_AUTO page = BUF_INIT;
    BUF_AUTO reference = BUF_INIT;
    help_markdown(&reference);
    assert_int_equal(fs_read(SOMA_DOCS "/cli.md", 1 << 20, &page, &e), 0);
    if (!strstr(buf_cstr(&page), buf_cstr(&reference)))
        fail_msg("docs/cli.md is not up to date: replace its reference by what `soma __reference` prints");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_may_stand_anywhere), cmocka_unit_test(the_last_of_a_flag_wins), cmocka_unit_test(two_hyphens_end_the_flags),
        cmocka_unit_test(what_is_wrong_is_said),    cmocka_unit_test(needed_flags_are_asked_for), cmocka_unit_test(commands_are_found),
        cmocka_unit_test(every_command_has_its_help), cmocka_unit_test(every_noun_has_a_command),
        cmocka_unit_test(the_reference_is_up_to_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
