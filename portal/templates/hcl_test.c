#include "portal/templates/hcl.h"
#include "portal/core/buf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Reading. */

static void write_node(struct buf *out, const struct hcl_node *n)
{
    for (const struct hcl_node *m = n->first; m; m = m->next) {
        buf_printf(out, "%s%s", out->len && out->data[out->len - 1] != '{' ? " " : "", m->name);
        for (size_t i = 0; i < m->n_labels; i++)
            buf_printf(out, "'%s'", m->labels[i]);
        buf_printf(out, "@%d", m->line);
        if (m->literal)
            buf_printf(out, "=%s", m->literal);
        if (m->first || m->kind == HCL_BLOCK) {
            buf_char(out, '{');
            write_node(out, m);
            buf_char(out, '}');
        }
    }
}

static void reads(const char *file, const char *text, const char *wanted)
{
    struct err e = ERR_INIT;
    ARENA_AUTO a = arena_new();
    BUF_AUTO out = BUF_INIT;
    struct hcl_node *body;
    if (hcl_read(file, text, strlen(text), a, &body, &e))
        fail_msg("%s: %s", text, e.msg);
    write_node(&out, body);
    assert_string_equal(buf_cstr(&out), wanted);
}

static void reads_not(const char *text, const char *words)
{
    struct err e = ERR_INIT;
    ARENA_AUTO a = arena_new();
    struct hcl_node *body;
    if (hcl_read("main.tf", text, strlen(text), a, &body, &e) != ERR_INVALID)
        fail_msg("%s was read", text);
    if (!strstr(e.msg, words))
        fail_msg("%s: \"%s\" has no \"%s\"", text, e.msg, words);
}

static void blocks_and_arguments_have_places(void **state)
{
    (void)state;
    reads("main.tf", "a = 1\nb \"x\" y {\n  c = \"v\"\n  d {}\n}\n", "a@1 b'x''y'@2{c@3=v d@4{}}");
    reads("main.tf", "\xEF\xBB\xBF" "a = 1\r\nb {\r\n}\r\n", "a@1 b@2{}");
    reads("main.tf", "/* c\n */ b /* \n */ \"x\"/**/{ # }\n } // {\n", "b'x'@2{}");
    reads("main.tf", "b{a=1}\nc {}", "b@1{a@1} c@2{}");
}

static void text_hides_nothing(void **state)
{
    (void)state;
    reads("main.tf", "a = \"} ${\"{\"} $${ %%{ \\\" # /* \"\nb {}\n", "a@1 b@2{}");
    reads("main.tf", "a = <<E\n  provisioner \"x\" {\n  ${ \"E\" }\nE\n", "a@1");
}

static void heredocs_end_where_hcl_says(void **state)
{
    (void)state;
    reads("main.tf", "a = <<E\nb {\n$\nxE\nE x\n  E \t\r\nc {}\n", "a@1 c@7{}");
    reads("main.tf", "a = <<-E\n  ${f(<<E\nin\nE\n)}E\n\xC2\xA0" "E\xE2\x80\x83\nc {}\n", "a@1 c@7{}");
    reads("main.tf", "a = f(<<A\nx\nA\n, <<B\ny\nB\n)\nc {}\n", "a@1 c@8{}");
}

static void objects_have_members(void **state)
{
    (void)state;
    reads("main.tf", "a = { b = \"c\", \"d\" : { e = \"\\u0066\\n\" }\n g = h }\n", "a@1{b@1=c d@1{e@1=f\n} g@2}");
    reads("main.tf", "a = { for k, v in x : k => v }\nb = { (k) = 1 }\nc = [{ d = 1 }]\n", "a@1 b@2 c@3");
}

