#include "portal/terraform/terraform_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct arena *a;

static int set_up(void **state)
{
    (void)state;
    a = arena_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(a);
    return 0;
}

static struct tf_event event(const char *line, const char *const *secrets)
{
    struct tf_event ev;
    assert_int_equal(tf_event_read(a, line, strlen(line), secrets, &ev), 1);
    return ev;
}

static const char *written(const struct tf_event *ev)
{
    BUF_AUTO b = BUF_INIT;
    tf_event_write(ev, &b);
    return arena_strdup(a, buf_cstr(&b));
}

static const char complete[] =
    "{\"@level\":\"info\",\"@message\":\"aws_iam_role.r: Creation complete after 1s [id=demo]\",\"@module\":\"terraform.ui\",\"hook\":{\"resource\":{\"addr\":"
    "\"module.m.aws_iam_role.r[0]\",\"module\":\"module.m\",\"resource\":\"aws_iam_role.r[0]\",\"implied_provider\":\"aws\",\"resource_type\":\"aws_iam_role\","
    "\"resource_name\":\"r\",\"resource_key\":0},\"action\":\"create\",\"id_key\":\"id\",\"id_value\":\"demo\",\"elapsed_seconds\":1},\"type\":\"apply_complete\"}";

static void event_of_a_resource(void **state)
{
    (void)state;
    struct tf_event ev = event(complete, NULL);
    assert_int_equal(ev.type, TF_EVENT_APPLY_COMPLETE);
    assert_string_equal(ev.address, "module.m.aws_iam_role.r[0]");
    assert_string_equal(ev.resource_type, "aws_iam_role");
    assert_string_equal(ev.module, "module.m");
    assert_string_equal(ev.provider, "aws");
    assert_string_equal(ev.action, "create");
    assert_string_equal(ev.id_value, "demo");
    assert_int_equal(ev.elapsed_s, 1);
}

static void event_reads_its_own_normal_form(void **state)
{
    (void)state;
    struct tf_event ev = event(complete, NULL);
    const char *json = written(&ev);
    struct tf_event again = event(json, NULL);
    assert_int_equal(again.type, TF_EVENT_APPLY_COMPLETE);
    assert_string_equal(again.address, ev.address);
    assert_string_equal(again.id_value, "demo");
    assert_string_equal(written(&again), json);
}

static void event_of_a_plan(void **state)
{
    (void)state;
    struct tf_event ev = event("{\"@level\":\"info\",\"@message\":\"x: Plan to replace\",\"change\":{\"resource\":{\"addr\":\"x.y\",\"resource_type\":\"x\"},\"action\":"
                               "\"replace\",\"reason\":\"cannot_update\"},\"type\":\"planned_change\"}", NULL);
    assert_int_equal(ev.type, TF_EVENT_PLANNED_CHANGE);
    assert_string_equal(ev.reason, "cannot_update");
    ev = event("{\"@message\":\"Plan: 2 to add\",\"changes\":{\"add\":2,\"change\":1,\"import\":3,\"remove\":4,\"operation\":\"plan\"},\"type\":\"change_summary\"}", NULL);
    assert_int_equal(ev.add * 1000 + ev.change * 100 + ev.import * 10 + ev.remove, 2134);
    assert_string_equal(written(&ev),
                        "{\"type\":\"change_summary\",\"message\":\"Plan: 2 to add\",\"add\":2,\"change\":1,\"remove\":4,\"import\":3,\"operation\":\"plan\"}");
}

static void event_of_outputs_keeps_no_sensitive_value(void **state)
{
    (void)state;
    struct tf_event ev = event("{\"@message\":\"Outputs: 3\",\"outputs\":{\"a\":{\"sensitive\":false,\"type\":\"string\",\"value\":\"shown\"},\"b\":{\"sensitive\":true,"
                               "\"type\":\"string\",\"value\":\"hidden\"},\"c\":{\"value\":\"unsaid\"}},\"type\":\"outputs\"}", NULL);
    assert_non_null(strstr(ev.outputs_json, "shown"));
    assert_null(strstr(ev.outputs_json, "hidden"));
    assert_null(strstr(ev.outputs_json, "unsaid"));
    assert_non_null(strstr(ev.outputs_json, "\"b\":{\"sensitive\":true"));
}

