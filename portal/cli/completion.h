/* Completion for shells: a script that asks `soma __complete` for each Tab, so that it never grows old. Thread: main. */
#pragma once
#include "portal/cli/cli.h"

/* Words that may stand at the end of argv[0..argc), the last of which may be begun: one on a line, "word<TAB>help". Names of services, templates, ... are
 * asked of the server with little patience; without one there are none. A line ":file" or ":dir" asks the shell to complete files itself. */
void completion_words(int argc, char **argv, struct buf *out);
