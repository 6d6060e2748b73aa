/* After an apply that was killed: what was being created and is not in the state. The complication is the id to import by, which is the provider's
 * own business: known from the journal when the engine had said "complete", else from the plan for types whose id is made of attributes. */
#include "portal/terraform/terraform_private.h"

#include <string.h>

/* "{attribute}" is taken from the planned values; an attribute that is not known before the apply makes the id unknown. */
static const struct { const char *type, *id; } identities[] = {
    {"postgresql_role", "{name}"},
    {"postgresql_database", "{name}"},
    {"postgresql_schema", "{database}.{name}"},
    {"postgresql_extension", "{database}.{name}"},
    {"aws_s3_bucket", "{bucket}"},
    {"aws_s3_bucket_acl", "{bucket}"},
    {"aws_s3_bucket_cors_configuration", "{bucket}"},
    {"aws_s3_bucket_lifecycle_configuration", "{bucket}"},
    {"aws_s3_bucket_logging", "{bucket}"},
    {"aws_s3_bucket_ownership_controls", "{bucket}"},
    {"aws_s3_bucket_policy", "{bucket}"},
    {"aws_s3_bucket_public_access_block", "{bucket}"},
    {"aws_s3_bucket_server_side_encryption_configuration", "{bucket}"},
    {"aws_s3_bucket_versioning", "{bucket}"},
    {"aws_s3_object", "{bucket}/{key}"},
    {"aws_dynamodb_table", "{name}"},
    {"aws_iam_role", "{name}"},
    {"aws_iam_user", "{name}"},
    {"aws_iam_group", "{name}"},
    {"aws_iam_instance_profile", "{name}"},
    {"aws_iam_role_policy", "{role}:{name}"},
    {"aws_iam_user_policy", "{user}:{name}"},
    {"aws_iam_role_policy_attachment", "{role}/{policy_arn}"},
    {"aws_iam_user_policy_attachment", "{user}/{policy_arn}"},
    {"aws_lambda_function", "{function_name}"},
    {"aws_cloudwatch_log_group", "{name}"},
    {"aws_cloudwatch_metric_alarm", "{alarm_name}"},
    {"aws_db_instance", "{identifier}"},
    {"aws_db_subnet_group", "{name}"},
    {"aws_db_parameter_group", "{name}"},
    {"aws_rds_cluster", "{cluster_identifier}"},
    {"aws_elasticache_cluster", "{cluster_id}"},
    {"aws_elasticache_subnet_group", "{name}"},
    {"aws_ecr_repository", "{name}"},
    {"aws_ecs_cluster", "{name}"},
    {"aws_kinesis_stream", "{name}"},
    {"aws_kms_alias", "{name}"},
    {"aws_ssm_parameter", "{name}"},
    {"aws_cloudwatch_event_rule", "{name}"},
    {"aws_key_pair", "{key_name}"},
    {"aws_route53_record", "{zone_id}_{name}_{type}"},
};

/* Nothing outside of the state: a new one is made, and nothing is left behind. */
static const char *const state_alone[] = {"random_", "tls_", "terraform_data", "null_resource", "time_"};

/* An id that its service chooses. by_name: creating it once more by the same name finds what is there. */
static const struct { const char *type, *why; bool by_name; } chosen[] = {
    {"aws_iam_access_key", "the secret half is shown once, at creation: delete the key by hand", false},
    {"aws_sqs_queue", "its id is a URL that only the service knows: look for the queue by its name and its tags", true},
    {"aws_sns_topic", "its id is an ARN with account and region: look for the topic by its name and its tags", true},
};

struct flight {
    const char *address, *type, *id;
    bool create;
    bool told;     /* a diagnostic names the error */
    bool earlier;  /* an apply before this one was cut off while it made it */
    enum { STARTED, COMPLETE, ERRORED, UNSURE } how;
};

struct flights {
    struct arena *a;
    struct flight *list;
    size_t n, cap;
    int lost;      /* calls of this apply to which its provider never answered, less those whose resource is known */
};

static struct flight *flight_find(struct flights *f, const char *address)
{
    for (size_t i = 0; i < f->n; i++)
        if (!strcmp(f->list[i].address, address))
            return &f->list[i];
    return NULL;
}

