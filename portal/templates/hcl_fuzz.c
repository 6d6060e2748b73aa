/* Any bytes as native HCL (first byte even) or JSON syntax (odd): read or refused with a line; the rules take whatever was read. */
#include "portal/templates/hcl.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

struct input { const char *name, *text; size_t len; };

static int list(void *arg, const char *dir, struct arena *a, struct hcl_file **ret, size_t *ret_n, struct err *e)
{
    const struct input *in = arg;
    if (*dir)
        return err_set(e, ERR_NOT_FOUND, "no folder");
    *ret = arena_alloc(a, sizeof **ret);
    **ret = (struct hcl_file){.name = in->name, .text = in->text, .len = in->len};
    *ret_n = 1;
    return 0;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct err e = ERR_INIT;
    ARENA_AUTO a = arena_new();
    struct hcl_module *m = NULL;
    struct hcl_node *body;
    if (size == 0)
        return 0;
    /* In memory of its exact size, so that reading past the end is seen. */
    char *copy = malloc(size);
    if (!copy)
        return 0;
    memcpy(copy, data + 1, size - 1);
    struct input in = {data[0] % 2 ? "f.tf.json" : "f.tf", copy, size - 1};
    int code = hcl_read(in.name, in.text, in.len, a, &body, &e);
    if (code && strncmp(e.msg, in.name, strlen(in.name)) != 0)
        abort();
    if (hcl_check_module(&(struct hcl_source){list, &in}, "", a, &m, &e) || (code && m->n_problems != 1))
        abort();
    for (size_t i = 0; i < m->n_problems; i++)
        if (!m->problems[i].reason || !m->problems[i].file)
            abort();
    free(copy);
    return 0;
}
