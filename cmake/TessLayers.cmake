# SPDX-License-Identifier: Apache-2.0
#
# tess_layer() makes the library of one layer, tess_shared_library() libtessera.so from all layers
# so far, tess_program() a program that stands on layers.

# The instruction sets that a layer's isa_*.c files are compiled for. The flag -ffp-contract=off
# holds for all of them, so the compiler fuses no multiply-add by itself. Nobody reads errno or the
# exception flags of their floats, which would keep sqrt and comparisons from being vectorized; the
# values are the same with and without these two flags.
set(TESS_ISA_LIST baseline)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
    list(APPEND TESS_ISA_LIST avx2 avx512)
endif()
set(TESS_ISA_FLAGS_baseline "")
set(TESS_ISA_FLAGS_avx2 -mavx2 -mfma)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_C_COMPILER_VERSION VERSION_GREATER_EQUAL 12)
    # Without it gcc copies the 32 bytes of a register in two halves, by way of the stack.
    list(APPEND TESS_ISA_FLAGS_avx2 -mmove-max=256 -mstore-max=256)
endif()
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # Files that are scheduled before registers are chosen are so with a look at how many there are.
    list(APPEND TESS_ISA_FLAGS_avx2 -fsched-pressure)
endif()
set(TESS_ISA_FLAGS_avx512 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma
                          -mprefer-vector-width=512)

set_property(GLOBAL PROPERTY TESS_LAYERS "")
set_property(GLOBAL PROPERTY TESS_LIBRARIES "")

# The .c files of a folder, looked up again at every build.
function(tess_sources folder result)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.c)
    set(${result} ${sources} PARENT_SCOPE)
endfunction()

# Compiles `sources` once for each instruction set; the objects' names come back in `result`. Such
# a file sees TSI_ISA, the bare name of its instruction set, and TSI_ISA_<name>, which is 1.
function(tess_isa_objects layer sources libraries result)
    set(objects "")
    foreach(isa IN LISTS TESS_ISA_LIST)
        set(target tess_${layer}_${isa})
        add_library(${target} OBJECT ${sources})
        target_link_libraries(${target} PRIVATE tess_settings tess_warnings ${libraries})
        target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O3>
                                                 -fno-math-errno -fno-trapping-math
                                                 ${TESS_ISA_FLAGS_${isa}})
        if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND TESSERA_SANITIZE MATCHES "address")
            # gcc aligns the frames that it keeps for this check to less than a vector needs.
            target_compile_options(${target} PRIVATE --param=asan-use-after-return=0)
        endif()
        target_compile_definitions(${target} PRIVATE TSI_ISA=${isa} TSI_ISA_${isa}=1)
        list(APPEND objects $<TARGET_OBJECTS:${target}>)
    endforeach()
    set(${result} ${objects} PARENT_SCOPE)
endfunction()

# A layer: the static library tess_NAME of the .c files in `folder`, which stands on the layers
# after DEPENDS and the libraries after LIBRARIES. A folder without sources is a layer of headers.
# With WHOLE an optimized build compiles all its files as one, so that calls from one to another are
# as cheap as those within a file; no two of them may then use one name for two things.
function(tess_layer name folder)
    cmake_parse_arguments(layer "WHOLE" "" "DEPENDS;LIBRARIES" ${ARGN})
    list(TRANSFORM layer_DEPENDS PREPEND tess_)
    set(needs ${layer_DEPENDS} ${layer_LIBRARIES})
    tess_sources(${folder} sources)
    set(isa_sources ${sources})
    list(FILTER isa_sources INCLUDE REGEX "/isa_[^/]*\\.c$")
    list(FILTER sources EXCLUDE REGEX "/isa_[^/]*\\.c$")

    set(objects "")
    if(isa_sources)
        tess_isa_objects(${name} "${isa_sources}" "${needs}" objects)
    endif()
    if(sources OR objects)
        add_library(tess_${name} STATIC ${sources} ${objects})
        target_link_libraries(tess_${name} PRIVATE tess_warnings PUBLIC tess_settings ${needs})
        if(layer_WHOLE AND CMAKE_BUILD_TYPE STREQUAL "Release")
            set_target_properties(tess_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0)
            set_target_properties(tess_${name} PROPERTIES TESS_WHOLE ON)
            target_compile_options(tess_${name} PRIVATE -O3)
        endif()
        set_property(GLOBAL APPEND PROPERTY TESS_LAYERS ${name})
        set_property(GLOBAL APPEND PROPERTY TESS_OBJECTS ${objects})
        if(sources)
            set_property(GLOBAL APPEND PROPERTY TESS_OBJECTS $<TARGET_OBJECTS:tess_${name}>)
        endif()
    else()
        add_library(tess_${name} INTERFACE)
        target_link_libraries(tess_${name} INTERFACE tess_settings ${needs})
    endif()
    set_property(GLOBAL APPEND PROPERTY TESS_LIBRARIES ${layer_LIBRARIES})
    if(name STREQUAL "kernel" AND sources)
        target_compile_options(tess_${name} PRIVATE $<$<CONFIG:Release>:-O3>)
    endif()
endfunction()

# libtessera.so, made of the objects of all layers so far. It exports tess_* and nothing else.
function(tess_shared_library name)
    get_property(objects GLOBAL PROPERTY TESS_OBJECTS)
    get_property(libraries GLOBAL PROPERTY TESS_LIBRARIES)
    list(REMOVE_DUPLICATES libraries)
    set(script ${PROJECT_SOURCE_DIR}/cmake/tessera.map)
    add_library(${name} SHARED ${objects})
    add_library(tessera::${name} ALIAS ${name})
    set_target_properties(${name} PROPERTIES
        LINKER_LANGUAGE C VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
        LINK_DEPENDS ${script})
    target_include_directories(${name} INTERFACE
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_link_libraries(${name} PRIVATE ${libraries})
    target_link_options(${name} PRIVATE -Wl,--version-script=${script})
    # A sanitizer's run-time library is in the program and not in the shared library.
    if(TESSERA_SANITIZE STREQUAL "" AND NOT TESSERA_FUZZ)
        target_link_options(${name} PRIVATE -Wl,-z,defs)
    endif()
endfunction()

# A program of the .c files in `folder`, under bin/ of the build tree, installed with the library.
function(tess_program name folder)
    cmake_parse_arguments(program "" "" "DEPENDS;LIBRARIES" ${ARGN})
    tess_sources(${folder} sources)
    if(NOT sources)
        return()
    endif()
    list(TRANSFORM program_DEPENDS PREPEND tess_)
    add_executable(${name} ${sources})
    target_link_libraries(${name} PRIVATE tess_settings tess_warnings ${program_DEPENDS}
                                          ${program_LIBRARIES})
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()
