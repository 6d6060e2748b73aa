// Plans written here, small and of our own, against a book of made-up prices, so that a number in a test can be worked out by hand.
#include "plugins/finops/book_file.h"
#include "plugins/finops/estimate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "# source: made up\n# date: 2025-01-01\nprovider,service,region,sku,term,unit,from,to,price,valid_from,valid_to\n"

static const char prices[] = HEAD "aws,ec2,eu-test-1,instance/t3.medium/linux/shared,on_demand,hours,0,,0.1,,\n"
                                  "aws,ec2,eu-test-1,instance/m5.large/linux/shared,on_demand,hours,0,,0.2,,\n"
                                  "aws,ec2,us-test-2,instance/m5.large/linux/shared,on_demand,hours,0,,0.3,,\n"
                                  "aws,ec2,eu-test-1,storage/gp2,on_demand,GB-month,0,,0.5,,\n"
                                  "aws,ec2,eu-test-1,snapshot/storage,on_demand,GB-month,0,,0.05,,\n"
                                  "aws,sqs,*,requests/standard,on_demand,requests,0,1000,0.01,,\n"
                                  "aws,sqs,*,requests/standard,on_demand,requests,1000,,0.001,,\n"
                                  "aws,eks,*,cluster,on_demand,hours,0,,0.1,,\n"
                                  "aws,eks,*,cluster/extended/1.20,on_demand,hours,0,,0.6,2024-01-01,\n"
                                  "aws,eks,*,cluster/extended/1.30,on_demand,hours,0,,0.6,2026-01-01,\n"
                                  "aws,ec2,eu-test-1,nat/hours,on_demand,hours,0,,0.05,,\n";

struct fixture {
    struct book_file *file;
    struct pool *pool;
    struct estimate estimate;
    json_t *plan, *usage;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char why[DOC_WHY];
    f->file = book_file_new();
    f->pool = pool_new();
    assert_true(book_file_read(f->file, prices, strlen(prices), "test", why));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    json_decref(f->plan);
    json_decref(f->usage);
    pool_free(f->pool);
    book_file_free(f->file);
    free(f);
    return 0;
}

static const char *make(struct fixture *f, const char *plan, const char *usage)
{
    static char why[DOC_WHY];
    static struct book book;
    json_decref(f->plan);
    json_decref(f->usage);
    f->usage = NULL;
    f->plan = doc_read_json(plan, strlen(plan), why);
    if (!f->plan)
        return why;
    if (usage && !(f->usage = doc_read_yaml(usage, strlen(usage), why)))
        return why;
    book = book_file_view(f->file);
    *why = 0;
    estimate_make(f->pool, &(struct estimate_input){ f->plan, f->usage, &book }, &f->estimate, why);
    return why;
}

static const struct estimate_item *item(const struct estimate_side *side, const char *address, int nth)
{
    for (const struct estimate_item *i = side->items; i; i = i->next)
        if (!strcmp(i->resource->address, address) && nth-- == 0)
            return i;
    return NULL;
}

static const char *reason(const struct fixture *f, const char *address)
{
    for (const struct estimate_gap *g = f->estimate.after.unpriced; g; g = g->next)
        if (!strcmp(g->resource->address, address))
            return g->reason;
    return "";
}

static void assert_cost(const struct estimate_item *i, const char *cost)
{
    char room[DEC_TEXT];
    assert_non_null(i);
    assert_string_equal(dec_text(i->monthly_cost, 2, room), cost);
}

#define RESOURCE(address, type, name, actions, before, after, unknown) \
    "{\"address\":\"" address "\",\"mode\":\"managed\",\"type\":\"" type "\",\"name\":\"" name "\",\"provider_name\":\"registry.terraform.io/hashicorp/aws\",\"change\":{\"actions\":[" actions \
    "],\"before\":" before ",\"after\":" after ",\"after_unknown\":" unknown "}}"
#define PROVIDER "\"provider_config\":{\"aws\":{\"name\":\"aws\",\"expressions\":{\"region\":{\"constant_value\":\"eu-test-1\"}}},\"aws.us\":{\"name\":\"aws\",\"alias\":\"us\",\"expressions\":" \
                 "{\"region\":{\"references\":[\"var.other\"]}}}}"
#define CONFIG(type, name, key, expressions) "{\"address\":\"" type "." name "\",\"mode\":\"managed\",\"type\":\"" type "\",\"name\":\"" name "\",\"provider_config_key\":\"" key "\",\"expressions\":" expressions "}"
#define PLAN(changes, config) "{\"format_version\":\"1.2\",\"variables\":{\"other\":{\"value\":\"us-test-2\"}},\"resource_changes\":[" changes "],\"configuration\":{" PROVIDER ",\"root_module\":{\"resources\":[" config "]}}}"