static struct flight *flight_of(struct flights *f, const struct tf_event *ev)
{
    struct flight *one = flight_find(f, ev->address);
    if (one)
        return one;
    if (f->n == f->cap) {
        struct flight *more = arena_alloc(f->a, (f->cap = f->cap ? f->cap * 2 : 16) * sizeof *more);
        if (f->n)
            memcpy(more, f->list, f->n * sizeof *more);
        f->list = more;
    }
    f->list[f->n] = (struct flight){.address = arena_strdup(f->a, ev->address), .type = arena_strdup(f->a, ev->resource_type), .id = ""};
    return &f->list[f->n++];
}

/* What went wrong with a resource: a provider that said no, or one that died and said nothing. The second is still in flight. */
static void read_error(struct flights *f, const struct tf_diagnostic *d)
{
    struct flight *one = *d->address && !strcmp(d->severity, "error") ? flight_find(f, d->address) : NULL;
    if (!one || one->how != ERRORED || one->told)
        return;
    one->told = true;
    if (!tf_words_provider_lost(d->summary, d->detail))
        return;
    one->how = STARTED;
    f->lost--;
}

/* An engine that was cut off had no time for its diagnostics. Each call that was never answered is in its log; an error that is not one of these was the provider's own. */
static void end_of_apply(struct flights *f)
{
    int untold = 0;
    for (size_t i = 0; i < f->n; i++)
        untold += f->list[i].how == ERRORED && !f->list[i].told;
    for (size_t i = 0; i < f->n; i++) {
        struct flight *one = &f->list[i];
        if (one->how == ERRORED && !one->told && f->lost > 0)
            one->how = f->lost >= untold ? STARTED : UNSURE;
        one->told = true;
        one->earlier |= one->how != ERRORED;
    }
    f->lost = 0;
}

static void read_flight(struct flights *f, const struct tf_event *ev)
{
    if (ev->type == TF_EVENT_VERSION)
        end_of_apply(f); /* the first line of the next one */
    if (ev->type == TF_EVENT_DIAGNOSTIC)
        read_error(f, &ev->diagnostic);
    if (!strcmp(ev->type_name, TF_CALL_LOST))
        f->lost++;
    if (!*ev->action || !*ev->address || !strncmp(ev->address, "data.", 5))
        return;
    bool ends = ev->type == TF_EVENT_APPLY_ERRORED || ev->type == TF_EVENT_APPLY_COMPLETE;
    if (ev->type != TF_EVENT_APPLY_START && !ends)
        return;
    struct flight *one = flight_of(f, ev);
    bool create = !strcmp(ev->action, "create");
    if (one->create && !create)
        return; /* the old object of a replacement goes after the new one came */
    one->create = create;
    one->told = false;
    one->how = ev->type == TF_EVENT_APPLY_START ? STARTED : ev->type == TF_EVENT_APPLY_ERRORED ? ERRORED : COMPLETE;
    if (ev->type == TF_EVENT_APPLY_COMPLETE)
        one->id = !strcmp(ev->id_key, "id") ? arena_strdup(f->a, ev->id_value) : "";
}

static void read_journal(struct flights *f, const char *journal, size_t n)
{
    while (n) {
        const char *end = memchr(journal, '\n', n);
        size_t k = end ? (size_t)(end - journal) : n;
        ARENA_AUTO a = arena_new();
        struct tf_event ev;
        if (k && k <= TF_LINE_MAX && tf_event_read(a, journal, k, NULL, &ev))
            read_flight(f, &ev);
        journal += end ? k + 1 : k;
        n -= end ? k + 1 : k;
    }
    end_of_apply(f);
}

static const json_t *planned_values(const json_t *plan, const char *address)
{
    size_t i;
    json_t *rc;
    json_array_foreach(json_object_get(plan, "resource_changes"), i, rc)
        if (!strcmp(tf_json_str(rc, "address"), address))
            return json_object_get(json_object_get(rc, "change"), "after");
    return NULL;
}

/* NULL when one of its attributes is not known. */
static const char *fill(struct arena *a, const char *pattern, const json_t *values)
{
    BUF_AUTO b = BUF_INIT;
    for (const char *s = pattern; *s;) {
        if (*s != '{') {
            buf_char(&b, *s++);
            continue;
        }
        size_t n = strcspn(s, "}");
        const char *value = tf_json_str(values, arena_strndup(a, s + 1, n - 1));
        if (!*value)
            return NULL;
        buf_str(&b, value);
        s += n + 1;
    }
    return arena_strdup(a, buf_cstr(&b));
}

