# APPRENTICE_CUDA=AUTO|ON|OFF. This version holds no CUDA source: AUTO comes out off, and ON is an
# error rather than a silent CPU build. APPRENTICE_CUDA_STATUS tells `apprentice doctor` why.
if(NOT APPRENTICE_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "APPRENTICE_CUDA is '${APPRENTICE_CUDA}', expected AUTO, ON or OFF")
endif()
if(APPRENTICE_CUDA STREQUAL "ON")
  message(FATAL_ERROR "APPRENTICE_CUDA=ON: this version has no CUDA backend; use AUTO or OFF")
endif()
set(APPRENTICE_CUDA_STATUS "off: this version has no CUDA backend")
