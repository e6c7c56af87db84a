// SPDX-License-Identifier: Apache-2.0

#include <criterion/criterion.h>
#include <string.h>

#include "engine/net/later.h"

Test(later, messages_come_back_in_order_whatever_their_size)
{
    struct tsi_later later = {0};
    static unsigned char large[5000];
    const unsigned char *bytes = NULL;
    size_t count = 0;
    size_t at = 0;
    memset(large, 7, sizeof large);
    cr_assert(!tsi_later_next(&later, &at, &bytes, &count));
    cr_assert(tsi_later_put(&later, "one", 3, 100));
    cr_assert(tsi_later_put(&later, "", 0, 200));
    cr_assert(tsi_later_put(&later, large, sizeof large, 300));
    cr_assert(tsi_later_next(&later, &at, &bytes, &count));
    cr_assert(count == 3 && memcmp(bytes, "one", 3) == 0);
    cr_assert(tsi_later_next(&later, &at, &bytes, &count));
    cr_assert(count == 0);
    cr_assert(tsi_later_next(&later, &at, &bytes, &count));
    cr_assert(count == sizeof large && memcmp(bytes, large, count) == 0);
    cr_assert(!tsi_later_next(&later, &at, &bytes, &count));
    tsi_later_fini(&later);
}

Test(later, the_first_message_says_when_all_are_due)
{
    struct tsi_later later = {0};
    const unsigned char *bytes = NULL;
    size_t count = 0;
    size_t at = 0;
    cr_assert(later.due_ns == 0);
    cr_assert(tsi_later_put(&later, "a", 1, 1000));
    cr_assert(tsi_later_put(&later, "b", 1, 2000));
    cr_assert(later.due_ns == 1000 + TSI_LATER_NS && later.count == 2);
    tsi_later_clear(&later);
    cr_assert(later.due_ns == 0 && later.count == 0);
    cr_assert(!tsi_later_next(&later, &at, &bytes, &count));
    cr_assert(tsi_later_put(&later, "c", 1, 3000));
    cr_assert(later.due_ns == 3000 + TSI_LATER_NS);
    cr_assert(tsi_later_next(&later, &at, &bytes, &count) && bytes[0] == 'c');
    tsi_later_fini(&later);
}
