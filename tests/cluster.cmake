# SPDX-License-Identifier: Apache-2.0
#
# Tests that start the daemons of this build, which they find by the environment variable
# TESSERA_BIN. Their daemons share the machine's processors, so they run one at a time.

file(GLOB programs CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cluster/*.c)
foreach(source IN LISTS programs)
    cmake_path(GET source STEM stem)
    tess_plain_test(cluster_${stem} ${source})
    tess_add_test(cluster.${stem} cluster COMMAND cluster_${stem})
    set_tests_properties(cluster.${stem} PROPERTIES RESOURCE_LOCK cluster)
endforeach()

file(GLOB shell_scripts CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cluster/test_*.sh)
foreach(source IN LISTS shell_scripts)
    cmake_path(GET source STEM stem)
    tess_add_test(cluster.${stem} cluster COMMAND sh ${source})
    set_tests_properties(cluster.${stem} PROPERTIES RESOURCE_LOCK cluster)
endforeach()
