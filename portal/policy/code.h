/* Bytecode of one policy file. Made by compile.c alone, and never stored: what is kept is text. */
#pragma once
#include "portal/core/buf.h"
#include "portal/policy/policy.h"

struct policy_code {
    char *path;
    struct buf bytes;
};
