# SPDX-License-Identifier: Apache-2.0
#
# tessera-bench: its command line and reports, and every bench once in its smallest size. It starts
# daemons, which share the machine's processors with those of the cluster tests.

if(NOT TESSERA_BENCH)
    return()
endif()

file(GLOB shell_scripts CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/bench/test_*.sh)
foreach(source IN LISTS shell_scripts)
    cmake_path(GET source STEM stem)
    string(REGEX REPLACE "^test_" "" name ${stem})
    tess_add_test(bench.${name} bench COMMAND sh ${source})
    set_tests_properties(bench.${name} PROPERTIES RESOURCE_LOCK cluster SKIP_RETURN_CODE 77)
endforeach()

tess_plain_test(bench_stats ${CMAKE_CURRENT_SOURCE_DIR}/bench/stats.c
                            ${PROJECT_SOURCE_DIR}/bench/bench_stats.c
                            ${PROJECT_SOURCE_DIR}/bench/bench_text.c)
target_link_libraries(bench_stats PRIVATE m)
tess_add_test(bench.stats bench COMMAND bench_stats)
