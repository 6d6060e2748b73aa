/* What a look at a repository found, written in one transaction: versions, withdrawals, problems, the repository's state.
 *
 * The complication: two repositories may offer one name, at the same moment even. The row of `template` is the name; who locks it first and finds it free or
 * its own has it, and the other gets a problem entry. */
#include "portal/templates/store.h"
#include "portal/audit/audit.h"
#include "portal/cluster/cluster.h"
#include "portal/core/id.h"
#include "portal/crypto/crypto.h"
#include "portal/json/json.h"
#include "portal/templates/archive.h"
#include "templates_queries.h"
#include <string.h>

struct publishing { const struct refreshed *r; struct findings findings; struct arena *arena; };

/* In the author's order, which is the form's. */
static const char *manifest_text(struct arena *a, const json_t *manifest)
{
    BUF_AUTO b = BUF_INIT;
    json_write_pretty(manifest, &b);
    return arena_strdup(a, b.data);
}

static int tell(struct db_conn *c, const struct publishing *p, const struct check_template *t, const char *action, int64_t number, struct err *e)
{
    BUF_AUTO detail = BUF_INIT;
    buf_char(&detail, '{');
    buf_json_kv(&detail, "name", t->name);
    buf_json_kv(&detail, "repository", p->r->name);
    buf_json_kv(&detail, "commit", p->r->commit);
    buf_json_kint(&detail, "version", number);
    buf_char(&detail, '}');
    const char *subject = arena_printf(p->arena, "template:%s", t->name);
    struct audit_entry entry = {.actor = "system", .actor_name = "system", .action = action, .subject = subject, .detail = detail.data};
    int rc = audit_append(c, &entry, e);
    return rc ? rc : events_append(c, subject, "", action, detail.data, e);
}

static int insert_version(struct db_conn *c, const struct publishing *p, const struct check_template *t, const uint8_t digest[32], const struct buf *archive, struct err *e)
{
    DB_RESULT_AUTO number = NULL;
    char id[ID_LEN + 1];
    id_new(id);
    int rc = db_run(c, Q_ARCHIVE_INSERT, NULL, e, db_bytes(digest, 32), db_bytes(archive->data, archive->len));
    if (rc == 0)
        rc = db_one(c, Q_VERSION_INSERT, &number, e, db_text(id), db_text(t->name), db_text(p->r->name), db_text(p->r->commit), db_text(t->folder),
                    db_text(manifest_text(p->arena, t->manifest)), db_bytes(digest, 32));
    if (rc == 0)
        rc = db_run(c, Q_TEMPLATE_SET, NULL, e, db_text(t->name), db_text(p->r->name), db_text(t->folder), db_text(id));
    return rc ? rc : tell(c, p, t, "template.published", db_i64(number, 0, 0), e);
}

/* 0 also when the name is another repository's: that is a finding, and *ret_ours false. */
static int publish_template(struct db_conn *c, struct publishing *p, const struct check_template *t, bool *ret_ours, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    BUF_AUTO archive = BUF_INIT;
    uint8_t digest[32];
    char hex[65];
    *ret_ours = false;
    int rc = db_run(c, Q_TEMPLATE_ENSURE, NULL, e, db_text(t->name), db_text(p->r->name), db_text(t->folder));
    if (rc == 0)
        rc = db_one(c, Q_TEMPLATE_LOCK, &row, e, db_text(t->name));
    if (rc != 0)
        return rc;
    bool own = strcmp(db_str(row, 0, 0), p->r->name) == 0, free_name = db_bool(row, 0, 1);
    if (!own && !free_name) {
        finding_add(&p->findings, t->manifest_path, manifest_line(t, "/metadata/name"), "/metadata/name: \"%s\" is taken by repository \"%s\"; choose another name", t->name,
                    db_str(row, 0, 0));
        return 0;
    }
    *ret_ours = true;
    archive_begin(&archive);
    for (size_t i = 0; i < t->n_files; i++)
        archive_add(&archive, t->files[i].path, t->files[i].data, t->files[i].len);
    crypto_sha256(archive.data, archive.len, digest);
    crypto_hex(digest, 32, hex);
    if (strcmp(hex, db_str(row, 0, 2)) != 0)
        return insert_version(c, p, t, digest, &archive, e);
    if (own && !free_name)
        return 0;
    rc = db_run(c, Q_TEMPLATE_SET, NULL, e, db_text(t->name), db_text(p->r->name), db_text(t->folder), db_text(db_str(row, 0, 3)));
    return rc ? rc : tell(c, p, t, "template.restored", db_i64(row, 0, 4), e);
}

