# System packages; each is linked only where the folder's CMakeLists says so.
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(Threads REQUIRED)
include(apprentice_dnnl)
find_package(JPEG REQUIRED)
find_package(LibArchive REQUIRED)
find_package(tomlplusplus REQUIRED)