static void what_is_no_hcl_is_refused_with_its_line(void **state)
{
    (void)state;
    reads_not("a = 1\nb = \"x\n\"", "main.tf:2: text in quotes must end");
    reads_not("a = (1\n", "main.tf:1: what begins here");
    reads_not("a = 1)\n", "main.tf:1: this bracket closes none");
    reads_not("a = {]}\n", "closes none");
    reads_not("b {\n", "the block that begins here has no end");
    reads_not("}\n", "a block or an argument must begin here");
    reads_not("b\n{\n}\n", "must be followed by");
    reads_not("b \"x\"\n{\n}\n", "must open with");
    reads_not("b \"${x}\" {}\n", "cannot be a template");
    reads_not("a = <<E\nx\n", "main.tf:1: the heredoc");
    reads_not("a = <<E\nx\nE", "main.tf:1: the heredoc");
    reads_not("a = << E\n", "neither a comparison");
    reads_not("/* x\n", "this comment has no end");
    reads_not("a = \"\\q\"\n", "no known escape");
    reads_not("a = \"\\ud800\"\n", "names no character");
    reads_not("a = 'x'\n", "no part of HCL");
    reads_not("a = 1;\n", "no part of HCL");
    reads_not("a =\n", "the value is missing");
    reads_not("a = \"x\xff\"\n", "not UTF-8");
    reads_not("b {} c {}\n", "must begin on a new line");
    reads_not("a = 1\rb = 2\n", "main.tf:1");
    BUF_AUTO deep = BUF_INIT;
    buf_str(&deep, "a = ");
    for (int i = 0; i < 100; i++)
        buf_char(&deep, '[');
    reads_not(buf_cstr(&deep), "nested deeper");
    buf_clear(&deep);
    for (int i = 0; i < 100; i++)
        buf_str(&deep, "b {\n");
    reads_not(buf_cstr(&deep), "nested deeper");
}

static void json_gives_the_same_nodes(void **state)
{
    (void)state;
    reads("main.tf.json", "{\n \"//\": \"c\",\n \"resource\": {\"aws_sqs_queue\": {\n  \"q\": {\"name\": \"x\", \"n\": 1}}},\n \"locals\": {\"a\": \"${b}\"}}",
          "resource'aws_sqs_queue''q'@4{name@4=x n@4} locals@5{a@5}");
    reads("main.tf.json", "[{\"variable\": [{\"a\": {}}, {\"b\": [{\"default\": 1}]}]}, {\"output\": {\"c\": {}}}]", "variable'a'@1{} variable'b'@1{default@1} output'c'@1{}");
    struct err e = ERR_INIT;
    ARENA_AUTO a = arena_new();
    struct hcl_node *body;
    assert_int_equal(hcl_read("x.tf.json", "{\n\"a\": }", 8, a, &body, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "x.tf.json:2: "));
    assert_int_equal(hcl_read("x.tf.json", "{\"resource\": {\"a\": \"x\"}}", 24, a, &body, &e), ERR_INVALID);
}

/* Checking. */

struct file { const char *path, *text; };
struct tree { const struct file *files; };

static int list(void *arg, const char *dir, struct arena *a, struct hcl_file **ret, size_t *ret_n, struct err *e)
{
    const struct tree *t = arg;
    size_t n = 0, len = strlen(dir);
    struct hcl_file *files = arena_alloc(a, 40 * sizeof *files);
    for (const struct file *f = t->files; f->path; f++) {
        const char *rest = f->path;
        if (len && (strncmp(f->path, dir, len) != 0 || f->path[len] != '/'))
            continue;
        rest += len ? len + 1 : 0;
        if (!strchr(rest, '/'))
            files[n++] = (struct hcl_file){rest, f->text, f->text ? strlen(f->text) : 0, f->text && strcmp(f->text, "link") == 0};
    }
    if (n == 0)
        return err_set(e, ERR_NOT_FOUND, "there is no folder %s", dir);
    *ret = files;
    *ret_n = n;
    return 0;
}

