# SPDX-License-Identifier: Apache-2.0
#
# Every example runs, embedded. One reads a file, which it makes itself before.

if(NOT TESSERA_EXAMPLES)
    return()
endif()

set(arguments_of_out_of_core_mean ${PROJECT_BINARY_DIR}/examples/data.npy)
file(GLOB examples CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/*.c)
foreach(source IN LISTS examples)
    cmake_path(GET source STEM stem)
    tess_add_test(examples.${stem} examples COMMAND example_${stem} ${arguments_of_${stem}})
endforeach()

tess_add_test(examples.make_data examples
              COMMAND example_out_of_core_mean --make ${arguments_of_out_of_core_mean} 3000 1000)
set_tests_properties(examples.make_data PROPERTIES FIXTURES_SETUP data)
set_tests_properties(examples.out_of_core_mean PROPERTIES FIXTURES_REQUIRED data)