static bool is_in_state_alone(const char *type)
{
    for (size_t i = 0; i < sizeof state_alone / sizeof *state_alone; i++)
        if (!strncmp(type, state_alone[i], strlen(state_alone[i])))
            return true;
    return false;
}

static const char *import_id(struct arena *a, const struct flight *f, const json_t *plan)
{
    if (!strcmp(f->type, "aws_iam_access_key"))
        return NULL;
    if (f->how == COMPLETE && *f->id)
        return f->id;
    for (size_t i = 0; i < sizeof identities / sizeof *identities; i++)
        if (!strcmp(f->type, identities[i].type))
            return fill(a, identities[i].id, planned_values(plan, f->address));
    return NULL;
}

static bool is_by_name(const char *type)
{
    for (size_t i = 0; i < sizeof identities / sizeof *identities; i++)
        if (!strcmp(type, identities[i].type))
            return true;
    for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++)
        if (!strcmp(type, chosen[i].type))
            return chosen[i].by_name;
    return false;
}

static const char *why_unknown(const struct flight *f)
{
    for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++)
        if (!strcmp(f->type, chosen[i].type))
            return chosen[i].why;
    return "the id that its provider would import it by is not known before it is created: look for it by name and tags";
}

static void conclude(struct arena *a, const struct flight *f, const json_t *plan, struct tf_recovery *ret)
{
    *ret = (struct tf_recovery){.kind = TF_RECOVERY_UNKNOWN, .address = f->address, .type = f->type, .by_name = is_by_name(f->type)};
    if (is_in_state_alone(f->type)) {
        ret->kind = TF_RECOVERY_NOTHING;
        ret->why = "it exists in the state alone; a new one is made";
    } else if (f->how == ERRORED) {
        ret->why = "an apply was cut off while it was made, and a later one could not make it: whether what is there under its name is the first one's cannot be told";
    } else if (f->how == UNSURE) {
        ret->why = "its creation failed while its provider died, and the engine had no time to say which came first";
    } else if ((ret->id = import_id(a, f, plan))) {
        ret->kind = TF_RECOVERY_IMPORT;
        ret->why = f->how == COMPLETE ? "it was created, but its state was not written" : "its creation was under way";
    } else {
        ret->why = why_unknown(f);
    }
}

bool tf_recovery_behind(const char *journal, size_t journal_len, const void *state, size_t state_len)
{
    ARENA_AUTO a = arena_new();
    struct flights f = {.a = a};
    TF_JSON_AUTO last = state ? tf_json_load(state, state_len, NULL) : NULL;
    read_journal(&f, journal, journal_len);
    for (size_t i = 0; i < f.n; i++)
        if (f.list[i].create && f.list[i].how == COMPLETE && !tf_state_has(last, f.list[i].address))
            return true;
    return false;
}

int tf_recovery_imports(struct arena *a, const char *journal, size_t journal_len, const void *state, size_t state_len, const char *plan_json,
                        size_t plan_json_len, struct tf_recovery **ret, size_t *ret_n, struct err *e)
{
    struct flights f = {.a = a};
    json_error_t where;
    TF_JSON_AUTO plan = tf_json_load(plan_json, plan_json_len, &where);
    TF_JSON_AUTO last = state ? tf_json_load(state, state_len, NULL) : NULL;
    if (!json_is_object(plan))
        return err_set(e, ERR_INVALID, "the plan cannot be read: line %d, column %d: %s", where.line, where.column, where.text);
    read_journal(&f, journal, journal_len);
    struct tf_recovery *all = arena_alloc(a, (f.n + 1) * sizeof *all);
    size_t n = 0;
    for (size_t i = 0; i < f.n; i++) {
        /* What the provider refused to make is taken at its word: it is in the state, tainted, or it is not there. */
        bool refused = f.list[i].how == ERRORED && !f.list[i].earlier;
        if (f.list[i].create && !refused && !tf_state_has(last, f.list[i].address))
            conclude(a, &f.list[i], plan, &all[n++]);
    }
    *ret = all;
    *ret_n = n;
    return 0;
}