static void event_of_a_diagnostic_has_its_place(void **state)
{
    (void)state;
    const char *const secrets[] = {"hunter-22", NULL};
    struct tf_event ev = event("{\"@level\":\"error\",\"@message\":\"Error: bad hunter-22\",\"diagnostic\":{\"severity\":\"error\",\"summary\":\"bad\",\"detail\":"
                               "\"said hunter-22 and aHVudGVyLTIy\",\"address\":\"x.y\",\"range\":{\"filename\":\"main.tf\",\"start\":{\"line\":7,\"column\":3}},"
                               "\"snippet\":{\"code\":\"  password = \\\"hunter-22\\\"\",\"values\":[{\"traversal\":\"var.p\",\"statement\":\"is \\\"hunter-22\\\"\"}]}},"
                               "\"type\":\"diagnostic\"}", secrets);
    assert_string_equal(ev.diagnostic.file, "main.tf");
    assert_int_equal(ev.diagnostic.line, 7);
    assert_string_equal(ev.diagnostic.detail, "said (sensitive) and (sensitive)");
    assert_string_equal(ev.address, "x.y");
    assert_null(strstr(written(&ev), "hunter"));
}

static void event_lets_strangers_pass(void **state)
{
    (void)state;
    struct tf_event ev;
    assert_int_equal(event("{\"type\":\"something_new\",\"hook\":[1,2],\"@message\":7}", NULL).type, TF_EVENT_OTHER);
    assert_int_equal(event("{}", NULL).type, TF_EVENT_OTHER);
    assert_int_equal(event("{\"type\":\"diagnostic\"}", NULL).type, TF_EVENT_DIAGNOSTIC);
    assert_int_equal(event("{\"type\":\"outputs\",\"outputs\":[1]}", NULL).type, TF_EVENT_OUTPUTS);
    assert_int_equal(event("{\"type\":\"change_summary\",\"changes\":{\"add\":1e300}}", NULL).add, 0);
    assert_int_equal(tf_event_read(a, "Terraform crashed", 17, NULL, &ev), 0);
    assert_int_equal(tf_event_read(a, "[1]", 3, NULL, &ev), 0);
    assert_int_equal(tf_event_read(a, "", 0, NULL, &ev), 0);
}

static void mask_finds_a_secret_in_its_coats(void **state)
{
    (void)state;
    const char *const secrets[] = {"p<a\"ss/w&rd ${x}", "abc", "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n", NULL};
    const char *const coats[] = {"p<a\"ss/w&rd ${x}", "p<a\\\"ss/w&rd ${x}", "p\\u003ca\\\"ss/w\\u0026rd ${x}", "p<a\\\"ss/w&rd $${x}",
                                 "p%3Ca%22ss%2Fw%26rd%20%24%7Bx%7D", "p%3Ca%22ss%2Fw%26rd+%24%7Bx%7D", "p%3Ca%22ss%2Fw&rd%20$%7Bx%7D",
                                 "cDxhInNzL3cmcmQgJHt4fQ", "MIIEvQIBADANBgkqhkiG"};
    for (size_t i = 0; i < sizeof coats / sizeof *coats; i++)
        assert_string_equal(tf_mask(a, arena_printf(a, "x %s y", coats[i]), secrets), "x (sensitive) y");
    assert_string_equal(tf_mask(a, "abc stays: it is too short to look for", secrets), "abc stays: it is too short to look for");
    const char *const words[] = {"postgres", NULL};
    assert_string_equal(tf_mask(a, "postgresql_role.postgres_x: postgres, u:postgres@h, postgres", words),
                        "postgresql_role.postgres_x: (sensitive), u:(sensitive)@h, (sensitive)");
    assert_null(tf_mask(a, NULL, secrets));
    const char *same = "nothing here";
    assert_ptr_equal(tf_mask(a, same, secrets), same);
}

