/* What a run and its leash say to each other: packets on a SOCK_SEQPACKET pair. The leash knows nothing of Terraform: it spawns what it is told,
 * reports ends, and kills the whole tree, child 0 first, when told, when the other side is gone, or when the lease runs out. */
#pragma once
#include <stdint.h>

#define LEASH_CTL_FD 3        /* in the leash: its end of the pair */
#define LEASH_LOCK_FD 4       /* in the leash: the run folder's lock, held until it ends */
#define LEASH_PAYLOAD_MAX 65536
#define LEASH_ARGS_FD 3       /* in a child: where bubblewrap reads its arguments */
#define LEASH_NO_LEASE INT64_MAX

enum leash_kind {
    /* to the leash */
    LEASH_LEASE = 1,  /* value: end of the lease, boot-clock ms; 0: lost */
    LEASH_SPAWN,      /* index; payload: argv, each NUL-terminated; descriptors: arguments, stdout, stderr */
    LEASH_KILL,       /* index: that child alone */
    LEASH_END,        /* kill what is left and end */
    /* from the leash */
    LEASH_STARTED,    /* index */
    LEASH_EXITED,     /* index; value: wait status */
    LEASH_FAILED,     /* index; value: errno; payload: words */
    LEASH_ENDED,      /* value: enum leash_reason. The last word: no child is left */
};

enum leash_reason { LEASH_REASON_DONE = 0, LEASH_REASON_LEASE = 1, LEASH_REASON_CLOSED = 2 };

struct leash_message {
    uint32_t kind;
    int32_t index;
    int64_t value;
    uint32_t n; /* bytes of payload */
    uint32_t reserved;
};
