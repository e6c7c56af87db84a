# SPDX-License-Identifier: Apache-2.0
#
# Tests that start the daemons of this build, which they find by the environment variables that
# tess_add_test() sets. Their daemons share the machine's processors, so they run one at a time.

# An entry of ctest for real processes. With a sanitizer they take more memory, which is then not
# measured (TESSERA_SANITIZED).
function(tess_add_cluster_test name)
    tess_add_test(cluster.${name} cluster ${ARGN})
    set_tests_properties(cluster.${name} PROPERTIES RESOURCE_LOCK cluster SKIP_RETURN_CODE 77)
endfunction()

file(GLOB programs CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cluster/*.c)
foreach(source IN LISTS programs)
    cmake_path(GET source STEM stem)
    tess_plain_test(cluster_${stem} ${source})
    tess_add_cluster_test(${stem} COMMAND cluster_${stem})
endforeach()

file(GLOB shell_scripts CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cluster/test_*.sh)
foreach(source IN LISTS shell_scripts)
    cmake_path(GET source STEM stem)
    tess_add_cluster_test(${stem} COMMAND sh ${source})
endforeach()
