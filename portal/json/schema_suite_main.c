/* Runs files of the official JSON Schema test suite: schema-suite [--formats] [--document URI=FILE]... TESTS.json...
 * Prints one line per case that does not hold and "<file>: N passed, N failed" for each file; exits 1 when anything failed. */
#include "portal/core/fs.h"
#include "portal/json/json.h"
#include "portal/json/schema.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DOCUMENTS_MAX = 200 };

struct suite { struct schema_options options; struct schema_document documents[DOCUMENTS_MAX + 1]; size_t n_documents; int passed, failed; };

static json_t *load(const char *path)
{
    struct err e = ERR_INIT;
    BUF_AUTO text = BUF_INIT;
    json_t *v;
    if (fs_read(path, 16 * 1024 * 1024, &text, &e) || json_read_nul(text.data, text.len, 0, &v, &e)) {
        fprintf(stderr, "schema-suite: %s: %s\n", path, e.msg);
        exit(2);
    }
    return v;
}

static void add_document(struct suite *s, char *argument)
{
    char *equals = strrchr(argument, '=');
    if (!equals || s->n_documents == DOCUMENTS_MAX) {
        fprintf(stderr, "schema-suite: --document wants URI=FILE, at most %d times\n", DOCUMENTS_MAX);
        exit(2);
    }
    *equals = 0;
    s->documents[s->n_documents++] = (struct schema_document){argument, load(equals + 1)};
}

static void run_case(struct suite *s, const struct schema *schema, const char *group, const json_t *test)
{
    struct err e = ERR_INIT;
    bool want = json_is_true(json_object_get(test, "valid"));
    int code = schema_validate(schema, json_object_get(test, "data"), "", &e);
    /* A check without anyone listening takes other ways through the code; both must agree. */
    int quiet = schema_validate(schema, json_object_get(test, "data"), "", NULL);
    bool good = (code == 0) == want && (quiet == 0) == want && (code == 0 || code == ERR_INVALID) && (code == 0 || e.n_fields > 0);
    *(good ? &s->passed : &s->failed) += 1;
    if (!good)
        printf("  %s: %s: %s, should be %s (%s %s)\n", group, json_string_value(json_object_get(test, "description")), code ? "refused" : "accepted",
               want ? "accepted" : "refused", e.fields[0].pointer, e.msg);
}

static void run_file(struct suite *s, const char *path)
{
    json_t *groups = load(path), *group, *test;
    size_t i, k;
    int passed = s->passed, failed = s->failed;
    json_array_foreach(groups, i, group) {
        struct err e = ERR_INIT;
        SCHEMA_AUTO schema = NULL;
        const char *name = json_string_value(json_object_get(group, "description"));
        if (schema_compile(json_object_get(group, "schema"), &s->options, &schema, &e)) {
            printf("  %s: the schema was refused: %s %s\n", name, e.fields[0].pointer, e.msg);
            s->failed += (int)json_array_size(json_object_get(group, "tests"));
            continue;
        }
        json_array_foreach(json_object_get(group, "tests"), k, test)
            run_case(s, schema, name, test);
    }
    printf("%s: %d passed, %d failed\n", path, s->passed - passed, s->failed - failed);
    json_decref(groups);
}

int main(int argc, char **argv)
{
    struct suite *s = calloc(1, sizeof *s);
    if (!s)
        return 2;
    s->options.documents = s->documents;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--formats") == 0)
            s->options.assert_formats = true;
        else if (strcmp(argv[i], "--document") == 0 && i + 1 < argc)
            add_document(s, argv[++i]);
        else
            run_file(s, argv[i]);
    }
    int failed = s->failed;
    for (size_t i = 0; i < s->n_documents; i++)
        json_decref((json_t *)(uintptr_t)s->documents[i].root);
    free(s);
    return failed ? 1 : 0;
}
