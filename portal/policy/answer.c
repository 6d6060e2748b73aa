/* What a rule answered, as decisions; results as JSON and back. */
#include "portal/policy/rules.h"

#include <stdio.h>
#include <string.h>

#include "portal/json/json.h"

#define DECISIONS_MAX 100  /* of one policy at one time; the rest is counted */
#define MESSAGE_MAX 1000

/* One line, of bounded length: it goes to logs, mails and terminals. */
static const char *clean(const char *text, struct arena *a)
{
    size_t n = strlen(text);
    bool cut = n > MESSAGE_MAX;
    if (cut)
        for (n = MESSAGE_MAX; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
            n--;
    char *out = arena_printf(a, "%.*s%s", (int)n, text, cut ? "..." : "");
    for (char *p = out; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    return out;
}

static void add(struct policy_result *r, const struct policy_decision *d, struct arena *a)
{
    if (!r->decisions)
        r->decisions = arena_alloc(a, (DECISIONS_MAX + 1) * sizeof *r->decisions);
    if (d->severity > r->outcome)
        r->outcome = d->severity;
    if (r->n_decisions < DECISIONS_MAX) {
        r->decisions[r->n_decisions++] = *d;
        return;
    }
    /* Which ones are told is of no weight, how grave they are is. */
    struct policy_decision *more = &r->decisions[DECISIONS_MAX];
    if (r->n_decisions == DECISIONS_MAX || d->severity > more->severity)
        *more = *d;
    more->message = "and there are more decisions than are kept";
    r->n_decisions = DECISIONS_MAX + 1;
}

static int text_of(const json_t *decision, const char *key, struct arena *a, const char **ret, const char **ret_why)
{
    const json_t *v = json_object_get(decision, key);
    if (v && !json_is_string(v)) {
        *ret_why = arena_printf(a, "its answer is refused: `%s` is %s and no text", key, json_type_word(v));
        return -1;
    }
    if (v)
        *ret = clean(json_string_value(v), a);
    return 0;
}

static int whole_of(const json_t *object, const char *key, int64_t max, struct arena *a, int64_t *ret, const char **ret_why)
{
    const json_t *v = json_object_get(object, key);
    if (v && (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > max)) {
        *ret_why = arena_printf(a, "its answer is refused: approve.%s is a whole number from 1 to %lld", key, (long long)max);
        return -1;
    }
    if (v)
        *ret = json_integer_value(v);
    return 0;
}

static int check_keys(const json_t *object, const char *const *known, const char *what, struct arena *a, const char **ret_why)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)object, key, v) {
        size_t i = 0;
        while (known[i] && strcmp(known[i], key))
            i++;
        if (!known[i]) {
            *ret_why = arena_printf(a, "its answer is refused: %s has no field `%.60s`", what, key);
            return -1;
        }
    }
    return 0;
}

static int take_approval(const json_t *v, struct arena *a, struct policy_approval *approval, const char **ret_why)
{
    static const char *const fields[] = {"role", "team", "count", "hours", "four_eyes", NULL}, *const roles[] = {"approver", "platform-admin", "developer", "viewer", NULL};
    int64_t count = approval->count;
    if (!json_is_object(v)) {
        *ret_why = "its answer is refused: `approve` is a table";
        return -1;
    }
    if (check_keys(v, fields, "approve", a, ret_why) || text_of(v, "role", a, &approval->role, ret_why) || text_of(v, "team", a, &approval->team, ret_why) ||
        whole_of(v, "count", 20, a, &count, ret_why) || whole_of(v, "hours", 2160, a, &approval->hours, ret_why))
        return -1;
    approval->count = (int)count;
    const json_t *eyes = json_object_get(v, "four_eyes");
    size_t i = 0;
    while (roles[i] && strcmp(roles[i], approval->role))
        i++;
    if (roles[i] && (!eyes || json_is_true(eyes)))
        return 0;
    *ret_why = roles[i] ? "its answer is refused: four_eyes is always so; leave it out" : arena_printf(a, "its answer is refused: there is no role `%.60s`", approval->role);
    return -1;
}

static int take_decision(struct policy_result *r, const struct policy_rule *rule, const json_t *v, struct arena *a, const char **ret_why)
{
    static const char *const fields[] = {"message", "severity", "path", "approve", "rule", NULL};
    struct policy_decision d = {.rule = rule->name, .severity = rule->severity, .approval = rule->approval};
    const char *severity = NULL, *name = NULL;
    if (check_keys(v, fields, "a decision", a, ret_why) || text_of(v, "message", a, &d.message, ret_why) || text_of(v, "path", a, &d.path, ret_why) ||
        text_of(v, "severity", a, &severity, ret_why) || text_of(v, "rule", a, &name, ret_why))
        return -1;
    if (severity && (d.severity = rules_severity(severity)) == POLICY_ALLOW) {
        *ret_why = arena_printf(a, "its answer is refused: severity is advisory, warn, approve or deny, not `%.60s`", severity);
        return -1;
    }
    if (!d.message || !*d.message) {
        *ret_why = "its answer is refused: a decision needs a message";
        return -1;
    }
    const json_t *approve = json_object_get(v, "approve");
    if (approve && take_approval(approve, a, &d.approval, ret_why))
        return -1;
    if (name && *name)
        d.rule = arena_printf(a, "%s/%.80s", rule->name, name);
    add(r, &d, a);
    return 0;
}

