# SPDX-License-Identifier: Apache-2.0
#
# Programs that run threads against each other.

file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/race/*.c)
foreach(source IN LISTS sources)
    cmake_path(GET source STEM stem)
    tess_plain_test(${stem} ${source})
    string(REGEX REPLACE "^race_" "" name ${stem})
    tess_add_test(race.${name} race COMMAND ${stem})
endforeach()
