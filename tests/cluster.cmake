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

# Mistakes for these tests, of tests/planted: functions that stand before those of the layers, by the
# linker's --wrap, in a program that is the product's otherwise.
function(tess_plant target source)
    set(file ${CMAKE_CURRENT_SOURCE_DIR}/planted/${source})
    target_sources(${target} PRIVATE ${file})
    # The linker may take a shared library's use of a wrapped function for one of these.
    set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS -fvisibility=default)
    list(TRANSFORM ARGN PREPEND -Wl,--wrap=)
    target_link_options(${target} PRIVATE ${ARGN})
endfunction()

# Such a program: tests/<target>, the daemon of the folder once more.
function(tess_planted_daemon target folder)
    tess_sources(${folder} sources)
    add_executable(${target} ${sources})
    set_target_properties(${target} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    target_link_libraries(${target} PRIVATE tess_settings tess_warnings ${all_layers}
                                            PkgConfig::zmq PkgConfig::czmq)
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

set(held_calls tsi_exec_run tsi_run_check tsi_pipeline_run)
tess_planted_daemon(held_worker worker/daemon)
tess_plant(held_worker held_task.c ${held_calls})
tess_plant(cluster_cancel held_task.c ${held_calls})

add_library(blas_that_exits MODULE planted/blas_that_exits.c)
set_target_properties(blas_that_exits PROPERTIES
    PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
target_link_libraries(blas_that_exits PRIVATE tess_settings tess_warnings tess_openblas_header)
target_compile_options(blas_that_exits PRIVATE -fvisibility=default)

set(door_calls zmq_setsockopt zmq_send tsi_net_bind)
foreach(daemon scheduler worker)
    tess_planted_daemon(open_${daemon} ${daemon}/daemon)
    tess_plant(open_${daemon} open_door.c ${door_calls})
endforeach()
tess_plant(cluster_open_door open_door.c ${door_calls})
