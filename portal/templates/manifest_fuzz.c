/* Manifest and module from outside, held against each other as on refresh. The input is template.yaml, then, behind a line "---main.tf", the module, then
 * behind "---rules.yaml" a rules file. Findings must be text that goes into a database: valid UTF-8 on one line. */
#include "portal/templates/check.h"
#include <stdlib.h>
#include <string.h>

struct piece { const char *path; const char *data; size_t len; };
struct pieces { struct piece items[3]; };

static int read_piece(struct template_source *s, size_t index, size_t max, struct buf *out, struct err *e)
{
    const struct pieces *p = s->arg;
    (void)max;
    (void)e;
    buf_add(out, p->items[index].data, p->items[index].len);
    return 0;
}

/* Cuts `text` at the first line `mark`; returns what lies behind it. */
static size_t cut(const char *text, size_t len, const char *mark, size_t *ret_rest)
{
    const char *at = memmem(text, len, mark, strlen(mark));
    *ret_rest = at ? (size_t)(at - text) + strlen(mark) : len;
    return at ? (size_t)(at - text) : len;
}

static void use(const char *text)
{
    json_t *j = json_string(text);
    if (!j || strpbrk(text, "\n\r"))
        abort();
    json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const char *text = (const char *)data;
    size_t module, rules;
    size_t manifest_len = cut(text, len, "\n---main.tf\n", &module);
    size_t module_len = cut(text + module, len - module, "\n---rules.yaml\n", &rules);
    rules += module;
    struct pieces p = {{{"main.tf", text + module, module_len}, {"rules.yaml", text + rules, len - rules}, {"template.yaml", text, manifest_len}}};
    const struct source_entry entries[] = {
        {p.items[0].path, SOURCE_FILE, (int64_t)p.items[0].len}, {p.items[1].path, SOURCE_FILE, (int64_t)p.items[1].len}, {p.items[2].path, SOURCE_FILE, (int64_t)p.items[2].len}};
    struct template_source source = {entries, 3, read_piece, &p, true};
    struct err e = ERR_INIT;
    struct check check;
    struct arena *a = arena_new();
    if (check_source(&source, "", a, &check, &e) == 0) {
        for (size_t i = 0; i < check.findings.n; i++) {
            use(check.findings.items[i].path);
            use(check.findings.items[i].reason);
        }
        if (!check.templates[0].ok && check.findings.n == 0)
            abort(); /* refused without a word */
        check_done(&check);
    }
    arena_free(a);
    return 0;
}
