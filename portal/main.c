/* somad: the only file that knows which verbs there are. The roles are in serve.c and work.c, the parent in supervise.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/auth/auth.h"
#include "portal/auth/idempotency.h"
#include "portal/core/fs.h"
#include "portal/core/log.h"
#include "portal/core/thread.h"
#include "portal/git/git.h"
#include "portal/node.h"
#include "portal/provision/provision.h"
#include "portal/secrets/secrets.h"
#include "portal/templates/templates.h"

static int usage(void)
{
    struct node n = {0};
    struct err e = ERR_INIT;
    char name[] = "somad", *none[] = {name, NULL};
    int argc = 1;
    unsetenv("SOMA_CONFIG");
    BUF_AUTO b = BUF_INIT;
    buf_str(&b, "somad " SOMA_VERSION ": a node of Soma\n\n"
                "  somad [--config FILE] [--KEY VALUE ...]     a node: both roles under a small parent\n"
                "  somad serve | work ...                      one role alone\n"
                "  somad config check | show | markdown ...    read the configuration, say what is wrong or in force\n"
                "  somad migrate [--database CONNINFO]         bring the schema to this version, as its owner (or SOMA_MIGRATE_DATABASE)\n"
                "  somad keys init | rotate --key-file FILE    make the key ring; add a key and seal everything anew\n"
                "  somad bootstrap --admin NAME --password-file FILE [--token-file FILE]\n"
                "                                              the first administrator, unless there is one\n"
                "  somad --version\n\n"
                "Each key may stand in the file (`key = value`), in the environment (SOMA_KEY) or as a flag (--key VALUE); the later wins.\n");
    if (node_configure(&n, &argc, none, &e) == 0)
        config_help(n.config, &b);
    fputs(b.data, stdout);
    config_free(n.config);
    return 0;
}

static int complain(const char *verb, const struct err *e)
{
    fprintf(stderr, "somad%s%s: %s\n", verb ? " " : "", verb ? verb : "", e->msg);
    return 1;
}

/* Takes `--flag VALUE` out of argv; NULL when it is not there. */
static const char *take_flag(int *argc, char **argv, const char *flag)
{
    const char *value = NULL;
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (!strcmp(argv[i], flag) && i + 1 < *argc)
            value = argv[++i];
        else
            argv[kept++] = argv[i];
    }
    *argc = kept;
    argv[kept] = NULL;
    return value;
}

static int migrate(int argc, char **argv)
{
    struct err e = ERR_INIT;
    struct db_conn *c = NULL;
    const char *conninfo = take_flag(&argc, argv, "--database");
    int applied = 0;
    if (!conninfo)
        conninfo = getenv("SOMA_MIGRATE_DATABASE");
    if (!conninfo)
        return complain("migrate", (err_set(&e, ERR_INVALID, "name the database with --database or SOMA_MIGRATE_DATABASE: a connection string of the schema's owner"), &e));
    if (db_connect(conninfo, "somad migrate", &c, &e) || db_migrate(c, &applied, &e)) {
        db_give(c);
        return complain("migrate", &e);
    }
    db_give(c);
    printf("%d migration%s ran; the schema is that of somad " SOMA_VERSION "\n", applied, applied == 1 ? "" : "s");
    return 0;
}

static int check_config(struct node *n, const char *what)
{
    struct err e = ERR_INIT;
    BUF_AUTO b = BUF_INIT;
    if (!strcmp(what, "markdown"))
        config_markdown(n->config, &b);
    else if (config_check(n->config, &e))
        return complain("config", &e);
    else
        config_show(n->config, &b);
    fputs(!strcmp(what, "check") ? "the configuration is in order\n" : buf_cstr(&b), stdout);
    return 0;
}

static int bootstrap(struct node *n, const char *name, const char *password_file, const char *token_file)
{
    struct err e = ERR_INIT;
    bool created = false;
    char token[128] = "";
    BUF_AUTO password = BUF_INIT;
    if (!name || !password_file)
        return complain("bootstrap", (err_set(&e, ERR_INVALID, "needs --admin NAME and --password-file FILE"), &e));
    int r = fs_read(password_file, 1024, &password, &e);
    while (password.len && strchr("\r\n", password.data[password.len - 1]))
        password.data[--password.len] = 0;
    if (!r)
        r = node_open(n, "bootstrap", 2, &e);
    if (!r)
        r = auth_bootstrap(n->db, name, buf_cstr(&password), &created, token, &e);
    buf_wipe(&password);
    if (!r && created && token_file)
        r = fs_write_atomic(token_file, token, strlen(token), 0600, &e);
    if (r)
        return complain("bootstrap", &e);
    printf(created ? "%s is the first administrator\n" : "there is a person already: %s was not created\n", name);
    return 0;
}