static struct hcl_module *check(const struct file *files, const char *dir, struct arena *a)
{
    struct err e = ERR_INIT;
    struct tree tree = {files};
    struct hcl_module *m = NULL;
    if (hcl_check_module(&(struct hcl_source){list, &tree}, dir, a, &m, &e))
        fail_msg("%s", e.msg);
    return m;
}

/* The module of one file has exactly this problem. */
static void refuses(const char *file, const char *text, int line, const char *words)
{
    ARENA_AUTO a = arena_new();
    const struct file files[] = {{file, text}, {"other.tf", "variable \"soma\" {}\n"}, {0}};
    const struct hcl_module *m = check(files, "", a);
    if (m->n_problems != 1 || strcmp(m->problems[0].file, file) != 0 || m->problems[0].line != line || !strstr(m->problems[0].reason, words)) {
        for (size_t i = 0; i < m->n_problems; i++)
            print_error("%s:%d: %s\n", m->problems[i].file, m->problems[i].line, m->problems[i].reason);
        fail_msg("%zu problems instead of %d: %s\n%s", m->n_problems, line, words, text);
    }
}

static void allows(const char *file, const char *text)
{
    ARENA_AUTO a = arena_new();
    const struct file files[] = {{file, text}, {"other.tf", "variable \"soma\" {}\n"}, {0}};
    const struct hcl_module *m = check(files, "", a);
    if (m->n_problems)
        fail_msg("%s:%d: %s\n%s", m->problems[0].file, m->problems[0].line, m->problems[0].reason, text);
}

static void programs_are_refused(void **state)
{
    (void)state;
    refuses("main.tf", "resource \"null_resource\" \"x\" {\n  provisioner \"local-exec\" {\n    command = \"id\"\n  }\n}\n", 2, "provisioners run programs");
    refuses("main.tf", "resource \"terraform_data\" \"x\" {\n  provisioner/**/\"local-exec\"{command=\"id\"}\n}\n", 2, "provisioners");
    refuses("main.tf", "resource terraform_data x {\n  provisioner local-exec {\n    command = \"id\"\n  }\n}\n", 2, "provisioners");
    refuses("main.tf", "resource \"a_b\" \"x\" { # }\n  a = <<E\n}\nE\n  /* \n */ provisioner \"file\" {}\n}\n", 6, "provisioners");
    refuses("main.tf", "resource \"a_b\" \"x\" {\r\n\tprovisioner\t\"file\"\t{\r\n\t}\r\n}\r\n", 2, "provisioners");
    refuses("main.tf", "\xEF\xBB\xBFresource \"a_b\" \"x\" {\n  provisioner \"file\" {}\n}\n", 2, "provisioners");
    refuses("main.tf", "resource \"a_b\" \"x\" {\n  dynamic \"provisioner\" {\n    for_each = [1]\n    content {}\n  }\n}\n", 2, "provisioners");
    refuses("main.tf", "resource \"a_b\" \"x\" {\n  dynamic \"nested\" {\n    content {\n      provisioner \"x\" {}\n    }\n  }\n}\n", 4, "provisioners");
    refuses("main.tf", "removed {\n  from = a_b.x\n  provisioner \"local-exec\" {\n    when = destroy\n  }\n}\n", 3, "provisioners");
    refuses("main.tf", "resource \"a_b\" \"x\" {\n  connection {\n    host = \"h\"\n  }\n}\n", 2, "connection");
    refuses("m.tf.json", "{\"resource\": {\"a_b\": {\"x\": {\n\"provisioner\": [{\"local-exec\": {}}]}}}}", 2, "provisioners");
    refuses("m.tf.json", "{\"resource\": [{\"a_b\": [{\"x\": [{\n\"provis\\u0069oner\": {\"local-exec\": {}}}]}]}]}", 2, "provisioners");
    refuses("m.tf.json", "{\"resource\": {\"a_b\": {\"x\": {\n\"dynamic\": {\"provisioner\": {}}}}}}", 2, "provisioners");
    refuses("m.tf.json", "{\"resource\": {\"a_b\": {\"x\": {\n\"dynamic\": [{\"tag\": {}}, {\"provisioner\": {}}]}}}}", 2, "provisioners");
    refuses("m.tf.json", "{\"resource\": {\"a_b\": {\"x\": {\n\"connection\": {\"host\": \"h\"}}}}}", 2, "connection");
    refuses("main.tf", "terraform {\n  encryption {\n    key_provider \"external\" \"x\" {}\n  }\n}\n", 2, "encryption");
    refuses("main.tf", "action \"local_command\" \"x\" {}\n", 1, "no block that Soma knows");
}

