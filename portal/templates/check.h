/* The check of golden paths over any source: shared by `soma templates check` and by refresh. Neither libpq nor libgit2 is reached from here. */
#pragma once
#include "portal/json/yaml.h"
#include "portal/templates/hcl.h"
#include "portal/templates/source.h"
#include "portal/templates/templates.h"

#define CHECK_FILE_MAX (1024 * 1024)
#define CHECK_FILES_MAX 2000
#define CHECK_LOAD_MAX (16u * 1024 * 1024)    /* all files that one check looks into */
#define CHECK_ARCHIVE_MAX (4u * 1024 * 1024)  /* of one golden path */
#define CHECK_FINDINGS_MAX 300

struct findings { struct arena *arena; struct template_finding *items; size_t n, cap, dropped; };

/* Bad UTF-8 and control characters of path and reason are replaced; the same finding twice is kept once. */
void finding_add(struct findings *f, const char *path, int line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void findings_sort(struct findings *f);

struct check_file { const char *path; const char *data; size_t len; };

struct check_template {
    const char *folder;           /* "" is the repository's root */
    const char *manifest_path;    /* "a/template.yaml" */
    const char *name;             /* NULL while the manifest cannot be read */
    json_t *manifest;             /* with defaults; owned: check_done() */
    struct yaml_marks *marks;
    struct check_file *files;     /* sorted by path */
    size_t n_files, bytes;
    bool ok;                      /* may be published */
};

struct check {
    struct arena *arena;
    struct findings findings;
    struct check_template *templates;
    size_t n_templates;
};

/* Checks every golden path below `below` ("" is everything). The result lives in the arena and does not need the source any more. An error is the source's own: what is wrong with golden paths are findings. */
int check_source(struct template_source *s, const char *below, struct arena *a, struct check *ret, struct err *e);
void check_done(struct check *c);

/* surroundings.c: what lies beside the golden paths of a commit. Nothing there keeps one from being published, but what no honest repository holds is told: links
 * that lead in a circle or out, submodules, enormous files. `taken` marks the entries that were judged already. */
int check_surroundings(struct template_source *s, const char *below, const unsigned char *taken, struct check *c, struct err *e);

/* ---- manifest.c: the manifest by itself ---- */

/* Reads, holds against the schema, fills defaults. NULL, with findings, when it is not one. */
json_t *manifest_read(const char *path, const char *text, size_t len, struct findings *f, struct arena *a, struct yaml_marks **ret_marks);
/* What the schema cannot say: parameters, engine, expressions. False when there are findings. */
bool manifest_check(const struct check_template *t, struct findings *f);
/* Line of the value at a pointer such as "/spec/module". */
int manifest_line(const struct check_template *t, const char *pointer);
/* The parameters' names: fn for each, with the pointer of its schema within spec.parameters; through allOf, if, $ref, ... */
typedef void (*parameter_fn)(const char *name, const char *pointer, void *arg);
void manifest_each_parameter(const json_t *parameters, parameter_fn fn, void *arg);
/* Whether an order always gives it a value: required at the top, or with a default. */
bool manifest_parameter_given(const json_t *parameters, const char *name);
const json_t *manifest_schema(void); /* of manifests; owned by the program */

/* ---- cross.c: the manifest against its module ---- */
bool cross_check(const struct check_template *t, const struct hcl_module *m, struct findings *f);

/* ---- expand.c ---- */

/* Calls fn for each ${name} of `text`; returns why the text is malformed, or NULL. */
const char *expand_each(const char *text, void (*fn)(const char *name, size_t len, void *arg), void *arg);

/* ---- skeleton.c: files of a repository that is made ---- */

/* Whether values are put into it: valid UTF-8 without NUL. */
bool skeleton_is_text(const char *data, size_t len);
/* Calls fn for each ${name} of a text. Unlike texts of the manifest: any other $ or { is the file's own affair. */
void skeleton_each(const char *data, size_t len, void (*fn)(const char *name, size_t len, void *arg), void *arg);
/* Appends the text with ${name} filled in where `values` has a text of that name; `$${name}` of such a name is a plain ${name}; all else stays as it is. */
void skeleton_fill(const char *data, size_t len, const json_t *values, struct buf *out);
/* One file of a skeleton with the values in place; `path` is relative to the skeleton. ERR_INVALID: its name leads elsewhere. */
int skeleton_render(const char *path, const char *data, size_t len, const json_t *values, struct arena *a, struct templates_file *ret, struct err *e);

/* ---- constraint.c: "~> 1.5, != 1.7.0" ---- */

/* Why a constraint cannot be read, or NULL. In the arena. */
const char *constraint_problem(const char *text, struct arena *a);
/* Whether a version satisfies it; both well formed, else false. */
bool constraint_allows(const char *text, const char *version);

/* ---- paths.c ---- */

/* Any bytes, with a NUL behind them. */
char *copy_bytes(struct arena *a, const void *p, size_t n);
/* Joins a folder with a relative path ("." and ".." resolved): false when it leads out of the repository or is not relative. `out` is cleared. */
bool path_join(const char *folder, const char *relative, struct buf *out);
/* Why no file of a golden path may be called so, or NULL. */
const char *path_problem(const char *path);
bool path_below(const char *path, const char *folder); /* "a/b" lies below "a", and below "" */
