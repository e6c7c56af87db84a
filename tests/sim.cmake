# SPDX-License-Identifier: Apache-2.0
#
# The simulator: one program for each *_main.c, with the other files of the folder in a library.

file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/sim/*.c)
set(mains ${sources})
list(FILTER mains INCLUDE REGEX "_main\\.c$")
list(FILTER sources EXCLUDE REGEX "_main\\.c$")
add_library(tess_sim STATIC ${sources})
target_link_libraries(tess_sim PRIVATE tess_warnings PUBLIC tess_support ${all_layers})
foreach(source IN LISTS mains)
    cmake_path(GET source STEM stem)
    tess_plain_test(${stem} ${source})
    target_link_libraries(${stem} PRIVATE tess_sim)
endforeach()

# 1,000 seeds, in parts that can run beside each other. A sanitizer's build is ten times as slow and
# runs a fifth of them.
set(seeds_of_part 250)
if(NOT TESSERA_SANITIZE STREQUAL "")
    set(seeds_of_part 50)
endif()
foreach(part RANGE 3)
    math(EXPR first "1 + ${part} * ${seeds_of_part}")
    tess_add_test(sim.seeds_${part} sim COMMAND sim_main --seeds ${first} ${seeds_of_part})
endforeach()

tess_add_test(sim.big sim COMMAND sim_main --big 200 100000)
if(TESSERA_SANITIZE STREQUAL "")
    tess_add_test(sim.exhaustive sim COMMAND sim_main --exhaustive)
endif()

# The cores once more, with room for the mistakes of engine/base/planted.h. The objects are named
# before the libraries, so that their functions are taken.
tess_sources(scheduler/core scheduler_sources)
tess_sources(worker/core worker_sources)
add_library(tess_planted OBJECT ${scheduler_sources} ${worker_sources})
target_link_libraries(tess_planted PRIVATE tess_warnings tess_settings tess_program)
target_compile_definitions(tess_planted PRIVATE TSI_PLANT)
target_sources(sim_planted_main PRIVATE $<TARGET_OBJECTS:tess_planted>)
target_compile_definitions(sim_planted_main PRIVATE TSI_PLANT)
# A mistake may well be one that a sanitizer stops at, in words that fail the test.
if(TESSERA_SANITIZE STREQUAL "")
    tess_add_test(sim.planted sim COMMAND sim_planted_main)
endif()
