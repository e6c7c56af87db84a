# SPDX-License-Identifier: Apache-2.0
#
# Fuzz targets. The preset fuzz gives them libFuzzer's main, every other build that of
# standalone.c; ctest runs both over the committed corpus.

file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_*.c)
foreach(source IN LISTS sources)
    cmake_path(GET source STEM stem)
    string(REGEX REPLACE "^fuzz_" "" name ${stem})
    set(corpus ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${stem})
    if(TESSERA_FUZZ)
        tess_plain_test(${stem} ${source})
        target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
        tess_add_test(fuzz.${name} fuzz COMMAND ${stem} -runs=0 ${corpus})
    else()
        tess_plain_test(${stem} ${source} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/standalone.c)
        tess_add_test(fuzz.${name} fuzz COMMAND ${stem} ${corpus})
    endif()
endforeach()

# Seeds for the corpus of messages; what it writes is taken by the target.
tess_plain_test(fuzz_seed_messages ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/seed_messages.c)
if(NOT TESSERA_FUZZ)
    tess_add_test(fuzz.seed_messages fuzz COMMAND sh -c
        "rm -rf seeds && mkdir seeds && $<TARGET_FILE:fuzz_seed_messages> seeds 2 && $<TARGET_FILE:fuzz_message> seeds")
endif()
