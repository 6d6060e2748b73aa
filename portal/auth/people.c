/* Accounts of people: for administrators. */
#include <stdio.h>
#include <string.h>

#include "auth_queries.h"
#include "portal/auth/auth_private.h"
#include "portal/core/id.h"
#include "portal/crypto/password.h"

#define MADE_LENGTH 20

struct person {
    struct write w;
    const char *name;
    char made[MADE_LENGTH + 1];       /* the password that we made, or "" */
    char phc[PASSWORD_PHC_MAX];
};

int people_list(struct http_req *r, struct err *e)
{
    int64_t limit;
    const char *after;
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int x = limit_and_cursor(r, &limit, &after, e);
    if (!x)
        x = db_take(auth_db(), &c, e);
    if (!x)
        x = db_run(c, Q_PEOPLE_PAGE, &rows, e, db_text(after), db_int(limit + 1));
    return x ? x : auth_reply_page(r, rows, limit, e);
}

int people_show(struct http_req *r, struct err *e)
{
    const char *name = http_param(r, "name");
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    int x = !r->who->service_account && !strcmp(name, r->who->name) ? 0 : auth_require(r->who, ROLE_ADMIN, NULL, e);
    if (!x)
        x = db_take(auth_db(), &c, e);
    if (!x)
        x = db_run(c, Q_ACCOUNT_JSON, &row, e, db_text(name), db_text("person"));
    return x ? x : reply_row(r, row, "person", name, e);
}

/* The account's JSON with one more member. */
static const char *with_password(struct arena *a, const char *json, const char *made)
{
    BUF_AUTO b = BUF_INIT;
    size_t n = strlen(json);
    buf_add(&b, json, json[n - 1] == '}' ? n - 1 : n);
    buf_json_kv(&b, "password", *made ? made : NULL);
    buf_char(&b, '}');
    return arena_strndup(a, b.data, b.len);
}

static int name_taken(struct db_conn *c, const char *name, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    /* The transaction is spoilt by the refused row; only words are missing now. */
    db_rollback(c);
    bool person = db_run(c, Q_ACCOUNT_FIND, &row, NULL, db_text(name)) || db_rows(row) == 0 || !strcmp(db_str(row, 0, 1), "person");
    err_set(e, ERR_CONFLICT, "the name `%s` is taken by another account; people and service accounts share their names", name);
    snprintf(e->link, sizeof e->link, "/api/v1/%s/%s", person ? "people" : "service-accounts", name);
    return err_type(e, "name-taken");
}

static int create_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct person *p = arg;
    struct http_req *r = p->w.r;
    char id[ID_LEN + 1];
    DB_RESULT_AUTO row = NULL;
    id_new(id);
    int x = db_run(c, Q_PERSON_INSERT, NULL, e, db_text(id), db_text(p->name), db_text(body_text(r, "title")), db_text(body_text(r, "email")), db_text(p->phc));
    if (x == ERR_CONFLICT)
        return name_taken(c, p->name, e);
    if (!x)
        x = db_one(c, Q_ACCOUNT_JSON, &row, e, db_text(p->name), db_text("person"));
    if (x)
        return x;
    p->w.after = row_json(r, row);
    p->w.answer = with_password(r->arena, p->w.after, p->made);
    return write_finish(c, &p->w, e);
}

/* The given password, or one that we make; hashed. */
static int choose_password(struct person *p, struct err *e)
{
    const char *given = body_text(p->w.r, "password");
    int x = given ? password_check(given, "/password", e) : 0;
    if (x)
        return x;
    if (!given)
        crypto_password_new(NULL, MADE_LENGTH, p->made);
    return password_hash(given ? given : p->made, p->phc, e);
}

static bool domain_is_valid(const char *s)
{
    size_t label = 0;
    if (strlen(s) > 253)
        return false;
    for (; *s; s++) {
        bool alnum = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9');
        if (*s == '.' ? label == 0 || s[-1] == '-' : !alnum && (*s != '-' || label == 0))
            return false;
        label = *s == '.' ? 0 : label + 1;
        if (label > 63)
            return false;
    }
    return label > 0 && s[-1] != '-';
}

