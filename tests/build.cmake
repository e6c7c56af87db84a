# SPDX-License-Identifier: Apache-2.0
#
# What a user's build sees: headers, symbols, an installation. And that the lint finds faults.

set(build_tests ${CMAKE_CURRENT_SOURCE_DIR}/build)

tess_add_test(build.headers build COMMAND sh ${build_tests}/headers.sh ${CMAKE_C_COMPILER})
tess_add_test(build.exports build COMMAND sh ${build_tests}/exports.sh $<TARGET_FILE:tessera>)
tess_add_test(build.lint build COMMAND sh ${build_tests}/lint.sh)
set_tests_properties(build.lint PROPERTIES SKIP_RETURN_CODE 77)

# Programs that know nothing of a sanitizer cannot load a library that was built with one.
if(TESSERA_SANITIZE STREQUAL "")
    tess_add_test(build.install build
                  COMMAND sh ${build_tests}/install.sh ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER})
endif()