static const char plan_text[] =
    "{\"format_version\":\"1.2\",\"terraform_version\":\"1.11.4\",\"variables\":{\"p\":{\"value\":\"variable-secret\"},\"n\":{\"value\":\"plain\"}},"
    "\"planned_values\":{\"outputs\":{\"o\":{\"sensitive\":true,\"type\":\"string\",\"value\":\"output-secret\"}},\"root_module\":{\"child_modules\":[{\"resources\":[{"
    "\"address\":\"module.m.x.y\",\"values\":{\"a\":\"attr-secret\",\"l\":[{\"k\":\"list-secret\"},{\"k\":\"list-plain\"}]},\"sensitive_values\":{\"a\":true,\"l\":["
    "{\"k\":true},{}]}}]}]}},"
    "\"resource_changes\":["
    "{\"address\":\"x.new\",\"mode\":\"managed\",\"type\":\"x\",\"name\":\"new\",\"provider_name\":\"registry.terraform.io/a/x\",\"change\":{\"actions\":[\"create\"],"
    "\"before\":null,\"after\":{\"password\":\"attr-secret\",\"url\":\"pg://u:variable-secret@h\",\"name\":\"n\"},\"after_unknown\":{\"id\":true},\"before_sensitive\":"
    "false,\"after_sensitive\":{\"password\":true}}},"
    "{\"address\":\"x.rep\",\"mode\":\"managed\",\"type\":\"x\",\"name\":\"rep\",\"change\":{\"actions\":[\"create\",\"delete\"],\"before\":{\"k\":1},\"after\":{\"k\":2},"
    "\"replace_paths\":[[\"tags\",\"Name\"],[\"list\",0]]},\"action_reason\":\"replace_because_cannot_update\"},"
    "{\"address\":\"x.upd\",\"mode\":\"managed\",\"type\":\"x\",\"name\":\"upd\",\"change\":{\"actions\":[\"update\"],\"before\":\"all-of-it\",\"before_sensitive\":true,"
    "\"after\":{},\"importing\":{\"id\":\"i-1\"}}},"
    "{\"address\":\"x.del\",\"mode\":\"managed\",\"type\":\"x\",\"name\":\"del\",\"change\":{\"actions\":[\"delete\"],\"before\":{},\"after\":null}},"
    "{\"address\":\"x.same\",\"mode\":\"managed\",\"type\":\"x\",\"name\":\"same\",\"change\":{\"actions\":[\"no-op\"]}},"
    "{\"address\":\"data.x.d\",\"mode\":\"data\",\"type\":\"x\",\"name\":\"d\",\"change\":{\"actions\":[\"read\"]}},"
    "{\"address\":\"x.odd\",\"change\":{\"actions\":[\"levitate\"]}},{\"address\":\"x.broken\",\"change\":7},9],"
    "\"resource_drift\":[{\"address\":\"x.dr\",\"change\":{\"actions\":[\"update\"],\"before\":{\"s\":\"drift-secret\"},\"before_sensitive\":{\"s\":true},\"after\":{}}}],"
    "\"output_changes\":{\"o\":{\"actions\":[\"create\"],\"before\":null,\"after\":\"output-secret\",\"after_sensitive\":true}},"
    "\"prior_state\":{\"values\":{\"outputs\":{\"o\":{\"sensitive\":true,\"value\":\"old-secret\"}}}},"
    "\"configuration\":{\"root_module\":{\"variables\":{\"p\":{\"sensitive\":true,\"default\":\"default-secret\"},\"n\":{}},\"resources\":[{\"expressions\":{\"v\":{"
    "\"constant_value\":{\"sensitive\":true,\"value\":\"not a mask\"}}}}]}},"
    "\"huge\":18446744073709551615,\"errored\":false}";

static struct tf_plan plan(const char *text, const char *const *secrets)
{
    struct tf_plan p;
    struct err e = ERR_INIT;
    assert_int_equal(tf_plan_read(a, text, strlen(text), secrets, &p, &e), 0);
    return p;
}

static void plan_is_counted(void **state)
{
    (void)state;
    struct tf_plan p = plan(plan_text, NULL);
    assert_string_equal(p.engine_version, "1.11.4");
    assert_true(p.complete && p.applyable && !p.errored);
    assert_int_equal(p.add, 1);
    assert_int_equal(p.replace, 1);
    assert_int_equal(p.change, 1);
    assert_int_equal(p.destroy, 1);
    assert_int_equal(p.read, 1);
    assert_int_equal(p.import, 1);
    assert_int_equal(p.n_changes, 6);
    assert_int_equal(p.n_drift, 1);
    assert_string_equal(p.changes[1].address, "x.rep");
    assert_true(p.changes[1].create_before_destroy);
    assert_int_equal(p.changes[1].n_replace_paths, 2);
    assert_string_equal(p.changes[1].replace_paths[0], "tags.Name");
    assert_string_equal(p.changes[1].replace_paths[1], "list[0]");
    assert_string_equal(p.changes[2].import_id, "i-1");
    assert_int_equal(p.changes[5].action, TF_ACTION_OTHER);
}

