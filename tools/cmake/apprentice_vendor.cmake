# cuDNN and cuBLASLt for kernels/dense, in builds with CUDA. Both are loaded when they are first
# used, so only their headers are needed here, and nothing is linked with them.
#
# APPRENTICE_CUDNN=AUTO|ON|OFF: AUTO is on where cuDNN 9.8 or later is found (CUDNN_PATH, in the
# cache or in the environment, names its folder where it is no usual one); ON is an error where it
# is not. Results for cuDNN and cuBLASLt (CUDNN, CUBLASLT): APPRENTICE_HAVE_<name>,
# apprentice_<name>_headers, APPRENTICE_<name>_LIBRARY, which is tried where the loader finds none,
# and APPRENTICE_<name>_STATUS, which tells why it is off.
if(NOT APPRENTICE_CUDNN MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "APPRENTICE_CUDNN is '${APPRENTICE_CUDNN}', expected AUTO, ON or OFF")
endif()

# Folders of the Python packages that bring NVIDIA's libraries, PyTorch's for instance.
function(apprentice_python_folders result)
  set(found "")
  find_program(APPRENTICE_PYTHON python3)
  mark_as_advanced(APPRENTICE_PYTHON)
  if(APPRENTICE_PYTHON)
    execute_process(COMMAND ${APPRENTICE_PYTHON} -c
"import importlib.util as u
spec = u.find_spec('nvidia')
print(';'.join(spec.submodule_search_locations or []) if spec else '')"
                    OUTPUT_VARIABLE found ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  endif()
  set(folders "")
  foreach(folder IN LISTS found)
    list(APPEND folders ${folder}/cudnn ${folder}/cu${CUDAToolkit_VERSION_MAJOR})
  endforeach()
  set(${result} ${folders} PARENT_SCOPE)
endfunction()

# Looks for the header and the library, the latter by its plain name and by that of the file that is
# loaded: beside each other where CUDNN_PATH says, in the usual places, and in Python's.
function(apprentice_find_vendor name header library so)
  set(hints ${CUDNN_PATH} $ENV{CUDNN_PATH})
  apprentice_python_folders(python)
  find_path(APPRENTICE_${name}_INCLUDE ${header} HINTS ${hints} ${CUDAToolkit_INCLUDE_DIRS}
            PATHS ${python} PATH_SUFFIXES include)
  if(APPRENTICE_${name}_INCLUDE)
    cmake_path(GET APPRENTICE_${name}_INCLUDE PARENT_PATH beside)
  endif()
  find_library(APPRENTICE_${name}_LIBRARY NAMES ${so} ${library}
               HINTS ${hints} ${beside} ${CUDAToolkit_LIBRARY_DIR} PATHS ${python}
               PATH_SUFFIXES lib lib64)
  mark_as_advanced(APPRENTICE_${name}_INCLUDE APPRENTICE_${name}_LIBRARY)
endfunction()

function(apprentice_use_vendor name)
  add_library(apprentice_${name}_headers INTERFACE IMPORTED GLOBAL)
  target_include_directories(apprentice_${name}_headers INTERFACE ${APPRENTICE_${name}_INCLUDE}
                             ${CUDAToolkit_INCLUDE_DIRS})
  set(APPRENTICE_HAVE_${name} ON PARENT_SCOPE)
endfunction()

set(APPRENTICE_HAVE_CUDNN OFF)
set(APPRENTICE_HAVE_CUBLASLT OFF)
set(APPRENTICE_CUDNN_STATUS "off: APPRENTICE_CUDNN=OFF")
set(APPRENTICE_CUBLASLT_STATUS "off: no cublasLt.h found")
if(APPRENTICE_HAVE_CUDA)
  if(NOT APPRENTICE_CUDNN STREQUAL "OFF")
    apprentice_find_vendor(CUDNN cudnn_backend.h cudnn libcudnn.so.9)
    set(APPRENTICE_CUDNN_STATUS "off: no cudnn_backend.h found (CUDNN_PATH can name its folder)")
    if(APPRENTICE_CUDNN_INCLUDE)
      set(version "")
      foreach(part MAJOR MINOR PATCHLEVEL)
        if(NOT EXISTS ${APPRENTICE_CUDNN_INCLUDE}/cudnn_version.h)
          break()
        endif()
        file(STRINGS ${APPRENTICE_CUDNN_INCLUDE}/cudnn_version.h line
             REGEX "^#define CUDNN_${part} +[0-9]+")
        string(REGEX REPLACE ".* ([0-9]+).*" "\\1" number "${line}")
        list(APPEND version "${number}")
      endforeach()
      list(JOIN version "." version)
      set(APPRENTICE_CUDNN_STATUS
          "off: ${APPRENTICE_CUDNN_INCLUDE} is of cuDNN ${version}, expected 9.8 or later")
      if(version VERSION_GREATER_EQUAL 9.8 AND version VERSION_LESS 10)
        apprentice_use_vendor(CUDNN)
        set(APPRENTICE_CUDNN_STATUS "cuDNN ${version}")
      endif()
    endif()
    if(APPRENTICE_CUDNN STREQUAL "ON" AND NOT APPRENTICE_HAVE_CUDNN)
      message(FATAL_ERROR "APPRENTICE_CUDNN=ON, but ${APPRENTICE_CUDNN_STATUS}")
    endif()
  endif()
  apprentice_find_vendor(CUBLASLT cublasLt.h cublasLt libcublasLt.so.${CUDAToolkit_VERSION_MAJOR})
  if(APPRENTICE_CUBLASLT_INCLUDE)
    apprentice_use_vendor(CUBLASLT)
    set(APPRENTICE_CUBLASLT_STATUS "on")
  endif()
  message(STATUS "cuDNN: ${APPRENTICE_CUDNN_STATUS}; cuBLASLt: ${APPRENTICE_CUBLASLT_STATUS}")
else()
  set(APPRENTICE_CUDNN_STATUS "off: it is for builds with CUDA")
  set(APPRENTICE_CUBLASLT_STATUS ${APPRENTICE_CUDNN_STATUS})
endif()
if(APPRENTICE_CUDNN STREQUAL "ON" AND NOT APPRENTICE_HAVE_CUDA)
  message(FATAL_ERROR "APPRENTICE_CUDNN=ON, but the CUDA backend is ${APPRENTICE_CUDA_STATUS}")
endif()

# What kernels/dense is made of beside oneDNN: APPRENTICE_VENDOR_FOLDERS with plain sources,
# APPRENTICE_VENDOR_UNITS, and the targets (_LINKS) and definitions that they need.
set(APPRENTICE_VENDOR_FOLDERS "")
set(APPRENTICE_VENDOR_UNITS "")
set(APPRENTICE_VENDOR_LINKS "")
set(APPRENTICE_VENDOR_DEFINITIONS "")
if(APPRENTICE_HAVE_CUDA)
  set(APPRENTICE_VENDOR_FOLDERS vendor)
  set(APPRENTICE_VENDOR_UNITS cuda)
  set(APPRENTICE_VENDOR_LINKS CUDA::cudart_static)
endif()
foreach(name CUDNN CUBLASLT)
  string(TOLOWER ${name} folder)
  if(APPRENTICE_HAVE_${name})
    list(APPEND APPRENTICE_VENDOR_FOLDERS ${folder})
    list(APPEND APPRENTICE_VENDOR_LINKS apprentice_${name}_headers)
  else()
    list(APPEND APPRENTICE_VENDOR_FOLDERS absent/${folder})
  endif()
  set(library "")
  if(APPRENTICE_${name}_LIBRARY)
    set(library "${APPRENTICE_${name}_LIBRARY}")
  endif()
  list(APPEND APPRENTICE_VENDOR_DEFINITIONS "APPRENTICE_${name}_LIBRARY=\"${library}\""
       "APPRENTICE_${name}_STATUS=\"${APPRENTICE_${name}_STATUS}\"")
endforeach()
