# pq_dependencies: Debian's libraries. tools/setup.sh installs them.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

if(DEFINED ENV{PQ_DEPS_DIR})
    set(PQ_DEPS_DIR $ENV{PQ_DEPS_DIR})
else()
    set(PQ_DEPS_DIR ${PROJECT_SOURCE_DIR}/.deps)
endif()

add_library(pq_dependencies INTERFACE)
foreach(module libzstd liblz4 snappy zlib libbrotlienc libbrotlidec libxxhash libpcre2-8)
    pkg_check_modules(${module} IMPORTED_TARGET ${module})
    if(NOT ${module}_FOUND)
        # Not every Debian ships a .pc file for snappy.
        find_library(${module}_LIBRARY NAMES ${module})
        if(NOT ${module}_LIBRARY)
            message(FATAL_ERROR "${module} is missing: run tools/setup.sh build")
        endif()
        target_link_libraries(pq_dependencies INTERFACE ${${module}_LIBRARY})
    else()
        target_link_libraries(pq_dependencies INTERFACE PkgConfig::${module})
    endif()
endforeach()

# yyjson 0.12 has JSON5; older Debians lack it, so setup unpacks one beside the project.
set(yyjson_root ${PQ_DEPS_DIR}/yyjson/usr)
find_path(YYJSON_INCLUDE_DIR yyjson.h HINTS ${yyjson_root}/include)
find_library(YYJSON_LIBRARY yyjson HINTS ${yyjson_root}/lib
             PATH_SUFFIXES ${CMAKE_LIBRARY_ARCHITECTURE})
if(NOT YYJSON_INCLUDE_DIR OR NOT YYJSON_LIBRARY)
    message(FATAL_ERROR "yyjson >= 0.12 is missing: run tools/setup.sh build")
endif()
target_include_directories(pq_dependencies SYSTEM INTERFACE ${YYJSON_INCLUDE_DIR})
target_link_libraries(pq_dependencies INTERFACE ${YYJSON_LIBRARY} Threads::Threads m)
