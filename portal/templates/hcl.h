/* HCL as far as a keeper of templates needs it: blocks and attributes with their place, no evaluation; and on top the rules for Terraform
 * modules that Soma runs.
 *
 * The scanner follows HCL's native syntax (comments, templates in strings, heredocs, one-line blocks); JSON syntax (.tf.json) gives the same
 * nodes. What it cannot read it refuses: nothing is skipped. All results live in the arena. Thread: any. */
#pragma once
#include "portal/core/arena.h"
#include "portal/core/err.h"
#include <stdbool.h>
#include <stddef.h>

#define HCL_FILE_MAX (1024 * 1024)

enum hcl_kind { HCL_BLOCK, HCL_ATTRIBUTE };

struct hcl_node {
    enum hcl_kind kind;
    const char *name;           /* block type or attribute name, decoded */
    const char **labels;        /* of a block, decoded */
    size_t n_labels;
    int line, column;           /* from 1, of the name */
    const char *text;           /* of an attribute: its expression as written (JSON: the JSON text), cut after 200 bytes */
    const char *literal;        /* of an attribute that is one plain text without templates: its value; else NULL */
    struct hcl_node *first;     /* members: of a block; of an attribute that is an object (or list of objects) their items, as attributes */
    struct hcl_node *next, *parent;
};

/* Reads a file into a block without name whose members are the top level. `file` is for messages; one that ends in ".json" is read as JSON syntax.
 * ERR_INVALID ("main.tf:3: ..."), ERR_TOO_LARGE. */
int hcl_read(const char *file, const char *text, size_t len, struct arena *a, struct hcl_node **ret, struct err *e);

/* One file of a folder. `text` may be NULL for files that are neither .tf nor .tf.json. */
struct hcl_file { const char *name; const char *text; size_t len; bool link; /* a symbolic link: refused */ };

/* Where a module's files come from (a folder, a git tree). */
struct hcl_source {
    /* Gives the files that lie directly in folder `dir` ("" is the repository's root, else "a/b"), text for every *.tf and *.tf.json.
     * ERR_NOT_FOUND when there is no such folder. */
    int (*list)(void *arg, const char *dir, struct arena *a, struct hcl_file **ret, size_t *ret_n, struct err *e);
    void *arg;
};

struct hcl_problem { const char *file; /* path in the repository */ int line; /* 0: the file as a whole */ const char *reason; };
struct hcl_provider { const char *name, *source, *version; /* version "" when none; source as written, "hashicorp/<name>" when left out */ const char *file; int line; };
struct hcl_variable { const char *name; bool sensitive, has_default, ephemeral; const char *file; int line; };
struct hcl_output { const char *name; bool sensitive; const char *file; int line; };
struct hcl_resource { const char *type, *name, *address; /* "aws_s3_bucket.this", "data.x.y", in local modules "module.m.x.y" */ bool data; const char *file; int line; };

/* What a module is made of. Variables and outputs are those of the module itself, the rest includes the local modules it calls. */
struct hcl_module {
    struct hcl_problem *problems; size_t n_problems;   /* in order of file and line; at most 100 */
    struct hcl_provider *providers; size_t n_providers;
    struct hcl_variable *variables; size_t n_variables;
    struct hcl_output *outputs; size_t n_outputs;
    struct hcl_resource *resources; size_t n_resources;
    const char **folders; size_t n_folders;            /* all folders read, the module's own first */
    const char *required_version;                      /* all of them joined by ", "; "" when none */
    bool soma_variable;                                /* `variable "soma"` is declared */
};

/* Reads the module in folder `dir` of the repository and every local module that it calls, and lists what Soma does not run: provisioners,
 * connections, data that reaches out (external, http, terraform_remote_state), backends, cloud, override files, values that come by themselves
 * (*.auto.tfvars, terraform.tfvars), modules from elsewhere, provider aliases, import blocks, state and plan files, and what cannot be read.
 * 0 also when there are problems; an error is the source's own. */
int hcl_check_module(const struct hcl_source *source, const char *dir, struct arena *a, struct hcl_module **ret, struct err *e);

/* The rules that need a name only: why a file of that name may not lie in a template's folder, or NULL. */
const char *hcl_file_forbidden(const char *name);