bool auth_email_valid(const char *s)
{
    static const char atext[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+/=?^_`{|}~-.";
    size_t local = strspn(s, atext);
    return local > 0 && s[0] != '.' && s[local] == '@' && s[local - 1] != '.' && (!strstr(s, "..") || strstr(s, "..") > s + local) &&
           strlen(s) <= 254 && domain_is_valid(s + local + 1);
}

static int check_email(const char *email, struct err *e)
{
    if (!email || auth_email_valid(email))
        return 0;
    return err_field(e, "/email", "is not an address that mail can be sent to, such as ada@example.com");
}

int people_create(struct http_req *r, struct err *e)
{
    struct person p = {.w = {.r = r, .action = "person.create", .status = 201}, .name = body_text(r, "name")};
    int x = check_name(p.name, "/name", e);
    if (!x)
        x = check_email(body_text(r, "email"), e);
    if (!x)
        x = choose_password(&p, e);
    if (x)
        return x;
    p.w.subject = arena_printf(r->arena, "account:%s", p.name);
    p.w.location = arena_printf(r->arena, "/api/v1/people/%s", p.name);
    x = write_run(&p.w, create_tx, false, e);
    crypto_wipe(p.made, sizeof p.made);
    return x;
}

static int lock_person(struct db_conn *c, struct person *p, char ret_id[ID_LEN + 1], struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int x = db_run(c, Q_ACCOUNT_LOCK, &row, e, db_text(p->name), db_text("person"));
    if (!x && db_rows(row) == 0)
        x = err_set(e, ERR_NOT_FOUND, "there is no person `%.80s`", p->name);
    if (x)
        return x;
    p->w.before = row_json(p->w.r, row);
    snprintf(ret_id, ID_LEN + 1, "%s", db_str(row, 0, 3));
    return 0;
}

static int finish(struct db_conn *c, struct person *p, bool password, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int x = db_one(c, Q_ACCOUNT_JSON, &row, e, db_text(p->name), db_text("person"));
    if (x)
        return x;
    p->w.after = row_json(p->w.r, row);
    p->w.answer = password ? with_password(p->w.r->arena, p->w.after, p->made) : p->w.after;
    return write_finish(c, &p->w, e);
}

static int disable_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct person *p = arg;
    char id[ID_LEN + 1];
    int x = db_run(c, Q_LOCK_ADMINS, NULL, e);
    if (!x)
        x = lock_person(c, p, id, e);
    if (!x)
        x = db_run(c, Q_ACCOUNT_DISABLE, NULL, e, db_text(id));
    if (!x)
        x = db_run(c, Q_KEEP_ADMIN, NULL, e);
    if (!x)
        x = db_run(c, Q_SESSIONS_END, NULL, e, db_text(id), db_null());
    if (!x)
        x = db_run(c, Q_TOKENS_REVOKE_ALL, NULL, e, db_text(id));
    return x ? x : finish(c, p, false, e);
}

static int enable_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct person *p = arg;
    char id[ID_LEN + 1];
    int x = lock_person(c, p, id, e);
    if (!x)
        x = db_run(c, Q_ACCOUNT_ENABLE, NULL, e, db_text(id));
    return x ? x : finish(c, p, false, e);
}

static int password_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct person *p = arg;
    char id[ID_LEN + 1];
    int x = lock_person(c, p, id, e);
    if (!x)
        x = db_run(c, Q_PASSWORD_SET, NULL, e, db_text(id), db_text(p->phc));
    if (!x)
        x = db_run(c, Q_SESSIONS_END, NULL, e, db_text(id), db_null());
    return x ? x : finish(c, p, true, e);
}

static struct person person_of(struct http_req *r, const char *action)
{
    const char *name = http_param(r, "name");
    return (struct person){.w = {.r = r, .action = action, .status = 200, .subject = arena_printf(r->arena, "account:%.80s", name)}, .name = name};
}

static int update_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct person *p = arg;
    const struct http_req *r = p->w.r;
    char id[ID_LEN + 1];
    int x = lock_person(c, p, id, e);
    if (!x)
        x = db_run(c, Q_PERSON_UPDATE, NULL, e, db_text(id), db_flag(json_object_get(r->json, "title") != NULL), db_text(body_text(r, "title")),
                   db_flag(json_object_get(r->json, "email") != NULL), db_text(body_text(r, "email")));
    return x ? x : finish(c, p, false, e);
}

int people_update(struct http_req *r, struct err *e)
{
    struct person p = person_of(r, "person.update");
    int x = !r->who->service_account && !strcmp(p.name, r->who->name) ? 0 : auth_require(r->who, ROLE_ADMIN, NULL, e);
    if (!x)
        x = check_email(body_text(r, "email"), e);
    return x ? x : write_run(&p.w, update_tx, false, e);
}

int people_disable(struct http_req *r, struct err *e)
{
    struct person p = person_of(r, "person.disable");
    return write_run(&p.w, disable_tx, true, e);
}

int people_enable(struct http_req *r, struct err *e)
{
    struct person p = person_of(r, "person.enable");
    return write_run(&p.w, enable_tx, true, e);
}

int people_password(struct http_req *r, struct err *e)
{
    struct person p = person_of(r, "password.reset");
    int x = choose_password(&p, e);
    if (!x)
        x = write_run(&p.w, password_tx, true, e);
    crypto_wipe(p.made, sizeof p.made);
    return x;
}