static void test_an_instance_and_its_disk(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(make(f, PLAN(RESOURCE("aws_instance.a", "aws_instance", "a", "\"create\"", "null", "{\"instance_type\":\"m5.large\",\"root_block_device\":[{\"volume_size\":20}]}", "{}"),
                                  CONFIG("aws_instance", "a", "aws", "{}")), NULL), "");
    assert_cost(item(&f->estimate.after, "aws_instance.a", 0), "146.00");
    assert_cost(item(&f->estimate.after, "aws_instance.a", 1), "10.00");
    assert_string_equal(item(&f->estimate.after, "aws_instance.a", 0)->source, "made up");
    assert_string_equal(item(&f->estimate.after, "aws_instance.a", 0)->date, "2025-01-01");
    assert_null(f->estimate.after.unpriced);
}

static void test_an_alias_has_its_own_region(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(make(f, PLAN(RESOURCE("aws_instance.a", "aws_instance", "a", "\"create\"", "null", "{\"instance_type\":\"m5.large\"}", "{}"), CONFIG("aws_instance", "a", "aws.us", "{}")), NULL), "");
    assert_cost(item(&f->estimate.after, "aws_instance.a", 0), "219.00");
    assert_non_null(strstr(reason(f, "aws_instance.a"), "no price for ec2 storage/gp2 in us-test-2")); // the disk is unpriced there, not free
}

static void test_a_change_has_a_difference(void **state)
{
    struct fixture *f = *state;
    char room[DEC_TEXT];
    struct dec sum;
    assert_string_equal(make(f, PLAN(RESOURCE("aws_instance.a", "aws_instance", "a", "\"update\"", "{\"instance_type\":\"t3.medium\"}", "{\"instance_type\":\"m5.large\"}", "{}") ","
                                  RESOURCE("aws_nat_gateway.gone", "aws_nat_gateway", "gone", "\"delete\"", "{}", "null", "{}"),
                                  CONFIG("aws_instance", "a", "aws", "{}") "," CONFIG("aws_nat_gateway", "gone", "aws", "{}")), NULL), "");
    assert_null(item(&f->estimate.after, "aws_nat_gateway.gone", 0));
    assert_cost(item(&f->estimate.before, "aws_nat_gateway.gone", 0), "36.50");
    assert_true(estimate_sum(&f->estimate.after, "USD", &sum));
    assert_string_equal(dec_text(sum, 2, room), "150.00");
    assert_true(estimate_sum(&f->estimate.before, "USD", &sum));
    assert_string_equal(dec_text(sum, 2, room), "113.50");
    json_t *json = estimate_to_json(&f->estimate);
    assert_string_equal(json_string_value(doc_at(json, "totals.0.difference")), "36.50");
    assert_string_equal(json_string_value(doc_at(json, "resources.1.difference")), "-36.50");
    assert_string_equal(json_string_value(doc_at(json, "resources.1.action")), "delete");
    json_decref(json);
}

static void test_unknown_and_sensitive_values_are_named(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(make(f, PLAN(RESOURCE("aws_instance.a", "aws_instance", "a", "\"create\"", "null", "{}", "{\"instance_type\":true}"), CONFIG("aws_instance", "a", "aws", "{}")), NULL), "");
    assert_string_equal(reason(f, "aws_instance.a"), "instance_type is not known before the apply");
    const char *secret = "{\"format_version\":\"1.2\",\"resource_changes\":[{\"address\":\"aws_instance.a\",\"type\":\"aws_instance\",\"name\":\"a\",\"change\":{\"actions\":[\"create\"],\"after\":"
                         "{\"instance_type\":\"m5.large\",\"region\":\"eu-test-1\"},\"after_sensitive\":{\"instance_type\":true}}}]}";
    assert_string_equal(make(f, secret, NULL), "");
    assert_string_equal(reason(f, "aws_instance.a"), "instance_type is sensitive, so it is not read");
    json_t *json = estimate_to_json(&f->estimate);
    char *text = json_dumps(json, 0);
    assert_null(strstr(text, "m5.large"));
    free(text);
    json_decref(json);
}