static const char *as_text(struct arena *a, json_t *list)
{
    BUF_AUTO b = BUF_INIT;
    json_write(list, &b);
    json_decref(list);
    return arena_strdup(a, b.data);
}

static int withdraw(struct db_conn *c, struct publishing *p, json_t *names, json_t *broken, struct err *e)
{
    DB_RESULT_AUTO gone = NULL;
    int rc = db_run(c, Q_TEMPLATES_WITHDRAW, &gone, e, db_text(p->r->name), db_text(as_text(p->arena, names)), db_text(as_text(p->arena, broken)));
    for (int i = 0; rc == 0 && i < db_rows(gone); i++) {
        const struct check_template t = {.name = db_str(gone, i, 0)};
        rc = tell(c, p, &t, "template.withdrawn", 0, e);
    }
    return rc;
}

static int publish_all(struct db_conn *c, struct publishing *p, struct err *e)
{
    const struct check *check = p->r->check;
    json_t *names = json_array(), *broken = json_array();
    int rc = 0;
    for (size_t i = 0; i < check->n_templates && rc == 0; i++) {
        const struct check_template *t = &check->templates[i];
        bool ours = false;
        if (!t->ok)
            json_array_append_new(broken, json_text(t->folder));
        else if ((rc = publish_template(c, p, t, &ours, e)) == 0 && ours)
            json_array_append_new(names, json_text(t->name));
    }
    if (rc != 0) {
        json_decref(names);
        json_decref(broken);
        return rc;
    }
    return withdraw(c, p, names, broken, e);
}

static int write_problems(struct db_conn *c, struct publishing *p, struct err *e)
{
    findings_sort(&p->findings);
    int rc = db_run(c, Q_PROBLEMS_DELETE, NULL, e, db_text(p->r->name));
    for (size_t i = 0; i < p->findings.n && rc == 0; i++) {
        const struct template_finding *f = &p->findings.items[i];
        rc = db_run(c, Q_PROBLEM_INSERT, NULL, e, db_text(p->r->name), db_int((int64_t)i), db_text(f->path), db_int(f->line), db_text(f->reason));
    }
    return rc;
}

static int write_all(struct db_conn *c, void *arg, struct err *e)
{
    const struct refreshed *r = arg;
    ARENA_AUTO a = arena_new();
    struct publishing p = {.r = r, .arena = a, .findings.arena = a};
    DB_RESULT_AUTO row = NULL;
    int rc = r->guard ? r->guard(c, r->arg, e) : 0;
    if (rc == 0)
        rc = db_run(c, Q_REPOSITORY_LOCK, &row, e, db_text(r->name));
    if (rc != 0 || db_rows(row) == 0)
        return rc; /* removed meanwhile: nothing to write */
    for (size_t i = 0; r->check && i < r->check->findings.n; i++)
        finding_add(&p.findings, r->check->findings.items[i].path, r->check->findings.items[i].line, "%s", r->check->findings.items[i].reason);
    if (r->check)
        rc = publish_all(c, &p, e);
    if (rc == 0 && r->check)
        rc = write_problems(c, &p, e);
    if (rc != 0)
        return rc;
    const char *checked = r->commit ? arena_printf(a, "%s %s", r->commit, SOMA_VERSION) : NULL;
    double wait = templates_settings()->refresh_ms > 0 ? (double)templates_settings()->refresh_ms / 1000 : 60;
    return db_run(c, Q_REPOSITORY_DONE, NULL, e, db_text(r->name), db_text(r->started), db_text(r->problem), db_text(r->commit), db_text(checked), db_float(wait));
}

int publish_refreshed(struct db *d, const struct refreshed *r, struct err *e)
{
    return db_tx(d, write_all, (void *)r, e);
}
