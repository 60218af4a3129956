# APPRENTICE_CUDA=AUTO|ON|OFF: the CUDA backend. AUTO is on where a CUDA 13 compiler is found; ON is an
# error where it is not, rather than a silent CPU build. Results: APPRENTICE_HAVE_CUDA, the language
# CUDA, and APPRENTICE_CUDA_STATUS, which tells `apprentice doctor` why.
#
# CMAKE_CUDA_ARCHITECTURES: "80-real;90a-real" unless it is set. Files named *_sm90.cu hold wgmma and
# TMA and are compiled for 90a only.
if(NOT APPRENTICE_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "APPRENTICE_CUDA is '${APPRENTICE_CUDA}', expected AUTO, ON or OFF")
endif()

set(APPRENTICE_HAVE_CUDA OFF)
set(APPRENTICE_CUDA_STATUS "off: APPRENTICE_CUDA=OFF")
if(NOT APPRENTICE_CUDA STREQUAL "OFF")
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES "80-real;90a-real")
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    find_package(CUDAToolkit 13 QUIET)
    if(CUDAToolkit_FOUND)
      set(APPRENTICE_HAVE_CUDA ON)
      string(REPLACE ";" ", " architectures "${CMAKE_CUDA_ARCHITECTURES}")
      set(APPRENTICE_CUDA_STATUS "CUDA ${CUDAToolkit_VERSION}, for ${architectures}")
    else()
      set(APPRENTICE_CUDA_STATUS
          "off: ${CMAKE_CUDA_COMPILER} is CUDA ${CMAKE_CUDA_COMPILER_VERSION}, expected 13 or later")
    endif()
  else()
    set(APPRENTICE_CUDA_STATUS "off: no CUDA compiler (nvcc) found")
  endif()
  if(APPRENTICE_CUDA STREQUAL "ON" AND NOT APPRENTICE_HAVE_CUDA)
    message(FATAL_ERROR "APPRENTICE_CUDA=ON, but ${APPRENTICE_CUDA_STATUS}")
  endif()
endif()
message(STATUS "CUDA backend: ${APPRENTICE_CUDA_STATUS}")

# CMake 3.25 does not know how to ask nvcc 13 for C++20.
if(APPRENTICE_HAVE_CUDA AND NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
endif()

# The flags of CUDA sources: the numeric contract (no contraction), constexpr functions on the device,
# and a spilled register as an error. fmt 9 needs FMT_USE_CONSTEXPR under nvcc 13.
set(APPRENTICE_CUDA_FLAGS -fmad=false --expt-relaxed-constexpr -Xptxas=--warn-on-spills
    -Xptxas=--warning-as-error -DFMT_USE_CONSTEXPR=1)