static void test_what_has_no_rule_is_unpriced(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(make(f, PLAN(RESOURCE("aws_moon_base.a", "aws_moon_base", "a", "\"create\"", "null", "{}", "{}") "," RESOURCE("aws_iam_role.r", "aws_iam_role", "r", "\"create\"", "null", "{}", "{}"),
                                  CONFIG("aws_moon_base", "a", "aws", "{}")), NULL), "");
    assert_string_equal(reason(f, "aws_moon_base.a"), "there is no rule for aws_moon_base yet");
    assert_string_equal(reason(f, "aws_iam_role.r"), ""); // costs nothing
    assert_null(f->estimate.after.items);
}

static void test_usage_tiers_wildcards_and_defaults(void **state)
{
    struct fixture *f = *state;
    const char *plan = PLAN(RESOURCE("aws_sqs_queue.q[0]", "aws_sqs_queue", "q", "\"create\"", "null", "{}", "{}") "," RESOURCE("aws_sqs_queue.q[1]", "aws_sqs_queue", "q", "\"create\"", "null", "{}", "{}") ","
                            RESOURCE("aws_sqs_queue.other", "aws_sqs_queue", "other", "\"create\"", "null", "{}", "{}"), CONFIG("aws_sqs_queue", "q", "aws", "{}") "," CONFIG("aws_sqs_queue", "other", "aws", "{}"));
    assert_string_equal(make(f, plan, "version: 0.1\nresource_usage:\n  aws_sqs_queue.q[*]:\n    monthly_requests: 3000\n  aws_sqs_queue.q[1]: { monthly_requests: 500 }\n"
                                      "resource_type_default_usage:\n  aws_sqs_queue: { monthly_requests: 100 }\n"), "");
    assert_cost(item(&f->estimate.after, "aws_sqs_queue.q[0]", 0), "10.00"); // the first thousand
    assert_cost(item(&f->estimate.after, "aws_sqs_queue.q[0]", 1), "2.00"); // the other two
    assert_cost(item(&f->estimate.after, "aws_sqs_queue.q[1]", 0), "5.00"); // the exact address comes first
    assert_null(item(&f->estimate.after, "aws_sqs_queue.q[1]", 1));
    assert_cost(item(&f->estimate.after, "aws_sqs_queue.other", 0), "1.00");
    assert_string_equal(make(f, plan, NULL), "");
    assert_non_null(strstr(reason(f, "aws_sqs_queue.other"), "monthly_requests"));
    assert_null(f->estimate.after.items);
}

static void test_prices_of_a_later_day_are_not_taken(void **state)
{
    struct fixture *f = *state;
    const char *plan = PLAN(RESOURCE("aws_eks_cluster.old", "aws_eks_cluster", "old", "\"create\"", "null", "{\"version\":\"1.20\"}", "{}") ","
                            RESOURCE("aws_eks_cluster.new", "aws_eks_cluster", "new", "\"create\"", "null", "{\"version\":\"1.30\"}", "{}"),
                            CONFIG("aws_eks_cluster", "old", "aws", "{}") "," CONFIG("aws_eks_cluster", "new", "aws", "{}"));
    assert_string_equal(make(f, plan, NULL), "");
    assert_cost(item(&f->estimate.after, "aws_eks_cluster.old", 0), "438.00");
    assert_cost(item(&f->estimate.after, "aws_eks_cluster.new", 0), "73.00");
    book_file_set_date(f->file, "2026-06-01");
    assert_string_equal(make(f, plan, NULL), "");
    assert_cost(item(&f->estimate.after, "aws_eks_cluster.new", 0), "438.00");
}

// A launch template in one module, reached through its output, a variable of another module, and a count.
static void test_references_go_through_modules(void **state)
{
    struct fixture *f = *state;
    const char *plan =
        "{\"format_version\":\"1.2\",\"resource_changes\":[{\"address\":\"module.lt.aws_launch_template.this[0]\",\"module_address\":\"module.lt\",\"type\":\"aws_launch_template\",\"name\":\"this\",\"change\":"
        "{\"actions\":[\"create\"],\"after\":{\"instance_type\":\"m5.large\"},\"after_unknown\":{\"id\":true}}},"
        "{\"address\":\"module.web[\\\"a.b\\\"].aws_instance.this\",\"module_address\":\"module.web[\\\"a.b\\\"]\",\"type\":\"aws_instance\",\"name\":\"this\",\"provider_name\":\"registry.opentofu.org/hashicorp/aws\",\"change\":"
        "{\"actions\":[\"create\"],\"after\":{\"launch_template\":[{\"version\":\"1\"}]},\"after_unknown\":{\"launch_template\":[{\"id\":true}]}}}],"
        "\"configuration\":{" PROVIDER ",\"root_module\":{\"module_calls\":{\"lt\":{\"module\":{\"outputs\":{\"id\":{\"expression\":{\"references\":[\"aws_launch_template.this[0].id\",\"aws_launch_template.this[0]\",\"aws_launch_template.this\"]}}},"
        "\"resources\":[" CONFIG("aws_launch_template", "this", "aws", "{}") "]}},\"web\":{\"expressions\":{\"template\":{\"references\":[\"module.lt.id\",\"module.lt\"]}},\"module\":{\"resources\":["
        CONFIG("aws_instance", "this", "web:aws", "{\"launch_template\":[{\"id\":{\"references\":[\"var.template\"]}}]}") "]}}}}}}";
    assert_string_equal(make(f, plan, NULL), "");
    assert_cost(item(&f->estimate.after, "module.web[\"a.b\"].aws_instance.this", 0), "146.00");
}

