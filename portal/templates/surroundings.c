/* What lies beside the golden paths: see check.h. */
#include "portal/templates/check.h"
#include <string.h>

#define LINKS_MAX 1000
#define HOPS_MAX 40
#define ENORMOUS (32 << 20)
#define TREE_ENORMOUS ((int64_t)512 << 20)

struct look { struct template_source *s; struct findings *f; int links; };

/* Where the link at `i` leads: the entry of that very path, SIZE_MAX for anything else. `path` gets the target in the repository; *ret_out: it leads out. */
static int follow(struct look *l, size_t i, struct buf *path, bool *ret_out, struct err *e)
{
    BUF_AUTO target = BUF_INIT;
    char folder[4096] = "";
    const char *link = l->s->entries[i].path, *slash = strrchr(link, '/');
    int rc = l->s->read(l->s, i, 4000, &target, e);
    if (rc != 0)
        return rc;
    if (slash && (size_t)(slash - link) < sizeof(folder))
        memcpy(folder, link, (size_t)(slash - link));
    *ret_out = !path_join(folder, buf_cstr(&target), path);
    return 0;
}

static int judge_link(struct look *l, size_t first, struct err *e)
{
    BUF_AUTO path = BUF_INIT;
    size_t i = first;
    for (int hop = 0; hop < HOPS_MAX; hop++) {
        bool out = false;
        int rc = follow(l, i, &path, &out, e);
        if (rc == ERR_TOO_LARGE || rc == ERR_NOT_FOUND || rc == ERR_INVALID)
            return 0;
        if (rc != 0)
            return rc;
        const char *link = l->s->entries[i].path;
        if (out) {
            finding_add(l->f, l->s->entries[first].path, 0, "is a symbolic link that leads out of the repository; it is ignored");
            return 0;
        }
        if (strcmp(buf_cstr(&path), l->s->entries[first].path) == 0 || path_below(link, buf_cstr(&path))) {
            finding_add(l->f, l->s->entries[first].path, 0, "is a symbolic link that leads in a circle; it is ignored");
            return 0;
        }
        i = source_find(l->s, buf_cstr(&path));
        if (i >= l->s->n || strcmp(l->s->entries[i].path, path.data) != 0 || l->s->entries[i].kind != SOURCE_LINK)
            return 0;
    }
    finding_add(l->f, l->s->entries[first].path, 0, "is a symbolic link that leads in a circle; it is ignored");
    return 0;
}

int check_surroundings(struct template_source *s, const char *below, const unsigned char *taken, struct check *c, struct err *e)
{
    struct look l = {s, &c->findings, 0};
    int64_t bytes = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct source_entry *entry = &s->entries[i];
        bytes += entry->size > 0 ? entry->size : 0;
        if (taken[i] || !path_below(entry->path, below))
            continue;
        if (entry->kind == SOURCE_SUBMODULE)
            finding_add(l.f, entry->path, 0, "is a submodule; Soma does not fetch submodules, golden paths inside are not seen");
        if (entry->kind == SOURCE_FILE && entry->size > ENORMOUS)
            finding_add(l.f, entry->path, 0, "is %lld MiB long; it is ignored, but every fetch has to carry it", (long long)(entry->size >> 20));
        if (entry->kind == SOURCE_LINK && l.links++ < LINKS_MAX) {
            int rc = judge_link(&l, i, e);
            if (rc != 0)
                return rc;
        }
    }
    if (bytes > TREE_ENORMOUS)
        finding_add(l.f, "", 0, "the repository holds %lld MiB of files; golden paths are better kept in one of their own", (long long)(bytes >> 20));
    return 0;
}
