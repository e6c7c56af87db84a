# SPDX-License-Identifier: Apache-2.0
#
# How every file of the project is compiled. Nothing here depends on the machine that builds: the
# only files compiled for a particular instruction set are those of tess_layer() named isa_*.c.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Contracting a*b+c to one rounding would make results depend on the compiler and the processor.
# Functions with arrays or whose locals have their address taken guard the stack; in the cores, which
# are many small functions, only those with arrays of characters do: there the guards of the others
# would be a twentieth of all instructions. __FILE__ is seen from the root of the project, so messages
# are the same wherever it was built.
add_library(tess_settings INTERFACE)
target_compile_options(tess_settings INTERFACE
    -ffp-contract=off -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=
    $<$<CONFIG:Release>:-fstack-protector$<$<NOT:$<BOOL:$<TARGET_PROPERTY:TESS_WHOLE>>>:-strong>>)
target_compile_definitions(tess_settings INTERFACE
    _GNU_SOURCE $<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
target_include_directories(tess_settings INTERFACE ${PROJECT_SOURCE_DIR}
                                                   ${PROJECT_SOURCE_DIR}/include)

# Messages are cut to their room by snprintf() on purpose, so gcc's warning of that is off.
add_library(tess_warnings INTERFACE)
target_compile_options(tess_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
    -Wundef $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>)
if(TESSERA_WERROR)
    target_compile_options(tess_warnings INTERFACE -Werror)
endif()

if(NOT TESSERA_SANITIZE STREQUAL "")
    add_compile_options(-fsanitize=${TESSERA_SANITIZE} -fno-sanitize-recover=all
                        -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${TESSERA_SANITIZE})
endif()

# In a fuzzing build all code is instrumented; only the targets themselves get libFuzzer's main.
if(TESSERA_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
        message(FATAL_ERROR "TESSERA_FUZZ needs clang; use the preset fuzz")
    endif()
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