static void plan_is_masked_everywhere(void **state)
{
    (void)state;
    const char *const secrets[] = {"list-plain", NULL};
    struct tf_plan p = plan(plan_text, secrets);
    const char *const hidden[] = {"variable-secret", "output-secret", "attr-secret", "list-secret", "list-plain", "drift-secret", "old-secret", "default-secret", "all-of-it"};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (strstr(p.masked, hidden[i]))
            fail_msg("%s stands in %s", hidden[i], p.masked);
    assert_non_null(strstr(p.masked, "\"huge\":\"18446744073709551615\""));
    assert_non_null(strstr(p.masked, "\"plain\""));
    assert_non_null(strstr(p.masked, "pg://u:(sensitive)@h"));
    assert_non_null(strstr(p.masked, "not a mask")); /* a template's own text that looks like a mask is a value */
    assert_string_equal(p.changes[0].after_json, "{\"password\":\"(sensitive)\",\"url\":\"pg://u:(sensitive)@h\",\"name\":\"n\"}");
    assert_string_equal(p.changes[2].before_json, "\"(sensitive)\"");
    assert_string_equal(p.changes[0].before_json, "null");
    assert_int_equal(p.masked_len, strlen(p.masked));
}

/* A plan that was masked before, whose variable is now worth the mask itself; and a map's key that is a secret. */
static void plan_may_be_masked_twice(void **state)
{
    (void)state;
    struct tf_plan once = plan(plan_text, NULL), twice = plan(once.masked, NULL);
    assert_string_equal(once.masked, twice.masked);
    const char *const secrets[] = {"key-secret", NULL};
    struct tf_plan p = plan("{\"format_version\":\"1\",\"m\":{\"key-secret\":1,\"a key-secret b\":{\"key-secret\":[]},\"c\":2}}", secrets);
    assert_string_equal(p.masked, "{\"format_version\":\"1\",\"m\":{\"(sensitive)\":1,\"a (sensitive) b\":{\"(sensitive)\":[]},\"c\":2}}");
}

static void plan_that_is_none(void **state)
{
    (void)state;
    const char *const texts[] = {"", "{", "[]", "{}", "7", "{\"format_version\":1}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct tf_plan p;
        struct err e = ERR_INIT;
        assert_int_equal(tf_plan_read(a, texts[i], strlen(texts[i]), NULL, &p, &e), ERR_INVALID);
        assert_true(*e.msg);
    }
}

