# SPDX-License-Identifier: Apache-2.0
#
# A toolchain file for AArch64 on another machine: Debian's cross compiler, libraries under
# TESSERA_ROOT, tests by qemu-user. scripts/aarch64.sh uses it.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES TESSERA_ROOT)

set(CMAKE_SYSROOT ${TESSERA_ROOT})
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L ${TESSERA_ROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)

# OpenBLAS is one of several alternatives, which nobody chose in this root.
set(libraries ${TESSERA_ROOT}/usr/lib/aarch64-linux-gnu)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${TESSERA_ROOT})
set(ENV{PKG_CONFIG_LIBDIR}
    ${libraries}/pkgconfig:${libraries}/openblas-pthread/pkgconfig:${TESSERA_ROOT}/usr/share/pkgconfig)
add_link_options(-Wl,-rpath-link,${libraries}/openblas-pthread)