static void what_reaches_out_is_refused(void **state)
{
    (void)state;
    refuses("main.tf", "data \"external\" \"x\" {\n}\n", 1, "runs programs or talks");
    refuses("main.tf", "a_local {}\n", 1, "no block that Soma knows");
    refuses("main.tf", "data\"external\"\"x\"{\n}\n", 1, "runs programs or talks");
    refuses("main.tf", "data external x {\n}\n", 1, "runs programs or talks");
    refuses("main.tf", "data \"\\u0065xternal\" \"x\" {\n}\n", 1, "runs programs or talks");
    refuses("main.tf", "\n\ndata \"http\" \"x\" {\n  url = \"http://169.254.169.254/\"\n}\n", 3, "runs programs or talks");
    refuses("main.tf", "ephemeral \"http\" \"x\" {\n}\n", 1, "runs programs or talks");
    refuses("main.tf", "data \"terraform_remote_state\" \"x\" {\n  backend = \"local\"\n}\n", 1, "another service's state");
    refuses("main.tf", "check \"c\" {\n  data \"http\" \"x\" {\n    url = \"u\"\n  }\n}\n", 2, "runs programs or talks");
    refuses("m.tf.json", "{\"check\": {\"c\": {\n\"data\": {\"http\": {\"x\": {}}}}}}", 2, "runs programs or talks");
    refuses("m.tf.json", "{\"data\": {\n\"external\": {\n\"x\": {}}}}", 3, "runs programs or talks");
    refuses("m.tf.json", "{\"data\": [{\"extern\\u0061l\": {\"x\": {}}}]}", 1, "runs programs or talks");
    refuses("m.tf.json", "{\"data\": {\"terraform_remote_state\": {\"x\": [{}]}}}", 1, "another service's state");
    refuses("main.tf", "provider \"http\" {}\n", 1, "the provider http");
    refuses("main.tf", "terraform {\n  required_providers {\n    web = {\n      source = \"hashicorp/http\"\n    }\n  }\n}\n", 4, "hashicorp/http");
    refuses("main.tf", "terraform {\n  required_providers {\n    web = { source = \"registry.opentofu.org/Hashicorp/EXTERNAL\" }\n  }\n}\n", 3, "EXTERNAL");
    refuses("main.tf", "terraform {\n  required_providers {\n    external = \"~> 2.0\"\n  }\n}\n", 3, "hashicorp/external");
    refuses("m.tf.json", "{\"terraform\": {\"required_providers\": {\n\"web\": {\"source\": \"hashicorp/http\"}}}}", 2, "hashicorp/http");
    refuses("m.tf.json", "{\"terraform\": [{\"required_providers\": [{\n\"external\": \"1.0\"}]}]}", 2, "hashicorp/external");
    refuses("main.tf", "terraform {\n  required_providers {\n    x = { source = \"a/${b}\" }\n  }\n}\n", 3, "plain texts");
    refuses("main.tf", "terraform {\n  required_providers {\n    x = ({ source = \"hashicorp/http\" })\n  }\n}\n", 3, "plain texts");
    refuses("main.tf", "terraform {\n  required_providers {\n    x = { \"source\" = <<E\nhashicorp/http\nE\n }\n  }\n}\n", 3, "plain texts");
}

