# SPDX-License-Identifier: Apache-2.0
#
# The libraries that Tessera stands on; scripts/install-deps.sh installs them on Debian 12.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

# CMake 3.25 keeps some of the flags of these two in its cache in another form than it used them in at
# first, so that configuring again would compile all that includes them again. It asks again instead.
unset(zmq_FOUND CACHE)
unset(czmq_FOUND CACHE)
pkg_check_modules(openblas REQUIRED openblas)
pkg_check_modules(sleef REQUIRED IMPORTED_TARGET sleef)
pkg_check_modules(zmq REQUIRED IMPORTED_TARGET libzmq>=4.3.4)
pkg_check_modules(czmq REQUIRED IMPORTED_TARGET libczmq>=4.2.0)
pkg_check_modules(jansson REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash>=0.8.0)

# OpenBLAS is loaded when the first product is computed, so only its header is needed here.
add_library(tess_openblas_header INTERFACE)
target_include_directories(tess_openblas_header SYSTEM INTERFACE ${openblas_INCLUDE_DIRS})
target_link_libraries(tess_openblas_header INTERFACE ${CMAKE_DL_LIBS})
