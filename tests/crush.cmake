# SPDX-License-Identifier: Apache-2.0
#
# Tests of random bits by TestU01, where it is installed (Debian has it in its section non-free):
# SmallCrush is a test, the larger batteries are run by scripts/crush.sh.

find_library(TESSERA_TESTU01 testu01)
find_path(TESSERA_TESTU01_HEADERS testu01/bbattery.h)
if(TESSERA_TESTU01 AND TESSERA_TESTU01_HEADERS)
    tess_plain_test(crush ${CMAKE_CURRENT_SOURCE_DIR}/crush/crush.c)
    target_link_libraries(crush PRIVATE ${TESSERA_TESTU01} testu01probdist testu01mylib)
    if(NOT TESSERA_SANITIZE)
        tess_add_test(crush.small crush COMMAND crush small)
    endif()
endif()