static void state_is_ours(void **state)
{
    (void)state;
    refuses("main.tf", "terraform {\n  backend \"local\" {\n    path = \"/etc/passwd\"\n  }\n}\n", 2, "Soma keeps the state");
    refuses("main.tf", "terraform { \n backend local {} \n}\n", 2, "Soma keeps the state");
    refuses("main.tf", "terraform {\n  cloud {\n  }\n}\n", 2, "Soma keeps the state");
    refuses("main.tf", "terraform {\n}\nterraform {\n  required_version = \">= 1.6\"\n  cloud {}\n}\n", 5, "Soma keeps the state");
    refuses("m.tf.json", "{\"terraform\": {\n\"backend\": {\"http\": {\"address\": \"x\"}}}}", 2, "Soma keeps the state");
    refuses("m.tf.json", "{\"terraform\": [{}, {\n\"cloud\": {}}]}", 2, "Soma keeps the state");
    refuses("main.tf", "import {\n  to = a.b\n  id = \"x\"\n}\n", 1, "import blocks");
    refuses("main.tf", "terraform {\n  somthing = 1\n}\n", 2, "no setting that Soma knows");
}

static void aliases_wait_for_the_gateway(void **state)
{
    (void)state;
    refuses("main.tf", "provider \"aws\" {\n  region = \"a\"\n  alias  = \"west\"\n}\n", 3, "gateway that a later release brings");
    refuses("main.tf", "provider \"aws\" { alias = \"west\" }\n", 1, "gateway");
    refuses("m.tf.json", "{\"provider\": {\"aws\": [{\"region\": \"a\"}, {\n\"alias\": \"b\"}]}}", 2, "gateway");
    refuses("main.tf", "terraform {\n  required_providers {\n    aws = {\n      source = \"hashicorp/aws\"\n      configuration_aliases = [aws.a]\n    }\n  }\n}\n", 5, "gateway");
}

static void modules_lie_in_the_repository(void **state)
{
    (void)state;
    refuses("main.tf", "module \"x\" {\n  source = \"terraform-aws-modules/s3-bucket/aws\"\n}\n", 2, "must lie in the repository");
    refuses("main.tf", "module \"x\" {\n  source = \"git::https://example.org/x.git\"\n}\n", 2, "must lie in the repository");
    refuses("main.tf", "module \"x\" {\n  source = \"/etc\"\n}\n", 2, "must lie in the repository");
    refuses("main.tf", "module \"x\" {\n  source = \".\\\\x\"\n}\n", 2, "must lie in the repository");
    refuses("main.tf", "module \"x\" {\n  source = \"../x\"\n}\n", 2, "leads out of the repository");
    refuses("main.tf", "module \"x\" {\n  source = \"./a/../../x\"\n}\n", 2, "leads out of the repository");
    refuses("main.tf", "module \"x\" {\n  source = var.source\n}\n", 2, "must be plain text");
    refuses("main.tf", "module \"x\" {\n  source = \"./${var.x}\"\n}\n", 2, "must be plain text");
    refuses("main.tf", "module \"x\" {\n}\n", 1, "must be plain text");
    refuses("main.tf", "module \"x\" {\n  source = \"./missing\"\n}\n", 2, "no such folder");
    refuses("m.tf.json", "{\"module\": {\"x\": {\n\"source\": \"../../x\"}}}", 2, "leads out");
}

