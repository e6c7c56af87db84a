# SPDX-License-Identifier: Apache-2.0
#
# The simulator: one program for each *_main.c, with the other files of the folder in a library.

file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/sim/*.c)
set(mains ${sources})
list(FILTER mains INCLUDE REGEX "_main\\.c$")
list(FILTER sources EXCLUDE REGEX "_main\\.c$")
if(sources)
    add_library(tess_sim STATIC ${sources})
    target_link_libraries(tess_sim PRIVATE tess_warnings PUBLIC tess_support ${all_layers})
else()
    add_library(tess_sim INTERFACE)
endif()
foreach(source IN LISTS mains)
    cmake_path(GET source STEM stem)
    tess_plain_test(${stem} ${source})
    target_link_libraries(${stem} PRIVATE tess_sim)
    tess_add_test(sim.${stem} sim COMMAND ${stem})
endforeach()
