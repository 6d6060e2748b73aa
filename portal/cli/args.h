/* Words of the command line against a command's table of flags. Flags may stand anywhere; `--` ends them.
 * Values point into argv. Thread: main. */
#pragma once
#include "portal/core/buf.h"
#include "portal/core/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum flag_kind { FLAG_BOOL, FLAG_TEXT, FLAG_INT, FLAG_LIST /* text, may be given many times */ };

struct flag {
    const char *name;      /* "team" for --team */
    char letter;           /* 'o' for -o; 0: none */
    enum flag_kind kind;
    const char *value;     /* what the help calls the value; "a|b|c" are choices, and nothing else is taken */
    const char *complete;  /* what the shell completes: "file", "dir", or a noun of completion.h */
    bool required;
    const char *help;
};

#define ARGS_MAX 64
#define ARGS_VALUES_MAX 512

struct args {
    const char *words[ARGS_MAX]; /* what is not a flag */
    size_t n_words;
    char **rest;                 /* behind `--`; NULL-terminated like argv */
    size_t n_rest;
    struct { const struct flag *flag; const char *value; } values[ARGS_VALUES_MAX];
    size_t n_values;
};

/* Reads argv[0..argc). `own` and `global` end with a flag whose name is NULL; `own` may be NULL. ERR_INVALID names what is wrong and what was
 * probably meant. Values are appended: the caller zeroes *ret. With `leading` it stops before the first word that is no flag, and *ret_used
 * (may be NULL) counts the words of argv that were taken. */
int args_parse(const struct flag *own, const struct flag *global, int argc, char **argv, bool leading, struct args *ret, int *ret_used, struct err *e);
/* Whether every required flag of `own` is there. ERR_INVALID. */
int args_check(const struct flag *own, const struct args *a, struct err *e);

/* For what a command finds wrong in its own words and flags later on: ERR_INVALID that ends the program with EXIT_USAGE. */
int args_wrong(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool args_is_wrong(const struct err *e);

bool args_has(const struct args *a, const char *name);
const char *args_text(const struct args *a, const char *name);       /* the last one given, or NULL */
int64_t args_int(const struct args *a, const char *name, int64_t fallback);
size_t args_count(const struct args *a, const char *name);
const char *args_nth(const struct args *a, const char *name, size_t n); /* the n-th of a list, from 0; NULL behind the last */
const char *args_word(const struct args *a, size_t n);                /* NULL behind the last */