static void modules_are_followed(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    const struct file files[] = {
        {"db/main.tf", "module \"net\" {\n  source = \"../modules/net\"\n}\nmodule \"again\" {\n  source = \"../modules//net/\"\n}\nvariable \"soma\" {}\n"},
        {"modules/net/main.tf", "variable \"inner\" {}\nmodule \"self\" {\n  source = \"./\"\n}\ndata \"http\" \"x\" {}\nresource \"a_b\" \"c\" {}\n"},
        {"modules/net/override.tf", ""}, {0}};
    const struct hcl_module *m = check(files, "db", a);
    assert_int_equal(m->n_problems, 2);
    assert_string_equal(m->problems[0].file, "modules/net/main.tf");
    assert_int_equal(m->problems[0].line, 5);
    assert_string_equal(m->problems[1].file, "modules/net/override.tf");
    assert_int_equal(m->n_folders, 2);
    assert_string_equal(m->folders[0], "db");
    assert_string_equal(m->folders[1], "modules/net");
    assert_int_equal(m->n_variables, 1);
    assert_string_equal(m->resources[1].address, "module.net.a_b.c");
    const struct file providers[] = {{"main.tf", "module \"x\" {\n  source = \"./m\"\n  providers = {\n    aws = aws\n  }\n}\n"}, {"m/a.tf", ""}, {0}};
    m = check(providers, "", a);
    assert_int_equal(m->n_problems, 1);
    assert_int_equal(m->problems[0].line, 3);
}

static void files_that_act_by_themselves_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"override.tf", "override.tf.json", "x_override.tf", "x_override.tf.json", "Override.tf", "a.auto.tfvars", "a.auto.tfvars.json",
                                      "terraform.tfvars", "terraform.tfvars.json", ".terraformrc", "terraform.rc", ".tofurc", "main.tofu", "x.tofu.json", "a.tfplan",
                                      "terraform.tfstate", "terraform.tfstate.backup", "terraform.tfstate.1.backup", ".terraform", "override.tofu"};
    static const char *const good[] = {"main.tf", "overrides.tf", "my-override.tf", "override.md", "example.tfvars", ".terraform.lock.hcl", "template.yaml", "tfstate.tf", "rules.yml"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!hcl_file_forbidden(bad[i]))
            fail_msg("%s is allowed", bad[i]);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (hcl_file_forbidden(good[i]))
            fail_msg("%s is not allowed", good[i]);
    ARENA_AUTO a = arena_new();
    const struct file shipped[] = {{"main.tf", ""}, {".terraform/modules.json", "{}"}, {0}};
    const struct hcl_module *m = check(shipped, "", a);
    assert_int_equal(m->n_problems, 1);
    assert_string_equal(m->problems[0].file, ".terraform");
    refuses("x_override.tf", "", 0, "override files");
    refuses("a.auto.tfvars", "x = 1\n", 0, "values come from");
    refuses("link.tf", "link", 0, "symbolic link");
    refuses("broken.tf", "resource {", 1, "has no end");
    refuses("broken.tf.json", "{\"a\": 1", 1, "ends too early");
}

static void the_harmless_is_allowed(void **state)
{
    (void)state;
    allows("main.tf", "resource \"kubernetes_manifest\" \"x\" {\n  manifest = {\n    provisioner = \"x\"\n    connection = { backend = 1 }\n  }\n}\n");
    allows("main.tf", "resource \"a_b\" \"x\" {\n  nested {\n    connection {}\n    backend {}\n    cloud {}\n  }\n  backend {}\n  cloud {}\n}\n");
    allows("main.tf", "# provisioner \"local-exec\" {}\n/* data \"http\" \"x\" {} */\nlocals {\n  a = \"provisioner \\\"x\\\" {}\"\n  b = <<E\ndata \"external\" \"x\" {\n}\nE\n}\n");
    allows("main.tf", "resource \"terraform_data\" \"x\" {}\nmoved {\n  from = a.b\n  to = a.c\n}\nremoved {\n  from = a.d\n}\ncheck \"c\" {\n  assert {\n    condition = true\n  }\n}\n");
    allows("main.tf", "terraform {\n  required_version = \">= 1.6\"\n  required_providers {\n    aws = {\n      source  = \"hashicorp/aws\"\n      version = \"~> 5.0\"\n    }\n  }\n}\nprovider \"aws\" {\n  region = var.soma.region\n}\n");
    allows("m.tf.json", "{\"//\": {\"provisioner\": 1}, \"resource\": {\"a_b\": {\"x\": {\"//\": \"c\", \"settings\": {\"provisioner\": \"x\"}, \"count\": 1}}}, \"locals\": {\"http\": 1}}");
    allows("main.tf", "resource \"aws_apigatewayv2_api\" \"http\" {}\ndata \"aws_external\" \"x\" {}\n");
}