static void test_a_snapshot_is_as_large_as_its_volume(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(make(f, PLAN(RESOURCE("aws_ebs_volume.v", "aws_ebs_volume", "v", "\"create\"", "null", "{\"size\":100}", "{\"id\":true}") ","
                                  RESOURCE("aws_ebs_snapshot.s", "aws_ebs_snapshot", "s", "\"create\"", "null", "{}", "{\"volume_id\":true}"),
                                  CONFIG("aws_ebs_volume", "v", "aws", "{}") "," CONFIG("aws_ebs_snapshot", "s", "aws", "{\"volume_id\":{\"references\":[\"aws_ebs_volume.v.id\",\"aws_ebs_volume.v\"]}}")), NULL), "");
    assert_cost(item(&f->estimate.after, "aws_ebs_snapshot.s", 0), "5.00");
}

static void test_what_is_no_plan_is_refused_in_words(void **state)
{
    static const char *const wrong[][2] = { { "[]", "a plan is a JSON object" }, { "{}", "no format_version" }, { "{\"version\":4,\"lineage\":\"x\"}", "this is a state" },
        { "{\"format_version\":\"0.1\",\"resource_changes\":[]}", "format_version 0.1" }, { "{\"format_version\":\"9.0\",\"resource_changes\":[]}", "format_version 9.0" },
        { "{\"format_version\":\"1.2\",\"errored\":true,\"resource_changes\":[]}", "the plan failed" }, { "{\"format_version\":\"1.2\"}", "neither resource_changes" },
        { "{\"format_version\":\"1.2\",\"resource_changes\":[{}]}", "resource change 1" }, { "{", "line 1" } };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_non_null(strstr(make(f, wrong[i][0], NULL), wrong[i][1]));
}

static void test_what_is_no_usage_file_is_refused_in_words(void **state)
{
    static const char *const wrong[][2] = { { "- a\n", "a usage file is a mapping" }, { "resource_usages: {}\n", "resource_usages is not a key" }, { "resource_usage: [1]\n", "must be a mapping" },
        { "resource_usage:\n  a.b: 3\n", "a.b must be a mapping" }, { "resource_usage:\n  a.b: &x {}\n  a.c: *x\n", "aliases" }, { "a: 1\na: 2\n", "twice" }, { "a: [\n", "line" }, { "--- {}\n--- {}\n", "more than one" } };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_non_null(strstr(make(f, "{\"format_version\":\"1.2\",\"resource_changes\":[]}", wrong[i][0]), wrong[i][1]));
}

static void test_an_amount_out_of_range_is_named(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(make(f, PLAN(RESOURCE("aws_ebs_volume.v", "aws_ebs_volume", "v", "\"create\"", "null", "{\"size\":-4}", "{}") "," RESOURCE("aws_ebs_volume.w", "aws_ebs_volume", "w", "\"create\"", "null", "{\"size\":1e300}", "{}"),
                                  CONFIG("aws_ebs_volume", "v", "aws", "{}") "," CONFIG("aws_ebs_volume", "w", "aws", "{}")), NULL), "");
    assert_non_null(strstr(reason(f, "aws_ebs_volume.v"), "negative"));
    assert_non_null(strstr(reason(f, "aws_ebs_volume.w"), "not known"));
    assert_null(f->estimate.after.items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_instance_and_its_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_alias_has_its_own_region, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_change_has_a_difference, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_and_sensitive_values_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_has_no_rule_is_unpriced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_usage_tiers_wildcards_and_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prices_of_a_later_day_are_not_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_references_go_through_modules, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_snapshot_is_as_large_as_its_volume, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_plan_is_refused_in_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_usage_file_is_refused_in_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_amount_out_of_range_is_named, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
