# Tests by glob. A test's name is its path: unit/batch/zset.
set(test_root ${PROJECT_SOURCE_DIR}/tests)

file(GLOB support_sources CONFIGURE_DEPENDS ${test_root}/support/*.c)
list(REMOVE_ITEM support_sources ${test_root}/support/fuzz_replay.c)
add_library(pq_test_support STATIC ${support_sources})
target_include_directories(pq_test_support PUBLIC src tests)
target_compile_definitions(pq_test_support PUBLIC PQ_PROJECT_DIR="${PROJECT_SOURCE_DIR}")
target_link_libraries(pq_test_support PUBLIC parquedb_static)

# A test program named by its path below tests/, without "_test.c".
function(pq_test_program source)
    cmake_path(RELATIVE_PATH source BASE_DIRECTORY ${test_root} OUTPUT_VARIABLE name)
    string(REGEX REPLACE "_test\\.c$" "" name ${name})
    string(REPLACE "/" "_" target ${name})
    cmake_path(GET name PARENT_PATH folder)
    cmake_path(GET source STEM stem)
    add_executable(${target}_test ${source})
    target_link_libraries(${target}_test PRIVATE pq_test_support)
    set_target_properties(${target}_test PROPERTIES OUTPUT_NAME ${stem}
                          RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/${folder})
    add_test(NAME ${name} COMMAND ${target}_test)
endfunction()

# A fuzz target: libFuzzer in the fuzz preset, elsewhere a replay of its kept corpus.
function(pq_fuzz_program source)
    cmake_path(GET source STEM stem)
    string(REGEX REPLACE "_fuzz$" "" name ${stem})
    add_executable(${stem} ${source})
    target_link_libraries(${stem} PRIVATE pq_test_support)
    set_target_properties(${stem} PROPERTIES
                          RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/fuzz)
    if(PQ_FUZZ)
        target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
    else()
        target_sources(${stem} PRIVATE ${test_root}/support/fuzz_replay.c)
        add_test(NAME fuzz/${name} COMMAND ${stem} ${test_root}/fuzz/corpus/${name})
    endif()
endfunction()

function(pq_script_test source)
    cmake_path(RELATIVE_PATH source BASE_DIRECTORY ${test_root} OUTPUT_VARIABLE name)
    cmake_path(GET source EXTENSION extension)
    string(REGEX REPLACE "_test\\.[a-z]+$" "" name ${name})
    if(extension STREQUAL ".py" AND name MATCHES "^interop/")
        set(runner ${PQ_DEPS_DIR}/venv/bin/python)
    elseif(extension STREQUAL ".py")
        set(runner python3)
    elseif(extension STREQUAL ".mjs")
        set(runner node)
    else()
        set(runner bash)
    endif()
    add_test(NAME ${name} COMMAND ${runner} ${source})
    set_property(TEST ${name} PROPERTY ENVIRONMENT
                 "PQ_BUILD_DIR=${PROJECT_BINARY_DIR};PQ_PROJECT_DIR=${PROJECT_SOURCE_DIR}"
                 "PQ_PYTHON=${PQ_DEPS_DIR}/venv/bin/python")
endfunction()

# An example sees what a user sees: the public headers and the library.
function(pq_example source)
    cmake_path(GET source STEM name)
    set(folder ${PROJECT_BINARY_DIR}/examples/${name}.run)
    file(MAKE_DIRECTORY ${folder})
    add_executable(example_${name} ${source})
    target_link_libraries(example_${name} PRIVATE parquedb_static)
    set_target_properties(example_${name} PROPERTIES OUTPUT_NAME ${name}
                          RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/examples)
    # In an empty folder each time: an example may make a database there.
    add_test(NAME examples/${name} WORKING_DIRECTORY ${folder}
             COMMAND sh -c "rm -rf ./* && exec $<TARGET_FILE:example_${name}>")
endfunction()

file(GLOB fuzz_sources CONFIGURE_DEPENDS ${test_root}/fuzz/*_fuzz.c)
foreach(source ${fuzz_sources})
    pq_fuzz_program(${source})
endforeach()
# What a client of the server sends is read by the command's own code.
target_sources(call_fuzz PRIVATE ${PROJECT_SOURCE_DIR}/apps/cli/call.c)
target_include_directories(call_fuzz PRIVATE apps)
if(NOT PQ_FUZZ)
    file(GLOB test_sources CONFIGURE_DEPENDS ${test_root}/unit/*/*_test.c ${test_root}/law/*_test.c
         ${test_root}/fault/*_test.c ${test_root}/api/*_test.c)
    foreach(source ${test_sources})
        pq_test_program(${source})
    endforeach()
    # The calls of the system that store/fs.c makes are the test's own.
    foreach(call pread pwrite pwritev openat fdatasync fsync ftruncate flock fstat renameat linkat
            unlinkat mkdirat)
        target_link_options(fault_syscalls_test PRIVATE -Wl,--wrap=${call})
    endforeach()
    # What the interop scripts run to have files of ours made or read.
    file(GLOB interop_sources CONFIGURE_DEPENDS ${test_root}/interop/*.c)
    foreach(source ${interop_sources})
        cmake_path(GET source STEM name)
        add_executable(interop_${name} ${source})
        target_link_libraries(interop_${name} PRIVATE pq_test_support)
        set_target_properties(interop_${name} PROPERTIES OUTPUT_NAME ${name}
                              RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/interop)
    endforeach()
    file(GLOB script_sources CONFIGURE_DEPENDS ${test_root}/interop/*_test.py
         ${test_root}/interop/*_test.sh ${test_root}/interop/*_test.mjs
         ${test_root}/api/*_test.sh ${test_root}/api/*_test.py ${test_root}/tidy/*_test.py)
    foreach(source ${script_sources})
        pq_script_test(${source})
    endforeach()
    file(GLOB example_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/*.c)
    foreach(source ${example_sources})
        pq_example(${source})
    endforeach()
    get_property(all_tests DIRECTORY PROPERTY TESTS)
    set_property(TEST ${all_tests} PROPERTY TIMEOUT 300)
    set_property(TEST law/views PROPERTY TIMEOUT 36000)  # PQ_LAW_SECONDS bounds it
endif()