static void the_parts_are_collected(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    const struct file files[] = {
        {"main.tf", "terraform {\n  required_version = \">= 1.6\"\n  required_providers {\n    postgresql = {\n      source = \"cyrilgdn/postgresql\"\n      version = \"1.7.1\"\n    }\n"
                    "    random = \"~> 3.0\"\n  }\n}\nvariable \"soma\" {\n  type = object({ name = string })\n}\nvariable \"password\" {\n  sensitive = true # yes\n  default = \"\"\n}\n"
                    "resource \"postgresql_role\" \"owner\" {}\ndata \"aws_region\" \"here\" {}\n"},
        {"out.tf.json", "{\"output\": {\"url\": {\"value\": \"${x}\", \"sensitive\": true}, \"host\": {\"value\": \"h\"}}, \"terraform\": {\"required_version\": \"< 2\"}}"}, {0}};
    const struct hcl_module *m = check(files, "", a);
    assert_int_equal(m->n_problems, 0);
    assert_string_equal(m->required_version, ">= 1.6, < 2");
    assert_int_equal(m->n_providers, 2);
    assert_string_equal(m->providers[0].source, "cyrilgdn/postgresql");
    assert_string_equal(m->providers[0].version, "1.7.1");
    assert_int_equal(m->providers[0].line, 4);
    assert_string_equal(m->providers[1].source, "hashicorp/random");
    assert_string_equal(m->providers[1].version, "~> 3.0");
    assert_int_equal(m->n_variables, 2);
    assert_true(m->soma_variable);
    assert_true(m->variables[1].sensitive && m->variables[1].has_default);
    assert_false(m->variables[0].sensitive || m->variables[0].has_default);
    assert_int_equal(m->variables[1].line, 14);
    assert_int_equal(m->n_outputs, 2);
    assert_true(m->outputs[0].sensitive && !m->outputs[1].sensitive);
    assert_int_equal(m->n_resources, 2);
    assert_string_equal(m->resources[0].address, "postgresql_role.owner");
    assert_string_equal(m->resources[1].address, "data.aws_region.here");
    assert_true(m->resources[1].data);
}

static void many_problems_are_bounded(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    BUF_AUTO text = BUF_INIT;
    for (int i = 0; i < 150; i++)
        buf_printf(&text, "data \"http\" \"x%d\" {}\n", i);
    const struct file files[] = {{"main.tf", buf_cstr(&text)}, {0}};
    const struct hcl_module *m = check(files, "", a);
    assert_int_equal(m->n_problems, 100);
    assert_non_null(strstr(m->problems[99].reason, "and 50 more problems"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_and_arguments_have_places), cmocka_unit_test(text_hides_nothing), cmocka_unit_test(heredocs_end_where_hcl_says),
        cmocka_unit_test(objects_have_members), cmocka_unit_test(what_is_no_hcl_is_refused_with_its_line), cmocka_unit_test(json_gives_the_same_nodes),
        cmocka_unit_test(programs_are_refused), cmocka_unit_test(what_reaches_out_is_refused), cmocka_unit_test(state_is_ours),
        cmocka_unit_test(aliases_wait_for_the_gateway), cmocka_unit_test(modules_lie_in_the_repository), cmocka_unit_test(modules_are_followed),
        cmocka_unit_test(files_that_act_by_themselves_are_refused), cmocka_unit_test(the_harmless_is_allowed), cmocka_unit_test(the_parts_are_collected),
        cmocka_unit_test(many_problems_are_bounded),
    };
    return cmocka_run_group_tests_name("hcl", tests, NULL, NULL);
}