static int keys(struct node *n, const char *verb, const char *key_file)
{
    struct err e = ERR_INIT;
    uint32_t id = 0;
    if (!key_file)
        key_file = config_str(n->config, "key_file");
    if (!verb || !key_file)
        return complain("keys", (err_set(&e, ERR_INVALID, "needs init or rotate, and --key-file FILE"), &e));
    if (!strcmp(verb, "init")) {
        if (keyring_init_file(key_file, &e))
            return complain("keys init", &e);
        printf("%s holds a new key; keep a copy where the database's backups are not\n", key_file);
        return 0;
    }
    if (strcmp(verb, "rotate"))
        return complain("keys", (err_set(&e, ERR_INVALID, "there is no `somad keys %s`", verb), &e));
    int64_t resealed = 0;
    secrets_register(provision_secrets);
    secrets_register(idempotency_secrets);
    templates_set_db(NULL); /* registers its own */
    if (keyring_rotate_file(key_file, &id, &e) || node_open(n, "keys", 2, &e) || secrets_reseal(n->db, &resealed, &e))
        return complain("keys rotate", &e);
    printf("key %u is active; %lld sealed values were sealed with it. Give the new file to every node\n", id, (long long)resealed);
    return 0;
}

static int run_role(struct node *n, const char *verb, int argc, char **argv)
{
    struct err e = ERR_INIT;
    int r = !verb ? supervise_main(n, argc, argv, &e) : !strcmp(verb, "serve") ? serve_main(n, &e) : work_main(n, &e);
    if (!r || r == ERR_CANCELED)
        return 0;
    log_error(e.msg);
    return complain(verb, &e);
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    struct node n = {0};
    if (git_helper_wanted(argc, argv)) /* a child of ours that talks to git hosts */
        return git_helper_main();
    thread_set_role(THREAD_MAIN, NULL);
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h") || (i == 1 && !strcmp(argv[i], "help")))
            return usage();
    if (argc > 1 && !strcmp(argv[1], "--version"))
        return puts("somad " SOMA_VERSION) < 0;
    if (argc > 1 && !strcmp(argv[1], "migrate"))
        return migrate(argc, argv);
    const char *admin = take_flag(&argc, argv, "--admin"), *password_file = take_flag(&argc, argv, "--password-file");
    const char *token_file = take_flag(&argc, argv, "--token-file");
    /* The parent hands its own flags on to the roles, so it keeps a copy from before they are taken out. */
    int full_argc = argc;
    char **full = calloc((size_t)argc + 1, sizeof *full);
    memcpy(full, argv, sizeof *full * (size_t)argc);
    int code = 2;
    if (node_configure(&n, &argc, argv, &e))
        code = complain(NULL, &e);
    else if (argc == 1)
        code = run_role(&n, NULL, full_argc, full);
    else if (argc == 2 && (!strcmp(argv[1], "serve") || !strcmp(argv[1], "work")))
        code = run_role(&n, argv[1], full_argc, full);
    else if (argc == 3 && !strcmp(argv[1], "config") && (!strcmp(argv[2], "check") || !strcmp(argv[2], "show") || !strcmp(argv[2], "markdown")))
        code = check_config(&n, argv[2]);
    else if (argc == 2 && !strcmp(argv[1], "bootstrap"))
        code = bootstrap(&n, admin, password_file, token_file);
    else if (argc == 3 && !strcmp(argv[1], "keys"))
        code = keys(&n, argv[2], NULL);
    else
        code = complain(NULL, (err_set(&e, ERR_INVALID, "there is no `%s%s%s`; `somad --help` shows what there is", argv[1], argc > 2 ? " " : "", argc > 2 ? argv[2] : ""), &e));
    free(full);
    node_close(&n);
    return code;
}