int rules_take(struct policy_result *r, const struct policy_rule *rule, const json_t *answer, struct arena *a, const char **ret_why)
{
    size_t i;
    const json_t *one;
    if (json_is_null(answer) || (json_is_object(answer) && json_object_size(answer) == 0))
        return 0;
    if (json_is_object(answer))
        return take_decision(r, rule, answer, a, ret_why);
    if (json_is_string(answer)) {
        json_t *decision = json_pack("{s:O}", "message", answer);
        int x = take_decision(r, rule, decision, a, ret_why);
        json_decref(decision);
        return x;
    }
    if (!json_is_array(answer)) {
        *ret_why = arena_printf(a, "its answer is refused: a rule answers with nothing, a text, a decision or a list of them, not with %s", json_type_word(answer));
        return -1;
    }
    json_array_foreach(answer, i, one) {
        if (!json_is_string(one) && !json_is_object(one)) {
            *ret_why = "its answer is refused: a list of decisions holds texts and tables";
            return -1;
        }
        if (rules_take(r, rule, one, a, ret_why))
            return -1;
    }
    return 0;
}

/* ---- as JSON ---- */

static void write_decision(const struct policy_decision *d, struct buf *out)
{
    buf_char(out, '{');
    buf_json_kv(out, "rule", d->rule);
    buf_json_kv(out, "severity", policy_severity_name(d->severity));
    buf_json_kv(out, "message", d->message);
    if (d->path)
        buf_json_kv(out, "path", d->path);
    if (d->severity == POLICY_APPROVE) {
        buf_json_key(out, "approve");
        buf_char(out, '{');
        buf_json_kv(out, "role", d->approval.role);
        if (d->approval.team)
            buf_json_kv(out, "team", d->approval.team);
        buf_json_kint(out, "count", d->approval.count ? d->approval.count : 1);
        if (d->approval.hours)
            buf_json_kint(out, "hours", d->approval.hours);
        buf_char(out, '}');
    }
    buf_char(out, '}');
}

void policy_result_write(const struct policy_result *r, struct buf *out)
{
    buf_char(out, '{');
    buf_json_kv(out, "policy", r->policy);
    buf_json_kv(out, "outcome", policy_severity_name(r->outcome));
    buf_json_kv(out, "end", policy_end_name(r->end));
    buf_json_kv(out, "error", r->why);
    buf_json_key(out, "decisions");
    buf_char(out, '[');
    for (size_t i = 0; i < r->n_decisions; i++) {
        if (i)
            buf_char(out, ',');
        write_decision(&r->decisions[i], out);
    }
    buf_char(out, ']');
    buf_json_key(out, "rules");
    buf_char(out, '[');
    for (size_t i = 0; i < r->n_traces; i++) {
        buf_str(out, i ? ",{" : "{");
        buf_json_kv(out, "rule", r->traces[i].rule);
        buf_json_kv(out, "outcome", r->traces[i].outcome);
        buf_json_kint(out, "instructions", r->traces[i].instructions);
        buf_json_kint(out, "us", r->traces[i].us);
        buf_char(out, '}');
    }
    buf_char(out, ']');
    buf_json_kint(out, "instructions", r->instructions);
    buf_json_kint(out, "us", r->us);
    buf_char(out, '}');
}

static const char *copied(const json_t *v, const char *key, struct arena *a)
{
    const char *text = json_string_value(json_object_get(v, key));
    return text ? clean(text, a) : NULL;
}

static enum policy_end end_of(const char *name)
{
    for (int i = POLICY_DECIDED; name && i <= POLICY_LOAD_ERROR; i++)
        if (!strcmp(policy_end_name((enum policy_end)i), name))
            return (enum policy_end)i;
    return POLICY_REFUSED;
}

static void parse_traces(const json_t *rules, struct arena *a, struct policy_result *ret)
{
    size_t n = json_array_size(rules);
    ret->traces = arena_alloc(a, (n + 1) * sizeof *ret->traces);
    for (size_t i = 0; i < n && i < POLICY_RULES_MAX; i++) {
        const json_t *t = json_array_get(rules, i);
        ret->traces[ret->n_traces++] = (struct policy_trace){copied(t, "rule", a), copied(t, "outcome", a), json_integer_value(json_object_get(t, "instructions")),
                                                             json_integer_value(json_object_get(t, "us"))};
    }
}

int policy_result_parse(const json_t *v, struct arena *a, struct policy_result *ret, struct err *e)
{
    *ret = (struct policy_result){.policy = copied(v, "policy", a), .end = end_of(copied(v, "end", a)), .why = copied(v, "error", a),
                                  .instructions = json_integer_value(json_object_get(v, "instructions")), .us = json_integer_value(json_object_get(v, "us"))};
    if (!ret->policy || !json_is_array(json_object_get(v, "decisions")))
        return err_set(e, ERR_INVALID, "a policy's process answered with something that is no result");
    parse_traces(json_object_get(v, "rules"), a, ret);
    size_t i;
    const json_t *d;
    json_array_foreach(json_object_get(v, "decisions"), i, d) {
        const char *why = NULL, *rule = copied(d, "rule", a);
        const struct policy_rule as = {.name = rule ? rule : "", .severity = POLICY_DENY, .approval = {.role = "approver"}};
        json_t *decision = json_copy((json_t *)(uintptr_t)d);
        json_object_del(decision, "rule");
        int x = rules_take(ret, &as, decision, a, &why);
        json_decref(decision);
        if (x)
            return err_set(e, ERR_INVALID, "a policy's process answered with a decision that is none: %s", why);
    }
    if (ret->end != POLICY_DECIDED)
        ret->outcome = POLICY_DENY;
    return 0;
}
