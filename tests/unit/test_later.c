// SPDX-License-Identifier: Apache-2.0

#include <criterion/criterion.h>
#include <string.h>

#include "engine/net/later.h"
#include "engine/net/net.h"

Test(later, messages_come_back_in_order_whatever_their_size)
{
    struct tsi_later later = {0};
    static unsigned char large[5000];
    memset(large, 7, sizeof large);
    struct tsi_later_parts parts = tsi_later_parts(&later, NULL, 0);
    cr_assert(!tsi_later_next_part(&parts));
    cr_assert(tsi_later_put(&later, "one", 3, 100));
    cr_assert(tsi_later_put(&later, "", 0, 200));
    cr_assert(tsi_later_put(&later, large, sizeof large, 300));
    parts = tsi_later_parts(&later, (const unsigned char *)"last", 4);
    cr_assert(tsi_later_next_part(&parts));
    cr_assert(parts.count == 3 && memcmp(parts.bytes, "one", 3) == 0);
    cr_assert(tsi_later_next_part(&parts));
    cr_assert(parts.count == 0);
    cr_assert(tsi_later_next_part(&parts));
    cr_assert(parts.count == sizeof large && memcmp(parts.bytes, large, parts.count) == 0);
    cr_assert(tsi_later_next_part(&parts));
    cr_assert(parts.count == 4 && memcmp(parts.bytes, "last", 4) == 0);
    cr_assert(!tsi_later_next_part(&parts));
    tsi_later_fini(&later);
}

// As many as a receiver takes at once leave together, and the last of all alone or as the last.
Test(later, messages_leave_together)
{
    for (int kept = 0; kept <= 3 * TSI_NET_FRAMES_MAX; kept++) {
        for (int more = 0; more <= 1; more++) {
            struct tsi_later later = {0};
            for (int i = 0; i < kept; i++) {
                cr_assert(tsi_later_put(&later, "m", 1, 100));
            }
            struct tsi_later_parts parts =
                tsi_later_parts(&later, more != 0 ? (const unsigned char *)"z" : NULL, 1);
            const int total = kept + more;
            for (int i = 1; i <= total; i++) {
                cr_assert(tsi_later_next_part(&parts));
                cr_assert_eq(parts.bytes[0], i > kept ? 'z' : 'm');
                cr_assert_eq(parts.more, i < total && i % TSI_NET_FRAMES_MAX != 0, "%d of %d", i,
                             total);
            }
            cr_assert(!tsi_later_next_part(&parts));
            tsi_later_fini(&later);
        }
    }
}

Test(later, the_first_message_says_when_all_are_due)
{
    struct tsi_later later = {0};
    cr_assert(later.due_ns == 0);
    cr_assert(tsi_later_put(&later, "a", 1, 1000));
    cr_assert(tsi_later_put(&later, "b", 1, 2000));
    cr_assert(later.due_ns == 1000 + TSI_LATER_NS && later.count == 2);
    tsi_later_clear(&later);
    cr_assert(later.due_ns == 0 && later.count == 0);
    struct tsi_later_parts parts = tsi_later_parts(&later, NULL, 0);
    cr_assert(!tsi_later_next_part(&parts));
    cr_assert(tsi_later_put(&later, "c", 1, 3000));
    cr_assert(later.due_ns == 3000 + TSI_LATER_NS);
    parts = tsi_later_parts(&later, NULL, 0);
    cr_assert(tsi_later_next_part(&parts) && parts.bytes[0] == 'c');
    tsi_later_fini(&later);
}
