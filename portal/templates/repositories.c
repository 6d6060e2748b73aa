/* Template repositories: registering, their sealed part, asking for a refresh. */
#include "portal/templates/store.h"
#include "portal/core/id.h"
#include "portal/crypto/crypto.h"
#include "portal/git/git.h"
#include "portal/json/json.h"
#include "portal/secrets/secrets.h"
#include "templates_queries.h"
#include <stdio.h>
#include <string.h>

static const struct secrets_column sealed_columns[] = {{"template_repository", "name", "sealed_version", "sealed"}, {0}};

void repositories_register(void)
{
    static bool done;
    if (!done)
        secrets_register(sealed_columns);
    done = true;
}

int repository_open_sealed(const char *name, int64_t version, const void *sealed, size_t len, json_t **ret, struct err *e)
{
    struct buf plain = BUF_INIT;
    int rc = secrets_open("template_repository", name, version, sealed, len, &plain, e);
    if (rc == 0)
        rc = json_read(plain.data, plain.len, 4, ret, e);
    buf_wipe(&plain);
    return rc == 0 ? 0 : err_prefix(e, "the sealed credentials of repository %s cannot be opened", name);
}

static int seal_parts(const char *name, const json_t *credentials, const char *webhook_secret, struct buf *out, struct err *e)
{
    json_t *parts = json_object();
    struct buf plain = BUF_INIT;
    json_object_set_new(parts, "webhook_secret", json_string(webhook_secret));
    if (credentials)
        json_object_set(parts, "credentials", (json_t *)credentials);
    json_write(parts, &plain);
    json_decref(parts);
    int rc = secrets_seal("template_repository", name, 1, plain.data, plain.len, out, e);
    buf_wipe(&plain);
    return rc;
}

/* Which kind the credentials are: "password", "token", "ssh_key", "" for none; NULL, with *e, when they make no sense. */
static const char *credentials_kind(const json_t *credentials, const char *url, struct err *e)
{
    if (!credentials || json_is_null(credentials))
        return "";
    const bool ssh = strncmp(url, "ssh://", 6) == 0 || !strstr(url, "://"), local = url[0] == '/' || strncmp(url, "file:", 5) == 0;
    const char *kind = json_object_get(credentials, "ssh_key") ? "ssh_key" : json_object_get(credentials, "token") ? "token" : json_object_get(credentials, "password") ? "password" : NULL;
    if (local)
        err_field(e, "/credentials", "are of no use for a repository on this machine");
    else if (!kind)
        err_field(e, "/credentials", "need a password, a token or an ssh_key");
    else if ((strcmp(kind, "ssh_key") == 0) && !ssh)
        err_field(e, "/credentials/ssh_key", "is for ssh URLs; give a token or a password for this one");
    else if (ssh && !json_object_get(credentials, "host_key"))
        err_field(e, "/credentials/host_key", "is required with ssh: the host's key as ssh-keyscan prints it, or its SHA256 fingerprint");
    else
        return kind;
    return NULL;
}

int templates_add_repository(struct db_conn *c, const char *name, const char *url, const char *ref, const json_t *credentials, const char *by, char *ret_secret,
                             struct err *e)
{
    BUF_AUTO sealed = BUF_INIT;
    uint8_t random[32];
    char secret[65];
    if (!id_name_valid(name))
        return err_field(e, "/name", "must be lower-case letters, digits and dashes, begin with a letter and not end with a dash, at most 40 characters");
    int rc = git_url_check(url, credentials && !json_is_null(credentials), e);
    if (rc == 0)
        rc = git_ref_check(ref, e);
    const char *kind = rc == 0 ? credentials_kind(credentials, url, e) : NULL;
    if (!kind)
        return e->code;
    crypto_random(random, sizeof(random));
    crypto_hex(random, sizeof(random), secret);
    rc = seal_parts(name, *kind ? credentials : NULL, secret, &sealed, e);
    if (rc == 0)
        rc = db_run(c, Q_REPOSITORY_INSERT, NULL, e, db_text(name), db_text(url), db_text(ref ? ref : ""), db_text(kind), db_bytes(sealed.data, sealed.len), db_text(by ? by : ""));
    if (rc == ERR_CONFLICT) {
        err_set(e, ERR_CONFLICT, "there is a template repository `%s` already; choose another name, or remove that one first", name);
        snprintf(e->link, sizeof(e->link), "/api/v1/templates/repositories/%s", name);
        rc = err_type(e, "name-taken");
    }
    if (rc == 0)
        rc = jobs_enqueue(c, &(struct jobs_spec){.kind = "templates.refresh", .subject = name}, NULL, e);
    if (rc == 0 && ret_secret)
        memcpy(ret_secret, secret, sizeof(secret));
    crypto_wipe(secret, sizeof(secret));
    return rc;
}

static int not_there(const char *name, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "there is no template repository `%.60s`", name);
}

int templates_request_refresh(struct db_conn *c, const char *name, struct err *e)
{
    DB_RESULT_AUTO r = NULL;
    int rc = db_run(c, Q_REPOSITORY_REQUEST, &r, e, db_text(name));
    if (rc == 0 && db_affected(r) == 0)
        return not_there(name, e);
    return rc ? rc : jobs_enqueue(c, &(struct jobs_spec){.kind = "templates.refresh", .subject = name}, NULL, e);
}

int templates_remove_repository(struct db_conn *c, const char *name, struct err *e)
{
    DB_RESULT_AUTO gone = NULL;
    DB_RESULT_AUTO others = NULL;
    int rc = db_run(c, Q_TEMPLATES_WITHDRAW_ALL, NULL, e, db_text(name));
    if (rc == 0)
        rc = db_run(c, Q_REPOSITORY_DELETE, &gone, e, db_text(name));
    if (rc == 0 && db_rows(gone) == 0)
        return not_there(name, e);
    if (rc == 0)
        rc = jobs_cancel(c, "templates.refresh", name, e) < 0 ? e->code : 0;
    if (rc == 0)
        rc = db_run(c, Q_REPOSITORIES_REQUEST_ALL, &others, e);
    for (int i = 0; rc == 0 && i < db_rows(others); i++)
        rc = jobs_enqueue(c, &(struct jobs_spec){.kind = "templates.refresh", .subject = db_str(others, i, 0)}, NULL, e);
    return rc;
}