static void version_constraints(void **state)
{
    (void)state;
    static const struct { const char *version, *constraint; int fits; } cases[] = {
        {"5.100.0", "~> 5.0", 1}, {"6.0.0", "~> 5.0", 0}, {"4.9.9", "~> 5.0", 0}, {"5.0.9", "~> 5.0.1", 1}, {"5.1.0", "~> 5.0.1", 0}, {"9.0.0", "~> 1", 1},
        {"1.5.0", ">= 1.2, < 2", 1}, {"2.0.0", ">= 1.2, < 2", 0}, {"1.2", ">= 1.2.0", 1}, {"1.7.1", "= 1.7.1", 1}, {"1.7.1", "1.7.1", 1}, {"1.7.1", "1.7", 0},
        {"1.7.1", "!= 1.7.1", 0}, {"1.7.1", "", 1}, {"1.7.1", NULL, 1}, {"1.7.1-beta1", "", 0}, {"1.7.1-beta1", ">= 1.0", 0}, {"1.7.1-beta1", "1.7.1-beta1", 1},
        {"1.7.1", "~>1.7,!=1.7.0", 1}, {"1.7.1", "<= 1.7.1", 1}, {"1.7.1", "< 1.7.1", 0}, {"1.7.1", "> 1.7.1", 0}, {"v1.7.1", "1.7.1", 1}, {"1.7.1+x", "1.7.1", 1},
        {"1.7.1", "latest", ERR_INVALID}, {"1.7.1", ">= 1.0,", ERR_INVALID}, {"1.7.1", "=> 1.0", ERR_INVALID}, {"one", "", ERR_INVALID}, {"1.2.3.4", "", ERR_INVALID},
        {"1.", "", ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (tf_version_fits(cases[i].version, cases[i].constraint, NULL) != cases[i].fits)
            fail_msg("%s against %s", cases[i].version, cases[i].constraint);
    assert_int_equal(tf_version_compare("1.10.0", "1.9.0"), 1);
    assert_int_equal(tf_version_compare("1.10.0-rc.2", "1.10.0-rc.10"), -1);
    assert_int_equal(tf_version_compare("1.10.0-rc1", "1.10.0"), -1);
    assert_int_equal(tf_version_compare("1.10.0-alpha", "1.10.0-alpha.1"), -1);
    assert_int_equal(tf_version_compare("nonsense", "0.0.1"), -1);
}

static void provider_addresses(void **state)
{
    (void)state;
    struct tf_address p;
    assert_int_equal(tf_address_read(a, "aws", &p, NULL), 0);
    assert_string_equal(p.space, "hashicorp");
    assert_int_equal(tf_address_read(a, "Cyrilgdn/PostgreSQL", &p, NULL), 0);
    assert_string_equal(p.type, "postgresql");
    assert_true(p.public_host);
    assert_int_equal(tf_address_read(a, "example.org:8443/a/b", &p, NULL), 0);
    assert_false(p.public_host);
    const char *const bad[] = {"", "/", "a/", "a//b", "../b", "a/../b", "a/b/c/d", "a b/c", "a/b\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(tf_address_read(a, bad[i], &p, NULL), ERR_INVALID);
}

static void reattachment_names_both_registries(void **state)
{
    (void)state;
    struct tf_attached p[] = {{"registry.terraform.io/hashicorp/aws", 5, "/p0/plugin1"}, {"example.org/a/b", 6, "/p1/x"}};
    assert_string_equal(tf_reattach_json(a, p, 2),
                        "{\"registry.terraform.io/hashicorp/aws\":{\"Protocol\":\"grpc\",\"ProtocolVersion\":5,\"Pid\":1,\"Test\":true,\"Addr\":{\"Network\":\"unix\","
                        "\"String\":\"/p0/plugin1\"}},\"registry.opentofu.org/hashicorp/aws\":{\"Protocol\":\"grpc\",\"ProtocolVersion\":5,\"Pid\":1,\"Test\":true,"
                        "\"Addr\":{\"Network\":\"unix\",\"String\":\"/p0/plugin1\"}},\"example.org/a/b\":{\"Protocol\":\"grpc\",\"ProtocolVersion\":6,\"Pid\":1,"
                        "\"Test\":true,\"Addr\":{\"Network\":\"unix\",\"String\":\"/p1/x\"}}}");
    assert_string_equal(tf_reattach_json(a, NULL, 0), "{}");
}

static void handshakes(void **state)
{
    (void)state;
    int protocol;
    const char *socket;
    struct err e = ERR_INIT;
    assert_int_equal(tf_handshake_read(a, "1|5|unix|/p0/plugin123|grpc|\n", &protocol, &socket, &e), 0);
    assert_int_equal(protocol, 5);
    assert_string_equal(socket, "/p0/plugin123");
    assert_int_equal(tf_handshake_read(a, "1|6|unix|/p0/x|grpc||true\n", &protocol, &socket, &e), 0);
    const char *const bad[] = {"", "This binary is a plugin.", "2|5|unix|/p|grpc|", "1|4|unix|/p|netrpc|", "1|5|tcp|127.0.0.1:1|grpc|", "1|5|unix|p|grpc|", "1|5|unix|/p"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(tf_handshake_read(a, bad[i], &protocol, &socket, &e), ERR_INVALID);
}

static const char state_text[] =
    "{\"version\":4,\"serial\":23,\"lineage\":\"l-1\",\"outputs\":{\"o\":{\"value\":\"v\",\"type\":\"string\",\"sensitive\":true},\"n\":{\"value\":[1],\"type\":[\"list\","
    "\"number\"]}},\"resources\":[{\"mode\":\"managed\",\"type\":\"x\",\"name\":\"y\",\"instances\":[{\"index_key\":0},{\"index_key\":\"a \\\"b\"},{\"index_key\":1,"
    "\"deposed\":\"d\"}]},{\"module\":\"module.m\",\"mode\":\"managed\",\"type\":\"x\",\"name\":\"z\",\"instances\":[{}]},{\"mode\":\"data\",\"type\":\"x\",\"name\":\"d\","
    "\"instances\":[{}]}]}\n";

static void state_is_read_only_when_complete(void **state)
{
    (void)state;
    int64_t serial;
    const char *lineage;
    assert_int_equal(tf_state_read(a, state_text, strlen(state_text), &serial, &lineage), 1);
    assert_int_equal(serial, 23);
    assert_string_equal(lineage, "l-1");
    for (size_t n = 0; n < strlen(state_text) - 2; n++)
        assert_int_equal(tf_state_read(a, state_text, n, &serial, &lineage), 0);
    struct tf_output *o;
    size_t n;
    assert_int_equal(tf_state_outputs(a, state_text, strlen(state_text), &o, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_true(o[0].sensitive);
    assert_string_equal(o[0].value_json, "\"v\"");
    assert_string_equal(o[1].type_json, "[\"list\",\"number\"]");
}

static void state_knows_its_addresses(void **state)
{
    (void)state;
    TF_JSON_AUTO s = tf_json_load(state_text, strlen(state_text), NULL);
    const char *const there[] = {"x.y[0]", "x.y[\"a \\\"b\"]", "module.m.x.z", "data.x.d"}, *const away[] = {"x.y", "x.y[1]", "x.z", "x.d", ""};
    for (size_t i = 0; i < sizeof there / sizeof *there; i++)
        assert_true(tf_state_has(s, there[i]));
    for (size_t i = 0; i < sizeof away / sizeof *away; i++)
        assert_false(tf_state_has(s, away[i]));
}

static const char *hook(const char *type, const char *address, const char *kind, const char *id)
{
    return arena_printf(a, "{\"type\":\"%s\",\"hook\":{\"resource\":{\"addr\":\"%s\",\"resource_type\":\"%s\"},\"action\":\"create\"%s}}\n", type, address, kind,
                        id ? arena_printf(a, ",\"id_key\":\"id\",\"id_value\":\"%s\"", id) : "");
}

static void recovery_tells_what_to_import(void **state)
{
    (void)state;
    static const char after[] =
        "{\"format_version\":\"1.2\",\"resource_changes\":[{\"address\":\"postgresql_role.r\",\"change\":{\"actions\":[\"create\"],\"after\":{\"name\":\"payments\"}}},"
        "{\"address\":\"aws_s3_object.o\",\"change\":{\"after\":{\"bucket\":\"b\",\"key\":\"k/1\"}}},{\"address\":\"aws_s3_bucket.late\",\"change\":{\"after\":{}}}]}";
    const char *journal = arena_printf(a, "%s%s%s%s%s%s%s%s%s{\"type\":\"apply_start\",\"hook\":{\"resou", hook("apply_start", "postgresql_role.r", "postgresql_role", NULL),
                                       hook("apply_start", "aws_s3_object.o", "aws_s3_object", NULL), hook("apply_start", "aws_s3_bucket.late", "aws_s3_bucket", NULL),
                                       hook("apply_start", "aws_vpc.v", "aws_vpc", NULL), hook("apply_complete", "aws_vpc.v", "aws_vpc", "vpc-1"),
                                       hook("apply_start", "random_password.p", "random_password", NULL), hook("apply_complete", "random_password.p", "random_password", "none"),
                                       hook("apply_start", "x.y[0]", "x", NULL), hook("apply_errored", "aws_vpc.bad", "aws_vpc", NULL));
    struct tf_recovery *r;
    size_t n;
    assert_int_equal(tf_recovery_imports(a, journal, strlen(journal), state_text, strlen(state_text), after, strlen(after), &r, &n, NULL), 0);
    assert_int_equal(n, 5);
    assert_string_equal(r[0].id, "payments");
    assert_int_equal(r[0].kind, TF_RECOVERY_IMPORT);
    assert_string_equal(r[1].id, "b/k/1");
    assert_int_equal(r[2].kind, TF_RECOVERY_UNKNOWN);
    assert_non_null(r[2].why);
    assert_string_equal(r[3].id, "vpc-1");
    assert_int_equal(r[4].kind, TF_RECOVERY_NOTHING);
    assert_non_null(strstr(r[4].why, "state alone"));
    assert_int_equal(tf_recovery_imports(a, "", 0, NULL, 0, "[]", 2, &r, &n, NULL), ERR_INVALID);
}

/* ---- creates that ended with an error ---- */

#define VERSION "{\"type\":\"version\",\"ui\":\"1.2\"}\n"
#define CALL_LOST "{\"type\":\"" TF_CALL_LOST "\"}\n"

static const char *diagnostic(const char *address, const char *summary, const char *detail)
{
    return arena_printf(a, "{\"type\":\"diagnostic\",\"diagnostic\":{\"severity\":\"error\",\"summary\":\"%s\",\"detail\":\"%s\",\"address\":\"%s\"}}\n", summary, detail, address);
}

static const char *tried(const char *name, bool errored)
{
    const char *address = arena_printf(a, "postgresql_role.%s", name);
    return arena_printf(a, "%s%s", hook("apply_start", address, "postgresql_role", NULL), errored ? hook("apply_errored", address, "postgresql_role", NULL) : "");
}

/* The kinds of what is recovered, one letter a resource: "a=import b=unknown". */
static const char *recovered(const char *journal)
{
    static const char plan[] = "{\"resource_changes\":[{\"address\":\"postgresql_role.a\",\"change\":{\"after\":{\"name\":\"a\"}}},"
                               "{\"address\":\"postgresql_role.b\",\"change\":{\"after\":{\"name\":\"b\"}}}]}";
    struct tf_recovery *r;
    size_t n;
    BUF_AUTO b = BUF_INIT;
    assert_int_equal(tf_recovery_imports(a, journal, strlen(journal), NULL, 0, plan, strlen(plan), &r, &n, NULL), 0);
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%s%s=%s", i ? " " : "", strchr(r[i].address, '.') + 1, r[i].kind == TF_RECOVERY_IMPORT ? "import" : "unknown");
    return arena_strdup(a, buf_cstr(&b));
}

#define RPC "The plugin encountered an error, and failed to respond to the plugin.(*GRPCProvider).ApplyResourceChange call."

static void recovery_tells_a_dead_provider_from_one_that_refused(void **state)
{
    (void)state;
    const char *a_failed = tried("a", true), *b_failed = tried("b", true);
    const char *died = diagnostic("postgresql_role.a", "Plugin did not respond", RPC), *canceled = diagnostic("postgresql_role.a", "Request cancelled", "The plugin.(*GRPCProvider).ApplyResourceChange request was cancelled.");
    const char *refused = diagnostic("postgresql_role.b", "role already exists", "");
    assert_string_equal(recovered(arena_printf(a, "%s%s", a_failed, died)), "a=import");
    assert_string_equal(recovered(arena_printf(a, "%s%s", a_failed, canceled)), "a=import");
    assert_string_equal(recovered(arena_printf(a, "%s%s", b_failed, refused)), "");
    assert_string_equal(recovered(arena_printf(a, "%s%s%s%s", a_failed, b_failed, refused, died)), "a=import");
    /* The same words by a provider, which has answered then. */
    assert_string_equal(recovered(arena_printf(a, "%s%s", a_failed, diagnostic("postgresql_role.a", "Plugin error", "my own"))), "");
}

/* Cut off between the error and the diagnostics, which come at the end of an apply. */
static void recovery_asks_the_log_of_an_engine_that_was_cut_off(void **state)
{
    (void)state;
    const char *a_failed = tried("a", true), *b_failed = tried("b", true);
    assert_string_equal(recovered(arena_printf(a, VERSION "%s", a_failed)), "");
    assert_string_equal(recovered(arena_printf(a, VERSION "%s" CALL_LOST, a_failed)), "a=import");
    assert_string_equal(recovered(arena_printf(a, VERSION "%s%s" CALL_LOST CALL_LOST, a_failed, b_failed)), "a=import b=import");
    assert_string_equal(recovered(arena_printf(a, VERSION "%s%s" CALL_LOST, a_failed, b_failed)), "a=unknown b=unknown");
    assert_string_equal(recovered(arena_printf(a, VERSION "%s%s" CALL_LOST "{\"type\":\"diagnostic\",\"severity\":\"error\",\"summary\":\"role already exists\",\"address\":\"postgresql_role.b\"}\n",
                                               a_failed, b_failed)), "a=import");
    /* Of another apply than the one that lost its provider. */
    assert_string_equal(recovered(arena_printf(a, VERSION CALL_LOST VERSION "%s", a_failed)), "");
}

static void recovery_imports_nothing_that_a_later_apply_could_not_make(void **state)
{
    (void)state;
    const char *refused = diagnostic("postgresql_role.a", "role already exists", "");
    const char *journal = arena_printf(a, VERSION "%s" VERSION "%s%s", tried("a", false), tried("a", true), refused);
    assert_string_equal(recovered(journal), "a=unknown");
    assert_string_equal(recovered(arena_printf(a, "%s" VERSION "%s", journal, tried("b", false))), "a=unknown b=import");
}

static bool fails_for_a_while(const char *summary, const char *detail)
{
    struct tf_diagnostic d[] = {{.severity = "warning", .summary = "old", .detail = ""}, {.severity = "error", .summary = summary, .detail = detail}};
    return tf_failure_may_pass(&(struct tf_result){.diagnostics = d, .n_diagnostics = 2});
}

static void words_of_what_may_pass(void **state)
{
    (void)state;
    assert_true(fails_for_a_while("Error initializing PostgreSQL client", "dial tcp 127.0.0.1:5598: connect: connection refused"));
    assert_true(fails_for_a_while("operation error STS: GetCallerIdentity, https response error StatusCode: 503, RequestID: x", ""));
    assert_true(fails_for_a_while("api error ExpiredToken: The security token included in the request is expired", ""));
    assert_true(fails_for_a_while("ThrottlingException: Rate exceeded", ""));
    assert_true(fails_for_a_while("Plugin did not respond", RPC));
    assert_true(fails_for_a_while("pq: sorry, too many clients already", ""));
    assert_false(fails_for_a_while("pq: password authentication failed for user \"x\"", ""));
    assert_false(fails_for_a_while("role already exists", ""));
    assert_false(fails_for_a_while("Invalid function argument", "cannot read the timeout: a number is required"));
    assert_false(tf_failure_may_pass(&(struct tf_result){0}));
    struct tf_diagnostic both[] = {{.severity = "error", .summary = "connection refused", .detail = ""}, {.severity = "error", .summary = "role already exists", .detail = ""}};
    assert_false(tf_failure_may_pass(&(struct tf_result){.diagnostics = both, .n_diagnostics = 2}));
    assert_true(tf_words_absent("Cannot import non-existent remote object\n\nWhile attempting"));
    assert_true(tf_words_absent("reading S3 Bucket (x): couldn't find resource"));
    assert_true(tf_words_absent("api error NoSuchEntity: The role with name x cannot be found, StatusCode: 404"));
    assert_false(tf_words_absent("dial tcp: lookup db.example: no such host"));
    assert_false(tf_words_absent("No valid credential sources found"));
    assert_false(tf_words_absent("pq: role \"soma_provisioner\" does not exist"));
    assert_true(tf_words_unimportable("resource aws_x doesn't support import"));
    assert_false(tf_words_unimportable("AccessDenied"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(event_of_a_resource), TEST(event_reads_its_own_normal_form), TEST(event_of_a_plan), TEST(event_of_outputs_keeps_no_sensitive_value),
        TEST(event_of_a_diagnostic_has_its_place), TEST(event_lets_strangers_pass), TEST(mask_finds_a_secret_in_its_coats), TEST(plan_is_counted),
        TEST(plan_is_masked_everywhere), TEST(plan_may_be_masked_twice), TEST(plan_that_is_none), TEST(version_constraints), TEST(provider_addresses), TEST(reattachment_names_both_registries),
        TEST(handshakes), TEST(state_is_read_only_when_complete), TEST(state_knows_its_addresses), TEST(recovery_tells_what_to_import),
        TEST(recovery_tells_a_dead_provider_from_one_that_refused), TEST(recovery_asks_the_log_of_an_engine_that_was_cut_off),
        TEST(recovery_imports_nothing_that_a_later_apply_could_not_make), TEST(words_of_what_may_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
